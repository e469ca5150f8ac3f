//! The daemon put together.
//!
//! Owns the order of starting and stopping; the only module that sees everything. Must never do any work of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dockbeacon_core::event::{Event, What};
use dockbeacon_core::settings::HttpSettings;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::config::Loaded;
use crate::exit::ExitCode;
use crate::handles::{Command, Handles};
use crate::http::tls::Identity;
use crate::http::{self, HttpState};
use crate::lock::StateLock;
use crate::loops::{self, publish::Fixed};
use crate::owner::Owner;
use crate::panel::{self, PanelState};
use crate::registry::Registry;
use crate::store::Store;
use crate::supervisor::{Health, How, Supervisor};
use crate::systemd::Manager;
use crate::view::{Mood, PanelView, SettingView, View};
use crate::work::Work;
use crate::work::board::Board;
use crate::{clock, failpoint, shutdown, telemetry};

/// Loops that only look may be silent so long before the watchdog calls them stuck.
const PATIENCE: Duration = Duration::from_secs(60);
/// The loop that lists the engine may be silent so long: a few questions, each with a minute's patience. A slow engine, or
/// one that hangs, is no reason to restart the daemon that says so.
const ENGINE_PATIENCE: Duration = Duration::from_secs(10 * 60);
/// One job may be silent so long: the longest legitimate one is a stop with its own time limit, or a silent pull.
const JOB_PATIENCE: Duration = Duration::from_secs(15 * 60);
/// All loops must have ended so long after the signal to stop; a job that has stopped a container finishes starting one.
const DRAIN: Duration = Duration::from_secs(75);
/// The start may take so much longer, said again and again.
const START_EXTENSION: Duration = Duration::from_secs(30);
/// What the kernel takes, its closing zero excepted.
const SOCKET_PATH: usize = 107;
/// Commands that wait for their turn.
const QUEUE: usize = 64;

/// Reads the settings again, as they were read at the start.
pub type Source = Box<dyn Fn() -> Result<Loaded, crate::config::ConfigError> + Send + Sync>;

/// Makes what the work needs, for the daemon and for commands that work without one.
///
/// # Errors
/// When the store or the registry client cannot be made.
pub fn assemble(loaded: &Loaded, state_dir: &Path, stop: CancellationToken) -> anyhow::Result<Work> {
    let store =
        Store::open(state_dir).with_context(|| format!("opening the store in {}", state_dir.display()))?;
    let settings = Arc::new(loaded.settings.clone());
    let registry =
        Registry::new(&settings.registry, Arc::new(clock::now)).context("preparing to ask registries")?;
    let board = Board::new(settings.update.clone(), store.clone());
    {
        let mut state = board.state();
        state.notices = loaded.notices.iter().map(ToString::to_string).collect();
        state.notices.extend(store.notices().iter().cloned());
    }
    Ok(Work::new(settings, registry, store, Arc::new(board), stop, clock::now))
}

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// When it cannot start.
pub async fn run(
    loaded: Loaded,
    source: Source,
    state_dir: &Path,
    mut lock: StateLock,
) -> anyhow::Result<ExitCode> {
    let stop = CancellationToken::new();
    let signals = shutdown::Signals::install().context("catching signals")?;
    let reloads = signals.reloads();
    tokio::spawn(signals.follow(stop.clone()));
    let manager = Manager::from_env();
    let work = assemble(&loaded, state_dir, stop.clone())?;
    for notice in work.board.state().notices.clone() {
        tracing::warn!("{notice}");
    }

    let (view_out, view) = watch::channel(Arc::new(View::default()));
    let (panel_out, panel_state) = watch::channel(PanelState::default());
    let (ready_out, ready) = watch::channel(false);
    let (commands, queue) = mpsc::channel(QUEUE);
    let handles =
        Handles { view: view.clone(), events: work.board.events.clone(), commands: commands.clone() };
    let (edges, button) = panel::Edges::new();
    let mut front = panel::choose(&work.settings.panel, edges);
    let _button = front.take_button();
    if front.has_button() {
        work.claims.have_button();
    }
    let fixed = Fixed {
        settings: settings_view(&loaded),
        panel: panel_fixed(&front),
        model: crate::device::model(Path::new("/")),
        owner: Owner::new(state_dir.to_owned()),
        started: clock::now().civil,
    };

    // From the beginning, or the first events would be missing in the log.
    tokio::spawn(log(work.board.events.subscribe()));
    let mut supervisor = Supervisor::new();
    let control = control_socket(state_dir);
    let http = &work.settings.http;
    let owner = Owner::new(state_dir.to_owned());
    let state = HttpState::new(
        handles,
        Arc::new(work.store.clone()),
        http.clone(),
        Arc::new(clock::now),
        stop.clone(),
    )
    .in_zone(work.settings.schedule.time_zone)
    .telling(owner.clone())
    .with_claims(Arc::clone(&work.claims));
    let identity = if http.enabled { identity(state_dir, &work) } else { None };
    tokio::spawn(forget_by_button(work.claims.resets(), state.clone(), identity.clone()));
    let listeners = bind(&control, http).await?;
    lock.announce(Some(&control)).context("writing the control socket's path into the lock")?;
    let code = http::claim_code_at_start(&work.store, &owner)
        .map_err(|e| anyhow::anyhow!("making the claim code: {e}"))?;
    greet(http, identity.as_ref(), code.as_deref());
    serve(&mut supervisor, state, listeners, identity, &stop);

    let patience = failpoint::patience;
    supervisor
        .spawn("inventory", patience(ENGINE_PATIENCE), |p| loops::inventory::run(work.clone(), ready_out, p));
    supervisor.spawn("publish", patience(PATIENCE), |p| {
        loops::publish::run(work.clone(), fixed, view_out, panel_out, p)
    });
    supervisor.spawn("commands", patience(JOB_PATIENCE), |p| loops::commands::run(work.clone(), queue, p));
    supervisor.spawn("schedule", patience(PATIENCE), |p| {
        loops::schedule::run(work.clone(), commands.clone(), ready.clone(), p)
    });
    supervisor.spawn("device", patience(JOB_PATIENCE), |p| {
        loops::device::run(work.clone(), state_dir.to_owned(), p)
    });
    for (lamps, name) in front.lamps.into_iter().zip(["panel", "panel's second lamps"]) {
        supervisor.spawn(name, PATIENCE, |p| {
            let (panel_state, stop) = (panel_state.clone(), stop.clone());
            async move {
                panel::run(panel_state, lamps, stop, p).await;
                Ok::<_, String>(())
            }
        });
    }
    supervisor.spawn("button", PATIENCE, |p| {
        let (stop, board, by_hand) = (stop.clone(), Arc::clone(&work.board), commands.clone());
        let claimed = Arc::clone(&work.board);
        async move {
            let double = move || claimed.state().claimed;
            let tell = move |sign| heard(&board, &by_hand, sign);
            panel::button::follow(button, double, tell, stop, p).await;
            Ok::<_, String>(())
        }
    });
    tokio::spawn(reload(reloads, loaded, source, stop.clone()));
    let health = supervisor.health();
    tokio::spawn(announce(manager.clone(), ready, view, health.clone(), stop.clone()));
    // Until all loops have ended, and not only until they are told to: that may take longer than the watchdog waits.
    let ended = CancellationToken::new();
    let _ends = ended.clone().drop_guard();
    tokio::spawn(manager.clone().watch(health, ended));
    work.board.tell(What::Started { version: env!("CARGO_PKG_VERSION").to_owned() });

    let mut exit = ExitCode::Done;
    tokio::select! {
        () = stop.cancelled() => {}
        ended = supervisor.next_end() => {
            if let Some(end) = ended.filter(|_| !stop.is_cancelled()) {
                tracing::error!(%end, "a loop ended that must not; stopping so that the service manager starts anew");
                exit = ExitCode::Failed;
            }
            stop.cancel();
        }
    }
    manager.stopping("bringing what is under way to a safe place");
    for end in supervisor.drain(DRAIN).await {
        if end.how != How::Finished {
            tracing::error!(%end, "while stopping");
        }
    }
    // A socket that stays behind is harmless, and replaced at the next start.
    let _ = std::fs::remove_file(&control);
    drop(lock);
    tracing::info!("stopped");
    Ok(exit)
}

/// The panel's part of the snapshot that stays the same.
fn panel_fixed(front: &panel::Chosen) -> PanelView {
    PanelView {
        driver: front.driver.to_owned(),
        why: front.why.clone(),
        button: front.button.clone(),
        problems: front.problems.clone(),
        ..PanelView::default()
    }
}

/// What the button said goes to the lamps and to the loop that acts.
fn heard(board: &Board, commands: &mpsc::Sender<Command>, sign: panel::Sign) {
    match sign {
        panel::Sign::Held(feedback) => {
            board.state().held = feedback;
            board.changed.notify_one();
        }
        panel::Sign::Made(gesture) => {
            let (reply, _) = oneshot::channel();
            if commands.try_send(Command::ByHand(gesture, reply)).is_err() {
                tracing::error!(?gesture, "the button was not heard: too much is waiting to be done");
            }
        }
    }
}

/// The button forgets the owner; the console then shows the code for the next one.
async fn forget_by_button(mut resets: watch::Receiver<u64>, state: HttpState, identity: Option<Identity>) {
    while resets.changed().await.is_ok() {
        match http::forget_owner_by_button(&state).await {
            Ok(code) => greet(&state.settings, identity.as_ref(), Some(&code)),
            Err(why) => tracing::error!(why, "the password could not be reset by the button"),
        }
    }
}

struct Listeners {
    tcp: Option<TcpListener>,
    unix: UnixListener,
}

async fn bind(control: &Path, http: &HttpSettings) -> anyhow::Result<Listeners> {
    let tcp = if http.enabled {
        let bound = TcpListener::bind(http.listen).await.with_context(|| {
            format!("http.listen {}: another program has that port, or the address is not this machine's; set http.listen to a free one", http.listen)
        })?;
        Some(bound)
    } else {
        None
    };
    if let Some(parent) = control.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
    }
    let length = control.as_os_str().len();
    anyhow::ensure!(
        length <= SOCKET_PATH,
        "{}: {length} bytes are too long for the path of a socket, which has {SOCKET_PATH} at most; choose a shorter --state-dir",
        control.display()
    );
    // We hold the state folder's lock, so nobody listens on what is left there.
    let _ = std::fs::remove_file(control);
    let unix = UnixListener::bind(control).with_context(|| format!("listening on {}", control.display()))?;
    open_to_group(control)?;
    Ok(Listeners { tcp, unix })
}

/// Root and the group `dockbeacon` may ask over the control socket, where that group exists; else only our own user.
fn open_to_group(control: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let group = nix::unistd::Group::from_name("dockbeacon").ok().flatten();
    let mode = match group {
        Some(group) if nix::unistd::chown(control, None, Some(group.gid)).is_ok() => 0o660,
        Some(_) | None => 0o600,
    };
    std::fs::set_permissions(control, std::fs::Permissions::from_mode(mode))
        .with_context(|| format!("setting the mode of {}", control.display()))
}

/// The certificate of the page. Without one only this machine gets at it, and that is said.
fn identity(state_dir: &Path, work: &Work) -> Option<Identity> {
    let opened = Identity::open(state_dir, &work.settings.http, &clock::host_name());
    let notice = match &opened {
        Ok(identity) => identity.notice.clone(),
        Err(error) => Some(format!("there is no TLS, so other machines cannot use the page: {error:#}")),
    };
    if let Some(notice) = notice {
        tracing::warn!("{notice}");
        work.board.state().notices.push(notice);
    }
    opened.ok()
}

fn serve(
    supervisor: &mut Supervisor,
    state: HttpState,
    listeners: Listeners,
    identity: Option<Identity>,
    stop: &CancellationToken,
) {
    let (app, control) = (http::app(state.clone()), http::control_app(state));
    if let Some(tcp) = listeners.tcp {
        let stop = stop.clone();
        supervisor.spawn("http", PATIENCE, |p| async move {
            p.wait_for_ever();
            http::serve_tcp(tcp, app, identity, stop).await;
            Ok::<_, String>(())
        });
    }
    let (unix, stop) = (listeners.unix, stop.clone());
    supervisor.spawn("control", PATIENCE, |p| async move {
        p.wait_for_ever();
        http::serve_unix(unix, control, stop).await;
        Ok::<_, String>(())
    });
}

/// Where commands reach the daemon: systemd's runtime folder, else the state folder.
fn control_socket(state_dir: &Path) -> PathBuf {
    let runtime = std::env::var_os("RUNTIME_DIRECTORY").map(PathBuf::from).filter(|dir| dir.is_absolute());
    runtime.unwrap_or_else(|| state_dir.to_owned()).join("control.sock")
}

/// Says where the page is, and the claim code: on standard error, where a person who starts it by hand looks, and where the
/// journal takes it from.
#[expect(
    clippy::print_stderr,
    reason = "the code must not become a field of a log that is shipped elsewhere"
)]
fn greet(http: &HttpSettings, identity: Option<&Identity>, code: Option<&str>) {
    if !http.enabled {
        return;
    }
    let near = http.listen.ip().is_loopback();
    match identity {
        Some(_) if http.listen.ip().is_unspecified() => {
            eprintln!("The page is at https://{}.local:{}/", clock::host_name(), http.listen.port());
        }
        Some(_) if !near => eprintln!("The page is at https://{}/", http.listen),
        Some(_) | None => eprintln!("The page is at http://{}/", http.listen),
    }
    if let Some(identity) = identity.filter(|_| !near) {
        eprintln!("Fingerprint of its certificate (SHA-256): {}", identity.fingerprint);
    }
    if let Some(code) = code {
        eprintln!("Claim code: {code}");
        eprintln!("Nobody owns this device yet. Open the page, enter the code, and choose a password.");
    }
    if near {
        eprintln!("It listens on this machine only; http.listen lets others in.");
    }
}

fn settings_view(loaded: &Loaded) -> Vec<SettingView> {
    loaded
        .explained
        .iter()
        .map(|e| SettingView {
            key: e.key.to_owned(),
            value: e.value.clone(),
            origin: e.origin.clone(),
            doc: e.doc.to_owned(),
        })
        .collect()
}

/// Puts every event into the log, with its fields and its id.
async fn log(mut events: tokio::sync::broadcast::Receiver<Event>) {
    use tokio::sync::broadcast::error::RecvError;
    loop {
        match events.recv().await {
            Ok(event) => telemetry::tell(&event.what, &crate::work::view::words(&event.what)),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

/// Tells the service manager when the first inventory is in, and from then on how things are. While the engine is absent
/// it is told so, and asked for more time: to be ended and started again would not bring the engine, and would take the
/// page away that says what is wrong.
async fn announce(
    manager: Manager,
    mut ready: watch::Receiver<bool>,
    mut view: watch::Receiver<Arc<View>>,
    health: Health,
    stop: CancellationToken,
) {
    let mut said = String::new();
    loop {
        if health.stalled(clock::now().monotonic).is_empty() {
            manager.extend_start(START_EXTENSION);
        }
        let sentence = view.borrow_and_update().status.sentence.clone();
        if sentence != said {
            manager.status(&sentence);
            said = sentence;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            first = ready.wait_for(|ready| *ready) => if first.is_ok() { break } else { return },
            changed = view.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(START_EXTENSION / 3) => {}
        }
    }
    // The snapshot follows the inventory by an instant; its sentence is what the service manager shows.
    let said = view
        .wait_for(|view| !view.status.engine.version.is_empty() && view.status.state != Mood::Starting)
        .await
        .map(|v| v.status.sentence.clone());
    let Ok(mut said) = said else { return };
    manager.ready(&said);
    tracing::info!("ready: {said}");
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = view.changed() => if changed.is_err() { return },
        }
        let sentence = view.borrow_and_update().status.sentence.clone();
        if sentence != said {
            manager.status(&sentence);
            said = sentence;
        }
    }
}

/// At SIGHUP the settings are read again and checked; what needs a restart is said.
async fn reload(mut reloads: watch::Receiver<u64>, loaded: Loaded, source: Source, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = reloads.changed() => if changed.is_err() { return },
        }
        match source() {
            Ok(new) => {
                let keys: Vec<&str> = crate::config::changed(&loaded, &new).iter().map(|k| k.name).collect();
                if keys.is_empty() {
                    tracing::info!("the settings are as before");
                } else {
                    tracing::warn!(
                        keys = keys.join(", "),
                        "settings changed; they take effect at the next start (`systemctl restart dockbeacon`)"
                    );
                }
            }
            Err(error) => tracing::error!(%error, "the settings are not valid; those in force stay"),
        }
    }
}

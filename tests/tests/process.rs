//! The process among its neighbours: signals, the service manager's socket, the lock, death.
//!
//! Children are this test program itself, started again for one test function only; `CHILD` in their environment gives
//! them their part, and without it they do nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use dockbeacon::lock::{self, LockError};
use dockbeacon::shutdown::{CancellationToken, Signals};
use dockbeacon::store::Store;
use dockbeacon::supervisor::Supervisor;
use dockbeacon::systemd::Manager;
use dockbeacon::telemetry::{Telemetry, message_id, tell};
use dockbeacon_core::event::What;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const CHILD: &str = "DOCKBEACON_TEST_CHILD";

/// A child with the lines that it prints. Killed when dropped.
struct Part {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Part {
    fn start(test: &str, argument: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(CHILD, argument)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Waits for a line with that word; the line. The test harness prints lines of its own in between.
    fn says(&mut self, word: &str) -> String {
        self.lines
            .by_ref()
            .map(Result::unwrap)
            .find(|line| line.contains(word))
            .unwrap_or_else(|| panic!("never said {word}"))
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn part() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

#[test]
fn child_follows_signals() {
    if part().is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let stop = CancellationToken::new();
        let signals = Signals::install().unwrap();
        let mut reloads = signals.reloads();
        tokio::spawn(signals.follow(stop.clone()));
        println!("\nready");
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                changed = reloads.changed() => { changed.unwrap(); println!("\nreload") }
            }
        }
        println!("\nstopping");
        // A daemon that hangs while it stops: only a second signal ends it.
        std::future::pending::<()>().await;
    });
}

#[test]
fn sighup_reloads_sigterm_stops_and_a_second_one_ends_at_once() {
    for stop in [Signal::SIGTERM, Signal::SIGINT] {
        let mut child = Part::start("child_follows_signals", Path::new("x"));
        child.says("ready");
        child.signal(Signal::SIGHUP);
        child.says("reload");
        child.signal(stop);
        child.says("stopping");
        child.signal(stop);
        assert_eq!(child.child.wait().unwrap().code(), Some(1));
    }
}

#[test]
fn child_holds_the_state() {
    let Some(dir) = part() else { return };
    let mut lock = lock::take(&dir).unwrap();
    lock.announce(Some(Path::new("/run/test/control.sock"))).unwrap();
    let store = Store::open(&dir).unwrap();
    for number in 0_u64.. {
        store.journal_append("tx", dockbeacon::clock::now().civil, &number.to_string()).unwrap();
        println!("\nwrote {number}");
    }
}

/// Killed at any instant: every record that was acknowledged is there, in order, and the folder is free again.
#[test]
fn a_killed_owner_leaves_every_record_and_no_lock() {
    let dir = tempfile::tempdir().unwrap();
    let mut last = 0;
    for round in 1..=3 {
        let mut child = Part::start("child_holds_the_state", dir.path());
        let said = child.says(&format!("wrote {}", round * 7));
        let Err(LockError::Held { control_socket, pid, .. }) = lock::take(dir.path()) else { panic!("held") };
        assert_eq!(
            (control_socket, pid),
            (Some(PathBuf::from("/run/test/control.sock")), Some(child.child.id()))
        );
        child.signal(Signal::SIGKILL);
        // What it still said before it died counts as acknowledged too.
        let acknowledged = child
            .lines
            .by_ref()
            .map_while(Result::ok)
            .filter(|l| l.starts_with("wrote"))
            .last()
            .unwrap_or(said);
        child.child.wait().unwrap();
        let acknowledged: u64 = acknowledged.trim_start_matches("wrote ").parse().unwrap();
        let lock = lock::take(dir.path()).unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.notices(), Vec::<String>::new());
        let records: Vec<u64> = store
            .journal_records("tx")
            .unwrap()
            .into_iter()
            .skip(last)
            .map(|(_, r)| r.parse().unwrap())
            .collect();
        let expected: Vec<u64> = (0..records.len() as u64).collect();
        assert_eq!(records, expected);
        assert!(
            records.len() as u64 > acknowledged,
            "{} records, {acknowledged} acknowledged",
            records.len()
        );
        last += records.len();
        drop(lock);
    }
}

fn next(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).expect("a message in time");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_manager_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let manager = Manager::at(path, None);
    manager.ready("all 3 services\nare well");
    assert_eq!(next(&socket), "READY=1\nSTATUS=all 3 services are well\n");
    manager.status("checking");
    assert_eq!(next(&socket), "STATUS=checking\n");
    manager.reloading();
    assert!(next(&socket).starts_with("RELOADING=1\nMONOTONIC_USEC="));
    manager.stopping("bye");
    assert_eq!(next(&socket), "STOPPING=1\nSTATUS=bye\n");
    Manager::default().ready("nobody listens");
    Manager::at(dir.path().join("gone"), None).ready("nobody listens there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_watchdog_is_fed_only_while_every_loop_makes_progress() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut supervisor = Supervisor::new();
    let (mood, moods) = tokio::sync::watch::channel(true);
    // Patient enough for a busy machine, on which the loop may not get its turn for a while.
    supervisor.spawn("worker", Duration::from_millis(1_500), move |progress| async move {
        let mut moods = moods;
        loop {
            if *moods.borrow_and_update() {
                progress.mark();
            }
            tokio::select! {
                changed = moods.changed() => if changed.is_err() { return Ok::<(), Infallible>(()) },
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
            }
        }
    });
    let stop = CancellationToken::new();
    let watch = tokio::spawn(
        Manager::at(path, Some(Duration::from_millis(100))).watch(supervisor.health(), stop.clone()),
    );
    for _ in 0..5 {
        assert_eq!(next(&socket), "WATCHDOG=1\n");
    }
    mood.send_replace(false);
    // What is in flight still says that all is well; then it is said what is stuck, and nothing more.
    let stuck = loop {
        let message = next(&socket);
        if message != "WATCHDOG=1\n" {
            break message;
        }
    };
    assert!(stuck.starts_with("STATUS=No progress in: worker"), "{stuck}");
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert!(socket.recv(&mut [0; 64]).is_err(), "fed although a loop is stuck");
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    mood.send_replace(true);
    assert_eq!(next(&socket), "WATCHDOG=1\n");
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), watch).await.expect("ends").unwrap();
    drop(mood);
    assert_eq!(supervisor.drain(Duration::from_secs(10)).await, []);
}

#[test]
fn child_logs() {
    let Some(journal) = part() else { return };
    let listener = journal.is_absolute().then(|| {
        std::fs::create_dir_all(journal.parent().unwrap()).unwrap();
        let socket = UnixDatagram::bind(&journal).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket
    });
    let telemetry = Telemetry::init("info").unwrap();
    let sink = telemetry.sink();
    let finished = What::UpdateFinished {
        tx: "t1".into(),
        container: "web".into(),
        outcome: "rolled-back".into(),
        message: "x".into(),
    };
    tell(&What::InventoryChanged, "quiet before");
    telemetry.set_level("debug").unwrap();
    tell(&What::InventoryChanged, "heard after");
    tell(&finished, "web was put back to 1.0");
    println!("\nsink {sink:?}");
    assert!(telemetry.set_level("loud").is_err());
    let Some(listener) = listener else { return };
    let mut entries = Vec::new();
    while !entries.last().is_some_and(|entry: &String| entry.contains("put back")) {
        entries.push(next(&listener));
    }
    let entry = entries.last().unwrap();
    for part in
        ["MESSAGE_ID", message_id::ROLLED_BACK, "CONTAINER", "web", "EVENT", "update-finished", "PRIORITY"]
    {
        assert!(entry.contains(part), "{part} is missing in {entry}");
    }
    assert!(!entries.iter().any(|entry| entry.contains("quiet before")), "{entries:?}");
    println!("\njournal has it");
}

#[test]
fn without_a_journal_the_log_goes_to_standard_error_and_its_level_changes_while_running() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_logs", "--nocapture"])
        .env(CHILD, "no-journal")
        .env_remove("JOURNAL_STREAM")
        .env_remove("DOCKBEACON_LOG")
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && String::from_utf8_lossy(&output.stdout).contains("sink StandardError"),
        "{log}"
    );
    let wanted = " WARN web was put back to 1.0 event=\"update-finished\" container=\"web\" tx=\"t1\"";
    assert!(log.lines().any(|line| line == wanted), "no line {wanted:?} in {log}");
    assert!(
        log.contains("heard after")
            && !log.contains("quiet before")
            && !log.contains(message_id::ROLLED_BACK),
        "{log}"
    );
}

/// The journal's socket has a fixed path, so this needs a `/run` of its own.
#[test]
fn under_systemd_the_journal_gets_fields_and_message_ids() {
    let script = format!(
        "mount -t tmpfs tmpfs /run || exit 77; JOURNAL_STREAM=$(stat -Lc %d:%i /proc/$$/fd/2) \
         {CHILD}=/run/systemd/journal/socket exec '{}' --exact child_logs --nocapture",
        std::env::current_exe().unwrap().display()
    );
    let output = match Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c", &script])
        .env_remove("DOCKBEACON_LOG")
        .output()
    {
        Ok(output) => output,
        Err(why) => return eprintln!("skipped, no mount namespace: {why}"),
    };
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(77) || text.contains("unshare") {
        return eprintln!("skipped, no mount namespace: {text}");
    }
    assert!(
        output.status.success() && text.contains("sink Journal") && text.contains("journal has it"),
        "{text}"
    );
}

//! The whole daemon from outside: start and end, the engine's comings and goings, the service manager, the lock, reloads.
//!
//! Owns what no part can show alone. Must never look into the process: it has a socket, a port, a log and a state folder.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use dockbeacon_tests::daemon::{Daemon, Home};
use dockbeacon_tests::engine::{TestEngine, engines, on_each};
use dockbeacon_tests::image::ImageSpec;
use dockbeacon_tests::proxy::Proxy;
use dockbeacon_tests::registry::Registry;
use dockbeacon_tests::sandbox::Sandbox;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

const SOON: Duration = Duration::from_secs(60);

/// An engine's socket at another path, which can be taken away with every connection through it.
struct Relay {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl Relay {
    fn start(path: &Path, engine: &TestEngine) -> Result<Self> {
        let listener = UnixListener::bind(path)?;
        let upstream = engine.socket();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let upstream = upstream.clone();
                connections.spawn(async move {
                    let mut engine = UnixStream::connect(upstream).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut engine).await
                });
            }
        });
        Ok(Self { path: path.to_owned(), task })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The service manager's ear.
struct Ear(UnixDatagram);

impl Ear {
    fn open(folder: &Path) -> Result<(Self, String)> {
        let path = folder.join("notify.sock");
        let socket = UnixDatagram::bind(&path)?;
        socket.set_read_timeout(Some(SOON))?;
        Ok((Self(socket), path.display().to_string()))
    }

    fn next(&self) -> Result<String> {
        let mut buffer = [0; 4096];
        let length = self.0.recv(&mut buffer).context("no message in time")?;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    /// The messages up to the first with this text, that one included.
    fn until(&self, text: &str) -> Result<Vec<String>> {
        let end = Instant::now() + SOON;
        let mut heard = Vec::new();
        while Instant::now() < end {
            heard.push(self.next().with_context(|| format!("waiting for {text:?} after {heard:?}"))?);
            if heard.last().is_some_and(|message| message.contains(text)) {
                return Ok(heard);
            }
        }
        bail!("no {text:?} in {heard:?}")
    }
}

/// One engine is enough where the engine does not matter.
fn on_one<F: Future<Output = Result<()>>>(test: impl FnOnce(TestEngine) -> F) {
    let engine = engines().unwrap()[0].clone();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test(engine)).unwrap();
}

/// A command beside the daemon, without blocking the runtime that serves it.
async fn cli(home: &Home, args: &[&str]) -> Result<(Option<i32>, String, String)> {
    let (home, args) = (home.clone(), args.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>());
    let output =
        tokio::task::spawn_blocking(move || home.cli(&args.iter().map(String::as_str).collect::<Vec<_>>()))
            .await??;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
}

async fn status(home: &Home) -> Result<Value> {
    let (_, out, err) = cli(home, &["status", "--json"]).await?;
    serde_json::from_str(&out).with_context(|| format!("{out}{err}"))
}

async fn status_until(home: &Home, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    let end = Instant::now() + SOON;
    loop {
        let now = status(home).await?;
        if wanted(&now["status"]) {
            return Ok(now);
        }
        ensure!(Instant::now() < end, "not as wanted: {now:#}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn path_status(daemon: &Daemon, path: &str) -> Result<u16> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    Ok(client.get(format!("{}{path}", daemon.base)).send().await?.status().as_u16())
}

fn signal(daemon: &Daemon, signal: Signal) {
    kill(Pid::from_raw(daemon.pid().cast_signed()), signal).unwrap();
}

#[test]
fn it_starts_and_answers_over_the_socket_and_to_a_token() {
    on_each(|engine| async move {
        let place = Sandbox::new(&engine)?;
        let home = Home::new(place.path(), &engine.host, "schedule:\n  check-on-start: false")?;
        let mut daemon = home.start()?;
        daemon.wait_ready(SOON).await?;
        let by_socket = status(&home).await?;
        assert_eq!(by_socket["status"]["engine"]["up"], true);
        assert_eq!(by_socket["status"]["claimed"], false);

        let line = daemon.wait_log("Claim code: ", SOON).await?;
        let code = line.rsplit("Claim code: ").next().unwrap_or_default();
        // First boot's units show the same one on the console, and learn from these files when to take it away.
        assert_eq!(std::fs::read_to_string(home.state.join("claim-code"))?.trim(), code.trim());
        let client = reqwest::Client::builder().no_proxy().build()?;
        let post = |path: &str, cookie: &str, body: Value| {
            let request = client.post(format!("{}/api/v1/{path}", daemon.base)).header("cookie", cookie);
            request.header("content-type", "application/json").body(body.to_string()).send()
        };
        let claim = post("claim", "", json!({"code": code, "password": "a long password"})).await?;
        assert_eq!(claim.status(), 200);
        let cookie = claim.headers()["set-cookie"].to_str()?.split(';').next().unwrap_or_default().to_owned();
        let made = post("tokens", &cookie, json!({"name": "test", "role": "read"})).await?.text().await?;
        let made: Value = serde_json::from_str(&made)?;
        let token = made["token"].as_str().context("a token")?;
        let asked = client.get(format!("{}/api/v1/status", daemon.base)).bearer_auth(token).send().await?;
        assert_eq!(asked.status(), 200);
        status_until(&home, |s| s["claimed"] == true).await?;
        assert!(home.state.join("claimed").exists() && !home.state.join("claim-code").exists());

        // The log says when it started, with what, and nobody's secret.
        daemon.wait_log("started event=\"started\"", SOON).await?;
        daemon.wait_log("answers event=\"engine-up\"", SOON).await?;
        assert!(!daemon.log().contains("a long password") && !daemon.log().contains(token));
        assert_eq!(daemon.stop(SOON).await?.code(), Some(0));
        Ok(())
    })
    .unwrap();
}

#[test]
fn an_absent_engine_is_said_waited_for_and_taken_up_in_whatever_version_it_comes_back() {
    let (old, new) = (engines().unwrap()[0].clone(), engines().unwrap()[1].clone());
    on_one(|engine| async move {
        let place = Sandbox::new(&engine)?;
        let socket = place.path().join("engine.sock");
        let (ear, address) = Ear::open(place.path())?;
        let home = Home::new(place.path(), &format!("unix://{}", socket.display()), "")?
            .env("NOTIFY_SOCKET", &address);
        let mut daemon = home.start()?;
        let heard = ear.until("there is no socket at")?;
        assert!(heard.iter().any(|m| m.contains("EXTEND_TIMEOUT_USEC=30000000")), "{heard:?}");
        assert!(!heard.iter().any(|m| m.contains("READY=1")), "{heard:?}");
        assert_eq!(
            (path_status(&daemon, "/livez").await?, path_status(&daemon, "/readyz").await?),
            (200, 503)
        );
        let (code, _, err) = cli(&home, &["check"]).await?;
        assert_eq!(code, Some(4), "{err}");
        assert!(err.contains("there is no socket at") && err.contains("systemctl start docker"), "{err}");

        let relay = Relay::start(&socket, &old)?;
        daemon.wait_ready(SOON).await?;
        let heard = ear.until("READY=1")?;
        assert!(heard.last().is_some_and(|m| m.contains("STATUS=")), "{heard:?}");
        let first = status(&home).await?["status"]["engine"]["api_version"].clone();
        assert_eq!(first, old.api);

        drop(relay);
        ear.until("The engine does not answer")?;
        assert_eq!(path_status(&daemon, "/healthz").await?, 503);
        let _relay = Relay::start(&socket, &new)?;
        let back = status_until(&home, |s| s["engine"]["up"] == true).await?;
        assert_eq!(back["status"]["engine"]["api_version"], new.api);
        assert_eq!(path_status(&daemon, "/readyz").await?, 200);
        assert_eq!(daemon.stop(SOON).await?.code(), Some(0));
        Ok(())
    });
}

#[test]
fn what_keeps_it_from_starting_is_said_with_its_exit_code() {
    on_one(|engine| async move {
        let place = Sandbox::new(&engine)?;
        let home = Home::new(place.path(), &engine.host, "")?;
        let mut daemon = home.start()?;
        daemon.wait_ready(SOON).await?;
        let (code, _, err) = cli(&home, &["run"]).await?;
        assert_eq!(code, Some(7), "{err}");
        assert!(err.contains(&format!("in use by another Dockbeacon (process {})", daemon.pid())), "{err}");

        // Another state folder, the same port.
        let other = Home { state: place.path().join("other"), ..home.clone() };
        let (code, _, err) = cli(&other, &["run"]).await?;
        assert_eq!(code, Some(1), "{err}");
        assert!(err.contains("http.listen") && err.contains(&home.port.to_string()), "{err}");

        let file = place.path().join("file");
        std::fs::write(&file, "")?;
        let (code, _, err) = cli(&Home { state: file, ..other }, &["run"]).await?;
        assert_eq!(code, Some(1), "{err}");
        assert!(err.contains("is not a folder"), "{err}");

        // Killed, it leaves socket and lock file behind; both are taken over.
        daemon.kill_9();
        assert!(home.state.join("control.sock").exists());
        let mut again = home.start()?;
        again.wait_ready(SOON).await?;
        assert_eq!(status(&home).await?["status"]["engine"]["up"], true);
        assert_eq!(again.stop(SOON).await?.code(), Some(0));
        assert!(!home.state.join("control.sock").exists());

        let free = Home::new(&place.path().join("x"), &engine.host, "")?;
        let long = Home { state: place.path().join("b".repeat(120)), ..free };
        let (code, _, err) = cli(&long, &["run"]).await?;
        assert_eq!(code, Some(1), "{err}");
        assert!(err.contains("too long for the path of a socket") && err.contains("--state-dir"), "{err}");
        Ok(())
    });
}

#[test]
fn the_state_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    on_one(|engine| async move {
        let place = Sandbox::new(&engine)?;
        let mut home = Home::new(place.path(), &engine.host, "")?;
        home.state = place.path().join("made");
        let mut daemon = home.start()?;
        daemon.wait_ready(SOON).await?;
        let mode = |path: &Path| std::fs::metadata(path).map(|m| m.permissions().mode() & 0o777);
        assert_eq!(mode(&home.state)?, 0o700);
        for folder in [home.state.clone(), home.state.join("tls")] {
            for entry in std::fs::read_dir(&folder)? {
                let path = entry?.path();
                let wanted: &[u32] = match path.file_name().and_then(|n| n.to_str()) {
                    Some("lock") => &[0o640],
                    Some("control.sock") => &[0o600, 0o660],
                    Some("tls") => &[0o700],
                    _ => &[0o600],
                };
                assert!(wanted.contains(&mode(&path)?), "{} has {:o}", path.display(), mode(&path)?);
            }
        }
        Ok(())
    });
}

#[test]
fn a_command_of_roots_leaves_the_folder_to_whom_it_belongs() {
    use std::os::unix::fs::MetadataExt as _;
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    on_one(|engine| async move {
        let place = Sandbox::new(&engine)?;
        let home = Home::new(place.path(), &engine.host, "")?;
        std::fs::create_dir_all(&home.state)?;
        std::os::unix::fs::chown(&home.state, Some(65_534), Some(65_534))?;
        assert_eq!(cli(&home, &["status"]).await?.0, Some(0));
        let made: Vec<_> = std::fs::read_dir(&home.state)?.collect::<std::io::Result<_>>()?;
        assert!(made.len() >= 2, "{made:?}");
        for entry in made {
            assert_eq!(entry.metadata()?.uid(), 65_534, "{:?}", entry.path());
        }
        Ok(())
    });
}

#[test]
fn sighup_reads_the_settings_again_and_keeps_those_in_force_when_they_are_wrong() {
    on_one(|engine| async move {
        let place = Sandbox::new(&engine)?;
        let home = Home::new(place.path(), &engine.host, "update:\n  mode: monitor")?;
        let mut daemon = home.start()?;
        daemon.wait_ready(SOON).await?;
        let good = std::fs::read_to_string(&home.config)?;
        signal(&daemon, Signal::SIGHUP);
        daemon.wait_log("the settings are as before", SOON).await?;
        std::fs::write(&home.config, good.replace("mode:", "mood:"))?;
        signal(&daemon, Signal::SIGHUP);
        let line = daemon.wait_log("the settings are not valid; those in force stay", SOON).await?;
        assert!(line.contains("mood"), "{line}");
        assert_eq!(path_status(&daemon, "/readyz").await?, 200);
        std::fs::write(&home.config, good.replace("monitor", "approve"))?;
        signal(&daemon, Signal::SIGHUP);
        let line = daemon.wait_log("settings changed; they take effect at the next start", SOON).await?;
        assert!(line.contains("update.mode"), "{line}");
        assert_eq!(daemon.stop(SOON).await?.code(), Some(0));
        Ok(())
    });
}

#[test]
fn the_service_manager_is_told_and_a_loop_that_hangs_starves_the_watchdog() {
    on_one(|engine| async move {
        let place = Sandbox::new(&engine)?;
        let (ear, address) = Ear::open(place.path())?;
        let mut home = Home::new(place.path(), &engine.host, "schedule:\n  check-on-start: false")?
            .env("NOTIFY_SOCKET", &address)
            .env("WATCHDOG_USEC", "400000");
        // A clean life.
        let mut daemon = home.start()?;
        let heard = ear.until("READY=1")?;
        assert!(heard.last().is_some_and(|m| m.contains("STATUS=")), "{heard:?}");
        ear.until("WATCHDOG=1")?;
        assert_eq!(daemon.stop(SOON).await?.code(), Some(0));
        ear.until("STOPPING=1")?;
        // And one in which the loop that does the work gets stuck.
        home = home.env("DOCKBEACON_FAILPOINT", "commands.hang").env("DOCKBEACON_PATIENCE_MS", "3000");
        let daemon = home.start()?;
        ear.until("READY=1")?;
        ear.until("WATCHDOG=1")?;
        let stuck = home.clone();
        // Its answer never comes.
        let asker = tokio::spawn(async move { cli(&stuck, &["resume"]).await });
        ear.until("STATUS=No progress in: commands")?;
        ear.0.set_read_timeout(Some(Duration::from_secs(2)))?;
        let after = ear.next();
        assert!(after.is_err(), "fed although a loop hangs: {after:?}");
        drop(daemon);
        assert_ne!(asker.await??.0, Some(0));
        Ok(())
    });
}

/// W4 asks for this globally and per label, with updates of others going on; this is the global half.
#[test]
fn a_monitor_only_daemon_only_asks_the_engine() {
    on_each(|engine| async move {
        let registry = Registry::start().await?;
        let place = Sandbox::new(&engine)?;
        let (repository, web) = (place.name("web"), place.name("web"));
        let image = format!("{}:1", registry.name(&repository));
        registry.push(&repository, "1", &ImageSpec::demo("1.0")?).await?;
        place.raw().pull(&image).await?;
        let labels = json!({"com.centurylinklabs.watchtower.no-pull": "perhaps"});
        place.raw().run(&web, &json!({"Image": image, "Labels": labels})).await?;
        registry.push(&repository, "1", &ImageSpec::demo("2.0")?).await?;

        let proxy = Proxy::start(&engine, place.path())?;
        let settings = "update:\n  mode: monitor\nschedule:\n  check-on-start: true";
        let home = Home::new(place.path(), &proxy.host, settings)?;
        let mut daemon = home.start()?;
        daemon.wait_ready(SOON).await?;
        // The answer of a check and the plan after it are of one moment.
        let (code, out, err) = cli(&home, &["plan", "--json", "--exit-code"]).await?;
        assert_eq!(code, Some(10), "{out}{err}");
        let plan: Value = serde_json::from_str(&out)?;
        let entry = plan["entries"].as_array().into_iter().flatten().find(|e| e["container"] == web.as_str());
        let entry = entry.context("an entry")?;
        assert_eq!((&entry["action"], &entry["reason"]["code"]), (&json!("report"), &json!("monitor-only")));
        assert_eq!(entry["to"]["name"], "2.0");
        let (code, out, _) = cli(&home, &["update", &format!("/{web}")]).await?;
        assert_eq!(code, Some(1), "{out}");
        assert!(out.contains(&format!("{web} was not updated")), "{out}");
        let (code, _, err) = cli(&home, &["update", "nobody"]).await?;
        assert_eq!(code, Some(1));
        assert!(err.contains("there is no container nobody"), "{err}");
        // A label that cannot be read is said, not passed over in silence.
        let notices = status(&home).await?["status"]["notices"].to_string();
        assert!(notices.contains(&web) && notices.contains("no-pull=perhaps"), "{notices}");
        daemon.wait_log("no-pull=perhaps", SOON).await?;
        assert_eq!(daemon.stop(SOON).await?.code(), Some(0));

        let seen = proxy.seen();
        assert!(seen.len() > 5, "{seen:?}");
        let acts: Vec<_> = seen.iter().filter(|(method, _)| method != "GET" && method != "HEAD").collect();
        assert!(acts.is_empty(), "{acts:?}");
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_stop_during_a_pull_is_prompt_and_leaves_everything_as_it_was() {
    on_each(|engine| async move {
        let registry = Registry::start().await?;
        let place = Sandbox::new(&engine)?;
        let (repository, web) = (place.name("web"), place.name("web"));
        let image = format!("{}:1", registry.name(&repository));
        registry.push(&repository, "1", &ImageSpec::demo("1.0")?).await?;
        place.raw().pull(&image).await?;
        let id = place.raw().run(&web, &json!({"Image": image})).await?;
        registry.push(&repository, "1", &ImageSpec::demo("2.0")?).await?;
        let proxy = Proxy::start(&engine, place.path())?;
        let home = Home::new(place.path(), &proxy.host, "schedule:\n  check-on-start: false")?;
        let mut daemon = home.start()?;
        daemon.wait_ready(SOON).await?;
        proxy.hold("POST", "/images/create");
        let (asker, name) = (home.clone(), web.clone());
        let asked = tokio::spawn(async move { cli(&asker, &["update", &name]).await });
        let end = Instant::now() + SOON;
        while !proxy.seen().iter().any(|(_, path)| path.contains("/images/create")) {
            ensure!(Instant::now() < end, "no pull: {:?}", proxy.seen());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(daemon.stop(Duration::from_secs(30)).await?.code(), Some(0));
        asked.await??;
        proxy.release();
        let now = place.raw().inspect(&web).await?;
        assert_eq!((&now["Id"], &now["State"]["Running"]), (&json!(id), &json!(true)));
        // The next start has nothing to mend, and takes the update up when it is asked to.
        let mut daemon = home.start()?;
        daemon.wait_ready(SOON).await?;
        let (code, out, err) = cli(&home, &["update", &web]).await?;
        assert_eq!(code, Some(0), "{out}{err}");
        assert!(out.contains("1.0 to 2.0"), "{out}");
        let (code, out, _) = cli(&home, &["update", &web]).await?;
        assert_eq!(code, Some(0));
        assert!(out.contains(&format!("nothing to do; {web}: ")), "{out}");
        assert_eq!(daemon.stop(SOON).await?.code(), Some(0));
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_lost_service_stays_a_fault_over_restarts_until_it_is_well() {
    on_one(|engine| async move {
        let place = Sandbox::new(&engine)?;
        let web = place.name("web");
        let tag = format!("{}:1", place.name("image"));
        place.raw().load(ImageSpec::demo("1")?.build()?.archive(&tag)?).await?;
        let home = Home::new(place.path(), &engine.host, "schedule:\n  check-on-start: false")?;
        {
            // As an update that went wrong leaves it.
            let store = dockbeacon::store::Store::open(&home.state)?;
            let lost = json!({ web.as_str(): {"why": format!("{web} could not be brought back: no room")} });
            store.meta_set("lost-services", &lost.to_string())?;
        }
        for _ in 0..2 {
            let mut daemon = home.start()?;
            daemon.wait_ready(SOON).await?;
            let now = status(&home).await?["status"].clone();
            assert_eq!(now["state"], "fault", "{now:#}");
            assert!(now["sentence"].as_str().is_some_and(|s| s.contains(&web)), "{now:#}");
            assert!(now["notices"].to_string().contains("no room"), "{now:#}");
            assert_eq!(daemon.stop(SOON).await?.code(), Some(0));
        }
        let mut daemon = home.start()?;
        daemon.wait_ready(SOON).await?;
        place.raw().run(&web, &json!({"Image": tag})).await?;
        status_until(&home, |s| !s["notices"].to_string().contains("no room")).await?;
        assert_eq!(daemon.stop(SOON).await?.code(), Some(0));
        Ok(())
    });
}

#[test]
fn h8_what_the_ladder_still_restarts_is_healing_and_without_it_nothing_is() -> Result<()> {
    on_each(|engine| async move {
        let place = Sandbox::new(&engine)?;
        let tag = format!("{}:1", place.name("image"));
        let sick = ImageSpec::demo("1.0")?.env("UNHEALTHY", "1").build()?;
        place.raw().load(sick.archive(&tag)?).await?;
        place.raw().run(&place.name("web"), &json!({ "Image": tag })).await?;
        for ladder in [true, false] {
            let settings = format!(
                "schedule:\n  check-on-start: false\ndevice:\n  ladder: {ladder}\n  engine-patience: 10m"
            );
            let home = Home::new(&place.path().join(ladder.to_string()), &engine.host, &settings)?;
            let mut daemon = home.start()?;
            daemon.wait_ready(SOON).await?;
            // Other tests' containers count as well, so it is asked only for at least this one.
            let count = |status: &Value, key: &str| status[key].as_u64().unwrap_or_default();
            let said = status_until(&home, |status| {
                count(status, "unwell") > 0 && (!ladder || count(status, "mending") > 0)
            })
            .await?;
            assert_eq!(count(&said["status"], "mending") > 0, ladder, "{said:#}");
            daemon.stop(SOON).await?;
        }
        Ok(())
    })
}

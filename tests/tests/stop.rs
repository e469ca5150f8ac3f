//! SIGTERM during any work: the process ends in time and well, and nothing is half-done.
//!
//! Owns one test for each kind of work that can be under way. Must never go by seconds: the engine's answer, or the
//! registry's, is kept back until the signal has arrived.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use dockbeacon_tests::daemon::{Daemon, Home};
use dockbeacon_tests::engine::{TestEngine, on_each};
use dockbeacon_tests::image::ImageSpec;
use dockbeacon_tests::project::{Project, Runs, Second, Service, control, wait_history};
use dockbeacon_tests::proxy::Proxy;
use dockbeacon_tests::registry::Registry;
use dockbeacon_tests::sandbox::Sandbox;
use serde_json::json;
use tokio::net::TcpListener;

const SOON: Duration = Duration::from_secs(60);
/// Less than the daemon gives its loops before it cuts them off.
const IN_TIME: Duration = Duration::from_secs(40);

/// What is under way when the signal comes.
struct Work {
    second: Second,
    /// The request to the engine whose answer is kept back; none: the signal comes while the new container is watched.
    request: Option<(&'static str, &'static str)>,
    /// How the history ends: where nothing was touched yet at once, else after the next start.
    outcome: &'static str,
}

const fn work(second: Second, request: (&'static str, &'static str), outcome: &'static str) -> Work {
    Work { second, request: Some(request), outcome }
}

const PULL: &str = "/images/create";
const ALL: [Work; 8] = [
    work(Second::Sound, ("POST", PULL), "failed"),
    work(Second::Sound, ("POST", "/tag?"), "failed"),
    work(Second::Sound, ("POST", "/containers/create"), "failed"),
    work(Second::Sound, ("POST", "/stop"), "updated"),
    work(Second::Sound, ("POST", "/rename"), "updated"),
    work(Second::Sound, ("POST", "/start"), "updated"),
    work(Second::Sick, ("DELETE", "/containers/"), "rolled-back"),
    Work { second: Second::Sick, request: None, outcome: "rolled-back" },
];

#[test]
fn s5_told_to_stop_during_any_work_nothing_is_half_done() {
    on_each(|engine| async move {
        idle_and_checking(&engine).await?;
        let registry = Registry::start().await?;
        let seconds: Vec<_> = ALL.iter().map(|w| w.second).collect();
        let project = Project::up(Sandbox::new(&engine)?, &registry, &seconds).await?;
        for (work, service) in ALL.iter().zip(&project.services) {
            stop_during(&project, service, work)
                .await
                .with_context(|| format!("{:?} until {}, {:?}", work.second, work.outcome, work.request))?;
        }
        project.compose_changes_nothing().await
    })
    .unwrap();
}

async fn stop_during(project: &Project, service: &Service, work: &Work) -> Result<()> {
    let folder = project.place.path().join(format!("{}-proxy", service.key));
    std::fs::create_dir_all(&folder)?;
    let proxy = Proxy::start(&project.place.engine, &folder)?;
    let home = project.home(&service.key, &proxy.host)?;
    let mut daemon = home.start()?;
    daemon.wait_ready(SOON).await?;
    if let Some((method, path)) = work.request {
        proxy.delay(method, path);
    }
    let asked = json!({"containers": [service.name]});
    control(&home).post("/api/v1/update", &asked).await?;
    until(&daemon, || async {
        match work.request {
            Some((method, path)) => proxy.seen().iter().any(|(m, p)| m == method && p.contains(path)),
            None => state(&home).await.is_some_and(|s| s == "verifying"),
        }
    })
    .await?;
    let (ended, ()) = tokio::join!(daemon.stop(IN_TIME), async {
        // Seen by the daemon, not only sent.
        let _ = waits_for(work, &home).await;
        // A pull may take an hour: its answer is not waited for, so it never comes here.
        if work.request.is_none_or(|(_, path)| path != PULL) {
            proxy.release();
        }
    });
    ensure!(ended?.success(), "it did not end well");

    let raw = project.place.raw();
    let there = raw.inspect(&service.name).await.context("nobody has the name")?;
    ensure!(there["State"]["Running"] == true, "it does not run: {}", there["State"]);
    if work.outcome == "failed" {
        ensure!(raw.list(&service.name).await?.len() == 1, "something is left");
        project.check(service, Runs::Old).await?;
    }
    let mut again = home.start()?;
    let told = wait_history(&home, &service.name).await?;
    ensure!(told["outcome"] == work.outcome, "{told}\n{}", again.log());
    project.check(service, if work.outcome == "updated" { Runs::New } else { Runs::Old }).await?;
    ensure!(again.stop(IN_TIME).await?.success());
    Ok(())
}

/// Waits until the daemon has taken the signal: it accepts no more then.
async fn waits_for(work: &Work, home: &Home) -> Result<()> {
    if work.request.is_none() {
        return Ok(());
    }
    let end = Instant::now() + IN_TIME;
    while tokio::net::TcpStream::connect(("127.0.0.1", home.port)).await.is_ok() {
        ensure!(Instant::now() < end, "it still listens");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn state(home: &Home) -> Option<String> {
    let updates = control(home).get("/api/v1/updates").await.ok()?;
    updates[0]["state"].as_str().map(str::to_owned)
}

async fn until<F: Future<Output = bool>>(daemon: &Daemon, mut holds: impl FnMut() -> F) -> Result<()> {
    let end = Instant::now() + SOON;
    while !holds().await {
        if Instant::now() > end {
            bail!("it never comes to that:\n{}", daemon.log());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// With nothing to do, and while a registry that never answers is asked.
async fn idle_and_checking(engine: &TestEngine) -> Result<()> {
    let place = Sandbox::new(engine)?;
    let mut registry = Registry::start().await?;
    registry.push(&place.name("x"), "latest", &ImageSpec::demo("1")?).await?;
    let image = format!("{}:latest", registry.name(&place.name("x")));
    place.raw().pull(&image).await?;
    registry.stop();
    let silent = TcpListener::bind(&registry.address).await?;
    let name = place.name("web");
    let id = place.raw().run(&name, &json!({"Image": image})).await?;
    let quiet = "schedule:\n  interval: never\n  check-on-start: false\n";
    let home = Home::new(place.path(), &engine.host, quiet)?;
    let mut daemon = home.start()?;
    daemon.wait_ready(SOON).await?;
    ensure!(daemon.stop(IN_TIME).await?.success(), "idle:\n{}", daemon.log());

    for path in ["/api/v1/check", "/api/v1/update"] {
        let mut daemon = home.start()?;
        daemon.wait_ready(SOON).await?;
        let asked = control(&home);
        let request = tokio::spawn(async move { asked.post(path, &json!({})).await });
        let (connection, _) = tokio::time::timeout(SOON, silent.accept()).await??;
        ensure!(daemon.stop(IN_TIME).await?.success(), "{path}:\n{}", daemon.log());
        drop(connection);
        request.abort();
    }
    ensure!(place.raw().inspect(&name).await?["Id"] == id);
    Ok(())
}

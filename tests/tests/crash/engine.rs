//! The engine dies in the middle of an update, alone or with everything else, and comes back.
//!
//! An engine that dies in the middle of `start` or `stop` may come back with the port of that container taken by nobody,
//! whoever asks for it, until the engine is started once more (seen on 20.10; a forced disconnect does not help). The
//! service is then told as lost, with that remedy, and comes back by itself with the engine.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dockbeacon_tests::daemon::{Daemon, Home};
use dockbeacon_tests::engine::{Own, TestEngine, Trouble};
use dockbeacon_tests::project::{Project, Runs, Second, Service, control, wait_history};
use dockbeacon_tests::proxy::Proxy;
use dockbeacon_tests::registry::Registry;
use dockbeacon_tests::sandbox::Sandbox;
use serde_json::json;

use super::points::is_whole;

const SOON: Duration = Duration::from_secs(90);

/// What the engine was asked for when it died, with the answer unread.
struct Death {
    request: (&'static str, &'static str),
    second: Second,
    trouble: Trouble,
}

const fn death(trouble: Trouble, second: Second, method: &'static str, path: &'static str) -> Death {
    Death { request: (method, path), second, trouble }
}

/// The engine alone dies, with its daemon waiting; then both at once.
const DEATHS: [Death; 4] = [
    death(Trouble::Kill, Second::Sound, "POST", "/stop"),
    death(Trouble::Kill, Second::Sound, "POST", "/start"),
    death(Trouble::CutPower, Second::Sound, "POST", "/start"),
    death(Trouble::CutPower, Second::Sick, "DELETE", "/containers/"),
];

/// Left to the long run.
const MORE: [Death; 4] = [
    death(Trouble::Kill, Second::Sound, "POST", "/images/create"),
    death(Trouble::Kill, Second::Sick, "DELETE", "/containers/"),
    death(Trouble::CutPower, Second::Sound, "POST", "/stop"),
    death(Trouble::CutPower, Second::Sound, "DELETE", "/containers/"),
];

#[test]
fn engine_or_power_gone_in_the_middle_of_an_update() {
    die(|engine| !engine.containerd_store(), &DEATHS).unwrap();
}

#[test]
#[ignore = "long: every death on both engines"]
fn engine_or_power_gone_at_every_step_of_an_update() {
    die(|_| true, &DEATHS).unwrap();
    die(|_| true, &MORE).unwrap();
}

fn die(chosen: impl Fn(&TestEngine) -> bool, deaths: &[Death]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let mut own = Own::start()?;
        for engine in own.engines.clone().into_iter().filter(chosen) {
            let registry = Registry::start().await?;
            let seconds: Vec<_> = deaths.iter().map(|d| d.second).collect();
            let project = Project::up(Sandbox::new(&engine)?, &registry, &seconds).await?;
            for (death, service) in deaths.iter().zip(&project.services) {
                survive(&mut own, &engine, &project, service, death).await.with_context(|| {
                    format!("{}, {:?} at {:?}, {:?}", engine.name, death.trouble, death.request, death.second)
                })?;
            }
            project.compose_changes_nothing().await?;
        }
        Ok(())
    })
}

async fn survive(
    own: &mut Own,
    engine: &TestEngine,
    project: &Project,
    service: &Service,
    death: &Death,
) -> Result<()> {
    let folder = project.place.path().join(format!("{}-proxy", service.key));
    std::fs::create_dir_all(&folder)?;
    let proxy = Proxy::start(engine, &folder)?;
    let home = project.home(&service.key, &proxy.host)?;
    let mut daemon = home.start()?;
    daemon.wait_ready(SOON).await?;
    let (method, path) = death.request;
    proxy.delay(method, path);
    control(&home).post("/api/v1/update", &json!({"containers": [service.name]})).await?;
    let end = Instant::now() + SOON;
    while !proxy.seen().iter().any(|(m, p)| m == method && p.contains(path)) {
        ensure!(Instant::now() < end, "it never comes to that:\n{}", daemon.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if death.trouble == Trouble::CutPower {
        daemon.kill_9();
    }
    own.make(death.trouble, engine)?;
    proxy.sever();
    own.make(Trouble::Start, engine)?;
    if death.trouble == Trouble::CutPower {
        daemon = home.start()?;
    }
    let told = wait_history(&home, &service.name).await.with_context(|| daemon.log())?;
    if ["/start", "/stop"].contains(&death.request.1) && told["outcome"] == "lost" {
        ensure!(told["message"].as_str().is_some_and(|m| m.contains("port is already allocated")), "{told}");
        own.make(Trouble::Kill, engine)?;
        own.make(Trouble::Start, engine)?;
        return comes_back(project, &home, daemon, service).await;
    }
    let outcome = if death.second == Second::Sound { "updated" } else { "rolled-back" };
    is_whole(project, &home, daemon, service, outcome).await.map(|_| ())
}

/// A lost service, after the engine was started once more.
async fn comes_back(project: &Project, home: &Home, mut daemon: Daemon, service: &Service) -> Result<()> {
    let end = Instant::now() + SOON;
    while let Err(error) = project.check(service, Runs::Old).await {
        ensure!(Instant::now() < end, "it stays lost: {error:#}\n{}", daemon.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    loop {
        let status = control(home).get("/api/v1/status").await?;
        if status["unwell"] == 0 {
            break;
        }
        ensure!(Instant::now() < end, "it is well, but: {status}\n{}", daemon.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let status = daemon.stop(SOON).await?;
    ensure!(status.success(), "it ended with {status}:\n{}", daemon.log());
    Ok(())
}

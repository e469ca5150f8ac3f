//! SIGKILL at every fail point of an update that works and of two kinds that do not.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dockbeacon::store::Store;
use dockbeacon_tests::daemon::{Daemon, Home};
use dockbeacon_tests::engine::{TestEngine, engines};
use dockbeacon_tests::project::{Project, Runs, Second, Service, control, wait_history};
use dockbeacon_tests::registry::Registry;
use dockbeacon_tests::sandbox::{Sandbox, locked};
use futures_util::StreamExt;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(90);
/// Services in one compose project, and how many of them are killed at a time.
const BATCH: usize = 16;
const AT_ONCE: usize = 4;

/// One service's fate: the points at which one process after the other dies.
#[derive(Debug, Clone)]
pub struct Fate {
    second: Second,
    deaths: Vec<String>,
}

/// Starts the daemon, which dies at the point, if one is named.
fn start(home: &Home, point: Option<&str>) -> Result<Daemon> {
    let home = point.map_or_else(|| home.clone(), |p| home.clone().env("DOCKBEACON_FAILPOINT", p));
    home.start()
}

/// Asks for the update; a daemon that dies in the middle does not answer.
async fn ask(home: &Home, service: &Service) {
    let _ = control(home).post("/api/v1/update", &json!({"containers": [service.name]})).await;
}

async fn die(daemon: &mut Daemon, point: &str) -> Result<()> {
    let status = daemon.wait_exit(SOON).await?;
    ensure!(status.signal() == Some(9), "at {point} it ended with {status}:\n{}", daemon.log());
    Ok(())
}

/// What must hold at the end, whatever happened before it.
pub async fn is_whole(
    project: &Project,
    home: &Home,
    mut daemon: Daemon,
    service: &Service,
    outcome: &str,
) -> Result<Value> {
    let told = wait_history(home, &service.name).await.with_context(|| daemon.log())?;
    ensure!(told["outcome"] == outcome, "the history says {told}\n{}", daemon.log());
    ensure!(told["ended"].is_string() && told["message"].as_str().is_some_and(|m| m.contains(&service.name)));
    let runs = if outcome == "updated" { Runs::New } else { Runs::Old };
    project.check(service, runs).await.with_context(|| format!("{told}\n{}", daemon.log()))?;
    let status = daemon.stop(SOON).await?;
    ensure!(status.success(), "it ended with {status}:\n{}", daemon.log());
    let open = Store::open(&home.state)?.journal_open()?;
    ensure!(open.is_empty(), "the journal is still open: {open:?}");
    Ok(told)
}

async fn live_through(project: &Project, service: &Service, fate: &Fate) -> Result<()> {
    project.wake(service).await?;
    let home = project.home(&service.key, &project.place.engine.host)?;
    for (number, point) in fate.deaths.iter().enumerate() {
        let mut daemon = start(&home, Some(point))?;
        if number == 0 {
            daemon.wait_ready(SOON).await?;
            ask(&home, service).await;
        }
        die(&mut daemon, point).await?;
    }
    let mut daemon = start(&home, None)?;
    if fate.deaths.is_empty() {
        daemon.wait_ready(SOON).await?;
        ask(&home, service).await;
    }
    let outcome = if fate.second == Second::Sound { "updated" } else { "rolled-back" };
    is_whole(project, &home, daemon, service, outcome).await?;
    project.rest(service).await;
    Ok(())
}

/// Every fate in projects of a few services each; all that went wrong.
async fn live(engine: &TestEngine, registry: &Registry, fates: &[Fate]) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for batch in fates.chunks(BATCH) {
        let seconds: Vec<_> = batch.iter().map(|f| f.second).collect();
        let project = Project::up(Sandbox::new(engine)?, registry, &seconds).await?;
        for service in &project.services {
            project.rest(service).await;
        }
        let lives = project.services.iter().zip(batch).map(|(service, fate)| {
            let project = &project;
            async move {
                let lived = live_through(project, service, fate).await;
                lived.err().map(|error| format!("{fate:?}: {error:#}"))
            }
        });
        let ended: Vec<_> = futures_util::stream::iter(lives).buffer_unordered(AT_ONCE).collect().await;
        wrong.extend(ended.into_iter().flatten());
        for service in &project.services {
            if let Err(error) = project.wake(service).await {
                wrong.push(format!("one of {batch:?}: {error:#}"));
            }
        }
        if let Err(error) = project.compose_changes_nothing().await {
            wrong.push(format!("one of {batch:?}: {error:#}"));
        }
    }
    Ok(wrong)
}

/// The points that an update with each kind of second version passes, with the number of the passing.
async fn points(engine: &TestEngine, registry: &Registry) -> Result<BTreeMap<Second, Vec<String>>> {
    let seconds = [Second::Sound, Second::Sick, Second::Broken];
    let project = Project::up(Sandbox::new(engine)?, registry, &seconds).await?;
    let one = async |service: &Service| {
        let trace = project.place.path().join(format!("{}.trace", service.key));
        let home = project
            .home(&service.key, &engine.host)?
            .env("DOCKBEACON_FAILPOINT_TRACE", trace.to_str().context("path")?);
        let mut daemon = start(&home, None)?;
        daemon.wait_ready(SOON).await?;
        ask(&home, service).await;
        let outcome = if service.second == Second::Sound { "updated" } else { "rolled-back" };
        is_whole(&project, &home, daemon, service, outcome).await?;
        let mut passed: BTreeMap<String, usize> = BTreeMap::new();
        let mut found = Vec::new();
        // A point where a loop can hang kills nobody.
        for name in std::fs::read_to_string(&trace)?.lines().filter(|name| !name.ends_with(".hang")) {
            let count = passed.entry(name.to_owned()).or_default();
            *count += 1;
            found.push(format!("{name}#{count}"));
        }
        anyhow::Ok((service.second, found))
    };
    let all = futures_util::future::try_join_all(project.services.iter().map(one)).await?;
    project.compose_changes_nothing().await?;
    Ok(all.into_iter().collect())
}

/// That nothing was forgotten: each act and each verb is among the points.
fn covers(points: &BTreeMap<Second, Vec<String>>, engine: &TestEngine) -> Result<()> {
    let found: BTreeSet<&str> =
        points.values().flatten().map(|p| p.rsplit_once('#').map_or(p.as_str(), |(name, _)| name)).collect();
    for act in [
        "pull",
        "move-reference",
        "create",
        "stop",
        "restart-off",
        "restart-back",
        "rename",
        "start",
        "verify",
        "remove",
        "tidy-images",
    ] {
        for place in ["journal", "done"] {
            ensure!(
                found.contains(format!("{place}.{act}").as_str()),
                "{place}.{act} is not passed: {found:?}"
            );
        }
    }
    ensure!(found.contains("journal.ended"));
    let mut verbs = vec!["create", "stop", "update", "rename", "start", "remove", "tag", "untag", "pull"];
    if !engine.containerd_store() {
        // One network at create, the others by connect; and no signal with a stop.
        verbs.extend(["connect", "kill"]);
        ensure!(found.contains("journal.connect") && found.contains("done.connect"), "{found:?}");
    }
    for verb in verbs {
        for place in ["before", "sent", "after"] {
            let point = format!("engine.{verb}.{place}");
            ensure!(found.contains(point.as_str()), "{point} is not passed: {found:?}");
        }
    }
    Ok(())
}

/// What the suite kills at: after every journal write, between every request and its answer, and after every answer.
///
/// Left to the long run: `engine.….before` follows its `journal.…`, and `done.…` its `engine.….after`, with nothing but
/// reading between them; and an update that fails goes the same way as one that works until the new container is started.
fn distinct(points: &BTreeMap<Second, Vec<String>>, keep: impl Fn(&str) -> bool) -> Vec<Fate> {
    let mut fates = Vec::new();
    for (second, points) in points {
        let begin = if *second == Second::Sound {
            0
        } else {
            points.iter().position(|p| p.starts_with("journal.start#")).unwrap_or_default()
        };
        for (at, point) in points.iter().enumerate().skip(begin) {
            let follows = |before: &str, place: &str| {
                at > 0 && points[at - 1].contains(before) && point.starts_with(place)
            };
            let same = point.contains(".before#") && at > 0 && points[at - 1].starts_with("journal.")
                || follows(".after#", "done.");
            if !same && keep(point) {
                fates.push(Fate { second: *second, deaths: vec![point.clone()] });
            }
        }
    }
    fates
}

fn every(points: &BTreeMap<Second, Vec<String>>) -> Vec<Fate> {
    let all = points.iter().flat_map(|(second, points)| points.iter().map(|p| (*second, p)));
    all.map(|(second, point)| Fate { second, deaths: vec![point.clone()] }).collect()
}

/// One test at a time on an engine: a volume that is left behind cannot be told from one that another test is just about to use.
static ALONE: [std::sync::Mutex<()>; 2] = [const { std::sync::Mutex::new(()) }; 2];

/// Finds the points, chooses among them, and lives through each choice.
fn on(engine: &TestEngine, choose: impl Fn(&BTreeMap<Second, Vec<String>>) -> Vec<Fate>) -> Result<()> {
    alone(engine, async |registry| {
        let points = points(engine, registry).await?;
        covers(&points, engine)?;
        let fates = choose(&points);
        ensure!(!fates.is_empty(), "no point was chosen: {points:?}");
        eprintln!("{}: {} of {} points", engine.name, fates.len(), every(&points).len());
        all_survive(engine, registry, &fates).await
    })
}

fn alone(engine: &TestEngine, test: impl AsyncFnOnce(&Registry) -> Result<()>) -> Result<()> {
    let _alone = locked(&ALONE[usize::from(engine.containerd_store())]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async { test(&Registry::start().await?).await })
}

async fn all_survive(engine: &TestEngine, registry: &Registry, fates: &[Fate]) -> Result<()> {
    let wrong = live(engine, registry, fates).await?;
    // The points once more at the end, where the logs between do not hide them.
    let first: Vec<_> = wrong.iter().filter_map(|w| w.lines().next()).collect();
    ensure!(
        wrong.is_empty(),
        "{}\n\n{} of {} went wrong:\n{}",
        wrong.join("\n\n"),
        wrong.len(),
        fates.len(),
        first.join("\n")
    );
    Ok(())
}

/// The suite takes each point on one of the engines; the long run takes all of them on both.
#[test]
fn killed_after_every_journal_write_and_every_answer_on_the_older_engine() {
    on(&engines().unwrap()[0], |points| distinct(points, |point| !point.contains(".sent#"))).unwrap();
}

#[test]
fn killed_between_every_request_and_its_answer_on_the_newer_engine() {
    on(&engines().unwrap()[1], |points| distinct(points, |point| point.contains(".sent#"))).unwrap();
}

#[test]
#[ignore = "long: every single point"]
fn killed_at_every_point_on_both_engines() {
    for engine in engines().unwrap() {
        on(engine, every).unwrap();
    }
}

/// The second death comes while the first one is being mended.
#[test]
fn killed_twice_the_second_time_in_the_middle_of_the_recovery() {
    let again = [
        ("engine.stop.sent#1", "engine.rename.sent#1"),
        ("engine.rename.sent#2", "engine.start.sent#1"),
        ("journal.verify#1", "engine.remove.sent#1"),
        ("engine.create.sent#1", "engine.start.after#1"),
    ];
    let fate = |second, (first, then): &(&str, &str)| Fate {
        second,
        deaths: vec![(*first).to_owned(), (*then).to_owned()],
    };
    let sound = again.iter().map(|pair| fate(Second::Sound, pair));
    let broken = again.iter().filter(|pair| pair.1.contains("start")).map(|pair| fate(Second::Broken, pair));
    let fates: Vec<Fate> = sound.chain(broken).collect();
    let engine = &engines().unwrap()[0];
    alone(engine, async |registry| all_survive(engine, registry, &fates).await).unwrap();
}

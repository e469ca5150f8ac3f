//! Snapshots as a device in each state would publish them, for drawing the page and looking at it.
//!
//! Owns the fixtures of `View`. Must never reach an engine or a clock: all of them happen at one moment.

mod household;

use chrono::{DateTime, TimeDelta, Utc};
use dockbeacon::page::{PageContext, Tz};
use dockbeacon::view::{
    BeatView, ContainerView, EngineView, EventView, LampView, Mood, PanelView, PlanEntryView, PlanView,
    ReasonView, Status, StepView, UpdateView, VersionView, View,
};
use dockbeacon_core::auth::Role;

use household::{household, settings};

/// The states in which the page must look right, by name.
pub const STATES: [&str; 12] = [
    "unclaimed",
    "well",
    "waiting",
    "running",
    "rolled-back",
    "fault",
    "engine-down",
    "none",
    "many",
    "long",
    "starting",
    "paused",
];

/// The moment of all fixtures: 21 November 2026, 14:03 in Berlin.
#[must_use]
pub fn moment() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_266_180, 0).unwrap_or_default()
}

fn back(seconds: i64) -> Option<DateTime<Utc>> {
    Some(moment() - TimeDelta::seconds(seconds))
}

/// The owner's eyes.
#[must_use]
pub fn owner() -> PageContext {
    PageContext {
        role: Some(Role::Admin),
        claimed: true,
        flash: None,
        now: moment(),
        theme: None,
        time_zone: Tz::Europe__Berlin,
    }
}

/// A stranger's eyes.
#[must_use]
pub fn stranger(claimed: bool) -> PageContext {
    PageContext { role: None, claimed, ..owner() }
}

/// The state's snapshot and who looks at it. Unknown names give the quiet state.
#[must_use]
pub fn state(name: &str) -> (View, PageContext) {
    let view = match name {
        "unclaimed" => return (unclaimed(), stranger(false)),
        "login" => return (well(), stranger(true)),
        "waiting" => waiting(),
        "running" => running(),
        "rolled-back" => rolled_back(),
        "fault" => fault(),
        "engine-down" => engine_down(),
        "none" => none(),
        "many" => many(200),
        "long" => long(),
        "starting" => View::default(),
        "paused" => paused(),
        _ => well(),
    };
    (view, owner())
}

/// A version of a made-up but steady digest.
#[must_use]
pub fn version(name: &str, days: i64) -> VersionView {
    let seed = name.bytes().fold(7u64, |h, b| h.wrapping_mul(1_099_511_628_211).wrapping_add(u64::from(b)));
    let hex = (0..4)
        .map(|i| format!("{:016x}", seed.wrapping_mul(0x9e37_79b9_7f4a_7c15 + i * 2)))
        .collect::<String>();
    VersionView { name: name.to_owned(), digest: format!("sha256:{hex}"), built: back(days * 86_400 + 4000) }
}

fn reason(code: &str, text: &str) -> ReasonView {
    ReasonView { code: code.to_owned(), text: text.to_owned() }
}

fn beat(level: f32, ms: u32) -> BeatView {
    BeatView { level, ms, fade: false }
}

fn flashes(count: u32, pause: u32) -> Vec<BeatView> {
    let mut all: Vec<_> = (0..count).flat_map(|_| [beat(1.0, 170), beat(0.0, 170)]).collect();
    all.push(beat(0.0, pause));
    all
}

fn panel(state: &str, words: &str, [health, update, fault]: [Vec<BeatView>; 3]) -> PanelView {
    let lamp = |name: &str, pattern| LampView { name: name.to_owned(), pattern };
    PanelView {
        driver: "virtual".to_owned(),
        state: state.to_owned(),
        words: words.to_owned(),
        lamps: vec![lamp("health", health), lamp("update", update), lamp("fault", fault)],
        press: "checks for updates now".to_owned(),
        double_press: "pauses automatic updates for 24 hours".to_owned(),
        since: back(720),
        ..PanelView::default()
    }
}

fn heartbeat() -> Vec<BeatView> {
    vec![beat(1.0, 80), beat(0.0, 2920)]
}

fn ended(tx: &str, name: &str, from: &str, to: &str, hours: i64) -> UpdateView {
    let start = hours * 3600;
    let step = |state: &str, at: i64, seconds: f64, detail: &str| StepView {
        state: state.to_owned(),
        at: back(start - at),
        seconds,
        detail: detail.to_owned(),
    };
    UpdateView {
        tx: tx.to_owned(),
        container: name.to_owned(),
        image: format!("{name}:latest"),
        from: version(from, 40),
        to: version(to, 2),
        kind: "update".to_owned(),
        state: "done".to_owned(),
        outcome: "updated".to_owned(),
        message: format!("{to} is healthy and has taken the place of {from}"),
        cause: "a newer image is in the registry".to_owned(),
        started: back(start),
        ended: back(start - 47),
        steps: vec![
            step("planned", 0, 0.1, ""),
            step("pulling", 0, 31.2, "84 MB in 6 layers"),
            step("creating", 31, 0.4, ""),
            step("stopping", 31, 1.6, ""),
            step("parking", 33, 0.1, ""),
            step("starting", 33, 0.9, ""),
            step("verifying", 34, 12.5, "healthy after 2 checks"),
            step("committing", 46, 0.4, ""),
            step("done", 47, 0.0, ""),
        ],
        log: vec![],
        can_roll_back: true,
    }
}

fn history() -> Vec<UpdateView> {
    let mut failed = ended("5e0c77aa", "jellyfin", "10.11.2", "10.11.3", 75);
    failed.outcome = "failed".to_owned();
    failed.message = "the pull stopped making progress after 60 s; nothing was changed".to_owned();
    failed.can_roll_back = false;
    failed.steps.truncate(2);
    let mut older = ended("02ab91f3", "grafana", "12.1.1", "12.2.0", 24 * 9);
    older.can_roll_back = false;
    vec![
        ended("9f31c0de", "mosquitto", "2.0.21", "2.0.22", 11),
        ended("77d2b4a1", "paperless", "2.18.3", "2.18.4", 59),
        failed,
        older,
    ]
}

fn event(id: u64, seconds: i64, name: &str, mood: Mood, text: &str, container: &str) -> EventView {
    EventView {
        id,
        at: moment() - TimeDelta::seconds(seconds),
        name: name.to_owned(),
        mood,
        text: text.to_owned(),
        container: container.to_owned(),
    }
}

/// Makes the plan and the counts agree with the containers.
fn settle(mut view: View) -> View {
    let mut entries: Vec<_> = view
        .containers
        .iter()
        .map(|c| PlanEntryView {
            container: c.name.clone(),
            image: c.image.clone(),
            action: c.next.clone(),
            reason: c.reason.clone(),
            from: c.version.clone(),
            to: c.candidate.clone(),
            steps: if matches!(c.next.as_str(), "update" | "approve") {
                [
                    "pull the new image",
                    "create the successor",
                    "stop the old container",
                    "start the successor",
                    "wait until it is healthy, else put the old one back",
                    "remove the old container",
                ]
                .map(str::to_owned)
                .to_vec()
            } else {
                vec![]
            },
        })
        .collect();
    entries.sort_by_key(|e| e.action == "none");
    view.plan = PlanView { fingerprint: "c0ffee12".to_owned(), made: back(720), entries };
    let status = &mut view.status;
    status.total = view.containers.len();
    status.unwell = view.containers.iter().filter(|c| c.mood == Mood::Fault).count();
    status.well = status.total - status.unwell;
    status.waiting = view.containers.iter().filter(|c| c.next == "approve").count();
    view
}

fn status(state: Mood, sentence: &str) -> Status {
    Status {
        version: "0.1.0".to_owned(),
        host_name: "dockbeacon".to_owned(),
        state,
        sentence: sentence.to_owned(),
        claimed: true,
        engine: EngineView {
            up: true,
            version: "26.1.5".to_owned(),
            api_version: "1.45".to_owned(),
            address: "unix:///var/run/docker.sock".to_owned(),
            error: None,
            since: back(12 * 86_400),
        },
        last_check: back(720),
        next_check: back(-46_620),
        schedule: "every day at 03:00".to_owned(),
        time_trusted: true,
        started: back(12 * 86_400),
        ..Status::default()
    }
}

/// Nothing to do.
#[must_use]
pub fn well() -> View {
    settle(View {
        status: status(Mood::Well, "All 14 services are well."),
        containers: household(),
        updates: history(),
        events: vec![
            event(41, 720, "check-finished", Mood::Well, "asked for 12 images; none is newer", ""),
            event(
                40,
                39_500,
                "update-finished",
                Mood::Well,
                "mosquitto was updated from 2.0.21 to 2.0.22 in 47 s",
                "mosquitto",
            ),
            event(39, 39_600, "check-finished", Mood::Well, "asked for 12 images; 1 is newer", ""),
            event(38, 90_000, "logged-in", Mood::Well, "somebody logged in from 192.168.1.23", ""),
            event(
                37,
                212_000,
                "update-finished",
                Mood::Well,
                "paperless was updated from 2.18.3 to 2.18.4 in 47 s",
                "paperless",
            ),
        ],
        panel: panel("all-well", "all well", [heartbeat(), vec![], vec![]]),
        settings: settings(),
        ..View::default()
    })
}

fn change(mut view: View, name: &str, with: impl FnOnce(&mut ContainerView)) -> View {
    if let Some(c) = view.containers.iter_mut().find(|c| c.name == name) {
        with(c);
    }
    view
}

/// Nobody owns it.
#[must_use]
pub fn unclaimed() -> View {
    let turn = |n: u32| (0..3).map(|i| beat(if i == n { 1.0 } else { 0.0 }, 600)).collect::<Vec<_>>();
    let mut view = well();
    view.status.claimed = false;
    view.panel = panel("unclaimed", "waiting for its owner", [turn(0), turn(1), turn(2)]);
    view
}

/// One update waits for its owner.
#[must_use]
pub fn waiting() -> View {
    let mut view = change(well(), "nextcloud-db", |c| {
        c.mood = Mood::Waiting;
        c.next = "approve".to_owned();
        c.candidate = Some(version("17.7", 3));
        c.reason = reason("needs-approval", "waiting for your approval");
    });
    view = change(view, "homeassistant", |c| {
        c.next = "report".to_owned();
        c.candidate = Some(version("2026.11.3", 1));
    });
    view = change(view, "jellyfin", |c| {
        c.next = "update".to_owned();
        c.candidate = Some(version("10.11.4", 1));
        c.reason = reason("new-image", "a newer image is in the registry");
    });
    view.status.state = Mood::Waiting;
    view.status.sentence = "All 14 services are well. One update waits for your approval.".to_owned();
    view.panel =
        panel("approval", "one update waits for approval", [heartbeat(), vec![beat(1.0, 1000)], vec![]]);
    view.panel.press = "approves the update of nextcloud-db to 17.7".to_owned();
    settle(view)
}

/// One update is under way.
#[must_use]
pub fn running() -> View {
    let mut u = ended("b81f2c90", "grafana", "12.2.0", "12.3.0", 0);
    u.state = "verifying".to_owned();
    u.outcome = "running".to_owned();
    u.message = "waiting for 12.3.0 to become healthy, at most 95 s".to_owned();
    u.started = back(49);
    u.ended = None;
    u.can_roll_back = false;
    u.steps.truncate(7);
    for (step, ago) in u.steps.iter_mut().zip([49, 49, 18, 17, 16, 16, 14]) {
        step.at = back(ago);
    }
    if let Some(last) = u.steps.last_mut() {
        last.seconds = 14.0;
        last.detail = "starting, 1 check so far".to_owned();
    }
    let mut view = change(well(), "grafana", |c| {
        c.mood = Mood::Working;
        c.health = "starting".to_owned();
        c.status = "Up 14 seconds (health: starting)".to_owned();
        c.updating = Some("b81f2c90".to_owned());
        c.reason = reason("unfinished", "another update of it is not finished");
    });
    view.status.state = Mood::Working;
    view.status.sentence =
        "Updating grafana from 12.2.0 to 12.3.0. The other 13 services are well.".to_owned();
    view.updates.insert(0, u);
    let blink = vec![beat(1.0, 500), beat(0.0, 500)];
    view.panel = panel("working", "working: do not unplug", [heartbeat(), blink, vec![]]);
    view.events.insert(
        0,
        event(42, 49, "update-started", Mood::Working, "updating grafana from 12.2.0 to 12.3.0", "grafana"),
    );
    settle(view)
}

/// One update has just been put back.
#[must_use]
pub fn rolled_back() -> View {
    let mut u = ended("b81f2c90", "grafana", "12.2.0", "12.3.0", 1);
    u.state = "rolled_back".to_owned();
    u.outcome = "rolled-back".to_owned();
    u.message =
        "put back to 12.2.0 because 12.3.0 never became healthy: its health check failed 3 times".to_owned();
    u.started = back(240);
    u.ended = back(138);
    u.can_roll_back = false;
    u.steps.truncate(7);
    u.steps.push(StepView {
        state: "rolling_back".to_owned(),
        at: back(141),
        seconds: 2.6,
        detail: "removed the new container".to_owned(),
    });
    u.steps.push(StepView {
        state: "rolled_back".to_owned(),
        at: back(138),
        seconds: 0.0,
        detail: "12.2.0 is healthy".to_owned(),
    });
    u.log = vec![
        "logger=migrator level=info msg=\"Starting DB migrations\"".to_owned(),
        "logger=migrator level=error msg=\"Executing migration failed\" id=\"add unique index alert_rule_version.guid\"".to_owned(),
        "Error: ✗ alert migration failure: UNIQUE constraint failed: alert_rule_version.guid".to_owned(),
    ];
    let mut view = change(well(), "grafana", |c| {
        c.status = "Up 2 minutes (healthy)".to_owned();
        c.candidate = Some(version("12.3.0", 1));
        c.reason = reason("bad-digest", "1c4be2a9f7d0 was tried: its health check failed 3 times");
    });
    view.updates.insert(0, u);
    view.status.sentence = "All 14 services are well. grafana was put back to 12.2.0.".to_owned();
    view.events.insert(
        0,
        event(
            43,
            138,
            "update-finished",
            Mood::Waiting,
            "grafana was put back to 12.2.0 because 12.3.0 never became healthy",
            "grafana",
        ),
    );
    settle(view)
}

/// Healing gave up on one service.
#[must_use]
pub fn fault() -> View {
    let mut view = change(well(), "paperless", |c| {
        c.mood = Mood::Fault;
        c.health = "unhealthy".to_owned();
        c.status = "Up 25 minutes (unhealthy)".to_owned();
        c.reason =
            reason("gave-up", "restarted 5 times in 20 minutes without becoming healthy; gave up at 13:38");
    });
    view.status.state = Mood::Fault;
    view.status.sentence = "paperless is down since 13:18. The other 13 services are well.".to_owned();
    view.status.notices = vec!["2.1 GB are free on the disk; an update of jellyfin needs 2.4 GB".to_owned()];
    view.panel = panel("fault", "a service is down", [vec![], vec![], vec![beat(1.0, 1000)]]);
    view.events.insert(
        0,
        event(
            44,
            1500,
            "heal-gave-up",
            Mood::Fault,
            "gave up restarting paperless after 5 attempts",
            "paperless",
        ),
    );
    settle(view)
}

/// The engine does not answer.
#[must_use]
pub fn engine_down() -> View {
    let mut view = well();
    view.status.state = Mood::Fault;
    view.status.sentence =
        "The Docker engine has not answered since 13:51. Nothing can be said about 14 services.".to_owned();
    view.status.engine.up = false;
    view.status.engine.since = back(720);
    view.status.engine.error = Some(
        "cannot connect to /var/run/docker.sock: connection refused; start it with `systemctl start docker`"
            .to_owned(),
    );
    view.status.next_check = None;
    view.panel = panel("fault", "the engine is down", [vec![], vec![], flashes(4, 1000)]);
    view.events.insert(
        0,
        event(45, 720, "engine-down", Mood::Fault, "the engine does not answer: connection refused", ""),
    );
    view
}

/// An engine with nothing on it, fresh.
#[must_use]
pub fn none() -> View {
    let mut view = View {
        status: status(Mood::Well, "The engine is up and runs no containers yet."),
        panel: panel("all-well", "all well", [heartbeat(), vec![], vec![]]),
        settings: settings(),
        ..View::default()
    };
    view.status.last_check = None;
    view
}

/// So many containers.
#[must_use]
pub fn many(count: usize) -> View {
    let mut view = waiting();
    let base = view.containers.clone();
    view.containers = (0..count)
        .map(|i| {
            let mut c = base[i % base.len()].clone();
            c.project = format!("site-{:02}", i / base.len() + 1);
            c.name = format!("{}-{:02}", c.name, i / base.len() + 1);
            if i > 60 && c.next == "approve" {
                c.next = "none".to_owned();
                c.mood = Mood::Well;
                c.candidate = None;
                c.reason = reason("up-to-date", "runs what the registry has");
            }
            c
        })
        .collect();
    view.status.sentence = format!("All {count} services are well. 5 updates wait for your approval.");
    settle(view)
}

/// Names as long as they get, and hostile ones.
#[must_use]
pub fn long() -> View {
    let mut view = waiting();
    let name =
        "a-very-long-compose-project-name-with-a-service-that-nobody-ever-shortened-because-it-worked-1";
    view = change(view, "nextcloud-db", |c| {
        c.name = name.to_owned();
        c.project = "a-very-long-compose-project-name-with-a-service".to_owned();
        c.image = "registry.internal.example.company:5000/platform/team-alpha/services/backend/nextcloud-database-with-extensions:17.6-bookworm-custom-build-20261119".to_owned();
        c.version = version("17.6-bookworm-custom-build-20261119.1-with-extensions", 40);
        c.candidate = Some(version("17.7-bookworm-custom-build-20261120.4-with-extensions", 1));
    });
    view = change(view, "paperless", |c| {
        c.name = "unbroken_".repeat(14);
        c.mood = Mood::Fault;
        c.status = "Restarting (137) 12 seconds ago".to_owned();
        c.reason = reason("gave-up", &format!("its log ends with {}", "x".repeat(140)));
    });
    let mut u = ended(
        "aabbccddeeff00112233",
        name,
        "17.5-bookworm-custom-build-20261001.1-with-extensions",
        "17.6-bookworm-custom-build-20261119.1-with-extensions",
        30,
    );
    u.image = "registry.internal.example.company:5000/platform/team-alpha/services/backend/nextcloud-database-with-extensions:17.6".to_owned();
    view.updates.insert(0, u);
    view.status.host_name = "dockbeacon-in-the-cupboard-behind-the-kitchen-of-the-harbour-office".to_owned();
    view.status.state = Mood::Fault;
    view.status.sentence =
        format!("{} is down since 13:18. The other 13 services are well.", "unbroken_".repeat(14));
    settle(view)
}

/// Updates are paused, the time is not known.
#[must_use]
pub fn paused() -> View {
    let mut view = well();
    view.status.paused_until = back(-70_000);
    view.status.time_trusted = false;
    view.panel.double_press = "lets automatic updates go on".to_owned();
    view
}

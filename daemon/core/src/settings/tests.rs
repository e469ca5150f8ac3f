//! The table, the three stages, and every variable of Watchtower.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use super::table::{KEYS, PREFIX};
use super::watchtower::OTHERS;
use super::*;
use crate::panel::LampHours;
use crate::window::Schedule;

fn entry(key: &str, value: &str, line: usize) -> RawEntry {
    RawEntry { key: key.to_owned(), value: RawValue::Scalar(value.to_owned()), line }
}

fn files(path: &str) -> Option<String> {
    (path == "/run/secrets/token" || path == "token.txt").then(|| "from a file\n".to_owned())
}

fn file(entries: Vec<RawEntry>) -> SettingsFile {
    SettingsFile { name: "config.yaml".to_owned(), entries }
}

fn input<'a>(entries: &[(&str, &str)], env: &[(&str, &str)]) -> Input<'a> {
    Input {
        files: vec![file(entries.iter().enumerate().map(|(n, (k, v))| entry(k, v, n + 1)).collect())],
        env: env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        arguments: Vec::new(),
        read_file: &files,
    }
}

fn good(entries: &[(&str, &str)], env: &[(&str, &str)]) -> Resolved {
    resolve(&input(entries, env)).unwrap()
}

fn errors(entries: &[(&str, &str)], env: &[(&str, &str)]) -> Vec<String> {
    resolve(&input(entries, env)).unwrap_err().0.iter().map(ToString::to_string).collect()
}

fn notices(env: &[(&str, &str)]) -> Vec<String> {
    good(&[], env).notices.iter().map(ToString::to_string).collect()
}

fn shown(resolved: &Resolved, key: &str) -> (String, String) {
    let explained = explain(&resolved.merged);
    let found = explained.iter().find(|e| e.key == key).unwrap();
    (found.value.clone(), found.origin.clone())
}

fn hours(n: u64) -> Schedule {
    Schedule::Every(Duration::from_secs(n * 3600))
}

#[test]
fn defaults_are_complete_and_of_their_types() {
    let Resolved { settings, merged, notices } = good(&[], &[]);
    assert_eq!(notices, []);
    assert_eq!(settings.engine.host, "unix:///var/run/docker.sock");
    assert_eq!((settings.update.mode, settings.update.keep_generations), (Mode::Auto, 1));
    assert_eq!(settings.update.settle, Duration::from_secs(10));
    assert_eq!(settings.update.pull_silence, Duration::from_secs(300));
    assert_eq!(settings.schedule.when, hours(24));
    assert!(settings.schedule.check_on_start && settings.http.enabled && !settings.http.update_api);
    assert_eq!(settings.http.listen.to_string(), "127.0.0.1:3625");
    assert_eq!((settings.log.level.as_str(), settings.run_once), ("info", false));
    for key in KEYS {
        assert!(merged.slots.contains_key(key.name), "{}", key.name);
        assert!(key.doc.ends_with('.') && !key.doc.is_empty(), "{}", key.name);
    }
    let names: BTreeSet<&str> = KEYS.iter().map(|k| k.name).collect();
    assert_eq!(names.len(), KEYS.len());
}

/// A value of each type that is nobody's default.
fn other(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Secret => "something",
        Kind::Flag => "",
        Kind::Count => "7",
        Kind::Length => "47s",
        Kind::Interval => "7h",
        Kind::Cron => "0 0 7 * * *",
        Kind::Zone => "Asia/Tokyo",
        Kind::Mode => "approve",
        Kind::List => "one, two",
        Kind::Listen => "0.0.0.0:77",
        Kind::Socket => "unix:///run/other.sock",
        Kind::Level => "trace",
        Kind::Driver => "virtual",
        Kind::Plain => "allow",
        Kind::Line => "pinctrl-rp1:5",
        Kind::Percent => "42",
        Kind::Lamps => "night 21:30-06:15",
    }
}

#[test]
fn every_key_reaches_the_settings() {
    let plain = good(&[], &[]).settings;
    for key in KEYS {
        let flipped = if key.default == "true" { "false" } else { "true" };
        let text = if key.kind == Kind::Flag { flipped } else { other(key.kind) };
        for resolved in [good(&[(key.name, text)], &[]), good(&[], &[(&key.env(), text)])] {
            assert_ne!(resolved.settings, plain, "{} changes nothing", key.name);
            let (value, origin) = shown(&resolved, key.name);
            assert_eq!(value, if key.kind == Kind::Secret { "(set, not shown)" } else { text });
            assert!(
                origin == "config.yaml line 1" || origin == format!("environment {}", key.env()),
                "{origin}"
            );
            assert_eq!(changed(&good(&[], &[]).merged, &resolved.merged), [key]);
        }
        let empty = RawEntry { key: key.name.to_owned(), value: RawValue::Empty, line: 1 };
        let empty = Input { files: vec![file(vec![empty])], ..input(&[], &[]) };
        assert_eq!(resolve(&empty).unwrap().settings, plain);
    }
}

#[test]
fn wrong_values_are_all_told_with_place_and_remedy() {
    let wrong = errors(
        &[
            ("update.mode", "sometimes"),
            ("update.cleanup", "perhaps"),
            ("update.keep-generations", "-1"),
            ("update.settle", "soon"),
            ("schedule.interval", "0"),
            ("schedule.cron", "0 3 * * *"),
            ("schedule.time-zone", "Mars/Olympus"),
            ("http.listen", "3625"),
            ("engine.host", "tcp://10.0.0.1:2375"),
            ("panel.driver", "wifi"),
            ("panel.lamps", "night 22-7"),
            ("log.level", "loud"),
        ],
        &[("WATCHTOWER_TIMEOUT", "x"), ("WATCHTOWER_MONITOR_ONLY", "x"), ("DOCKBEACON_UPDATE_NO_PULL", "x")],
    );
    expect_test::expect![[r#"
        config.yaml line 1: update.mode: "sometimes" is not an update mode; write auto, approve, monitor or off
        config.yaml line 2: update.cleanup: "perhaps" is not a truth value; write true or false
        config.yaml line 3: update.keep-generations: "-1" is not a whole number; write a whole number from 0
        config.yaml line 4: update.settle: "soon" is not a length of time; write seconds, or a length such as 90s, 5m, 24h or 2d
        config.yaml line 5: schedule.interval: "0" is shorter than a second; write seconds, a length such as 30m, 24h or 2d, or never
        config.yaml line 6: schedule.cron: "0 3 * * *" has 5 fields, not six; put the seconds in front: "0 0 3 * * *"
        config.yaml line 7: schedule.time-zone: "Mars/Olympus" is not a known time zone; write a name such as Europe/Berlin, America/New_York or UTC
        config.yaml line 8: http.listen: "3625" is not an address with a port; write address and port, such as 127.0.0.1:3625, [::1]:3625 or 0.0.0.0:3625
        config.yaml line 9: engine.host: "tcp://10.0.0.1:2375" is not a unix socket, and other ways to an engine are not built yet; write a unix socket such as unix:///var/run/docker.sock
        config.yaml line 10: panel.driver: "wifi" is not a panel driver; write auto, rppal, gpio, led or virtual
        config.yaml line 11: panel.lamps: "night 22-7" is not an hour setting of the lamps; write on, off, or hours such as night 22:00-07:00
        config.yaml line 12: log.level: "loud" is not a log level; write error, warn, info, debug or trace
        environment WATCHTOWER_MONITOR_ONLY: "x" is not a truth value; write true or false
        environment WATCHTOWER_TIMEOUT: update.stop-timeout: "x" is not a length of time; write seconds, or a length such as 90s, 5m, 24h or 2d
        environment DOCKBEACON_UPDATE_NO_PULL: update.no-pull: "x" is not a truth value; write true or false"#]]
    .assert_eq(&wrong.join("\n"));
}

#[test]
fn unknown_keys_are_refused_with_the_nearest() {
    let table = [
        ("schedule.corn", "did you mean schedule.cron?"),
        ("cron", "did you mean schedule.cron?"),
        ("update.check_on_start", "did you mean schedule.check-on-start?"),
        ("Update.Mode", "did you mean update.mode?"),
        ("http.lisen", "did you mean http.listen?"),
        ("update.cleanupp", "did you mean update.cleanup?"),
        ("colour.of.the.moon", "`dockbeacon config --default` lists all settings"),
    ];
    for (key, remedy) in table {
        assert_eq!(
            errors(&[(key, "1")], &[]),
            [format!("config.yaml line 1: {key} is not a setting; {remedy}")]
        );
    }
    let section = errors(&[("panel", "on")], &[]);
    assert_eq!(
        section,
        [
            "config.yaml line 1: panel is a section and has no value of its own; write its settings indented below it: driver, health, update, fault, lamps-active-low, button, button-active-low, led, brightness, lamps"
        ]
    );
    let twice = errors(&[("run-once", "true"), ("run-once", "true")], &[]);
    assert_eq!(
        twice,
        ["config.yaml line 2: run-once stands here a second time, after line 1; remove one of them"]
    );
    let list = RawEntry { key: "log.level".to_owned(), value: RawValue::List(vec![]), line: 3 };
    let error = resolve(&Input { files: vec![file(vec![list])], ..input(&[], &[]) }).unwrap_err();
    assert!(error.to_string().contains("a list stands where one value belongs"));
}

#[test]
fn the_stronger_source_wins() {
    let file = [("update.stop-timeout", "1s")];
    let watchtower = [("WATCHTOWER_TIMEOUT", "2")];
    let own = [("WATCHTOWER_TIMEOUT", "2"), ("DOCKBEACON_UPDATE_STOP_TIMEOUT", "3s")];
    assert_eq!(shown(&good(&[], &[]), "update.stop-timeout").1, "default");
    assert_eq!(shown(&good(&file, &[]), "update.stop-timeout").1, "config.yaml line 1");
    let said = ("2s".to_owned(), "environment WATCHTOWER_TIMEOUT".to_owned());
    assert_eq!(shown(&good(&file, &watchtower), "update.stop-timeout"), said);
    let said = ("3s".to_owned(), "environment DOCKBEACON_UPDATE_STOP_TIMEOUT".to_owned());
    assert_eq!(shown(&good(&file, &own), "update.stop-timeout"), said);
    let typed =
        Argument { option: "--stop-timeout".to_owned(), key: "update.stop-timeout", text: "4s".to_owned() };
    let all = Input { arguments: vec![typed], ..input(&file, &own) };
    let said = ("4s".to_owned(), "option --stop-timeout".to_owned());
    assert_eq!(shown(&resolve(&all).unwrap(), "update.stop-timeout"), said);
}

#[test]
fn w1_schedule_wins_over_interval() {
    let cron = Schedule::Cron("0 0 3 * * *".to_owned());
    let both = [("WATCHTOWER_POLL_INTERVAL", "3600"), ("WATCHTOWER_SCHEDULE", "0 0 3 * * *")];
    let resolved = good(&[], &both);
    assert_eq!(resolved.settings.schedule.when, cron);
    assert_eq!(
        notices(&both),
        [
            "environment WATCHTOWER_POLL_INTERVAL: schedule.interval is not used, because schedule.cron is set (environment WATCHTOWER_SCHEDULE)"
        ]
    );
    let mixed = good(&[("schedule.cron", "0 0 3 * * *")], &both[..1]);
    assert_eq!((mixed.settings.schedule.when, mixed.notices.len()), (cron.clone(), 1));
    assert_eq!(good(&[], &both[..1]).settings.schedule.when, hours(1));
    assert_eq!((good(&[], &both[1..]).settings.schedule.when, notices(&both[1..]).len()), (cron, 0));
    assert_eq!(good(&[("schedule.interval", "never")], &[]).settings.schedule.when, Schedule::Never);
    assert_eq!(good(&[("schedule.cron", "@every 2h")], &[]).settings.schedule.when, hours(2));
}

#[test]
fn w6_the_update_api_turns_polling_off() {
    let api = ("WATCHTOWER_HTTP_API_UPDATE", "true");
    let token = ("WATCHTOWER_HTTP_API_TOKEN", "abc");
    let cron = ("WATCHTOWER_SCHEDULE", "0 0 3 * * *");
    let off = good(&[("schedule.interval", "2h")], &[api, token, cron]);
    assert_eq!(off.settings.schedule.when, Schedule::Never);
    assert_eq!(shown(&off, "schedule.interval").1, "environment WATCHTOWER_HTTP_API_UPDATE");
    assert!(off.settings.http.update_api);
    let kept = good(&[], &[api, token, cron, ("WATCHTOWER_HTTP_API_PERIODIC_POLLS", "true")]);
    assert_eq!(kept.settings.schedule.when, Schedule::Cron("0 0 3 * * *".to_owned()));
    let own = good(&[], &[api, token, ("DOCKBEACON_SCHEDULE_INTERVAL", "2h")]);
    assert_eq!(own.settings.schedule.when, hours(2));
    assert_eq!(good(&[("http.update-api", "true")], &[token]).settings.schedule.when, hours(24));
    assert_eq!(
        notices(&[api]),
        [
            "environment WATCHTOWER_HTTP_API_UPDATE: turns looking on a schedule off, as in Watchtower; set WATCHTOWER_HTTP_API_PERIODIC_POLLS=true to keep it",
            "environment WATCHTOWER_HTTP_API_UPDATE: http.token is not set, so /v1/update knows no token of Watchtower's kind; set one",
            "environment WATCHTOWER_HTTP_API_UPDATE: /v1/update is served at 127.0.0.1:3625, not at port 8080; http.listen changes that",
        ]
    );
}

/// Watchtower's own variables and its forks', as their documents list them.
const LIST: &str = include_str!("watchtower_variables.txt");

#[test]
fn w6_every_variable_is_honoured_or_said() {
    let listed: BTreeSet<&str> = LIST.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).collect();
    let honoured: BTreeSet<&str> = watchtower::honoured().collect();
    let others: BTreeSet<&str> = OTHERS.iter().map(|(n, _)| *n).collect();
    assert_eq!(honoured.intersection(&others).count(), 0);
    let known: BTreeSet<&str> = honoured.union(&others).copied().collect();
    assert_eq!(known, listed);
    for name in &others {
        let text = if *name == "WATCHTOWER_HTTP_API_PERIODIC_POLLS" { continue } else { "false" };
        let on = watchtower::unhonoured(name, "1.41");
        let off = watchtower::unhonoured(name, text);
        assert!(on.is_some() || off.is_some(), "{name} is passed over in silence");
        assert_eq!(watchtower::unhonoured(name, ""), None);
    }
    assert_eq!(
        notices(&[
            ("WATCHTOWER_CLEANUPS", "true"),
            ("WATCHTOWER_ROLLING_RESTART", "true"),
            ("NO_COLOR", "1")
        ]),
        [
            "environment WATCHTOWER_CLEANUPS: not honoured: no variable of Watchtower has this name; did you mean WATCHTOWER_CLEANUP?"
        ]
    );
    assert_eq!(
        notices(&[
            ("DOCKBEACON_UPDATE_MODUS", "auto"),
            ("DOCKBEACON_CONFIG", "x"),
            ("WATCHTOWER_NOTIFICATION_REPORT", "false")
        ]),
        [
            "environment DOCKBEACON_UPDATE_MODUS: is not a setting and changes nothing; did you mean DOCKBEACON_UPDATE_MODE?"
        ]
    );
}

#[test]
fn w6_honoured_variables_do_what_they_say() {
    // (variable, text, key, value shown)
    let table = [
        (
            "DOCKER_HOST",
            "unix:///run/user/1000/docker.sock",
            "engine.host",
            "unix:///run/user/1000/docker.sock",
        ),
        ("WATCHTOWER_MONITOR_ONLY", "true", "update.mode", "monitor"),
        ("WATCHTOWER_MONITOR_ONLY", "false", "update.mode", "auto"),
        ("WATCHTOWER_LABEL_ENABLE", "true", "update.label-enable", "true"),
        ("WATCHTOWER_LABEL_TAKE_PRECEDENCE", "1", "update.label-take-precedence", "true"),
        ("WATCHTOWER_DISABLE_CONTAINERS", "a,b c", "update.disable-containers", "a, b, c"),
        ("WATCHTOWER_SCOPE", "none", "update.scope", "none"),
        ("WATCHTOWER_CLEANUP", "t", "update.cleanup", "true"),
        ("WATCHTOWER_TIMEOUT", "1m30s", "update.stop-timeout", "1m30s"),
        ("WATCHTOWER_TIMEOUT", "30", "update.stop-timeout", "30s"),
        ("WATCHTOWER_NO_PULL", "true", "update.no-pull", "true"),
        ("WATCHTOWER_POLL_INTERVAL", "300", "schedule.interval", "5m"),
        ("WATCHTOWER_SCHEDULE", "0 0 4 * * *", "schedule.cron", "0 0 4 * * *"),
        ("WATCHTOWER_UPDATE_ON_START", "false", "schedule.check-on-start", "false"),
        ("TZ", ":Europe/Berlin", "schedule.time-zone", "Europe/Berlin"),
        ("DOCKER_CONFIG", "/root/.docker", "registry.docker-config", "/root/.docker"),
        ("REPO_USER", "me", "registry.user", "me"),
        ("REPO_PASS", "secret", "registry.password", "(set, not shown)"),
        ("WATCHTOWER_REGISTRY_CA_BUNDLE", "/ca.pem", "registry.ca-file", "/ca.pem"),
        ("WATCHTOWER_HTTP_API_TOKEN", "x", "http.token", "(set, not shown)"),
        ("WATCHTOWER_HTTP_API_UPDATE", "true", "http.update-api", "true"),
        ("WATCHTOWER_LOG_LEVEL", "warning", "log.level", "warn"),
        ("WATCHTOWER_DEBUG", "true", "log.level", "debug"),
        ("WATCHTOWER_TRACE", "true", "log.level", "trace"),
        ("WATCHTOWER_RUN_ONCE", "true", "run-once", "true"),
        ("WATCHTOWER_SCOPE", "", "update.scope", ""),
    ];
    for (name, text, key, value) in table {
        let resolved = good(&[], &[(name, text)]);
        assert_eq!(shown(&resolved, key).0, value, "{name}={text}");
        assert_ne!(key, "");
    }
    let tested: BTreeSet<&str> = table.iter().map(|t| t.0).collect();
    assert_eq!(tested, watchtower::honoured().collect());
    assert!(good(&[], &[("WATCHTOWER_RUN_ONCE", "true")]).settings.run_once);
    let odd = good(&[], &[("TZ", "CET-1CEST")]);
    assert_eq!((odd.settings.schedule.time_zone, odd.notices.len()), (chrono_tz::Tz::UTC, 1));
}

#[test]
fn secrets_may_be_named_and_are_never_shown() {
    let token = |r: Resolved| r.settings.http.token.unwrap().reveal().to_owned();
    let api = ("DOCKBEACON_HTTP_UPDATE_API", "true");
    assert_eq!(token(good(&[], &[api, ("WATCHTOWER_HTTP_API_TOKEN", "token.txt")])), "from a file");
    assert_eq!(token(good(&[("http.token", "/run/secrets/token")], &[api])), "from a file");
    assert_eq!(token(good(&[("http.token", "token.txt")], &[api])), "token.txt");
    let missing = good(&[("http.token", "/run/secrets/tokn")], &[api]);
    assert_eq!(missing.notices.len(), 1);
    assert!(missing.notices[0].text.contains("no file can be read there"));
    let secret = good(&[("registry.password", "hunter2"), ("registry.user", "me")], &[]);
    assert!(!format!("{secret:?} {:?}", explain(&secret.merged)).contains("hunter2"));
    assert_eq!(good(&[("registry.user", "me")], &[]).notices.len(), 1);
}

#[test]
fn lamps_have_hours() {
    let lamps = |text: &str| good(&[("panel.lamps", text)], &[]).settings.panel.lamps;
    assert_eq!(lamps("off"), LampHours::Off);
    assert_eq!(lamps("false"), LampHours::Off);
    assert_eq!(lamps("night 22:00-07:00"), LampHours::Night { from: 1320, to: 420 });
    for wrong in ["night", "night 7:00-7:00", "night 24:00-07:00", "night 22:60-1:00", "day 1:00-2:00"] {
        assert_eq!(errors(&[("panel.lamps", wrong)], &[]).len(), 1, "{wrong}");
    }
}

#[test]
fn own_variables_follow_one_rule() {
    assert_eq!(table::key("schedule.cron").unwrap().env(), "DOCKBEACON_SCHEDULE_CRON");
    let names: BTreeMap<String, &str> = KEYS.iter().map(|k| (k.env(), k.name)).collect();
    assert_eq!(names.len(), KEYS.len());
    assert!(names.keys().all(|n| n.starts_with(PREFIX) && !table::NOT_SETTINGS.contains(&n.as_str())));
}

#[test]
fn the_sample_names_every_setting() {
    let sample = sample();
    for key in KEYS {
        let name = key.name.rsplit('.').next().unwrap();
        assert!(sample.contains(&format!("#{name}:")), "{name}");
        assert!(sample.contains(&key.env()));
    }
    assert!(sample.lines().all(|l| l.len() <= 110), "{sample}");
}

#[test]
fn the_owners_file_wins_over_the_images() {
    let image = SettingsFile {
        name: "/usr/lib/dockbeacon/config.yaml".to_owned(),
        entries: vec![entry("http.listen", "[::]:3625", 1), entry("device.ladder", "true", 2)],
    };
    let owner = file(vec![entry("http.listen", "127.0.0.1:3625", 4)]);
    let found = resolve(&Input { files: vec![image, owner], ..input(&[], &[]) }).unwrap();
    assert_eq!(found.settings.http.listen.to_string(), "127.0.0.1:3625");
    assert_eq!(found.merged.slots["http.listen"].origin.to_string(), "config.yaml line 4");
    assert!(found.settings.device.ladder);
    let origin = found.merged.slots["device.ladder"].origin.to_string();
    assert_eq!(origin, "/usr/lib/dockbeacon/config.yaml line 2");
}

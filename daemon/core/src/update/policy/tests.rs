//! Labels and settings, one test a label.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;
use crate::model::{ContainerId, ContainerName, ContainerState, ImageId};
use crate::settings::{Input, resolve};

fn settings() -> UpdateSettings {
    let input = Input {
        files: Vec::new(),
        env: std::collections::BTreeMap::new(),
        arguments: Vec::new(),
        read_file: &|_| None,
    };
    resolve(&input).unwrap().settings.update
}

fn container(labels: &[(&str, &str)]) -> Container {
    Container {
        id: ContainerId::new("c1").unwrap(),
        name: ContainerName::new("web").unwrap(),
        image: "web:1".to_owned(),
        image_id: ImageId::new("sha256:1").unwrap(),
        state: ContainerState::Running,
        status: "Up".to_owned(),
        health: None,
        created: None,
        labels: labels.iter().map(|(k, v)| (*k, *v)).collect(),
        ports: Vec::new(),
        auto_remove: false,
        joins: Vec::new(),
    }
}

fn with(change: impl Fn(&mut UpdateSettings), labels: &[(&str, &str)]) -> Policy {
    let mut settings = settings();
    change(&mut settings);
    policy(&settings, &container(labels))
}

/// The same label under both prefixes.
fn both(name: &str) -> [String; 2] {
    [format!("{WATCHTOWER}{name}"), format!("{OWN}{name}")]
}

fn why(policy: &Policy) -> Option<&str> {
    match &policy.excluded {
        Some(Reason::Excluded { why }) => Some(why),
        Some(other) => panic!("{other:?}"),
        None => None,
    }
}

#[test]
fn without_labels_the_settings_hold() {
    let plain = with(|_| {}, &[]);
    assert_eq!((plain.mode, plain.origin.as_str()), (Mode::Auto, "setting update.mode=auto"));
    assert_eq!(
        (plain.excluded, plain.no_pull, plain.stop_signal, plain.stop_timeout),
        (None, None, None, None)
    );
    assert!(plain.rollback && plain.warnings.is_empty() && plain.depends_on.is_none());
    assert_eq!(plain.settle, Duration::from_secs(10));
    let off = with(|s| s.mode = Mode::Off, &[]);
    assert_eq!(why(&off), Some("setting update.mode=off"));
    let named = with(|s| s.disable_containers = vec!["/web".to_owned()], &[("dockbeacon.update", "auto")]);
    assert_eq!(why(&named), Some("setting update.disable-containers names web"));
    assert_eq!(named.mode, Mode::Off);
}

#[test]
fn w5_label_enable() {
    for label in both("enable") {
        // (opt-in, label, left alone)
        let table = [
            (false, None, false),
            (false, Some("true"), false),
            (false, Some("false"), true),
            (false, Some("0"), true),
            (true, None, true),
            (true, Some("true"), false),
            (true, Some("false"), true),
            (true, Some("maybe"), true),
            (false, Some("maybe"), false),
        ];
        for (opt_in, text, alone) in table {
            let labels: Vec<(&str, &str)> = text.iter().map(|t| (label.as_str(), *t)).collect();
            let policy = with(|s| s.label_enable = opt_in, &labels);
            assert_eq!(policy.excluded.is_some(), alone, "{opt_in} {label}={text:?}");
            assert_eq!(policy.mode == Mode::Off, alone);
            assert_eq!(policy.warnings.len(), usize::from(text == Some("maybe")), "{:?}", policy.warnings);
        }
        let never = with(|_| {}, &[(&label, "false"), ("dockbeacon.update", "auto")]);
        assert_eq!(why(&never), Some(format!("label {label}=false").as_str()));
    }
    let own_wins =
        with(|_| {}, &[("dockbeacon.enable", "true"), ("com.centurylinklabs.watchtower.enable", "false")]);
    assert_eq!(own_wins.excluded, None);
}

#[test]
fn w5_label_monitor_only() {
    for label in both("monitor-only") {
        use Mode::{Approve, Auto, Monitor, Off};
        // (setting, label takes precedence, label, mode)
        let table = [
            (Auto, false, "true", Monitor),
            (Auto, true, "true", Monitor),
            (Auto, false, "false", Auto),
            (Monitor, false, "false", Monitor),
            (Monitor, true, "false", Auto),
            (Monitor, true, "true", Monitor),
            (Monitor, true, "perhaps", Monitor),
            (Approve, false, "true", Monitor),
            (Approve, true, "false", Approve),
            (Off, true, "true", Off),
        ];
        for (mode, precedence, text, expected) in table {
            let policy =
                with(|s| (s.mode, s.label_take_precedence) = (mode, precedence), &[(label.as_str(), text)]);
            assert_eq!(policy.mode, expected, "{mode:?} {precedence} {label}={text}");
            assert_eq!(policy.warnings.len(), usize::from(text == "perhaps"));
        }
    }
}

#[test]
fn w5_label_no_pull() {
    for label in both("no-pull") {
        // (setting, label takes precedence, label, no pull)
        let table = [
            (false, false, "true", true),
            (false, false, "false", false),
            (true, false, "false", true),
            (true, true, "false", false),
            (true, true, "true", true),
            (true, true, "hm", true),
            (false, true, "hm", false),
        ];
        for (setting, precedence, text, expected) in table {
            let policy = with(
                |s| (s.no_pull, s.label_take_precedence) = (setting, precedence),
                &[(label.as_str(), text)],
            );
            assert_eq!(policy.no_pull.is_some(), expected, "{setting} {precedence} {label}={text}");
        }
        let said = with(|_| {}, &[(label.as_str(), "true")]).no_pull;
        assert_eq!(said, Some(format!("label {label}=true")));
    }
}

#[test]
fn w5_label_scope() {
    for label in both("scope") {
        // (setting, label, left alone)
        let table = [
            (None, Some("a"), false),
            (Some("a"), Some("a"), false),
            (Some("a"), Some("b"), true),
            (Some("a"), None, true),
            (Some("none"), None, false),
            (Some("none"), Some(""), false),
            (Some("none"), Some("none"), false),
            (Some("none"), Some("a"), true),
        ];
        for (setting, text, alone) in table {
            let labels: Vec<(&str, &str)> = text.iter().map(|t| (label.as_str(), *t)).collect();
            let policy = with(|s| s.scope = setting.map(str::to_owned), &labels);
            assert_eq!(policy.excluded.is_some(), alone, "{setting:?} {label}={text:?}");
        }
    }
}

#[test]
fn labels_for_stopping_are_read() {
    for label in both("stop-signal") {
        for (text, expected) in [
            ("SIGHUP", Some("SIGHUP")),
            ("sigint", Some("SIGINT")),
            ("QUIT", Some("QUIT")),
            ("SIGRTMIN+3", Some("SIGRTMIN+3")),
            ("9", Some("9")),
            ("0", None),
            ("soft please", None),
            ("", None),
        ] {
            let policy = with(|_| {}, &[(label.as_str(), text)]);
            assert_eq!(policy.stop_signal.as_deref(), expected, "{label}={text}");
            // An empty label is what Compose makes of a variable that is not set: as if it were not there.
            assert_eq!(policy.warnings.len(), usize::from(expected.is_none() && !text.is_empty()));
        }
    }
}

#[test]
fn labels_for_order_are_read() {
    for label in both("depends-on") {
        let policy = with(|_| {}, &[(label.as_str(), "db, /cache,,")]);
        assert_eq!(policy.depends_on, Some(vec!["db".to_owned(), "cache".to_owned()]));
        assert_eq!(with(|_| {}, &[(label.as_str(), "")]).depends_on, None);
    }
}

#[test]
fn w5_label_update() {
    use Mode::{Approve, Auto, Monitor, Off};
    for setting in [Auto, Approve, Monitor, Off] {
        for (text, expected) in [("auto", Auto), ("approve", Approve), ("monitor", Monitor), ("off", Off)] {
            let policy = with(|s| s.mode = setting, &[("dockbeacon.update", text)]);
            assert_eq!(policy.mode, expected, "{setting:?} {text}");
            assert_eq!(policy.origin, format!("label dockbeacon.update={text}"));
            assert_eq!(policy.excluded.is_some(), expected == Off);
        }
    }
    let opted_in = with(|s| s.label_enable = true, &[("dockbeacon.update", "approve")]);
    assert_eq!((opted_in.mode, opted_in.excluded), (Approve, None));
    let over = with(|_| {}, &[("dockbeacon.update", "auto"), ("dockbeacon.monitor-only", "true")]);
    assert_eq!((over.mode, over.warnings.len()), (Auto, 1));
    let wrong = with(|_| {}, &[("dockbeacon.update", "aprove"), ("dockbeacon.updat", "approve")]);
    assert_eq!(wrong.mode, Auto);
    assert_eq!(
        wrong.warnings,
        [
            "label dockbeacon.update=aprove is not auto, approve, monitor or off and is passed over",
            "label dockbeacon.updat is not known; did you mean dockbeacon.update?",
        ]
    );
}

#[test]
fn our_own_labels_refine_the_update() {
    let labels =
        [("dockbeacon.rollback", "false"), ("dockbeacon.settle", "1m"), ("dockbeacon.stop-timeout", "90")];
    let policy = with(|_| {}, &labels);
    assert!(!policy.rollback);
    assert_eq!(
        (policy.settle, policy.stop_timeout),
        (Duration::from_secs(60), Some(Duration::from_secs(90)))
    );
    let wrong = with(|_| {}, &[("dockbeacon.rollback", "never"), ("dockbeacon.settle", "long")]);
    assert!(wrong.rollback);
    assert_eq!((wrong.settle, wrong.warnings.len()), (Duration::from_secs(10), 2));
}

#[test]
fn what_is_not_honoured_is_said() {
    let policy = with(
        |_| {},
        &[
            ("com.centurylinklabs.watchtower.lifecycle.pre-update", "/stop.sh"),
            ("dockbeacon.update.order", "start-first"),
            ("dockbeacon.route.host", "a.example"),
            ("com.centurylinklabs.watchtower.monitor_only", "true"),
        ],
    );
    assert_eq!(
        policy.warnings,
        [
            "label com.centurylinklabs.watchtower.lifecycle.pre-update is not honoured yet: hooks are not run yet",
            "label com.centurylinklabs.watchtower.monitor_only is not known; did you mean com.centurylinklabs.watchtower.monitor-only?",
            "label dockbeacon.update.order is not honoured yet: the old version stops before the new one starts",
        ]
    );
}

//! Broken, absent and good settings files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use dockbeacon_core::settings::sample;
use dockbeacon_core::window::Schedule;
use expect_test::{Expect, expect};

use super::*;

fn write(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn error(text: &str) -> String {
    let (folder, path) = write(text);
    let error = load(Some(&path), []).unwrap_err().to_string();
    error.replace(&format!("{}/", folder.path().display()), "")
}

fn good(text: &str, env: &[(&str, &str)]) -> Loaded {
    let (_folder, path) = write(text);
    load(Some(&path), env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))).unwrap()
}

#[test]
fn broken_files_are_told_with_place_and_remedy() {
    let table: Vec<(&str, Expect)> = vec![
        (
            "schedule:\n\tcron: x\n",
            expect![
                "config.yaml:2:2: not valid YAML (tabs disallowed within this context (block indentation)); indent with spaces instead of tabs"
            ],
        ),
        (
            "schedule:\n  cron: \"0 0\n",
            expect![
                "config.yaml:2:9: not valid YAML (while scanning a quoted scalar, found unexpected end of stream); check indentation, quotes and colons at and above this place"
            ],
        ),
        (
            "schedule: [a, b\n",
            expect![
                "config.yaml:2:1: not valid YAML (while parsing a flow sequence, expected ',' or ']'); check indentation, quotes and colons at and above this place"
            ],
        ),
        (
            "update:\n  mode: auto\n   cleanup: true\n",
            expect![
                "config.yaml:3:11: not valid YAML (mapping values are not allowed in this context); check indentation, quotes and colons at and above this place"
            ],
        ),
        (
            "just a sentence\n",
            expect!["config.yaml:1:1: the file is no map of settings; write `key: value` lines"],
        ),
        ("- a\n- b\n", expect!["config.yaml:1:1: the file is no map of settings; write `key: value` lines"]),
        (
            "update:\n  mode: auto\n---\nupdate:\n  mode: off\n",
            expect!["config.yaml:3:1: a second document begins; keep one document and no second ---"],
        ),
        (
            "registry:\n  insecure:\n    - {a: b}\n",
            expect!["config.yaml:3:7: a list holds something other than texts; write one text per item"],
        ),
        (
            "registry:\n  insecure: [a, ]\n  user: [b]\n",
            expect![
                "config.yaml line 3: registry.user: a list stands where one value belongs; write one text"
            ],
        ),
        ("a: &x 1\nb: *x\n", expect!["config.yaml:2:4: b uses an alias; write the value itself"]),
        ("? [a]\n: b\n", expect!["config.yaml:1:3: a key is not a plain text; write `key: value`"]),
        (
            "schedule:\n  corn: 0 0 3 * * *\n",
            expect!["config.yaml line 2: schedule.corn is not a setting; did you mean schedule.cron?"],
        ),
        (
            "schedule:\n  cron: 0 3 * * *\n",
            expect![[
                r#"config.yaml line 2: schedule.cron: "0 3 * * *" has 5 fields, not six; put the seconds in front: "0 0 3 * * *""#
            ]],
        ),
        (
            "update:\n  mode: auto\n\n  mode: off\n",
            expect![
                "config.yaml line 4: update.mode stands here a second time, after line 2; remove one of them"
            ],
        ),
        (
            "update:\n  mode: auto\nupdate.mode: off\n",
            expect![
                "config.yaml line 3: update.mode stands here a second time, after line 2; remove one of them"
            ],
        ),
        (
            "update:\n  mode:\n    deep: auto\npanel: on\nhttp:\n  listen: 80\n",
            expect![[r#"
            config.yaml line 3: update.mode.deep is not a setting; `dockbeacon config --default` lists all settings
            config.yaml line 4: panel is a section and has no value of its own; write its settings indented below it: driver, health, update, fault, lamps-active-low, button, button-active-low, led, brightness, lamps
            config.yaml line 6: http.listen: "80" is not an address with a port; write address and port, such as 127.0.0.1:3625, [::1]:3625 or 0.0.0.0:3625"#]],
        ),
        (
            "log: {level: {}}\nupdate: {settle: -1s}\n",
            expect![[
                r#"config.yaml line 2: update.settle: "-1s" is not a length of time; write seconds, or a length such as 90s, 5m, 24h or 2d"#
            ]],
        ),
    ];
    for (text, golden) in table {
        golden.assert_eq(&error(text));
    }
}

#[test]
fn files_that_are_not_there_or_not_readable() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.yaml");
    let said = load(Some(&missing), []).unwrap_err().to_string();
    assert!(
        said.starts_with(&format!("{}: there is no such file; correct --config", missing.display())),
        "{said}"
    );
    let said = load(Some(folder.path()), []).unwrap_err();
    assert!(matches!(said, ConfigError::Unreadable { .. }), "{said}");
    let binary = folder.path().join("binary.yaml");
    std::fs::write(&binary, [0xff, 0xfe, 0x00]).unwrap();
    assert!(matches!(load(Some(&binary), []).unwrap_err(), ConfigError::Unreadable { .. }));
    std::fs::write(&binary, vec![b'#'; 1024 * 1024 + 1]).unwrap();
    assert!(load(Some(&binary), []).unwrap_err().to_string().contains("larger than a megabyte"));
}

#[test]
fn empty_files_give_the_defaults() {
    let plain = good("", &[]);
    for text in ["# nothing\n", "---\n", "~\n", "\u{feff}", "update:\nhttp:\n", "{}", "update: {}\n", "...\n"]
    {
        assert_eq!(good(text, &[]), plain, "{text:?}");
    }
    assert_eq!(plain.notices, []);
    assert!(plain.explained.iter().all(|e| e.origin == "default"));
}

#[test]
fn the_sample_file_parses_back_to_the_defaults() {
    let plain = good("", &[]);
    let sample = sample();
    assert_eq!(good(&sample, &[]), plain);
    // Every switched-off setting, switched on.
    let on: Vec<String> = sample
        .lines()
        .map(|line| match line.trim_start().strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => line.replacen('#', "", 1),
            Some(_) | None => line.to_owned(),
        })
        .collect();
    let on = good(&on.join("\n"), &[]);
    assert_eq!(on.settings, plain.settings);
    let set = on.explained.iter().filter(|e| e.origin != "default").count();
    assert_eq!(set, on.explained.iter().filter(|e| !e.value.is_empty() || e.origin != "default").count());
}

#[test]
fn values_and_origins_come_through() {
    let text = "\
schedule:
  cron: 0 0 3 * * *   # at three
  time-zone: Europe/Berlin
update: {mode: approve, cleanup: yes}
registry:
  insecure:
    - 10.0.0.1:5000
    - \"registry.lan\"
panel.lamps: night 22:00-07:00
";
    let loaded = good(text, &[("WATCHTOWER_CLEANUP", "false")]);
    let settings = &loaded.settings;
    assert_eq!(settings.schedule.when, Schedule::Cron("0 0 3 * * *".to_owned()));
    assert_eq!(settings.schedule.time_zone, chrono_tz::Tz::Europe__Berlin);
    assert_eq!(settings.registry.insecure, ["10.0.0.1:5000", "registry.lan"]);
    assert!(!settings.update.cleanup);
    let origin = |key: &str| {
        let origin = &loaded.explained.iter().find(|e| e.key == key).unwrap().origin;
        origin.rsplit('/').next().unwrap().to_owned()
    };
    assert_eq!(origin("schedule.cron"), "config.yaml line 2");
    assert_eq!(origin("update.mode"), "config.yaml line 4");
    assert_eq!(origin("registry.insecure"), "config.yaml line 6");
    assert_eq!(origin("panel.lamps"), "config.yaml line 9");
    assert_eq!(origin("update.cleanup"), "environment WATCHTOWER_CLEANUP");
    let other = good(
        &text.replace("approve", "auto").replace("panel.lamps", "#"),
        &[("DOCKBEACON_HTTP_LISTEN", "0.0.0.0:1")],
    );
    let changed: Vec<_> = changed(&loaded, &other).iter().map(|k| (k.name, k.restart)).collect();
    assert_eq!(
        changed,
        [("update.mode", false), ("update.cleanup", false), ("http.listen", true), ("panel.lamps", false)]
    );
}

#[test]
fn secrets_are_read_from_files() {
    let (folder, _path) = write("");
    let secret = folder.path().join("token");
    std::fs::write(&secret, "s3cret\n").unwrap();
    let env = [("WATCHTOWER_HTTP_API_TOKEN", secret.to_str().unwrap()), ("WATCHTOWER_HTTP_API_UPDATE", "1")];
    let loaded = good("", &env);
    assert_eq!(loaded.settings.http.token.as_ref().unwrap().reveal(), "s3cret");
    assert!(!format!("{loaded:?}").contains("s3cret"));
}

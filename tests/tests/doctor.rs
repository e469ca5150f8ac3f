//! `dockbeacon doctor` on this machine: what is well is said, what is not says what to do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::process::{Command, Output};

use dockbeacon_tests::daemon::program;
use dockbeacon_tests::engine::on_each;
use dockbeacon_tests::sandbox::Sandbox;
use serde_json::Value;

fn doctor(place: &std::path::Path, host: &str, more: &[&str]) -> Output {
    let config = place.join("config.yaml");
    // Where there is no way to the registries of other tests' containers, each costs that long.
    std::fs::write(&config, "registry:\n  timeout: 1s\n").unwrap();
    let mut command = Command::new(program().unwrap());
    command.arg("doctor").arg("--config").arg(config).args(more).env("DOCKER_HOST", host).output().unwrap()
}

fn finding(output: &Output, topic: &str) -> (String, String, String) {
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
    let found =
        findings.as_array().unwrap().iter().find(|finding| finding["topic"] == topic).unwrap().clone();
    let text = |key: &str| found[key].as_str().unwrap().to_owned();
    (text("verdict"), text("what"), text("remedy"))
}

#[test]
fn an_engine_that_answers_is_well() {
    on_each(|engine| async move {
        let place = Sandbox::new(&engine)?;
        let state = place.path().display().to_string();
        let output = doctor(place.path(), &engine.host, &["--json", "--state-dir", &state]);
        let (verdict, what, _) = finding(&output, "engine");
        assert!(verdict == "good" && what.contains("answers"), "{what}");
        assert_eq!(finding(&output, "permissions").0, "good");
        let left: Vec<_> = std::fs::read_dir(place.path())?.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["config.yaml"], "nothing is left behind");
        Ok(())
    })
    .unwrap();
}

#[test]
fn what_is_wrong_comes_with_a_remedy_and_an_exit_code() {
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("none").display().to_string();
    let output = doctor(place.path(), "unix:///nowhere.sock", &["--state-dir", &state]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains(
            "BAD      engine       the engine cannot be reached: there is no socket at /nowhere.sock\n"
        ),
        "{said}"
    );
    assert!(said.contains("do: install the engine (`apt install docker.io`)"), "{said}");
    assert!(said.contains("cannot be used: it does not exist"), "{said}");
}

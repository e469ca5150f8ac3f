//! The ladder of last resorts in the real daemon, with an engine that never comes and a `systemctl` that only takes notes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use dockbeacon_tests::daemon::{Home, program};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(90);

/// A folder with nothing but a `systemctl` that writes down what it is asked for; the only place in which programs are
/// looked for.
fn notes(folder: &Path) -> Result<(PathBuf, PathBuf)> {
    let (bin, notes) = (folder.join("bin"), folder.join("notes"));
    std::fs::create_dir_all(&bin)?;
    std::fs::write(&notes, "")?;
    let program = bin.join("systemctl");
    std::fs::write(&program, format!("#!/bin/sh\necho \"$@\" >>{}\n", notes.display()))?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    Ok((bin, notes))
}

#[test]
fn root_carries_out_four_wishes_and_nothing_else() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (bin, notes) = notes(dir.path())?;
    let wishes = dir.path().join("run");
    std::fs::create_dir(&wishes)?;
    for name in ["host-poweroff", "host-restart-engine", "host-keep-journal", "host-format", "control.sock"] {
        std::fs::write(wishes.join(name), "rm -rf /")?;
    }
    let host = || {
        std::process::Command::new(program()?)
            .arg("host")
            .arg(&wishes)
            .env("PATH", &bin)
            .output()
            .map_err(anyhow::Error::from)
    };
    let output = host()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        std::fs::read_to_string(&notes)?,
        "start dockbeacon-journal.service\n--no-block poweroff\n--no-block restart docker.service\n"
    );
    let mut left: Vec<_> = std::fs::read_dir(&wishes)?.map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["control.sock", "host-format"]);
    host()?;
    assert_eq!(std::fs::read_to_string(&notes)?.lines().count(), 3, "a wish is fulfilled once");
    Ok(())
}

/// Needs root: as another user the daemon asks a unit of root's, which tests do not have.
#[tokio::test]
async fn an_engine_that_never_comes_ends_in_safe_mode_also_over_restarts() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let (bin, notes) = notes(dir.path())?;
    let settings = "device:\n  ladder: true\n  engine-patience: 1s\n  reboots-per-day: 1\n  keep-journal: true\nschedule:\n  check-on-start: false\npanel:\n  driver: virtual";
    let home = Home::new(&dir.path().join("home"), "unix:///nowhere/docker.sock", settings)?
        .env("PATH", &bin.display().to_string());
    let mut daemon = home.start()?;
    daemon.wait_log("its service is restarted", SOON).await?;
    daemon.wait_log("the device is restarted", SOON).await?;
    daemon.kill_9();
    // As after the restart of the device: it remembers, and has no restart left.
    let mut daemon = home.start()?;
    daemon.wait_log("its service is restarted", SOON).await?;
    daemon.wait_log("safe mode", SOON).await?;
    daemon.kill_9();
    let asked = std::fs::read_to_string(&notes)?;
    let (keep, restart) = ("start dockbeacon-journal.service\n", "--no-block restart docker.service\n");
    let reboot = "--no-block reboot\n";
    ensure!(asked.contains(&format!("{keep}{reboot}")), "what led to it is kept before it is gone: {asked}");
    assert_eq!(asked.replace(keep, ""), format!("{restart}{reboot}{restart}"));
    std::fs::write(&notes, "")?;
    let mut daemon = home.start()?;
    daemon.wait_log("started", SOON).await?;
    let end = std::time::Instant::now() + SOON;
    let said = loop {
        let said: Value = serde_json::from_slice(&home.cli(&["--json", "status"])?.stdout)?;
        if said["status"]["notices"].to_string().contains("safe mode") {
            break said;
        }
        ensure!(std::time::Instant::now() < end, "never in safe mode: {said}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(said["panel"]["state"], "unclaimed", "the page is there, and shows what matters most");
    // The journal of a fault is kept also where the lamps show something else.
    while std::fs::read_to_string(&notes)? != keep {
        ensure!(std::time::Instant::now() < end, "{}", std::fs::read_to_string(&notes)?);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    daemon.stop(SOON).await?;
    assert_eq!(std::fs::read_to_string(&notes)?, keep, "safe mode restarts nothing");
    Ok(())
}

//! The service unit, judged by systemd's own tool where it is installed (`scripts/test` installs it).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd")
}

/// Runs systemd-analyze; `None` where it is not installed.
fn analyze(arguments: &[&str], unit: &Path) -> Option<Output> {
    match Command::new("systemd-analyze").args(arguments).arg(unit).output() {
        Ok(output) => Some(output),
        Err(why) => {
            eprintln!("skipped, systemd-analyze cannot be run: {why}");
            None
        }
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_unit_has_no_mistakes() {
    let unit = std::fs::read_to_string(folder().join("dockbeacon.service")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    // The program is not installed where tests run; everything else is judged as it is.
    let copy = dir.path().join("dockbeacon.service");
    std::fs::write(&copy, unit.replace("/usr/bin/dockbeacon ", "/bin/true ")).unwrap();
    let Some(output) = analyze(&["--man=no", "verify"], &copy) else { return };
    let about_us: Vec<String> =
        text(&output).lines().filter(|line| line.contains("dockbeacon")).map(str::to_owned).collect();
    assert!(about_us.is_empty(), "{about_us:#?}");
}

/// All units of first boot together, so that their order among themselves is judged too: a circle would be cut by systemd
/// wherever it likes.
#[test]
fn the_units_of_first_boot_have_no_mistakes_and_no_circle() {
    let dir = tempfile::tempdir().unwrap();
    let mut copies = Vec::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_owned();
        if path.is_file() {
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(dir.path().join(&name), text.replace("/usr/bin/dockbeacon ", "/bin/true "))
                .unwrap();
            copies.push(dir.path().join(name).display().to_string());
        }
    }
    // As Docker's and SSH's packages have them.
    let others = [
        ("docker.socket", "[Socket]\nListenStream=/run/docker.sock\n"),
        (
            "docker.service",
            "[Unit]\nRequires=docker.socket\nAfter=network-online.target docker.socket containerd.service\n[Service]\nExecStart=/bin/true\n",
        ),
        ("containerd.service", "[Unit]\nAfter=network.target\n[Service]\nExecStart=/bin/true\n"),
        ("ssh.service", "[Unit]\nAfter=network.target\n[Service]\nExecStart=/bin/true\n"),
    ];
    for (name, text) in others {
        std::fs::write(dir.path().join(name), text).unwrap();
        copies.push(dir.path().join(name).display().to_string());
    }
    let (last, first) = copies.split_last().unwrap();
    let arguments: Vec<&str> =
        ["--man=no", "verify"].into_iter().chain(first.iter().map(String::as_str)).collect();
    let Some(output) = analyze(&arguments, Path::new(last)) else { return };
    let bad: Vec<String> = text(&output)
        .lines()
        .filter(|line| line.contains("dockbeacon") || line.contains("cycle"))
        .map(str::to_owned)
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn the_unit_is_sandboxed() {
    let unit = folder().join("dockbeacon.service");
    let Some(output) = analyze(&["security", "--offline=true", "--threshold=20"], &unit) else { return };
    assert!(output.status.success(), "{}", text(&output));
}

/// The unit names these; a group that does not exist keeps it from starting.
#[test]
fn users_and_groups_of_the_unit_are_declared() {
    let unit = std::fs::read_to_string(folder().join("dockbeacon.service")).unwrap();
    let declared = std::fs::read_to_string(folder().join("sysusers.d/dockbeacon.conf")).unwrap();
    let declares =
        |kind: &str, name: &str| declared.lines().any(|line| line.starts_with(&format!("{kind} {name} ")));
    let value = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)).unwrap().to_owned();
    assert!(declares("u", &value("User=")));
    for group in value("SupplementaryGroups=").split(' ') {
        assert!(declares("g", group), "{group}");
    }
}

#[test]
fn what_root_does_for_the_daemon_is_sandboxed_and_without_mistakes() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["dockbeacon-host.service", "dockbeacon-host.path"] {
        let unit = std::fs::read_to_string(folder().join(name)).unwrap();
        std::fs::write(dir.path().join(name), unit.replace("/usr/bin/dockbeacon ", "/bin/true ")).unwrap();
    }
    let Some(output) = analyze(&["--man=no", "verify"], &dir.path().join("dockbeacon-host.path")) else {
        return;
    };
    let about_us: Vec<String> =
        text(&output).lines().filter(|line| line.contains("dockbeacon")).map(str::to_owned).collect();
    assert!(about_us.is_empty(), "{about_us:#?}");
    let unit = folder().join("dockbeacon-host.service");
    let Some(output) = analyze(&["security", "--offline=true", "--threshold=20"], &unit) else { return };
    assert!(output.status.success(), "{}", text(&output));
}

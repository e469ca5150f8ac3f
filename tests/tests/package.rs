//! What the Debian package does when it is installed, and how `scripts/deploy` brings it there, with stand-ins for systemd's
//! programs, for ssh and for sudo.
//!
//! Owns those stand-ins. Must never install anything on this machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// A program of this name that does this instead.
fn stand_in(folder: &Path, name: &str, script: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs `postinst configure 1.0` where `systemctl` goes through these states, one for each look: the invocation's id, the active
/// state, and how often the unit has been started again by itself. Gives whether it was content, and what it said.
fn upgrade(states: &[(&str, &str, u32)]) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let program = |name: &str, script: &str| stand_in(&at("bin"), name, script);
    for name in ["systemd-sysusers", "systemd-tmpfiles", "udevadm", "journalctl"] {
        program(name, "exit 0");
    }
    // A look ends with a second's pause; no second passes here.
    program("sleep", &format!("echo x >>{}", at("looks").display()));
    let mut lines = String::new();
    for (id, state, restarts) in states {
        lines += &format!("{id} {state} {restarts}\n");
    }
    std::fs::write(at("states"), lines).unwrap();
    program(
        "systemctl",
        &format!(
            "n=$(($(cat {looks} 2>/dev/null | wc -l) + 1)); all=$(wc -l <{states}); [ $n -le $all ] || n=$all\n\
             set -- \"$@\"; read -r id state restarts <<LINE\n$(sed -n ${{n}}p {states})\nLINE\n\
             case \"$*\" in *ActiveState*) echo $state ;; *InvocationID*) echo $id ;; *NRestarts*) echo $restarts ;;\n\
             *SubState*) echo auto-restart ;; *StatusText*) ;; *\" restart \"*|\"restart \"*) echo restart >>{did} ;;\n\
             reset-failed*) echo reset-failed >>{did} ;; esac",
            looks = at("looks").display(),
            states = at("states").display(),
            did = at("did").display(),
        ),
    );
    for kept in ["lib/previous", "bin-installed", "units"] {
        std::fs::create_dir_all(at(kept)).unwrap();
    }
    for name in ["dockbeacon", "dockbeacon.service"] {
        std::fs::write(at("lib/previous").join(name), "before").unwrap();
        std::fs::set_permissions(at("lib/previous").join(name), std::fs::Permissions::from_mode(0o755))
            .unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../image/deb/postinst");
    let script = std::fs::read_to_string(script)
        .unwrap()
        .replace("/usr/lib/dockbeacon/previous", &at("lib/previous").display().to_string())
        .replace("/usr/lib/systemd/system", &at("units").display().to_string())
        .replace("/usr/bin/dockbeacon", &at("bin-installed/dockbeacon").display().to_string())
        .replace("/run/systemd/system", &folder.path().display().to_string());
    std::fs::write(at("postinst"), script).unwrap();
    let path = format!("{}:/usr/bin:/bin", at("bin").display());
    let output = Command::new("sh")
        .arg(at("postinst"))
        .args(["configure", "1.0"])
        .env_clear()
        .env("PATH", path)
        .output()
        .unwrap();
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    let did = std::fs::read_to_string(at("did")).unwrap_or_default();
    assert!(did.starts_with("reset-failed\nrestart\n"), "{did}{said}");
    let back = at("bin-installed/dockbeacon").exists();
    assert_eq!(
        back,
        !output.status.success(),
        "the earlier program is back only where the new one failed: {said}"
    );
    (output.status.success(), said)
}

#[test]
fn only_what_the_new_program_does_counts() {
    // The old one is still up, then stopping, with many restarts of its own; the new one comes up.
    let (content, said) = upgrade(&[
        ("old", "active", 7),
        ("old", "active", 7),
        ("old", "deactivating", 7),
        ("new", "activating", 0),
        ("new", "active", 0),
    ]);
    assert!(content && said.contains("dockbeacon runs"), "{said}");
    // The old one is up, and the new one ends again and again.
    let (content, said) = upgrade(&[
        ("old", "active", 0),
        ("n1", "activating", 1),
        ("n2", "activating", 2),
        ("n3", "activating", 3),
    ]);
    assert!(!content && said.contains("the earlier version is back"), "{said}");
    // It never gets away from the old one.
    let (content, said) = upgrade(&[("old", "active", 0)]);
    assert!(!content && said.contains("does not report ready"), "{said}");
}

/// Runs `scripts/deploy alice@device` where the device is this machine without root: ssh runs the command here, and sudo wants a
/// terminal for its password. `install` and `status` are what apt-get and the new program answer.
fn deploy(install: &str, status: &str) -> (bool, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let program = |name: &str, script: &str| stand_in(&at("bin"), name, script);
    program(
        "ssh",
        "while :; do case $1 in -t) export TERMINAL=yes; shift ;; -O) exit 0 ;; -o | -i | -p) shift 2 ;; *) break ;; esac; done\n\
         shift\n[ \"$1\" != -t ] || { export TERMINAL=yes; shift; }\nexec sh -c \"$(echo \"$*\" | sed 's,/run/systemd/system,/tmp,; s,id -u,echo 1000,')\"",
    );
    let did = at("did");
    program(
        "sudo",
        "[ \"$1\" != -n ] || exit 1\n[ -n \"$TERMINAL\" ] || { echo 'sudo: a terminal is required' >&2; exit 1; }\nexec \"$@\"",
    );
    program("apt-get", &format!("echo \"$@\" >>{}; {install}", did.display()));
    program("dockbeacon", status);
    program("journalctl", "echo 'Claim code: K7QF-2M9T-XW3B'");
    let arch = Command::new("dpkg").arg("--print-architecture").output().unwrap();
    let arch = String::from_utf8(arch.stdout).unwrap();
    std::fs::create_dir_all(at("deb/DEBIAN")).unwrap();
    let control =
        format!("Package: trial\nVersion: 1\nArchitecture: {arch}Maintainer: nobody\nDescription: trial\n");
    std::fs::write(at("deb/DEBIAN/control"), control).unwrap();
    let built = Command::new("dpkg-deb").arg("--build").arg(at("deb")).arg(at("trial.deb")).output().unwrap();
    assert!(built.status.success(), "{built:?}");
    let path = format!("{}:{}", at("bin").display(), std::env::var("PATH").unwrap());
    let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/deploy"))
        .arg("--deb")
        .arg(at("trial.deb"))
        .arg("alice@device")
        .env("PATH", path)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.success(), said, std::fs::read_to_string(did).unwrap_or_default())
}

#[test]
fn deploy_works_where_sudo_asks_for_a_password() {
    let (done, said, did) = deploy("exit 0", "echo 'All is well.'");
    assert!(done && said.contains("All is well.") && said.contains("Claim code: K7QF"), "{said}");
    assert!(did.contains("install /tmp/dockbeacon-deploy."), "{did}");
    let file = did.split_whitespace().last().unwrap();
    assert!(!Path::new(file).exists(), "{file} stays there");
    let (done, said, _) = deploy("exit 1", "exit 0");
    assert!(!done && said.contains("the installation failed"), "{said}");
    let (done, said, _) = deploy("exit 0", "exit 4");
    assert!(!done && said.contains("it is installed, but not well"), "{said}");
}

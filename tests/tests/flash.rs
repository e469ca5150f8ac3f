//! `scripts/flash` on loop devices: writes, verifies, refuses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root(program: &str, args: &[&str]) -> Output {
    let mut command = if nix::unistd::geteuid().is_root() {
        Command::new(program)
    } else {
        let mut sudo = Command::new("sudo");
        sudo.arg("-n").arg(program);
        sudo
    };
    command.args(args).output().unwrap_or_else(|e| panic!("{program}: {e}"))
}

fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A loop device over a file of that many MiB; gone when dropped.
struct Disk(String);

impl Disk {
    fn new(file: &Path, mebibytes: u64) -> Self {
        std::fs::File::create(file).unwrap().set_len(mebibytes << 20).unwrap();
        Self(done(&root("losetup", &["--find", "--show", file.to_str().unwrap()])).trim().to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        root("losetup", &["--detach", &self.0]);
    }
}

/// An image as small as may be: an MBR with one FAT partition at 1 MiB, and something to compare.
fn image(place: &Path) -> PathBuf {
    let path = place.join("small.img");
    std::fs::write(&path, vec![0x5a; 20 << 20]).unwrap();
    let table = format!(
        "printf 'label: dos\\nstart=2048,size=36864,type=c\\n' | /usr/sbin/sfdisk -q {0} && /usr/sbin/mkfs.fat -F 16 --offset 2048 {0} 18432",
        path.display()
    );
    done(&Command::new("sh").args(["-c", &table]).output().unwrap());
    path
}

fn flash(words: &[&str]) -> (bool, String) {
    flash_with(Path::new("/nowhere"), words)
}

/// The same, where programs are found in this folder first.
fn flash_with(programs: &Path, words: &[&str]) -> (bool, String) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/flash");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(script);
    let output = command.args(words).env("PATH", path).stdin(std::process::Stdio::null()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn p10_flash_writes_reads_back_and_adds_the_owners_files() {
    let place = tempfile::tempdir().unwrap();
    let image = image(place.path());
    let card = place.path().join("card");
    let disk = Disk::new(&card, 32);
    let config = place.path().join("mine.yaml");
    std::fs::write(&config, "hostname: cupboard\n").unwrap();
    std::fs::create_dir_all(place.path().join("apps/web")).unwrap();
    std::fs::write(place.path().join("apps/web/compose.yaml"), "services: {}\n").unwrap();

    let apps = place.path().join("apps");
    let plain = |words: &[&str]| flash(&[&[image.to_str().unwrap(), &disk.0, "--yes"], words].concat());
    let (ok, said) = plain(&[]);
    assert!(ok, "{said}");
    let written = std::fs::read(&card).unwrap();
    assert_eq!(written[..20 << 20], std::fs::read(&image).unwrap()[..]);

    let (ok, said) = plain(&["--config", config.to_str().unwrap(), "--apps", apps.to_str().unwrap()]);
    assert!(ok, "{said}");
    let boot = format!("{}@@1M", card.display());
    let read = |name: &str| done(&Command::new("mtype").args(["-i", &boot, name]).output().unwrap());
    assert_eq!(read("::dockbeacon.yaml"), "hostname: cupboard\n");
    assert_eq!(read("::apps/web/compose.yaml"), "services: {}\n");

    // As it is downloaded, with the checksum beside it; then the same damaged.
    done(
        &Command::new("sh")
            .arg("-c")
            .arg(format!(
                "cd {} && xz -1 -k small.img && sha256sum small.img.xz >small.sha256",
                place.path().display()
            ))
            .output()
            .unwrap(),
    );
    let packed = place.path().join("small.img.xz");
    let (ok, said) = flash(&[packed.to_str().unwrap(), &disk.0, "--yes"]);
    assert!(ok, "{said}");
    assert_eq!(std::fs::read(&card).unwrap()[..20 << 20], std::fs::read(&image).unwrap()[..]);
    std::fs::write(place.path().join("small.sha256"), format!("{}  small.img.xz\n", "0".repeat(64))).unwrap();
    let (ok, said) = flash(&[packed.to_str().unwrap(), &disk.0, "--yes"]);
    assert!(!ok && said.contains("does not fit"), "{said}");
}

/// A program of this name that does this instead.
fn instead(folder: &Path, name: &str, script: &str) {
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn p10_flash_writes_any_card_of_its_list_and_locks_it_meanwhile() {
    let place = tempfile::tempdir().unwrap();
    let image = image(place.path());
    let [first, second] = ["first", "second"].map(|name| Disk::new(&place.path().join(name), 32));
    // Two card readers, as the kernel would list them.
    let programs = place.path().join("bin");
    let disk = |name: &str| {
        format!(
            r#"{{"name":"{name}","type":"disk","rm":true,"hotplug":true,"tran":"usb","size":32000000,"model":"Reader"}}"#
        )
    };
    let list = format!(r#"{{"blockdevices":[{},{}]}}"#, disk(&first.0), disk(&second.0));
    instead(
        &programs,
        "lsblk",
        &format!(
            "case \"$*\" in -dJbp*) echo '{list}' ;; '-dnro TYPE'*) echo disk ;; *) exec /usr/bin/lsblk \"$@\" ;; esac"
        ),
    );
    let seen = place.path().join("seen");
    instead(
        &programs,
        "dd",
        &format!(
            "for word; do case $word in ?f=/dev/*) flock --nonblock \"${{word#?f=}}\" true; echo $? >>{} ;; esac; done\n\
             exec /usr/bin/dd \"$@\"",
            seen.display()
        ),
    );
    let (ok, said) = flash_with(&programs, &[]);
    assert!(ok && said.contains(&first.0) && said.contains(&second.0), "{said}");
    for disk in [&first, &second] {
        let (ok, said) = flash_with(&programs, &[image.to_str().unwrap(), &disk.0, "--yes"]);
        assert!(ok, "{said}");
        assert!(root("flock", &["--nonblock", &disk.0, "true"]).status.success(), "still locked");
    }
    for name in ["first", "second"] {
        let written = std::fs::read(place.path().join(name)).unwrap();
        assert_eq!(written[..20 << 20], std::fs::read(&image).unwrap()[..]);
    }
    // Under sudo, programs are not looked for there.
    if nix::unistd::geteuid().is_root() {
        assert_eq!(std::fs::read_to_string(seen).unwrap(), "1\n1\n1\n1\n", "locked while written and read");
    }
}

#[test]
fn p10_flash_refuses_what_is_not_a_card() {
    let place = tempfile::tempdir().unwrap();
    let image = image(place.path());
    let image = image.to_str().unwrap();
    let disk = Disk::new(&place.path().join("card"), 8);
    let system = Command::new("findmnt").args(["-nro", "SOURCE", "--target", "/"]).output().unwrap();
    let system = String::from_utf8(system.stdout).unwrap().trim().to_owned();
    let mut refused = vec![
        (vec![image, "/dev/null", "--yes"], "is not a disk"),
        (vec![image, "/no/such/device", "--yes"], "there is no such device"),
        (vec!["/no/such/image", &disk.0, "--yes"], "there is no such file"),
        (vec![image, &disk.0, "--yes"], "use a bigger card"),
        (vec![image, &disk.0, "--apps", "/no/such/folder"], "there is no such folder"),
        (vec![image, &disk.0, "--colour"], "unknown option"),
    ];
    if Path::new(&system).exists() {
        refused.push((vec![image, &system, "--yes"], "from it"));
    }
    for (words, why) in refused {
        let (ok, said) = flash(&words);
        assert!(!ok && (said.contains(why) || why == "from it"), "{words:?}: {said}");
    }

    // Nobody answers the question.
    let big = Disk::new(&place.path().join("big"), 32);
    let (ok, said) = flash(&[image, &big.0]);
    assert!(!ok && said.contains("nothing was written"), "{said}");
    assert!(std::fs::read(place.path().join("big")).unwrap().iter().all(|byte| *byte == 0));

    // Mounted.
    done(&root("mkfs.ext4", &["-q", &big.0]));
    let there = place.path().join("mounted");
    std::fs::create_dir(&there).unwrap();
    done(&root("mount", &[&big.0, there.to_str().unwrap()]));
    let (ok, said) = flash(&[image, &big.0, "--yes"]);
    root("umount", &[there.to_str().unwrap()]);
    assert!(!ok && said.contains("is mounted at"), "{said}");
}

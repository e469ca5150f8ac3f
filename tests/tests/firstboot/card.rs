//! A folder that stands for a card, and the real program run on it.
//!
//! Owns the folder and what is compared of it. Must never touch the machine outside it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Result, ensure};
use dockbeacon_tests::daemon::program;
use serde_json::Value;
use tempfile::TempDir;

/// A public key that belongs to nobody.
pub const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGHVTdzxzHJB6Oq2jPtu3z2FTQe3mOD1L1JSTh4FQY0E alice@laptop";

/// The card.
pub struct Card {
    folder: TempDir,
}

impl Card {
    /// As it comes out of the image, as far as first boot looks.
    pub fn new() -> Self {
        let card = Self { folder: tempfile::tempdir().unwrap() };
        for folder in
            ["boot/firmware", "home", "proc/net", "var/lib/docker", "var/lib/containerd", "srv/apps"]
        {
            fs::create_dir_all(card.path(folder)).unwrap();
        }
        card.write("usr/lib/dockbeacon/build-time", "1700000000\n");
        card.write(
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/bash\ndockbeacon:x:990:991::/var/lib/dockbeacon:/usr/sbin/nologin\n",
        );
        card.write("etc/shadow", "root:*:19000:0:99999:7:::\ndockbeacon:!:19000::::::\n");
        card.write("etc/group", "root:x:0:\nsudo:x:27:\ngpio:x:99:\ndocker:x:998:\ndockbeacon:x:991:\n");
        card.write("etc/gshadow", "root:*::\nsudo:*::\ngpio:*::\ndocker:*::\ndockbeacon:*::\n");
        card.write("etc/hosts", "127.0.0.1\tlocalhost\n");
        card.write("etc/dockbeacon/config.yaml", "http:\n  listen: \"[::]:3625\"\n");
        card.write("etc/docker/daemon.json", "{\"live-restore\": true}\n");
        card.write(
            "usr/lib/systemd/system/ssh.service",
            "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n",
        );
        // Making keys takes seconds; the one test that is about them removes these.
        for kind in ["ed25519", "ecdsa", "rsa"] {
            card.write(&format!("etc/ssh/ssh_host_{kind}_key"), "made before");
            card.write(&format!("etc/ssh/ssh_host_{kind}_key.pub"), "made before");
        }
        card
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    pub fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A file of the boot partition; `KEY` in it becomes a key.
    pub fn boot(&self, name: &str, text: &str) {
        self.write(&format!("boot/firmware/{name}"), &text.replace("KEY", KEY));
    }

    pub fn text(&self, inside: &str) -> String {
        fs::read_to_string(self.path(inside)).unwrap_or_else(|error| panic!("{inside}: {error}"))
    }

    pub fn has(&self, inside: &str) -> bool {
        fs::symlink_metadata(self.path(inside)).is_ok()
    }

    /// Whether a folder is there, with nothing in it.
    pub fn empty_folder(&self, inside: &str) -> bool {
        fs::read_dir(self.path(inside)).is_ok_and(|mut entries| entries.next().is_none())
    }

    /// As `adduser` does it.
    pub fn adds_account(&self, name: &str) {
        for (file, line) in [
            ("etc/passwd", format!("{name}:x:1500:1500::/:/bin/bash\n")),
            ("etc/shadow", format!("{name}:!:19000:0:99999:7:::\n")),
            ("etc/group", format!("{name}:x:1500:\n")),
            ("etc/gshadow", format!("{name}:!::\n")),
        ] {
            self.write(file, &(self.text(file) + &line));
        }
    }

    pub fn mode(&self, inside: &str) -> u32 {
        fs::metadata(self.path(inside)).unwrap().permissions().mode() & 0o7777
    }

    /// The program, to be run on it.
    pub fn command(&self, stage: &str) -> Command {
        command_on(self.root(), stage)
    }

    /// A start of the device: what is in `/run` is gone.
    pub fn boots(&self, stage: &str, more: &[(&str, &str)]) -> Output {
        let _ = fs::remove_dir_all(self.path("run"));
        self.command(stage).envs(more.iter().copied()).output().unwrap()
    }

    /// A start that goes well; what it said.
    pub fn boots_well(&self, stage: &str) -> String {
        let output = self.boots(stage, &[]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    pub fn report(&self, stage: &str) -> Value {
        serde_json::from_str(&self.text(&format!("run/dockbeacon-firstboot/{stage}.json"))).unwrap()
    }

    /// How a step ended, and what was said of it.
    pub fn step(&self, stage: &str, step: &str) -> (String, String) {
        let report = self.report(stage);
        let line = report["steps"].as_array().unwrap().iter().find(|line| line["step"] == step).cloned();
        let line = line.unwrap_or_else(|| panic!("no {step} in {report:#}"));
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        (text("outcome"), text("message"))
    }

    /// Every file with its mode and content, without what is random by nature or of the moment.
    pub fn snapshot(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        collect(self.root(), "", &mut found);
        found
    }
}

/// A disk of its own at a folder, until it is dropped.
pub struct Disk(PathBuf);

impl Disk {
    pub fn mount(folder: PathBuf, size: &str) -> Result<Self> {
        let options = format!("size={size}");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&folder).status()?;
        ensure!(mounted.success(), "tmpfs cannot be mounted");
        Ok(Self(folder))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// The program, to be run on the card in that folder.
pub fn command_on(root: &Path, stage: &str) -> Command {
    let mut command = Command::new(program().unwrap());
    command.args(["firstboot", "--stage", stage, "--root"]).arg(root);
    command
}

fn collect(folder: &Path, inside: &str, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if inside.is_empty() { name } else { format!("{inside}/{name}") };
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            found.insert(path, format!("-> {}", fs::read_link(entry.path()).unwrap().display()));
        } else if kind.is_dir() {
            // Empty folders count too.
            found.insert(format!("{path}/"), String::new());
            collect(&entry.path(), &path, found);
        } else if !path.starts_with("run/")
            && !["etc/passwd-", "etc/shadow-", "etc/group-", "etc/gshadow-"].contains(&path.as_str())
        {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
            let text = String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned();
            found.insert(path.clone(), format!("{mode:o} {}", constant(&path, &text)));
        }
    }
}

/// The text without salts and codes.
fn constant(path: &str, text: &str) -> String {
    if path.contains("/tls/") {
        // Its length differs too.
        return "made at random".to_owned();
    }
    let lines = text.lines().map(|line| match line.split_once(":$6$") {
        Some((name, _)) if path == "etc/shadow" => format!("{name}:hashed"),
        Some(_) | None if line.contains("Claim code") => "code".to_owned(),
        Some(_) | None if path.ends_with("claim-code") => "made at random".to_owned(),
        Some(_) | None if path.ends_with("claim.txt") && line.contains(':') && !line.contains("//") => {
            "made at random".to_owned()
        }
        Some(_) | None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

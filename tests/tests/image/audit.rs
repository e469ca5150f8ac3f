//! What the image must and must not hold, read from its file systems without mounting them.
//!
//! Owns the rules for what is shipped. Must never need the machine to run; that is `boot.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;

use dockbeacon_tests::card::{self, Card};

fn card() -> &'static Card {
    static CARD: OnceLock<Card> = OnceLock::new();
    CARD.get_or_init(|| card::image().unwrap())
}

fn text(path: &str) -> String {
    card().text(path).unwrap_or_else(|e| panic!("{path}: {e:#}"))
}

fn repo() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A value of `image/settings`.
fn setting(name: &str) -> String {
    let settings = std::fs::read_to_string(repo().join("image/settings")).unwrap();
    let found = settings.lines().find_map(|line| line.strip_prefix(&format!("{name}="))).unwrap();
    found.to_owned()
}

/// Lines that say something.
fn said(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#') && !line.starts_with("//"))
}

#[test]
fn two_partitions_and_room_behind_them() {
    let partitions = card().partitions().unwrap();
    let mib = 1024 * 1024;
    assert_eq!(partitions.len(), 2, "{partitions:?}");
    assert_eq!((partitions[0].start, partitions[0].size, partitions[0].kind), (4 * mib, 512 * mib, 0xc));
    assert_eq!((partitions[1].start, partitions[1].kind), (516 * mib, 0x83));
    assert_eq!(card().disk_id().unwrap(), setting("disk_id"));
    let length = card().path.metadata().unwrap().len();
    assert_eq!(partitions[1].start + partitions[1].size, length, "nothing follows the root");
}

#[test]
fn both_file_systems_are_clean() {
    let folder = tempfile::tempdir().unwrap();
    card().copy_to(&folder.path().join("card.img"), 0).unwrap().check().unwrap();
}

#[test]
fn it_is_small() {
    use std::os::unix::fs::MetadataExt;
    let file = card().path.metadata().unwrap();
    println!(
        "{} MB on the card, {} MB of them data",
        file.len() / 1_000_000,
        file.blocks() * 512 / 1_000_000
    );
    assert!(file.len() < 1_600_000_000, "{} bytes", file.len());
}

#[test]
fn the_boot_partition_starts_every_board() {
    let names = card().boot_names().unwrap();
    for wanted in
        ["bootcode.bin", "start.elf", "start4.elf", "fixup.dat", "fixup4.dat", "config.txt", "cmdline.txt"]
            .into_iter()
            .chain([
                "bcm2837-rpi-3-b.dtb",
                "bcm2837-rpi-3-b-plus.dtb",
                "bcm2837-rpi-3-a-plus.dtb",
                "bcm2711-rpi-4-b.dtb",
            ])
    {
        assert!(names.iter().any(|n| n == wanted), "{wanted} is not in {names:?}");
    }
    assert!(!card().boot_read("overlays/dockbeacon-panel.dtbo").unwrap().is_empty());
    assert!(text("/usr/lib/udev/rules.d/70-dockbeacon.rules").contains("dockbeacon-button"));
    for start in ["vmlinuz-", "initrd.img-"] {
        assert_eq!(names.iter().filter(|n| n.starts_with(start)).count(), 1, "{start} in {names:?}");
    }
    // The owner's files, and Raspberry Pi Imager's, come later.
    let owners = [
        "user-data",
        "network-config",
        "meta-data",
        "dockbeacon.yaml",
        "custom.toml",
        "dockbeacon-claim.txt",
    ];
    assert!(names.iter().all(|n| !owners.contains(&n.as_str())), "{names:?}");
}

#[test]
fn kernel_and_panel_are_told_what_they_need() {
    let cmdline = String::from_utf8(card().boot_read("cmdline.txt").unwrap()).unwrap();
    let words: BTreeSet<&str> = cmdline.split_whitespace().collect();
    assert_eq!(cmdline.trim_end().lines().count(), 1, "{cmdline}");
    assert!(words.contains(format!("root=PARTUUID={}-02", setting("disk_id")).as_str()), "{cmdline}");
    assert!(words.contains("fsck.repair=yes") && words.contains("rootwait"), "{cmdline}");
    assert!(!cmdline.contains("cma="), "a Pi 4 does not boot with it: {cmdline}");
    assert!(!cmdline.contains("cgroup_disable"), "{cmdline}");
    let config = String::from_utf8(card().boot_read("config.txt").unwrap()).unwrap();
    let lines: BTreeSet<&str> = said(&config).collect();
    for wanted in ["arm_64bit=1", "gpio=26=ip,pu", "gpio=17,22,27=op,dl"] {
        assert!(lines.contains(wanted), "{wanted} is not in config.txt:\n{config}");
    }
    // The button's pull-up and the lamps' off lie on the lines that the daemon has by default.
    let kernel = lines.iter().find_map(|l| l.strip_prefix("kernel=")).unwrap().to_owned();
    let initrd = lines.iter().find_map(|l| l.strip_prefix("initramfs ")).unwrap().to_owned();
    let names = card().boot_names().unwrap();
    assert!(names.contains(&kernel) && names.contains(&initrd), "{kernel}, {initrd}: {names:?}");
    assert_eq!(kernel.trim_start_matches("vmlinuz-"), initrd.trim_start_matches("initrd.img-"));
    let built_with = text(&format!("/boot/config-{}", kernel.trim_start_matches("vmlinuz-")));
    for wanted in ["CONFIG_MEMCG=y", "CONFIG_OVERLAY_FS=m", "CONFIG_BCM2835_WDT=m", "CONFIG_GPIO_CDEV=y"] {
        assert!(built_with.lines().any(|l| l == wanted || l == wanted.replace("=m", "=y")), "{wanted}");
    }
}

#[test]
fn nobody_has_a_password_and_nobody_a_key() {
    for line in text("/etc/shadow").lines() {
        let password = line.split(':').nth(1).unwrap();
        assert!(["*", "!", "!*", "!!"].contains(&password), "{line}");
    }
    for line in text("/etc/passwd").lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let id: u32 = fields[2].parse().unwrap();
        assert!(!(1000..60000).contains(&id), "a user in the image: {line}");
    }
    for line in text("/etc/group").lines() {
        let fields: Vec<&str> = line.split(':').collect();
        if ["docker", "dockbeacon", "sudo", "gpio"].contains(&fields[0]) {
            assert_eq!(fields[3], "", "{line}");
        }
    }
    assert!(
        card().entry("/root/.ssh").unwrap().is_none_or(|_| card().list("/root/.ssh").unwrap().is_empty())
    );
    assert_eq!(card().list("/home").unwrap(), []);
    let sshd = text("/etc/ssh/sshd_config.d/60-dockbeacon.conf");
    assert!(
        sshd.contains("\nPasswordAuthentication no\n") && sshd.contains("\nPermitRootLogin no\n"),
        "{sshd}"
    );
}

#[test]
fn no_card_is_like_another() {
    assert_eq!(text("/etc/machine-id"), "uninitialized\n", "made at the first boot");
    assert_eq!(text("/etc/hostname").trim(), "dockbeacon");
    let ssh: Vec<String> = card().list("/etc/ssh").unwrap().into_iter().map(|e| e.name).collect();
    assert!(ssh.iter().all(|n| !n.starts_with("ssh_host_")), "{ssh:?}");
    for gone in
        ["/var/lib/systemd/random-seed", "/var/lib/systemd/credential.secret", "/var/lib/dbus/machine-id"]
    {
        // A link to /etc/machine-id tells nothing.
        if let Some(entry) = card().entry(gone).unwrap() {
            assert_eq!(entry.mode & 0o170_000, 0o120_000, "{gone}: {entry:?}");
        }
    }
    assert_eq!(card().list("/var/lib/NetworkManager").unwrap(), [], "no lease and no secret key");
    assert_eq!(card().list("/etc/NetworkManager/system-connections").unwrap(), []);
}

#[test]
fn packages_come_from_debian_and_the_build_left_no_trace() {
    let mut sources = BTreeSet::new();
    for entry in card().list("/etc/apt/sources.list.d").unwrap() {
        let content = text(&format!("/etc/apt/sources.list.d/{}", entry.name));
        sources.extend(content.lines().filter_map(|l| l.strip_prefix("URIs: ")).map(str::to_owned));
    }
    let debian = ["http://deb.debian.org/debian", "http://deb.debian.org/debian-security"];
    assert_eq!(sources, debian.map(str::to_owned).into());
    assert_eq!(card().entry("/etc/apt/sources.list").unwrap(), None);
    let lists: Vec<_> =
        card().list("/var/lib/apt/lists").unwrap().into_iter().filter(|e| e.name != "partial").collect();
    assert_eq!(lists, []);
    let cache: BTreeSet<String> =
        card().list("/var/cache/apt").unwrap().into_iter().map(|e| e.name).collect();
    assert!(cache.iter().all(|n| n == "archives"), "{cache:?}");
    assert!(
        card().list("/var/cache/apt/archives").unwrap().iter().all(|e| e.size == 0 || e.name == "partial")
    );
    for entry in card().list("/var/log").unwrap() {
        let file = entry.mode & 0o170_000 == 0o100_000;
        assert!(!file || entry.size == 0, "/var/log/{} is not empty", entry.name);
    }
    assert_eq!(text("/etc/resolv.conf"), "");
    for folder in ["/tmp", "/var/tmp"] {
        assert_eq!(card().list(folder).unwrap(), [], "{folder}");
    }
}

#[test]
fn the_daemon_is_static_and_small() {
    let entry = card().entry("/usr/bin/dockbeacon").unwrap().unwrap();
    assert_eq!((entry.mode & 0o7777, entry.uid, entry.gid), (0o755, 0, 0));
    assert!(entry.size < 8_000_000, "{} bytes", entry.size);
    let program = card().read("/usr/bin/dockbeacon").unwrap();
    assert_eq!(&program[..5], b"\x7fELF\x02");
    assert_eq!(u16::from_le_bytes([program[18], program[19]]), 183, "it is for aarch64");
    // Program headers: none asks for an interpreter (PT_INTERP is 3).
    let at = usize::try_from(u64::from_le_bytes(program[32..40].try_into().unwrap())).unwrap();
    let size = usize::from(u16::from_le_bytes([program[54], program[55]]));
    let count = usize::from(u16::from_le_bytes([program[56], program[57]]));
    let kinds = (0..count).map(|i| u32::from_le_bytes(program[at + i * size..][..4].try_into().unwrap()));
    assert!(!kinds.into_iter().any(|kind| kind == 3), "it is not static");
}

#[test]
fn the_engine_is_set_up_for_a_card() {
    let daemon: serde_json::Value = serde_json::from_str(&text("/etc/docker/daemon.json")).unwrap();
    assert_eq!(daemon["storage-driver"], "overlay2");
    assert_eq!(daemon["live-restore"], true);
    assert_eq!(daemon["log-driver"], "local");
    assert_eq!(daemon["log-opts"], serde_json::json!({ "max-size": "10m", "max-file": "3" }));
    for program in ["/usr/bin/docker", "/usr/sbin/dockerd", "/usr/bin/containerd", "/usr/sbin/runc"] {
        assert!(card().entry(program).unwrap().is_some(), "{program}");
    }
    let plugins = card().list("/usr/libexec/docker/cli-plugins").unwrap();
    assert!(plugins.iter().any(|p| p.name == "docker-compose"), "{plugins:?}");
}

#[test]
fn the_card_is_spared() {
    let fstab = text("/etc/fstab");
    let mounts: BTreeMap<&str, Vec<&str>> = said(&fstab)
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .map(|fields| (fields[1], fields))
        .collect();
    let id = setting("disk_id");
    assert_eq!(mounts.len(), 2, "{fstab}");
    assert_eq!(mounts["/"][..3], [format!("PARTUUID={id}-02").as_str(), "/", "ext4"]);
    assert!(mounts["/"][3].split(',').any(|o| o == "noatime"), "{fstab}");
    assert_eq!(mounts["/boot/firmware"][0], format!("PARTUUID={id}-01"));
    let options: BTreeSet<&str> = mounts["/boot/firmware"][3].split(',').collect();
    assert!(options.is_superset(&["nofail", "umask=0077", "x-systemd.automount"].into()), "{fstab}");

    let has = |file: &str, wanted: &[&str]| {
        let content = text(file);
        for line in wanted {
            assert!(said(&content).any(|l| l == *line), "{line} is not in {file}");
        }
    };
    has("/usr/lib/systemd/journald.conf.d/50-dockbeacon.conf", &["Storage=volatile", "RuntimeMaxUse=32M"]);
    has(
        "/usr/lib/systemd/system.conf.d/50-dockbeacon.conf",
        &["RuntimeWatchdogSec=14s", "RebootWatchdogSec=15s"],
    );
    has("/usr/lib/systemd/timesyncd.conf.d/50-dockbeacon.conf", &["SaveIntervalSec=1h"]);
    has("/usr/lib/systemd/zram-generator.conf.d/50-dockbeacon.conf", &["[zram0]"]);
    has(
        "/etc/apt/apt.conf.d/90dockbeacon",
        &[
            "Dir::Cache::pkgcache \"\";",
            "Dir::Cache::srcpkgcache \"\";",
            "APT::Periodic::Unattended-Upgrade \"1\";",
            "Unattended-Upgrade::Package-Blacklist { \"^linux-\"; \"^raspi-firmware$\"; \"^raspberrypi-\"; \"^rpi-\"; };",
        ],
    );
}

/// Everything under `systemd/` is on the card, where its kind belongs, and what the presets enable is enabled.
#[test]
fn the_units_are_installed() {
    for entry in std::fs::read_dir(repo().join("systemd")).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_file() {
            let ours = std::fs::read_to_string(entry.path()).unwrap();
            assert_eq!(text(&format!("/usr/lib/systemd/system/{name}")), ours, "{name}");
        }
    }
    let mut enabled = BTreeSet::new();
    for folder in card().list("/etc/systemd/system").unwrap() {
        if folder.mode & 0o170_000 == 0o040_000 && !folder.name.ends_with(".d") {
            let inside = card().list(&format!("/etc/systemd/system/{}", folder.name)).unwrap();
            enabled.extend(inside.into_iter().map(|e| e.name));
        }
    }
    for wanted in [
        "avahi-daemon.service",
        "dockbeacon.service",
        "docker.service",
        "NetworkManager.service",
        "ssh.service",
        "systemd-timesyncd.service",
    ] {
        assert!(enabled.contains(wanted), "{wanted} is not in {enabled:?}");
    }
    for unwanted in ["systemd-networkd.service", "debug-shell.service", "systemd-firstboot.service"] {
        assert!(!enabled.contains(unwanted), "{unwanted}");
    }
    assert_eq!(card().link("/etc/systemd/system/systemd-firstboot.service").unwrap(), "/dev/null");
    for wanted in ["dockbeacon-firstboot.service", "dockbeacon-provision.service", "dockbeacon-host.path"] {
        assert!(enabled.contains(wanted), "{wanted} is not in {enabled:?}");
    }
    // What makes a machine one of ours: without it the units of the first boot stay idle.
    let built: u64 = text("/usr/lib/dockbeacon/build-time").trim().parse().unwrap();
    assert!(built > 1_700_000_000, "{built}");
    assert!(text("/usr/lib/dockbeacon/config.yaml").contains("ladder: true"));
}

#[test]
fn nothing_for_tests_is_shipped() {
    for folder in ["/usr/lib/systemd/system", "/etc/systemd/system", "/usr/lib/dockbeacon", "/usr/local/bin"]
    {
        for entry in card().list(folder).unwrap_or_default() {
            assert!(!entry.name.contains("test"), "{folder}/{}", entry.name);
        }
    }
}

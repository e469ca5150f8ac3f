//! The steps before the daemon: a card becomes a device, whatever happens to its power.

use std::collections::BTreeSet;

use crate::card::{Card, KEY};
use crate::is_root;

const FILE: &str = r#"hostname: Shelf-Pi
user:
  name: alice
  password: "correct horse"
  ssh-keys: [KEY]
  groups: [gpio, docker]
  sudo: true
wifi:
  ssid: Home
  password: 'pass word'
  country: de
time-zone: Europe/Berlin
registry-mirrors: https://mirror.example.org
settings:
  update:
    mode: approve
"#;

#[test]
fn a_card_becomes_what_its_file_asks_for() {
    if !is_root() {
        return;
    }
    let card = Card::new();
    card.boot("dockbeacon.yaml", FILE);
    let said = card.boots_well("early");
    assert_eq!(card.text("etc/hostname"), "shelf-pi\n");
    assert_eq!(card.text("etc/hosts"), "127.0.0.1\tlocalhost\n127.0.1.1\tshelf-pi\n");
    assert_eq!(
        std::fs::read_link(card.path("etc/localtime")).unwrap().to_str(),
        Some("../usr/share/zoneinfo/Europe/Berlin")
    );
    let wifi = "etc/NetworkManager/system-connections/dockbeacon-wifi-1.nmconnection";
    assert!(card.text(wifi).contains("\npsk=pass word\n"));
    assert_eq!((card.mode(wifi), card.mode("etc/NetworkManager/system-connections")), (0o600, 0o700));
    let engine: serde_json::Value = serde_json::from_str(&card.text("etc/docker/daemon.json")).unwrap();
    assert_eq!(engine["live-restore"], true);
    assert_eq!(engine["registry-mirrors"][0], "https://mirror.example.org");
    let settings = card.text("etc/dockbeacon/config.yaml");
    assert!(settings.contains("http.listen: \"[::]:3625\"\nupdate.mode: \"approve\"\n"), "{settings}");
    // The account, as the shadow suite made it.
    assert!(card.text("etc/passwd").contains(concat!("\nalice:x:1000:1000::/ho", "me/alice:/bin/bash\n")));
    assert!(card.text("etc/shadow").contains("\nalice:$6$"));
    let groups = card.text("etc/group");
    assert!(groups.contains("gpio:x:99:alice\n") && groups.contains("docker:x:998:\n"), "{groups}");
    assert!(groups.contains("dockbeacon:x:991:\n"), "{groups}");
    assert_eq!(card.text("home/alice/.ssh/authorized_keys"), format!("{KEY}\n"));
    assert_eq!(card.mode("home/alice/.ssh"), 0o700);
    assert_eq!(card.text("etc/sudoers.d/050-dockbeacon-alice"), "alice ALL=(ALL:ALL) ALL\n");
    assert!(card.has("etc/systemd/system/multi-user.target.wants/ssh.service"));
    // The certificate is there before the daemon that serves it, and is the daemon's.
    let key = std::fs::metadata(card.path("var/lib/dockbeacon/tls/key.pem")).unwrap();
    assert_eq!(
        (std::os::unix::fs::MetadataExt::uid(&key), card.mode("var/lib/dockbeacon/tls/key.pem")),
        (990, 0o600)
    );
    // Nothing that was said, reported or left on the boot partition holds a secret.
    let left = card.text("boot/firmware/dockbeacon.yaml");
    assert!(
        left.contains("password: \"XXXXXXXXXXXXX\"\n") && left.contains("password: 'XXXXXXXXX'\n"),
        "{left}"
    );
    assert_eq!(left.len(), FILE.replace("KEY", KEY).len());
    let told = format!("{said}{}", card.report("early"));
    for secret in ["correct horse", "pass word", card.text("var/lib/dockbeacon/claim-code").trim()] {
        assert!(!told.contains(secret), "{told}");
    }
    let problems = card.report("early")["problems"].to_string();
    assert!(problems.contains("alice is not put into the group docker"), "{problems}");
    // How it is claimed.
    let code = card.text("var/lib/dockbeacon/claim-code").trim().to_owned();
    for shown in ["run/issue.d/60-dockbeacon.issue", "boot/firmware/dockbeacon-claim.txt"] {
        let text = card.text(shown);
        assert!(text.contains(&code) && text.contains("https://shelf-pi.local:3625/"), "{text}");
        assert!(text.contains("Certificate  SHA-256 "), "{text}");
    }
}

#[test]
fn keys_are_this_device_s_own() {
    let (one, other) = (Card::new(), Card::new());
    for card in [&one, &other] {
        for kind in ["ed25519", "ecdsa", "rsa"] {
            std::fs::remove_file(card.path(&format!("etc/ssh/ssh_host_{kind}_key"))).unwrap();
        }
        // As a power cut leaves it.
        card.write("etc/ssh/ssh_host_rsa_key", "");
        card.boots_well("early");
        assert_eq!(card.text("etc/hostname"), "dockbeacon\n");
        assert!(card.text("etc/ssh/ssh_host_rsa_key").contains("PRIVATE KEY"));
        assert_eq!(card.mode("etc/ssh/ssh_host_ed25519_key"), 0o600);
    }
    let key = |card: &Card| card.text("etc/ssh/ssh_host_ed25519_key.pub");
    assert_ne!(key(&one), key(&other));
    let before = key(&one);
    one.boots_well("early");
    assert_eq!(key(&one), before);
}

#[test]
fn a_second_start_changes_nothing() {
    if !is_root() {
        return;
    }
    let card = Card::new();
    card.boot("dockbeacon.yaml", FILE);
    card.boots_well("early");
    let (before, shadow) = (card.snapshot(), card.text("etc/shadow"));
    card.boots_well("early");
    assert_eq!(card.snapshot(), before);
    // The password was not hashed anew either.
    assert_eq!(card.text("etc/shadow"), shadow);
    assert_eq!(card.step("early", "customise").0, "nothing");
}

#[test]
fn a_power_cut_at_any_point_ends_the_same() {
    if !is_root() {
        return;
    }
    let whole = Card::new();
    whole.boot("dockbeacon.yaml", FILE);
    let trace = whole.path("../").join(format!("dockbeacon-trace-{}", std::process::id()));
    let traced = whole.boots("early", &[("DOCKBEACON_FAILPOINT_TRACE", trace.to_str().unwrap())]);
    assert!(traced.status.success());
    let passed = std::fs::read_to_string(&trace).unwrap();
    std::fs::remove_file(&trace).unwrap();
    let expected = whole.snapshot();
    let names: BTreeSet<&str> = passed.lines().collect();
    for needed in
        ["firstboot.customise.act", "firstboot.write", "firstboot.overwrite", "firstboot.customise.stamped"]
    {
        assert!(names.contains(needed), "{names:?}");
    }
    for name in names {
        for turn in 1..=passed.lines().filter(|line| *line == name).count() {
            let card = Card::new();
            card.boot("dockbeacon.yaml", FILE);
            let point = format!("{name}#{turn}");
            let cut = card.boots("early", &[("DOCKBEACON_FAILPOINT", point.as_str())]);
            assert!(!cut.status.success(), "{point} was not passed");
            card.boots_well("early");
            let (now, mut wrong) = (card.snapshot(), Vec::new());
            for path in expected.keys().chain(now.keys()).collect::<BTreeSet<_>>() {
                if expected.get(path) != now.get(path) {
                    wrong.push(format!("{path}: {:?} instead of {:?}", now.get(path), expected.get(path)));
                }
            }
            assert!(wrong.is_empty(), "after a cut at {point}:\n{}", wrong.join("\n"));
        }
    }
}

#[test]
fn a_wrong_file_is_told_and_its_correction_is_enough() {
    let card = Card::new();
    card.boot("dockbeacon.yaml", "hostname: shelf\ntime-zone: Berlin\n");
    let output = card.boots("early", &[]);
    // The step failed, the rest went on.
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = "dockbeacon.yaml:2: time-zone: \"Berlin\" is no time zone; write continent and city, such as Europe/Berlin, or UTC";
    assert!(said.contains(line), "{said}");
    assert_eq!(card.step("early", "customise").0, "failed");
    assert_eq!(card.step("early", "claim").0, "done");
    assert_eq!(card.text("etc/hostname"), "dockbeacon\n", "nothing of a wrong file is applied");
    // Still wrong, still told.
    assert_eq!(card.boots("early", &[]).status.code(), Some(1));
    card.boot("dockbeacon.yaml", "hostname: shelf\ntime-zone: Europe/Berlin\n");
    card.boots_well("early");
    assert_eq!(card.text("etc/hostname"), "shelf\n");
    card.boot("dockbeacon.yaml", "hostname: other\ntime-zone: Europe/Berlin\n");
    card.boots_well("early");
    assert_eq!(card.text("etc/hostname"), "other\n", "a changed file is applied again");
}

#[test]
fn with_an_owner_the_boot_partition_is_not_acted_on() {
    let card = Card::new();
    card.boots_well("early");
    assert!(card.has("boot/firmware/dockbeacon-claim.txt"));
    // As the daemon does when it is claimed, and its path unit then.
    card.write("var/lib/dockbeacon/claimed", "");
    card.boots_well("claim");
    assert!(!card.has("boot/firmware/dockbeacon-claim.txt"));
    let banner = card.text("run/issue.d/60-dockbeacon.issue");
    assert!(!banner.contains("Claim code"), "{banner}");
    card.boot("dockbeacon.yaml", "hostname: mine-now\nuser: {name: mallory, ssh-keys: [KEY]}\n");
    card.boots_well("early");
    assert_eq!(card.text("etc/hostname"), "dockbeacon\n");
    assert!(!card.text("etc/passwd").contains("mallory"));
    assert_eq!(card.step("early", "customise").0, "nothing");
}

#[test]
fn a_machine_that_was_not_flashed_is_left_alone() {
    let card = Card::new();
    std::fs::remove_file(card.path("usr/lib/dockbeacon/build-time")).unwrap();
    card.boot("dockbeacon.yaml", "hostname: other\n");
    let before = card.snapshot();
    let output = card.boots("early", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(card.snapshot(), before);
}

#[test]
fn the_clock_is_saved_and_never_goes_back() {
    let card = Card::new();
    card.boots_well("save-clock");
    let saved: i64 = card.text("var/lib/dockbeacon-firstboot/clock").trim().parse().unwrap();
    assert!(saved > 1_700_000_000);
    let later = format!("{}\n", saved + 1_000_000);
    card.write("var/lib/dockbeacon-firstboot/clock", &later);
    card.boots_well("save-clock");
    assert_eq!(card.text("var/lib/dockbeacon-firstboot/clock"), later);
    let said = card.boots_well("early");
    assert!(said.contains("the clock was behind and is set to"), "{said}");
}

#[test]
fn correcting_the_file_keeps_logins_by_a_password_that_was_overwritten() {
    if !is_root() {
        return;
    }
    let card = Card::new();
    card.boot("dockbeacon.yaml", "user: {name: alice, password: 'quiet harbour'}\nssh: true\n");
    card.boots_well("early");
    let sshd = || card.text("etc/ssh/sshd_config.d/50-dockbeacon.conf");
    assert!(sshd().contains("PasswordAuthentication yes"), "{}", sshd());
    let overwritten = card.text("boot/firmware/dockbeacon.yaml");
    assert!(overwritten.contains("XXXXXXXX"), "{overwritten}");
    card.write("boot/firmware/dockbeacon.yaml", &format!("{overwritten}hostname: shelf\n"));
    card.boots_well("early");
    assert_eq!(card.text("etc/hostname"), "shelf\n");
    assert!(sshd().contains("PasswordAuthentication yes"), "{}", sshd());
}

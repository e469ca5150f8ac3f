//! Files as people and Raspberry Pi Imager write them, and what becomes of them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;

use expect_test::{Expect, expect};

use super::acts::{Act, Existing, acts, left_out};
use super::customisation::Customisation;
use super::redact::redacted;
use super::source::{Found, read};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGHVTdzxzHJB6Oq2jPtu3z2FTQe3mOD1L1JSTh4FQY0E alice@laptop";

fn found(files: &[(&'static str, &str)]) -> Option<Found> {
    let files: BTreeMap<&'static str, Vec<u8>> =
        files.iter().map(|(name, text)| (*name, text.replace("KEY", KEY).into_bytes())).collect();
    read(&files)
}

fn good(files: &[(&'static str, &str)]) -> Customisation {
    found(files).unwrap().outcome.unwrap_or_else(|errors| panic!("{}", lines(&errors)))
}

fn errors(files: &[(&'static str, &str)]) -> String {
    lines(&found(files).unwrap().outcome.unwrap_err())
}

fn lines(problems: &[super::Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Everything that is done, secrets and all.
fn shown(c: &Customisation) -> String {
    let existing = Existing {
        hosts: "127.0.0.1 localhost\n127.0.1.1 old\n".to_owned(),
        engine: r#"{"live-restore": true}"#.to_owned(),
        settings: "http:\n  listen: \"[::]:3625\"\nupdate.mode: auto\n".to_owned(),
    };
    let mut text = String::new();
    for act in acts(c, &existing).unwrap() {
        text.push_str(&match act {
            Act::Write(file) => format!("== {} {:o}\n{}", file.path, file.mode, file.content),
            Act::Link { path, target } => format!("== {path} -> {target}\n"),
            Act::HostName(name) => format!("== host name {name}\n"),
            Act::Account(user) => {
                format!(
                    "== account {} in {:?}, {} keys, {:?}\n",
                    user.name,
                    user.groups,
                    user.keys.len(),
                    user.password.map(|p| match p {
                        super::customisation::Password::Plain(s) => format!("plain {}", s.reveal()),
                        super::customisation::Password::Hashed(s) => format!("hashed {}", s.reveal()),
                        super::customisation::Password::Used => "used".to_owned(),
                    })
                )
            }
            Act::Service { unit, on } => format!("== {unit} {on}\n"),
            Act::Now { program, arguments } => format!("== {program} {}\n", arguments.join(" ")),
        });
    }
    text
}

const NATIVE: &str = r#"version: 1
hostname: Shelf-Pi
user:
  name: alice
  password: "correct horse"
  ssh-keys:
    - KEY
  groups: [gpio, docker]
  sudo: true
wifi:
  - ssid: Home; sweet
    password: 'pass word\'
    country: de
  - ssid: Guests
    hidden: true
ethernet:
  address: 192.168.1.50/24
  gateway: 192.168.1.1
  dns: [192.168.1.1, 1.1.1.1]
time-zone: Europe/Berlin
keyboard: de
time-servers: [ntp.example.org]
proxy:
  https: http://me:pw@proxy.example.org:3128
  none: [.example.org]
registry-mirrors: [https://mirror.example.org]
settings:
  update:
    mode: approve
  http:
    token: tokentoken
"#;

#[test]
fn our_own_file() {
    let c = good(&[("dockbeacon.yaml", NATIVE)]);
    assert_eq!(c.country.as_deref(), Some("DE"));
    assert_eq!(
        left_out(&c),
        ["alice is not put into the group docker, which is as good as root; use sudo instead"]
    );
    expect![[r#"
        == etc/hostname 644
        shelf-pi
        == etc/hosts 644
        127.0.0.1 localhost
        127.0.1.1	shelf-pi
        == host name shelf-pi
        == etc/localtime -> ../usr/share/zoneinfo/Europe/Berlin
        == etc/timezone 644
        Europe/Berlin
        == etc/default/keyboard 644
        XKBMODEL="pc105"
        XKBLAYOUT="de"
        XKBVARIANT=""
        XKBOPTIONS=""
        BACKSPACE="guess"
        == setupcon -k --force
        == etc/systemd/timesyncd.conf.d/50-dockbeacon.conf 644
        [Time]
        NTP=ntp.example.org
        == systemctl --no-block try-restart systemd-timesyncd.service
        == etc/modprobe.d/dockbeacon-wifi.conf 644
        options cfg80211 ieee80211_regdom=DE
        == iw reg set DE
        == etc/NetworkManager/system-connections/dockbeacon-wifi-1.nmconnection 600
        [connection]
        id=dockbeacon-wifi-1
        type=wifi

        [wifi]
        mode=infrastructure
        ssid=72;111;109;101;59;32;115;119;101;101;116;

        [wifi-security]
        key-mgmt=wpa-psk
        psk=pass word\\

        [ipv4]
        method=auto

        [ipv6]
        method=auto
        == etc/NetworkManager/system-connections/dockbeacon-wifi-2.nmconnection 600
        [connection]
        id=dockbeacon-wifi-2
        type=wifi

        [wifi]
        mode=infrastructure
        ssid=Guests
        hidden=true

        [ipv4]
        method=auto

        [ipv6]
        method=auto
        == rfkill unblock wifi
        == etc/NetworkManager/system-connections/dockbeacon-wired.nmconnection 600
        [connection]
        id=dockbeacon-wired
        type=ethernet
        autoconnect-priority=10

        [ipv4]
        method=manual
        address1=192.168.1.50/24,192.168.1.1
        dns=192.168.1.1;1.1.1.1;

        [ipv6]
        method=auto
        == etc/docker/daemon.json 600
        {
          "live-restore": true,
          "proxies": {
            "https-proxy": "http://me:pw@proxy.example.org:3128",
            "no-proxy": "localhost,127.0.0.1,::1,.example.org"
          },
          "registry-mirrors": [
            "https://mirror.example.org"
          ]
        }
        == etc/dockbeacon/environment 600
        # Written at first boot. Read by Dockbeacon's units.
        HTTPS_PROXY="http://me:pw@proxy.example.org:3128"
        NO_PROXY="localhost,127.0.0.1,::1,.example.org"
        == etc/dockbeacon/config.yaml 640
        # Written at first boot; `dockbeacon config --default` explains every key.
        http.listen: "[::]:3625"
        update.mode: "approve"
        http.token: "tokentoken"
        schedule.time-zone: "Europe/Berlin"
        == account alice in ["gpio"], 1 keys, Some("plain correct horse")
        == etc/sudoers.d/050-dockbeacon-alice 440
        alice ALL=(ALL:ALL) ALL
        == etc/ssh/sshd_config.d/50-dockbeacon.conf 644
        PasswordAuthentication no
        KbdInteractiveAuthentication no
        PermitRootLogin no
        == ssh.service true
    "#]]
    .assert_eq(&shown(&c));
}

#[test]
fn secrets_are_overwritten_and_then_leave_what_is_there() {
    let text = NATIVE.replace("KEY", KEY);
    let c = good(&[("dockbeacon.yaml", NATIVE)]);
    let ranges: Vec<_> = c.secrets.iter().map(|secret| secret.bytes.clone()).collect();
    let after = String::from_utf8(redacted(text.as_bytes(), &ranges)).unwrap();
    assert_eq!(after.len(), text.len());
    let changed: Vec<&str> =
        after.lines().zip(text.lines()).filter(|(a, b)| a != b).map(|(a, _)| a.trim()).collect();
    assert_eq!(
        changed,
        [
            "password: \"XXXXXXXXXXXXX\"",
            "password: 'XXXXXXXXXX'",
            "https: XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX",
            "token: XXXXXXXXXX"
        ]
    );
    let again = good(&[("dockbeacon.yaml", &after)]);
    assert!(again.secrets.is_empty());
    let shown = shown(&again);
    assert!(!shown.contains("XXX") && !shown.contains("wifi-1.nm") && shown.contains("wifi-2.nm"), "{shown}");
}

#[test]
fn a_byte_order_mark_and_line_ends_of_other_systems() {
    let text = "\u{feff}wifi:\r\n  ssid: Home\r\n  password: secret123\r\n";
    let c = good(&[("dockbeacon.yaml", text)]);
    let after = redacted(text.as_bytes(), &[c.secrets[0].bytes.clone()]);
    assert_eq!(String::from_utf8(after).unwrap(), text.replace("secret123", "XXXXXXXXX"));
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_line() {
    let table: Vec<(&str, Expect)> = vec![
        ("hostnam: x\n", expect!["dockbeacon.yaml:1: hostnam is not known; did you mean hostname?"]),
        (
            "hostname: my pi\ntime-zone: Berlin\nkeyboard: {layout: \"d e\"}\n",
            expect![[r#"
            dockbeacon.yaml:1: hostname: "my pi" is no host name; use up to 63 letters, digits and dashes, with a letter or digit at both ends, such as shelf-pi
            dockbeacon.yaml:2: time-zone: "Berlin" is no time zone; write continent and city, such as Europe/Berlin, or UTC
            dockbeacon.yaml:3: keyboard: "d e" is no keyboard layout; write its short name, such as de, gb or us"#]],
        ),
        (
            "user:\n  name: root\n  ssh-keys: [abc]\n",
            expect![[r#"
            dockbeacon.yaml:2: name: the account root belongs to the system; choose another name
            dockbeacon.yaml:3: ssh-keys: "abc" is no public SSH key; write the one line of the file that ends in .pub, such as ssh-ed25519 AAAA… name"#]],
        ),
        (
            "user:\n  ssh-keys: [KEY]\n",
            expect!["dockbeacon.yaml:2: this account has no name; add name: and a name, such as name: alice"],
        ),
        (
            "wifi:\n  ssid: Home\n  password: short\n",
            expect![
                "dockbeacon.yaml:3: password: a wireless network's password has 8 to 63 characters, this one 5; write it as it stands on the router, in quotes; leave it out for a network without one"
            ],
        ),
        (
            "wifi:\n  password: longenough\n",
            expect![
                "dockbeacon.yaml:2: this wireless network has no name; add ssid: and the name as the router shows it"
            ],
        ),
        (
            "settings:\n  update:\n    mode: sometimes\n  corn: 1\n",
            expect![[r#"
            dockbeacon.yaml:3: update.mode: "sometimes" is not an update mode; write auto, approve, monitor or off
            dockbeacon.yaml:4: corn is not a setting; `dockbeacon config --default` lists all settings"#]],
        ),
        (
            "proxy:\n  http: proxy:3128\nregistry-mirrors: mirror\nethernet:\n  address: 10.0.0.1\n",
            expect![[r#"
            dockbeacon.yaml:2: http: this is no address of a proxy; write for example http://proxy.example.org:3128
            dockbeacon.yaml:3: registry-mirrors: this is no address of a mirror; write for example https://mirror.example.org
            dockbeacon.yaml:5: address: "10.0.0.1" is no address with its prefix; write for example 192.168.1.50/24"#]],
        ),
        (
            "hostname: a\nhostname: b\n",
            expect![
                "dockbeacon.yaml:2: hostname stands here a second time, after line 1; remove one of them"
            ],
        ),
        (
            "hostname:\n\t- x\n",
            expect![
                "dockbeacon.yaml:2: not valid YAML (tabs disallowed within this context (block indentation)); indent with spaces instead of tabs"
            ],
        ),
        (
            "- hostname\n",
            expect![
                "dockbeacon.yaml:1: the file is a list, not a map; write `key: value` lines, such as hostname: shelf-pi"
            ],
        ),
        (
            "users:\n  - name: alice\n  - name: alice\n",
            expect![
                "dockbeacon.yaml: the account alice stands there twice; write everything about it in one place"
            ],
        ),
    ];
    for (text, golden) in table {
        golden.assert_eq(&errors(&[("dockbeacon.yaml", text)]));
    }
}

#[test]
fn the_sample_says_nothing_and_everything_in_it_is_valid() {
    let sample = super::source::SAMPLE;
    assert_eq!(found(&[("dockbeacon.yaml", sample)]), None);
    // What stands behind a # without a space is an example.
    let examples: String = sample
        .lines()
        .filter_map(|line| {
            line.strip_prefix('#').filter(|rest| !rest.starts_with(' ') || rest.starts_with("  "))
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let c = good(&[("dockbeacon.yaml", &examples)]);
    assert!(c.wifi.len() == 1 && c.users.len() == 1 && c.wired.is_some() && c.proxy.any(), "{examples}");
    assert!(c.notices.is_empty() && c.settings.len() == 1);
}

const USER_DATA: &str = r##"#cloud-config
hostname: garage
manage_etc_hosts: true
packages:
- avahi-daemon
apt:
  conf: |
    Acquire {
      Check-Date "false";
    };
timezone: Europe/London
keyboard:
  model: pc105
  layout: "gb"
enable_ssh: true
users:
- name: bob
  groups: users,adm,dialout,netdev,gpio,i2c,render,sudo
  shell: /bin/bash
  lock_passwd: false
  passwd: $5$salt$hashhashhash
  ssh_authorized_keys:
    - KEY
  sudo: ALL=(ALL) NOPASSWD:ALL
ssh_pwauth: true
rpi:
  interfaces:
    i2c: true
runcmd:
  - [ rfkill, unblock, wifi ]
"##;

const NETWORK: &str = r#"network:
  version: 2
  wifis:
    wlan0:
      dhcp4: true
      regulatory-domain: "GB"
      access-points:
        "Garage \"5G\"":
          hidden: true
          password: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
      optional: true
"#;

#[test]
fn what_raspberry_pi_imager_writes() {
    let files = [("user-data", USER_DATA), ("network-config", NETWORK), ("meta-data", "instance_id: x\n")];
    let found = found(&files).unwrap();
    assert_eq!(found.files, ["user-data", "network-config"]);
    let c = found.outcome.unwrap();
    expect!["user-data:26: rpi is not carried out on this device; do it over SSH, or in a container"]
        .assert_eq(&lines(&c.notices));
    expect![[r#"
        == etc/hostname 644
        garage
        == etc/hosts 644
        127.0.0.1 localhost
        127.0.1.1	garage
        == host name garage
        == etc/localtime -> ../usr/share/zoneinfo/Europe/London
        == etc/timezone 644
        Europe/London
        == etc/default/keyboard 644
        XKBMODEL="pc105"
        XKBLAYOUT="gb"
        XKBVARIANT=""
        XKBOPTIONS=""
        BACKSPACE="guess"
        == setupcon -k --force
        == etc/modprobe.d/dockbeacon-wifi.conf 644
        options cfg80211 ieee80211_regdom=GB
        == iw reg set GB
        == etc/NetworkManager/system-connections/dockbeacon-wifi-1.nmconnection 600
        [connection]
        id=dockbeacon-wifi-1
        type=wifi

        [wifi]
        mode=infrastructure
        ssid=Garage "5G"
        hidden=true

        [wifi-security]
        key-mgmt=wpa-psk
        psk=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef

        [ipv4]
        method=auto

        [ipv6]
        method=auto
        == rfkill unblock wifi
        == etc/dockbeacon/config.yaml 640
        # Written at first boot; `dockbeacon config --default` explains every key.
        http.listen: "[::]:3625"
        update.mode: "auto"
        schedule.time-zone: "Europe/London"
        == account bob in ["users", "adm", "dialout", "netdev", "gpio", "i2c", "render", "sudo"], 1 keys, Some("hashed $5$salt$hashhashhash")
        == etc/sudoers.d/050-dockbeacon-bob 440
        bob ALL=(ALL:ALL) NOPASSWD: ALL
        == etc/ssh/sshd_config.d/50-dockbeacon.conf 644
        PasswordAuthentication yes
        KbdInteractiveAuthentication no
        PermitRootLogin no
        == ssh.service true
    "#]].assert_eq(&shown(&c));
    let texts: Vec<&str> = c
        .secrets
        .iter()
        .map(|secret| {
            let text = if secret.file == "user-data" { USER_DATA } else { NETWORK };
            // The stand-in for the key is behind the password hash, so the places are those of the text above.
            &text[secret.bytes.clone()]
        })
        .collect();
    assert_eq!(
        texts,
        ["$5$salt$hashhashhash", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"]
    );
}

#[test]
fn the_first_file_that_says_something_wins() {
    let ours = ("dockbeacon.yaml", "hostname: ours\n");
    let cloud = ("user-data", "hostname: cloud\n");
    let empty = ("user-data", "#cloud-config\n# nothing yet\n");
    let seed = ("rpi-preseed.toml", "config_version = \"1.1\"\n[system]\nhostname = \"seed\"\n");
    let custom = ("custom.toml", "config_version = 1\n[system]\nhostname = \"custom\"\n");
    let table = [
        (vec![ours, cloud, seed, custom], "ours"),
        (vec![cloud, seed, custom], "cloud"),
        (vec![empty, seed, custom], "seed"),
        (vec![empty, custom], "custom"),
    ];
    for (files, expected) in table {
        assert_eq!(good(&files).host_name.as_deref(), Some(expected));
    }
    assert_eq!(found(&[empty, ("meta-data", "instance_id: x\n")]), None);
    // One that is wrong is told; no other is taken in its place.
    assert!(errors(&[("dockbeacon.yaml", "hostname: a b\n"), cloud]).contains("dockbeacon.yaml:1"));
}

#[test]
fn toml_of_the_preseed_and_its_older_brother() {
    let seed = r#"config_version = "1.1"
[system]
hostname = "mypi"
[user]
name = "alice"
password = "changeme"
groups = ["sudo"]
[ssh]
enabled = true
password_authentication = false
ssh_import_id = ["gh:alice"]
authorized_keys = ["KEY"]
[wlan]
ssid_hex = "c3b1"
password = "mywifipassphrase"
country = "GB"
key_mgmt = "sae"
[locale]
keymap = "gb"
timezone = "Europe/London"
keymap_options = ["ctrl:nocaps"]
[packages]
install = ["vim"]
"#;
    let c = good(&[("rpi-preseed.toml", seed)]);
    expect![[r#"
        rpi-preseed.toml:11: ssh.ssh_import_id is not carried out on this device; do it over SSH, or in a container
        rpi-preseed.toml:22: [packages] is not carried out on this device; do it over SSH, or in a container"#]].assert_eq(&lines(&c.notices));
    expect![[r#"
        == etc/hostname 644
        mypi
        == etc/hosts 644
        127.0.0.1 localhost
        127.0.1.1	mypi
        == host name mypi
        == etc/localtime -> ../usr/share/zoneinfo/Europe/London
        == etc/timezone 644
        Europe/London
        == etc/default/keyboard 644
        XKBMODEL="pc105"
        XKBLAYOUT="gb"
        XKBVARIANT=""
        XKBOPTIONS="ctrl:nocaps"
        BACKSPACE="guess"
        == setupcon -k --force
        == etc/modprobe.d/dockbeacon-wifi.conf 644
        options cfg80211 ieee80211_regdom=GB
        == iw reg set GB
        == etc/NetworkManager/system-connections/dockbeacon-wifi-1.nmconnection 600
        [connection]
        id=dockbeacon-wifi-1
        type=wifi

        [wifi]
        mode=infrastructure
        ssid=195;177;

        [wifi-security]
        key-mgmt=sae
        psk=mywifipassphrase

        [ipv4]
        method=auto

        [ipv6]
        method=auto
        == rfkill unblock wifi
        == etc/dockbeacon/config.yaml 640
        # Written at first boot; `dockbeacon config --default` explains every key.
        http.listen: "[::]:3625"
        update.mode: "auto"
        schedule.time-zone: "Europe/London"
        == account alice in ["sudo"], 1 keys, Some("plain changeme")
        == etc/sudoers.d/050-dockbeacon-alice 440
        alice ALL=(ALL:ALL) ALL
        == etc/ssh/sshd_config.d/50-dockbeacon.conf 644
        PasswordAuthentication no
        KbdInteractiveAuthentication no
        PermitRootLogin no
        == ssh.service true
    "#]]
    .assert_eq(&shown(&c));
    let custom = good(&[(
        "custom.toml",
        "config_version = 1\n[user]\nname = \"bob\"\npassword = \"$5$a$b\"\npassword_encrypted = true\n[wlan]\nssid = \"x\"\npassword = \"\"\n",
    )]);
    assert!(shown(&custom).contains("== account bob in [], 0 keys, Some(\"hashed $5$a$b\")"));
    for (text, golden) in [
        (
            "config_version = 7\n",
            expect![[r#"custom.toml:1: config_version 7 is not known; write config_version = "1""#]],
        ),
        (
            "[system]\nhostname = mypi\n",
            expect![[
                r#"custom.toml:2: not valid TOML (string values must be quoted, expected literal string); write `key = "value"`, texts in quotes, below a [section]"#
            ]],
        ),
        (
            "config_version = 1\n[user]\npassword = \"x\"\n[ethernet]\nmethod = \"static\"\n",
            expect![[r#"
            custom.toml:2: [user] has no name; add name = "alice"
            custom.toml:4: [ethernet] is static and has no address; add address = "192.168.1.50/24""#]],
        ),
    ] {
        golden.assert_eq(&errors(&[("custom.toml", text)]));
    }
}

#[test]
fn a_file_that_is_not_text_is_told() {
    let files = BTreeMap::from([("dockbeacon.yaml", b"hostname: a\nuser: \xff\n".to_vec())]);
    assert_eq!(
        lines(&read(&files).unwrap().outcome.unwrap_err()),
        "dockbeacon.yaml:2: the file is not text in UTF-8; save it as UTF-8"
    );
}

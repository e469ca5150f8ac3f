//! From what was asked for to what is written where.
//!
//! Owns the paths, contents and modes of every file that first boot writes, and the commands that go with them. Each act can be
//! done twice. Must never write or run anything itself.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::Problem;
use super::customisation::{Customisation, Sudo, User, Wifi, WifiKey};
use crate::settings::{RawEntry, RawValue, flat};

/// Groups that nobody is put into by a file on the card: the first is root, the second owns the device.
const NEVER: [&str; 2] = ["docker", "dockbeacon"];

/// One thing to do. Paths are relative to the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Write a file, whole.
    Write(File),
    /// Make a symbolic link.
    Link {
        /// Where.
        path: String,
        /// To what.
        target: String,
    },
    /// The kernel takes this name too.
    HostName(String),
    /// Make an account, or bring it up to date.
    Account(User),
    /// Enable and start a unit, or disable and stop it.
    Service {
        /// Its name.
        unit: &'static str,
        /// Which of both.
        on: bool,
    },
    /// A command that makes a written file take effect before the next boot, where it is installed.
    Now {
        /// The program.
        program: &'static str,
        /// Its arguments.
        arguments: Vec<String>,
    },
}

/// A file to be written.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Where.
    pub path: String,
    /// What.
    pub content: String,
    /// With which mode.
    pub mode: u32,
    /// The group `dockbeacon` may read it.
    pub for_daemon: bool,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Contents hold passwords.
        f.debug_struct("File").field("path", &self.path).field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// What is on the card already and is changed, not replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Existing {
    /// `/etc/hosts`.
    pub hosts: String,
    /// The engine's `daemon.json`.
    pub engine: String,
    /// Dockbeacon's settings file.
    pub settings: String,
}

/// Everything that is to be done, in order.
///
/// # Errors
/// When a file that is on the card already cannot be understood.
pub fn acts(c: &Customisation, existing: &Existing) -> Result<Vec<Act>, Problem> {
    let mut acts = Vec::new();
    if let Some(name) = &c.host_name {
        acts.extend(host_name(name, &existing.hosts));
    }
    locale(c, &mut acts);
    radio(c, &mut acts);
    if let Some(engine) = engine(c, &existing.engine)? {
        acts.push(Act::Write(engine));
    }
    if c.proxy.any() {
        acts.push(Act::Write(environment(c)));
    }
    if let Some(settings) = own_settings(c, &existing.settings)? {
        acts.push(Act::Write(settings));
    }
    for user in &c.users {
        acts.push(Act::Account(User {
            groups: user.groups.iter().filter(|group| !NEVER.contains(&group.as_str())).cloned().collect(),
            ..user.clone()
        }));
        acts.extend(sudo(user));
    }
    ssh(c, &mut acts);
    Ok(acts)
}

/// What is asked for and not done, in words.
#[must_use]
pub fn left_out(c: &Customisation) -> Vec<String> {
    let refused: BTreeSet<(&str, &str)> = c
        .users
        .iter()
        .flat_map(|user| user.groups.iter().map(move |group| (user.name.as_str(), group.as_str())))
        .filter(|(_, group)| NEVER.contains(group))
        .collect();
    refused
        .into_iter()
        .map(|(user, group)| {
            format!("{user} is not put into the group {group}, which is as good as root; use sudo instead")
        })
        .collect()
}

fn file(path: &str, content: String, mode: u32) -> Act {
    Act::Write(File { path: path.to_owned(), content, mode, for_daemon: false })
}

/// The name in `/etc/hostname` and `/etc/hosts`, and in the kernel.
#[must_use]
pub fn host_name(name: &str, hosts: &str) -> [Act; 3] {
    let ours = format!("127.0.1.1\t{name}\n");
    let mut content = String::new();
    let mut there = false;
    for line in hosts.lines() {
        if line.split_whitespace().next() == Some("127.0.1.1") {
            if !there {
                content.push_str(&ours);
            }
            there = true;
        } else {
            content.push_str(line);
            content.push('\n');
        }
    }
    if !there {
        if !content.contains("127.0.0.1") {
            content.push_str("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
        }
        content.push_str(&ours);
    }
    [
        file("etc/hostname", format!("{name}\n"), 0o644),
        file("etc/hosts", content, 0o644),
        Act::HostName(name.to_owned()),
    ]
}

fn locale(c: &Customisation, acts: &mut Vec<Act>) {
    if let Some(zone) = &c.time_zone {
        acts.push(Act::Link {
            path: "etc/localtime".to_owned(),
            target: format!("../usr/share/zoneinfo/{zone}"),
        });
        acts.push(file("etc/timezone", format!("{zone}\n"), 0o644));
    }
    if let Some(k) = &c.keyboard {
        let content = format!(
            "XKBMODEL=\"{}\"\nXKBLAYOUT=\"{}\"\nXKBVARIANT=\"{}\"\nXKBOPTIONS=\"{}\"\nBACKSPACE=\"guess\"\n",
            k.model, k.layout, k.variant, k.options
        );
        acts.push(file("etc/default/keyboard", content, 0o644));
        acts.push(Act::Now { program: "setupcon", arguments: vec!["-k".to_owned(), "--force".to_owned()] });
    }
    if !c.time_servers.is_empty() {
        let content = format!("[Time]\nNTP={}\n", c.time_servers.join(" "));
        acts.push(file("etc/systemd/timesyncd.conf.d/50-dockbeacon.conf", content, 0o644));
        let arguments =
            ["--no-block", "try-restart", "systemd-timesyncd.service"].map(str::to_owned).to_vec();
        acts.push(Act::Now { program: "systemctl", arguments });
    }
}

fn radio(c: &Customisation, acts: &mut Vec<Act>) {
    if let Some(country) = &c.country {
        let content = format!("options cfg80211 ieee80211_regdom={country}\n");
        acts.push(file("etc/modprobe.d/dockbeacon-wifi.conf", content, 0o644));
        let arguments = ["reg", "set", country].map(str::to_owned).to_vec();
        acts.push(Act::Now { program: "iw", arguments });
    }
    for (at, wifi) in c.wifi.iter().enumerate() {
        if let Some(content) = keyfile(wifi, at + 1) {
            acts.push(file(&wifi_path(at + 1), content, 0o600));
        }
    }
    if c.country.is_some() || !c.wifi.is_empty() {
        // Raspberry Pi OS keeps the radio off until a country is set.
        acts.push(Act::Now { program: "rfkill", arguments: vec!["unblock".to_owned(), "wifi".to_owned()] });
    }
    if let Some(wired) = &c.wired {
        let mut content = format!(
            "[connection]\nid=dockbeacon-wired\ntype=ethernet\nautoconnect-priority=10\n\n[ipv4]\nmethod=manual\naddress1={}",
            wired.address
        );
        if wired.address.contains(':') {
            content = content.replace("[ipv4]", "[ipv4]\nmethod=auto\n\n[ipv6]");
        }
        if let Some(gateway) = &wired.gateway {
            let _ = write!(content, ",{gateway}");
        }
        content.push('\n');
        if !wired.dns.is_empty() {
            let _ = writeln!(content, "dns={};", wired.dns.join(";"));
        }
        if !wired.address.contains(':') {
            content.push_str("\n[ipv6]\nmethod=auto\n");
        }
        acts.push(file(&connection("dockbeacon-wired"), content, 0o600));
    }
}

fn connection(name: &str) -> String {
    format!("etc/NetworkManager/system-connections/{name}.nmconnection")
}

/// The file of the wireless network of that number, from 1.
#[must_use]
pub fn wifi_path(number: usize) -> String {
    connection(&format!("dockbeacon-wifi-{number}"))
}

/// A network as NetworkManager reads it; `None` where its password was overwritten and the file is to stay.
fn keyfile(wifi: &Wifi, number: usize) -> Option<String> {
    let security = match &wifi.key {
        WifiKey::Open => String::new(),
        WifiKey::Owe => "[wifi-security]\nkey-mgmt=owe\n\n".to_owned(),
        WifiKey::Psk(key) => format!("[wifi-security]\nkey-mgmt=wpa-psk\npsk={}\n\n", escaped(key.reveal())),
        WifiKey::Sae(key) => format!("[wifi-security]\nkey-mgmt=sae\npsk={}\n\n", escaped(key.reveal())),
        WifiKey::Used => return None,
    };
    let hidden = if wifi.hidden { "hidden=true\n" } else { "" };
    Some(format!(
        "[connection]\nid=dockbeacon-wifi-{number}\ntype=wifi\n\n[wifi]\nmode=infrastructure\nssid={}\n{hidden}\n{security}\
         [ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n",
        ssid(&wifi.ssid)
    ))
}

/// As text where it is plain, else as NetworkManager's list of bytes.
fn ssid(bytes: &[u8]) -> String {
    let plain = bytes.iter().all(|b| (b' '..=b'~').contains(b) && !matches!(b, b';' | b'\\'))
        && bytes.first() != Some(&b' ')
        && bytes.last() != Some(&b' ');
    if plain {
        return bytes.iter().map(|b| char::from(*b)).collect();
    }
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte};");
        text
    })
}

/// In the words of GKeyFile: what is at the ends would be stripped, and a backslash begins an escape.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\");
    let inner = text.trim_matches(' ');
    let before = text.len() - text.trim_start_matches(' ').len();
    let after = text.len() - before - inner.len();
    format!("{}{inner}{}", "\\s".repeat(before), "\\s".repeat(after))
}

fn broken(path: &str, what: String, remedy: &str) -> Problem {
    Problem { file: path.to_owned(), line: 0, what, remedy: remedy.to_owned() }
}

/// The engine's settings with mirrors and proxies in them.
fn engine(c: &Customisation, existing: &str) -> Result<Option<File>, Problem> {
    const PATH: &str = "etc/docker/daemon.json";
    if c.mirrors.is_empty() && !c.proxy.any() {
        return Ok(None);
    }
    let mut root: Map<String, Value> = if existing.trim().is_empty() {
        Map::new()
    } else {
        serde_json::from_str(existing).map_err(|error| {
            broken("/etc/docker/daemon.json", format!("not valid JSON ({error})"), "correct it, or remove it")
        })?
    };
    if !c.mirrors.is_empty() {
        root.insert("registry-mirrors".to_owned(), json!(c.mirrors));
    }
    if c.proxy.any() {
        let mut proxies = Map::new();
        for (name, value) in [("http-proxy", &c.proxy.http), ("https-proxy", &c.proxy.https)] {
            if let Some(address) = value {
                proxies.insert(name.to_owned(), json!(address.reveal()));
            }
        }
        proxies.insert("no-proxy".to_owned(), json!(exceptions(c)));
        root.insert("proxies".to_owned(), Value::Object(proxies));
    }
    let content = format!("{:#}\n", Value::Object(root));
    // It may hold the proxy's password.
    Ok(Some(File { path: PATH.to_owned(), content, mode: 0o600, for_daemon: false }))
}

fn exceptions(c: &Customisation) -> String {
    let own = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    own.into_iter().chain(c.proxy.none.iter().cloned()).collect::<Vec<_>>().join(",")
}

/// The proxies for Dockbeacon's own units, which read this file.
fn environment(c: &Customisation) -> File {
    let mut content = String::from("# Written at first boot. Read by Dockbeacon's units.\n");
    for (name, value) in [("HTTP_PROXY", &c.proxy.http), ("HTTPS_PROXY", &c.proxy.https)] {
        if let Some(address) = value {
            let _ = writeln!(content, "{name}=\"{}\"", address.reveal());
        }
    }
    let _ = writeln!(content, "NO_PROXY=\"{}\"", exceptions(c));
    File { path: "etc/dockbeacon/environment".to_owned(), content, mode: 0o600, for_daemon: false }
}

/// Dockbeacon's settings: what the card had, with what was asked for on top. The time zone is also that of the schedule.
fn own_settings(c: &Customisation, existing: &str) -> Result<Option<File>, Problem> {
    let mut asked: Vec<RawEntry> = c.settings.clone();
    if let Some(zone) = &c.time_zone
        && !asked.iter().any(|entry| entry.key == "schedule.time-zone")
    {
        asked.push(RawEntry {
            key: "schedule.time-zone".to_owned(),
            value: RawValue::Scalar(zone.clone()),
            line: 0,
        });
    }
    if asked.is_empty() {
        return Ok(None);
    }
    let before = flat::read(existing).map_err(|error| {
        broken(
            "/etc/dockbeacon/config.yaml",
            format!("line {}: {}", error.place.line, error.what),
            "correct it, or remove it",
        )
    })?;
    let kept = before.into_iter().filter(|old| !asked.iter().any(|new| new.key == old.key));
    let mut content =
        String::from("# Written at first boot; `dockbeacon config --default` explains every key.\n");
    for entry in kept.chain(asked.iter().cloned()) {
        // JSON's texts are YAML's too, whatever is in them.
        let value = match &entry.value {
            RawValue::Empty => continue,
            RawValue::Scalar(text) => json!(text),
            RawValue::List(items) => json!(items),
        };
        let _ = writeln!(content, "{}: {value}", entry.key);
    }
    Ok(Some(File { path: "etc/dockbeacon/config.yaml".to_owned(), content, mode: 0o640, for_daemon: true }))
}

fn sudo(user: &User) -> Option<Act> {
    let rule = match user.sudo {
        Sudo::No => return None,
        Sudo::WithPassword => "ALL=(ALL:ALL) ALL",
        Sudo::Free => "ALL=(ALL:ALL) NOPASSWD: ALL",
    };
    Some(file(
        &format!("etc/sudoers.d/050-dockbeacon-{}", user.name),
        format!("{} {rule}\n", user.name),
        0o440,
    ))
}

fn ssh(c: &Customisation, acts: &mut Vec<Act>) {
    let keys = c.users.iter().any(|user| !user.keys.is_empty());
    // One that was overwritten after its use is still the account's.
    let password = c.users.iter().any(|user| user.password.is_some());
    let Some(on) = c.ssh.or_else(|| keys.then_some(true)) else { return };
    if on {
        // Without a key and without passwords nobody gets in, which nobody means who switches it on.
        let passwords = c.ssh_passwords.unwrap_or(password && !keys);
        let word = if passwords { "yes" } else { "no" };
        let content =
            format!("PasswordAuthentication {word}\nKbdInteractiveAuthentication no\nPermitRootLogin no\n");
        acts.push(file("etc/ssh/sshd_config.d/50-dockbeacon.conf", content, 0o644));
    }
    acts.push(Act::Service { unit: "ssh.service", on });
}

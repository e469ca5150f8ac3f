//! `user-data` and `network-config` as Raspberry Pi Imager writes them for `cloudinit-rpi`.
//!
//! Owns the part of cloud-init's vocabulary that Imager uses. What else stands there is told and passed over: it is not ours to
//! run commands or install packages. Must never know another format.

use super::check;
use super::customisation::{Customisation, Keyboard, Password, Sudo, User, Wifi, WifiKey};
use super::reader::Reader;
use crate::text::{Kind, Node, yaml};

/// What Imager writes that is so on this image anyway, or has no meaning on it.
const SO_ANYWAY: [&str; 5] = ["manage_etc_hosts", "packages", "apt", "package_update", "package_upgrade"];

/// Reads `user-data`.
pub fn user_data(reader: &mut Reader<'_>, c: &mut Customisation) {
    let root = match yaml::read(reader.text) {
        Ok(root) => root,
        Err(error) => return reader.unreadable(error),
    };
    let mut passwords = None;
    for (key, node) in reader.map(&root, "the file", "it as Raspberry Pi Imager does") {
        match key.name.as_str() {
            "hostname" => c.host_name = reader.checked(node, "hostname", check::host_name),
            "timezone" => c.time_zone = reader.checked(node, "timezone", check::time_zone),
            "keyboard" => c.keyboard = keyboard(reader, node),
            "enable_ssh" => c.ssh = reader.truth(node, "enable_ssh"),
            "ssh_pwauth" => passwords = reader.truth(node, "ssh_pwauth"),
            "ssh_authorized_keys" => {
                // They belong to the account that is named below or above, as cloud-init has it.
                let keys = reader.list(node, "ssh_authorized_keys", check::ssh_key);
                if let Some(user) = c.users.first_mut() {
                    user.keys.extend(keys);
                } else if !keys.is_empty() {
                    reader.pass(
                        key.place,
                        "ssh_authorized_keys stand before any account",
                        "write them below users",
                    );
                }
            }
            "user" => c.users.extend(user(reader, node)),
            "users" => {
                if let Kind::List(items) = &node.kind {
                    for item in items.iter().filter(|item| item.text() != Some("default")) {
                        c.users.extend(user(reader, item));
                    }
                } else {
                    reader.wrong(node.place, "users is not a list", "write one account per dash");
                }
            }
            known if SO_ANYWAY.contains(&known) => {}
            "runcmd" if harmless(node) => {}
            other => {
                let what = format!("{other} is not carried out on this device");
                reader.pass(key.place, what, "do it over SSH, or in a container");
            }
        }
    }
    c.ssh_passwords = passwords;
    // Imager says nothing where SSH is off, and `enable_ssh` only in newer versions.
    if c.ssh.is_none() && (passwords == Some(true) || c.users.iter().any(|user| !user.keys.is_empty())) {
        c.ssh = Some(true);
    }
}

/// Imager unblocks the radio by commands, which we do anyway.
fn harmless(node: &Node) -> bool {
    let Kind::List(commands) = &node.kind else { return false };
    commands.iter().all(|command| {
        let words: Vec<&str> = match &command.kind {
            Kind::List(words) => words.iter().filter_map(Node::text).collect(),
            Kind::Text(text) => vec![text.as_str()],
            Kind::Empty | Kind::Map(_) | Kind::Alias => Vec::new(),
        };
        let line = words.join(" ");
        line.contains("rfkill") || line == "systemctl enable --now ssh" || line == "systemctl enable ssh"
    })
}

fn user(reader: &mut Reader<'_>, node: &Node) -> Option<User> {
    let mut user =
        User { name: String::new(), password: None, keys: Vec::new(), groups: Vec::new(), sudo: Sudo::No };
    if node.text().is_some() {
        user.name = reader.checked(node, "user", check::user_name)?;
        return Some(user);
    }
    let (mut name, mut locked) = (None, false);
    for (key, value) in reader.map(node, "user", "an account as a map with name") {
        match key.name.as_str() {
            "name" => name = reader.checked(value, "name", check::user_name),
            "passwd" | "hashed_passwd" => {
                user.password = reader
                    .secret(value, &key.name, check::hash)
                    .map(|secret| secret.map_or(Password::Used, Password::Hashed));
            }
            "plain_text_passwd" => {
                user.password = reader
                    .secret(value, &key.name, check::password)
                    .map(|secret| secret.map_or(Password::Used, Password::Plain));
            }
            "lock_passwd" => locked = reader.truth(value, "lock_passwd").unwrap_or_default(),
            "ssh_authorized_keys" => user.keys = reader.list(value, "ssh_authorized_keys", check::ssh_key),
            "groups" => {
                user.groups = match &value.kind {
                    // cloud-init takes commas in one text.
                    Kind::Text(text) => text
                        .split(',')
                        .map(str::trim)
                        .filter_map(|group| check::group_name(group).ok())
                        .collect(),
                    Kind::Empty | Kind::List(_) | Kind::Map(_) | Kind::Alias => {
                        reader.list(value, "groups", check::group_name)
                    }
                };
            }
            "sudo" => {
                let free = value.text().is_some_and(|text| text.contains("NOPASSWD:ALL"))
                    || matches!(&value.kind, Kind::List(items)
                        if items.iter().any(|item| item.text().is_some_and(|text| text.contains("NOPASSWD:ALL"))));
                let none = value.kind == Kind::Empty
                    || value.text().is_some_and(|text| text.eq_ignore_ascii_case("false"));
                if free {
                    user.sudo = Sudo::Free;
                } else if !none {
                    user.sudo = Sudo::WithPassword;
                }
            }
            "shell" | "gecos" | "no_create_home" | "primary_group" => {}
            other => {
                reader.pass(key.place, format!("{other} of an account is not carried out"), "do it over SSH");
            }
        }
    }
    if locked {
        user.password = None;
    }
    // Imager gives the group sudo with a password; the group alone says so.
    if user.sudo == Sudo::No && user.groups.iter().any(|group| group == "sudo") {
        user.sudo = Sudo::WithPassword;
    }
    user.name = name?;
    Some(user)
}

fn keyboard(reader: &mut Reader<'_>, node: &Node) -> Option<Keyboard> {
    let part = |name: &str| {
        let found = node.entries().iter().find(|(key, _)| key.name == name);
        found.and_then(|(_, value)| value.text()).unwrap_or_default().to_owned()
    };
    match check::keyboard(&part("model"), &part("layout"), &part("variant"), &part("options")) {
        Ok(keyboard) => Some(keyboard),
        Err((what, remedy)) => {
            reader.wrong(node.place, format!("keyboard: {what}"), remedy);
            None
        }
    }
}

/// Reads `network-config`, netplan's second version.
pub fn network_config(reader: &mut Reader<'_>, c: &mut Customisation) {
    let root = match yaml::read(reader.text) {
        Ok(root) => root,
        Err(error) => return reader.unreadable(error),
    };
    // cloud-init takes it with and without the word `network` around it.
    let inner = root.entries().iter().find(|(key, _)| key.name == "network").map(|(_, node)| node);
    for (key, node) in reader.map(inner.unwrap_or(&root), "the file", "it as Raspberry Pi Imager does") {
        match key.name.as_str() {
            "version" | "renderer" => {}
            "wifis" => {
                for (_, device) in reader.map(node, "wifis", "wlan0: below it") {
                    wireless(reader, device, c);
                }
            }
            "ethernets" => {
                for (name, device) in reader.map(node, "ethernets", "eth0: below it") {
                    let fixed = device.entries().iter().any(|(key, _)| key.name == "addresses");
                    if fixed {
                        let what = format!("the fixed address of {} is not taken from this file", name.name);
                        reader.pass(name.place, what, "write ethernet: with address: into dockbeacon.yaml");
                    }
                }
            }
            other => {
                reader.pass(key.place, format!("{other} is not known here"), "write dockbeacon.yaml instead");
            }
        }
    }
}

fn wireless(reader: &mut Reader<'_>, device: &Node, c: &mut Customisation) {
    for (key, node) in reader.map(device, "wlan0", "access-points: below it") {
        match key.name.as_str() {
            "regulatory-domain" => c.country = reader.checked(node, "regulatory-domain", check::country),
            "access-points" => {
                for (ssid, point) in
                    reader.map(node, "access-points", "the network's name in quotes and a colon")
                {
                    let network = access_point(reader, ssid, point);
                    c.wifi.extend(network);
                }
            }
            "dhcp4" | "dhcp6" | "optional" | "match" | "set-name" => {}
            other => {
                reader.pass(key.place, format!("{other} is not known here"), "write dockbeacon.yaml instead")
            }
        }
    }
}

fn access_point(reader: &mut Reader<'_>, ssid: &crate::text::Key, point: &Node) -> Option<Wifi> {
    let name = match check::ssid(ssid.name.as_bytes().to_vec()) {
        Ok(name) => name,
        Err((what, remedy)) => {
            reader.wrong(ssid.place, what, remedy);
            return None;
        }
    };
    let mut wifi = Wifi { line: ssid.place.line, ssid: name, key: WifiKey::Open, hidden: false };
    for (key, value) in reader.map(point, "an access point", "password: below it") {
        match key.name.as_str() {
            "hidden" => wifi.hidden = reader.truth(value, "hidden").unwrap_or_default(),
            // Imager writes an empty password for a network without one.
            "password" if value.text().is_none_or(str::is_empty) => {}
            "password" => {
                wifi.key = reader
                    .secret(value, "password", |text| check::psk(text, false))?
                    .unwrap_or(WifiKey::Used);
            }
            "auth" => {
                let inner = value.entries().iter().find(|(key, _)| key.name == "password");
                if let Some((_, password)) = inner {
                    wifi.key = reader
                        .secret(password, "password", |text| check::psk(text, false))?
                        .unwrap_or(WifiKey::Used);
                }
            }
            other => {
                reader.pass(key.place, format!("{other} is not known here"), "write dockbeacon.yaml instead")
            }
        }
    }
    Some(wifi)
}

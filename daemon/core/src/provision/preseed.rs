//! `rpi-preseed.toml`, and `custom.toml`, its older and smaller brother.
//!
//! Owns their tables. What stands there and is not ours to do is told and passed over. Must never know another format.

use super::check;
use super::customisation::{Customisation, Password, Sudo, User, Wifi, WifiKey, Wired};
use super::reader::Reader;
use crate::text::{Key, Kind, Node, toml};

/// Reads the file. `versions` are those of the format that are understood.
pub fn read(reader: &mut Reader<'_>, versions: &[&str]) -> Customisation {
    let mut c = Customisation::default();
    let root = match toml::read(reader.text) {
        Ok(root) => root,
        Err(error) => {
            reader.unreadable(error);
            return c;
        }
    };
    let mut version = None;
    let (mut user, mut keys) = (None, Vec::new());
    for (key, node) in root.entries() {
        match key.name.as_str() {
            "config_version" => version = reader.text_of(node, "config_version"),
            "system" => section(reader, key, node, &mut |reader, name, value| match name {
                "hostname" => {
                    c.host_name = reader.checked(value, "hostname", check::host_name);
                    true
                }
                _ => false,
            }),
            "user" => user = account(reader, key, node),
            "ssh" => section(reader, key, node, &mut |reader, name, value| match name {
                "enabled" => {
                    c.ssh = reader.truth(value, "enabled");
                    true
                }
                "password_authentication" => {
                    c.ssh_passwords = reader.truth(value, "password_authentication");
                    true
                }
                "authorized_keys" => {
                    keys = reader.list(value, "authorized_keys", check::ssh_key);
                    true
                }
                _ => false,
            }),
            "wlan" => {
                let network = wlan(reader, key, node, &mut c);
                c.wifi.extend(network);
            }
            "ethernet" => c.wired = ethernet(reader, key, node),
            "locale" => locale(reader, key, node, &mut c),
            "time" => section(reader, key, node, &mut |reader, name, value| match name {
                "ntp" | "fallback_ntp" => {
                    c.time_servers.extend(reader.list(value, name, check::host));
                    true
                }
                _ => false,
            }),
            "debug" => {}
            other => {
                let what = format!("[{other}] is not carried out on this device");
                reader.pass(key.place, what, "do it over SSH, or in a container");
            }
        }
    }
    match version {
        Some(version) if !versions.contains(&version) => {
            let place = root.place;
            let what = format!("config_version {version} is not known");
            reader.wrong(
                place,
                what,
                format!("write config_version = {:?}", versions.last().unwrap_or(&"1")),
            );
        }
        None => {
            reader.wrong(root.place, "config_version is missing", "begin the file with config_version = 1")
        }
        Some(_) => {}
    }
    // The keys are the first account's, which these formats have only one of.
    match (&mut user, keys.is_empty()) {
        (Some(user), _) => user.keys = keys,
        (None, false) => {
            reader.wrong(root.place, "there are SSH keys and no [user]", "add [user] with name = \"alice\"");
        }
        (None, true) => {}
    }
    c.users.extend(user);
    c
}

/// Each key of a table; those that nobody takes are told and passed over.
fn section(
    reader: &mut Reader<'_>,
    key: &Key,
    node: &Node,
    take: &mut dyn FnMut(&mut Reader<'_>, &str, &Node) -> bool,
) {
    let title = &key.name;
    for (key, value) in reader.map(node, title, &format!("[{title}] and its keys below")) {
        if !take(reader, &key.name, value) {
            let what = format!("{title}.{} is not carried out on this device", key.name);
            reader.pass(key.place, what, "do it over SSH, or in a container");
        }
    }
}

fn find<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    node.entries().iter().find(|(key, _)| key.name == name).map(|(_, value)| value)
}

fn account(reader: &mut Reader<'_>, key: &Key, node: &Node) -> Option<User> {
    let hashed = find(node, "password_encrypted").and_then(|value| reader.truth(value, "password_encrypted"));
    let free = find(node, "passwordless_sudo").and_then(|value| reader.truth(value, "passwordless_sudo"));
    let mut name = None;
    let mut user =
        User { name: String::new(), password: None, keys: Vec::new(), groups: Vec::new(), sudo: Sudo::No };
    section(reader, key, node, &mut |reader, part, value| {
        match part {
            "name" => name = reader.checked(value, "name", check::user_name),
            "password" if hashed == Some(true) => {
                user.password = reader
                    .secret(value, "password", check::hash)
                    .map(|secret| secret.map_or(Password::Used, Password::Hashed));
            }
            "password" => {
                user.password = reader
                    .secret(value, "password", check::password)
                    .map(|secret| secret.map_or(Password::Used, Password::Plain));
            }
            "groups" => user.groups = reader.list(value, "groups", check::group_name),
            "password_encrypted" | "passwordless_sudo" => {}
            _ => return false,
        }
        true
    });
    if find(node, "name").is_none() {
        reader.wrong(key.place, "[user] has no name", "add name = \"alice\"");
    }
    // Raspberry Pi OS lets its one account become root, and so do these files.
    user.sudo = if free == Some(true) || user.password.is_none() { Sudo::Free } else { Sudo::WithPassword };
    user.name = name?;
    Some(user)
}

fn wlan(reader: &mut Reader<'_>, key: &Key, node: &Node, c: &mut Customisation) -> Option<Wifi> {
    let manage = find(node, "key_mgmt").and_then(|value| reader.text_of(value, "key_mgmt"));
    let (mut ssid, mut hidden, mut wifi_key) = (None, false, None);
    section(reader, key, node, &mut |reader, name, value| {
        match name {
            "ssid" if ssid.is_none() => {
                ssid = reader.checked(value, "ssid", |text| check::ssid(text.as_bytes().to_vec()))
            }
            "ssid" => {}
            "ssid_hex" => ssid = reader.checked(value, "ssid_hex", |text| check::ssid(hex(text)?)),
            "password" if value.text() == Some("") => {}
            "password" => {
                wifi_key = reader.secret(value, "password", |text| check::psk(text, manage == Some("sae")))
            }
            "hidden" => hidden = reader.truth(value, "hidden").unwrap_or_default(),
            "country" => c.country = reader.checked(value, "country", check::country),
            "password_encrypted" => {}
            "key_mgmt" => match manage {
                Some("none" | "owe" | "wpa-psk" | "sae") | None => {}
                Some(other) => reader.wrong(
                    value.place,
                    format!("key_mgmt {other:?} is not known"),
                    "write none, owe, wpa-psk or sae",
                ),
            },
            _ => return false,
        }
        true
    });
    // A country alone is fine.
    let ssid = ssid?;
    let key = match (wifi_key, manage) {
        (Some(key), _) => key.unwrap_or(WifiKey::Used),
        (None, Some("owe")) => WifiKey::Owe,
        (None, Some("wpa-psk" | "sae")) => {
            if find(node, "password").is_none() {
                reader.wrong(key.place, "this network has no password", "add password = \"…\"");
            }
            return None;
        }
        (None, _) => WifiKey::Open,
    };
    Some(Wifi { line: node.place.line, ssid, key, hidden })
}

fn hex(text: &str) -> Result<Vec<u8>, check::Refusal> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    match digits {
        Some(digits) if digits.len().is_multiple_of(2) => {
            Ok(digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
        }
        Some(_) | None => {
            Err((format!("{text:?} is not hexadecimal"), "write two digits per byte".to_owned()))
        }
    }
}

fn ethernet(reader: &mut Reader<'_>, key: &Key, node: &Node) -> Option<Wired> {
    let (mut address, mut gateway, mut dns, mut fixed) = (None, None, Vec::new(), false);
    section(reader, key, node, &mut |reader, name, value| {
        match name {
            "method" => match reader.text_of(value, "method") {
                Some("static") => fixed = true,
                Some("dhcp") | None => {}
                Some(other) => {
                    reader.wrong(
                        value.place,
                        format!("method {other:?} is not carried out"),
                        "write dhcp or static",
                    );
                }
            },
            "address" => address = reader.checked(value, "address", check::cidr),
            "gateway" => gateway = reader.checked(value, "gateway", check::ip),
            "dns" => dns = reader.list(value, "dns", check::ip),
            _ => return false,
        }
        true
    });
    if fixed && find(node, "address").is_none() {
        reader.wrong(
            key.place,
            "[ethernet] is static and has no address",
            "add address = \"192.168.1.50/24\"",
        );
    }
    if fixed { Some(Wired { address: address?, gateway, dns }) } else { None }
}

fn locale(reader: &mut Reader<'_>, key: &Key, node: &Node, c: &mut Customisation) {
    let mut parts = [const { String::new() }; 4];
    section(reader, key, node, &mut |reader, name, value| {
        let at = match name {
            "timezone" => {
                c.time_zone = reader.checked(value, "timezone", check::time_zone);
                return true;
            }
            "keymap_model" => 0,
            "keymap" => 1,
            "keymap_variant" => 2,
            "keymap_options" => 3,
            // The image speaks one language, and its console needs no other.
            "locales" | "lang" | "lc_time" | "lc_measurement" => return true,
            _ => return false,
        };
        parts[at] = match &value.kind {
            Kind::List(items) => items.iter().filter_map(Node::text).collect::<Vec<_>>().join(","),
            Kind::Text(text) => text.clone(),
            Kind::Empty | Kind::Map(_) | Kind::Alias => String::new(),
        };
        true
    });
    let [model, layout, variant, options] = parts;
    if layout.is_empty() {
        return;
    }
    match check::keyboard(&model, &layout, &variant, &options) {
        Ok(keyboard) => c.keyboard = Some(keyboard),
        Err((what, remedy)) => {
            let place = find(node, "keymap").map_or(key.place, |node| node.place);
            reader.wrong(place, format!("keymap: {what}"), remedy);
        }
    }
}

//! `dockbeacon.yaml`.
//!
//! Owns its keys. Must never know another format.

use super::check;
use super::customisation::{Customisation, Keyboard, Password, Sudo, User, Wifi, WifiKey, Wired};
use super::reader::Reader;
use super::redact;
use crate::settings::{self, Input, Kind as ValueKind, SettingsFile, flat, table};
use crate::text::{Kind, Node, Place, yaml};

const TOP: [&str; 14] = [
    "hostname",
    "user",
    "users",
    "ssh",
    "wifi",
    "country",
    "ethernet",
    "time-zone",
    "keyboard",
    "time-servers",
    "proxy",
    "registry-mirrors",
    "settings",
    "version",
];
const USER: [&str; 6] = ["name", "password", "password-hash", "ssh-keys", "groups", "sudo"];
const WIFI: [&str; 5] = ["ssid", "password", "hidden", "country", "security"];

/// Reads the file.
pub fn read(reader: &mut Reader<'_>) -> Customisation {
    let mut c = Customisation::default();
    let root = match yaml::read(reader.text) {
        Ok(root) => root,
        Err(error) => {
            reader.unreadable(error);
            return c;
        }
    };
    for (key, node) in reader.map(&root, "the file", "`key: value` lines, such as hostname: shelf-pi") {
        match key.name.as_str() {
            "version" => {
                if reader.text_of(node, "version").is_some_and(|version| version != "1") {
                    reader.wrong(node.place, "this version of the file is not known", "write version: 1");
                }
            }
            "hostname" => c.host_name = reader.checked(node, "hostname", check::host_name),
            "user" => c.users.extend(user(reader, node)),
            "users" => {
                for item in items(node) {
                    c.users.extend(user(reader, item));
                }
            }
            "ssh" => ssh(reader, node, &mut c),
            "wifi" => {
                for item in items(node) {
                    let network = wifi(reader, item, &mut c);
                    c.wifi.extend(network);
                }
            }
            "country" => c.country = reader.checked(node, "country", check::country),
            "ethernet" => c.wired = wired(reader, node),
            "time-zone" => c.time_zone = reader.checked(node, "time-zone", check::time_zone),
            "keyboard" => c.keyboard = keyboard(reader, node),
            "time-servers" => c.time_servers = reader.list(node, "time-servers", check::host),
            "proxy" => proxy(reader, node, &mut c),
            "registry-mirrors" => {
                c.mirrors = reader.list(node, "registry-mirrors", |text| {
                    check::address(text, "mirror", "https://mirror.example.org")
                });
            }
            "settings" => own_settings(reader, node, &mut c),
            _ => reader.unknown(key, "", &TOP),
        }
    }
    c
}

/// A list's items; a map is a list of one.
fn items(node: &Node) -> &[Node] {
    match &node.kind {
        Kind::List(items) => items,
        Kind::Empty => &[],
        Kind::Map(_) | Kind::Text(_) | Kind::Alias => std::slice::from_ref(node),
    }
}

fn user(reader: &mut Reader<'_>, node: &Node) -> Option<User> {
    let mut name = None;
    let mut user =
        User { name: String::new(), password: None, keys: Vec::new(), groups: Vec::new(), sudo: Sudo::No };
    let mut sudo = false;
    for (key, value) in reader.map(node, "user", "an account as a map with name and ssh-keys") {
        match key.name.as_str() {
            "name" => name = reader.checked(value, "name", check::user_name),
            "password" => {
                user.password = reader
                    .secret(value, "password", check::password)
                    .map(|secret| secret.map_or(Password::Used, Password::Plain));
            }
            "password-hash" => {
                user.password = reader
                    .secret(value, "password-hash", check::hash)
                    .map(|secret| secret.map_or(Password::Used, Password::Hashed));
            }
            "ssh-keys" => user.keys = reader.list(value, "ssh-keys", check::ssh_key),
            "groups" => user.groups = reader.list(value, "groups", check::group_name),
            "sudo" => sudo = reader.truth(value, "sudo").unwrap_or_default(),
            _ => reader.unknown(key, "user", &USER),
        }
    }
    if sudo {
        user.sudo = if user.password.is_some() { Sudo::WithPassword } else { Sudo::Free };
    }
    let named = node.entries().iter().any(|(key, _)| key.name == "name");
    if !named && matches!(node.kind, Kind::Map(_)) {
        reader.wrong(node.place, "this account has no name", "add name: and a name, such as name: alice");
    }
    user.name = name?;
    Some(user)
}

fn ssh(reader: &mut Reader<'_>, node: &Node, c: &mut Customisation) {
    if node.text().is_some() {
        c.ssh = reader.truth(node, "ssh");
        return;
    }
    for (key, value) in reader.map(node, "ssh", "enabled: true below it") {
        match key.name.as_str() {
            "enabled" => c.ssh = reader.truth(value, "enabled"),
            "password-login" => c.ssh_passwords = reader.truth(value, "password-login"),
            _ => reader.unknown(key, "ssh", &["enabled", "password-login"]),
        }
    }
}

fn wifi(reader: &mut Reader<'_>, node: &Node, c: &mut Customisation) -> Option<Wifi> {
    let mut ssid = None;
    let (mut hidden, mut security) = (false, "");
    let mut password: Option<Node> = None;
    for (key, value) in reader.map(node, "wifi", "ssid: and password: below it") {
        match key.name.as_str() {
            "ssid" => ssid = reader.checked(value, "ssid", |text| check::ssid(text.as_bytes().to_vec())),
            "password" => password = Some(value.clone()),
            "hidden" => hidden = reader.truth(value, "hidden").unwrap_or_default(),
            "country" => c.country = reader.checked(value, "country", check::country),
            "security" => match reader.text_of(value, "security") {
                Some("wpa2") => security = "wpa2",
                Some("wpa3") => security = "wpa3",
                Some("none") => security = "none",
                Some("owe") => security = "owe",
                Some(other) => {
                    let what = format!("{other:?} is no way of protecting a network that is known here");
                    reader.wrong(value.place, what, "write wpa2, wpa3, owe or none, or leave it out");
                }
                None => {}
            },
            _ => reader.unknown(key, "wifi", &WIFI),
        }
    }
    let written = password.as_ref().filter(|node| node.kind != Kind::Empty);
    let key = match (written, security) {
        (None, "owe") => WifiKey::Owe,
        (None, "wpa2" | "wpa3") => {
            reader.wrong(
                node.place,
                "this network has no password",
                "add password:, or write security: none",
            );
            return None;
        }
        (None, _) => WifiKey::Open,
        (Some(text), _) => reader
            .secret(text, "password", |text| check::psk(text, security == "wpa3"))?
            .unwrap_or(WifiKey::Used),
    };
    if !node.entries().iter().any(|(key, _)| key.name == "ssid") && matches!(node.kind, Kind::Map(_)) {
        reader.wrong(
            node.place,
            "this wireless network has no name",
            "add ssid: and the name as the router shows it",
        );
    }
    Some(Wifi { line: node.place.line, ssid: ssid?, key, hidden })
}

fn wired(reader: &mut Reader<'_>, node: &Node) -> Option<Wired> {
    let (mut address, mut gateway, mut dns) = (None, None, Vec::new());
    for (key, value) in reader.map(node, "ethernet", "address: 192.168.1.50/24 below it") {
        match key.name.as_str() {
            "address" => address = reader.checked(value, "address", check::cidr),
            "gateway" => gateway = reader.checked(value, "gateway", check::ip),
            "dns" => dns = reader.list(value, "dns", check::ip),
            _ => reader.unknown(key, "ethernet", &["address", "gateway", "dns"]),
        }
    }
    if !node.entries().iter().any(|(key, _)| key.name == "address") {
        reader.wrong(
            node.place,
            "ethernet has no address",
            "add address: 192.168.1.50/24, or remove ethernet for DHCP",
        );
    }
    Some(Wired { address: address?, gateway, dns })
}

fn keyboard(reader: &mut Reader<'_>, node: &Node) -> Option<Keyboard> {
    if let Some(layout) = node.text() {
        return reader.checked(node, "keyboard", |_| check::keyboard("", layout, "", ""));
    }
    let mut parts = [const { String::new() }; 4];
    const KEYS: [&str; 4] = ["model", "layout", "variant", "options"];
    for (key, value) in reader.map(node, "keyboard", "a layout, such as keyboard: de") {
        match KEYS.iter().position(|known| *known == key.name) {
            Some(at) => parts[at] = reader.text_of(value, &key.name).unwrap_or_default().to_owned(),
            None => reader.unknown(key, "keyboard", &KEYS),
        }
    }
    let [model, layout, variant, options] = parts;
    match check::keyboard(&model, &layout, &variant, &options) {
        Ok(keyboard) => Some(keyboard),
        Err((what, remedy)) => {
            reader.wrong(node.place, format!("keyboard: {what}"), remedy);
            None
        }
    }
}

fn proxy(reader: &mut Reader<'_>, node: &Node, c: &mut Customisation) {
    for (key, value) in reader.map(node, "proxy", "http: http://proxy.example.org:3128 below it") {
        let rule = |text: &str| {
            check::address(text, "proxy", "http://proxy.example.org:3128").map(settings::Secret::new)
        };
        let mut one = |name: &str| {
            // An address without a login in it is no secret, and stays readable.
            if value.text().is_some_and(|text| text.contains('@') || redact::is_used(text)) {
                reader.secret(value, name, rule).flatten()
            } else {
                reader.checked(value, name, rule)
            }
        };
        match key.name.as_str() {
            "http" => c.proxy.http = one("http"),
            "https" => c.proxy.https = one("https"),
            "none" => c.proxy.none = reader.list(value, "none", check::host),
            _ => reader.unknown(key, "proxy", &["http", "https", "none"]),
        }
    }
}

fn own_settings(reader: &mut Reader<'_>, node: &Node, c: &mut Customisation) {
    let mut entries = Vec::new();
    reader.map(node, "settings", "settings as in `dockbeacon config --default`");
    if let Err(error) = flat::flatten("", node, &mut entries) {
        reader.unreadable(error);
        return;
    }
    let input = Input {
        files: vec![SettingsFile { name: reader.file.to_owned(), entries: entries.clone() }],
        env: std::collections::BTreeMap::new(),
        arguments: Vec::new(),
        read_file: &|_| None,
    };
    if let Err(errors) = settings::resolve(&input) {
        for error in errors.0 {
            let line =
                error.place.rsplit(' ').next().and_then(|line| line.parse().ok()).unwrap_or(node.place.line);
            reader.wrong(Place { line, column: 1 }, error.what, error.remedy);
        }
        return;
    }
    secret_settings(reader, "", node, &mut entries);
    c.settings = entries;
}

/// Notes where secrets stand; one that was used already is left out, so that the setting stays as it is.
fn secret_settings(
    reader: &mut Reader<'_>,
    prefix: &str,
    node: &Node,
    entries: &mut Vec<settings::RawEntry>,
) {
    for (key, value) in node.entries() {
        let name = if prefix.is_empty() { key.name.clone() } else { format!("{prefix}.{}", key.name) };
        secret_settings(reader, &name, value, entries);
        if table::key(&name).is_some_and(|key| key.kind == ValueKind::Secret)
            && reader.secret(value, &name, |_| Ok(())) == Some(None)
        {
            entries.retain(|entry| entry.key != name);
        }
    }
}

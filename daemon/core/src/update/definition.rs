//! From what the engine shows of a container to the request that makes its successor.
//!
//! Owns the difference between what the owner set, what came from the image and what the engine filled in. Works on raw
//! JSON, so that a field nobody here knows is carried over. Must never pin a value that came from the old image.
//! What it rests on was tried on engines 20.10 and 26.1.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::model::{ImageId, compose};

/// From this API on, a create request takes several networks, and the MAC address belongs to the endpoint.
pub const MANY_NETWORKS: (u32, u32) = (1, 44);

/// The request for a successor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// The body of `POST /containers/create`.
    pub body: Value,
    /// Networks to connect after it, with the endpoint's settings; empty where the create request takes them all.
    pub connect: BTreeMap<String, Value>,
}

/// Why a container cannot be made again from what is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// The engine's answer lacks what every engine gives.
    #[error("the engine's description of it has no {0}")]
    Missing(&'static str),
}

/// What stands around the container, apart from its own description.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The API version spoken.
    pub api: (u32, u32),
    /// The name of the engine's machine, which the engine fills in as host name under `--network host`.
    pub host_name: &'a str,
}

/// Makes the request from `inspect` (the container's description) and `image` (the `Config` of the image that it was made
/// from).
///
/// # Errors
/// When the description is not one.
pub fn definition(
    inspect: &Value,
    image: &Value,
    around: Surroundings<'_>,
) -> Result<Definition, DefinitionError> {
    let id = inspect.get("Id").and_then(Value::as_str).ok_or(DefinitionError::Missing("Id"))?;
    let mut config = object(inspect, "Config")?;
    let mut host = object(inspect, "HostConfig")?;
    let mode = host.get("NetworkMode").and_then(Value::as_str).unwrap_or("default").to_owned();

    subtract_image(&mut config, image);
    drop_filled_in(&mut config, &host, id, &mode, around.host_name);
    rewrite_links(&mut host);
    host.remove("ContainerIDFile");
    carry_volumes(&mut config, &mut host, inspect);

    let (endpoints, mac) = endpoints(inspect, id, &mode, around.api);
    let mut connect = BTreeMap::new();
    let mut at_create = Map::new();
    for (name, endpoint) in endpoints {
        let first = name == mode || (is_default(&mode) && name == "bridge");
        if around.api >= MANY_NETWORKS || first {
            at_create.insert(name, endpoint);
        } else {
            connect.insert(name, endpoint);
        }
    }
    if around.api >= MANY_NETWORKS {
        config.remove("MacAddress");
    } else if let Some(mac) = mac {
        config.entry("MacAddress").or_insert(Value::String(mac));
    }
    let mut body = config;
    body.insert("HostConfig".to_owned(), Value::Object(host));
    body.insert("NetworkingConfig".to_owned(), json!({ "EndpointsConfig": at_create }));
    Ok(Definition { body: Value::Object(body), connect })
}

/// Writes the image's id where Compose looks for it, if Compose made the container: otherwise its next `up` sees drift.
pub fn set_compose_image(body: &mut Value, image: &ImageId) {
    if let Some(label) = body.get_mut("Labels").and_then(|l| l.get_mut(compose::IMAGE)) {
        *label = Value::String(image.as_str().to_owned());
    }
}

fn object(inspect: &Value, key: &'static str) -> Result<Map<String, Value>, DefinitionError> {
    inspect.get(key).and_then(Value::as_object).cloned().ok_or(DefinitionError::Missing(key))
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Bool(_) | Value::Number(_)) => false,
    }
}

fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    (is_empty(a) && is_empty(b)) || a == b
}

/// Takes out what equals the old image's: it is the image's, and the new image has its own.
fn subtract_image(config: &mut Map<String, Value>, image: &Value) {
    subtract_command(config, image);
    for key in ["User", "WorkingDir", "StopSignal", "Shell"] {
        if same(config.get(key), image.get(key)) {
            config.remove(key);
        }
    }
    for key in ["Labels", "ExposedPorts", "Volumes"] {
        let of_image = image.get(key).and_then(Value::as_object);
        if let (Some(own), Some(of_image)) = (config.get_mut(key).and_then(Value::as_object_mut), of_image) {
            own.retain(|name, value| of_image.get(name) != Some(value) || name == compose::IMAGE);
        }
    }
    if let (Some(own), Some(of_image)) =
        (config.get_mut("Env").and_then(Value::as_array_mut), image.get("Env").and_then(Value::as_array))
    {
        own.retain(|entry| !of_image.contains(entry));
    }
    if let Some(own) = config.get_mut("Healthcheck").and_then(Value::as_object_mut) {
        if let Some(of_image) = image.get("Healthcheck").and_then(Value::as_object) {
            own.retain(|field, value| of_image.get(field) != Some(value));
        }
        if own.is_empty() {
            config.remove("Healthcheck");
        }
    }
    for key in ["OnBuild", "ArgsEscaped"] {
        config.remove(key);
    }
}

/// Entrypoint and command go together: the engine fills in the image's command only where the owner set no entrypoint.
fn subtract_command(config: &mut Map<String, Value>, image: &Value) {
    let reset = is_empty(config.get("Entrypoint")) && !is_empty(image.get("Entrypoint"));
    if reset {
        config.insert("Entrypoint".to_owned(), json!([""]));
        return;
    }
    let entrypoint_is_images = same(config.get("Entrypoint"), image.get("Entrypoint"));
    // With the image's own entrypoint an empty command is only possible when the owner wrote that same entrypoint.
    let owner_wrote_it = is_empty(config.get("Cmd")) && !is_empty(image.get("Cmd"));
    if !entrypoint_is_images || (owner_wrote_it && !is_empty(config.get("Entrypoint"))) {
        return;
    }
    config.remove("Entrypoint");
    if same(config.get("Cmd"), image.get("Cmd")) {
        config.remove("Cmd");
    }
}

/// Takes out what the engine filled in.
fn drop_filled_in(
    config: &mut Map<String, Value>,
    host: &Map<String, Value>,
    id: &str,
    mode: &str,
    host_name: &str,
) {
    let name = config.get("Hostname").and_then(Value::as_str).unwrap_or_default();
    let joined = mode.starts_with("container:");
    let shared = host.get("UTSMode").and_then(Value::as_str) == Some("host");
    let filled = id.get(..12) == Some(name) || (mode == "host" && name == host_name);
    if joined || shared || filled {
        config.remove("Hostname");
    }
    if joined || shared {
        config.remove("Domainname");
    }
    if joined {
        config.remove("ExposedPorts");
        config.remove("MacAddress");
    }
    if is_empty(config.get("MacAddress")) {
        config.remove("MacAddress");
    }
}

/// The engine shows `/target:/self/alias` and takes `target:alias`.
fn rewrite_links(host: &mut Map<String, Value>) {
    let Some(links) = host.get_mut("Links").and_then(Value::as_array_mut) else { return };
    for link in links {
        let rewritten = link.as_str().and_then(|text| {
            let (target, alias) = text.split_once(':')?;
            let alias = alias.rsplit('/').next()?;
            Some(format!("{}:{alias}", target.trim_start_matches('/')))
        });
        if let Some(text) = rewritten {
            *link = Value::String(text);
        }
    }
}

/// Volumes without a name of the owner's are carried over by the name that the engine gave them.
fn carry_volumes(config: &mut Map<String, Value>, host: &mut Map<String, Value>, inspect: &Value) {
    let mounts = inspect.get("Mounts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let volume_of = |target: &str| {
        mounts.iter().find_map(|m| {
            let is_volume = m.get("Type").and_then(Value::as_str) == Some("volume");
            let here = m.get("Destination").and_then(Value::as_str).map(trim_path) == Some(trim_path(target));
            (is_volume && here).then(|| m.get("Name").and_then(Value::as_str)).flatten()
        })
    };
    let mut covered: BTreeSet<String> = host
        .get("Tmpfs")
        .and_then(Value::as_object)
        .map(|t| t.keys().map(|k| trim_path(k).to_owned()).collect())
        .unwrap_or_default();
    for bind in host.get_mut("Binds").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(text) = bind.as_str().map(str::to_owned) else { continue };
        // A path alone asks for a volume without a name; named twice, the engine would refuse the mount point.
        let target = text.split(':').nth(1).unwrap_or(&text);
        if let (false, Some(name)) = (text.contains(':'), volume_of(target)) {
            *bind = Value::String(format!("{name}:{target}"));
        }
        covered.insert(trim_path(target).to_owned());
    }
    if let Some(declared) = host.get_mut("Mounts").and_then(Value::as_array_mut) {
        for mount in declared.iter_mut().filter_map(Value::as_object_mut) {
            let Some(target) = mount.get("Target").and_then(Value::as_str).map(str::to_owned) else {
                continue;
            };
            let anonymous =
                mount.get("Type").and_then(Value::as_str) == Some("volume") && is_empty(mount.get("Source"));
            if let (true, Some(name)) = (anonymous, volume_of(&target)) {
                mount.insert("Source".to_owned(), Value::String(name.to_owned()));
            }
            covered.insert(trim_path(&target).to_owned());
        }
    }
    let declared: BTreeSet<String> = inspect
        .pointer("/Config/Volumes")
        .and_then(Value::as_object)
        .map(|v| v.keys().map(|k| trim_path(k).to_owned()).collect())
        .unwrap_or_default();
    let borrows = !is_empty(host.get("VolumesFrom"));
    let mut carried = Vec::new();
    for mount in mounts {
        let text = |key: &str| mount.get(key).and_then(Value::as_str);
        let (Some("volume"), Some(name), Some(target)) = (text("Type"), text("Name"), text("Destination"))
        else {
            continue;
        };
        // A donor's volumes come again with `VolumesFrom`; only those that this container itself declares are its own.
        if covered.contains(trim_path(target)) || (borrows && !declared.contains(trim_path(target))) {
            continue;
        }
        let read_only = mount.get("RW").and_then(Value::as_bool) == Some(false);
        carried.push(Value::String(format!("{name}:{target}{}", if read_only { ":ro" } else { "" })));
    }
    if !carried.is_empty() {
        match host.get_mut("Binds") {
            Some(Value::Array(binds)) => binds.extend(carried),
            _ => {
                host.insert("Binds".to_owned(), Value::Array(carried));
            }
        }
    }
    if is_empty(config.get("Volumes")) {
        config.remove("Volumes");
    }
}

fn trim_path(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() { path } else { trimmed }
}

fn is_default(mode: &str) -> bool {
    matches!(mode, "default" | "bridge" | "")
}

/// The endpoints as the owner set them, and the MAC address that the owner gave, where one can be told.
fn endpoints(
    inspect: &Value,
    id: &str,
    mode: &str,
    api: (u32, u32),
) -> (BTreeMap<String, Value>, Option<String>) {
    let mut found = BTreeMap::new();
    let mut own_mac = None;
    if matches!(mode, "host" | "none") || mode.starts_with("container:") {
        return (found, own_mac);
    }
    let networks = inspect.pointer("/NetworkSettings/Networks").and_then(Value::as_object);
    let config_mac = inspect.pointer("/Config/MacAddress").and_then(Value::as_str).filter(|m| !m.is_empty());
    for (name, shown) in networks.into_iter().flatten() {
        let mut endpoint = Map::new();
        for key in ["IPAMConfig", "Links", "DriverOpts", "GwPriority"] {
            if let Some(value) = shown.get(key).filter(|v| !is_empty(Some(v))) {
                endpoint.insert(key.to_owned(), value.clone());
            }
        }
        let aliases: Vec<&Value> = shown
            .get("Aliases")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter(|a| a.as_str() != id.get(..12))
            .collect();
        if !aliases.is_empty() {
            endpoint.insert("Aliases".to_owned(), json!(aliases));
        }
        let first = name == mode || (is_default(mode) && name == "bridge");
        let mac = shown.get("MacAddress").and_then(Value::as_str).unwrap_or_default();
        let address = shown.get("IPAddress").and_then(Value::as_str).unwrap_or_default();
        let by_owner = if api >= MANY_NETWORKS {
            // The engine shows its own and the owner's address alike; its own is made from the IP address.
            let shown_mac = if first { config_mac.unwrap_or(mac) } else { mac };
            (!shown_mac.is_empty() && !is_derived(shown_mac, address)).then_some(shown_mac)
        } else {
            config_mac.filter(|_| first)
        };
        if let Some(mac) = by_owner {
            if api >= MANY_NETWORKS {
                endpoint.insert("MacAddress".to_owned(), Value::String(mac.to_owned()));
            }
            if first {
                own_mac = Some(mac.to_owned());
            }
        }
        found.insert(name.clone(), Value::Object(endpoint));
    }
    (found, own_mac)
}

/// `02:42:` and the four bytes of the address: how the engine makes one.
fn is_derived(mac: &str, address: &str) -> bool {
    let bytes: Vec<String> =
        address.split('.').filter_map(|b| b.parse::<u8>().ok()).map(|b| format!("{b:02x}")).collect();
    bytes.len() == 4 && mac.eq_ignore_ascii_case(&format!("02:42:{}", bytes.join(":")))
}

#[cfg(test)]
#[path = "definition_tests.rs"]
mod tests;

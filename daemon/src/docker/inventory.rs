//! Snapshots of the engine out of its listings.
//!
//! Owns the reading of listings, and inspects only where a listing does not say. Must never patch a snapshot from events.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use dockbeacon_core::model::{
    Container, ContainerId, ContainerName, ContainerState, Health, Image, ImageId, ImageRef, Inventory, Join,
    JoinKind, Labels,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use serde_json::Value;

use super::raw::Answer;
use super::{Engine, EngineError};

/// Inspects in flight at once; more only queue up in the engine.
const AT_ONCE: usize = 8;

/// Tries of one listing.
const LISTINGS: usize = 4;

/// What only an inspect tells, none of which can change while the container lives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Detail {
    image: String,
    auto_remove: bool,
    joins: Vec<Join>,
}

// Own shapes with only the needed fields, all of them optional: an engine that adds a word must not blind us.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Listed {
    id: String,
    names: Option<Vec<String>>,
    image: String,
    #[serde(rename = "ImageID")]
    image_id: String,
    created: i64,
    ports: Option<Vec<Port>>,
    labels: Option<BTreeMap<String, String>>,
    state: String,
    status: String,
    health: Option<ListedHealth>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedHealth {
    #[serde(default)]
    status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Port {
    public_port: Option<u16>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct ListedImage {
    id: String,
    repo_tags: Option<Vec<String>>,
    repo_digests: Option<Vec<String>>,
    size: i64,
    created: i64,
    labels: Option<BTreeMap<String, String>>,
}

impl Engine {
    /// Containers and images by two requests, plus what [`Engine::containers`] asks for.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn inventory(&self) -> Result<Inventory, EngineError> {
        let (engine, containers, images) = tokio::try_join!(self.info(), self.containers(), self.images())?;
        Ok(Inventory { engine, containers, images })
    }

    /// Images alone, by one request; on an engine with containerd's store it takes ten more of its own for each image.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn images(&self) -> Result<Vec<Image>, EngineError> {
        let what = "listing images";
        let images: Vec<ListedImage> = self.list("/images/json", what).await?.json(what)?;
        Ok(images.into_iter().filter_map(image).collect())
    }

    /// Containers alone, by one request plus an inspect of each whose listing names its image by id only.
    /// `auto_remove` and `joins` are filled in only for containers that have been inspected before; see `details`.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn containers(&self) -> Result<Vec<Container>, EngineError> {
        let what = "listing containers";
        let listed: Vec<Listed> = self.list("/containers/json?all=true", what).await?.json(what)?;
        let unnamed: Vec<String> =
            listed.iter().filter(|c| is_id(&c.image, &c.image_id)).map(|c| c.id.clone()).collect();
        let present: BTreeSet<&str> = listed.iter().map(|c| c.id.as_str()).collect();
        self.details_cache().retain(|id, _| present.contains(id.as_str()));
        self.inspect_missing(unnamed).await?;
        let cache = self.details_cache();
        let mut containers: Vec<Container> = listed
            .into_iter()
            .filter_map(|c| {
                let d = cache.get(&c.id).cloned();
                container(c, d)
            })
            .collect();
        drop(cache);
        containers.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(containers)
    }

    /// A listing. Something that is removed while it is made fails it as a whole on some engines (containerd's store: `failed
    /// to calculate size of image …: not found`); asked again, they know better.
    async fn list(&self, path: &str, what: &str) -> Result<Answer, EngineError> {
        for _ in 1..LISTINGS {
            match self.get(path.to_owned(), what).await {
                Err(error) if !error.engine_is_away() => {
                    tracing::debug!(%error, "{what} failed; asking again");
                }
                other => return other,
            }
        }
        self.get(path.to_owned(), what).await
    }

    /// Fills in what only inspects tell, `auto_remove` and `joins`, for every container. Each is inspected once in its life.
    ///
    /// # Errors
    /// When the engine does not answer. A container that vanished meanwhile is left as it is.
    pub async fn details(&self, inventory: &mut Inventory) -> Result<(), EngineError> {
        self.inspect_missing(inventory.containers.iter().map(|c| c.id.as_str().to_owned()).collect()).await?;
        let cache = self.details_cache();
        for container in &mut inventory.containers {
            if let Some(detail) = cache.get(container.id.as_str()) {
                container.auto_remove = detail.auto_remove;
                container.joins.clone_from(&detail.joins);
            }
        }
        Ok(())
    }

    async fn inspect_missing(&self, ids: Vec<String>) -> Result<(), EngineError> {
        let missing: Vec<String> = {
            let cache = self.details_cache();
            ids.into_iter().filter(|id| !cache.contains_key(id)).collect()
        };
        let found: Vec<(String, Option<Value>)> = stream::iter(missing)
            .map(|id| async move { self.inspect_container(&id).await.map(|value| (id, value)) })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let mut cache = self.details_cache();
        cache.extend(found.into_iter().filter_map(|(id, value)| Some((id, detail(&value?)))));
        Ok(())
    }
}

/// Whether a listing's `Image` is an id (or the beginning of one) instead of what the owner wrote.
fn is_id(image: &str, image_id: &str) -> bool {
    let hex = image_id.strip_prefix("sha256:").unwrap_or(image_id);
    ImageRef::parse(image).is_err() || (image.len() >= 12 && hex.starts_with(image))
}

fn container(listed: Listed, detail: Option<Detail>) -> Option<Container> {
    let name = own_name(listed.names.as_deref().unwrap_or_default())?;
    let mut ports: Vec<u16> =
        listed.ports.unwrap_or_default().iter().filter_map(|p| p.public_port).filter(|p| *p != 0).collect();
    ports.sort_unstable();
    ports.dedup();
    let health = listed.health.and_then(|h| health_word(&h.status)).or_else(|| health_in(&listed.status));
    let image = match &detail {
        Some(detail) if is_id(&listed.image, &listed.image_id) => detail.image.clone(),
        _ => listed.image,
    };
    let (auto_remove, joins) = detail.map(|d| (d.auto_remove, d.joins)).unwrap_or_default();
    Some(Container {
        id: ContainerId::new(listed.id).ok()?,
        name: ContainerName::new(name).ok()?,
        image,
        image_id: ImageId::new(listed.image_id).ok()?,
        state: ContainerState::parse(&listed.state),
        status: listed.status,
        health,
        created: DateTime::from_timestamp(listed.created, 0),
        labels: Labels(listed.labels.unwrap_or_default()),
        ports,
        auto_remove,
        joins,
    })
}

/// The container's own name: links show up as `/other/alias` beside it.
pub(super) fn own_name(names: &[String]) -> Option<&str> {
    names.iter().map(|n| n.strip_prefix('/').unwrap_or(n)).find(|n| !n.contains('/') && !n.is_empty())
}

fn health_word(word: &str) -> Option<Health> {
    match word {
        "starting" => Some(Health::Starting),
        "healthy" => Some(Health::Healthy),
        "unhealthy" => Some(Health::Unhealthy),
        _ => None,
    }
}

/// Older engines tell the health only within `Up 3 hours (healthy)`.
fn health_in(status: &str) -> Option<Health> {
    let (_, word) = status.strip_suffix(')')?.rsplit_once('(')?;
    health_word(word.strip_prefix("health: ").unwrap_or(word))
}

fn image(listed: ListedImage) -> Option<Image> {
    let named = |list: Option<Vec<String>>| -> Vec<String> {
        list.unwrap_or_default().into_iter().filter(|t| !t.contains("<none>")).collect()
    };
    Some(Image {
        id: ImageId::new(listed.id).ok()?,
        tags: named(listed.repo_tags),
        digests: named(listed.repo_digests),
        size: u64::try_from(listed.size).unwrap_or(0),
        created: DateTime::from_timestamp(listed.created, 0),
        labels: Labels(listed.labels.unwrap_or_default()),
    })
}

/// The lasting part of an inspect.
fn detail(inspect: &Value) -> Detail {
    let text = |path: &str| inspect.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let texts = |value: Option<&Value>| -> Vec<String> {
        let list = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut joins = Vec::new();
    let mut add = |kind, target: &str| {
        let join = Join { kind, target: target.trim_start_matches('/').to_owned() };
        if !join.target.is_empty() && !joins.contains(&join) {
            joins.push(join);
        }
    };
    for (path, kind) in [
        ("/HostConfig/NetworkMode", JoinKind::Network),
        ("/HostConfig/IpcMode", JoinKind::Ipc),
        ("/HostConfig/PidMode", JoinKind::Pid),
    ] {
        if let Some(target) = text(path).strip_prefix("container:") {
            add(kind, target);
        }
    }
    let mut links = texts(inspect.pointer("/HostConfig/Links"));
    let networks = inspect.pointer("/NetworkSettings/Networks").and_then(Value::as_object);
    for network in networks.into_iter().flat_map(|n| n.values()) {
        links.extend(texts(network.get("Links")));
    }
    for link in links {
        add(JoinKind::Link, link.split(':').next().unwrap_or_default());
    }
    for donor in texts(inspect.pointer("/HostConfig/VolumesFrom")) {
        add(JoinKind::Volumes, donor.split(':').next().unwrap_or_default());
    }
    Detail {
        image: text("/Config/Image").to_owned(),
        auto_remove: inspect.pointer("/HostConfig/AutoRemove").and_then(Value::as_bool).unwrap_or(false),
        joins,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    #[test]
    fn the_own_name_is_the_one_without_a_second_slash() {
        let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(own_name(&names(&["/web/db", "/db"])), Some("db"));
        assert_eq!(own_name(&names(&["/db"])), Some("db"));
        assert_eq!(own_name(&[]), None);
    }

    #[test]
    fn health_is_read_from_the_status() {
        for (status, health) in [
            ("Up 3 hours (healthy)", Some(Health::Healthy)),
            ("Up 3 hours (unhealthy)", Some(Health::Unhealthy)),
            ("Up 1 second (health: starting)", Some(Health::Starting)),
            ("Up 3 hours (Paused)", None),
            ("Exited (0) 2 minutes ago", None),
            ("Up 3 hours", None),
        ] {
            assert_eq!(health_in(status), health, "{status}");
        }
    }

    #[test]
    fn ids_are_told_from_references() {
        let id = format!("sha256:{}", "ab".repeat(32));
        for (image, answer) in
            [(id.as_str(), true), (&id[7..], true), ("abababababab", true), ("redis:7", false), ("ab", false)]
        {
            assert_eq!(is_id(image, &id), answer, "{image}");
        }
    }

    #[test]
    fn joins_are_found() {
        let detail = detail(&json!({
            "Config": {"Image": "redis"},
            "HostConfig": {
                "AutoRemove": true, "NetworkMode": "container:abc", "IpcMode": "container:def", "PidMode": "host",
                "Links": ["/db:/web/db"], "VolumesFrom": ["data:ro"]
            },
            "NetworkSettings": {"Networks": {"n": {"Links": ["db:database"]}}}
        }));
        let kinds: Vec<_> = detail.joins.iter().map(|j| (j.kind, j.target.as_str())).collect();
        assert_eq!(
            kinds,
            [
                (JoinKind::Network, "abc"),
                (JoinKind::Ipc, "def"),
                (JoinKind::Link, "db"),
                (JoinKind::Volumes, "data")
            ]
        );
        assert!(detail.auto_remove);
    }

    #[test]
    fn a_listing_with_new_words_is_still_read() {
        let listed: Vec<Listed> = serde_json::from_value(json!([{
            "Id": "1", "Names": ["/web"], "Image": "redis", "ImageID": "sha256:2", "State": "levitating",
            "Status": "Up", "Ports": [{"PublicPort": 80}, {"PrivatePort": 1}, {"PublicPort": 80}], "New": {"a": 1}
        }]))
        .unwrap();
        let made = container(listed.into_iter().next().unwrap(), None).unwrap();
        assert_eq!((made.ports.as_slice(), made.state), ([80].as_slice(), ContainerState::Dead));
    }
}

//! Volumes, and who uses what, as a backup needs to know it.
//!
//! Owns these listings and making a volume. Must never remove one.

use std::collections::BTreeMap;

use dockbeacon_core::backup::{Container, Mount, SavedVolume, Volume};
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::inventory::own_name;
use super::raw::Call;
use super::{ASK, Engine, EngineError};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Volumes {
    #[serde(default)]
    volumes: Option<Vec<ListedVolume>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedVolume {
    name: String,
    driver: String,
    #[serde(default)]
    mountpoint: String,
    #[serde(default)]
    options: Option<BTreeMap<String, String>>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    names: Option<Vec<String>>,
    state: String,
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    mounts: Vec<ListedMount>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedMount {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    source: String,
}

impl Engine {
    /// Every volume, by name.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn volumes(&self) -> Result<Vec<Volume>, EngineError> {
        let what = "listing volumes";
        let listed: Volumes = self.get("/volumes".to_owned(), what).await?.json(what)?;
        let mut volumes: Vec<Volume> = listed.volumes.unwrap_or_default().into_iter().map(volume).collect();
        volumes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(volumes)
    }

    /// Every container with what is mounted into it, by name.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn mounts(&self) -> Result<Vec<Container>, EngineError> {
        let what = "listing containers";
        let listed: Vec<Listed> = self.get("/containers/json?all=true".to_owned(), what).await?.json(what)?;
        let mut containers: Vec<Container> = listed.into_iter().filter_map(container).collect();
        containers.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(containers)
    }

    /// Makes a volume where there is none of that name. Where it is, and where its data lie.
    ///
    /// # Errors
    /// When the engine refuses, for example because another driver has a volume of that name.
    pub async fn create_volume(&self, volume: &SavedVolume) -> Result<Volume, EngineError> {
        let body = json!({ "Name": volume.name, "Driver": "local", "Labels": volume.labels });
        let what = format!("making the volume {}", volume.name);
        let call = Call::change(Method::POST, "volume", "/volumes/create".to_owned(), what.clone(), ASK);
        let made: ListedVolume = self.call(call.with(&body)).await?.json(&what)?;
        Ok(self::volume(made))
    }
}

fn volume(listed: ListedVolume) -> Volume {
    Volume {
        name: listed.name,
        driver: listed.driver,
        options: listed.options.unwrap_or_default(),
        labels: listed.labels.unwrap_or_default(),
        mountpoint: listed.mountpoint,
    }
}

fn container(listed: Listed) -> Option<Container> {
    let name = own_name(listed.names.as_deref().unwrap_or_default())?.to_owned();
    let mount = |mount: ListedMount| match mount.kind.as_str() {
        "volume" => Some(Mount::Volume(mount.name)),
        "bind" => Some(Mount::Folder(mount.source)),
        _ => None,
    };
    Some(Container {
        name,
        running: listed.state == "running",
        labels: listed.labels.unwrap_or_default(),
        mounts: listed.mounts.into_iter().filter_map(mount).collect(),
    })
}

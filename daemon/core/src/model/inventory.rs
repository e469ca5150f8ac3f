//! One snapshot of an engine: what a full listing said.
//!
//! Owns the shape that every decision reads. Must never be patched from events: an event is a hint to list again.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{ContainerId, ContainerName, ImageId, Labels};

/// What the engine says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineInfo {
    /// `26.1.5`.
    pub version: String,
    /// The API version spoken after negotiation, `1.45`.
    pub api_version: String,
    /// The platform that it runs images for.
    pub platform: Platform,
}

/// Operating system, architecture and variant in the OCI words: `linux`, `arm64`, `v8`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`, `arm`.
    pub architecture: String,
    /// `v7`, `v8`, or empty.
    pub variant: String,
}

/// The engine's word for what a container is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerState {
    /// Made, never started.
    Created,
    /// Up.
    Running,
    /// Up, frozen.
    Paused,
    /// Between two starts of its restart policy.
    Restarting,
    /// Being removed.
    Removing,
    /// Stopped.
    Exited,
    /// Broken beyond restarting.
    Dead,
}

impl ContainerState {
    /// Reads the engine's word; unknown words count as dead.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        match word {
            "created" => Self::Created,
            "running" => Self::Running,
            "paused" => Self::Paused,
            "restarting" => Self::Restarting,
            "removing" => Self::Removing,
            "exited" => Self::Exited,
            _ => Self::Dead,
        }
    }

    /// The engine's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
        }
    }
}

/// The engine's verdict of a container's own health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Within the start period, or not checked yet.
    Starting,
    /// The last check passed.
    Healthy,
    /// As many checks in a row failed as the container allows.
    Unhealthy,
}

/// What of another container a container uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JoinKind {
    /// Its network namespace.
    Network,
    /// Its IPC namespace.
    Ipc,
    /// Its process namespace.
    Pid,
    /// A legacy link to it.
    Link,
    /// Its volumes.
    Volumes,
}

/// A tie to another container, which must exist (and mostly run) for this one to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// What is used.
    pub kind: JoinKind,
    /// The other's name or id, as the definition has it.
    pub target: String,
}

/// One container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// The engine's id.
    pub id: ContainerId,
    /// Its own name, never a link alias.
    pub name: ContainerName,
    /// The image as the owner wrote it (`Config.Image`).
    pub image: String,
    /// The id of the image that it was made from.
    pub image_id: ImageId,
    /// What it is doing.
    pub state: ContainerState,
    /// The engine's own words, `Up 3 hours (healthy)`.
    pub status: String,
    /// The verdict of its health check, where it has one.
    pub health: Option<Health>,
    /// When it was made.
    pub created: Option<DateTime<Utc>>,
    /// Its labels and its image's.
    pub labels: Labels,
    /// Host ports that it publishes.
    pub ports: Vec<u16>,
    /// Made with `--rm`.
    pub auto_remove: bool,
    /// Ties to other containers.
    pub joins: Vec<Join>,
}

impl Container {
    /// Whether the engine calls it running (paused and restarting are not).
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.state == ContainerState::Running
    }
}

/// One image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The engine's id.
    pub id: ImageId,
    /// `repo:tag`, as the engine abbreviates them.
    pub tags: Vec<String>,
    /// `repo@sha256:…`, as the engine abbreviates them.
    pub digests: Vec<String>,
    /// Bytes on disk.
    pub size: u64,
    /// When it was built.
    pub created: Option<DateTime<Utc>>,
    /// Its labels (`org.opencontainers.image.version` among them).
    pub labels: Labels,
}

/// One full listing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The engine that was asked.
    pub engine: EngineInfo,
    /// All containers, running or not, ordered by name.
    pub containers: Vec<Container>,
    /// All images with a name.
    pub images: Vec<Image>,
}

impl Inventory {
    /// The container of that name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|c| c.name.as_str() == name)
    }

    /// The image of that id.
    #[must_use]
    pub fn image(&self, id: &ImageId) -> Option<&Image> {
        self.images.iter().find(|i| &i.id == id)
    }
}

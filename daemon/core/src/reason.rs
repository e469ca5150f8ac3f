//! Why a decision fell as it did.
//!
//! Owns the one vocabulary of reasons: a code for programs and a sentence for people, the same on the page, in the API, in
//! the journal and in notifications. Must never be written anywhere else as free text.

use serde::{Deserialize, Serialize};

/// One reason. `code()` is stable; the sentence may be reworded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// The registry's digest is among the image's own.
    #[error("runs what the registry has")]
    UpToDate,
    /// The registry has another digest, and the policy lets it be taken.
    #[error("a newer image is in the registry")]
    NewImage,
    /// The tag is on another image here already than the one that the container runs.
    #[error("a newer image is already on this machine")]
    NewImageLocal,
    /// Mode `approve`, and nobody has yet.
    #[error("waiting for your approval")]
    NeedsApproval,
    /// Somebody approved it.
    #[error("approved by {by}")]
    Approved {
        /// Who: `button`, `page`, `api`, `command line`.
        by: String,
    },
    /// Somebody asked for exactly this container.
    #[error("asked for by name")]
    Requested,
    /// Mode `monitor`.
    #[error("only watched: {why}")]
    MonitorOnly {
        /// The setting or label that says so.
        why: String,
    },
    /// Mode `off`, or left out by label or setting.
    #[error("left alone: {why}")]
    Excluded {
        /// The setting or label that says so.
        why: String,
    },
    /// `image@sha256:…`.
    #[error("pinned to a digest, so no newer image can exist")]
    Pinned,
    /// The container was made from a bare image id.
    #[error("made from an image without a name, so there is nothing to ask a registry for")]
    NoReference,
    /// The image was built or loaded here.
    #[error("its image was made on this machine and is in no registry")]
    LocalImage,
    /// Only running containers are updated.
    #[error("not running ({state})")]
    NotRunning {
        /// The engine's word.
        state: String,
    },
    /// A task of a Swarm service: the swarm would replace it.
    #[error("belongs to a Swarm service, which Swarm itself updates")]
    SwarmTask,
    /// `--rm`: it would vanish at the stop.
    #[error("was started with --rm and would vanish at the stop")]
    AutoRemove,
    /// Others use its namespaces, links or volumes.
    #[error("{users} depends on it and would be cut off")]
    UsedByOthers {
        /// Who.
        users: String,
    },
    /// It uses what another container owns, and that one is not a running container of this engine.
    #[error("uses {target}, which is not there")]
    DanglingJoin {
        /// The name or id in its definition.
        target: String,
    },
    /// The registry did not say, this time.
    #[error("the registry could not be asked: {error}")]
    CheckFailed {
        /// What it said, and what to do.
        error: String,
    },
    /// The registry asked for patience.
    #[error("the registry asks to wait until {until}")]
    RateLimited {
        /// Civil time, RFC 3339.
        until: String,
    },
    /// This digest was tried and did not become healthy.
    #[error("{digest} was tried: {why}")]
    BadDigest {
        /// The refused digest, shortened.
        digest: String,
        /// What went wrong then.
        why: String,
    },
    /// The new image does not run on this machine.
    #[error("the new image is for {offered}, this machine runs {wanted}")]
    WrongPlatform {
        /// What the registry has.
        offered: String,
        /// What the engine needs.
        wanted: String,
    },
    /// Not enough room for the new image.
    #[error("not enough free space: {free} free, {needed} needed")]
    NoSpace {
        /// Human size.
        free: String,
        /// Human size.
        needed: String,
    },
    /// The configuration of the old image is gone, so the owner's own settings cannot be told from it.
    #[error(
        "the configuration of its present image is not known any more, so its own settings cannot be told apart"
    )]
    UnknownImageConfig,
    /// Paused by somebody.
    #[error("updates are paused until {until}")]
    Paused {
        /// Civil time, RFC 3339.
        until: String,
    },
    /// A leftover of an interrupted update holds a name that is needed.
    #[error("{name} is left over from an interrupted update: look at it, then remove it")]
    Leftover {
        /// The leftover container.
        name: String,
    },
    /// Another update of it is not finished.
    #[error("another update of it is not finished")]
    Unfinished,
    /// `no-pull`: only images on this machine count.
    #[error("no newer image on this machine, and pulling is switched off: {why}")]
    NoPull {
        /// The setting or label that says so.
        why: String,
    },
    /// It carries the marks of an update in progress.
    #[error("is part of an update in progress")]
    PartOfUpdate,
    /// The definition cannot be carried over.
    #[error("its definition cannot be carried over: {why}")]
    NotReproducible {
        /// What in it.
        why: String,
    },
    /// The civil time has not been confirmed, so a schedule in civil time cannot be followed.
    #[error("the time of day is not known yet")]
    TimeNotTrusted,
}

impl Reason {
    /// The stable code, as in JSON.
    #[must_use]
    pub fn code(&self) -> String {
        match serde_json::to_value(self) {
            Ok(value) => value.get("code").and_then(|c| c.as_str()).unwrap_or("unknown").to_owned(),
            Err(_) => "unknown".to_owned(),
        }
    }
}

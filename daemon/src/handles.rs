//! The handles by which the outside asks the loops: one snapshot to read, one stream to follow, one queue of commands.
//!
//! Owns their types. Must never hold the store or the engine themselves.

use std::sync::Arc;

use dockbeacon_core::event::Event;
use dockbeacon_core::panel::Gesture;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::view::View;

/// What the HTTP side and the control socket are given.
#[derive(Debug, Clone)]
pub struct Handles {
    /// The latest snapshot.
    pub view: watch::Receiver<Arc<View>>,
    /// Events from now on; older ones are in the snapshot and the store.
    pub events: broadcast::Sender<Event>,
    /// Commands to the loops.
    pub commands: mpsc::Sender<Command>,
}

/// Who asks, for the audit log and for reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// `page`, `api`, `button`, `command line`, `schedule`.
    pub way: String,
    /// The address or token name, where there is one.
    pub who: String,
}

/// Something to be done, with the place for its answer.
#[derive(Debug)]
pub enum Command {
    /// Look for newer images now. Empty names mean all.
    Check(Actor, Names, Reply<Summary>),
    /// One update run now: recover, check, plan, act. Empty names mean what the policies allow; `images` restricts it to
    /// containers of those images, as Watchtower's `image=` does. Waits until all is verified or rolled back.
    Update(Actor, UpdateRequest, Reply<Summary>),
    /// Approve candidates; with a fingerprint only if the plan still has it. Starts the update of what was approved and
    /// answers at once.
    Approve(Actor, Names, Option<String>, Reply<Summary>),
    /// Put the previous image back.
    Rollback(Actor, String, Reply<Summary>),
    /// No automatic updates for so many seconds.
    Pause(Actor, u64, Reply<Summary>),
    /// Automatic updates again.
    Resume(Actor, Reply<Summary>),
    /// The virtual button.
    Press(Actor, Gesture, Reply<Summary>),
    /// The button on the device.
    ByHand(Gesture, Reply<Summary>),
    /// Fast lamps for 15 seconds.
    Identify(Actor, Reply<Summary>),
    /// Something that happened on the HTTP side (claimed, logged in), to be kept and told like any other event.
    Happened(dockbeacon_core::event::What),
}

/// Names of containers.
pub type Names = Vec<String>;

/// Where an answer goes.
pub type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

/// An update run as somebody asked for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpdateRequest {
    /// Only these containers; empty means all.
    pub names: Names,
    /// Only containers of these images; empty means all.
    pub images: Vec<String>,
    /// The names are those of approved containers: nothing beyond what was approved is done.
    pub only_approved: bool,
    /// False: be told `Busy` at once when a run is under way. True: wait for it, then run.
    pub wait: bool,
}

/// How a command ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Summary {
    /// A sentence for people.
    pub message: String,
    /// The exit code that the command line gives for it.
    pub code: u8,
    /// Containers looked at.
    pub scanned: usize,
    /// Containers with a newer image.
    pub candidates: usize,
    /// Updated and committed.
    pub updated: Names,
    /// Rolled back.
    pub rolled_back: Names,
    /// Failed, services as they were.
    pub failed: Names,
}

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another run is under way.
    #[error("busy: {0}")]
    Busy(String),
    /// No such container, or nothing to do for it.
    #[error("{0}")]
    NotFound(String),
    /// Not possible now: the plan has changed.
    #[error("{0}")]
    Conflict(String),
    /// The engine does not answer.
    #[error("{0}")]
    EngineAway(String),
    /// The daemon is stopping.
    #[error("the daemon is stopping; try again when it is up")]
    Stopping,
}

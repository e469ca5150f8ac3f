//! One enum of everything that happened and may be told.
//!
//! Owns the names and shapes of events, as the API streams and the store keeps them. Must never carry a secret.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// An event with its place in the stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Ascending, kept over restarts; the SSE id.
    pub id: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum What {
    /// The daemon is up.
    Started {
        /// Its version.
        version: String,
    },
    /// The engine answers again.
    EngineUp {
        /// Its version.
        version: String,
    },
    /// The engine does not answer.
    EngineDown {
        /// What went wrong and what to do.
        error: String,
    },
    /// What page and API show is another than before. Not kept, so without an id.
    InventoryChanged,
    /// A check for newer images began.
    CheckStarted,
    /// A check for newer images ended.
    CheckFinished {
        /// Images asked for.
        images: usize,
        /// Containers with a newer image.
        candidates: usize,
        /// Images whose registry could not be asked.
        failed: usize,
    },
    /// A candidate was seen for the first time.
    CandidateFound {
        /// The container.
        container: String,
        /// The image as the owner wrote it.
        image: String,
        /// The new digest, shortened.
        digest: String,
    },
    /// A transaction began.
    UpdateStarted {
        /// The transaction.
        tx: String,
        /// The container.
        container: String,
        /// From which version.
        from: String,
        /// To which.
        to: String,
    },
    /// A transaction is at another step.
    UpdateStep {
        /// The transaction.
        tx: String,
        /// The container.
        container: String,
        /// The state, `pulling` and so on.
        state: String,
        /// Words for people: layers pulled, health seen.
        detail: String,
    },
    /// A transaction ended.
    UpdateFinished {
        /// The transaction.
        tx: String,
        /// The container.
        container: String,
        /// `updated`, `failed`, `rolled-back`, `stood-back`, `lost`.
        outcome: String,
        /// The whole story in a sentence.
        message: String,
    },
    /// Somebody approved.
    Approved {
        /// The containers.
        containers: Vec<String>,
        /// Who.
        by: String,
    },
    /// Updates are paused.
    Paused {
        /// Until when.
        until: DateTime<Utc>,
        /// Who.
        by: String,
    },
    /// Updates go on.
    Resumed {
        /// Who.
        by: String,
    },
    /// The panel shows another state.
    PanelChanged {
        /// The state's name.
        state: String,
    },
    /// A gesture was made.
    Gesture {
        /// Its name.
        gesture: String,
        /// What it did.
        did: String,
    },
    /// Power, heat, card or memory are otherwise than before.
    DeviceChanged {
        /// `power`, `temperature` and so on.
        measure: String,
        /// `good`, `note`, `bad`, `unknown`.
        verdict: String,
        /// A sentence.
        text: String,
    },
    /// A rung of the ladder was taken.
    Ladder {
        /// `restart-engine`, `reboot`, `safe-mode` and so on.
        step: String,
        /// A sentence.
        text: String,
    },
    /// The device has an owner now.
    Claimed,
    /// A factory reset is asked for, or taken back.
    FactoryReset {
        /// What will happen, in words.
        text: String,
    },
    /// A person or program came in.
    LoggedIn {
        /// The address.
        from: String,
    },
}

impl What {
    /// The event's name, as in JSON and as the SSE event type.
    #[must_use]
    pub fn name(&self) -> String {
        match serde_json::to_value(self) {
            Ok(value) => value.get("event").and_then(|c| c.as_str()).unwrap_or("unknown").to_owned(),
            Err(_) => "unknown".to_owned(),
        }
    }
}

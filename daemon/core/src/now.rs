//! The only idea of time in the core.
//!
//! Owns `Now`: a monotonic clock for delays, a civil clock for schedules, and whether the civil one can be believed. Must
//! never read either clock: the shell's `clock.rs` does.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// One instant, as both clocks show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// Time since an arbitrary start that is fixed while the process lives; never goes back.
    pub monotonic: Duration,
    /// Civil time in UTC.
    pub civil: DateTime<Utc>,
    /// False until the civil time has been confirmed. A Raspberry Pi has no clock battery and wakes up in the past.
    pub trusted: bool,
}

impl Now {
    /// The same instant moved forward on both clocks. For tests and for looking ahead.
    #[must_use]
    pub fn plus(self, delay: Duration) -> Self {
        let civil = self.civil + chrono::TimeDelta::from_std(delay).unwrap_or(chrono::TimeDelta::MAX);
        Self { monotonic: self.monotonic + delay, civil, trusted: self.trusted }
    }
}

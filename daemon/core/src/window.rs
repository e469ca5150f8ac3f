//! Schedules: when to look next.
//!
//! Owns intervals and six-field cron expressions in a time zone. Must never ask what time it is.

use std::time::Duration;

/// When to look for newer images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// Every so often, counted from the start.
    Every(Duration),
    /// A cron expression with seconds.
    Cron(String),
    /// Only when asked.
    Never,
}

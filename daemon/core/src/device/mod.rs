//! The device under it all: power, heat, card and memory, and what is done when the engine stays away.
//!
//! Owns the verdicts and the ladder as pure functions. Must never read a file or restart anything.

pub mod health;
pub mod ladder;

pub use health::{Disk, Finding, Limits, Measure, Observed, Verdict, examine, is_fault, is_power};
pub use ladder::{Bounds, LadderFacts, Memory, Step, climb, mends};

//! Updates: who could move, in which steps, and what a crash left behind.
//!
//! Owns every choice of an update: the shell performs acts and reports what came of them, and has no choice left to make.
//! Must never talk to an engine or a registry, and never trust that an act which was begun was also carried out.

pub mod candidate;
pub mod definition;
pub mod driver;
pub mod journal;
pub mod lost;
pub mod names;
pub mod plan;
pub mod policy;
pub mod preflight;
pub mod run;
pub mod verify;
pub mod version;

#[cfg(test)]
mod model_engine;

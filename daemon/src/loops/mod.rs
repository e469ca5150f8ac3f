//! The daemon's background loops, one file each.
//!
//! Owns their pace: each waits for a timer or a signal, looks at the world again, lets the core decide and passes the work
//! on. Must never keep a decision for later: the next round makes it anew.

pub mod commands;
pub mod device;
pub mod inventory;
pub mod publish;
pub mod schedule;

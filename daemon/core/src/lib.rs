//! The decisions of Dockbeacon.
//!
//! Owns every rule: what may be updated and why not, which step of an update comes next, what a crash left behind and how
//! it is mended, what the lamps show. Must never read a clock, a file, an environment variable or a random number, and
//! never talk to anything: time and observations are arguments, decisions are return values.

pub mod auth;
pub mod backup;
pub mod device;
pub mod doctor;
pub mod event;
pub mod model;
pub mod now;
pub mod panel;
pub mod provision;
pub mod reason;
pub mod registry;
pub mod settings;
pub mod text;
pub mod update;
pub mod window;

//! The shell of Dockbeacon: adapters, loops, HTTP and page around `dockbeacon-core`.
//!
//! Owns everything that observes and acts. Must never decide: rules live in the core.

pub mod config;
pub mod handles;
pub mod ports;
pub mod view;

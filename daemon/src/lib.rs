//! The shell of Dockbeacon: adapters, loops, HTTP and page around `dockbeacon-core`.
//!
//! Owns everything that observes and acts. Must never decide: rules live in the core.

pub mod clock;
pub mod exit;
pub mod handles;
pub mod lock;
pub mod panel;
pub mod ports;
pub mod shutdown;
pub mod store;
pub mod supervisor;
pub mod systemd;
pub mod telemetry;
pub mod view;

//! The shell of Dockbeacon: adapters, loops, HTTP and page around `dockbeacon-core`.
//!
//! Owns everything that observes and acts. Must never decide: rules live in the core.

pub mod app;
pub mod args;
pub mod backup;
pub mod claims;
pub mod cli;
pub mod clock;
pub mod config;
pub mod device;
pub mod docker;
pub mod doctor;
pub mod exit;
pub mod failpoint;
pub mod firstboot;
pub mod handles;
pub mod host;
pub mod http;
pub mod lock;
pub mod loops;
pub mod owner;
pub mod page;
pub mod panel;
pub mod ports;
pub mod registry;
pub mod runner;
pub mod shutdown;
pub mod store;
pub mod supervisor;
pub mod systemd;
pub mod telemetry;
pub mod view;
pub mod work;

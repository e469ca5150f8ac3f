//! The test bed: real engines, a real registry, a service to update, and the daemon, each started for the tests alone.
//!
//! Owns what tests stand on. Must never touch the machine's own engine, nor leave anything behind.

pub mod card;
pub mod compose;
pub mod daemon;
pub mod demo;
pub mod engine;
pub mod idle;
pub mod image;
pub mod lan;
pub mod project;
pub mod proxy;
pub mod qemu;
pub mod raw;
pub mod registry;
pub mod sandbox;
pub mod views;

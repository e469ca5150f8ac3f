//! The SD card image: what is in it and what must not be, and that it boots.
//!
//! Needs an image (`scripts/build-image --no-compress`; `scripts/test` makes it), QEMU, mtools and debugfs. Must never mount
//! anything, nor write to the image.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod appliance;
mod audit;
mod boot;
#[path = "../browser/mod.rs"]
mod browser;
mod build;
mod chain;
mod idle;
mod ladder;
mod overlay;
mod papers;
mod raspios;
mod reproduce;
mod restore;
mod rival;

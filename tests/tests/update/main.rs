//! The update transaction on real engines, driven through the program as its users have it.
//!
//! Owns the list of the parts. Must never look into the daemon but through its command line, its API and the engine.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod bad_input;
mod bed;
mod cleanup;
mod compose;
mod every_option;
mod middle;
mod oneshot;

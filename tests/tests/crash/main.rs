//! Killed at every point, started again: no service is ever lost.
//!
//! Owns the enumeration of the points (found by passing them, never listed), the killing, and the requirements after it.
//! Must never go by seconds: it waits for what must come.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod engine;
mod points;

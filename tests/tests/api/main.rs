//! The HTTP side on real parts: the router, real connections, records in memory, and loops that answer as told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod actions;
mod attacks;
mod bench;
mod contract;
mod live;
mod press;
mod reset;
mod stream;
mod tls;

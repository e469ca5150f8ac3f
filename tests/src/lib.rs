//! Fakes, scenarios and fixtures for tests against real parts.

pub mod views;

//! A panel without lamps.
//!
//! Owns nothing. Must never fail.

use dockbeacon_core::panel::{LampSet, Levels};

use super::{LampError, Lamps};

/// No lamps at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Null;

impl Lamps for Null {
    fn driver(&self) -> &'static str {
        "none"
    }

    fn set_of_lamps(&self) -> LampSet {
        LampSet::One
    }

    fn fades(&self) -> bool {
        false
    }

    fn show(&mut self, _levels: &Levels) -> Result<(), LampError> {
        Ok(())
    }

    fn hand_back(&mut self) {}
}

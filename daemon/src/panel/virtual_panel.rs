//! The panel that is only drawn.
//!
//! Owns a channel with what its lamps show. The page does not need it, since it draws from the same rhythms by itself; tests
//! and programs do. Must never show anything but what it was told.

use dockbeacon_core::panel::{LampSet, Levels};
use tokio::sync::watch;

use super::{LampError, Lamps};

/// Three lamps in memory. `None` in the channel means that they were handed back, or never taken.
#[derive(Debug)]
pub struct VirtualPanel {
    shown: watch::Sender<Option<Levels>>,
}

impl Default for VirtualPanel {
    fn default() -> Self {
        Self::new()
    }
}

impl VirtualPanel {
    /// With lamps that nobody has taken yet.
    #[must_use]
    pub fn new() -> Self {
        Self { shown: watch::Sender::new(None) }
    }

    /// Follows the lamps.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Option<Levels>> {
        self.shown.subscribe()
    }
}

impl Lamps for VirtualPanel {
    fn driver(&self) -> &'static str {
        "virtual"
    }

    fn set_of_lamps(&self) -> LampSet {
        LampSet::Three
    }

    /// Nobody looks at it 25 times a second.
    fn fades(&self) -> bool {
        false
    }

    fn show(&mut self, levels: &Levels) -> Result<(), LampError> {
        self.shown.send_replace(Some(*levels));
        Ok(())
    }

    fn hand_back(&mut self) {
        self.shown.send_replace(None);
    }
}

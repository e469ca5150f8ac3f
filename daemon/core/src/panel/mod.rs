//! The front panel: which state is shown, in which rhythm, and what a press means.
//!
//! Owns the table of states, the patterns and the gestures as pure functions. Must never touch a line or a clock.

use serde::{Deserialize, Serialize};

/// What a person did with the button.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gesture {
    /// Under 0.7 s.
    Press,
    /// A second press within 400 ms.
    DoublePress,
    /// Held 3 to 10 s.
    Hold3,
    /// Held 10 to 20 s.
    Hold10,
}

/// When the lamps are lit: `on`, `off`, or dark for some hours of the night.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LampHours {
    /// Always.
    #[default]
    On,
    /// Never, but for an identify request.
    Off,
    /// Dark from the first minute of the day to the second, in local time; may pass midnight.
    Night {
        /// Minutes since midnight.
        from: u16,
        /// Minutes since midnight.
        to: u16,
    },
}

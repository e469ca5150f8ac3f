//! The front panel: which state is shown, in which rhythm, and what a press means.
//!
//! Owns the table of states, the patterns and the gestures as pure functions. Must never touch a line or a clock.

pub mod drivers;
pub mod gesture;
pub mod line;
pub mod meaning;
pub mod pattern;
mod state;

use serde::{Deserialize, Serialize};

pub use gesture::{Feedback, Recogniser};
pub use line::LineName;
pub use meaning::{ButtonFacts, Meaning, SEEN_AFTER, ShownPlan, meaning};
pub use pattern::{Beat, Lamp, LampSet, Level, Levels, beats, levels, next_change};
pub use state::{PanelFacts, State, choose};

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
    /// Held 10 to 20 s, and confirmed by a press within 10 s of letting go.
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

impl LampHours {
    /// Whether the lamps are dark at that minute of the local day; `None` while the time is not known, which is never
    /// night, since a lamp that is dark for no visible reason looks like a dead device.
    #[must_use]
    pub fn dark(self, minute: Option<u16>) -> bool {
        match (self, minute) {
            (Self::On, _) | (Self::Night { .. }, None) => false,
            (Self::Off, _) => true,
            (Self::Night { from, to }, Some(now)) if from <= to => from <= now && now < to,
            (Self::Night { from, to }, Some(now)) => from <= now || now < to,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LampHours;

    #[test]
    fn the_night_may_pass_midnight() {
        let night = LampHours::Night { from: 22 * 60, to: 7 * 60 };
        let nap = LampHours::Night { from: 60, to: 120 };
        let table = [
            (LampHours::On, Some(0), false),
            (LampHours::Off, None, true),
            (night, None, false),
            (night, Some(22 * 60 - 1), false),
            (night, Some(22 * 60), true),
            (night, Some(0), true),
            (night, Some(7 * 60 - 1), true),
            (night, Some(7 * 60), false),
            (nap, Some(59), false),
            (nap, Some(60), true),
            (nap, Some(120), false),
        ];
        for (hours, minute, dark) in table {
            assert_eq!(hours.dark(minute), dark, "{hours:?} at {minute:?}");
        }
    }
}

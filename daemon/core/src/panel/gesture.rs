//! From the edges of a button to what a person meant.
//!
//! Owns debouncing and all times of the button. Must never read a clock: each edge comes with its instant, and whoever
//! feeds it calls `tick` at `deadline`.
//!
//! A gesture is made on release, so that a jammed button never does anything.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Gesture;

const DEBOUNCE: Duration = Duration::from_millis(30);
const PRESS_BELOW: Duration = Duration::from_millis(700);
const DOUBLE_WITHIN: Duration = Duration::from_millis(400);
const HOLD3_FROM: Duration = Duration::from_secs(3);
const HOLD10_FROM: Duration = Duration::from_secs(10);
const HOLD_BELOW: Duration = Duration::from_secs(20);
const CONFIRM_WITHIN: Duration = Duration::from_secs(10);

/// What the lamps say while the button is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feedback {
    /// Down.
    Pressed,
    /// Past 3 s: letting go shuts down.
    ShutDown,
    /// Past 10 s: letting go and pressing once more resets. Shown until that press, too.
    Reset,
    /// Past 20 s: letting go does nothing.
    Cancelled,
}

impl Feedback {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pressed, Self::ShutDown, Self::Reset, Self::Cancelled];

    /// For people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Pressed => "The button is pressed",
            Self::ShutDown => "Let go now to shut down safely",
            Self::Reset => "Let go, then press once within 10 seconds to reset the password",
            Self::Cancelled => "Held too long: letting go does nothing",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Down since before we looked: means nothing until it is let go.
    Ignored,
    Up,
    Down {
        since: Duration,
        /// A press came just before.
        second: bool,
        /// The hold before asked for this press.
        confirms: bool,
    },
    /// One press, and perhaps a second one follows.
    Pending {
        released: Duration,
    },
    /// Held 10 to 20 s and let go; a press confirms.
    Armed {
        released: Duration,
    },
}

/// Follows one button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recogniser {
    /// The line as it was last seen, and since when.
    raw: (bool, Duration),
    /// The line without its bouncing.
    stable: bool,
    phase: Phase,
    double: bool,
}

impl Recogniser {
    /// Begins to follow a button. One that is already down is ignored until it is let go.
    #[must_use]
    pub const fn new(pressed: bool, now: Duration) -> Self {
        let phase = if pressed { Phase::Ignored } else { Phase::Up };
        Self { raw: (pressed, now), stable: pressed, phase, double: true }
    }

    /// Whether a double press means anything. While unclaimed it does not, and a press acts at once.
    pub const fn set_double_press(&mut self, meant: bool) {
        self.double = meant;
    }

    /// The line changed; also to be called where it only may have.
    pub fn edge(&mut self, pressed: bool, now: Duration) -> Option<Gesture> {
        let before = self.tick(now);
        if pressed != self.raw.0 {
            self.raw = (pressed, now);
        }
        before
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Duration) -> Option<Gesture> {
        // A late tick finds both: the gesture that was pending is made before the edge that came after it counts.
        let (level, since) = self.raw;
        if level == self.stable {
            return self.expire(now);
        }
        // Until the line has settled, time stands still for what waits for an edge: this may be that edge.
        let made = self.expire(since);
        if now.saturating_sub(since) < DEBOUNCE {
            return made;
        }
        self.stable = level;
        let next = if level { self.down(since) } else { self.up(since) };
        // A press that expired and a release that makes another cannot come together: a debounced press lies between.
        made.or(next).or_else(|| self.expire(now))
    }

    /// When `tick` is to be called next; `None`: only after the next edge. For the lamps see `next_feedback` too.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        if self.raw.0 != self.stable {
            return Some(self.raw.1.saturating_add(DEBOUNCE));
        }
        match self.phase {
            Phase::Ignored | Phase::Up => None,
            Phase::Pending { released } => Some(released.saturating_add(DOUBLE_WITHIN)),
            Phase::Armed { released } => Some(released.saturating_add(CONFIRM_WITHIN)),
            // Only the feedback changes while it is down: see `next_feedback`.
            Phase::Down { .. } => None,
        }
    }

    /// When the feedback changes next after `now`, if nothing happens to the button.
    #[must_use]
    pub fn next_feedback(&self, now: Duration) -> Option<Duration> {
        let Phase::Down { since, .. } = self.phase else { return None };
        [HOLD3_FROM, HOLD10_FROM, HOLD_BELOW].into_iter().map(|t| since.saturating_add(t)).find(|t| *t > now)
    }

    /// What the lamps say to the person at the button.
    #[must_use]
    pub fn feedback(&self, now: Duration) -> Option<Feedback> {
        match self.phase {
            Phase::Ignored | Phase::Up | Phase::Pending { .. } => None,
            Phase::Armed { .. } => Some(Feedback::Reset),
            Phase::Down { since, .. } => Some(match now.saturating_sub(since) {
                held if held < HOLD3_FROM => Feedback::Pressed,
                held if held < HOLD10_FROM => Feedback::ShutDown,
                held if held < HOLD_BELOW => Feedback::Reset,
                _ => Feedback::Cancelled,
            }),
        }
    }

    /// What the passing of time alone brings.
    fn expire(&mut self, now: Duration) -> Option<Gesture> {
        match self.phase {
            Phase::Pending { released } if now.saturating_sub(released) >= DOUBLE_WITHIN => {
                self.phase = Phase::Up;
                Some(Gesture::Press)
            }
            Phase::Armed { released } if now.saturating_sub(released) >= CONFIRM_WITHIN => {
                self.phase = Phase::Up;
                None
            }
            Phase::Ignored | Phase::Up | Phase::Down { .. } | Phase::Pending { .. } | Phase::Armed { .. } => {
                None
            }
        }
    }

    const fn down(&mut self, at: Duration) -> Option<Gesture> {
        let (second, confirms) = match self.phase {
            Phase::Pending { .. } => (true, false),
            Phase::Armed { .. } => (false, true),
            Phase::Ignored | Phase::Up | Phase::Down { .. } => (false, false),
        };
        self.phase = Phase::Down { since: at, second, confirms };
        None
    }

    fn up(&mut self, at: Duration) -> Option<Gesture> {
        let Phase::Down { since, second, confirms } = self.phase else {
            self.phase = Phase::Up;
            return None;
        };
        let held = at.saturating_sub(since);
        self.phase = Phase::Up;
        match held {
            held if held < PRESS_BELOW && confirms => Some(Gesture::Hold10),
            held if held < PRESS_BELOW && second => Some(Gesture::DoublePress),
            held if held < PRESS_BELOW && !self.double => Some(Gesture::Press),
            held if held < PRESS_BELOW => {
                self.phase = Phase::Pending { released: at };
                None
            }
            held if held < HOLD3_FROM => None,
            held if held < HOLD10_FROM => Some(Gesture::Hold3),
            held if held < HOLD_BELOW => {
                self.phase = Phase::Armed { released: at };
                None
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;

//! Which of the things that are going on the panel shows.
//!
//! Owns the states, their order and their words. Must never know how a lamp is lit.

use serde::{Deserialize, Serialize};

use super::{Feedback, LampHours};

/// What the panel shows, the most important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum State {
    /// Somebody looks for this device.
    Identify,
    /// The button is held.
    Held {
        /// What letting go would do.
        feedback: Feedback,
    },
    /// First boot is at work.
    FirstBoot {
        /// The step that waits for something; `None` while all goes on.
        waits_in: Option<u8>,
    },
    /// No owner yet.
    Unclaimed,
    /// Something is broken and nobody mends it.
    Fault,
    /// Under-voltage, or throttled.
    Power,
    /// An update, backup or restore runs: do not unplug.
    Working,
    /// A service is being restarted, or a remote host is out of reach.
    Healing,
    /// Updates wait for approval.
    ApprovalsWaiting,
    /// Nothing to do.
    AllWell,
    /// The lamps are switched off, or off at this hour.
    Dark,
    /// Starting or stopping: the lamps are not ours.
    #[default]
    None,
}

impl State {
    /// 9 is the most important; `None` where the table has a dash.
    #[must_use]
    pub const fn priority(self) -> Option<u8> {
        match self {
            Self::Identify => Some(9),
            Self::Held { .. } => Some(8),
            Self::FirstBoot { .. } => Some(7),
            Self::Unclaimed => Some(6),
            Self::Fault => Some(5),
            Self::Power => Some(4),
            Self::Working => Some(3),
            Self::Healing => Some(2),
            Self::ApprovalsWaiting => Some(1),
            Self::AllWell => Some(0),
            Self::Dark | Self::None => None,
        }
    }

    /// Stable, for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identify => "identify",
            Self::Held { .. } => "held",
            Self::FirstBoot { .. } => "first-boot",
            Self::Unclaimed => "unclaimed",
            Self::Fault => "fault",
            Self::Power => "power",
            Self::Working => "working",
            Self::Healing => "healing",
            Self::ApprovalsWaiting => "approvals-waiting",
            Self::AllWell => "all-well",
            Self::Dark => "dark",
            Self::None => "none",
        }
    }

    /// For people, as the page says it beside the lamps.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Identify => "Here I am".to_owned(),
            Self::Held { feedback } => feedback.words().to_owned(),
            Self::FirstBoot { waits_in: None } => "First boot is at work; do not unplug".to_owned(),
            Self::FirstBoot { waits_in: Some(step) } => format!("First boot waits in step {step}"),
            Self::Unclaimed => "Waiting for its owner".to_owned(),
            Self::Fault => "Something is wrong and needs you".to_owned(),
            Self::Power => "Too little power, or too hot".to_owned(),
            Self::Working => "At work; do not unplug".to_owned(),
            Self::Healing => "A service is being brought back".to_owned(),
            Self::ApprovalsWaiting => "Updates wait for your approval".to_owned(),
            Self::AllWell => "All is well".to_owned(),
            Self::Dark => "The lamps are off, as set".to_owned(),
            Self::None => "Starting or stopping".to_owned(),
        }
    }
}

/// What is going on, as the state is chosen from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PanelFacts {
    /// Starting or stopping.
    pub asleep: bool,
    /// An identify request of the last 15 s.
    pub identify: bool,
    /// The button is held.
    pub held: Option<Feedback>,
    /// First boot is not done; inside, the step that waits.
    pub first_boot: Option<Option<u8>>,
    /// It has an owner.
    pub claimed: bool,
    /// A service is down and healing gave up, the engine is down, the disk is full, the card read-only.
    pub fault: bool,
    /// Under-voltage or throttled.
    pub power: bool,
    /// An update, backup or restore runs.
    pub working: bool,
    /// A service is being restarted, or a remote host is out of reach.
    pub healing: bool,
    /// Candidates that wait for approval.
    pub approvals: usize,
    /// When the lamps are lit.
    pub hours: LampHours,
    /// Minutes since local midnight; `None` while the time is not known.
    pub minute: Option<u16>,
}

/// The state to show: the most important thing that is going on.
#[must_use]
pub fn choose(facts: &PanelFacts) -> State {
    if facts.asleep {
        return State::None;
    }
    if facts.identify {
        return State::Identify;
    }
    if facts.hours.dark(facts.minute) {
        return State::Dark;
    }
    if let Some(feedback) = facts.held {
        return State::Held { feedback };
    }
    if let Some(waits_in) = facts.first_boot {
        return State::FirstBoot { waits_in };
    }
    match facts {
        PanelFacts { claimed: false, .. } => State::Unclaimed,
        PanelFacts { fault: true, .. } => State::Fault,
        PanelFacts { power: true, .. } => State::Power,
        PanelFacts { working: true, .. } => State::Working,
        PanelFacts { healing: true, .. } => State::Healing,
        PanelFacts { approvals: 1.., .. } => State::ApprovalsWaiting,
        PanelFacts { .. } => State::AllWell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything at once, then one thing less each time: what remains on top must go down the table.
    #[test]
    fn the_highest_priority_wins() {
        let mut facts = PanelFacts {
            asleep: true,
            identify: true,
            held: Some(Feedback::Pressed),
            first_boot: Some(Some(3)),
            claimed: false,
            fault: true,
            power: true,
            working: true,
            healing: true,
            approvals: 2,
            ..PanelFacts::default()
        };
        type Less = fn(&mut PanelFacts);
        let less: [(State, Less); 11] = [
            (State::None, |f| f.asleep = false),
            (State::Identify, |f| f.identify = false),
            (State::Held { feedback: Feedback::Pressed }, |f| f.held = None),
            (State::FirstBoot { waits_in: Some(3) }, |f| f.first_boot = None),
            (State::Unclaimed, |f| f.claimed = true),
            (State::Fault, |f| f.fault = false),
            (State::Power, |f| f.power = false),
            (State::Working, |f| f.working = false),
            (State::Healing, |f| f.healing = false),
            (State::ApprovalsWaiting, |f| f.approvals = 0),
            (State::AllWell, |_| {}),
        ];
        let mut last = u8::MAX;
        for (expected, change) in less {
            assert_eq!(choose(&facts), expected);
            if let Some(priority) = expected.priority() {
                assert!(priority < last, "{expected:?}");
                last = priority;
            }
            change(&mut facts);
        }
    }

    #[test]
    fn in_the_dark_only_an_identify_request_shows() {
        let facts = PanelFacts {
            hours: LampHours::Off,
            fault: true,
            held: Some(Feedback::Pressed),
            ..PanelFacts::default()
        };
        assert_eq!(choose(&facts), State::Dark);
        assert_eq!(choose(&PanelFacts { identify: true, ..facts }), State::Identify);
    }
}

//! What a gesture does, given what is going on.
//!
//! Owns the button's table and its words for the page. Must never act.

use std::time::Duration;

use super::Gesture;

/// How long the lamp must have said that updates wait before a press approves them: who presses has seen it.
pub const SEEN_AFTER: Duration = Duration::from_secs(10);

/// The plan that the lamp has been telling of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownPlan {
    /// Its fingerprint when the lamp began to say so.
    pub fingerprint: String,
    /// How long the lamp has said so without a break.
    pub shown_for: Duration,
}

/// What is going on, as far as the button cares.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ButtonFacts {
    /// True for the button on the device; the one on the page can never prove presence.
    pub by_hand: bool,
    /// It has an owner.
    pub claimed: bool,
    /// Claims that are open on the page.
    pub open_claims: usize,
    /// Updates that wait for approval: the fingerprint of the plan as it is now.
    pub waiting: Option<String>,
    /// What the lamp says, where it says that updates wait.
    pub shown: Option<ShownPlan>,
    /// Automatic updates are paused.
    pub paused: bool,
}

/// What a gesture does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// Grants the one claim that is open.
    GrantClaim,
    /// Nobody has opened a claim.
    NoClaimOpen,
    /// Several are open, so none is granted: the page asks for the code.
    SeveralClaims,
    /// A press on the page cannot claim.
    NotFromThePage,
    /// Approves exactly that plan.
    Approve {
        /// The plan's fingerprint.
        fingerprint: String,
    },
    /// Looks for newer images.
    Check,
    /// No automatic updates for 24 hours.
    Pause,
    /// Automatic updates again.
    Resume,
    /// Stops containers in order and shuts down.
    ShutDown,
    /// Forgets the password and all tokens; the device is unclaimed again.
    Reset,
}

impl Meaning {
    /// For the page: what it would do, or did.
    #[must_use]
    pub const fn words(&self) -> &'static str {
        match self {
            Self::GrantClaim => "makes you the owner",
            Self::NoClaimOpen => "nothing: first open this device's page and choose to claim it",
            Self::SeveralClaims => {
                "nothing: several people claim this device, so the page asks for the claim code"
            }
            Self::NotFromThePage => "nothing: only the button on the device proves that you are there",
            Self::Approve { .. } => "approves the updates that wait",
            Self::Check => "looks for updates now",
            Self::Pause => "pauses automatic updates for 24 hours",
            Self::Resume => "resumes automatic updates",
            Self::ShutDown => "stops all containers and shuts down safely",
            Self::Reset => "resets the password and all tokens; data and containers stay",
        }
    }
}

/// What that gesture does now.
#[must_use]
pub fn meaning(gesture: Gesture, facts: &ButtonFacts) -> Meaning {
    match gesture {
        Gesture::Press if !facts.claimed => match (facts.by_hand, facts.open_claims) {
            (false, _) => Meaning::NotFromThePage,
            (true, 0) => Meaning::NoClaimOpen,
            (true, 1) => Meaning::GrantClaim,
            (true, _) => Meaning::SeveralClaims,
        },
        Gesture::Press => match (&facts.waiting, &facts.shown) {
            (Some(now), Some(shown)) if shown.shown_for >= SEEN_AFTER && shown.fingerprint == *now => {
                Meaning::Approve { fingerprint: now.clone() }
            }
            (Some(_) | None, Some(_) | None) => Meaning::Check,
        },
        Gesture::DoublePress if facts.paused => Meaning::Resume,
        Gesture::DoublePress => Meaning::Pause,
        Gesture::Hold3 => Meaning::ShutDown,
        Gesture::Hold10 => Meaning::Reset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_specification() {
        let unclaimed = ButtonFacts { by_hand: true, ..ButtonFacts::default() };
        let claimed = ButtonFacts { claimed: true, ..unclaimed.clone() };
        let shown = |fingerprint: &str, seconds| {
            Some(ShownPlan { fingerprint: fingerprint.to_owned(), shown_for: Duration::from_secs(seconds) })
        };
        let waiting = ButtonFacts { waiting: Some("p1".to_owned()), shown: shown("p1", 10), ..claimed };
        let table = [
            (Gesture::Press, unclaimed.clone(), Meaning::NoClaimOpen),
            (Gesture::Press, ButtonFacts { open_claims: 1, ..unclaimed.clone() }, Meaning::GrantClaim),
            (Gesture::Press, ButtonFacts { open_claims: 2, ..unclaimed.clone() }, Meaning::SeveralClaims),
            (
                Gesture::Press,
                ButtonFacts { open_claims: 1, ..ButtonFacts::default() },
                Meaning::NotFromThePage,
            ),
            (Gesture::Press, claimed.clone(), Meaning::Check),
            (Gesture::Press, waiting.clone(), Meaning::Approve { fingerprint: "p1".to_owned() }),
            (Gesture::Press, ButtonFacts { shown: shown("p1", 9), ..waiting.clone() }, Meaning::Check),
            (Gesture::Press, ButtonFacts { shown: shown("p0", 60), ..waiting.clone() }, Meaning::Check),
            (Gesture::Press, ButtonFacts { shown: None, ..waiting.clone() }, Meaning::Check),
            (Gesture::Press, ButtonFacts { waiting: None, ..waiting }, Meaning::Check),
            (Gesture::DoublePress, claimed.clone(), Meaning::Pause),
            (Gesture::DoublePress, ButtonFacts { paused: true, ..claimed.clone() }, Meaning::Resume),
            (Gesture::Hold3, unclaimed, Meaning::ShutDown),
            (Gesture::Hold10, claimed, Meaning::Reset),
        ];
        for (gesture, facts, expected) in table {
            assert_eq!(meaning(gesture, &facts), expected, "{gesture:?} {facts:?}");
        }
    }
}

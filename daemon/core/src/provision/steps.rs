//! The steps of first boot, and which of them are due.
//!
//! Owns their order, their numbers (which the lamp flashes) and the stamps that say what was done with which inputs. Must never
//! do a step.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The root partition and its file system get the card.
    Grow,
    /// The clock is no earlier than it can be.
    Clock,
    /// Host keys and a name.
    Identity,
    /// What the owner asked for.
    Customise,
    /// Claim code, and where everybody who has the device in hand can read it.
    Claim,
    /// Network, a name of its own, true time.
    Network,
    /// A backup comes back.
    Restore,
    /// The services that lie on the card.
    Apps,
}

/// When a step is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Before the daemon and the engine; needs no network.
    Early,
    /// Beside the daemon.
    Late,
}

impl Step {
    /// All, in order.
    pub const ALL: [Self; 8] = [
        Self::Grow,
        Self::Clock,
        Self::Identity,
        Self::Customise,
        Self::Claim,
        Self::Network,
        Self::Restore,
        Self::Apps,
    ];

    /// From 1.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Grow => 1,
            Self::Clock => 2,
            Self::Identity => 3,
            Self::Customise => 4,
            Self::Claim => 5,
            Self::Network => 6,
            Self::Restore => 7,
            Self::Apps => 8,
        }
    }

    /// When it is done.
    #[must_use]
    pub const fn stage(self) -> Stage {
        match self {
            Self::Grow | Self::Clock | Self::Identity | Self::Customise | Self::Claim => Stage::Early,
            Self::Network | Self::Restore | Self::Apps => Stage::Late,
        }
    }

    /// Stable, for programs and fail points.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grow => "grow",
            Self::Clock => "clock",
            Self::Identity => "identity",
            Self::Customise => "customise",
            Self::Claim => "claim",
            Self::Network => "network",
            Self::Restore => "restore",
            Self::Apps => "apps",
        }
    }

    /// For people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Grow => "using the whole card",
            Self::Clock => "setting the clock",
            Self::Identity => "making this device's own keys and name",
            Self::Customise => "setting up what the boot partition asks for",
            Self::Claim => "getting ready for its owner",
            Self::Network => "reaching the network and the true time",
            Self::Restore => "looking for a backup",
            Self::Apps => "starting the services from the boot partition",
        }
    }
}

/// That something was done, and with what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The hash of its inputs.
    pub inputs: String,
    /// The hash of the same inputs after their secrets were overwritten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redacted: Option<String>,
}

/// What was done so far, by name: a step's, or `apps/NAME`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stamps(pub BTreeMap<String, Stamp>);

impl Stamps {
    /// The backup whose restoring was begun and is not finished.
    #[must_use]
    pub fn restoring(&self) -> Option<&str> {
        let unpacked = self.0.get(UNPACKED)?.inputs.as_str();
        (!self.holds(RESTORED, unpacked)).then_some(unpacked)
    }

    /// Whether this was done with these inputs, before or after their secrets were overwritten.
    #[must_use]
    pub fn holds(&self, name: &str, inputs: &str) -> bool {
        self.0
            .get(name)
            .is_some_and(|stamp| stamp.inputs == inputs || stamp.redacted.as_deref() == Some(inputs))
    }
}

/// The stamp of the backup that lies unpacked on the card.
pub const UNPACKED: &str = "restore/unpacked";

/// The stamp of the backup that was restored.
pub const RESTORED: &str = "restore/restored";

/// What was found, as far as it decides what is due.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The device has an owner.
    pub claimed: bool,
    /// It has, or has had, one since it was new: the backup of somebody who forgot the password holds that password.
    pub had_owner: bool,
    /// There is something to grow.
    pub room: bool,
    /// Host keys are missing, or the device has no name.
    pub faceless: bool,
    /// The hash of the files that ask for something; `None` without any.
    pub asked: Option<String>,
}

/// Whether a step is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Now.
    Now,
    /// It was done, and nothing has changed since.
    Done,
    /// There is nothing to do, and why.
    Nothing(&'static str),
}

/// The steps of a stage and whether they are due.
#[must_use]
pub fn plan(stage: Stage, seen: &Seen, stamps: &Stamps) -> Vec<(Step, Due)> {
    const OWNED: Due = Due::Nothing("the device has an owner: nothing on the boot partition is acted on");
    const USED: Due = Due::Nothing(
        "the device is not new: a backup is restored only after a reset that wipes the data too",
    );
    Step::ALL
        .into_iter()
        .filter(|step| step.stage() == stage)
        .map(|step| {
            let due = match step {
                Step::Grow if seen.room => Due::Now,
                Step::Grow => Due::Nothing("the card is in use as far as it should be"),
                Step::Identity if seen.faceless => Due::Now,
                Step::Identity => Due::Done,
                // Begun while there was no owner; perhaps the owner came with it.
                Step::Restore if stamps.restoring().is_some() => Due::Now,
                Step::Customise | Step::Restore if seen.claimed => OWNED,
                Step::Restore if seen.had_owner => USED,
                Step::Customise => match &seen.asked {
                    None => Due::Nothing("no file on the boot partition asks for anything"),
                    Some(inputs) if stamps.holds(step.name(), inputs) => Due::Done,
                    Some(_) => Due::Now,
                },
                // These look for themselves: what they do depends on the moment.
                Step::Clock | Step::Claim | Step::Network | Step::Restore | Step::Apps => Due::Now,
            };
            (step, due)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(seen: &Seen, stamps: &Stamps) -> Vec<Due> {
        let early = plan(Stage::Early, seen, stamps);
        early.into_iter().chain(plan(Stage::Late, seen, stamps)).map(|(_, due)| due).collect()
    }

    #[test]
    fn a_corrected_file_runs_its_step_again_and_an_overwritten_one_does_not() {
        let mut stamps = Stamps::default();
        let seen = |asked: &str| Seen { asked: Some(asked.to_owned()), ..Seen::default() };
        assert_eq!(due(&seen("a"), &stamps)[3], Due::Now);
        stamps
            .0
            .insert("customise".to_owned(), Stamp { inputs: "a".to_owned(), redacted: Some("x".to_owned()) });
        assert_eq!(due(&seen("a"), &stamps)[3], Due::Done);
        assert_eq!(due(&seen("x"), &stamps)[3], Due::Done);
        assert_eq!(due(&seen("b"), &stamps)[3], Due::Now);
    }

    #[test]
    fn with_an_owner_the_boot_partition_is_left_alone() {
        let seen =
            Seen { claimed: true, had_owner: true, room: true, faceless: true, asked: Some("a".to_owned()) };
        let due = due(&seen, &Stamps::default());
        assert_eq!((due[0], due[2]), (Due::Now, Due::Now));
        assert!(matches!((due[3], due[6]), (Due::Nothing(_), Due::Nothing(_))), "{due:?}");
    }

    #[test]
    fn a_backup_comes_onto_a_new_device_only_and_one_that_was_begun_is_gone_on_with() {
        let seen = |claimed, had_owner| Seen { claimed, had_owner, ..Seen::default() };
        let stamp = |inputs: &str| Stamp { inputs: inputs.to_owned(), redacted: None };
        let mut stamps = Stamps::default();
        assert_eq!(due(&seen(false, false), &stamps)[6], Due::Now);
        assert!(matches!(due(&seen(false, true), &stamps)[6], Due::Nothing(why) if why.contains("not new")));
        stamps.0.insert(UNPACKED.to_owned(), stamp("a"));
        assert_eq!((stamps.restoring(), due(&seen(true, true), &stamps)[6]), (Some("a"), Due::Now));
        stamps.0.insert(RESTORED.to_owned(), stamp("a"));
        assert_eq!(stamps.restoring(), None);
        assert!(matches!(due(&seen(true, true), &stamps)[6], Due::Nothing(_)));
    }

    #[test]
    fn numbers_follow_the_order() {
        let numbers: Vec<u8> = Step::ALL.iter().map(|step| step.number()).collect();
        assert_eq!(numbers, (1..=8).collect::<Vec<u8>>());
    }
}

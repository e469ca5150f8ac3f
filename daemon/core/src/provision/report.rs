//! How first boot goes, for console, page and lamp.
//!
//! Owns the shape of the report that `dockbeacon firstboot` leaves and the daemon reads. Must never carry a secret.

use serde::{Deserialize, Serialize};

use super::Problem;
use super::steps::{Stage, Step};

/// Where the report lies, relative to the root: a folder of root's that all may read.
pub const FOLDER: &str = "run/dockbeacon-firstboot";

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// At work.
    Working,
    /// It waits for something outside: the network, the true time.
    Waiting,
    /// Done now.
    Done,
    /// Done earlier, or nothing to do.
    Nothing,
    /// Something is wrong; the message and the problems say what.
    Failed,
}

/// A step and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Which.
    pub step: Step,
    /// How.
    pub outcome: Outcome,
    /// In words.
    pub message: String,
}

/// How a stage goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Which stage.
    pub stage: Stage,
    /// It is over.
    pub finished: bool,
    /// All was done at an earlier start: this is no first boot any more, and the lamp need not tell of it.
    #[serde(default)]
    pub quiet: bool,
    /// Its steps so far.
    pub steps: Vec<Line>,
    /// What the owner should know about the files on the boot partition.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Nothing yet.
    #[must_use]
    pub const fn new(stage: Stage, quiet: bool) -> Self {
        Self { stage, finished: false, quiet, steps: Vec::new(), problems: Vec::new() }
    }

    /// The file's name in the folder.
    #[must_use]
    pub const fn file(stage: Stage) -> &'static str {
        match stage {
            Stage::Early => "early.json",
            Stage::Late => "late.json",
        }
    }

    /// Notes how a step stands.
    pub fn note(&mut self, step: Step, outcome: Outcome, message: impl Into<String>) {
        let line = Line { step, outcome, message: message.into() };
        match self.steps.iter_mut().find(|line| line.step == step) {
            Some(old) => *old = line,
            None => self.steps.push(line),
        }
    }

    /// The lamp's state: `None` when first boot is over; inside, the step that waits.
    #[must_use]
    pub fn lamp(&self) -> Option<Option<u8>> {
        let waits =
            self.steps.iter().find(|line| line.outcome == Outcome::Waiting).map(|line| line.step.number());
        if self.finished || self.quiet { None } else { Some(waits) }
    }

    /// Something that only its owner can put right, such as a file with a mistake in it. That there is no network is not: some
    /// have none.
    #[must_use]
    pub fn needs_its_owner(&self) -> bool {
        let failed = |line: &Line| line.outcome == Outcome::Failed && line.step != Step::Network;
        self.finished && !self.quiet && self.steps.iter().any(failed)
    }

    /// What failed, for page and console, a sentence each.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let failed = self.steps.iter().filter(|line| line.outcome == Outcome::Failed);
        let problems = self.problems.iter().map(|problem| format!("First boot: {problem}"));
        failed
            .map(|line| format!("First boot, step {}: {}", line.step.number(), line.message))
            .chain(problems)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lamp_counts_the_step_that_waits() {
        let mut report = Report::new(Stage::Late, false);
        assert_eq!(report.lamp(), Some(None));
        report.note(Step::Network, Outcome::Waiting, "waits for the network");
        assert_eq!(report.lamp(), Some(Some(6)));
        report.note(Step::Network, Outcome::Failed, "no network");
        report.finished = true;
        assert_eq!(report.lamp(), None);
        assert_eq!(report.sentences(), ["First boot, step 6: no network"]);
        assert!(!report.needs_its_owner());
        report.note(Step::Customise, Outcome::Failed, "line 3 of dockbeacon.yaml is not understood");
        assert!(report.needs_its_owner());
        report.quiet = true;
        assert!(!report.needs_its_owner(), "at an earlier start");
    }
}

//! Telling how first boot goes.
//!
//! Owns the lines on the console and in the journal, and the file that page and lamp read. Must never stop the work because it
//! cannot tell.

use std::io::Write as _;

use dockbeacon_core::provision::Problem;
use dockbeacon_core::provision::report::{FOLDER, Outcome, Report};
use dockbeacon_core::provision::steps::{Stage, Step};

use super::card::Card;

/// The stamp that says that everything was done once.
pub const COMPLETE: &str = "complete";

/// The report of one stage while it is being made.
#[derive(Debug)]
pub struct Reporter {
    card: Card,
    report: Report,
}

impl Reporter {
    /// Begins.
    pub fn new(card: &Card, stage: Stage) -> Self {
        let quiet = card.stamps().holds(COMPLETE, COMPLETE);
        let reporter = Self { card: card.clone(), report: Report::new(stage, quiet) };
        reporter.save();
        reporter
    }

    /// Notes how a step stands.
    pub fn note(&mut self, step: Step, outcome: Outcome, message: impl Into<String>) {
        let message = message.into();
        let same =
            self.report.steps.iter().any(|l| l.step == step && l.outcome == outcome && l.message == message);
        if !same {
            let word = match outcome {
                Outcome::Working => "...",
                Outcome::Waiting => "waits",
                Outcome::Done => "done",
                Outcome::Nothing => "-",
                Outcome::Failed => "FAILED",
            };
            say(&format!("first boot {}/8 {word}: {message}", step.number()));
            self.report.note(step, outcome, message);
            self.save();
        }
    }

    /// Notes what is wrong with the files on the boot partition.
    pub fn problems(&mut self, problems: impl IntoIterator<Item = Problem>) {
        for problem in problems {
            say(&format!("first boot: {problem}"));
            self.report.problems.push(problem);
        }
        self.save();
    }

    /// The end; what the report says.
    pub fn finish(mut self) -> Report {
        self.report.finished = true;
        self.save();
        self.report
    }

    fn save(&self) {
        let inside = format!("{FOLDER}/{}", Report::file(self.report.stage));
        let text = match serde_json::to_vec_pretty(&self.report) {
            Ok(text) => text,
            Err(error) => return say(&format!("first boot: the report cannot be written: {error}")),
        };
        if let Err(error) = self.card.write(&inside, &text, 0o644, None) {
            say(&format!("first boot: {error:#}"));
        }
    }
}

/// Says something where the unit puts it: console and journal.
pub fn say(text: &str) {
    // There is nowhere else to say it.
    let _ = writeln!(std::io::stdout(), "{text}");
}

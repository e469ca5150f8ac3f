//! `dockbeacon firstboot`: a card becomes a device.
//!
//! Owns observing the card and doing what `core::provision` says, step by step, each synced and then stamped. Must never decide
//! what is done, and must never work on a machine that did not come from our image.

mod apps;
mod card;
mod claim;
mod customise;
mod early;
mod floor;
mod grow;
mod identity;
mod late;
mod network;
mod place;
mod report;
mod reset;
mod restore;
mod status;
mod truth;

use std::path::PathBuf;

pub use status::{is_at_work, reports};

use dockbeacon_core::provision::report::Outcome;
use dockbeacon_core::provision::time::BUILD_TIME;

use crate::args::{FirstbootArgs, FirstbootStage};
use crate::exit::ExitCode;
use card::Card;

/// How a step ended.
#[derive(Debug)]
pub(crate) enum Done {
    /// It did something, or nothing was left to do.
    Well(Outcome, String),
    /// It failed; first boot goes on. `again`: trying again without a change may help.
    Badly {
        /// What happened and what to do.
        why: String,
        /// Whether to try again.
        again: bool,
    },
}

impl Done {
    fn well(message: impl Into<String>) -> Self {
        Self::Well(Outcome::Done, message.into())
    }

    fn nothing(message: impl Into<String>) -> Self {
        Self::Well(Outcome::Nothing, message.into())
    }

    fn badly(why: impl Into<String>) -> Self {
        Self::Badly { why: why.into(), again: false }
    }
}

impl From<anyhow::Error> for Done {
    fn from(error: anyhow::Error) -> Self {
        Self::badly(format!("{error:#}"))
    }
}

/// Carries out the stage that was asked for.
pub async fn run(args: &FirstbootArgs) -> ExitCode {
    let card = Card::new(args.root.clone().unwrap_or_else(|| PathBuf::from("/")));
    if !card.path(BUILD_TIME).exists() {
        report::say(
            "dockbeacon: this machine did not start from a Dockbeacon image (there is no /usr/lib/dockbeacon/build-time), so there \
             is nothing to provision; install Dockbeacon here with its package instead",
        );
        return ExitCode::Usage;
    }
    if card.is_live() && !nix::unistd::Uid::effective().is_root() {
        report::say("dockbeacon: firstboot changes accounts and partitions; run it as root");
        return ExitCode::Busy;
    }
    match args.stage {
        FirstbootStage::Early => Box::pin(early::run(&card)).await,
        FirstbootStage::Late => Box::pin(late::run(&card, args)).await,
        FirstbootStage::Claim => told(claim::run_and_show(&card).await),
        FirstbootStage::SaveClock => told(floor::save(&card)),
    }
}

/// The exit code of a stage that is one act.
fn told(outcome: anyhow::Result<String>) -> ExitCode {
    match outcome {
        Ok(message) => {
            report::say(&message);
            ExitCode::Done
        }
        Err(error) => {
            report::say(&format!("dockbeacon: {error:#}"));
            ExitCode::Failed
        }
    }
}

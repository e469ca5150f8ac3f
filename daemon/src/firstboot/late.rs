//! The steps beside the daemon.
//!
//! Owns their order, and that a step which waits for something outside never keeps the others from being done. Must never wait for
//! ever.

use std::time::Duration;

use dockbeacon_core::provision::report::Outcome;
use dockbeacon_core::provision::steps::{Due, Seen, Stage, Stamp, Step, plan};

use super::card::Card;
use super::report::{COMPLETE, Reporter, say};
use super::{Done, apps, claim, customise, network, restore};
use crate::args::FirstbootArgs;
use crate::exit::ExitCode;
use crate::failpoint;

/// Does them all. Exits with 1 where trying again later may help; the unit then does.
pub async fn run(card: &Card, args: &FirstbootArgs) -> ExitCode {
    let mut reporter = Reporter::new(card, Stage::Late);
    let claimed = claim::claimed(card);
    let seen = Seen { claimed, had_owner: claim::had_owner(card), ..Seen::default() };
    if let Err(error) = restore::tidy(card) {
        say(&format!("first boot: {error:#}"));
    }
    // Before anything is waited for: once there is an owner, nothing on the boot partition is acted on.
    let copied = if claimed { Vec::new() } else { apps::copy(card, &mut reporter) };
    let mut trusted = false;
    let mut again = false;
    for (step, due) in plan(Stage::Late, &seen, &card.stamps()) {
        failpoint::hit(&format!("firstboot.{}.before", step.name()));
        let done = match due {
            Due::Nothing(why) => Done::nothing(why),
            Due::Done => Done::nothing("done earlier"),
            Due::Now => {
                reporter.note(step, Outcome::Working, step.words());
                match step {
                    Step::Network => {
                        let patience = Duration::from_secs(args.patience);
                        let networks = if claimed { Vec::new() } else { networks(card) };
                        let answer =
                            network::reach(card, patience, &networks, &args.time_from, &mut reporter).await;
                        trusted = answer.trusted;
                        answer.done
                    }
                    Step::Restore => restore::run(card, &mut reporter).await,
                    Step::Apps => apps::start(card, &copied, trusted, &mut reporter).await,
                    Step::Grow | Step::Clock | Step::Identity | Step::Customise | Step::Claim => {
                        Done::nothing("that came before")
                    }
                }
            }
        };
        failpoint::hit(&format!("firstboot.{}.after", step.name()));
        match done {
            Done::Well(outcome, message) => reporter.note(step, outcome, message),
            Done::Badly { why, again: once_more } => {
                again |= once_more;
                reporter.note(step, Outcome::Failed, why);
            }
        }
    }
    let report = reporter.finish();
    if !report.steps.iter().any(|line| line.outcome == Outcome::Failed) {
        let stamp = Stamp { inputs: COMPLETE.to_owned(), redacted: None };
        if let Err(error) = card.stamp(COMPLETE, stamp) {
            say(&format!("first boot: {error:#}"));
        }
    }
    if again { ExitCode::Failed } else { ExitCode::Done }
}

/// The wireless networks that the card asks for, to name them when none is reached.
fn networks(card: &Card) -> Vec<String> {
    customise::asked(card).map(|asked| asked.networks()).unwrap_or_default()
}

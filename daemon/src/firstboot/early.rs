//! The steps before the daemon and the engine.
//!
//! Owns their order on the card and what is observed before them. Must never need the network.

use dockbeacon_core::provision::report::Outcome;
use dockbeacon_core::provision::steps::{Due, Seen, Stage, Step, plan};

use super::card::Card;
use super::customise::Asked;
use super::report::{Reporter, say};
use super::{Done, claim, customise, floor, grow, identity, reset};
use crate::exit::ExitCode;
use crate::failpoint;

/// Does them all; one that fails does not keep the others from being done.
pub async fn run(card: &Card) -> ExitCode {
    let mut worst = ExitCode::Done;
    match reset::carry_out(card).await {
        Ok(Some(message)) => say(&message),
        Ok(None) => {}
        Err(error) => {
            worst = ExitCode::Failed;
            say(&format!("dockbeacon: the reset is not finished: {error:#}"));
        }
    }
    let mut reporter = Reporter::new(card, Stage::Early);
    let claimed = claim::claimed(card);
    let asked = if claimed { None } else { customise::asked(card) };
    let seen = Seen {
        claimed,
        had_owner: claim::had_owner(card),
        room: grow::room(card),
        faceless: identity::faceless(card),
        asked: asked.as_ref().map(Asked::hash),
    };
    for (step, due) in plan(Stage::Early, &seen, &card.stamps()) {
        failpoint::hit(&format!("firstboot.{}.before", step.name()));
        let done = match due {
            Due::Nothing(why) => Done::nothing(why),
            Due::Done => {
                // A power cut may have come between the stamp and the last of the work.
                match (step, &asked) {
                    (Step::Customise, Some(asked)) => customise::finish(card, asked, &mut reporter),
                    _ => Done::nothing("done earlier"),
                }
            }
            Due::Now => {
                reporter.note(step, Outcome::Working, step.words());
                carry_out(card, step, asked.as_ref(), &mut reporter).await
            }
        };
        failpoint::hit(&format!("firstboot.{}.after", step.name()));
        match done {
            Done::Well(outcome, message) => reporter.note(step, outcome, message),
            Done::Badly { why, .. } => {
                worst = ExitCode::Failed;
                reporter.note(step, Outcome::Failed, why);
            }
        }
    }
    reporter.finish();
    worst
}

async fn carry_out(card: &Card, step: Step, asked: Option<&Asked>, reporter: &mut Reporter) -> Done {
    match step {
        Step::Grow => grow::grow(card).await,
        Step::Clock => floor::raise(card),
        Step::Identity => identity::make(card).await,
        Step::Customise => match asked {
            Some(asked) => customise::apply(card, asked, reporter).await,
            None => Done::nothing("nothing is asked for"),
        },
        Step::Claim => claim::run(card).map_or_else(Done::from, Done::well),
        Step::Network | Step::Restore | Step::Apps => Done::nothing("that comes later"),
    }
}

//! The device in one sentence, with what its owner should know.
//!
//! Owns which of the things that are going on the sentence is about. Must never count what it does not show.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use dockbeacon_core::device::{Verdict, is_fault, is_power};
use dockbeacon_core::model::Inventory;
use dockbeacon_core::update::journal::State as TxState;
use dockbeacon_core::update::names;

use super::Work;
use super::board::State;
use crate::view::{ContainerView, Mood, Status, UpdateView};

/// What page, panel and console say first.
pub(super) fn status(work: &Work, state: &State, containers: &[ContainerView], now: DateTime<Utc>) -> Status {
    let there = |name: &str| containers.iter().any(|c| c.name == name);
    // A lost service need not have a container any more.
    let gone = state.lost.keys().map(String::as_str).filter(|name| !there(name));
    let parked = state.inventory.iter().flat_map(|i| parked_alone(i, state));
    let unwell: BTreeSet<&str> = containers
        .iter()
        .filter(|c| c.mood == Mood::Fault)
        .map(|c| c.name.as_str())
        .chain(gone)
        .chain(parked)
        .collect();
    let (mending, needy): (Vec<&str>, Vec<&str>) =
        unwell.into_iter().partition(|name| state.mending.contains(*name));
    let waiting: Vec<&str> =
        containers.iter().filter(|c| c.next == "approve").map(|c| c.name.as_str()).collect();
    let running = containers.iter().filter(|c| c.state == "running").count();
    let well = containers.iter().filter(|c| c.state == "running" && c.mood != Mood::Fault).count();
    let leftovers = state.inventory.as_ref().map(|i| leftovers(i, state)).unwrap_or_default();
    let unfinished = unfinished(state);
    let (mood, sentence) = if let Some(error) = &state.engine.error {
        (Mood::Fault, format!("The engine does not answer: {error}."))
    } else if state.inventory.is_none() {
        (Mood::Starting, "Looking at the engine for the first time.".to_owned())
    } else if !needy.is_empty() {
        let verb = if needy.len() == 1 { "needs" } else { "need" };
        (Mood::Fault, format!("{} {verb} your attention.", list(&needy)))
    } else if is_fault(&state.device) || is_power(&state.device) {
        (Mood::Fault, "The services are well, but the device needs your attention.".to_owned())
    } else if let Some(update) = state.running.values().next() {
        (Mood::Working, under_way(update))
    } else if !mending.is_empty() {
        let verb = if mending.len() == 1 { "is" } else { "are" };
        (Mood::Working, format!("{} {verb} unwell and will be restarted.", list(&mending)))
    } else if state.backing_up {
        (Mood::Working, "A backup is being made.".to_owned())
    } else if !unfinished.is_empty() {
        (Mood::Working, format!("The update of {} is unfinished.", list(&unfinished)))
    } else if !waiting.is_empty() {
        let verb = if waiting.len() == 1 { "waits" } else { "wait" };
        (Mood::Waiting, format!("{} {verb} for your approval.", list(&waiting)))
    } else if running == 0 {
        (Mood::Well, "No container runs here yet.".to_owned())
    } else if running == 1 {
        (Mood::Well, "The one service is well.".to_owned())
    } else {
        (Mood::Well, format!("All {running} services are well."))
    };
    let mut notices = state.notices.clone();
    notices.extend(state.lost.values().map(|lost| lost.why.clone()));
    notices.extend(leftovers);
    if state.safe_mode {
        notices.push(
            "safe mode: the engine stays away whatever was restarted, so nothing more is restarted until it answers; see `journalctl -u docker`"
                .to_owned(),
        );
    }
    let bad = state.device.iter().filter(|f| f.verdict == Verdict::Bad);
    notices.extend(bad.map(|f| f.text.clone()));
    notices.extend(state.schedule_waits.iter().map(|why| {
        format!(
            "the schedule waits, because {why}; check by hand, or see that the clock is set (timedatectl)"
        )
    }));
    notices.extend(state.label_notices.iter().cloned());
    notices.extend(unfinished.iter().map(|name| {
        format!(
            "the update of {name} was interrupted; `dockbeacon update` or the daemon's next start ends it"
        )
    }));
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host_name: crate::clock::host_name(),
        state: mood,
        sentence,
        claimed: state.claimed,
        engine: state.engine.clone(),
        well,
        unwell: needy.len() + mending.len(),
        mending: mending.len(),
        total: containers.len(),
        waiting: waiting.len(),
        last_check: state.last_check,
        next_check: state.next_check,
        schedule: work.settings.schedule.when.describe(),
        checking: state.checking,
        paused_until: state.paused_until.filter(|t| *t > now),
        time_trusted: (work.clock)().trusted,
        started: None,
        notices,
    }
}

/// Services of which there is only a marked container that no open transaction knows of.
fn parked_alone<'a>(inventory: &'a Inventory, state: &State) -> Vec<&'a str> {
    let marked = inventory.containers.iter().filter_map(|c| names::parse(c.name.as_str()));
    marked
        .map(|(service, _, _)| service)
        .filter(|service| inventory.by_name(service).is_none() && !state.known.unfinished.contains(*service))
        .collect()
}

/// An update in a sentence that stays the same while it lasts: its steps tell the rest.
fn under_way(update: &UpdateView) -> String {
    let (name, from, to) = (&update.container, &update.from.name, &update.to.name);
    if update.state == TxState::RollingBack.word() {
        format!("Putting {name} back to {from}.")
    } else if update.kind == "rollback" {
        format!("Putting {name} back to {to}.")
    } else {
        format!("Updating {name} from {from} to {to}.")
    }
}

/// Services whose update an earlier process left in the middle, and nobody has taken up again yet.
fn unfinished(state: &State) -> Vec<&str> {
    let running = |name: &str| state.running.values().any(|u| u.container == name);
    state.known.unfinished.iter().map(String::as_str).filter(|name| !running(name)).collect()
}

/// Marked containers that no open transaction knows of.
fn leftovers(inventory: &Inventory, state: &State) -> Vec<String> {
    inventory
        .containers
        .iter()
        .filter_map(|c| names::parse(c.name.as_str()).map(|(service, _, _)| (c, service)))
        .filter(|(_, service)| !state.known.unfinished.contains(*service))
        .map(|(c, service)| {
            let there = inventory.by_name(service).is_some();
            let remedy = if there {
                format!("look at it, then `docker rm {}`", c.name)
            } else {
                format!("{service} is not there: `docker rename {} {service}` and `docker start {service}` bring it back", c.name)
            };
            format!("{} is left over from an update whose journal is lost: {remedy}", c.name)
        })
        .collect()
}

fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [a, b] => format!("{a} and {b}"),
        [a, b, rest @ ..] => format!("{a}, {b} and {} more", rest.len()),
    }
}

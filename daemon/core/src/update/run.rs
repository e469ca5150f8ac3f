//! What comes next in a transaction.
//!
//! Owns the one function that takes an update forward, back, or out of somebody else's way, at any time and after any
//! crash: it looks at what stands (`Tx`) and at what is there (`World`), never at what it remembers to have wanted. The
//! same function serves the live run and the recovery. Must never need a choice of the shell's.

use std::collections::BTreeSet;

use super::journal::{Act, Direction, Outcome, Tx};
use super::names;
use crate::model::{ContainerId, ImageId};

/// Tries of one act in a row before it counts as impossible.
pub const TRIES: u32 = 4;
/// Takeovers by a new process, or returns of the engine, before a forward run is given up: the update itself may be what
/// kills us, or it.
pub const TAKEOVERS: u32 = 3;

/// A container of this transaction as the engine shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// Running, paused or restarting: whatever a stop is needed for.
    pub up: bool,
    /// Its image's id.
    pub image: ImageId,
    /// Its restart policy is `no`.
    pub restart_off: bool,
    /// The networks that it is connected to.
    pub networks: BTreeSet<String>,
}

/// What is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct World {
    /// The old container, or the one made again in its place.
    pub old: Option<Seen>,
    /// The successor, by its id or by its marked name.
    pub successor: Option<Seen>,
    /// A container that holds the service's name and is neither.
    pub foreign: Option<Foreign>,
    /// The image that the owner's reference leads to.
    pub reference: Option<ImageId>,
    /// Whether the old image is still on the machine.
    pub old_image_here: bool,
    /// Whether another container (of a name other than the service's) was made from the new image.
    pub new_image_used: bool,
}

/// Somebody else's container under the service's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Its id.
    pub id: ContainerId,
    /// Whether it runs.
    pub up: bool,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Do this.
    Act(Act),
    /// Go another way from here on, and say why.
    Turn(Direction, String),
    /// It is over.
    End(Outcome, String),
}

/// What a new process does first: the act that was begun and not answered, once more, because the engine may still be at
/// it. Pulls and verifications leave nothing behind and are simply begun again by `decide`.
#[must_use]
pub fn repeat(tx: &Tx) -> Option<Act> {
    match &tx.pending {
        None | Some(Act::Pull | Act::Verify { .. } | Act::TidyImages) => None,
        Some(act) => Some(act.clone()),
    }
}

/// What comes next.
#[must_use]
pub fn decide(tx: &Tx, world: &World) -> Step {
    match tx.direction {
        Direction::Forward => forward(tx, world),
        Direction::Back => back(tx, world),
        Direction::StandBack => stand_back(tx, world),
    }
}

/// Whether the world must be looked at again after an act that went well: those that take long, or precede a removal.
#[must_use]
pub const fn look_again_after(act: &Act) -> bool {
    match act {
        Act::Pull | Act::Create | Act::CreateAgain | Act::Verify { .. } | Act::Connect { .. } => true,
        Act::MoveReference { .. }
        | Act::Stop { .. }
        | Act::RestartOff { .. }
        | Act::RestartBack { .. }
        | Act::Rename { .. }
        | Act::Start { .. }
        | Act::Remove { .. }
        | Act::TidyImages => false,
    }
}

impl World {
    /// The world after an act that went well, without asking the engine again.
    pub fn follow(&mut self, act: &Act) {
        match act {
            Act::MoveReference { to } => self.reference = Some(to.clone()),
            Act::Stop { id } => self.with(id, |seen| seen.up = false),
            Act::RestartOff { id } => self.with(id, |seen| seen.restart_off = true),
            Act::RestartBack { id } => self.with(id, |seen| seen.restart_off = false),
            Act::Rename { id, to } => self.with(id, |seen| seen.name.clone_from(to)),
            Act::Start { id } => self.with(id, |seen| seen.up = true),
            Act::Remove { id, .. } => {
                for place in [&mut self.old, &mut self.successor] {
                    if place.as_ref().is_some_and(|seen| seen.id == *id) {
                        *place = None;
                    }
                }
            }
            Act::Pull
            | Act::Create
            | Act::CreateAgain
            | Act::Connect { .. }
            | Act::Verify { .. }
            | Act::TidyImages => {}
        }
    }

    fn with(&mut self, id: &ContainerId, change: impl Fn(&mut Seen)) {
        for seen in [&mut self.old, &mut self.successor].into_iter().flatten() {
            if seen.id == *id {
                change(seen);
            }
        }
    }
}

fn forward(tx: &Tx, world: &World) -> Step {
    let plan = &tx.plan;
    let name = plan.name.as_str();
    if world.foreign.is_some() {
        return Step::Turn(Direction::StandBack, taken(name));
    }
    if tx.verified {
        return commit(tx, world);
    }
    if tx.bad_image {
        if plan.may_roll_back {
            return Step::Turn(
                Direction::Back,
                format!("{} did not become healthy: {}", plan.to.name, tx.last_error),
            );
        }
        return commit(tx, world);
    }
    if tx.stumbles >= 1 && tx.pending.is_none() && !is_passing(tx, world) {
        return Step::Turn(Direction::Back, tx.last_error.clone());
    }
    if tx.recoveries >= TAKEOVERS && !tx.verified_once {
        return Step::Turn(
            Direction::Back,
            format!("the update was interrupted {} times, so it is given up", tx.recoveries),
        );
    }
    let Some(new_image) = &tx.new_image else { return Step::Act(Act::Pull) };
    if let (Some(old), None) = (&world.old, &world.successor)
        && *new_image == plan.old_image
        && old.name == name
        && !tx.touched
    {
        // Without a restart policy it stays down after a power cut in the middle of our work; it was up when we began.
        if tx.recoveries > 0 && !old.up && tx.started.as_ref() != Some(&old.id) {
            return Step::Act(Act::Start { id: old.id.clone() });
        }
        return Step::End(
            Outcome::Unchanged,
            format!("the registry's image is the one that {name} already runs"),
        );
    }
    match (&world.old, &world.successor) {
        (None, None) => Step::Turn(Direction::Back, format!("{name} vanished while it was being updated")),
        (None, Some(_)) if !tx.touched && tx.recoveries == 0 => Step::Turn(
            Direction::StandBack,
            format!("somebody removed {name} while its update was being prepared"),
        ),
        (old, successor) => {
            let Some(successor) = successor else {
                if tx.successor.is_some() {
                    return Step::Turn(Direction::Back, "somebody removed the new container".to_owned());
                }
                if world.reference.as_ref() != Some(new_image) {
                    return Step::Act(Act::MoveReference { to: new_image.clone() });
                }
                return Step::Act(Act::Create);
            };
            if successor.image != *new_image {
                return Step::Turn(
                    Direction::Back,
                    format!("{} led to another image while the new container was made", plan.reference),
                );
            }
            if let Some(network) = plan.definition.connect.keys().find(|n| !successor.networks.contains(*n)) {
                return Step::Act(Act::Connect { id: successor.id.clone(), network: network.clone() });
            }
            if let Some(old) = old
                && let Some(act) = park(tx, old)
            {
                return Step::Act(act);
            }
            if successor.name != name {
                return Step::Act(Act::Rename { id: successor.id.clone(), to: name.to_owned() });
            }
            let id = successor.id.clone();
            // Started by this very process and down again is for the verification to judge, not to start once more.
            if !successor.up && tx.started.as_ref() != Some(&id) {
                return Step::Act(Act::Start { id });
            }
            Step::Act(Act::Verify { id })
        }
    }
}

/// A stumble that needs no turning back: the thing to be stopped, parked or removed had gone already.
fn is_passing(tx: &Tx, world: &World) -> bool {
    tx.touched && world.old.is_none() && world.successor.is_some() && tx.stumbles < TRIES
}

/// Stop, policy off, rename: in this order, because the engine marks what was stopped by hand.
fn park(tx: &Tx, old: &Seen) -> Option<Act> {
    let id = old.id.clone();
    if old.up {
        return Some(Act::Stop { id });
    }
    if !old.restart_off {
        return Some(Act::RestartOff { id });
    }
    let parked = names::parked(&tx.plan.name, &tx.plan.tx);
    (old.name != parked).then_some(Act::Rename { id, to: parked })
}

fn commit(tx: &Tx, world: &World) -> Step {
    let plan = &tx.plan;
    let Some(successor) = &world.successor else {
        return Step::Turn(
            Direction::Back,
            "the new container vanished before the update was committed".to_owned(),
        );
    };
    if successor.name != plan.name.as_str() {
        return Step::Act(Act::Rename { id: successor.id.clone(), to: plan.name.to_string() });
    }
    if let Some(old) = &world.old
        && tx.stumbles < TRIES
    {
        return Step::Act(Act::Remove { id: old.id.clone(), volumes: false });
    }
    if !tx.tidied {
        return Step::Act(Act::TidyImages);
    }
    let left = if world.old.is_some() {
        format!("; the old container could not be removed ({}): remove it by hand", tx.last_error)
    } else {
        String::new()
    };
    if tx.bad_image {
        return Step::End(
            Outcome::Lost,
            format!(
                "{} runs {}, which is not healthy ({}), and its owner forbids going back{left}",
                plan.name, plan.to.name, tx.last_error
            ),
        );
    }
    Step::End(
        Outcome::Updated,
        format!("{} went from {} to {}{left}", plan.name, plan.from.name, plan.to.name),
    )
}

fn back(tx: &Tx, world: &World) -> Step {
    let plan = &tx.plan;
    let name = plan.name.as_str();
    if world.foreign.is_some() {
        return Step::Turn(Direction::StandBack, taken(name));
    }
    if tx.stumbles >= TRIES {
        return give_up(tx, world);
    }
    if let Some(successor) = &world.successor {
        return Step::Act(discard(successor));
    }
    if let Some(act) = reference_back(tx, world) {
        return Step::Act(act);
    }
    let Some(old) = &world.old else {
        if !world.old_image_here && tx.new_image.is_none() {
            return give_up(tx, world);
        }
        return Step::Act(Act::CreateAgain);
    };
    let id = old.id.clone();
    if let Some(network) =
        tx.restored.as_ref().and_then(|_| plan.definition.connect.keys().find(|n| !old.networks.contains(*n)))
    {
        return Step::Act(Act::Connect { id, network: network.clone() });
    }
    if old.name != name {
        return Step::Act(Act::Rename { id, to: name.to_owned() });
    }
    if old.restart_off && !is_no(&plan.old_restart) {
        return Step::Act(Act::RestartBack { id });
    }
    if !old.up && tx.started.as_ref() != Some(&id) {
        return Step::Act(Act::Start { id });
    }
    if !tx.touched && tx.restored.is_none() && old.up {
        return Step::End(Outcome::Failed, format!("{name} still runs {}: {}", plan.from.name, tx.why));
    }
    match tx.back_verified {
        None => Step::Act(Act::Verify { id }),
        Some(true) => Step::End(
            Outcome::RolledBack,
            format!("{name} was put back to {} because {}", plan.from.name, tx.why),
        ),
        Some(false) => Step::End(
            Outcome::Lost,
            format!(
                "{name} was put back to {} because {}, but it is not healthy either: {}. Look at its log",
                plan.from.name, tx.why, tx.last_error
            ),
        ),
    }
}

/// The reference goes back unless somebody else relies on the new image, or moved it elsewhere meanwhile.
fn reference_back(tx: &Tx, world: &World) -> Option<Act> {
    let new_image = tx.new_image.as_ref()?;
    let before = tx.plan.reference_before.as_ref().unwrap_or(&tx.plan.old_image);
    let ours = world.reference.as_ref() == Some(new_image) && new_image != before;
    (ours && !world.new_image_used && world.old_image_here).then(|| Act::MoveReference { to: before.clone() })
}

fn discard(successor: &Seen) -> Act {
    let id = successor.id.clone();
    // Asked to stop first: it may have the service's data open.
    if successor.up { Act::Stop { id } } else { Act::Remove { id, volumes: true } }
}

fn stand_back(tx: &Tx, world: &World) -> Step {
    let name = tx.plan.name.as_str();
    if tx.stumbles < TRIES {
        if let Some(successor) = &world.successor {
            return Step::Act(discard(successor));
        }
        if let Some(act) = reference_back(tx, world) {
            return Step::Act(act);
        }
        // Somebody else runs the service: what we put aside is in nobody's way but would stay for ever. Its volumes stay.
        if let (Some(old), Some(Foreign { up: true, .. })) = (&world.old, &world.foreign)
            && old.name != name
        {
            return Step::Act(Act::Remove { id: old.id.clone(), volumes: false });
        }
    }
    let left = match (&world.old, &world.foreign) {
        (Some(old), Some(_)) => format!(
            "; the container under that name does not run, so the earlier one is kept as {}: remove the one you do not want",
            old.name
        ),
        (Some(_), None) => return Step::Turn(Direction::Back, format!("{name} is free again")),
        (None, _) => String::new(),
    };
    Step::End(Outcome::StoodBack, format!("the update of {name} was given up: {}{left}", tx.why))
}

fn give_up(tx: &Tx, world: &World) -> Step {
    let name = &tx.plan.name;
    let place = match (&world.old, &world.successor) {
        (Some(old), _) => format!("the earlier container is {} ({})", old.name, old.id.short()),
        (None, Some(new)) => format!("only the new container {} ({}) is there", new.name, new.id.short()),
        (None, None) => "no container of it is left; its definition is in the journal".to_owned(),
    };
    if world.old.as_ref().is_some_and(|old| old.up && old.name == name.as_str()) {
        return Step::End(
            Outcome::Failed,
            format!("{name} runs as before, but something could not be cleaned up: {}", tx.last_error),
        );
    }
    Step::End(
        Outcome::Lost,
        format!(
            "{name} could not be brought back: {}. {place}. Start it by hand, or restart the engine: it is started once \
             more then",
            tx.last_error
        ),
    )
}

fn taken(name: &str) -> String {
    format!("somebody else made a container named {name} meanwhile")
}

fn is_no(policy: &serde_json::Value) -> bool {
    matches!(policy.get("Name").and_then(|n| n.as_str()), None | Some("" | "no"))
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;

//! A model of the engine, to try every crash on.
//!
//! Owns a few containers, an image tag, and the engine's habits that matter: a request outlives its client, a repeated
//! request waits for the first, restart policies act at boot. Must never be kinder than the real one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's model")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;

use super::definition::Definition;
use super::journal::{Act, Answer, Kind, Source, Tx, TxPlan, Version};
use super::names;
use super::run::{Foreign, Seen, World};
use crate::model::{ContainerId, ContainerName, Digest, ImageId, ImageRef, TxId};

/// A container of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modelled {
    pub name: String,
    pub up: bool,
    pub started_before: bool,
    pub restart_off: bool,
    pub image: ImageId,
    pub networks: BTreeSet<String>,
}

/// How the new image behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewImage {
    Good,
    NeverHealthy,
    DoesNotStart,
    CannotBeCreated,
    CannotBePulled,
    SameAsOld,
}

/// What somebody else does, once, before the engine's n-th act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meddling {
    RemovesOld,
    RemovesNew,
    /// `docker compose up`: whatever was there is replaced by a container of its own.
    ComposeUp,
    /// Takes the name while it is free, and does not start.
    TakesFreeName,
}

#[derive(Debug, Clone)]
pub struct ModelEngine {
    pub containers: BTreeMap<String, Modelled>,
    pub tag: ImageId,
    pub new_image: NewImage,
    /// A request whose client died: it still happens, at the latest when the same thing is asked again.
    pub late: Option<Act>,
    pub meddling: Option<(usize, Meddling)>,
    pub acts: usize,
    /// Nothing of the service existed at some moment, by our doing.
    pub was_lost: bool,
    counter: usize,
    pub foreign: Option<String>,
}

pub fn image(name: &str) -> ImageId {
    ImageId::new(format!("sha256:{name}")).unwrap()
}

pub fn plan(old_restart: &str, may_roll_back: bool) -> TxPlan {
    let definition =
        Definition { body: json!({}), connect: BTreeMap::from([("extra".to_owned(), json!({}))]) };
    TxPlan {
        tx: TxId::new("0badcafe").unwrap(),
        kind: Kind::Update,
        cause: "test".to_owned(),
        name: ContainerName::new("web").unwrap(),
        old: ContainerId::new("old").unwrap(),
        old_image: image("one"),
        old_restart: json!({"Name": old_restart}),
        reference: ImageRef::parse("localhost/web:1").unwrap(),
        reference_before: Some(image("one")),
        source: Source::Registry { digest: Digest::new(format!("sha256:{}", "2".repeat(64))).unwrap() },
        definition,
        stop_timeout: None,
        stop_signal: None,
        settle: Duration::from_secs(1),
        may_roll_back,
        from: Version { name: "1".to_owned(), ..Version::default() },
        to: Version { name: "2".to_owned(), ..Version::default() },
        cleanup: true,
        keep_generations: 1,
    }
}

impl ModelEngine {
    pub fn new(new_image: NewImage, old_restart: &str) -> Self {
        let old = Modelled {
            name: "web".to_owned(),
            up: true,
            started_before: true,
            restart_off: old_restart == "no",
            image: image("one"),
            networks: BTreeSet::from(["extra".to_owned()]),
        };
        Self {
            containers: BTreeMap::from([("old".to_owned(), old)]),
            tag: image("one"),
            new_image,
            late: None,
            meddling: None,
            acts: 0,
            was_lost: false,
            counter: 0,
            foreign: None,
        }
    }

    /// Puts a container there, however it came about.
    pub fn put(&mut self, id: &str, name: &str, up: bool, restart_off: bool, image: &ImageId) {
        let container = Modelled {
            name: name.to_owned(),
            up,
            started_before: up,
            restart_off,
            image: image.clone(),
            networks: BTreeSet::new(),
        };
        self.containers.insert(id.to_owned(), container);
    }

    fn new_id(&self) -> ImageId {
        if self.new_image == NewImage::SameAsOld { image("one") } else { image("two") }
    }

    fn holder(&self, name: &str) -> Option<String> {
        self.containers.iter().find(|(_, c)| c.name == name).map(|(id, _)| id.clone())
    }

    pub fn look(&self, tx: &Tx) -> World {
        let seen = |id: &str| {
            self.containers.get(id).map(|c| Seen {
                id: ContainerId::new(id).unwrap(),
                name: c.name.clone(),
                up: c.up,
                image: c.image.clone(),
                restart_off: c.restart_off,
                networks: c.networks.clone(),
            })
        };
        let old = seen(tx.old_id().as_str());
        let marked = names::successor(&tx.plan.name, &tx.plan.tx);
        let successor = match &tx.successor {
            Some(id) => seen(id.as_str()),
            None => self.holder(&marked).filter(|id| id != tx.old_id().as_str()).and_then(|id| seen(&id)),
        };
        let ours = [&old, &successor].map(|s| s.as_ref().map(|s| s.id.to_string()));
        let foreign = self
            .holder(tx.plan.name.as_str())
            .filter(|id| !ours.contains(&Some(id.clone())))
            .map(|id| Foreign { up: self.containers[&id].up, id: ContainerId::new(id).unwrap() });
        let new_image_used = self
            .foreign
            .as_ref()
            .is_some_and(|id| self.containers.get(id).is_some_and(|c| c.image == image("two")));
        World {
            old,
            successor,
            foreign,
            reference: Some(self.tag.clone()),
            old_image_here: true,
            new_image_used,
        }
    }

    /// What a client that waits for the answer gets.
    pub fn perform(&mut self, tx: &Tx, act: &Act) -> Answer {
        self.land();
        self.meddle(tx);
        self.acts += 1;
        let answer = self.apply(tx, act);
        if self.foreign.is_none() && self.meddling.is_none() {
            self.was_lost |= self.containers.is_empty();
        }
        answer
    }

    /// A request that was under way arrives.
    pub fn land(&mut self) {
        if let Some(act) = self.late.take() {
            let tx = Tx::new(plan("always", true));
            let _ = self.apply(&tx, &act);
        }
    }

    fn meddle(&mut self, tx: &Tx) {
        let Some((when, what)) = self.meddling else { return };
        if when != self.acts {
            return;
        }
        let own: Vec<String> = self.containers.keys().cloned().collect();
        match what {
            Meddling::RemovesOld => {
                self.containers.remove("old");
            }
            Meddling::RemovesNew => {
                for id in own.iter().filter(|id| *id != "old") {
                    self.containers.remove(id);
                }
            }
            Meddling::ComposeUp => {
                self.containers.clear();
                self.add_foreign(tx, true);
            }
            Meddling::TakesFreeName => {
                if self.holder("web").is_none() {
                    self.add_foreign(tx, false);
                }
            }
        }
    }

    fn add_foreign(&mut self, tx: &Tx, up: bool) {
        let foreign = Modelled {
            name: tx.plan.name.to_string(),
            up,
            started_before: up,
            restart_off: false,
            image: self.tag.clone(),
            networks: BTreeSet::new(),
        };
        self.containers.insert("foreign".to_owned(), foreign);
        self.foreign = Some("foreign".to_owned());
    }

    /// Power comes back: what was in flight is gone, and restart policies act on what has ever been started (`always` also
    /// on what was stopped by hand).
    pub fn boot(&mut self, old_restart: &str) {
        self.late = None;
        for container in self.containers.values_mut() {
            container.up = container.started_before
                && !container.restart_off
                && (container.up || old_restart == "always");
        }
    }

    fn make(&mut self, name: &str) -> Answer {
        if let Some(id) = self.holder(name) {
            return Answer::Made { id: ContainerId::new(id).unwrap() };
        }
        self.counter += 1;
        let id = format!("made{}", self.counter);
        let made = Modelled {
            name: name.to_owned(),
            up: false,
            started_before: false,
            restart_off: false,
            image: self.tag.clone(),
            networks: BTreeSet::new(),
        };
        self.containers.insert(id.clone(), made);
        Answer::Made { id: ContainerId::new(id).unwrap() }
    }

    fn apply(&mut self, tx: &Tx, act: &Act) -> Answer {
        let failed = |why: &str| Answer::Failed { why: why.to_owned() };
        let gone = || Answer::Gone { why: "no such container".to_owned() };
        match act {
            Act::Pull if self.new_image == NewImage::CannotBePulled => failed("no such manifest"),
            Act::Pull => Answer::Image { id: self.new_id() },
            Act::MoveReference { to } => {
                self.tag = to.clone();
                Answer::Done
            }
            Act::Create if self.new_image == NewImage::CannotBeCreated => failed("invalid definition"),
            Act::Create => self.make(&names::successor(&tx.plan.name, &tx.plan.tx)),
            Act::CreateAgain => self.make(tx.plan.name.as_str()),
            Act::Connect { id, network } => self.change(id, |c| {
                c.networks.insert(network.clone());
            }),
            Act::Stop { id } => self.change(id, |c| c.up = false),
            Act::RestartOff { id } => self.change(id, |c| c.restart_off = true),
            Act::RestartBack { id } => self.change(id, |c| c.restart_off = false),
            Act::Rename { id, to } => {
                if self.holder(to).is_some_and(|other| other != id.as_str()) {
                    return failed("the name is taken");
                }
                self.change(id, |c| c.name = to.clone())
            }
            Act::Start { id } => {
                let bad = self.containers.get(id.as_str()).is_some_and(|c| c.image != image("one"))
                    && self.new_image == NewImage::DoesNotStart;
                // The engine says so and leaves it down.
                if bad {
                    failed("exec format error")
                } else {
                    self.change(id, |c| (c.up, c.started_before) = (true, true))
                }
            }
            Act::Verify { id } => match self.containers.get(id.as_str()) {
                None => gone(),
                Some(c) if !c.up || (c.image != image("one") && self.new_image == NewImage::NeverHealthy) => {
                    Answer::Unhealthy { seen: "it is not well".to_owned(), log: vec!["oh".to_owned()] }
                }
                Some(_) => Answer::Healthy { seen: "well".to_owned() },
            },
            Act::Remove { id, .. } => {
                self.containers.remove(id.as_str());
                Answer::Done
            }
            Act::TidyImages => Answer::Done,
        }
    }

    fn change(&mut self, id: &ContainerId, change: impl Fn(&mut Modelled)) -> Answer {
        match self.containers.get_mut(id.as_str()) {
            Some(container) => {
                change(container);
                Answer::Done
            }
            None => Answer::Gone { why: "no such container".to_owned() },
        }
    }
}

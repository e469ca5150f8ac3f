//! The journal of one update: what was planned, begun and finished, and what stands after each record.
//!
//! Owns the records, which are kept for ever readable, and their folding into a `Tx`. Must never say what comes next:
//! that is `run`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::definition::Definition;
use crate::model::{ContainerId, ContainerName, Digest, ImageId, ImageRef, TxId};

/// Why a transaction exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A newer image.
    Update,
    /// The previous image, because somebody asked for it.
    Rollback,
}

/// Where the new image comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Source {
    /// A registry, by digest.
    Registry {
        /// The registry's digest, the index's where there is one.
        digest: Digest,
    },
    /// This machine.
    Local {
        /// The image's id.
        image: ImageId,
    },
}

/// A version as people say it, as it was known when the plan was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The OCI version label, else the tag, else the short digest.
    pub name: String,
    /// The registry's digest, or empty.
    pub digest: String,
    /// When the image was built, RFC 3339, or empty.
    pub built: String,
}

/// Everything that is needed to carry one container over to another image and back, decided beforehand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TxPlan {
    /// The transaction.
    pub tx: TxId,
    /// Why it exists.
    pub kind: Kind,
    /// Why it was begun, for people.
    pub cause: String,
    /// The service: the name that must never be without a running container.
    pub name: ContainerName,
    /// The container that holds it now.
    pub old: ContainerId,
    /// The image of that.
    pub old_image: ImageId,
    /// Its restart policy, as in `HostConfig.RestartPolicy`.
    pub old_restart: Value,
    /// The owner's reference.
    pub reference: ImageRef,
    /// The image id that the reference led to before; it need not be the old container's.
    pub reference_before: Option<ImageId>,
    /// Where the new image comes from.
    pub source: Source,
    /// How to make the successor, and the old one again should both be lost: it says nothing that came from an image, so
    /// it serves for both. The compose image label is filled in when it is used.
    pub definition: Definition,
    /// Seconds that a stop may take, where the container sets none itself.
    pub stop_timeout: Option<u32>,
    /// Another stop signal than the container's own.
    pub stop_signal: Option<String>,
    /// Without a health check: how long the successor must stay up.
    pub settle: Duration,
    /// False where the owner forbids going back.
    pub may_roll_back: bool,
    /// What it ran.
    pub from: Version,
    /// What it shall run.
    pub to: Version,
    /// Delete images beyond the kept generations.
    pub cleanup: bool,
    /// How many earlier images are kept.
    pub keep_generations: u32,
}

/// One thing that the shell does to the engine; each can be done again without harm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum Act {
    /// Bring the new image onto the machine. Answers with its id.
    Pull,
    /// Let the owner's reference lead to this image.
    MoveReference {
        /// The image's id.
        to: ImageId,
    },
    /// Make the successor under its marked name. Answers with its id.
    Create,
    /// Make the old container again under the service's name. Answers with its id.
    CreateAgain,
    /// Connect a container to a network of its definition.
    Connect {
        /// The container.
        id: ContainerId,
        /// The network's name.
        network: String,
    },
    /// Stop, and return only when it has exited.
    Stop {
        /// The container.
        id: ContainerId,
    },
    /// Switch the restart policy off, or an engine restart would start it.
    RestartOff {
        /// The container.
        id: ContainerId,
    },
    /// Give the old container its restart policy back.
    RestartBack {
        /// The container.
        id: ContainerId,
    },
    /// Give another name.
    Rename {
        /// The container.
        id: ContainerId,
        /// Its new name.
        to: String,
    },
    /// Start.
    Start {
        /// The container.
        id: ContainerId,
    },
    /// Watch until it is healthy or has failed. Answers with the verdict.
    Verify {
        /// The container.
        id: ContainerId,
    },
    /// Remove, and return only when it is gone.
    Remove {
        /// The container.
        id: ContainerId,
        /// The anonymous volumes that it made itself go too.
        volumes: bool,
    },
    /// Tag the image just left behind, and let go of those beyond the kept generations.
    TidyImages,
}

/// The state of a transaction, as the page and the API name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Written down, nothing done.
    Planned,
    /// The image is on its way.
    Pulling,
    /// The successor is being made while the old one runs.
    Creating,
    /// The old one is stopping.
    Stopping,
    /// The old one is put aside.
    Parking,
    /// The successor starts.
    Starting,
    /// The successor is watched.
    Verifying,
    /// The old one goes.
    Committing,
    /// The new one runs.
    Done,
    /// The old one is being brought back.
    RollingBack,
    /// The old one runs again, or never stopped.
    RolledBack,
    /// Somebody else took the name.
    StoodBack,
}

impl State {
    /// The name, as in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Pulling => "pulling",
            Self::Creating => "creating",
            Self::Stopping => "stopping",
            Self::Parking => "parking",
            Self::Starting => "starting",
            Self::Verifying => "verifying",
            Self::Committing => "committing",
            Self::Done => "done",
            Self::RollingBack => "rolling_back",
            Self::RolledBack => "rolled_back",
            Self::StoodBack => "stood_back",
        }
    }
}

/// Which way a transaction goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Towards the new image.
    Forward,
    /// Back to the old container.
    Back,
    /// Out of the way of somebody else.
    StandBack,
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The new one runs, verified.
    Updated,
    /// The registry's image turned out to be the one that runs.
    Unchanged,
    /// Nothing had been stopped yet; the old one never noticed.
    Failed,
    /// The old one was stopped and runs again.
    RolledBack,
    /// Somebody else holds the name now.
    StoodBack,
    /// The service is not as it was: look at it.
    Lost,
}

impl Outcome {
    /// The name, as in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
            Self::RolledBack => "rolled-back",
            Self::StoodBack => "stood-back",
            Self::Lost => "lost",
        }
    }
}

/// What came of an act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum Answer {
    /// Done.
    Done,
    /// Done; the image has this id.
    Image {
        /// The new image.
        id: ImageId,
    },
    /// Done; the container has this id.
    Made {
        /// The container.
        id: ContainerId,
    },
    /// The thing acted on is not there.
    Gone {
        /// What the engine said.
        why: String,
    },
    /// Verified: healthy, or stayed up.
    Healthy {
        /// What was seen.
        seen: String,
    },
    /// Verified: it failed.
    Unhealthy {
        /// What was seen.
        seen: String,
        /// The last lines of its log.
        log: Vec<String>,
    },
    /// Refused by the engine, the registry or the journal's disk.
    Failed {
        /// What was said, and what to do.
        why: String,
    },
}

/// One record. The order in the journal is the order of writing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub enum Record {
    /// The plan; always the first.
    Planned(Box<TxPlan>),
    /// About to act.
    Begun {
        /// What is done.
        #[serde(flatten)]
        act: Act,
    },
    /// The act begun last is over.
    Finished {
        /// What came of it.
        #[serde(flatten)]
        answer: Answer,
    },
    /// The direction changes.
    Turned {
        /// The new direction.
        to: Direction,
        /// Why, for people.
        why: String,
    },
    /// A new process took over, or the engine came back after it had been away.
    Resumed,
    /// It is over.
    Ended {
        /// How.
        outcome: Outcome,
        /// The whole story in a sentence.
        message: String,
    },
}

/// What stands after the records so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Tx {
    /// The plan.
    pub plan: TxPlan,
    /// Which way.
    pub direction: Direction,
    /// Why it turned; empty while it never has.
    pub why: String,
    /// The new image's id, once known.
    pub new_image: Option<ImageId>,
    /// The successor, once made and answered for.
    pub successor: Option<ContainerId>,
    /// The old container made again, where that was needed.
    pub restored: Option<ContainerId>,
    /// An act begun whose answer is not written down.
    pub pending: Option<Act>,
    /// The old container's stop, or its putting aside, was begun at some time: it may have been noticed outside.
    pub touched: bool,
    /// The container started last by this process's own reckoning; cleared when another process takes over or the engine
    /// comes back.
    pub started: Option<ContainerId>,
    /// The successor was found healthy by this very process: another one looks again before the old one goes.
    pub verified: bool,
    /// The successor was found healthy at some time.
    pub verified_once: bool,
    /// The old one, brought back, was watched; and found healthy or not.
    pub back_verified: Option<bool>,
    /// Images were tidied up.
    pub tidied: bool,
    /// The successor failed its verification (and not merely something on the way).
    pub bad_image: bool,
    /// The log of the failed successor.
    pub log: Vec<String>,
    /// How often a process had to take over, or the engine had been away.
    pub recoveries: u32,
    /// Acts in a row that ended in `Gone` or `Failed`.
    pub stumbles: u32,
    /// What the last of them said.
    pub last_error: String,
    /// The end, once reached.
    pub ended: Option<(Outcome, String)>,
}

impl Tx {
    /// The transaction just planned.
    #[must_use]
    pub fn new(plan: TxPlan) -> Self {
        Self {
            plan,
            direction: Direction::Forward,
            why: String::new(),
            new_image: None,
            successor: None,
            restored: None,
            pending: None,
            touched: false,
            started: None,
            verified: false,
            verified_once: false,
            back_verified: None,
            tidied: false,
            bad_image: false,
            log: Vec::new(),
            recoveries: 0,
            stumbles: 0,
            last_error: String::new(),
            ended: None,
        }
    }

    /// Folds the records of a journal. `None` when the first is not a plan.
    #[must_use]
    pub fn fold(records: &[Record]) -> Option<Self> {
        let (Record::Planned(plan), rest) = records.split_first()? else { return None };
        let mut tx = Self::new((**plan).clone());
        for record in rest {
            tx.apply(record);
        }
        Some(tx)
    }

    /// Takes one more record in.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Planned(_) => {}
            Record::Begun { act } => {
                // One that was found down is not stopped, but put aside all the same.
                if matches!(act, Act::Stop { id } | Act::Rename { id, .. } if *id == self.plan.old) {
                    self.touched = true;
                }
                self.pending = Some(act.clone());
            }
            Record::Finished { answer } => {
                if let Some(act) = self.pending.take() {
                    self.finish(&act, answer);
                }
            }
            Record::Turned { to, why } => {
                self.direction = *to;
                if self.why.is_empty() {
                    self.why.clone_from(why);
                }
                self.stumbles = 0;
                self.started = None;
            }
            Record::Resumed => {
                self.recoveries += 1;
                self.verified = false;
                self.started = None;
                self.stumbles = 0;
            }
            Record::Ended { outcome, message } => self.ended = Some((*outcome, message.clone())),
        }
    }

    fn finish(&mut self, act: &Act, answer: &Answer) {
        match answer {
            Answer::Gone { why } | Answer::Failed { why } => {
                self.stumbles += 1;
                self.last_error.clone_from(why);
                if *act == Act::TidyImages {
                    self.tidied = true;
                }
                return;
            }
            Answer::Unhealthy { seen, log } => {
                self.last_error.clone_from(seen);
                if self.is_old(act) {
                    self.back_verified = Some(false);
                } else {
                    self.bad_image = true;
                    self.log.clone_from(log);
                }
            }
            Answer::Healthy { .. } => {
                if self.is_old(act) {
                    self.back_verified = Some(true);
                } else {
                    self.verified = true;
                    self.verified_once = true;
                }
            }
            Answer::Image { id } => self.new_image = Some(id.clone()),
            Answer::Made { id } if *act == Act::CreateAgain => self.restored = Some(id.clone()),
            Answer::Made { id } => self.successor = Some(id.clone()),
            Answer::Done => {
                if let Act::Start { id } = act {
                    self.started = Some(id.clone());
                }
                self.tidied |= *act == Act::TidyImages;
            }
        }
        self.stumbles = 0;
    }

    /// The id under which the old container is known now.
    #[must_use]
    pub fn old_id(&self) -> &ContainerId {
        self.restored.as_ref().unwrap_or(&self.plan.old)
    }

    fn is_old(&self, act: &Act) -> bool {
        matches!(act, Act::Verify { id } if id == self.old_id())
    }

    /// The state, for people.
    #[must_use]
    pub fn state(&self) -> State {
        if let Some((outcome, _)) = &self.ended {
            return match outcome {
                Outcome::Updated | Outcome::Unchanged => State::Done,
                Outcome::Failed | Outcome::RolledBack | Outcome::Lost => State::RolledBack,
                Outcome::StoodBack => State::StoodBack,
            };
        }
        match (self.direction, &self.pending) {
            (Direction::Back | Direction::StandBack, _) => State::RollingBack,
            (Direction::Forward, None) => State::Planned,
            (Direction::Forward, Some(act)) => match act {
                Act::Pull | Act::MoveReference { .. } => State::Pulling,
                Act::Create | Act::CreateAgain | Act::Connect { .. } => State::Creating,
                Act::Stop { .. } => State::Stopping,
                Act::RestartOff { .. } | Act::RestartBack { .. } | Act::Rename { .. } => State::Parking,
                Act::Start { .. } => State::Starting,
                Act::Verify { .. } => State::Verifying,
                Act::Remove { .. } | Act::TidyImages => State::Committing,
            },
        }
    }
}

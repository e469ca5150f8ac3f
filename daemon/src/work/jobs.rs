//! Whole jobs: one update run, going back by hand, approving, pausing.
//!
//! Owns their order and what is reported of them. Must never run two at once: the caller sees to that.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use dockbeacon_core::event::What;
use dockbeacon_core::model::{ImageId, ImageRef};
use dockbeacon_core::reason::Reason;
use dockbeacon_core::update::candidate::{Action, Finding, Target};
use dockbeacon_core::update::driver::Driver;
use dockbeacon_core::update::journal::{Kind, Outcome, Source, Tx};

use super::board::PAUSED_UNTIL;
use super::check::known;
use super::prepare::NotPrepared;
use super::{Interrupted, Work};
use crate::docker::EngineError;
use crate::exit::ExitCode;
use crate::handles::{Actor, Summary, UpdateRequest};

/// Why a job ended early.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The engine does not answer.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// An update was left to the next process.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
    /// No such container, or nothing to go back to.
    #[error("{0}")]
    NotFound(String),
    /// Not now.
    #[error("{0}")]
    Conflict(String),
}

impl JobError {
    /// The exit code that it stands for.
    #[must_use]
    pub const fn exit(&self) -> ExitCode {
        match self {
            Self::Engine(error) if error.engine_is_away() => ExitCode::EngineAway,
            Self::Interrupted(Interrupted::EngineAway(_)) => ExitCode::EngineAway,
            Self::Engine(_)
            | Self::Interrupted(Interrupted::Stopping)
            | Self::NotFound(_)
            | Self::Conflict(_) => ExitCode::Failed,
        }
    }
}

/// How many transactions of one run came to which end.
#[derive(Debug, Default)]
struct Tally {
    summary: Summary,
    exits: Vec<ExitCode>,
    words: Vec<String>,
}

impl Tally {
    fn add(&mut self, tx: &Tx, outcome: Outcome, message: String) {
        let name = tx.plan.name.to_string();
        let (list, exit) = match outcome {
            Outcome::Updated => (&mut self.summary.updated, ExitCode::Done),
            Outcome::Unchanged => return,
            Outcome::Failed | Outcome::StoodBack => (&mut self.summary.failed, ExitCode::Failed),
            Outcome::RolledBack => (&mut self.summary.rolled_back, ExitCode::RolledBack),
            Outcome::Lost => (&mut self.summary.failed, ExitCode::NotAsItWas),
        };
        list.push(name);
        self.exits.push(exit);
        self.words.push(message);
    }

    fn refuse(&mut self, name: &str, why: &str) {
        self.summary.failed.push(name.to_owned());
        self.exits.push(ExitCode::Failed);
        self.words.push(format!("{name} was not updated: {why}"));
    }

    fn close(mut self, nothing: &str) -> Summary {
        self.summary.code = ExitCode::worst(self.exits.iter().copied()).code();
        self.summary.message = if self.words.is_empty() { nothing.to_owned() } else { self.words.join("; ") };
        self.summary
    }
}

impl Work {
    /// Work that only asks: who wants to stop need not wait for a slow registry or engine.
    ///
    /// # Errors
    /// The work's own, or that it was given up.
    pub async fn unless_stopping<T, E: Into<JobError>>(
        &self,
        asking: impl Future<Output = Result<T, E>>,
    ) -> Result<T, JobError> {
        tokio::select! {
            answer = asking => answer.map_err(Into::into),
            () = self.shutdown.cancelled() => Err(Interrupted::Stopping.into()),
        }
    }

    /// One run: recover, check, plan, act.
    ///
    /// # Errors
    /// When the engine does not answer, or the process stops in the middle.
    pub async fn update(&self, actor: &Actor, request: &UpdateRequest) -> Result<Summary, JobError> {
        let mut tally = Tally::default();
        for (tx, outcome, message) in self.recover().await? {
            tally.add(&tx, outcome, message);
        }
        self.bring_back_lost().await?;
        let names = match request.names.as_slice() {
            [] => Vec::new(),
            some => known(&self.look().await?, some)?,
        };
        let checked = self.check(&names).await?;
        tally.summary.scanned = checked.scanned;
        tally.summary.candidates = checked.candidates;
        let requested: BTreeSet<String> =
            if request.only_approved { BTreeSet::new() } else { names.iter().cloned().collect() };
        let plan = self.board.replan(&requested);
        let wanted = |f: &&Finding| {
            (names.is_empty() || names.iter().any(|n| n == f.name.as_str()))
                && (!request.only_approved || matches!(f.reason, Reason::Approved { .. }))
                && (request.images.is_empty() || request.images.iter().any(|i| is_image(f, i)))
        };
        for finding in plan.entries.iter().filter(wanted) {
            if finding.action != Action::Update {
                let unasked =
                    matches!(finding.reason, Reason::CheckFailed { .. } | Reason::RateLimited { .. });
                let requested = requested.contains(finding.name.as_str());
                if unasked || (requested && finding.reason != Reason::UpToDate) {
                    tally.refuse(finding.name.as_str(), &finding.reason.to_string());
                }
                continue;
            }
            if self.shutdown.is_cancelled() {
                return Err(Interrupted::Stopping.into());
            }
            let cause = format!("{} ({})", finding.reason, actor.way);
            if let Some((tx, outcome, message)) =
                self.move_one(finding, Kind::Update, &cause, &mut tally).await?
            {
                tally.add(&tx, outcome, message);
            }
        }
        self.look().await?;
        let named = plan.entries.iter().filter(|f| names.iter().any(|n| n == f.name.as_str()));
        let named: Vec<String> = named.map(|f| format!("{}: {}", f.name, f.reason)).collect();
        let nothing = match (named.is_empty(), checked.candidates) {
            (false, _) => format!("nothing to do; {}", named.join("; ")),
            (true, 0) => "everything runs what its registry has".to_owned(),
            (true, _) => "nothing to update now; `dockbeacon plan` says why".to_owned(),
        };
        Ok(tally.close(&nothing))
    }

    async fn move_one(
        &self,
        finding: &Finding,
        kind: Kind,
        cause: &str,
        tally: &mut Tally,
    ) -> Result<Option<(Tx, Outcome, String)>, JobError> {
        let prepared = tokio::select! {
            prepared = self.prepare(finding, kind, cause) => prepared,
            () = self.shutdown.cancelled() => return Err(Interrupted::Stopping.into()),
        };
        let plan = match prepared {
            Ok(plan) => plan,
            Err(NotPrepared::Engine(error)) => return Err(error.into()),
            Err(error) => {
                let (name, error) = (finding.name.as_str(), error.to_string());
                let target = finding.target.as_ref().map(Target::key).unwrap_or_default();
                if !self.board.is_old_failure(name, target, &error) {
                    tracing::warn!(container = name, error, "not updated");
                    self.board.note_failure(name, target, &error, "");
                }
                tally.refuse(name, &error);
                return Ok(None);
            }
        };
        self.board.tell(What::UpdateStarted {
            tx: plan.tx.to_string(),
            container: plan.name.to_string(),
            from: plan.from.name.clone(),
            to: plan.to.name.clone(),
        });
        self.board.state().known.unfinished.insert(plan.name.to_string());
        let driver = Driver::begin(plan.clone());
        let (outcome, message) = self.transact(driver).await?;
        let tx = Tx::new(plan);
        // Looked at before the journal is closed: else what the update has just tidied up seems to be left over.
        let looked = self.look().await;
        self.concluded(&tx, outcome, &message);
        self.board.touch();
        looked?;
        Ok(Some((tx, outcome, message)))
    }

    /// Puts the previous image back, because somebody asked.
    ///
    /// # Errors
    /// When there is no such container or no earlier image, or the engine does not answer.
    pub async fn roll_back(&self, actor: &Actor, name: &str) -> Result<Summary, JobError> {
        let mut tally = Tally::default();
        for (tx, outcome, message) in self.recover().await? {
            tally.add(&tx, outcome, message);
        }
        let name = name.trim_start_matches('/');
        let inventory = self.unless_stopping(self.look_closer()).await?;
        let container = inventory.by_name(name).ok_or_else(|| {
            JobError::NotFound(format!("there is no container {name}; `dockbeacon status` lists them"))
        })?;
        let generations = self.store.generations(name).map_err(|e| JobError::Conflict(e.to_string()))?;
        let previous = generations
            .iter()
            .find(|g| {
                g.image_id != container.image_id.as_str()
                    && inventory.images.iter().any(|i| i.id.as_str() == g.image_id)
            })
            .ok_or_else(|| {
                JobError::NotFound(format!(
                    "no earlier image of {name} is kept, so there is nothing to go back to"
                ))
            })?;
        let image = ImageId::new(previous.image_id.clone()).map_err(|e| JobError::Conflict(e.to_string()))?;
        let finding = Finding {
            name: container.name.clone(),
            id: container.id.clone(),
            image: container.image.clone(),
            action: Action::Update,
            reason: Reason::Requested,
            target: Some(Target::Local(image)),
        };
        let left = Self::running_version(&inventory, &container.name);
        let cause = format!("going back, asked for by {}", actor.way);
        if let Some((tx, outcome, message)) =
            self.move_one(&finding, Kind::Rollback, &cause, &mut tally).await?
        {
            // What was left is not taken again by itself: the registry still has it.
            if outcome == Outcome::Updated && !left.digest.is_empty() {
                let why = format!("you put it back ({})", actor.way);
                if let Err(error) = self.store.bad_add(name, &left.digest, &why, (self.clock)().civil) {
                    tracing::error!(%error, "cannot remember the version that was put back");
                }
                self.board.recall();
            }
            tally.add(&tx, outcome, message);
        }
        self.board.touch();
        Ok(tally.close("nothing was changed"))
    }

    /// Approves candidates. Empty names mean all that wait.
    ///
    /// # Errors
    /// When one does not wait, or the plan is not the one that was seen.
    pub fn approve(
        &self,
        actor: &Actor,
        names: &[String],
        fingerprint: Option<&str>,
    ) -> Result<Vec<String>, JobError> {
        let plan = self.board.state().plan.clone();
        if fingerprint.is_some_and(|f| f != plan.fingerprint) {
            return Err(JobError::Conflict(
                "the plan has changed since you saw it; look again, then approve".to_owned(),
            ));
        }
        let names: Vec<&str> = names.iter().map(|n| n.trim_start_matches('/')).collect();
        let waiting: Vec<&Finding> = plan.entries.iter().filter(|f| f.action == Action::Approve).collect();
        let mut approved = Vec::new();
        for name in &names {
            if !waiting.iter().any(|f| f.name.as_str() == *name) {
                let why =
                    plan.entries.iter().find(|f| f.name.as_str() == *name).map(|f| f.reason.to_string());
                let why = why.unwrap_or_else(|| "there is no such container".to_owned());
                return Err(JobError::NotFound(format!("{name} does not wait for an approval: {why}")));
            }
        }
        for finding in waiting {
            let name = finding.name.as_str();
            let chosen = names.is_empty() || names.contains(&name);
            if let (true, Some(target)) = (chosen, &finding.target) {
                self.store
                    .approval_put(name, target.key(), &actor.way, (self.clock)().civil)
                    .map_err(|e| JobError::Conflict(format!("the approval could not be kept: {e}")))?;
                approved.push(name.to_owned());
            }
        }
        if approved.is_empty() {
            return Err(JobError::NotFound("nothing waits for an approval".to_owned()));
        }
        self.board.recall();
        self.board.touch();
        self.board.tell(What::Approved { containers: approved.clone(), by: actor.way.clone() });
        Ok(approved)
    }

    /// No automatic updates for so long.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn pause(&self, actor: &Actor, length: Duration) -> Result<Summary, JobError> {
        let length = TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX);
        let until = (self.clock)().civil.checked_add_signed(length);
        let until =
            until.ok_or_else(|| JobError::Conflict("that is too long; say for example 24h".to_owned()))?;
        self.store
            .meta_set(PAUSED_UNTIL, &until.to_rfc3339())
            .map_err(|e| JobError::Conflict(format!("the pause could not be kept: {e}")))?;
        self.board.recall();
        self.board.touch();
        self.board.tell(What::Paused { until, by: actor.way.clone() });
        let message = format!("automatic updates are paused until {}", until.format("%Y-%m-%d %H:%M UTC"));
        Ok(Summary { message, ..Summary::default() })
    }

    /// Automatic updates again.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn resume(&self, actor: &Actor) -> Result<Summary, JobError> {
        self.store
            .meta_remove(PAUSED_UNTIL)
            .map_err(|e| JobError::Conflict(format!("the pause could not be ended: {e}")))?;
        self.board.recall();
        self.board.touch();
        self.board.tell(What::Resumed { by: actor.way.clone() });
        Ok(Summary { message: "automatic updates go on".to_owned(), ..Summary::default() })
    }
}

/// Watchtower's `image=` compares names without tags; with a tag it must be that one.
fn is_image(finding: &Finding, asked: &str) -> bool {
    let (Ok(own), Ok(asked_ref)) = (ImageRef::parse(&finding.image), ImageRef::parse(asked)) else {
        return false;
    };
    let tag_given = asked.rsplit('/').next().is_some_and(|last| last.contains(':'));
    own.name() == asked_ref.name() && (!tag_given || own.tag == asked_ref.tag)
}

/// The digest or image that a transaction moves to, as memories name it.
#[must_use]
pub fn target_key(source: &Source) -> &str {
    match source {
        Source::Registry { digest } => digest.as_str(),
        Source::Local { image } => image.as_str(),
    }
}

//! Carrying out one transaction: writing down, acting, answering, as the core's driver asks.
//!
//! Owns the translation of acts into engine calls, and of the engine's answers into the core's. Must never choose what
//! comes next.

use std::time::Duration;

use dockbeacon_core::event::What;
use dockbeacon_core::model::{ContainerId, ImageId};
use dockbeacon_core::update::definition::set_compose_image;
use dockbeacon_core::update::driver::{Driver, Want};
use dockbeacon_core::update::journal::{Act, Answer, Outcome, Record, Source, Tx};
use dockbeacon_core::update::run::{Foreign, Seen, World};
use dockbeacon_core::update::verify::{self, Verdict};
use dockbeacon_core::update::{driver, names};
use serde_json::{Value, json};

use super::Work;
use super::prepare::image_id;
use super::view::Story;
use crate::docker::{Engine, EngineError};
use crate::failpoint;
use crate::store::StoreError;

/// Between two looks at an engine that is away.
const AWAY: Duration = Duration::from_secs(2);
/// Between two looks at a container that is being watched; the first ones come faster.
const LOOK: Duration = Duration::from_millis(1000);
const FIRST_LOOKS: Duration = Duration::from_millis(200);
/// So often an act that is not answered in time is asked for again.
const LATE: u32 = 2;
/// Why an update is given up that had touched nothing yet.
const STOPPED: &str = "Dockbeacon was stopped before anything had been touched";
/// Looks at a container that another request is still making: a minute's worth, which is the engine's own patience.
const IN_THE_MAKING: u32 = 300;
/// Lines of a failed container's log that are kept.
const LOG_LINES: usize = 20;

/// The transaction was left to the next process: nothing is lost, its journal says where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Interrupted {
    /// The process is stopping.
    #[error("told to stop; what was begun is finished at the next start")]
    Stopping,
    /// The engine stayed away.
    #[error("the engine stayed away: {0}; the next start goes on from here")]
    EngineAway(String),
}

impl Work {
    /// Takes a transaction to its end.
    ///
    /// # Errors
    /// When it must be left to the next process.
    pub async fn transact(&self, mut driver: Driver) -> Result<(Outcome, String), Interrupted> {
        let mut story = Story::new(self, driver.tx());
        let mut late = 0;
        loop {
            if self.shutdown.is_cancelled() {
                driver.interrupt(STOPPED);
            }
            match driver.wanted() {
                Want::Look => {
                    let begun = (self.clock)().monotonic;
                    let world = loop {
                        match self.world(driver.tx()).await {
                            Ok(world) => break world,
                            Err(error) => self.wait_for_engine(begun, &error).await?,
                        }
                    };
                    driver.saw(world);
                }
                Want::Over(outcome, message) => {
                    if let Err(error) = self.save(&mut driver) {
                        tracing::error!(%error, "the end of an update could not be written down");
                    }
                    failpoint::hit("journal.ended");
                    story.end(driver.tx());
                    return Ok((outcome, message));
                }
                Want::Do(act) => {
                    if self.shutdown.is_cancelled() && matches!(act, Act::Verify { .. }) {
                        return Err(Interrupted::Stopping);
                    }
                    if let Err(error) = self.save(&mut driver) {
                        tracing::error!(%error, "the journal could not be written");
                        if !driver.journal_failed(&act, &error.to_string()) {
                            continue;
                        }
                    }
                    failpoint::hit(&format!("journal.{}", word(&act)));
                    story.step(driver.tx(), "");
                    let Some(answer) = self.answer(driver.tx(), &act, &mut story, &mut late).await? else {
                        driver.engine_was_away();
                        story.step(driver.tx(), "the engine was away and is back");
                        continue;
                    };
                    failpoint::hit(&format!("done.{}", word(&act)));
                    driver.answered(answer);
                }
            }
        }
    }

    fn save(&self, driver: &mut Driver) -> Result<(), StoreError> {
        let at = (self.clock)().civil;
        let records = driver.take_unsaved();
        let texts: Vec<String> = records.iter().map(|r| json!(r).to_string()).collect();
        self.store.journal_append_all(driver.tx().plan.tx.as_str(), at, &texts)?;
        self.mark();
        Ok(())
    }

    /// The engine is away in the middle of an update: waits a little, up to the patience that was set.
    async fn wait_for_engine(&self, begun: Duration, error: &EngineError) -> Result<(), Interrupted> {
        tracing::warn!(%error, "the engine is away in the middle of an update");
        self.board.engine_state(Err(error.to_string()), &self.settings.engine.host);
        self.hang_up().await;
        self.mark();
        let waited = (self.clock)().monotonic.saturating_sub(begun);
        if self.patience.is_some_and(|p| waited > p) {
            return Err(Interrupted::EngineAway(error.to_string()));
        }
        tokio::select! {
            () = tokio::time::sleep(AWAY) => Ok(()),
            () = self.shutdown.cancelled() => Err(Interrupted::Stopping),
        }
    }

    /// What is there.
    async fn world(&self, tx: &Tx) -> Result<World, EngineError> {
        let engine = self.engine().await?;
        let plan = &tx.plan;
        let marked = names::successor(&plan.name, &plan.tx);
        let successor = tx.successor.as_ref().map_or(marked.as_str(), ContainerId::as_str);
        let (old, successor, holder, reference, old_image, containers) = tokio::try_join!(
            engine.inspect_container(tx.old_id().as_str()),
            engine.inspect_container(successor),
            engine.inspect_container(plan.name.as_str()),
            engine.inspect_image(plan.reference.as_written()),
            engine.inspect_image(plan.old_image.as_str()),
            engine.containers(),
        )?;
        let old = old.as_ref().and_then(seen);
        let successor = successor.as_ref().and_then(seen).filter(|s| s.id != *tx.old_id());
        let ours = |id: &ContainerId| [&old, &successor].into_iter().flatten().any(|s| s.id == *id);
        let foreign = holder
            .as_ref()
            .and_then(seen)
            .filter(|s| s.name == plan.name.as_str() && !ours(&s.id))
            .map(|s| Foreign { id: s.id, up: s.up });
        let new_image_used =
            containers.iter().any(|c| !ours(&c.id) && tx.new_image.as_ref() == Some(&c.image_id));
        Ok(World {
            old,
            successor,
            foreign,
            reference: reference.as_ref().and_then(image_id),
            old_image_here: old_image.is_some(),
            new_image_used,
        })
    }

    /// Acts, and says what came of it. `None`: the engine went away in the middle, or did not answer in time, and answers
    /// again now.
    async fn answer(
        &self,
        tx: &Tx,
        act: &Act,
        story: &mut Story<'_>,
        late: &mut u32,
    ) -> Result<Option<Answer>, Interrupted> {
        let done = match act {
            Act::Verify { id } => self.verify(tx, id, story).await?,
            Act::Pull
            | Act::MoveReference { .. }
            | Act::Create
            | Act::CreateAgain
            | Act::Connect { .. }
            | Act::Stop { .. }
            | Act::RestartOff { .. }
            | Act::RestartBack { .. }
            | Act::Rename { .. }
            | Act::Start { .. }
            | Act::Remove { .. }
            | Act::TidyImages => self.act(tx, act, story).await,
        };
        Ok(Some(match done {
            Ok(answer) => answer,
            Err(error @ EngineError::TimedOut { .. }) if *late >= LATE && self.engine_answers().await => {
                // The engine is there and this one thing does not come to an end, such as the stop of a process that the
                // kernel cannot end. Going back is then better than asking for ever.
                Answer::Failed { why: error.to_string() }
            }
            Err(error) if error.engine_is_away() => {
                *late += u32::from(matches!(error, EngineError::TimedOut { .. }));
                self.until_it_answers(error).await?;
                return Ok(None);
            }
            Err(EngineError::NotFound(why)) if !matches!(act, Act::Pull | Act::Create | Act::CreateAgain) => {
                Answer::Gone { why }
            }
            Err(error) => Answer::Failed { why: error.to_string() },
        }))
    }

    /// Waits until the engine answers again.
    async fn until_it_answers(&self, mut error: EngineError) -> Result<(), Interrupted> {
        let begun = (self.clock)().monotonic;
        loop {
            self.wait_for_engine(begun, &error).await?;
            match self.look().await {
                Ok(_) => return Ok(()),
                Err(again) => error = again,
            }
        }
    }

    async fn engine_answers(&self) -> bool {
        match self.engine().await {
            Ok(engine) => engine.ping().await.is_ok(),
            Err(_) => false,
        }
    }

    async fn act(&self, tx: &Tx, act: &Act, story: &mut Story<'_>) -> Result<Answer, EngineError> {
        let engine = self.engine().await?;
        let plan = &tx.plan;
        match act {
            Act::Pull => {
                // It may take an hour and has touched nothing: who wants to stop need not wait for it.
                return tokio::select! {
                    brought = self.bring_image(&engine, tx, story) => brought,
                    () = self.shutdown.cancelled() => Ok(Answer::Failed { why: STOPPED.to_owned() }),
                };
            }
            Act::MoveReference { to } => {
                engine.tag(to.as_str(), &plan.reference.name(), &plan.reference.tag).await?;
            }
            Act::Create => {
                let name = names::successor(&plan.name, &plan.tx);
                return create(&engine, tx, &name, tx.new_image.as_ref()).await;
            }
            Act::CreateAgain => {
                let reference = engine.inspect_image(plan.reference.as_written()).await?;
                let image = reference.as_ref().and_then(image_id);
                return create(&engine, tx, plan.name.as_str(), image.as_ref()).await;
            }
            Act::Connect { id, network } => {
                let endpoint = plan.definition.connect.get(network).cloned().unwrap_or_default();
                let refused = engine.connect_network(network, id.as_str(), &endpoint).await.err();
                if let Some(error) = refused {
                    let there = engine.inspect_container(id.as_str()).await?;
                    if !there.as_ref().and_then(seen).is_some_and(|s| s.networks.contains(network)) {
                        return Err(error);
                    }
                }
            }
            Act::Stop { id } => {
                let wait = plan.stop_timeout.map(|s| Duration::from_secs(u64::from(s)));
                let own = plan.definition.body.get("StopTimeout").and_then(Value::as_u64);
                self.expect_within(wait.or(own.map(Duration::from_secs)).unwrap_or_default());
                engine.stop(id.as_str(), wait, plan.stop_signal.as_deref()).await?;
            }
            Act::RestartOff { id } => {
                engine
                    .set_restart_policy(id.as_str(), &json!({"Name": "no", "MaximumRetryCount": 0}))
                    .await?;
            }
            Act::RestartBack { id } => engine.set_restart_policy(id.as_str(), &plan.old_restart).await?,
            Act::Rename { id, to } => rename(&engine, id, to).await?,
            Act::Start { id } => engine.start(id.as_str()).await?,
            Act::Remove { id, volumes } => {
                // Ours alone is forced: the old one must have been stopped in peace before.
                let force = *id != plan.old;
                match engine.remove(id.as_str(), force, *volumes).await {
                    Ok(()) => engine.wait_gone(id.as_str(), Duration::from_secs(60)).await?,
                    Err(EngineError::NotFound(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            Act::TidyImages => self.tidy_images(&engine, tx).await?,
            Act::Verify { .. } => {}
        }
        Ok(Answer::Done)
    }

    async fn bring_image(
        &self,
        engine: &Engine,
        tx: &Tx,
        story: &mut Story<'_>,
    ) -> Result<Answer, EngineError> {
        let reference = &tx.plan.reference;
        let name = match &tx.plan.source {
            Source::Local { image } => image.as_str().to_owned(),
            Source::Registry { digest } => {
                let name = format!("{}@{digest}", reference.name());
                let auth = self.registry.engine_auth(&reference.registry).await;
                let silence = self.settings.update.pull_silence;
                engine
                    .pull(&name, auth, silence, |p| {
                        self.mark();
                        story.pulled(tx, p.layers_done, p.layers_total, p.bytes, p.total);
                    })
                    .await?;
                name
            }
        };
        let id = engine.inspect_image(&name).await?.as_ref().and_then(image_id);
        id.map(|id| Answer::Image { id })
            .ok_or_else(|| EngineError::NotFound(format!("{name} is not on this machine")))
    }

    async fn inspect(&self, id: &ContainerId) -> Result<Option<Value>, EngineError> {
        self.engine().await?.inspect_container(id.as_str()).await
    }

    /// Watches a container until it is well or has failed.
    async fn verify(
        &self,
        tx: &Tx,
        id: &ContainerId,
        story: &mut Story<'_>,
    ) -> Result<Result<Answer, EngineError>, Interrupted> {
        let begun = (self.clock)().monotonic;
        let mut restarts = None;
        loop {
            let inspect = match self.inspect(id).await {
                Ok(inspect) => inspect,
                Err(error) => return Ok(Err(error)),
            };
            let Some(inspect) = inspect else {
                return Ok(Ok(Answer::Gone { why: "somebody removed it".to_owned() }));
            };
            self.mark();
            let watched = (self.clock)().monotonic.saturating_sub(begun);
            // An old container that never stopped may have been restarted by the engine long ago.
            let kept_running = id == tx.old_id() && tx.started.as_ref() != Some(id);
            let before =
                *restarts.get_or_insert_with(|| if kept_running { verify::restarts(&inspect) } else { 0 });
            match verify::verdict(verify::probe(&inspect, tx.plan.settle), &inspect, watched, before) {
                Verdict::Healthy(seen) => return Ok(Ok(Answer::Healthy { seen })),
                Verdict::Failed(seen) => {
                    let log = match self.engine().await {
                        Ok(engine) => engine
                            .logs_tail(id.as_str(), LOG_LINES)
                            .await
                            .unwrap_or_else(|e| vec![e.to_string()]),
                        Err(error) => vec![error.to_string()],
                    };
                    return Ok(Ok(Answer::Unhealthy { seen, log }));
                }
                Verdict::Pending(seen) => story.step(tx, &seen),
            }
            let pause = if watched < Duration::from_secs(2) { FIRST_LOOKS } else { LOOK };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.shutdown.cancelled() => return Err(Interrupted::Stopping),
            }
        }
    }

    /// Takes up what an earlier process left unfinished, before anything else is done.
    ///
    /// # Errors
    /// When one of them must be left to the next process again.
    pub async fn recover(&self) -> Result<Vec<(Tx, Outcome, String)>, Interrupted> {
        let open = match self.store.journal_open() {
            Ok(open) => open,
            Err(error) => {
                tracing::error!(%error, "the journal could not be read; nothing is recovered");
                return Ok(Vec::new());
            }
        };
        let mut ends = Vec::new();
        for (tx, rows) in open {
            // Each start of a transaction counts as a takeover, and some of those give an update up: a process that is
            // about to end must not use them up.
            if self.shutdown.is_cancelled() {
                return Err(Interrupted::Stopping);
            }
            // From the beginning of a journal, however short, the core finds its way whatever has been done since; with a
            // hole in the middle it would believe in things that were not so.
            let records: Vec<Record> = rows
                .iter()
                .map_while(|(_, json)| {
                    serde_json::from_str(json)
                        .inspect_err(|error| {
                            tracing::error!(tx, %error, "a journal record cannot be read; what follows it is passed over");
                        })
                        .ok()
                })
                .collect();
            let Some(driver) = driver::Driver::resume(&records) else {
                tracing::error!(tx, "a journal does not begin with a plan; it is closed without acting");
                self.close(&tx);
                continue;
            };
            tracing::warn!(tx, container = %driver.tx().plan.name, "going on with an interrupted update");
            let (outcome, message) = self.transact(driver.clone()).await?;
            ends.push((driver.tx().clone(), outcome, message.clone()));
            // As after any update; an engine that is away is noticed by the next look.
            let _ = self.look().await;
            self.concluded(driver.tx(), outcome, &message);
            self.board.touch();
        }
        Ok(ends)
    }

    pub(super) fn close(&self, tx: &str) {
        if let Err(error) = self.store.journal_close(tx) {
            tracing::error!(tx, %error, "a journal could not be closed");
        }
    }

    /// Remembers and tells what follows from the end of a transaction.
    pub(super) fn concluded(&self, tx: &Tx, outcome: Outcome, message: &str) {
        let plan = &tx.plan;
        let name = plan.name.as_str();
        let key = super::jobs::target_key(&plan.source);
        let now = (self.clock)().civil;
        let noted = match outcome {
            Outcome::RolledBack | Outcome::Lost => self.store.bad_add(name, key, message, now),
            Outcome::Updated | Outcome::Unchanged | Outcome::Failed | Outcome::StoodBack => Ok(()),
        };
        let forgotten = match outcome {
            Outcome::Failed | Outcome::StoodBack => Ok(false),
            Outcome::Updated | Outcome::Unchanged | Outcome::RolledBack | Outcome::Lost => {
                self.store.approval_remove(name)
            }
        };
        for error in [noted.err(), forgotten.err()].into_iter().flatten() {
            tracing::error!(%error, container = name, "the end of an update could not be remembered");
        }
        if outcome == Outcome::Lost {
            self.board.lose(name, message);
        }
        self.close(plan.tx.as_str());
        self.board.recall();
        if outcome == Outcome::Failed {
            // It is tried again at every check. The same failure is told once, and its history has one row.
            let again = self.board.is_old_failure(name, key, message);
            let before = self.board.note_failure(name, key, message, plan.tx.as_str());
            if again {
                if let Some(error) = before.and_then(|tx| self.store.update_forget(&tx).err()) {
                    tracing::warn!(%error, "a repeated failure stays in the history");
                }
                tracing::info!(container = name, "again: {message}");
                return;
            }
        }
        self.board.tell(What::UpdateFinished {
            tx: plan.tx.to_string(),
            container: name.to_owned(),
            outcome: outcome.word().to_owned(),
            message: message.to_owned(),
        });
    }
}

/// The act's name, as fail points use it.
const fn word(act: &Act) -> &'static str {
    match act {
        Act::Pull => "pull",
        Act::MoveReference { .. } => "move-reference",
        Act::Create => "create",
        Act::CreateAgain => "create-again",
        Act::Connect { .. } => "connect",
        Act::Stop { .. } => "stop",
        Act::RestartOff { .. } => "restart-off",
        Act::RestartBack { .. } => "restart-back",
        Act::Rename { .. } => "rename",
        Act::Start { .. } => "start",
        Act::Verify { .. } => "verify",
        Act::Remove { .. } => "remove",
        Act::TidyImages => "tidy-images",
    }
}

/// Creates by name. Where the name exists already, it is the container of an earlier try: nobody else uses such names. The
/// engine gives a name away before the container can be seen, so one that is being made by a request whose client died is
/// waited for.
async fn create(
    engine: &Engine,
    tx: &Tx,
    name: &str,
    image: Option<&ImageId>,
) -> Result<Answer, EngineError> {
    let mut body = tx.plan.definition.body.clone();
    if let Some(image) = image {
        set_compose_image(&mut body, image);
    }
    let mut tries = 0;
    loop {
        match engine.create(name, &body).await {
            Ok(id) => return Ok(Answer::Made { id }),
            Err(EngineError::Conflict(why)) => {
                if let Some(seen) = engine.inspect_container(name).await?.as_ref().and_then(seen) {
                    return Ok(Answer::Made { id: seen.id });
                }
                if tries == IN_THE_MAKING {
                    return Err(EngineError::Conflict(why));
                }
                tries += 1;
                tokio::time::sleep(FIRST_LOOKS).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Renames; that it has that name already is no error.
async fn rename(engine: &Engine, id: &ContainerId, to: &str) -> Result<(), EngineError> {
    let Err(refused) = engine.rename(id.as_str(), to).await else { return Ok(()) };
    let there = engine.inspect_container(id.as_str()).await?;
    if there.as_ref().and_then(seen).is_some_and(|s| s.name == to) { Ok(()) } else { Err(refused) }
}

/// What a description says of a container that matters to a transaction.
fn seen(inspect: &Value) -> Option<Seen> {
    let text = |pointer: &str| inspect.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let flag = |pointer: &str| inspect.pointer(pointer).and_then(Value::as_bool).unwrap_or_default();
    let networks = inspect.pointer("/NetworkSettings/Networks").and_then(Value::as_object);
    Some(Seen {
        id: ContainerId::new(text("/Id")).ok()?,
        name: text("/Name").trim_start_matches('/').to_owned(),
        up: flag("/State/Running") || flag("/State/Paused") || flag("/State/Restarting"),
        image: ImageId::new(text("/Image")).ok()?,
        restart_off: matches!(text("/HostConfig/RestartPolicy/Name"), "" | "no"),
        networks: networks.map(|n| n.keys().cloned().collect()).unwrap_or_default(),
    })
}

//! The loop that does what is asked for, one job at a time.
//!
//! Owns the queue: who waits, who is told that another run is under way. Must never start an update before everything that
//! an earlier process left unfinished has come to its end.

use std::sync::Arc;
use std::time::Duration;

use dockbeacon_core::event::What;
use dockbeacon_core::panel::{ButtonFacts, Gesture, Meaning, meaning};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::publish::button_facts;
use crate::failpoint;
use crate::handles::{Actor, Command, Refusal, Reply, Summary, UpdateRequest};
use crate::supervisor::Progress;
use crate::work::jobs::JobError;
use crate::work::{Interrupted, Work};

/// How long an identify request shows.
const IDENTIFY: Duration = Duration::from_secs(15);
/// A safe shutdown waits so long for an update that is under way.
const SHUT_DOWN_WAITS: Duration = Duration::from_secs(60);
/// What a double press asks for.
const PRESS_PAUSE: Duration = Duration::from_secs(24 * 3600);

/// Runs until the shutdown; jobs that are under way then are brought to a safe place first.
pub async fn run(
    work: Work,
    mut commands: mpsc::Receiver<Command>,
    progress: Progress,
) -> Result<(), String> {
    let mut work = work;
    work.progress = Some(progress.clone());
    let queue = Queue { work: work.clone(), turn: Arc::default() };
    let mut jobs: JoinSet<()> = JoinSet::new();
    {
        let queue = queue.clone();
        // Before anybody else gets a turn.
        let turn = Arc::clone(&queue.turn).lock_owned().await;
        jobs.spawn(async move {
            match queue.work.recover().await {
                Ok(ends) if !ends.is_empty() => {
                    tracing::info!(count = ends.len(), "interrupted updates are at their end")
                }
                Ok(_) | Err(Interrupted::Stopping) => {}
                Err(error) => tracing::error!(%error, "an interrupted update could not be ended"),
            }
            drop(turn);
            queue.work.start_again().await;
        });
    }
    loop {
        if jobs.is_empty() {
            progress.wait_for_ever();
        }
        tokio::select! {
            () = work.shutdown.cancelled() => break,
            command = commands.recv() => {
                let Some(command) = command else { break };
                progress.mark();
                failpoint::hang("commands.hang").await;
                queue.take(command, &mut jobs);
            }
            () = work.board.engine_back() => {
                let queue = queue.clone();
                jobs.spawn(async move {
                    let _turn = queue.turn.lock().await;
                    // The next process does it at its start.
                    let _ = queue.work.bring_back_lost().await;
                });
            }
            Some(ended) = jobs.join_next() => if let Err(error) = ended {
                tracing::error!(%error, "a job broke off");
                return Err(error.to_string());
            },
        }
    }
    while let Some(ended) = jobs.join_next().await {
        progress.mark();
        if let Err(error) = ended {
            tracing::error!(%error, "a job broke off");
        }
    }
    Ok(())
}

#[derive(Clone)]
struct Queue {
    work: Work,
    turn: Arc<Mutex<()>>,
}

impl Queue {
    fn take(&self, command: Command, jobs: &mut JoinSet<()>) {
        let queue = self.clone();
        match command {
            Command::Check(_, names, reply) => {
                jobs.spawn(async move {
                    let answer = queue.check(&names).await;
                    queue.answer(reply, answer).await;
                });
            }
            Command::Update(actor, request, reply) => {
                jobs.spawn(async move {
                    let answer = queue.update(&actor, &request).await;
                    queue.answer(reply, answer).await;
                });
            }
            Command::Rollback(actor, name, reply) => {
                jobs.spawn(async move {
                    let answer = queue.roll_back(&actor, &name).await;
                    queue.answer(reply, answer).await;
                });
            }
            Command::Approve(actor, names, fingerprint, reply) => {
                let answer = self.approve(&actor, &names, fingerprint.as_deref(), jobs);
                jobs.spawn(async move { queue.answer(reply, answer).await });
            }
            Command::Pause(actor, seconds, reply) => {
                let answer = self.work.pause(&actor, Duration::from_secs(seconds)).map_err(refusal);
                jobs.spawn(async move { queue.answer(reply, answer).await });
            }
            Command::Resume(actor, reply) => {
                let answer = self.work.resume(&actor).map_err(refusal);
                jobs.spawn(async move { queue.answer(reply, answer).await });
            }
            Command::Press(actor, gesture, reply) => {
                let answer = self.press(&actor, gesture, false, jobs);
                jobs.spawn(async move { queue.answer(reply, answer).await });
            }
            Command::ByHand(gesture, reply) => {
                let actor = Actor { way: "button".to_owned(), who: "on the device".to_owned() };
                let answer = self.press(&actor, gesture, true, jobs);
                jobs.spawn(async move { queue.answer(reply, answer).await });
            }
            Command::Happened(what) => self.work.board.tell(what),
            Command::Identify(_, reply) => {
                let until = (self.work.clock)().monotonic + IDENTIFY;
                self.work.board.state().identify_until = Some(until);
                let answer = Ok(said("the lamps are fast for 15 seconds"));
                jobs.spawn(async move { queue.answer(reply, answer).await });
            }
        }
    }

    /// Answers when the snapshot shows what was done: whoever asked looks there next.
    async fn answer(&self, reply: Reply<Summary>, answer: Result<Summary, Refusal>) {
        tokio::select! {
            () = self.work.board.until_shown() => {}
            () = self.work.shutdown.cancelled() => {}
        }
        if reply.send(answer).is_err() {
            // The one who asked may have gone; that is no trouble.
            tracing::debug!("nobody waits for the answer any more");
        }
    }

    async fn check(&self, names: &[String]) -> Result<Summary, Refusal> {
        let checked = self.work.check(names).await.map_err(refusal)?;
        Ok(checked.summary())
    }

    async fn update(&self, actor: &Actor, request: &UpdateRequest) -> Result<Summary, Refusal> {
        let _turn = if request.wait {
            self.turn.lock().await
        } else {
            self.turn.try_lock().map_err(|_| {
                Refusal::Busy("another run is under way; ask again when it is over".to_owned())
            })?
        };
        self.still_up()?;
        Box::pin(self.work.update(actor, request)).await.map_err(refusal)
    }

    async fn roll_back(&self, actor: &Actor, name: &str) -> Result<Summary, Refusal> {
        let _turn = self.turn.lock().await;
        self.still_up()?;
        Box::pin(self.work.roll_back(actor, name)).await.map_err(refusal)
    }

    /// Whoever waited for a turn while the daemon was told to stop does not begin any more.
    fn still_up(&self) -> Result<(), Refusal> {
        if self.work.shutdown.is_cancelled() { Err(Refusal::Stopping) } else { Ok(()) }
    }

    /// Notes the approval and starts the update of what was approved.
    fn approve(
        &self,
        actor: &Actor,
        names: &[String],
        fingerprint: Option<&str>,
        jobs: &mut JoinSet<()>,
    ) -> Result<Summary, Refusal> {
        let approved = self.work.approve(actor, names, fingerprint).map_err(refusal)?;
        let message = format!("approved: {}", approved.join(", "));
        let queue = self.clone();
        let actor = actor.clone();
        jobs.spawn(async move {
            let request = UpdateRequest {
                wait: true,
                only_approved: true,
                names: approved,
                ..UpdateRequest::default()
            };
            match queue.update(&actor, &request).await {
                Ok(summary) => tracing::info!(code = summary.code, "{}", summary.message),
                Err(refusal) => tracing::warn!(%refusal, "the approved update did not take place"),
            }
        });
        Ok(said(&message))
    }

    /// Waits for an update that is under way, within reason: what is in the middle is mended at the next start.
    async fn shut_down(&self) {
        let _turn = tokio::time::timeout(SHUT_DOWN_WAITS, self.turn.lock()).await;
        if let Err(why) = self.work.shut_down().await {
            tracing::error!(why, "the safe shutdown did not take place");
            self.work.board.tell(What::Gesture { gesture: "hold3".to_owned(), did: why });
        }
    }

    fn press(
        &self,
        actor: &Actor,
        gesture: Gesture,
        by_hand: bool,
        jobs: &mut JoinSet<()>,
    ) -> Result<Summary, Refusal> {
        let facts = ButtonFacts { by_hand, ..button_facts(&self.work, &self.work.settings) };
        let meant = meaning(gesture, &facts);
        let done = match &meant {
            Meaning::Approve { fingerprint } => self.approve(actor, &[], Some(fingerprint), jobs),
            Meaning::Check => {
                let queue = self.clone();
                jobs.spawn(async move {
                    if let Err(refusal) = queue.check(&[]).await {
                        tracing::warn!(%refusal, "the check did not take place");
                    }
                });
                Ok(said("looking for updates"))
            }
            Meaning::Pause => self.work.pause(actor, PRESS_PAUSE).map_err(refusal),
            Meaning::Resume => self.work.resume(actor).map_err(refusal),
            Meaning::ShutDown if by_hand => {
                let queue = self.clone();
                jobs.spawn(async move { queue.shut_down().await });
                Ok(said("shutting down safely"))
            }
            Meaning::Reset if by_hand => {
                self.work.claims.ask_reset();
                Ok(said("the password and all tokens are forgotten; the console shows the new claim code"))
            }
            Meaning::GrantClaim if by_hand => {
                let granted = self.work.claims.press();
                Ok(said(if granted {
                    "granted the claim on the page"
                } else {
                    "the claim on the page was gone"
                }))
            }
            Meaning::SeveralClaims if by_hand => {
                self.work.claims.press();
                Ok(said("granted none of several claims; the page asks for the claim code"))
            }
            Meaning::ShutDown | Meaning::Reset => {
                Err(Refusal::Conflict("that needs the button on the device itself".to_owned()))
            }
            Meaning::GrantClaim | Meaning::NoClaimOpen | Meaning::SeveralClaims | Meaning::NotFromThePage => {
                Err(Refusal::Conflict(format!("a press does {}", meant.words())))
            }
        };
        let name = serde_json::to_value(gesture)
            .ok()
            .and_then(|v| v.as_str().map(str::to_owned))
            .unwrap_or_default();
        let did = done.as_ref().map_or_else(ToString::to_string, |s| s.message.clone());
        self.work.board.tell(What::Gesture { gesture: name, did });
        done
    }
}

fn said(message: &str) -> Summary {
    Summary { message: message.to_owned(), ..Summary::default() }
}

fn refusal(error: JobError) -> Refusal {
    match error {
        JobError::Engine(error) if error.engine_is_away() => Refusal::EngineAway(error.to_string()),
        JobError::Engine(error) => Refusal::Conflict(error.to_string()),
        JobError::Interrupted(Interrupted::Stopping) => Refusal::Stopping,
        JobError::Interrupted(error) => Refusal::EngineAway(error.to_string()),
        JobError::NotFound(why) => Refusal::NotFound(why),
        JobError::Conflict(why) => Refusal::Conflict(why),
    }
}

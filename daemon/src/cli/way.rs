//! The two ways of getting something done: asking the daemon, or doing it here.
//!
//! Owns the choice between them, by the state folder's lock, so that two never work at once. Must never answer differently
//! on the two ways.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use dockbeacon_core::event::{Event, What};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::{person, run_of};
use crate::config::{ConfigError, Loaded};
use crate::docker::EngineError;
use crate::exit::ExitCode;
use crate::handles::{Summary, UpdateRequest};
use crate::lock::{self, LockError, StateLock};
use crate::ports::{AuditRow, Records as _};
use crate::view::{ContainerView, PanelView, PlanView, Status};
use crate::work::jobs::JobError;
use crate::work::{self, Work, view};
use crate::{app, shutdown, telemetry};

/// Without a daemon nobody waits for an engine for ever.
const PATIENCE: Duration = Duration::from_secs(600);

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Wrong usage that the parser could not see.
    #[error("{0}")]
    Usage(String),
    /// The settings are not valid.
    #[error("{0}")]
    Settings(ConfigError),
    /// The state folder cannot be used.
    #[error("{0}")]
    Lock(LockError),
    /// Somebody else is at it, or does not let us.
    #[error("{0}")]
    Busy(String),
    /// The engine.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// The daemon cannot reach it.
    #[error("{0}")]
    EngineAway(String),
    /// A job.
    #[error("{0}")]
    Job(#[from] JobError),
    /// No such thing.
    #[error("{0}")]
    NotFound(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// Its exit code.
    #[must_use]
    pub fn exit(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::Usage,
            Self::Settings(_) => ExitCode::Settings,
            Self::Lock(error) => error.into(),
            Self::Busy(_) => ExitCode::Busy,
            Self::EngineAway(_) => ExitCode::EngineAway,
            Self::Engine(error) if error.engine_is_away() => ExitCode::EngineAway,
            Self::Job(error) => error.exit(),
            Self::Engine(_) | Self::NotFound(_) | Self::Other(_) => ExitCode::Failed,
        }
    }
}

/// How the work is done.
pub enum Way {
    /// By the daemon that owns the state folder.
    Daemon(Client),
    /// Here, while we hold the folder's lock.
    Here(Box<Work>, #[expect(dead_code, reason = "held, not read")] StateLock),
}

impl Way {
    /// Takes the lock, or finds the daemon that has it.
    pub async fn open(loaded: &Loaded, state_dir: &Path) -> Result<Self, Failure> {
        match lock::take_within(state_dir, lock::PATIENCE).await {
            Ok(lock) => {
                let stop = CancellationToken::new();
                let signals = shutdown::Signals::install().map_err(|e| Failure::Other(e.to_string()))?;
                tokio::spawn(signals.follow(stop.clone()));
                // Quiet unless something is wrong: the answer is on standard output.
                telemetry::Telemetry::init("warn").map_err(|e| Failure::Other(e.to_string()))?;
                // Opening the store waits for the card; the engine can answer meanwhile.
                let connecting = work::connect_early(&loaded.settings.engine.host);
                let mut work =
                    app::assemble(loaded, state_dir, stop).map_err(|e| Failure::Other(format!("{e:#}")))?;
                work.adopt(connecting).await;
                work.patience = Some(PATIENCE);
                Ok(Self::Here(Box::new(work), lock))
            }
            Err(LockError::Held { control_socket: Some(socket), .. }) => {
                Ok(Self::Daemon(Client::new(&socket)))
            }
            Err(error @ LockError::Held { .. }) => Err(Failure::Busy(error.to_string())),
            Err(error) => Err(Failure::Lock(error)),
        }
    }

    pub async fn check(&self, names: &[String]) -> Result<Summary, Failure> {
        match self {
            Self::Daemon(client) => {
                client.post("/api/v1/check?wait=true", &json!({ "containers": names })).await
            }
            Self::Here(work, _) => {
                let checked = work.unless_stopping(work.check(names)).await?;
                Ok(checked.summary())
            }
        }
    }

    pub async fn plan(&self) -> Result<PlanView, Failure> {
        match self {
            Self::Daemon(client) => client.get("/api/v1/plan").await,
            Self::Here(work, _) => Ok(view::snapshot(work).2),
        }
    }

    pub async fn update(&self, names: &[String]) -> Result<Summary, Failure> {
        self.with_progress(async {
            match self {
                Self::Daemon(client) => {
                    client.post("/api/v1/update?wait=true", &json!({ "containers": names })).await
                }
                Self::Here(work, _) => Ok(Box::pin(work.update(&person(), &run_of(names))).await?),
            }
        })
        .await
    }

    pub async fn approve(&self, names: &[String]) -> Result<Summary, Failure> {
        match self {
            Self::Daemon(client) => {
                client.post("/api/v1/approve?wait=true", &json!({ "containers": names })).await
            }
            Self::Here(work, _) => {
                work.unless_stopping(work.check(names)).await?;
                work.unless_stopping(work.look_closer()).await?;
                let approved = work.approve(&person(), names, None)?;
                // Nothing beyond what was approved, also if the registry moved on meanwhile: as the daemon does it.
                let request = UpdateRequest { only_approved: true, ..run_of(&approved) };
                self.with_progress(async { Ok(Box::pin(work.update(&person(), &request)).await?) }).await
            }
        }
    }

    pub async fn roll_back(&self, name: &str) -> Result<Summary, Failure> {
        self.with_progress(async {
            match self {
                Self::Daemon(client) => {
                    client.post("/api/v1/rollback?wait=true", &json!({ "container": name })).await
                }
                Self::Here(work, _) => Ok(Box::pin(work.roll_back(&person(), name)).await?),
            }
        })
        .await
    }

    pub async fn pause(&self, length: Duration) -> Result<Summary, Failure> {
        match self {
            Self::Daemon(client) => {
                client.post("/api/v1/pause?wait=true", &json!({ "seconds": length.as_secs().max(1) })).await
            }
            Self::Here(work, _) => Ok(work.pause(&person(), length)?),
        }
    }

    pub async fn resume(&self) -> Result<Summary, Failure> {
        match self {
            Self::Daemon(client) => client.post("/api/v1/resume?wait=true", &json!({})).await,
            Self::Here(work, _) => Ok(work.resume(&person())?),
        }
    }

    pub async fn reset_password(&self) -> Result<Summary, Failure> {
        match self {
            Self::Daemon(client) => client.post("/api/v1/reset-password", &json!({})).await,
            Self::Here(work, _) => {
                let failed = |e: &dyn std::fmt::Display| Failure::Other(e.to_string());
                // The code would be void at once: the daemon makes a new one whenever it starts without an owner.
                work.store.set_password(None).map_err(|e| failed(&e))?;
                let now = (work.clock)().civil;
                let (who, what) = ("command line".to_owned(), "reset-password: done".to_owned());
                let from = format!("user {}", nix::unistd::getuid());
                work.store.audit(&AuditRow { at: now, who, from, what }).map_err(|e| failed(&e))?;
                let message = "the password and all API tokens are forgotten; start the daemon, it prints the code to claim the device with";
                Ok(Summary { message: message.to_owned(), ..Summary::default() })
            }
        }
    }

    pub async fn status(&self) -> Result<(Status, Vec<ContainerView>), Failure> {
        match self {
            Self::Daemon(client) => {
                Ok((client.get("/api/v1/status").await?, client.get("/api/v1/containers").await?))
            }
            Self::Here(work, _) => {
                work.look_closer().await?;
                let (mut status, containers, _, _) = view::snapshot(work);
                "no daemon runs on this state folder; this is a single look".clone_into(&mut status.schedule);
                Ok((status, containers))
            }
        }
    }

    /// The front panel, where a daemon runs that has one.
    pub async fn panel(&self) -> Result<Option<PanelView>, Failure> {
        match self {
            Self::Daemon(client) => Ok(Some(client.get("/api/v1/panel").await?)),
            Self::Here(..) => Ok(None),
        }
    }

    /// Shows on a terminal what is under way while `work` goes on.
    async fn with_progress<T>(&self, work: impl Future<Output = T>) -> T {
        if !std::io::stderr().is_terminal() {
            return work.await;
        }
        let result = tokio::select! {
            result = work => result,
            () = self.show_progress() => unreachable_progress().await,
        };
        let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        result
    }

    async fn show_progress(&self) {
        match self {
            Self::Daemon(client) => {
                client
                    .follow(|line| {
                        let event = line.strip_prefix("data:").map(str::trim);
                        if let Some(what) = event.and_then(|json| serde_json::from_str::<What>(json).ok()) {
                            show(&what);
                        }
                    })
                    .await;
            }
            Self::Here(work, _) => {
                let mut events = work.board.events.subscribe();
                while let Ok(Event { what, .. }) = events.recv().await {
                    show(&what);
                }
            }
        }
        // The stream may end before the work does.
        std::future::pending::<()>().await;
    }
}

/// Never reached: showing progress does not end.
async fn unreachable_progress<T>() -> T {
    std::future::pending().await
}

/// One line that is written over; ends stay.
fn show(what: &What) {
    let mut err = std::io::stderr();
    // A terminal that cannot be written to is no reason to stop.
    let _ = match what {
        What::CheckStarted => write!(err, "\r\u{1b}[Kasking the registries"),
        What::UpdateStep { detail, .. } => write!(err, "\r\u{1b}[K{detail}"),
        What::UpdateFinished { message, .. } => writeln!(err, "\r\u{1b}[K{message}"),
        What::Started { .. }
        | What::EngineUp { .. }
        | What::EngineDown { .. }
        | What::InventoryChanged
        | What::CheckFinished { .. }
        | What::CandidateFound { .. }
        | What::UpdateStarted { .. }
        | What::Approved { .. }
        | What::Paused { .. }
        | What::Resumed { .. }
        | What::PanelChanged { .. }
        | What::Gesture { .. }
        | What::DeviceChanged { .. }
        | What::Ladder { .. }
        | What::Claimed
        | What::FactoryReset { .. }
        | What::LoggedIn { .. } => Ok(()),
    };
    let _ = err.flush();
}

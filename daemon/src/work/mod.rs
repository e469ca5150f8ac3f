//! The work itself: looking, deciding with the core, and acting on the engine.
//!
//! Owns what the daemon's loops and the one-shot commands share, so that both do the same. Must never run twice on one
//! state folder: whoever makes a `Work` holds the folder's lock.

pub mod board;
mod check;
pub mod jobs;
mod lost;
mod power;
mod prepare;
mod status;
mod tidy;
mod transact;
pub mod view;

use std::sync::Arc;
use std::time::Duration;

use dockbeacon_core::now::Now;
use dockbeacon_core::settings::Settings;
use tokio_util::sync::CancellationToken;

use crate::claims::Claims;
use crate::docker::{Engine, EngineError};
use crate::registry::Registry;
use crate::store::Store;
use crate::supervisor::Progress;
use board::Board;

pub use transact::Interrupted;

/// A connection to the engine that is being made in the background.
pub type Connecting = tokio::task::JoinHandle<Result<Engine, EngineError>>;

/// How the engine is reached.
#[derive(Default)]
enum Link {
    /// Not yet, or not any more.
    #[default]
    None,
    /// Soon.
    Coming(Connecting),
    /// Like this.
    There(Engine),
}

/// Begins to connect to the engine at `host`.
#[must_use]
pub fn connect_early(host: &str) -> Connecting {
    let host = host.to_owned();
    tokio::spawn(async move { Engine::connect(&host).await })
}

/// Everything that work needs.
#[derive(Clone)]
pub struct Work {
    /// The settings in force.
    pub settings: Arc<Settings>,
    /// The registries.
    pub registry: Registry,
    /// What is kept.
    pub store: Store,
    /// What is known now, and who is told of it.
    pub board: Arc<Board>,
    /// Cancelled when the process shall end.
    pub shutdown: CancellationToken,
    /// Reads the clocks.
    pub clock: fn() -> Now,
    /// Claims that wait for a press.
    pub claims: Arc<Claims>,
    /// Told whenever something moves; the watchdog listens.
    pub progress: Option<Progress>,
    /// How long an absent engine is waited for in the middle of an update; `None`: for ever.
    pub patience: Option<Duration>,
    link: Arc<tokio::sync::Mutex<Link>>,
    /// Held while the engine is listed, so that an older listing never replaces a newer one.
    one_look: Arc<tokio::sync::Mutex<()>>,
    /// Held by the check that is under way.
    one_check: Arc<tokio::sync::Mutex<()>>,
}

impl Work {
    /// Puts the parts together; nothing is asked yet.
    #[must_use]
    pub fn new(
        settings: Arc<Settings>,
        registry: Registry,
        store: Store,
        board: Arc<Board>,
        shutdown: CancellationToken,
        clock: fn() -> Now,
    ) -> Self {
        Self {
            settings,
            registry,
            store,
            board,
            shutdown,
            clock,
            claims: Arc::default(),
            progress: None,
            patience: None,
            link: Arc::default(),
            one_look: Arc::default(),
            one_check: Arc::default(),
        }
    }

    /// The engine, connected.
    ///
    /// # Errors
    /// When it cannot be reached; in words with the remedy.
    pub async fn engine(&self) -> Result<Engine, EngineError> {
        let mut link = self.link.lock().await;
        // Whoever gives up in the middle leaves no link, and the next one connects anew.
        let early = match std::mem::take(&mut *link) {
            Link::There(engine) => Some(Ok(engine)),
            Link::Coming(connecting) => connecting.await.ok(),
            Link::None => None,
        };
        let engine = match early {
            Some(engine) => engine?,
            None => Engine::connect(&self.settings.engine.host).await?,
        };
        *link = Link::There(engine.clone());
        Ok(engine)
    }

    /// Uses a connection that was begun before there was anything to work with.
    pub async fn adopt(&self, connecting: Connecting) {
        *self.link.lock().await = Link::Coming(connecting);
    }

    /// Forgets the connection: the engine went away and may come back as another version.
    pub async fn hang_up(&self) {
        *self.link.lock().await = Link::None;
    }

    /// Tells the watchdog that the next thing may take so long.
    pub fn expect_within(&self, wait: Duration) {
        if let Some(progress) = &self.progress {
            progress.mark_and_expect_within(wait);
        }
    }

    /// Tells the watchdog that something moves.
    pub fn mark(&self) {
        if let Some(progress) = &self.progress {
            progress.mark();
        }
    }
}

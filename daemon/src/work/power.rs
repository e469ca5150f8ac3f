//! Switching off safely, and finding everything as it was afterwards.
//!
//! Owns the list of containers that were stopped for it. Must never leave one stopped: the engine does not start again by
//! itself what was stopped by hand.

use std::path::Path;
use std::time::Duration;

use dockbeacon_core::model::{Container, ContainerState, stop_order};

use super::Work;
use crate::handles::Summary;
use crate::host;
use crate::owner::Owner;

/// An engine that does not answer does not keep a device from being switched off.
const LISTING: Duration = Duration::from_secs(10);
/// How often to look whether the engine is there after the start.
const LOOK: Duration = Duration::from_secs(1);

impl Work {
    /// Stops all containers, those that need others first, writes everything to the card, and switches off.
    ///
    /// # Errors
    /// In words; then everything runs as before.
    pub async fn shut_down(&self) -> Result<Summary, String> {
        let message = match self.stop_all().await {
            Ok(count) => format!("{count} containers are stopped; switching off"),
            Err(why) => {
                tracing::warn!(why, "containers could not be stopped in order");
                format!("switching off with containers as they are: {why}")
            }
        };
        // All that is still in memory goes to the card.
        if tokio::task::spawn_blocking(nix::unistd::sync).await.is_err() {
            tracing::warn!("the file systems could not be synced");
        }
        tracing::info!("{message}");
        match host::ask(host::Verb::PowerOff).await {
            Ok(()) => Ok(Summary { message, ..Summary::default() }),
            Err(why) => {
                self.start_again().await;
                Err(format!("the device cannot be switched off: {why}"))
            }
        }
    }

    async fn stop_all(&self) -> Result<usize, String> {
        let listing = async {
            let engine = self.engine().await?;
            Ok::<_, crate::docker::EngineError>((engine.clone(), engine.containers().await?))
        };
        let (engine, mut containers) = tokio::time::timeout(LISTING, listing)
            .await
            .map_err(|_| "the engine does not answer".to_owned())?
            .map_err(|error| error.to_string())?;
        // The last full listing knows who joins whom, too; what is new since then is in the fresh one.
        if let Some(known) = self.board.state().inventory.clone() {
            for container in &mut containers {
                if let Some(known) = known.containers.iter().find(|known| known.id == container.id) {
                    container.joins.clone_from(&known.joins);
                }
            }
        }
        let order = stop_order(&containers);
        let names: Vec<&str> = order.iter().map(|c| c.name.as_str()).collect();
        // Known before the first one stops, or a power cut in between would leave it stopped.
        self.owner_files().keep_stopped(&names).map_err(|error| error.to_string())?;
        for container in &order {
            self.mark();
            if let Err(error) = engine.stop(container.id.as_str(), None, None).await {
                // The others deserve their orderly end all the same.
                tracing::warn!(%error, container = container.name.as_str(), "did not stop in order");
            }
        }
        Ok(order.len())
    }

    /// The small files beside the store.
    fn owner_files(&self) -> Owner {
        Owner::new(self.store.path().parent().unwrap_or_else(|| Path::new(".")).to_owned())
    }

    /// Starts what was stopped for switching off, as soon as the engine is there.
    pub async fn start_again(&self) {
        let names = match self.owner_files().stopped() {
            Ok(names) => names,
            Err(error) => {
                tracing::error!(%error, "what was stopped for switching off cannot be read");
                return;
            }
        };
        if names.is_empty() {
            return;
        }
        let (engine, containers) = loop {
            if self.shutdown.is_cancelled() {
                return;
            }
            if let Ok(engine) = self.engine().await
                && let Ok(containers) = engine.containers().await
            {
                break (engine, containers);
            }
            tokio::time::sleep(LOOK).await;
        };
        for name in names.iter().rev() {
            self.mark();
            let is_it = |c: &&Container| c.name.as_str() == name && c.state == ContainerState::Exited;
            let Some(container) = containers.iter().find(is_it) else {
                continue;
            };
            match engine.start(container.id.as_str()).await {
                Ok(()) => tracing::info!(container = name, "started again after switching off"),
                Err(error) => tracing::error!(%error, container = name, "could not be started again"),
            }
        }
        if let Err(error) = self.owner_files().forget_stopped() {
            tracing::error!(%error, "what was stopped for switching off cannot be forgotten");
        }
    }
}

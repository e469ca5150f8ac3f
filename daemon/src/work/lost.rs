//! Services that an update could not bring back, once the engine is another one.
//!
//! Owns starting them once more. Must never do that more than once for each start of the engine, because a container that
//! its owner stopped meanwhile stays stopped; and never beside a transaction, so the caller has the turn.

use dockbeacon_core::update::lost;

use super::{Interrupted, Work};

impl Work {
    /// Starts each lost service once more. What fails again stays lost, with its words.
    ///
    /// # Errors
    /// [`Interrupted::Stopping`] when the process is about to end.
    pub async fn bring_back_lost(&self) -> Result<(), Interrupted> {
        if self.board.state().lost.is_empty() {
            return Ok(());
        }
        // An engine that went away again comes back, and this with it.
        let (Ok(inventory), Ok(engine)) = (self.look().await, self.engine().await) else { return Ok(()) };
        let still = self.board.state().lost.clone();
        for container in lost::to_start(&still, &inventory) {
            if self.shutdown.is_cancelled() {
                return Err(Interrupted::Stopping);
            }
            let name = container.name.as_str();
            match engine.start(container.id.as_str()).await {
                Ok(()) => tracing::info!(container = name, "started once more, after an update had lost it"),
                Err(error) => tracing::warn!(container = name, %error, "still cannot be started"),
            }
        }
        // What is up again is forgotten by the listing.
        let _ = self.look().await;
        Ok(())
    }
}

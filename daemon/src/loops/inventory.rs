//! The loop that keeps the inventory true.
//!
//! Owns listing at the start, after every hint of the engine's event stream, and once in a while; and the back-off while the
//! engine is away. Must never believe an event: it is a reason to list again.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::watch;

use crate::docker::EngineError;
use crate::supervisor::Progress;
use crate::work::Work;

/// A full listing at least so often, whether events come or not.
const RESYNC: Duration = Duration::from_secs(120);
/// Events come in bursts; one listing serves a burst.
const SETTLE: Duration = Duration::from_millis(250);
/// The first and the longest wait for an engine that is away.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Runs until the shutdown; `ready` turns true with the first inventory.
pub async fn run(work: Work, ready: watch::Sender<bool>, progress: Progress) -> Result<(), String> {
    let mut work = work;
    work.progress = Some(progress.clone());
    let mut wait = BACK_OFF.0;
    loop {
        progress.mark();
        let error = tokio::select! {
            () = work.shutdown.cancelled() => return Ok(()),
            ended = follow(&work, &ready, &progress, &mut wait) => ended,
        };
        work.board.engine_state(Err(error.to_string()), &work.settings.engine.host);
        work.hang_up().await;
        progress.mark_and_expect_within(wait);
        tokio::select! {
            () = work.shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
        wait = (wait * 2).min(BACK_OFF.1);
    }
}

/// Lists and follows the events until the engine goes away.
async fn follow(
    work: &Work,
    ready: &watch::Sender<bool>,
    progress: &Progress,
    wait: &mut Duration,
) -> EngineError {
    let engine = match work.engine().await {
        Ok(engine) => engine,
        Err(error) => return error,
    };
    // Opened before the first listing, so that nothing that happens in between is missed.
    let mut events = Box::pin(engine.events());
    let mut all_listed = None;
    loop {
        let now = (work.clock)().monotonic;
        let lately = all_listed.is_some_and(|then| now.saturating_sub(then) < RESYNC);
        let looked = if lately {
            work.look_at_containers().await
        } else {
            all_listed = Some(now);
            work.look().await
        };
        let saved = match looked {
            Ok(inventory) => work.save_image_configs(&inventory).await,
            Err(error) => Err(error),
        };
        if let Err(error) = saved {
            return error;
        }
        *wait = BACK_OFF.0;
        ready.send_if_modified(|ready| !std::mem::replace(ready, true));
        progress.mark_and_expect_within(RESYNC);
        tokio::select! {
            hint = events.next() => match hint {
                Some(Ok(hint)) => {
                    tracing::debug!(action = hint.action, container = hint.id, "hint");
                    tokio::time::sleep(SETTLE).await;
                    // The rest of the burst is served by the same listing.
                    while let Ok(Some(more)) = tokio::time::timeout(Duration::ZERO, events.next()).await {
                        if let Err(error) = more {
                            return error;
                        }
                    }
                }
                Some(Err(error)) => return error,
                None => return EngineError::Unreachable {
                    why: "its event stream ended".to_owned(),
                    remedy: "it may be restarting; see `systemctl status docker`".to_owned(),
                },
            },
            () = tokio::time::sleep(RESYNC) => {}
        }
    }
}

//! Signals, one cancellation token, and an ordered end with a deadline.
//!
//! Owns what each signal means. Must never do the work of ending: each stage belongs to its owner.
//!
//! | signal | meaning |
//! |---|---|
//! | SIGTERM, SIGINT | stop in order; a second one ends the process at once with code 1 |
//! | SIGHUP | read the settings again |

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
pub use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::exit::ExitCode;

/// The signals, caught from the moment in which this is made.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    reload: watch::Sender<u64>,
}

impl Signals {
    /// Begins to catch them. Call it before anything is started, so that none is lost.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn install() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            reload: watch::Sender::new(0),
        })
    }

    /// Changes at every SIGHUP; several in a row may be seen as one.
    #[must_use]
    pub fn reloads(&self) -> watch::Receiver<u64> {
        self.reload.subscribe()
    }

    /// Follows the signals for as long as the process lives: the first one to stop cancels the token, the second one
    /// ends the process. Spawn it outside the supervisor, which is drained while this must still listen.
    pub async fn follow(mut self, stop: CancellationToken) {
        loop {
            let name = tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
                _ = self.hang_up.recv() => {
                    tracing::info!("SIGHUP: reading the settings again");
                    self.reload.send_modify(|count| *count = count.wrapping_add(1));
                    continue;
                }
            };
            if stop.is_cancelled() {
                tracing::warn!(
                    "{name} while stopping: ending at once; an update that was interrupted is mended at the next start"
                );
                #[expect(clippy::disallowed_methods, reason = "asked for twice: at once means now")]
                std::process::exit(i32::from(ExitCode::Failed.code()));
            }
            tracing::info!("{name}: stopping in order");
            stop.cancel();
        }
    }
}

/// One stage of the end.
pub struct Stage {
    name: &'static str,
    work: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Stage {
    /// Names it.
    pub fn new(name: &'static str, work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { name, work: Box::pin(work) }
    }
}

/// Runs the stages in order. All of them together have `within`; one that is out of time is dropped, and those after it
/// still get a tenth of `within` each, so that a stuck one cannot keep the lamps or the lock. Returns the names of those
/// that were dropped.
pub async fn drain(stages: Vec<Stage>, within: Duration) -> Vec<&'static str> {
    let mut late = Vec::new();
    let end = clock::now().monotonic + within;
    for stage in stages {
        let left = end.saturating_sub(clock::now().monotonic).max(within / 10);
        if tokio::time::timeout(left, stage.work).await.is_err() {
            tracing::warn!(stage = stage.name, "did not end in time");
            late.push(stage.name);
        }
    }
    late
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::sync::{Arc, Mutex};

    #[tokio::test]
    async fn stages_run_in_order_and_a_stuck_one_does_not_stop_the_next() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let note = |name: &'static str| {
            let seen = Arc::clone(&seen);
            Stage::new(name, async move { seen.lock().unwrap().push(name) })
        };
        let stages = vec![note("http"), Stage::new("stuck", std::future::pending()), note("lamps")];
        let late = drain(stages, Duration::from_millis(50)).await;
        assert_eq!(late, ["stuck"]);
        assert_eq!(*seen.lock().unwrap(), ["http", "lamps"]);
    }
}

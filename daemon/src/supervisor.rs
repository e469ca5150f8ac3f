//! The daemon's loops: named, watched, and ended together.
//!
//! Owns their handles, what becomes of one that ends or panics, and the marks by which a loop shows that it makes
//! progress. Must never restart a loop: what one leaves behind after a panic is not known, so the process ends in order and
//! the service manager starts it afresh. (A release build aborts on a panic, with the same result.)

use std::collections::HashMap;
use std::fmt::Display;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};

use crate::clock;

/// No mark is due.
const NEVER: u64 = u64::MAX;

#[derive(Debug)]
struct Mark {
    name: &'static str,
    /// The longest legitimate time without a mark, in milliseconds.
    patience: u64,
    /// Monotonic milliseconds by which the next mark is due.
    due: AtomicU64,
}

/// A loop's way to say that it is alive. Clones speak for the same loop.
#[derive(Debug, Clone)]
pub struct Progress(Arc<Mark>);

impl Progress {
    /// A progress that nobody watches, for tests and for commands without a daemon.
    #[must_use]
    pub fn unwatched() -> Self {
        Self(Arc::new(Mark { name: "unwatched", patience: NEVER, due: AtomicU64::new(NEVER) }))
    }

    /// The loop goes on; the next mark is due within its patience.
    pub fn mark(&self) {
        self.set(self.0.patience);
    }

    /// The loop goes on, and the next mark may take so long: before a wait whose length is known.
    pub fn mark_and_expect_within(&self, wait: Duration) {
        self.set(millis(wait).saturating_add(self.0.patience));
    }

    /// The loop waits for something that may never come, as a command does. It must mark again when it came.
    pub fn wait_for_ever(&self) {
        self.0.due.store(NEVER, Ordering::Relaxed);
    }

    fn set(&self, within: u64) {
        let due = millis(clock::now().monotonic).saturating_add(within);
        self.0.due.store(due, Ordering::Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(NEVER)
}

/// Which loops are stuck; to be asked by the watchdog and by the health paths.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<Vec<Arc<Mark>>>>);

impl Health {
    /// The names of the loops whose mark is overdue at that monotonic time, in the order in which they were started.
    #[must_use]
    pub fn stalled(&self, now: Duration) -> Vec<&'static str> {
        let marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = millis(now);
        marks.iter().filter(|mark| mark.due.load(Ordering::Relaxed) < now).map(|mark| mark.name).collect()
    }

    fn add(&self, mark: Arc<Mark>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(mark);
    }

    fn remove(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|mark| mark.name != name);
    }
}

/// How a loop ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// By itself, without an error.
    Finished,
    /// With an error.
    Failed(String),
    /// With a panic.
    Panicked(String),
    /// It was aborted because it did not end in time.
    Aborted,
}

/// The end of one loop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the loop {name} {}", match how {
    How::Finished => "ended".to_owned(),
    How::Failed(why) => format!("failed: {why}"),
    How::Panicked(why) => format!("panicked: {why}"),
    How::Aborted => "was aborted".to_owned(),
})]
pub struct TaskEnd {
    /// Its name.
    pub name: &'static str,
    /// How.
    pub how: How,
}

/// All loops.
#[derive(Debug, Default)]
pub struct Supervisor {
    set: JoinSet<Result<(), String>>,
    names: HashMap<Id, &'static str>,
    health: Health,
}

impl Supervisor {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What the watchdog asks.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Starts a loop. `patience` is the longest legitimate time between two of its marks; the first is due within it.
    /// A loop is expected to end only after the shutdown token was cancelled.
    pub fn spawn<F, E>(&mut self, name: &'static str, patience: Duration, work: impl FnOnce(Progress) -> F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        let mark = Arc::new(Mark { name, patience: millis(patience), due: AtomicU64::new(NEVER) });
        let progress = Progress(Arc::clone(&mark));
        progress.mark();
        self.health.add(mark);
        let work = work(progress);
        let handle = self.set.spawn(async move { work.await.map_err(|e| e.to_string()) });
        self.names.insert(handle.id(), name);
    }

    /// Waits for the next loop that ends; `None` when all have. Safe to drop and call again.
    pub async fn next_end(&mut self) -> Option<TaskEnd> {
        let joined = self.set.join_next_with_id().await?;
        Some(self.end(joined))
    }

    /// Waits until all loops have ended, at most so long, then aborts the rest. Cancel their token first. Returns those
    /// that did not end well.
    pub async fn drain(&mut self, within: Duration) -> Vec<TaskEnd> {
        let mut bad = Vec::new();
        let all = async {
            while let Some(end) = self.next_end().await {
                if end.how != How::Finished {
                    bad.push(end);
                }
            }
        };
        if tokio::time::timeout(within, all).await.is_err() {
            self.set.abort_all();
            while let Some(end) = self.next_end().await {
                if end.how != How::Finished {
                    bad.push(end);
                }
            }
        }
        bad
    }

    fn end(&mut self, joined: Result<(Id, Result<(), String>), JoinError>) -> TaskEnd {
        let (id, how) = match joined {
            Ok((id, Ok(()))) => (id, How::Finished),
            Ok((id, Err(why))) => (id, How::Failed(why)),
            Err(error) if error.is_cancelled() => (error.id(), How::Aborted),
            Err(error) => {
                let id = error.id();
                let why =
                    error.try_into_panic().map_or_else(|e| e.to_string(), |payload| panic_text(&*payload));
                (id, How::Panicked(why))
            }
        };
        let name = self.names.remove(&id).unwrap_or("unknown");
        self.health.remove(name);
        TaskEnd { name, how }
    }
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::convert::Infallible;

    #[tokio::test]
    async fn every_end_is_told_with_its_name() {
        let mut supervisor = Supervisor::new();
        let patience = Duration::from_secs(60);
        supervisor.spawn("fine", patience, |_| async { Ok::<(), Infallible>(()) });
        supervisor.spawn("sad", patience, |_| async { Err("no socket") });
        supervisor.spawn("mad", patience, |_| async {
            if true { panic!("bug {}", 7) } else { Ok::<(), Infallible>(()) }
        });
        let mut ends = Vec::new();
        while let Some(end) = supervisor.next_end().await {
            ends.push(end.to_string());
        }
        ends.sort();
        assert_eq!(
            ends,
            ["the loop fine ended", "the loop mad panicked: bug 7", "the loop sad failed: no socket"]
        );
    }

    #[tokio::test]
    async fn a_loop_that_does_not_mark_is_stalled_until_it_does() {
        let mut supervisor = Supervisor::new();
        let (give, take) = tokio::sync::oneshot::channel();
        supervisor.spawn("slow", Duration::from_secs(10), |progress| async move {
            let _ = give.send(progress);
            std::future::pending::<Result<(), Infallible>>().await
        });
        let progress = take.await.unwrap();
        let health = supervisor.health();
        let later = |seconds| clock::now().monotonic + Duration::from_secs(seconds);
        assert_eq!(health.stalled(later(9)), Vec::<&str>::new());
        assert_eq!(health.stalled(later(11)), ["slow"]);
        progress.mark_and_expect_within(Duration::from_secs(100));
        assert_eq!(health.stalled(later(105)), Vec::<&str>::new());
        assert_eq!(health.stalled(later(111)), ["slow"]);
        progress.wait_for_ever();
        assert_eq!(health.stalled(later(1_000_000)), Vec::<&str>::new());
        let bad = supervisor.drain(Duration::from_millis(1)).await;
        assert_eq!(bad, [TaskEnd { name: "slow", how: How::Aborted }]);
        assert_eq!(health.stalled(later(1_000_000)), Vec::<&str>::new());
    }
}

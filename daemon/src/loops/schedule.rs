//! The loop that knows when to look for newer images.
//!
//! Owns waiting for the schedule, and saying when that is. Must never update anything itself: it asks the command loop.

use std::time::Duration;

use dockbeacon_core::now::Now;
use dockbeacon_core::window::Due;
use tokio::sync::{mpsc, oneshot, watch};

use crate::handles::{Actor, Command, UpdateRequest};
use crate::supervisor::Progress;
use crate::work::Work;

/// The longest sleep: civil time may be set or confirmed meanwhile.
const LONGEST: Duration = Duration::from_secs(300);
/// Whether the civil time is known by now is asked this often.
const WAIT_FOR_TIME: Duration = Duration::from_secs(10);

/// Runs until the shutdown.
pub async fn run(
    work: Work,
    commands: mpsc::Sender<Command>,
    mut ready: watch::Receiver<bool>,
    progress: Progress,
) -> Result<(), String> {
    progress.wait_for_ever();
    tokio::select! {
        () = work.shutdown.cancelled() => return Ok(()),
        first = ready.wait_for(|ready| *ready) => if first.is_err() { return Ok(()) },
    }
    let schedule = &work.settings.schedule;
    let mut last: Now = (work.clock)();
    let mut due_now = schedule.check_on_start;
    loop {
        if due_now {
            ask(&work, &commands, &progress).await;
            last = (work.clock)();
        }
        let now = (work.clock)();
        let (sleep, then, at) = match schedule.when.due(schedule.time_zone, last, now) {
            Due::In { delay, at } => (delay.min(LONGEST), delay <= LONGEST, Ok(at)),
            Due::Waiting(why) => (WAIT_FOR_TIME, false, Err(why.to_string())),
            Due::Never => (LONGEST, false, Ok(None)),
        };
        let changed = {
            let mut state = work.board.state();
            let (at, waits) = (at.clone().unwrap_or_default(), at.err());
            let other = state.next_check != at || state.schedule_waits != waits;
            (state.next_check, state.schedule_waits) = (at, waits);
            other
        };
        if changed {
            work.board.changed.notify_one();
        }
        progress.mark_and_expect_within(sleep);
        tokio::select! {
            () = work.shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(sleep) => {}
        }
        due_now = then;
    }
}

/// One run, and its end waited for.
async fn ask(work: &Work, commands: &mpsc::Sender<Command>, progress: &Progress) {
    let actor = Actor { way: "schedule".to_owned(), who: String::new() };
    let (reply, answer) = oneshot::channel();
    let request = UpdateRequest { wait: true, ..UpdateRequest::default() };
    progress.wait_for_ever();
    if commands.send(Command::Update(actor, request, reply)).await.is_err() {
        return;
    }
    tokio::select! {
        () = work.shutdown.cancelled() => {}
        answer = answer => match answer {
            Ok(Ok(summary)) => tracing::info!(code = summary.code, "{}", summary.message),
            Ok(Err(refusal)) => tracing::warn!(%refusal, "the scheduled run did not take place"),
            Err(_) => {}
        },
    }
    progress.mark();
}

//! Asking the loops to do something, and writing down who asked and how it ended.
//!
//! Owns the waiting. Must never lose the end of an action because its asker went away.

use std::time::Duration;

use tokio::sync::oneshot;

use super::caller::Caller;
use super::error::HttpError;
use super::state::HttpState;
use crate::handles::{Actor, Command, Refusal, Reply, Summary};

/// How long somebody who does not want to wait is kept waiting: long enough to hear a refusal.
const GLANCE: Duration = Duration::from_millis(400);
/// How long the loops may take to accept a command.
const QUEUE_PATIENCE: Duration = Duration::from_secs(2);

/// How far an action has come when its asker is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    /// It is over.
    Done(Summary),
    /// It goes on; the text says where to follow it.
    Started(Summary),
}

/// Asks for `what` (words for the audit log). With `wait` the answer comes at the end, else after a glance.
pub(super) async fn act(
    state: &HttpState,
    caller: &Caller,
    what: String,
    wait: bool,
    command: impl FnOnce(Actor, Reply<Summary>) -> Command,
) -> Result<Progress, HttpError> {
    let (reply, answer) = oneshot::channel();
    let queue = &state.handles.commands;
    match tokio::time::timeout(QUEUE_PATIENCE, queue.send(command(caller.actor(), reply))).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => return Err(Refusal::Stopping.into()),
        Err(_) => return Err(HttpError::Unavailable("the daemon has too much to do just now".to_owned())),
    }
    let (told, mut end) = oneshot::channel();
    let (writer, author, words) = (state.clone(), caller.clone(), what.clone());
    tokio::spawn(async move {
        let result = answer.await.unwrap_or(Err(Refusal::Stopping));
        let ended = match &result {
            Ok(summary) => format!("{words}: {}", summary.message),
            Err(refusal) => format!("{words}: refused, {refusal}"),
        };
        writer.audit(&author, ended);
        // Nobody listens any more where the asker went away: the audit log has it.
        let _ = told.send(result);
    });
    let ended = if wait { Some((&mut end).await) } else { tokio::time::timeout(GLANCE, &mut end).await.ok() };
    match ended {
        Some(Ok(Ok(summary))) => Ok(Progress::Done(summary)),
        Some(Ok(Err(refusal))) => Err(refusal.into()),
        Some(Err(_)) => Err(Refusal::Stopping.into()),
        None => {
            state.audit(caller, format!("{what}: started"));
            let message =
                format!("{}{}: started; follow it under Updates", what[..1].to_uppercase(), &what[1..]);
            Ok(Progress::Started(Summary { message, ..Summary::default() }))
        }
    }
}

/// Names in words.
pub(super) fn names(names: &[String]) -> String {
    if names.is_empty() { "all containers".to_owned() } else { names.join(", ") }
}

//! The engine's events, as hints that a new listing is worth its while.
//!
//! Owns the choice of events worth waking for. Must never reconnect: the loop does, with its back-off and a full listing.

use std::collections::HashMap;

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::{Stream, StreamExt as _, stream};

use super::{Engine, EngineError, translate};

/// What changes a listing. Health checks run by `exec` every few seconds and are left out; their verdict is not.
const USEFUL: [&str; 12] = [
    "create",
    "start",
    "restart",
    "die",
    "stop",
    "oom",
    "pause",
    "unpause",
    "rename",
    "update",
    "destroy",
    "health_status",
];

/// Something happened to a container. Never proof: only a reason to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The engine's word: `start`, `die`, `health_status: healthy`.
    pub action: String,
    /// The container's id.
    pub id: String,
    /// Its name at the time.
    pub name: String,
}

impl Engine {
    /// Hints from now on, for as long as the engine stays. The stream always ends with an error.
    pub fn events(&self) -> impl Stream<Item = Result<Hint, EngineError>> + Send + use<> {
        let filters = HashMap::from([
            ("type".to_owned(), vec!["container".to_owned()]),
            ("event".to_owned(), USEFUL.map(str::to_owned).to_vec()),
        ]);
        let options = EventsOptionsBuilder::default().filters(&filters).build();
        let docker = self.inner.docker.clone();
        let hints =
            docker.events(Some(options)).map(|item| item.map(hint).map_err(|e| translate(e, "watching")));
        let end = stream::once(std::future::ready(Err(EngineError::hung_up(
            "watching",
            &"end of the event stream",
        ))));
        // One error is the end: what bollard yields after it says nothing new.
        hints.chain(end).scan(false, |ended, item| {
            let go_on = !*ended;
            *ended = item.is_err();
            std::future::ready(go_on.then_some(item))
        })
    }
}

fn hint(message: EventMessage) -> Hint {
    let actor = message.actor.unwrap_or_default();
    let name = actor.attributes.as_ref().and_then(|a| a.get("name")).cloned().unwrap_or_default();
    Hint { action: message.action.unwrap_or_default(), id: actor.id.unwrap_or_default(), name }
}

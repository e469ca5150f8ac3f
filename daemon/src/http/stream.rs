//! The stream of events, without gap or duplicate.
//!
//! Owns the joining of what the store has with what happens now. Must never hold more than a page of events in memory
//! for one listener.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use dockbeacon_core::event::Event;
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::Sleep;
use utoipa::IntoParams;

use super::error::HttpError;
use super::extract::Params;
use super::state::HttpState;

/// Events read from the store at once.
const PAGE: usize = 256;
/// A stream ends after so long and is taken up again by the browser, so that an ended login does not listen for ever.
const LIFETIME: Duration = Duration::from_secs(3600);
/// A comment in so many seconds keeps proxies from hanging up.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The id of an event that is told but not kept, such as the progress of a pull.
const PASSING: u64 = 0;

/// Where to go on.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct After {
    /// Events after this id first, then live. The header `Last-Event-ID` beats it. Without either: live only.
    pub after: Option<u64>,
}

/// Everything that happens, as server-sent events: `id`, the event's name, its JSON.
#[utoipa::path(get, path = "/api/v1/events", tag = "look",
    params(After, ("last-event-id" = Option<String>, Header, description = "Go on after this id")),
    responses((status = 200, content_type = "text/event-stream", body = String)))]
pub(super) async fn events(
    State(state): State<HttpState>,
    headers: HeaderMap,
    Params(After { after }): Params<After>,
) -> Result<Response, HttpError> {
    let last = match headers.get("last-event-id") {
        None => after,
        Some(id) => Some(id.to_str().ok().and_then(|id| id.trim().parse().ok()).ok_or_else(|| {
            HttpError::Malformed("Last-Event-ID must be the number of an event".to_owned())
        })?),
    };
    let permit = state
        .own
        .streams
        .clone()
        .try_acquire_owned()
        .map_err(|_| HttpError::Unavailable("too many event streams are open".to_owned()))?;
    let follower = Follower::new(state, last, permit)?;
    let stream = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    let keep = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(stream).keep_alive(keep).into_response())
}

struct Follower {
    state: HttpState,
    live: broadcast::Receiver<Event>,
    /// The id sent last; `None` until the first of a stream that began with what happens now.
    last: Option<u64>,
    ready: VecDeque<Event>,
    /// A live event with a gap before it that the store is asked to fill.
    ahead: Option<Event>,
    behind: bool,
    greeted: bool,
    end: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    fn new(state: HttpState, last: Option<u64>, permit: OwnedSemaphorePermit) -> Result<Self, HttpError> {
        // Listening first, reading then: what happens in between comes twice and is dropped once.
        let live = state.handles.events.subscribe();
        let last = match last {
            // An id that the store has not reached is of a state folder that is gone: all of the new one is news.
            Some(id) if id > 0 && state.records.events_after(id - 1, 1)?.is_empty() => Some(0),
            other => other,
        };
        let end = Box::pin(tokio::time::sleep(LIFETIME));
        let ready = VecDeque::new();
        Ok(Self {
            state,
            live,
            last,
            ready,
            ahead: None,
            behind: last.is_some(),
            greeted: false,
            end,
            _permit: permit,
        })
    }

    /// The next event, or `None` when the stream ends and the listener shall come again.
    async fn next(&mut self) -> Option<SseEvent> {
        if !self.greeted {
            self.greeted = true;
            return Some(SseEvent::default().retry(Duration::from_secs(2)).comment("dockbeacon"));
        }
        loop {
            if let Some(event) = self.ready.pop_front() {
                let sse = SseEvent::default().event(event.what.name());
                // A passing event is kept nowhere: a browser that comes back must go on after the last one that is.
                let sse = if event.id == PASSING {
                    sse
                } else {
                    self.last = Some(event.id);
                    sse.id(event.id.to_string())
                };
                match sse.json_data(&event) {
                    Ok(sse) => return Some(sse),
                    Err(error) => {
                        tracing::error!(%error, id = event.id, "an event could not be written as JSON")
                    }
                }
            } else if self.behind {
                self.catch_up()?;
            } else {
                self.listen().await?;
            }
        }
    }

    /// Reads a page from the store; at its end puts the event that showed the gap.
    fn catch_up(&mut self) -> Option<()> {
        let last = self.last.unwrap_or(0);
        match self.state.records.events_after(last, PAGE) {
            Ok(mut page) => {
                // What comes after the event ahead will come live.
                page.retain(|event| self.ahead.as_ref().is_none_or(|ahead| event.id < ahead.id));
                if page.is_empty() {
                    self.behind = false;
                    self.ready.extend(self.ahead.take());
                }
                self.ready.extend(page);
                Some(())
            }
            Err(error) => {
                tracing::error!(%error, "an event stream was ended: the store cannot be read");
                None
            }
        }
    }

    async fn listen(&mut self) -> Option<()> {
        let heard = tokio::select! {
            biased;
            () = self.state.shutdown.cancelled() => return None,
            () = &mut self.end => return None,
            heard = self.live.recv() => heard,
        };
        match (heard, self.last) {
            (Ok(event), _) if event.id == PASSING => self.ready.push_back(event),
            (Ok(event), None) => self.ready.push_back(event),
            (Ok(event), Some(last)) if event.id == last + 1 => self.ready.push_back(event),
            (Ok(event), Some(last)) if event.id > last => {
                self.ahead = Some(event);
                self.behind = true;
            }
            (Ok(_), Some(_)) => {}
            // What was missed is in the store. A stream without any event yet has no place to go on from.
            (Err(RecvError::Lagged(_)), last) => self.behind = last.is_some(),
            (Err(RecvError::Closed), _) => return None,
        }
        Some(())
    }
}

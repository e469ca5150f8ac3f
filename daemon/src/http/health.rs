//! Three questions that probes ask.
//!
//! Owns the status words. Must never tell more than one word: nobody logs in to ask.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::state::HttpState;
use crate::view::Mood;

/// One word.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Word {
    /// `well`, `waiting`, `working`, `fault`, `starting`.
    pub status: Mood,
}

/// Is the process up?
#[utoipa::path(get, path = "/livez", tag = "health", security(()), responses((status = 200, body = String)))]
pub async fn livez() -> &'static str {
    "ok\n"
}

/// Is the first inventory in?
#[utoipa::path(get, path = "/readyz", tag = "health", security(()),
    responses((status = 200, body = String), (status = 503, body = String)))]
pub async fn readyz(State(state): State<HttpState>) -> (StatusCode, &'static str) {
    let view = state.view();
    // An engine that has never answered is a fault, and there is no inventory either.
    let seen = !view.status.engine.version.is_empty();
    match view.status.state {
        Mood::Well | Mood::Waiting | Mood::Working | Mood::Fault if seen => (StatusCode::OK, "ok\n"),
        Mood::Starting | Mood::Well | Mood::Waiting | Mood::Working | Mood::Fault => {
            (StatusCode::SERVICE_UNAVAILABLE, "starting\n")
        }
    }
}

/// Is all well?
#[utoipa::path(get, path = "/healthz", tag = "health", security(()),
    responses((status = 200, body = Word), (status = 503, body = Word)))]
pub async fn healthz(State(state): State<HttpState>) -> (StatusCode, Json<Word>) {
    let status = state.view().status.state;
    let code = match status {
        Mood::Well | Mood::Waiting | Mood::Working => StatusCode::OK,
        Mood::Fault | Mood::Starting => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, Json(Word { status }))
}

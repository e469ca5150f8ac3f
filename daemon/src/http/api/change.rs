//! What may be asked for.
//!
//! Owns the bodies of actions. Must never act: the loops do, and answer.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use dockbeacon_core::panel::Gesture;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::act::{Progress, act, names};
use super::super::caller::Caller;
use super::super::error::HttpError;
use super::super::extract::{Body, Params};
use super::super::state::HttpState;
use crate::handles::{Command, Names, Summary, UpdateRequest};

/// The longest pause: a year.
pub(in super::super) const PAUSE_MAX: u64 = 366 * 24 * 3600;

/// Whether to wait for the end.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// True: the answer comes at the end. False: it comes within half a second, as 202 if the work goes on.
    #[serde(default)]
    pub wait: bool,
}

/// Which containers.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// Their names; empty or absent means all.
    #[serde(default)]
    pub containers: Names,
}

/// What is approved.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveBody {
    /// The names of the containers.
    #[schema(min_items = 1)]
    pub containers: Names,
    /// The plan's fingerprint as it was looked at; refused if the plan has changed since.
    #[serde(default)]
    pub fingerprint: Option<String>,
}

/// What is put back.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackBody {
    /// The container's name.
    pub container: String,
}

/// For how long.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseBody {
    /// Seconds from now.
    #[schema(minimum = 1, maximum = 31_622_400)]
    pub seconds: u64,
}

/// Nothing.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// What is done with the virtual button.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PressBody {
    /// The gesture.
    #[schema(inline)]
    pub gesture: GestureName,
}

/// A gesture, as the API spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GestureName {
    /// Under 0.7 s.
    Press,
    /// A second press within 400 ms.
    DoublePress,
    /// Held 3 to 10 s.
    #[serde(rename = "hold3")]
    Hold3,
    /// Held 10 to 20 s.
    #[serde(rename = "hold10")]
    Hold10,
}

impl From<GestureName> for Gesture {
    fn from(name: GestureName) -> Self {
        match name {
            GestureName::Press => Self::Press,
            GestureName::DoublePress => Self::DoublePress,
            GestureName::Hold3 => Self::Hold3,
            GestureName::Hold10 => Self::Hold10,
        }
    }
}

impl GestureName {
    pub(in super::super) const fn word(self) -> &'static str {
        match self {
            Self::Press => "press",
            Self::DoublePress => "double press",
            Self::Hold3 => "hold of 3 s",
            Self::Hold10 => "hold of 10 s",
        }
    }
}

/// Answers an action: 200 at its end, 202 while it goes on.
pub(in super::super) fn answer(progress: Progress) -> Response {
    match progress {
        Progress::Done(summary) => Json(summary).into_response(),
        Progress::Started(summary) => (StatusCode::ACCEPTED, Json(summary)).into_response(),
    }
}

/// Looks for newer images now; changes nothing.
#[utoipa::path(post, path = "/api/v1/check", tag = "act", params(Wait), request_body = Which, responses(
    (status = 200, body = Summary, description = "Done"), (status = 202, body = Summary, description = "Started")))]
pub(in super::super) async fn check(
    State(state): State<HttpState>,
    caller: Caller,
    Params(Wait { wait }): Params<Wait>,
    Body(Which { containers }): Body<Which>,
) -> Result<Response, HttpError> {
    let what = format!("check of {}", names(&containers));
    let progress =
        act(&state, &caller, what, wait, |actor, reply| Command::Check(actor, containers, reply)).await?;
    Ok(answer(progress))
}

/// Approves candidates and starts their update.
#[utoipa::path(post, path = "/api/v1/approve", tag = "act", request_body = ApproveBody, responses(
    (status = 200, body = Summary, description = "Done"), (status = 202, body = Summary, description = "Started")))]
pub(in super::super) async fn approve(
    State(state): State<HttpState>,
    caller: Caller,
    Params(Wait { wait }): Params<Wait>,
    Body(ApproveBody { containers, fingerprint }): Body<ApproveBody>,
) -> Result<Response, HttpError> {
    if containers.is_empty() {
        return Err(HttpError::Invalid("name the containers that you approve".to_owned()));
    }
    let what = format!("approval of {}", names(&containers));
    let command = |actor, reply| Command::Approve(actor, containers, fingerprint, reply);
    Ok(answer(act(&state, &caller, what, wait, command).await?))
}

/// One update run now. Refused as busy while another one is under way, unless it waits.
#[utoipa::path(post, path = "/api/v1/update", tag = "act", params(Wait), request_body = Which, responses(
    (status = 200, body = Summary, description = "Done"), (status = 202, body = Summary, description = "Started")))]
pub(in super::super) async fn update(
    State(state): State<HttpState>,
    caller: Caller,
    Params(Wait { wait }): Params<Wait>,
    Body(Which { containers }): Body<Which>,
) -> Result<Response, HttpError> {
    let what = format!("update of {}", names(&containers));
    let request = UpdateRequest { names: containers, ..UpdateRequest::default() };
    let progress =
        act(&state, &caller, what, wait, |actor, reply| Command::Update(actor, request, reply)).await?;
    Ok(answer(progress))
}

/// Puts the previous image of a container back.
#[utoipa::path(post, path = "/api/v1/rollback", tag = "act", params(Wait), request_body = RollbackBody, responses(
    (status = 200, body = Summary, description = "Done"), (status = 202, body = Summary, description = "Started")))]
pub(in super::super) async fn rollback(
    State(state): State<HttpState>,
    caller: Caller,
    Params(Wait { wait }): Params<Wait>,
    Body(RollbackBody { container }): Body<RollbackBody>,
) -> Result<Response, HttpError> {
    let what = format!("rollback of {container}");
    let command = |actor, reply| Command::Rollback(actor, container, reply);
    Ok(answer(act(&state, &caller, what, wait, command).await?))
}

/// No automatic updates for so many seconds.
#[utoipa::path(post, path = "/api/v1/pause", tag = "act", request_body = PauseBody, responses(
    (status = 200, body = Summary, description = "Done"), (status = 202, body = Summary, description = "Started")))]
pub(in super::super) async fn pause(
    State(state): State<HttpState>,
    caller: Caller,
    Params(Wait { wait }): Params<Wait>,
    Body(PauseBody { seconds }): Body<PauseBody>,
) -> Result<Response, HttpError> {
    if seconds == 0 || seconds > PAUSE_MAX {
        return Err(HttpError::Invalid(format!("a pause lasts 1 to {PAUSE_MAX} seconds, not {seconds}")));
    }
    let what = format!("pause for {seconds} s");
    let progress =
        act(&state, &caller, what, wait, |actor, reply| Command::Pause(actor, seconds, reply)).await?;
    Ok(answer(progress))
}

/// Automatic updates again.
#[utoipa::path(post, path = "/api/v1/resume", tag = "act", request_body = Nothing, responses(
    (status = 200, body = Summary, description = "Done"), (status = 202, body = Summary, description = "Started")))]
pub(in super::super) async fn resume(
    State(state): State<HttpState>,
    caller: Caller,
    Params(Wait { wait }): Params<Wait>,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Response, HttpError> {
    Ok(answer(act(&state, &caller, "resume".to_owned(), wait, Command::Resume).await?))
}

/// The virtual button. Needs the role admin.
#[utoipa::path(post, path = "/api/v1/panel/press", tag = "act", request_body = PressBody, responses(
    (status = 200, body = Summary, description = "Done"), (status = 202, body = Summary, description = "Started")))]
pub(in super::super) async fn press(
    State(state): State<HttpState>,
    caller: Caller,
    Params(Wait { wait }): Params<Wait>,
    Body(PressBody { gesture }): Body<PressBody>,
) -> Result<Response, HttpError> {
    let what = format!("virtual button, {}", gesture.word());
    let command = |actor, reply| Command::Press(actor, gesture.into(), reply);
    Ok(answer(act(&state, &caller, what, wait, command).await?))
}

/// Fast lamps for 15 seconds, to find the device.
#[utoipa::path(post, path = "/api/v1/panel/identify", tag = "act", request_body = Nothing, responses(
    (status = 200, body = Summary, description = "Done"), (status = 202, body = Summary, description = "Started")))]
pub(in super::super) async fn identify(
    State(state): State<HttpState>,
    caller: Caller,
    Params(Wait { wait }): Params<Wait>,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Response, HttpError> {
    Ok(answer(act(&state, &caller, "identify".to_owned(), wait, Command::Identify).await?))
}

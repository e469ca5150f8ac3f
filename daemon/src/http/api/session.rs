//! Coming in and going out over the API.
//!
//! Owns the bodies. Must never keep a password longer than the request.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::caller::{By, Caller};
use super::super::entry::{self, Entered};
use super::super::error::HttpError;
use super::super::extract::Body;
use super::super::reset::{self, ResetBody};
use super::super::state::HttpState;
use super::RoleName;
use super::change::Nothing;
use crate::handles::Summary;

/// Who is asking.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SessionView {
    /// Whether the device has an owner.
    pub claimed: bool,
    /// What this login may do; absent without one.
    pub role: Option<RoleName>,
    /// `none`, `session`, `token`, `socket`.
    pub kind: String,
}

/// A session just opened; its cookie comes with the answer.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct EnteredView {
    /// What it may do.
    pub role: RoleName,
    /// When it ends in any case.
    pub expires: DateTime<Utc>,
}

/// The one-time code and the new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimBody {
    /// As the console shows it; case, spaces and dashes do not matter.
    #[serde(default)]
    pub code: String,
    /// True instead of a code: waits up to two minutes for a press of the button on the device.
    #[serde(default)]
    pub press: bool,
    /// At least 10 characters.
    #[schema(min_length = 10)]
    pub password: String,
}

/// The password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginBody {
    /// The owner's.
    pub password: String,
}

/// Who am I?
#[utoipa::path(get, path = "/api/v1/session", tag = "access", responses((status = 200, body = SessionView)))]
pub(in super::super) async fn session(
    State(state): State<HttpState>,
    caller: Caller,
) -> Result<Json<SessionView>, HttpError> {
    let kind = match &caller.by {
        By::Nobody => "none",
        By::Session(_) => "session",
        By::Token(_) | By::SettingsToken => "token",
        By::Socket(_) => "socket",
    };
    let role = caller.role.map(RoleName::from);
    Ok(Json(SessionView { claimed: state.claimed()?, role, kind: kind.to_owned() }))
}

/// Takes ownership of an unclaimed device and logs in.
#[utoipa::path(post, path = "/api/v1/claim", tag = "access", request_body = ClaimBody,
    responses((status = 200, body = EnteredView)))]
pub(in super::super) async fn claim(
    State(state): State<HttpState>,
    caller: Caller,
    Body(body): Body<ClaimBody>,
) -> Result<Response, HttpError> {
    let entered = if body.press {
        entry::claim_by_press(&state, &caller, body.password).await?
    } else {
        entry::claim(&state, &caller, &body.code, body.password).await?
    };
    Ok(welcome(&entered))
}

/// Logs in.
#[utoipa::path(post, path = "/api/v1/login", tag = "access", request_body = LoginBody,
    responses((status = 200, body = EnteredView)))]
pub(in super::super) async fn login(
    State(state): State<HttpState>,
    caller: Caller,
    Body(body): Body<LoginBody>,
) -> Result<Response, HttpError> {
    entry::login(&state, &caller, body.password).await.map(|entered| welcome(&entered))
}

/// Ends the session.
#[utoipa::path(post, path = "/api/v1/logout", tag = "access", request_body = Nothing,
    responses((status = 200, body = Nothing)))]
pub(in super::super) async fn logout(
    State(state): State<HttpState>,
    caller: Caller,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Response, HttpError> {
    let cookie = entry::logout(&state, &caller)?;
    Ok(([(header::SET_COOKIE, cookie)], Json(Nothing {})).into_response())
}

/// Forgets the owner. Only on the control socket, so not in the document of the API: no login may take the device from
/// its owner.
pub(in super::super) async fn reset_password(
    State(state): State<HttpState>,
    caller: Caller,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Json<Summary>, HttpError> {
    let code = entry::forget_owner(&state, &caller).await?;
    let message = format!(
        "the password and all API tokens are forgotten; open the page and claim the device anew with the code {code}"
    );
    Ok(Json(Summary { message, ..Summary::default() }))
}

/// Asks for a factory reset, which the device's next start carries out. Only where the image's first boot set it up.
#[utoipa::path(post, path = "/api/v1/factory-reset", tag = "access", request_body = ResetBody,
    responses((status = 200, body = Summary)))]
pub(in super::super) async fn factory_reset(
    State(state): State<HttpState>,
    caller: Caller,
    Body(body): Body<ResetBody>,
) -> Result<Json<Summary>, HttpError> {
    let message = reset::ask(&state, &caller, body).await?;
    Ok(Json(Summary { message, ..Summary::default() }))
}

/// Takes a factory reset back that was asked for and not carried out yet.
#[utoipa::path(delete, path = "/api/v1/factory-reset", tag = "access", responses((status = 200, body = Summary)))]
#[allow(clippy::unused_async, reason = "a handler is a future")]
pub(in super::super) async fn cancel_factory_reset(
    State(state): State<HttpState>,
    caller: Caller,
) -> Result<Json<Summary>, HttpError> {
    let message = reset::cancel(&state, &caller)?;
    Ok(Json(Summary { message, ..Summary::default() }))
}

fn welcome(entered: &Entered) -> Response {
    let view = EnteredView { role: entered.role.into(), expires: entered.expires };
    ([(header::SET_COOKIE, entered.cookie.clone())], Json(view)).into_response()
}

//! API tokens: made, listed, revoked.
//!
//! Owns their shapes. Must never show a token a second time.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::caller::Caller;
use super::super::error::HttpError;
use super::super::extract::{Body, Segment};
use super::super::secrets;
use super::super::state::HttpState;
use super::RoleName;
use crate::ports::TokenRow;

/// Tokens kept at most: each request with a token is compared with all of them.
const TOKENS: usize = 100;

/// An API token without its secret.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TokenView {
    /// Short and public; for revoking.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// What it may do.
    pub role: RoleName,
    /// When it was made.
    pub created: DateTime<Utc>,
}

/// A token just made.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct NewTokenView {
    /// Short and public; for revoking.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// What it may do.
    pub role: RoleName,
    /// The token itself, `dbk_...`: shown only this once.
    pub token: String,
}

/// What the token is for.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenBody {
    /// What its owner calls it: 1 to 64 characters, shown in the audit log.
    #[schema(min_length = 1, max_length = 64)]
    pub name: String,
    /// What it may do.
    pub role: RoleName,
}

/// All tokens, without their secrets. Needs the role admin.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "access", responses((status = 200, body = Vec<TokenView>)))]
pub async fn list(State(state): State<HttpState>) -> Result<Json<Vec<TokenView>>, HttpError> {
    let view =
        |row: TokenRow| TokenView { id: row.id, name: row.name, role: row.role.into(), created: row.created };
    Ok(Json(state.records.tokens()?.into_iter().map(view).collect()))
}

/// Makes a token and shows it, once. Needs the role admin.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "access", request_body = TokenBody,
    responses((status = 201, body = NewTokenView)))]
pub(in super::super) async fn make(
    State(state): State<HttpState>,
    caller: Caller,
    Body(TokenBody { name, role }): Body<TokenBody>,
) -> Result<(StatusCode, Json<NewTokenView>), HttpError> {
    let name = name.trim().to_owned();
    if name.is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) {
        return Err(HttpError::Invalid("a token's name has 1 to 64 printable characters".to_owned()));
    }
    let known = state.records.tokens()?;
    if known.iter().any(|row| row.name == name) {
        return Err(HttpError::Conflict(format!("there is a token named {name} already")));
    }
    if known.len() >= TOKENS {
        return Err(HttpError::Conflict(format!("there are {TOKENS} tokens; revoke one first")));
    }
    let token = secrets::secret("dbk_")?;
    let id = secrets::hash(&secrets::secret("")?)[..12].to_owned();
    let created = (state.now)().civil;
    let row = TokenRow { id, name, hash: secrets::hash(&token), role: role.into(), created };
    state.records.add_token(&row)?;
    state.audit(&caller, format!("token {} with role {}: made", row.name, row.role.word()));
    Ok((StatusCode::CREATED, Json(NewTokenView { id: row.id, name: row.name, role, token })))
}

/// Revokes a token, at once. Needs the role admin.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "access",
    params(("id" = String, Path, description = "The token's id")), responses((status = 204)))]
pub(in super::super) async fn revoke(
    State(state): State<HttpState>,
    caller: Caller,
    Segment(id): Segment,
) -> Result<StatusCode, HttpError> {
    let name = state.records.tokens()?.into_iter().find(|row| row.id == id).map(|row| row.name);
    if !state.records.remove_token(&id)? {
        return Err(HttpError::NotFound(format!("there is no token {id}")));
    }
    state.audit(&caller, format!("token {}: revoked", name.unwrap_or(id)));
    Ok(StatusCode::NO_CONTENT)
}

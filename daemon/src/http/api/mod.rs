//! `/api/v1`: Dockbeacon's own API.
//!
//! Owns the routes and the shapes of requests. Must never check a login: the guard did.

pub mod change;
pub mod read;
pub mod session;
pub mod tokens;

use axum::Router;
use axum::routing::{delete, get, post};
use dockbeacon_core::auth::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::state::HttpState;
use super::stream;

/// What a session or token may do, as the API spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RoleName {
    /// Look.
    Read,
    /// Check, approve, update, roll back, pause.
    Operate,
    /// All of it.
    Admin,
}

impl From<Role> for RoleName {
    fn from(role: Role) -> Self {
        match role {
            Role::Read => Self::Read,
            Role::Operate => Self::Operate,
            Role::Admin => Self::Admin,
        }
    }
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Read => Self::Read,
            RoleName::Operate => Self::Operate,
            RoleName::Admin => Self::Admin,
        }
    }
}

/// The routes, relative to `/api/v1`.
pub(super) fn router() -> Router<HttpState> {
    Router::new()
        .route("/status", get(read::status))
        .route("/containers", get(read::containers))
        .route("/containers/{name}", get(read::container))
        .route("/candidates", get(read::candidates))
        .route("/plan", get(read::plan))
        .route("/updates", get(read::updates))
        .route("/updates/{tx}", get(read::update))
        .route("/panel", get(read::panel))
        .route("/device", get(read::device))
        .route("/settings", get(read::settings))
        .route("/audit", get(read::audit))
        .route("/events", get(stream::events))
        .route("/session", get(session::session))
        .route("/claim", post(session::claim))
        .route("/login", post(session::login))
        .route("/logout", post(session::logout))
        .route("/factory-reset", post(session::factory_reset).delete(session::cancel_factory_reset))
        .route("/tokens", get(tokens::list).post(tokens::make))
        .route("/tokens/{id}", delete(tokens::revoke))
        .route("/check", post(change::check))
        .route("/approve", post(change::approve))
        .route("/update", post(change::update))
        .route("/rollback", post(change::rollback))
        .route("/pause", post(change::pause))
        .route("/resume", post(change::resume))
        .route("/panel/press", post(change::press))
        .route("/panel/identify", post(change::identify))
}

//! The page, the API and the control socket, as one router each.
//!
//! Owns what a request may ask and how it is answered. Must never touch the engine or the store but through the handles
//! and the records port, and never decide: it asks the loops.

mod act;
pub mod api;
mod caller;
mod compat;
mod entry;
pub mod error;
mod extract;
mod forms;
mod guard;
mod health;
pub mod memory;
mod openapi;
mod places;
mod reset;
pub mod secrets;
mod serve;
mod state;
mod stream;
pub mod tls;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

pub use openapi::openapi;
pub use secrets::{claim_code_at_start, new_claim_code};
pub use serve::{serve_tcp, serve_unix};
pub use state::{Clock, HttpState};

use error::HttpError;

/// Forgets the owner because the button on the device says so; gives the code for the next one.
///
/// # Errors
/// In words.
pub async fn forget_owner_by_button(state: &HttpState) -> Result<String, String> {
    entry::forget_owner_by_button(state).await.map_err(|error| error.to_string())
}

/// The largest body that is read.
const BODY_LIMIT: usize = 64 * 1024;

/// Everything that is served over TCP. The caller's address must be in the request's extensions as `ConnectInfo`, as
/// [`serve_tcp`] puts it; without it a request counts as coming from another machine.
pub fn app(state: HttpState) -> Router {
    Router::new()
        .nest("/api/v1", api::router())
        .route("/api/openapi.json", get(openapi::document))
        .route("/v1/update", get(compat::update).post(compat::update))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/healthz", get(health::healthz))
        .route("/actions/{action}", post(forms::action))
        .merge(places::router())
        .fallback(places::fallback)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn_with_state(state.clone(), guard::guard))
        .with_state(state)
}

/// The same API for the control socket, without any login: whoever may open the socket is the administrator. Only here
/// can the owner be forgotten.
pub fn control_app(state: HttpState) -> Router {
    Router::new()
        .nest("/api/v1", api::router())
        .route("/api/v1/reset-password", post(api::session::reset_password))
        .fallback(no_path)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn(guard::trust))
        .with_state(state)
}

async fn no_method() -> HttpError {
    HttpError::Method
}

async fn no_path(uri: axum::http::Uri) -> HttpError {
    HttpError::NotFound(format!("there is nothing at {}", uri.path()))
}

//! The page's places and files.
//!
//! Owns paths, status codes and caching. Must never write HTML: the page does.

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use dockbeacon_core::auth::Role;

use super::caller::{Caller, cookie};
use super::error::HttpError;
use super::extract::Segment;
use super::forms::flash;
use super::state::HttpState;
use crate::page::{self, PageContext, Place};

/// The cookie with the theme that somebody chose.
const THEME_COOKIE: &str = "dockbeacon_theme";

pub(super) fn router() -> Router<HttpState> {
    Router::new()
        .route("/", get(|s, c, h| fixed(s, c, h, Place::Overview)))
        .route("/dashboard", get(|s, c, h| fixed(s, c, h, Place::Overview)))
        .route("/containers", get(|s, c, h| fixed(s, c, h, Place::Containers)))
        .route("/containers/{name}", get(|s, c, h, Segment(name)| fixed(s, c, h, Place::Container(name))))
        .route("/updates", get(|s, c, h| fixed(s, c, h, Place::Updates)))
        .route("/updates/{tx}", get(|s, c, h, Segment(tx)| fixed(s, c, h, Place::Update(tx))))
        .route("/device", get(|s, c, h| fixed(s, c, h, Place::Device)))
        .route("/settings", get(|s, c, h| fixed(s, c, h, Place::Settings)))
        .route("/claim", get(|s, c, h| fixed(s, c, h, Place::Claim)))
        .route("/login", get(|s, c, h| fixed(s, c, h, Place::Login)))
        .route("/assets/{*path}", get(|h, q, Segment(path)| async move { file(&h, &q, &path) }))
        .route("/favicon.svg", get(|h, q| async move { file(&h, &q, "favicon.svg") }))
        .route("/favicon.ico", get(|h, q| async move { file(&h, &q, "favicon.svg") }))
        .route("/manifest.webmanifest", get(|h, q| async move { file(&h, &q, "manifest.webmanifest") }))
}

#[allow(clippy::unused_async, reason = "the routes are made of it, and a handler is a future")]
async fn fixed(State(state): State<HttpState>, caller: Caller, headers: HeaderMap, place: Place) -> Response {
    let theme = cookie(&headers, THEME_COOKIE).filter(|theme| matches!(*theme, "light" | "dark"));
    draw(&state, caller.role, &place, flash(&headers), theme.map(str::to_owned))
}

/// Draws a place with what was just said. A container or update that is gone is a 404.
pub(super) fn draw(
    state: &HttpState,
    role: Option<Role>,
    place: &Place,
    flash: Option<String>,
    theme: Option<String>,
) -> Response {
    let claimed = match state.claimed() {
        Ok(claimed) => claimed,
        Err(error) => return error.into_response(),
    };
    let view = state.view();
    let said = flash.is_some();
    let ctx =
        PageContext { role, claimed, flash, now: (state.now)().civil, theme, time_zone: state.time_zone };
    let usual = match place {
        Place::NotFound => StatusCode::NOT_FOUND,
        Place::Plain(_) => StatusCode::FORBIDDEN,
        Place::Overview
        | Place::Containers
        | Place::Container(_)
        | Place::Updates
        | Place::Update(_)
        | Place::Device
        | Place::Settings
        | Place::Claim
        | Place::Login => StatusCode::OK,
    };
    let (status, markup) = match page::render(place, &view, &ctx) {
        Some(markup) => (usual, Some(markup)),
        None => (StatusCode::NOT_FOUND, page::render(&Place::NotFound, &view, &ctx)),
    };
    let mut response =
        (status, Html(markup.map(maud::Markup::into_string).unwrap_or_default())).into_response();
    if said {
        let gone =
            HeaderValue::from_static("dockbeacon_flash=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
        response.headers_mut().append(header::SET_COOKIE, gone);
    }
    response
}

fn file(headers: &HeaderMap, RawQuery(query): &RawQuery, path: &str) -> Response {
    let Some(asset) = page::asset(path) else {
        return HttpError::NotFound(format!("there is no file {path}")).into_response();
    };
    // Only an address that names the version may be kept without asking again.
    let versioned = query.as_deref().is_some_and(|query| query.starts_with("v="));
    let caching = if versioned { "public, max-age=31536000, immutable" } else { "no-cache" };
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == asset.etag));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, asset.content_type)], asset.bytes.into_owned()).into_response()
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    if let Ok(etag) = HeaderValue::try_from(asset.etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

/// Everything else.
pub(super) async fn fallback(
    State(state): State<HttpState>,
    caller: Caller,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let path = uri.path();
    if path.starts_with("/api/") || path.starts_with("/v1/") {
        return HttpError::NotFound(format!("there is nothing at {path}")).into_response();
    }
    draw(&state, caller.role, &Place::NotFound, flash(&headers), None)
}

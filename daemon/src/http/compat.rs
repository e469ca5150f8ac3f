//! Watchtower's own path, `/v1/update`, for those who call it from their pipelines.
//!
//! Owns its token and its answers. Must never serve anything else of Watchtower's, nor take a session cookie: the path
//! has no check of Host and Origin.

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use dockbeacon_core::auth::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::act::{act, names};
use super::caller::{By, Caller, bearer};
use super::error::HttpError;
use super::secrets::{hash, same};
use super::state::HttpState;
use crate::handles::{Command, UpdateRequest};

/// Watchtower's callers look for this word.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Compat {
    /// `success`: the run is over.
    pub status: String,
}

/// One update run now, answered when it is over.
///
/// Takes the token of `http.token` or an API token with the role operate. While another run is under way a call without
/// `image` is told so with 429 and `Retry-After`; one with `image` waits for it and runs then. (Watchtower answered the
/// former with 200 and did nothing, which pipelines took for an update.) An image that no container uses is no error.
#[utoipa::path(get, post, path = "/v1/update", tag = "watchtower", security(("token" = [])),
    params(("image" = Option<Vec<String>>, Query, description = "Only containers of these images; repeated or comma-separated")),
    responses((status = 200, body = Compat), (status = 401, description = "Wrong token; no body"),
        (status = 404, description = "Neither enabled nor any API token made")))]
pub(super) async fn update(
    State(state): State<HttpState>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let mut caller = Caller::nobody(request.extensions());
    match enter(&state, &mut caller, &request) {
        Ok(()) => {}
        Err(HttpError::Unauthenticated) => {
            tracing::warn!(from = %caller.from(), "a wrong token was sent to /v1/update");
            return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response();
        }
        Err(error) => return error.into_response(),
    }
    let images = images(query.as_deref().unwrap_or_default());
    let what = match images.as_slice() {
        [] => "update of all containers (/v1/update)".to_owned(),
        some => format!("update of containers of {} (/v1/update)", names(some)),
    };
    let wait = !images.is_empty();
    let request = UpdateRequest { images, wait, ..UpdateRequest::default() };
    match act(&state, &caller, what, true, |actor, reply| Command::Update(actor, request, reply)).await {
        Ok(_) | Err(HttpError::NotFound(_)) => Json(Compat { status: "success".to_owned() }).into_response(),
        Err(HttpError::Busy(why)) => HttpError::BusyCompat(why).into_response(),
        Err(error) => error.into_response(),
    }
}

fn enter(state: &HttpState, caller: &mut Caller, request: &Request) -> Result<(), HttpError> {
    let rows = state.records.tokens()?;
    let own = state.settings.token.as_ref().filter(|_| state.settings.update_api);
    if !state.settings.update_api && rows.is_empty() {
        return Err(HttpError::NotFound(
            "/v1/update is off; switch http.update_api on, or make an API token with the role operate"
                .to_owned(),
        ));
    }
    let sent = hash(bearer(request.headers()).ok_or(HttpError::Unauthenticated)?);
    // An empty token in the settings would let everybody in; bearer() refuses an empty one too.
    let by_setting =
        own.is_some_and(|token| !token.reveal().is_empty() && same(&hash(token.reveal()), &sent));
    if by_setting {
        caller.role = Some(Role::Operate);
        caller.by = By::SettingsToken;
        return Ok(());
    }
    *caller = Caller::identify(state, request.headers(), request.extensions())?;
    match caller.role {
        Some(role) if role >= Role::Operate => Ok(()),
        Some(_) => Err(HttpError::Forbidden(Role::Operate)),
        None => Err(HttpError::Unauthenticated),
    }
}

fn images(query: &str) -> Vec<String> {
    url::form_urlencoded::parse(query.as_bytes())
        .filter(|(key, _)| key == "image")
        .flat_map(|(_, value)| value.split(',').map(|image| image.trim().to_owned()).collect::<Vec<_>>())
        .filter(|image| !image.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::images;

    #[test]
    fn images_may_be_repeated_and_comma_separated() {
        let table: [(&str, &[&str]); 5] = [
            ("", &[]),
            ("image=", &[]),
            ("image=a,b&image=c%3A1", &["a", "b", "c:1"]),
            ("other=x&image=localhost%3A5000/web", &["localhost:5000/web"]),
            ("image=%20a%20,,b", &["a", "b"]),
        ];
        for (query, wanted) in table {
            assert_eq!(images(query), wanted, "{query}");
        }
    }
}

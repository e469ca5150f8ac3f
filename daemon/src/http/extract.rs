//! Reading requests: JSON bodies and queries whose every failure is one of our own errors.
//!
//! Owns the mapping of bad input to status codes. Must never guess what was meant.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use super::caller::{By, Caller};
use super::error::HttpError;

/// How long a body may take to arrive.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// A JSON body. No body at all reads as `{}`. A browser with a session must say that it sends JSON, because that is
/// what no form of a stranger's page can do.
pub(super) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let session = matches!(request.extensions().get::<Caller>(), Some(Caller { by: By::Session(_), .. }));
        let json = is_json(request.headers());
        let bytes = bytes(request, state).await?;
        if !json && (session || !bytes.is_empty()) {
            return Err(HttpError::MediaType);
        }
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text).map(Self).map_err(|error| {
            if error.is_data() {
                HttpError::Invalid(format!("the request's JSON does not fit: {error}"))
            } else {
                HttpError::Malformed(format!("the request is not JSON: {error}"))
            }
        })
    }
}

/// A query string.
pub(super) struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(error) => Err(HttpError::Malformed(error.body_text())),
        }
    }
}

/// One percent-decoded part of the path.
pub(super) struct Segment(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        match axum::extract::Path::<String>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(text)) => Ok(Self(text)),
            Err(error) => Err(HttpError::Malformed(error.body_text())),
        }
    }
}

/// The whole body, within the limit and in time.
pub(super) async fn bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, HttpError> {
    match tokio::time::timeout(BODY_PATIENCE, Bytes::from_request(request, state)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(HttpError::TooLarge),
        Ok(Err(error)) => Err(HttpError::Malformed(error.body_text())),
        Err(_) => Err(HttpError::Timeout),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

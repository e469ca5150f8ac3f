//! How a request can fail, and what its sender is told.
//!
//! Owns the status codes, the stable error codes and the remedies. Must never carry a secret or an internal path.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dockbeacon_core::auth::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::handles::Refusal;
use crate::ports::RecordsError;

/// Why a request was not served.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HttpError {
    /// No login, an ended one or a wrong token.
    #[error("this needs a login or an API token")]
    Unauthenticated,
    /// The password is wrong.
    #[error("the password is wrong")]
    WrongPassword,
    /// The claim code is wrong.
    #[error("the claim code is wrong")]
    WrongCode,
    /// The login may not do this.
    #[error("this needs the role {}", .0.word())]
    Forbidden(Role),
    /// The request comes from another site's page.
    #[error("{0}")]
    Foreign(String),
    /// Nobody has claimed the device yet.
    #[error("the device is not claimed yet")]
    Unclaimed,
    /// Somebody has.
    #[error("the device is claimed already")]
    Claimed,
    /// Over plain HTTP from another machine; the same place over TLS.
    #[error("this device is reached over https only, because anybody on the way could read along: {0}")]
    NeedsTls(String),
    /// Secrets over plain HTTP from another machine.
    #[error(
        "claiming and logging in over plain HTTP work only on the device itself, because the password could be read on the way"
    )]
    Plain,
    /// No such thing.
    #[error("{0}")]
    NotFound(String),
    /// The path is there, the method is not.
    #[error("this path does not take this method")]
    Method,
    /// It clashes with what is.
    #[error("{0}")]
    Conflict(String),
    /// Another run is under way.
    #[error("{0}")]
    Busy(String),
    /// The same for Watchtower's callers, who know 429.
    #[error("{0}")]
    BusyCompat(String),
    /// The Host header is none of ours.
    #[error("this device does not answer to the name \u{201c}{0}\u{201d}")]
    Host(String),
    /// The request could not be read.
    #[error("{0}")]
    Malformed(String),
    /// It could be read and makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// Not JSON.
    #[error("the request must say Content-Type: application/json")]
    MediaType,
    /// Too much of it.
    #[error("the request is larger than 64 KiB")]
    TooLarge,
    /// Too many tries; wait so many seconds.
    #[error("too many tries; wait {0} s")]
    TooMany(u64),
    /// The engine does not answer.
    #[error("{0}")]
    EngineAway(String),
    /// Something that we need does not answer.
    #[error("{0}")]
    Unavailable(String),
    /// It took too long.
    #[error("the request took too long")]
    Timeout,
    /// The store failed.
    #[error("{0}")]
    Store(String),
}

/// The body of every error answer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorView,
}

/// What went wrong and what to do.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ErrorView {
    /// Stable, for programs.
    pub code: String,
    /// A sentence, for people.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl HttpError {
    /// Status, stable code and remedy.
    #[must_use]
    pub const fn parts(&self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::Unauthenticated => (
                S::UNAUTHORIZED,
                "unauthenticated",
                "log in at /login, or send Authorization: Bearer with a valid token",
            ),
            Self::WrongPassword => (
                S::UNAUTHORIZED,
                "wrong-password",
                "try again; if it is lost, run dockbeacon reset-password on the device",
            ),
            Self::WrongCode => (
                S::FORBIDDEN,
                "wrong-code",
                "read the code from the console or the log of the daemon; it changes at every start",
            ),
            Self::Forbidden(_) => (S::FORBIDDEN, "forbidden", "use a login or token with that role"),
            Self::Foreign(_) => {
                (S::FORBIDDEN, "foreign-origin", "use this device's own page, or an API token from a program")
            }
            Self::Unclaimed => {
                (S::FORBIDDEN, "unclaimed", "claim it at /claim with the code from the console")
            }
            Self::Claimed => (S::CONFLICT, "claimed", "log in at /login"),
            Self::Plain => (S::FORBIDDEN, "plain-http", "use https at the same address and port"),
            Self::NeedsTls(_) => (
                S::FORBIDDEN,
                "plain-http",
                "use https at the same address and port; http.plain: allow serves all but claiming and logging in without it",
            ),
            Self::NotFound(_) => (
                S::NOT_FOUND,
                "not-found",
                "see /api/openapi.json for the paths, /api/v1/containers for the names",
            ),
            Self::Method => {
                (S::METHOD_NOT_ALLOWED, "method-not-allowed", "see /api/openapi.json for the methods")
            }
            Self::Conflict(_) => {
                (S::CONFLICT, "conflict", "look at /api/v1/status and /api/v1/plan and ask again")
            }
            Self::Busy(_) => {
                (S::CONFLICT, "busy", "follow the run at /api/v1/updates and ask again when it is over")
            }
            Self::BusyCompat(_) => (
                S::TOO_MANY_REQUESTS,
                "busy",
                "ask again when the run is over, or name images with ?image= to wait for it",
            ),
            Self::Host(_) => (
                S::MISDIRECTED_REQUEST,
                "unknown-host",
                "use the device's own name or address, or add the name to http.allowed_hosts",
            ),
            Self::Malformed(_) => {
                (S::BAD_REQUEST, "malformed", "see /api/openapi.json for the shape of the request")
            }
            Self::Invalid(_) => (S::UNPROCESSABLE_ENTITY, "invalid", "correct the value and ask again"),
            Self::MediaType => (S::UNSUPPORTED_MEDIA_TYPE, "not-json", "send JSON and say so"),
            Self::TooLarge => (S::PAYLOAD_TOO_LARGE, "too-large", "send less"),
            Self::TooMany(_) => (S::TOO_MANY_REQUESTS, "too-many", "wait as long as Retry-After says"),
            // The message says what to do about it.
            Self::EngineAway(_) => (S::SERVICE_UNAVAILABLE, "engine-away", ""),
            Self::Unavailable(_) => (
                S::SERVICE_UNAVAILABLE,
                "unavailable",
                "try again shortly; look at the daemon's log if it stays",
            ),
            Self::Timeout => {
                (S::SERVICE_UNAVAILABLE, "timeout", "try again; look at the daemon's log if it stays")
            }
            Self::Store(_) => (
                S::SERVICE_UNAVAILABLE,
                "store",
                "check the free space of the state folder and the daemon's log",
            ),
        }
    }

    /// The status code.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.parts().0
    }

    /// The whole as people read it on the page: what, and what to do.
    #[must_use]
    pub fn sentence(&self) -> String {
        format!("{self}; {}", self.parts().2)
    }

    /// Dresses a response with the headers that belong to this error.
    pub fn dress(&self, response: &mut Response) {
        let headers = response.headers_mut();
        if let Self::TooMany(seconds) = self {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
        }
        if matches!(self, Self::BusyCompat(_) | Self::EngineAway(_) | Self::Unavailable(_)) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(30));
        }
        if matches!(self, Self::Unauthenticated) {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let (status, code, remedy) = self.parts();
        let error = ErrorView { code: code.to_owned(), message: self.to_string(), remedy: remedy.to_owned() };
        let mut response = (status, Json(ErrorBody { error })).into_response();
        self.dress(&mut response);
        response
    }
}

impl From<RecordsError> for HttpError {
    fn from(error: RecordsError) -> Self {
        tracing::error!(%error, "the HTTP side could not use the store");
        Self::Store(error.to_string())
    }
}

impl From<Refusal> for HttpError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Busy(why) => Self::Busy(why),
            Refusal::NotFound(why) => Self::NotFound(why),
            Refusal::Conflict(why) => Self::Conflict(why),
            Refusal::EngineAway(why) => Self::EngineAway(why),
            Refusal::Stopping => Self::Unavailable(Refusal::Stopping.to_string()),
        }
    }
}

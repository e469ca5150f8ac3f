//! Who sent a request.
//!
//! Owns the reading of addresses, cookies and tokens out of a request. Must never trust a header for an address.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, header};
use dockbeacon_core::auth::{Channel, Role};

use super::error::HttpError;
use super::secrets::{hash, same};
use super::state::HttpState;
use crate::handles::Actor;

/// The session cookie.
pub(super) const SESSION_COOKIE: &str = "dockbeacon_session";
/// The cookie that carries one message over a redirect.
pub(super) const FLASH_COOKIE: &str = "dockbeacon_flash";

/// The user at the other end of the control socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketPeer {
    /// The user's number, where the kernel told it.
    pub uid: Option<u32>,
}

/// How somebody proved who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum By {
    /// Not at all.
    Nobody,
    /// A session cookie, with its hash.
    Session(String),
    /// An API token, with its name.
    Token(String),
    /// The token of `http.token`.
    SettingsToken,
    /// The control socket.
    Socket(SocketPeer),
}

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    /// What they may do; `None` without a login.
    pub role: Option<Role>,
    /// How they proved it.
    pub by: By,
    /// The address of the connection.
    pub peer: Option<SocketAddr>,
    /// How the request came.
    pub channel: Channel,
}

/// How a request came, as the connection was marked. Without a mark it counts as plain, wherever from.
pub(super) fn channel(extensions: &Extensions) -> Channel {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let tls = extensions.get::<OverTls>().is_some();
    peer.map_or(if tls { Channel::Tls } else { Channel::Plain }, |peer| Channel::of(peer, tls))
}

/// The mark of a connection over TLS.
#[derive(Debug, Clone, Copy)]
pub(super) struct OverTls;

impl Caller {
    /// Nobody, from the address of the connection.
    pub fn nobody(extensions: &Extensions) -> Self {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
        Self { role: None, by: By::Nobody, peer, channel: channel(extensions) }
    }

    /// Finds out who it is. A token that is sent must be good, whatever cookies come with it.
    pub fn identify(
        state: &HttpState,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Self, HttpError> {
        let mut caller = Self::nobody(extensions);
        if headers.contains_key(header::AUTHORIZATION) {
            let token = bearer(headers).ok_or(HttpError::Unauthenticated)?;
            let sent = hash(token);
            // All rows are compared, so that time does not tell which one came near.
            let mut found = None;
            for row in state.records.tokens()? {
                if same(&row.hash, &sent) {
                    found = Some(row);
                }
            }
            let row = found.ok_or(HttpError::Unauthenticated)?;
            caller.role = Some(row.role);
            caller.by = By::Token(row.name);
            return Ok(caller);
        }
        let Some(cookie) = cookie(headers, SESSION_COOKIE) else { return Ok(caller) };
        if let Some(row) = state.live_session(&hash(cookie))? {
            caller.role = Some(row.role);
            caller.by = By::Session(row.hash);
        }
        Ok(caller)
    }

    /// The address that tries are counted by.
    pub fn address(&self) -> IpAddr {
        self.peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip())
    }

    /// Who, for the audit log.
    pub fn who(&self) -> String {
        match &self.by {
            By::Nobody => "nobody".to_owned(),
            By::Session(_) => "page".to_owned(),
            By::Token(name) => format!("api token {name}"),
            By::SettingsToken => "api token of http.token".to_owned(),
            By::Socket(_) => "command line".to_owned(),
        }
    }

    /// From where, for the audit log.
    pub fn from(&self) -> String {
        match (&self.by, self.peer) {
            (By::Socket(SocketPeer { uid: Some(uid) }), _) => format!("user {uid}"),
            (By::Socket(SocketPeer { uid: None }), _) => "control socket".to_owned(),
            (_, Some(peer)) => peer.ip().to_canonical().to_string(),
            (_, None) => "unknown".to_owned(),
        }
    }

    /// The same for the loops.
    pub fn actor(&self) -> Actor {
        let (way, who) = match &self.by {
            By::Nobody => ("api", self.from()),
            By::Session(_) => ("page", self.from()),
            By::Token(name) => ("api", format!("token {name}")),
            By::SettingsToken => ("api", "token of http.token".to_owned()),
            By::Socket(_) => ("command line", self.from()),
        };
        Actor { way: way.to_owned(), who }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = HttpError;

    /// What the guard found out. A request that passed no guard has no caller and is refused.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or(HttpError::Unauthenticated)
    }
}

/// The token of `Authorization: Bearer TOKEN`.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The value of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

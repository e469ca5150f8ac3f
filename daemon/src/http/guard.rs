//! The one layer that every request passes: host, origin, login, role, patience, headers.
//!
//! Owns the order of the checks; the rules are the core's. Must never let a request through by default.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use dockbeacon_core::auth::{Access, Channel, Hosts, Role, access, check_origin, may_travel};

use super::caller::{By, Caller, SocketPeer, channel};
use super::error::HttpError;
use super::forms::{see_other, wants_json};
use super::places;
use super::state::HttpState;
use crate::page::Place;

/// How long a request may take that does not ask to wait.
const PATIENCE: Duration = Duration::from_secs(30);

const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Not `no-referrer`: with it browsers send `Origin: null` with our own forms, which could then not be told from a
    // stranger's. To other sites both send nothing.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Lets a request through, or answers it.
pub(super) async fn guard(State(state): State<HttpState>, mut request: Request, next: Next) -> Response {
    let mut response = match admit(&state, &mut request) {
        Ok(()) => run(request, next).await,
        Err(refused) => *refused,
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The control socket's guard: whoever could open it is the administrator.
pub(super) async fn trust(mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<SocketPeer>().copied().unwrap_or(SocketPeer { uid: None });
    request.extensions_mut().insert(Caller {
        role: Some(Role::Admin),
        by: By::Socket(peer),
        peer: None,
        channel: Channel::Near,
    });
    run(request, next).await
}

async fn run(request: Request, next: Next) -> Response {
    let waits = request.uri().path() == "/v1/update"
        || request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "wait=true"));
    if waits {
        return next.run(request).await;
    }
    match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => HttpError::Timeout.into_response(),
    }
}

fn admit(state: &HttpState, request: &mut Request) -> Result<(), Box<Response>> {
    let needed = access(request.method().as_str(), request.uri().path());
    let caller = judge(state, request, needed).map_err(|error| {
        let reads = !is_api(request) && !wants_json(request.headers());
        Box::new(if let (HttpError::NeedsTls(https), true) = (&error, reads) {
            places::draw(state, None, &Place::Plain(https.clone()), None, None)
        } else {
            refuse(&error, request)
        })
    })?;
    if let Verdict::Go(place) = caller {
        return Err(Box::new(Redirect::to(place).into_response()));
    }
    if let Verdict::Pass(caller) = caller {
        request.extensions_mut().insert(caller);
    }
    Ok(())
}

enum Verdict {
    Pass(Caller),
    Go(&'static str),
}

fn judge(state: &HttpState, request: &Request, needed: Access) -> Result<Verdict, HttpError> {
    let (headers, extensions) = (request.headers(), request.extensions());
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let nobody = || Ok(Verdict::Pass(Caller::nobody(extensions)));
    let travels = may_travel(channel(extensions), needed, state.settings.plain);
    // Probes come by any name; Watchtower's path comes through proxies by any name and brings its own token.
    if matches!(needed, Access::Health | Access::UpdateApi) && travels {
        return nobody();
    }
    let host = check_host(state, request)?;
    if !travels {
        let path = request.uri().path_and_query().map_or("/", axum::http::uri::PathAndQuery::as_str);
        return Err(HttpError::NeedsTls(format!("https://{host}{path}")));
    }
    if changes {
        check_origin(text(headers, "sec-fetch-site"), text(headers, "origin"), &host)
            .map_err(|error| HttpError::Foreign(error.to_string()))?;
    }
    if needed == Access::Open {
        return nobody();
    }
    let page = !changes && !is_api(request);
    if !state.claimed()? {
        if needed == Access::Claim {
            return nobody();
        }
        return if page { Ok(Verdict::Go("/claim")) } else { Err(HttpError::Unclaimed) };
    }
    match needed {
        Access::Claim if page => Ok(Verdict::Go("/")),
        Access::Claim => Err(HttpError::Claimed),
        Access::Login => {
            let caller = Caller::identify(state, headers, extensions)?;
            if page && caller.role.is_some() { Ok(Verdict::Go("/")) } else { Ok(Verdict::Pass(caller)) }
        }
        Access::Needs(role) => {
            let caller = Caller::identify(state, headers, extensions)?;
            match caller.role {
                Some(has) if has >= role => Ok(Verdict::Pass(caller)),
                Some(_) => Err(HttpError::Forbidden(role)),
                None if page => Ok(Verdict::Go("/login")),
                None => Err(HttpError::Unauthenticated),
            }
        }
        Access::Health | Access::Open | Access::UpdateApi => nobody(),
    }
}

/// The Host header, if it is one of ours; the name in the request line, where there is one, must be too.
fn check_host(state: &HttpState, request: &Request) -> Result<String, HttpError> {
    let host = text(request.headers(), "host").unwrap_or_default().to_owned();
    let view = state.view();
    let hosts = Hosts {
        own: &view.status.host_name,
        allowed: &state.settings.allowed_hosts,
        listen: state.settings.listen,
    };
    let line = request.uri().authority().map(axum::http::uri::Authority::as_str);
    let single = request.headers().get_all(header::HOST).iter().count() == 1;
    if single && hosts.know(&host) && line.is_none_or(|line| hosts.know(line)) {
        return Ok(host);
    }
    Err(HttpError::Host(host))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    // What is there but is no text counts as foreign, not as absent.
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

fn is_api(request: &Request) -> bool {
    request.uri().path().starts_with("/api/") || request.uri().path().starts_with("/v1/")
}

/// An error in the shape that the sender reads: JSON for programs, a redirect or plain words for browsers.
fn refuse(error: &HttpError, request: &Request) -> Response {
    if is_api(request) || wants_json(request.headers()) {
        return error.clone().into_response();
    }
    let elsewhere = if matches!(error, HttpError::Unclaimed) {
        Some(("/claim", None))
    } else if matches!(error, HttpError::Claimed) {
        Some(("/login", Some("The device is claimed already; log in.")))
    } else if matches!(error, HttpError::Unauthenticated) {
        Some(("/login", Some("Log in first.")))
    } else {
        None
    };
    if let Some((path, message)) = elsewhere {
        return see_other(path, message);
    }
    let mut response = (error.status(), format!("{}\n", error.sentence())).into_response();
    error.dress(&mut response);
    response
}

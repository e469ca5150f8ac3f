//! The page's forms, which work without JavaScript.
//!
//! Owns the reading of form fields and the way back. Must never send anybody to another site.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dockbeacon_core::panel::Gesture;

use super::act::{Progress, act, names};
use super::api::change::{GestureName, PAUSE_MAX, answer};
use super::caller::{Caller, FLASH_COOKIE, cookie};
use super::entry;
use super::error::HttpError;
use super::extract::{Segment, bytes};
use super::places;
use super::reset::{self, ResetBody};
use super::state::HttpState;
use crate::handles::{Command, Summary, UpdateRequest};
use crate::page::Place;

/// The longest message that travels in a cookie.
const FLASH_MAX: usize = 1500;

/// The fields of a form.
#[derive(Default)]
struct Fields(Vec<(String, String)>);

impl Fields {
    fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    fn all(&self, name: &str) -> Vec<String> {
        self.0
            .iter()
            .filter(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.clone())
            .collect()
    }

    /// Where to go afterwards: a path on this site, else the overview.
    fn back(&self) -> &str {
        self.one("return").filter(|path| is_own_path(path)).unwrap_or("/")
    }
}

/// `POST /actions/{action}`
pub(super) async fn action(
    State(state): State<HttpState>,
    caller: Caller,
    Segment(action): Segment,
    request: Request,
) -> Response {
    let json = wants_json(request.headers());
    let fields = match fields(&state, request).await {
        Ok(fields) => fields,
        Err(error) => return error.into_response(),
    };
    let result = match action.as_str() {
        "claim" | "login" => enter(&state, &caller, &action, &fields).await,
        "logout" => leave(&state, &caller),
        "factory-reset" | "factory-reset-cancel" => {
            factory_reset(&state, &caller, &action, &fields).await.map(|message| {
                if json {
                    return answer(Progress::Done(Summary { message, ..Summary::default() }));
                }
                see_other(fields.back(), Some(&message))
            })
        }
        _ => run(&state, &caller, &action, &fields).await.map(|progress| {
            if json {
                return answer(progress);
            }
            let (Progress::Done(summary) | Progress::Started(summary)) = progress;
            see_other(fields.back(), Some(&summary.message))
        }),
    };
    match result {
        Ok(response) => response,
        Err(error) if json => error.into_response(),
        Err(error) => again(&state, &action, &fields, &error),
    }
}

async fn run(
    state: &HttpState,
    caller: &Caller,
    action: &str,
    fields: &Fields,
) -> Result<Progress, HttpError> {
    let containers = fields.all("container");
    let single = || {
        let name = containers.first().cloned();
        name.ok_or_else(|| HttpError::Invalid("name the container".to_owned()))
    };
    let what = |word: &str| format!("{word} of {}", names(&containers));
    let (what, command): (String, Box<dyn FnOnce(_, _) -> Command + Send>) = match action {
        "check" => (what("check"), Box::new(move |actor, reply| Command::Check(actor, containers, reply))),
        "approve" => {
            single()?;
            let fingerprint = fields.one("fingerprint").map(str::to_owned);
            let words = what("approval");
            (words, Box::new(move |actor, reply| Command::Approve(actor, containers, fingerprint, reply)))
        }
        "update" => {
            let words = what("update");
            let request = UpdateRequest { names: containers, ..UpdateRequest::default() };
            (words, Box::new(move |actor, reply| Command::Update(actor, request, reply)))
        }
        "rollback" => {
            let name = single()?;
            (
                format!("rollback of {name}"),
                Box::new(move |actor, reply| Command::Rollback(actor, name, reply)),
            )
        }
        "pause" => {
            let seconds = seconds(fields.one("hours"))?;
            (
                format!("pause for {seconds} s"),
                Box::new(move |actor, reply| Command::Pause(actor, seconds, reply)),
            )
        }
        "resume" => ("resume".to_owned(), Box::new(Command::Resume)),
        "press" => {
            let gesture = gesture(fields.one("gesture"))?;
            let words = format!("virtual button, {}", gesture.word());
            (words, Box::new(move |actor, reply| Command::Press(actor, Gesture::from(gesture), reply)))
        }
        "identify" => ("identify".to_owned(), Box::new(Command::Identify)),
        other => return Err(HttpError::NotFound(format!("there is no action {other}"))),
    };
    act(state, caller, what, false, command).await
}

async fn enter(
    state: &HttpState,
    caller: &Caller,
    action: &str,
    fields: &Fields,
) -> Result<Response, HttpError> {
    let password = fields.one("password").unwrap_or_default().to_owned();
    let entered = if action == "claim" && fields.one("way") == Some("press") {
        entry::claim_by_press(state, caller, password).await?
    } else if action == "claim" {
        entry::claim(state, caller, fields.one("code").unwrap_or_default(), password).await?
    } else {
        entry::login(state, caller, password).await?
    };
    let mut response = see_other(fields.back(), None);
    response.headers_mut().append(header::SET_COOKIE, entered.cookie);
    Ok(response)
}

async fn factory_reset(
    state: &HttpState,
    caller: &Caller,
    action: &str,
    fields: &Fields,
) -> Result<String, HttpError> {
    if action == "factory-reset-cancel" {
        return reset::cancel(state, caller);
    }
    let word = |name: &str| fields.one(name).unwrap_or_default().to_owned();
    let body = ResetBody {
        password: word("password"),
        data: fields.one("extent") == Some("everything"),
        name: word("name"),
        now: fields.one("now").is_some(),
    };
    reset::ask(state, caller, body).await
}

fn leave(state: &HttpState, caller: &Caller) -> Result<Response, HttpError> {
    let cookie = entry::logout(state, caller)?;
    let mut response = see_other("/login", Some("You are logged out."));
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

/// What people see after a failure: the form again with its status, or the place where they were with the reason.
fn again(state: &HttpState, action: &str, fields: &Fields, error: &HttpError) -> Response {
    let place = match (action, error) {
        ("claim", HttpError::Claimed) => return see_other("/login", Some(&error.sentence())),
        ("claim", _) => Place::Claim,
        ("login", _) => Place::Login,
        _ => return see_other(fields.back(), Some(&error.sentence())),
    };
    let mut response = places::draw(state, None, &place, Some(error.sentence()), None);
    *response.status_mut() = error.status();
    error.dress(&mut response);
    response
}

async fn fields(state: &HttpState, request: Request) -> Result<Fields, HttpError> {
    let kind =
        request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let form = kind.split(';').next().is_some_and(|kind| kind.trim() == "application/x-www-form-urlencoded");
    let bytes = bytes(request, state).await?;
    if !form && !bytes.is_empty() {
        return Err(HttpError::Malformed("forms are sent as application/x-www-form-urlencoded".to_owned()));
    }
    Ok(Fields(url::form_urlencoded::parse(&bytes).into_owned().collect()))
}

fn seconds(hours: Option<&str>) -> Result<u64, HttpError> {
    let bad = || HttpError::Invalid(format!("a pause lasts 1 to {} hours", PAUSE_MAX / 3600));
    let hours: u64 = hours.unwrap_or("24").trim().parse().map_err(|_| bad())?;
    if hours == 0 || hours > PAUSE_MAX / 3600 { Err(bad()) } else { Ok(hours * 3600) }
}

fn gesture(name: Option<&str>) -> Result<GestureName, HttpError> {
    let name = name.unwrap_or("press");
    serde_json::from_value(name.into()).map_err(|_| {
        HttpError::Invalid(format!("there is no gesture {name}; press, double-press, hold3 and hold10 are"))
    })
}

/// Whether the sender reads JSON rather than a page.
pub(super) fn wants_json(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|accept| {
        accept.split(',').any(|kind| kind.trim().to_ascii_lowercase().starts_with("application/json"))
    })
}

/// A redirect after a form, with a message for the next page.
pub(super) fn see_other(path: &str, message: Option<&str>) -> Response {
    let place = HeaderValue::try_from(path).unwrap_or(HeaderValue::from_static("/"));
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response();
    if let Some(message) = message {
        let short: String = message.chars().take(FLASH_MAX / 4).collect();
        let text = URL_SAFE_NO_PAD.encode(short);
        let flash = format!("{FLASH_COOKIE}={text}; HttpOnly; SameSite=Strict; Path=/; Max-Age=30");
        if let Ok(flash) = HeaderValue::try_from(flash) {
            response.headers_mut().append(header::SET_COOKIE, flash);
        }
    }
    response
}

/// The message of the last redirect.
pub(super) fn flash(headers: &HeaderMap) -> Option<String> {
    let text =
        cookie(headers, FLASH_COOKIE).filter(|text| !text.is_empty() && text.len() <= 2 * FLASH_MAX)?;
    String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

/// A path on this site: one slash at the start, and nothing that a browser could read as another host.
fn is_own_path(path: &str) -> bool {
    let mut bytes = path.bytes();
    bytes.next() == Some(b'/')
        && bytes.next() != Some(b'/')
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::is_own_path;

    #[test]
    fn nobody_is_sent_to_another_site() {
        for own in ["/", "/containers/web", "/updates?x=1#y"] {
            assert!(is_own_path(own), "{own}");
        }
        for foreign in [
            "",
            "//evil",
            "/\\evil",
            "\\evil",
            "https://evil",
            "javascript:x",
            "/a\r\nb",
            "/\t/evil",
            "evil",
            " /a",
        ] {
            assert!(!is_own_path(foreign), "{foreign}");
        }
    }
}

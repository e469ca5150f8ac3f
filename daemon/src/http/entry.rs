//! Claiming, logging in and logging out, for the API and the page alike.
//!
//! Owns the life of a session. Must never take over a session that the client brought along.

use axum::http::HeaderValue;
use chrono::{DateTime, Utc};
use dockbeacon_core::auth::{Channel, Role, SESSION_ABSOLUTE, check_password, normalise_code};
use dockbeacon_core::event::What;

use super::caller::{By, Caller, SESSION_COOKIE};
use super::error::HttpError;
use super::secrets;
use super::state::{Door, HttpState};
use crate::claims::Pressed;
use crate::ports::{AuditRow, SessionRow};

/// A session just made.
pub(super) struct Entered {
    /// What it may do.
    pub role: Role,
    /// When it ends.
    pub expires: DateTime<Utc>,
    /// The `Set-Cookie` header.
    pub cookie: HeaderValue,
}

/// Takes ownership with the one-time code, sets the password and logs in.
pub(super) async fn claim(
    state: &HttpState,
    caller: &Caller,
    code: &str,
    password: String,
) -> Result<Entered, HttpError> {
    if !caller.channel.is_private() {
        return Err(HttpError::Plain);
    }
    check_password(&password).map_err(|error| HttpError::Invalid(error.to_string()))?;
    state.begin_try(Door::Claim, caller)?;
    let sent = secrets::hash(&normalise_code(code));
    // Held to the end: of two claims at the same time one finds the device claimed.
    let _permit = hashing(state).await?;
    if state.claimed()? {
        return Err(HttpError::Claimed);
    }
    let known = state.records.claim_code()?;
    if !known.is_some_and(|known| secrets::same(&known, &sent)) {
        state.audit(caller, "claim: refused, wrong code".to_owned());
        return Err(HttpError::WrongCode);
    }
    let entered = own(state, caller, password, "claim: done").await?;
    state.try_succeeded(Door::Claim, caller);
    Ok(entered)
}

/// Takes ownership by a press of the button on the device: waits for it, as long as the claim's window is open.
pub(super) async fn claim_by_press(
    state: &HttpState,
    caller: &Caller,
    password: String,
) -> Result<Entered, HttpError> {
    if !caller.channel.is_private() {
        return Err(HttpError::Plain);
    }
    check_password(&password).map_err(|error| HttpError::Invalid(error.to_string()))?;
    if state.claimed()? {
        return Err(HttpError::Claimed);
    }
    if !state.claims.button() {
        return Err(HttpError::Conflict(
            "this device has no button that could prove that you are there; enter the claim code".to_owned(),
        ));
    }
    let Some(claim) = state.claims.open() else { return Err(several()) };
    state.audit(caller, "claim: waits for the button".to_owned());
    let pressed = tokio::select! {
        pressed = claim.wait() => pressed,
        () = state.shutdown.cancelled() => return Err(HttpError::Unavailable("the daemon is stopping".to_owned())),
    };
    match pressed {
        Pressed::Granted => {}
        Pressed::Several => {
            state.audit(caller, "claim: refused, several were open".to_owned());
            return Err(several());
        }
        Pressed::Nobody => {
            state.audit(caller, "claim: nobody pressed the button".to_owned());
            return Err(HttpError::Conflict(
                "nobody pressed the button within two minutes; try again, or enter the claim code".to_owned(),
            ));
        }
    }
    let _permit = hashing(state).await?;
    if state.claimed()? {
        return Err(HttpError::Claimed);
    }
    own(state, caller, password, "claim: done, by the button").await
}

fn several() -> HttpError {
    HttpError::Conflict(
        "several people claim this device at this moment, so the button grants it to none; enter the claim code"
            .to_owned(),
    )
}

/// The owner from now on. Whoever calls holds the hashing permit.
async fn own(state: &HttpState, caller: &Caller, password: String, what: &str) -> Result<Entered, HttpError> {
    let phc = secrets::hash_password(password).await?;
    state.records.set_password(Some(&phc))?;
    state.records.set_claim_code(None)?;
    state.tell_owner(None);
    state.audit(caller, what.to_owned());
    state.happened(What::Claimed);
    open(state, caller)
}

/// Logs in with the password. A session that the browser already had is ended.
pub(super) async fn login(
    state: &HttpState,
    caller: &Caller,
    password: String,
) -> Result<Entered, HttpError> {
    // Held to the end: who forgets the owner meanwhile forgets this session, too.
    let _permit = prove_owner(state, caller, password, "login").await?;
    logout(state, caller)?;
    state.audit(caller, "login: done".to_owned());
    state.happened(What::LoggedIn { from: caller.from() });
    open(state, caller)
}

/// Whether that is the owner's password; wrong ones are counted. As long as what is given back is kept, the owner stays.
pub(super) async fn prove_owner<'a>(
    state: &'a HttpState,
    caller: &Caller,
    password: String,
    what: &str,
) -> Result<tokio::sync::SemaphorePermit<'a>, HttpError> {
    if !caller.channel.is_private() {
        return Err(HttpError::Plain);
    }
    state.begin_try(Door::Login, caller)?;
    let permit = hashing(state).await?;
    let Some(phc) = state.records.password()? else { return Err(HttpError::Unclaimed) };
    if !secrets::fits(password, phc).await? {
        state.audit(caller, format!("{what}: refused, wrong password"));
        return Err(HttpError::WrongPassword);
    }
    state.try_succeeded(Door::Login, caller);
    Ok(permit)
}

/// Ends the caller's session, if there is one; gives the header that makes the browser forget it.
pub(super) fn logout(state: &HttpState, caller: &Caller) -> Result<HeaderValue, HttpError> {
    if let By::Session(hash) = &caller.by {
        state.records.remove_session(hash)?;
        state.audit(caller, "logout: done".to_owned());
    }
    Ok(HeaderValue::from_static("dockbeacon_session=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0"))
}

/// Forgets the owner, every session and every token; gives the code for the next owner.
pub(super) async fn forget_owner(state: &HttpState, caller: &Caller) -> Result<String, HttpError> {
    // A claim that is under way comes to its end first, and is forgotten too.
    let _permit = hashing(state).await?;
    state.records.set_password(None)?;
    state.audit(caller, "reset-password: done".to_owned());
    let code = secrets::new_claim_code(state.records.as_ref())?
        .ok_or_else(|| HttpError::Unavailable("somebody claimed the device meanwhile".to_owned()))?;
    state.tell_owner(Some(&code));
    Ok(code)
}

/// The same at the button of the device.
pub(super) async fn forget_owner_by_button(state: &HttpState) -> Result<String, HttpError> {
    let _permit = hashing(state).await?;
    state.records.set_password(None)?;
    let what = "reset-password: done".to_owned();
    let row =
        AuditRow { at: (state.now)().civil, who: "button".to_owned(), from: "the device".to_owned(), what };
    state.records.audit(&row)?;
    let code = secrets::new_claim_code(state.records.as_ref())?
        .ok_or_else(|| HttpError::Unavailable("somebody claimed the device meanwhile".to_owned()))?;
    state.tell_owner(Some(&code));
    Ok(code)
}

fn open(state: &HttpState, caller: &Caller) -> Result<Entered, HttpError> {
    let secret = secrets::secret("")?;
    let created = (state.now)().civil;
    let expires = created + SESSION_ABSOLUTE;
    let role = Role::Admin;
    state.records.add_session(&SessionRow { hash: secrets::hash(&secret), role, created, expires })?;
    let age = SESSION_ABSOLUTE.as_secs();
    tracing::debug!(from = %caller.from(), "a session was opened");
    // Over a tunnel or behind a proxy on this machine the browser's own end may be plain.
    let secure = if caller.channel == Channel::Tls { "; Secure" } else { "" };
    let cookie =
        format!("{SESSION_COOKIE}={secret}; HttpOnly; SameSite=Strict; Path=/; Max-Age={age}{secure}");
    let mut cookie = HeaderValue::try_from(cookie)
        .map_err(|error| HttpError::Unavailable(format!("the cookie could not be made: {error}")))?;
    cookie.set_sensitive(true);
    Ok(Entered { role, expires, cookie })
}

async fn hashing(state: &HttpState) -> Result<tokio::sync::SemaphorePermit<'_>, HttpError> {
    state.own.hashing.acquire().await.map_err(|_| HttpError::Unavailable("the daemon is stopping".to_owned()))
}

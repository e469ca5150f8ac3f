//! What every request can reach.
//!
//! Owns the HTTP side's own memory: tries, last use of sessions, open streams. Must never hold a secret in clear.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono_tz::Tz;
use dockbeacon_core::auth::{Tries, session_over};
use dockbeacon_core::event::What;
use dockbeacon_core::now::Now;
use dockbeacon_core::settings::HttpSettings;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::caller::Caller;
use super::error::HttpError;
use crate::claims::Claims;
use crate::handles::{Command, Handles};
use crate::owner::Owner;
use crate::ports::{AuditRow, Records, SessionRow};
use crate::view::View;

/// The clock, handed in.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;

/// Event streams open at once; each costs a connection and a task on a small machine.
const STREAMS: usize = 32;
/// Sessions whose last use is remembered.
const SESSIONS: usize = 1024;

/// What every request can reach. Cheap to clone.
#[derive(Clone)]
pub struct HttpState {
    /// The loops.
    pub handles: Handles,
    /// The store.
    pub records: Arc<dyn Records>,
    /// `http.*`
    pub settings: Arc<HttpSettings>,
    /// The clock.
    pub now: Clock,
    /// For times of day on the page.
    pub time_zone: Tz,
    /// Through which console and boot partition learn of the claim code.
    pub owner: Option<Owner>,
    /// Cancelled when the daemon stops: streams end then.
    pub shutdown: CancellationToken,
    /// Claims that wait for a press of the button on the device.
    pub claims: Arc<Claims>,
    pub(super) own: Arc<Own>,
}

/// The HTTP side's own memory.
pub(super) struct Own {
    tries: Mutex<BTreeMap<Door, Tries>>,
    used: Mutex<BTreeMap<String, Duration>>,
    /// One password is hashed at a time: 19 MiB each.
    pub hashing: Semaphore,
    /// Open event streams.
    pub streams: Arc<Semaphore>,
}

/// What is being tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Door {
    /// The claim code.
    Claim,
    /// The password.
    Login,
}

impl HttpState {
    /// Puts it together.
    #[must_use]
    pub fn new(
        handles: Handles,
        records: Arc<dyn Records>,
        settings: HttpSettings,
        now: Clock,
        shutdown: CancellationToken,
    ) -> Self {
        let own = Own {
            tries: Mutex::default(),
            used: Mutex::default(),
            hashing: Semaphore::new(1),
            streams: Arc::new(Semaphore::new(STREAMS)),
        };
        Self {
            handles,
            records,
            settings: Arc::new(settings),
            now,
            time_zone: Tz::UTC,
            owner: None,
            shutdown,
            claims: Arc::default(),
            own: Arc::new(own),
        }
    }

    /// The same with times of day in that zone; UTC without it.
    #[must_use]
    pub fn in_zone(mut self, time_zone: Tz) -> Self {
        self.time_zone = time_zone;
        self
    }

    /// The same with files through which console and boot partition learn of the claim code.
    #[must_use]
    pub fn telling(mut self, owner: Owner) -> Self {
        self.owner = Some(owner);
        self
    }

    /// Tells console and boot partition: the code while there is no owner, else that there is one.
    pub(super) fn tell_owner(&self, code: Option<&str>) {
        if let Some(owner) = &self.owner {
            super::secrets::tell_owner(owner, code);
        }
    }

    /// The same with the claims that the button grants.
    #[must_use]
    pub fn with_claims(mut self, claims: Arc<Claims>) -> Self {
        self.claims = claims;
        self
    }

    /// The latest snapshot.
    pub(super) fn view(&self) -> Arc<View> {
        Arc::clone(&self.handles.view.borrow())
    }

    /// Whether the device has an owner.
    pub(super) fn claimed(&self) -> Result<bool, HttpError> {
        Ok(self.records.password()?.is_some())
    }

    /// Asks to try a secret; see [`Tries`].
    pub(super) fn begin_try(&self, door: Door, caller: &Caller) -> Result<(), HttpError> {
        let now = (self.now)();
        let mut tries = lock(&self.own.tries);
        tries
            .entry(door)
            .or_default()
            .begin(caller.address(), now)
            .map_err(|wait| HttpError::TooMany(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)))
    }

    /// The last try was right.
    pub(super) fn try_succeeded(&self, door: Door, caller: &Caller) {
        lock(&self.own.tries).entry(door).or_default().succeeded(caller.address());
    }

    /// The session of that hash, if it is not over; notes its use.
    pub(super) fn live_session(&self, hash: &str) -> Result<Option<SessionRow>, HttpError> {
        let Some(row) = self.records.session(hash)? else { return Ok(None) };
        let now = (self.now)();
        let mut used = lock(&self.own.used);
        if session_over(row.expires, used.get(hash).copied(), now) {
            used.remove(hash);
            drop(used);
            self.records.remove_session(hash)?;
            return Ok(None);
        }
        used.insert(hash.to_owned(), now.monotonic);
        if used.len() > SESSIONS {
            let oldest = used.iter().min_by_key(|(_, at)| **at).map(|(hash, _)| hash.clone());
            if let Some(oldest) = oldest {
                used.remove(&oldest);
            }
        }
        Ok(Some(row))
    }

    /// Writes a line into the audit log. A log that cannot be written is told to the journal and stops nobody.
    pub(super) fn audit(&self, caller: &Caller, what: String) {
        let row = AuditRow { at: (self.now)().civil, who: caller.who(), from: caller.from(), what };
        tracing::info!(who = %row.who, from = %row.from, what = %row.what, "audit");
        if let Err(error) = self.records.audit(&row) {
            tracing::error!(%error, "the audit log could not be written");
        }
    }

    /// Tells the loops of something that happened here, without waiting.
    pub(super) fn happened(&self, what: What) {
        if self.handles.commands.try_send(Command::Happened(what)).is_err() {
            tracing::warn!("an event of the HTTP side was lost: the loops do not listen");
        }
    }
}

impl std::fmt::Debug for HttpState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpState").field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

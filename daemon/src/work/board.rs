//! What is known now, in one place, and who is told when it changes.
//!
//! Owns the last inventory, the registries' last answers, the plan made of both, and the updates under way. Must never ask
//! the engine or a registry itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use dockbeacon_core::event::{Event, What};
use dockbeacon_core::model::{Container, ImageRef, Inventory};
use dockbeacon_core::settings::UpdateSettings;
use dockbeacon_core::update::candidate::{self, Known, Remote};
use dockbeacon_core::update::journal::Version;
use dockbeacon_core::update::lost::{self, Lost};
use dockbeacon_core::update::plan::{self, Plan};
use dockbeacon_core::update::policy::{Policy, policy};
use tokio::sync::{Notify, broadcast, watch};

use crate::store::Store;
use crate::view::{EngineView, UpdateView};

/// Events that a slow listener may lag behind before it must read the store.
const BACKLOG: usize = 256;

/// An answer waits at most so long for the snapshot.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);

/// What is known now.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// The last full listing; `None` until the first.
    pub inventory: Option<Arc<Inventory>>,
    /// How the engine answers.
    pub engine: EngineView,
    /// What registries said last.
    pub remote: BTreeMap<ImageRef, Remote>,
    /// Versions behind digests that were looked into.
    pub versions: BTreeMap<String, Version>,
    /// When registries were asked last.
    pub last_check: Option<DateTime<Utc>>,
    /// When they will be asked next.
    pub next_check: Option<DateTime<Utc>>,
    /// True while they are being asked.
    pub checking: bool,
    /// What is remembered.
    pub known: Known,
    /// The plan made of all that.
    pub plan: Plan,
    /// Since when the plan has been this one.
    pub plan_since: Option<Duration>,
    /// Since when the lamps say that updates wait, whatever they show of the button meanwhile.
    pub approvals_since: Option<Duration>,
    /// Updates under way, by transaction.
    pub running: BTreeMap<String, UpdateView>,
    /// Updates are paused until then.
    pub paused_until: Option<DateTime<Utc>>,
    /// Lamps are fast until then (monotonic).
    pub identify_until: Option<Duration>,
    /// Power, heat, card and memory.
    pub device: Vec<dockbeacon_core::device::Finding>,
    /// A backup is being made, by a command beside the daemon.
    pub backing_up: bool,
    /// Services that the ladder is bringing back.
    pub mending: BTreeSet<String>,
    /// The ladder is at its end.
    pub safe_mode: bool,
    /// What the lamps say to the person at the button.
    pub held: Option<dockbeacon_core::panel::Feedback>,
    /// Services that were lost in an update and have not been well since.
    pub lost: BTreeMap<String, Lost>,
    /// How the last try of a container and digest failed with its service as it was, and in which transaction.
    pub failures: BTreeMap<(String, String), (String, String)>,
    /// Things to know.
    pub notices: Vec<String>,
    /// Labels that are not honoured, in sentences.
    pub label_notices: Vec<String>,
    /// Why the schedule cannot be followed now.
    pub schedule_waits: Option<String>,
    /// The device has an owner.
    pub claimed: bool,
}

/// The state, and the bell that rings when it changes.
pub struct Board {
    state: Mutex<State>,
    update: UpdateSettings,
    store: Store,
    /// Rings when the snapshot for the outside is stale.
    pub changed: Notify,
    engine_back: Notify,
    /// Counts those who asked for a snapshot that holds what they did.
    asked: AtomicU64,
    /// Up to which of them the snapshot does.
    shown: watch::Sender<u64>,
    /// Every event from now on.
    pub events: broadcast::Sender<Event>,
}

impl Board {
    /// An empty board; what the store remembers is read in.
    #[must_use]
    pub fn new(update: UpdateSettings, store: Store) -> Self {
        let (events, _) = broadcast::channel(BACKLOG);
        let board = Self {
            state: Mutex::default(),
            update,
            store,
            changed: Notify::new(),
            engine_back: Notify::new(),
            asked: AtomicU64::new(0),
            shown: watch::Sender::new(0),
            events,
        };
        board.recall();
        let kept = board.store.meta_get(LOST).ok().flatten();
        board.state().lost = kept.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
        board
    }

    /// Waits until the snapshot for the outside holds what is known now, so that whoever is answered and then looks sees
    /// what he was told. Not for long: an answer matters more.
    pub async fn until_shown(&self) {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.changed.notify_one();
        let mut shown = self.shown.subscribe();
        let _ = tokio::time::timeout(SHOWN_WITHIN, shown.wait_for(|shown| *shown >= number)).await;
    }

    /// For the one who makes the snapshot: to be asked before making it.
    pub fn asked_so_far(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    /// For the one who makes the snapshot: those who asked up to here are served.
    pub fn shown(&self, asked: u64) {
        self.shown.send_replace(asked);
    }

    /// A service is not as it was; that is kept until it is well, also over restarts.
    pub fn lose(&self, name: &str, why: &str) {
        let mut state = self.state();
        state.lost.insert(name.to_owned(), Lost { why: why.to_owned(), seen: false });
        self.keep_lost(&state.lost);
    }

    /// Forgets lost services that this listing shows to be well.
    pub fn review_lost(&self, inventory: &Inventory) {
        let mut state = self.state();
        let remaining = lost::remaining(&state.lost, inventory);
        if remaining != state.lost {
            state.lost = remaining;
            self.keep_lost(&state.lost);
        }
    }

    fn keep_lost(&self, lost: &BTreeMap<String, Lost>) {
        let kept = serde_json::to_string(lost).map_err(|e| e.to_string());
        if let Err(error) = kept.and_then(|json| self.store.meta_set(LOST, &json).map_err(|e| e.to_string()))
        {
            tracing::error!(%error, "cannot keep which services were lost in an update");
        }
    }

    /// Whether this failure of a container's move to this target is the one that was told last.
    pub fn is_old_failure(&self, name: &str, target: &str, message: &str) -> bool {
        let key = (name.to_owned(), target.to_owned());
        self.state().failures.get(&key).is_some_and(|(told, _)| told == message)
    }

    /// Notes a failure; the transaction of the one before.
    pub fn note_failure(&self, name: &str, target: &str, message: &str, tx: &str) -> Option<String> {
        let key = (name.to_owned(), target.to_owned());
        let before = self.state().failures.insert(key, (message.to_owned(), tx.to_owned()));
        before.map(|(_, tx)| tx)
    }

    /// The state, to read or to change; ring `touch` after a change.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the plan anew and tells that the snapshot is stale.
    pub fn touch(&self) {
        self.replan(&BTreeSet::new());
        self.changed.notify_one();
    }

    /// Reads what is remembered from the store.
    pub fn recall(&self) {
        let bad = self.store.bad_list().unwrap_or_else(|error| {
            tracing::error!(%error, "cannot read which digests were put back");
            Vec::new()
        });
        let approved = self.store.approvals().unwrap_or_else(|error| {
            tracing::error!(%error, "cannot read the approvals");
            Vec::new()
        });
        let paused = self.store.meta_get(PAUSED_UNTIL).ok().flatten();
        let open = self.store.journal_open().unwrap_or_default();
        let mut state = self.state();
        state.known.bad = bad.into_iter().map(|b| ((b.container, b.digest), b.why)).collect();
        state.known.approved = approved.into_iter().map(|a| ((a.container, a.digest), a.by)).collect();
        state.known.unfinished = open.iter().filter_map(|(_, records)| service_of(records)).collect();
        state.paused_until =
            paused.and_then(|t| DateTime::parse_from_rfc3339(&t).ok()).map(|t| t.with_timezone(&Utc));
    }

    /// The plan for a run in which these containers are asked for by name; kept only when none is.
    pub fn replan(&self, requested: &BTreeSet<String>) -> Plan {
        let now = crate::clock::now();
        let mut state = self.state();
        let Some(inventory) = state.inventory.clone() else { return Plan::default() };
        let mut known = state.known.clone();
        known.requested.clone_from(requested);
        known.paused_until = state.paused_until.filter(|t| *t > now.civil).map(|t| t.to_rfc3339());
        let policies = self.policies(&inventory);
        say_labels(&mut state, &policies);
        let findings = policies
            .iter()
            .map(|(container, policy)| {
                candidate::finding(container, policy, &inventory, &state.remote, &known)
            })
            .collect();
        let plan = plan::plan(findings, &inventory);
        if requested.is_empty() {
            if state.plan.fingerprint != plan.fingerprint || state.plan_since.is_none() {
                state.plan_since = Some(now.monotonic);
            }
            state.plan = plan.clone();
        }
        plan
    }

    /// Every container with its policy.
    #[must_use]
    pub fn policies<'a>(&self, inventory: &'a Inventory) -> Vec<(&'a Container, Policy)> {
        inventory.containers.iter().map(|c| (c, policy(&self.update, c))).collect()
    }

    /// Tells the world that something happened, and keeps it.
    pub fn tell(&self, what: What) {
        let at = crate::clock::now().civil;
        let id = match serde_json::to_string(&what)
            .map_err(|e| e.to_string())
            .and_then(|json| self.store.event_add(at, &json).map_err(|e| e.to_string()))
        {
            Ok(id) => id,
            Err(error) => {
                tracing::warn!(%error, "an event could not be kept");
                return;
            }
        };
        // Nobody listening is fine.
        let _ = self.events.send(Event { id, at, what });
        self.changed.notify_one();
    }

    /// Tells those who listen now; not kept: there are many of these, and the story of the update is kept elsewhere.
    pub fn tell_passing(&self, what: What) {
        // Id 0 says that it cannot be resumed from.
        let _ = self.events.send(Event { id: 0, at: crate::clock::now().civil, what });
        self.changed.notify_one();
    }

    /// Tells those who listen now that the snapshot is another one. Rings no bell: it comes from the one who makes it.
    pub fn tell_changed(&self) {
        let at = crate::clock::now().civil;
        let _ = self.events.send(Event { id: 0, at, what: What::InventoryChanged });
    }

    /// The engine answers (again), or does not (any more).
    pub fn engine_state(&self, state_now: Result<(String, String), String>, address: &str) {
        let now = crate::clock::now().civil;
        let mut state = self.state();
        let before = (state.engine.up, state.engine.since.is_some());
        let up = state_now.is_ok();
        if before != (up, true) {
            state.engine.since = Some(now);
        }
        state.engine.up = up;
        address.clone_into(&mut state.engine.address);
        let event = match state_now {
            Ok((version, api)) => {
                state.engine.error = None;
                state.engine.version.clone_from(&version);
                state.engine.api_version = api;
                What::EngineUp { version }
            }
            Err(error) => {
                state.engine.error = Some(error.clone());
                What::EngineDown { error }
            }
        };
        drop(state);
        if before != (up, true) {
            if up {
                self.engine_back.notify_one();
            }
            self.tell(event);
        }
    }

    /// Waits until the engine answers after it did not, or for the first time.
    pub async fn engine_back(&self) {
        self.engine_back.notified().await;
    }
}

/// The key under which the end of a pause is kept.
pub const PAUSED_UNTIL: &str = "paused-until";

/// The key under which lost services are kept.
pub const LOST: &str = "lost-services";

/// Labels that are not honoured are told once in the log, and stay among the notices while they are there.
fn say_labels(state: &mut State, policies: &[(&Container, Policy)]) {
    let sentences: Vec<String> = policies
        .iter()
        .flat_map(|(container, policy)| policy.warnings.iter().map(|w| format!("{}: {w}", container.name)))
        .collect();
    for sentence in sentences.iter().filter(|s| !state.label_notices.contains(s)) {
        tracing::warn!("{sentence}");
    }
    state.label_notices = sentences;
}

/// The service that an unfinished journal is about.
fn service_of(records: &[(DateTime<Utc>, String)]) -> Option<String> {
    let plan: serde_json::Value = serde_json::from_str(&records.first()?.1).ok()?;
    plan.get("name")?.as_str().map(str::to_owned)
}

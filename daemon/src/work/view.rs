//! From what is known to what the outside may see.
//!
//! Owns the making of the snapshot, and the story of each update as it goes on. Must never decide: moods and sentences
//! follow from the core's findings.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use dockbeacon_core::event::{Event, What};
use dockbeacon_core::model::{Container, ContainerState, Health, ImageRef, Inventory, compose};
use dockbeacon_core::reason::Reason;
use dockbeacon_core::settings::Mode;
use dockbeacon_core::update::candidate::{Action, Finding, Target};
use dockbeacon_core::update::journal::{Kind, State as TxState, Tx, Version};
use dockbeacon_core::update::policy::Policy;
use dockbeacon_core::update::{names, plan, version};

use super::Work;
use super::board::State;
use crate::view::{
    ContainerView, EventView, Mood, PlanEntryView, PlanView, ReasonView, Status, StepView, UpdateView,
    VersionView,
};

/// Updates in the snapshot.
const UPDATES: usize = 200;
/// Events in the snapshot.
const EVENTS: usize = 50;

/// One update, told while it goes on.
pub struct Story<'a> {
    work: &'a Work,
    view: UpdateView,
    last_detail: String,
}

impl<'a> Story<'a> {
    /// Begins to tell, or goes on where an earlier process stopped.
    pub(super) fn new(work: &'a Work, tx: &Tx) -> Self {
        let plan = &tx.plan;
        let before = work.store.update_get(plan.tx.as_str()).ok().flatten();
        let view = before.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_else(|| UpdateView {
            tx: plan.tx.to_string(),
            container: plan.name.to_string(),
            image: plan.reference.as_written().to_owned(),
            from: version_view(&plan.from),
            to: version_view(&plan.to),
            kind: match plan.kind {
                Kind::Update => "update".to_owned(),
                Kind::Rollback => "rollback".to_owned(),
            },
            cause: plan.cause.clone(),
            outcome: "running".to_owned(),
            started: Some((work.clock)().civil),
            ..UpdateView::default()
        });
        let mut story = Self { work, view, last_detail: String::new() };
        if tx.recoveries > 0 {
            story.step(tx, "taken up again after an interruption");
        }
        story
    }

    /// Another step, or more to say about this one.
    pub(super) fn step(&mut self, tx: &Tx, detail: &str) {
        let state = tx.state();
        let now = (self.work.clock)().civil;
        let changed = self.view.state != state.word() || self.view.steps.is_empty();
        if changed {
            self.finish_step(now);
            state.word().clone_into(&mut self.view.state);
            self.view.steps.push(StepView {
                state: state.word().to_owned(),
                at: Some(now),
                ..StepView::default()
            });
            self.keep(None);
        }
        if !changed && (detail.is_empty() || detail == self.last_detail) {
            return;
        }
        detail.clone_into(&mut self.last_detail);
        if let Some(step) = self.view.steps.last_mut() {
            detail.clone_into(&mut step.detail);
        }
        self.view.message = sentence(tx, state, detail);
        self.publish();
        self.work.board.tell_passing(What::UpdateStep {
            tx: self.view.tx.clone(),
            container: self.view.container.clone(),
            state: state.word().to_owned(),
            detail: self.view.message.clone(),
        });
    }

    /// How far a pull is.
    pub(super) fn pulled(&mut self, tx: &Tx, done: usize, total: usize, bytes: u64, of: u64) {
        let megabytes = |b: u64| b / 1_000_000;
        let detail = if megabytes(of) > 0 {
            format!("{done} of {total} layers, {} of {} MB", megabytes(bytes), megabytes(of))
        } else {
            format!("{done} of {total} layers")
        };
        self.step(tx, &detail);
    }

    /// The end.
    pub(super) fn end(&mut self, tx: &Tx) {
        let now = (self.work.clock)().civil;
        self.finish_step(now);
        let Some((outcome, message)) = &tx.ended else { return };
        tx.state().word().clone_into(&mut self.view.state);
        outcome.word().clone_into(&mut self.view.outcome);
        self.view.message.clone_from(message);
        self.view.log.clone_from(&tx.log);
        self.view.ended = Some(now);
        self.keep(Some(now));
        self.work.board.state().running.remove(&self.view.tx);
        self.work.board.changed.notify_one();
    }

    fn finish_step(&mut self, now: DateTime<Utc>) {
        if let Some(step) = self.view.steps.last_mut()
            && let Some(at) = step.at
        {
            step.seconds = seconds(now - at);
        }
    }

    fn publish(&self) {
        self.work.board.state().running.insert(self.view.tx.clone(), self.view.clone());
        self.work.board.changed.notify_one();
    }

    fn keep(&self, ended: Option<DateTime<Utc>>) {
        let started = self.view.started.unwrap_or_default();
        let kept = serde_json::to_string(&self.view).map_err(|e| e.to_string()).and_then(|json| {
            let store = &self.work.store;
            store
                .update_put(&self.view.tx, &self.view.container, started, ended, &json)
                .map_err(|e| e.to_string())
        });
        if let Err(error) = kept {
            tracing::warn!(%error, "the story of an update could not be kept");
        }
    }
}

fn sentence(tx: &Tx, state: TxState, detail: &str) -> String {
    let name = &tx.plan.name;
    let to = &tx.plan.to.name;
    let words = match state {
        TxState::Planned => format!("{name} goes to {to}"),
        TxState::Pulling => format!("pulling {to} for {name}"),
        TxState::Creating => format!("making the new {name} beside the old one"),
        TxState::Stopping => format!("stopping the old {name}"),
        TxState::Parking => format!("putting the old {name} aside"),
        TxState::Starting => format!("starting {name} {to}"),
        TxState::Verifying => format!("watching {name} {to}"),
        TxState::Committing => format!("{name} {to} is well; removing the old one"),
        TxState::Done => format!("{name} runs {to}"),
        TxState::RollingBack => format!("bringing {name} {} back", tx.plan.from.name),
        TxState::RolledBack => format!("{name} runs {} again", tx.plan.from.name),
        TxState::StoodBack => format!("somebody else took {name} over"),
    };
    if detail.is_empty() { words } else { format!("{words}: {detail}") }
}

fn seconds(length: chrono::TimeDelta) -> f64 {
    // Milliseconds are exact in a double for longer than anybody waits.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of one update")]
    let milliseconds = length.num_milliseconds().max(0) as f64;
    milliseconds / 1000.0
}

/// A version for the outside.
#[must_use]
pub fn version_view(version: &Version) -> VersionView {
    VersionView {
        name: version.name.clone(),
        digest: version.digest.clone(),
        built: DateTime::parse_from_rfc3339(&version.built).ok().map(|t| t.with_timezone(&Utc)),
    }
}

/// A reason for the outside.
#[must_use]
pub fn reason_view(reason: &Reason) -> ReasonView {
    ReasonView { code: reason.code(), text: reason.to_string() }
}

/// Everything about containers, plan and updates. What the panel shows and which settings hold is added by the loops.
#[must_use]
pub fn snapshot(work: &Work) -> (Status, Vec<ContainerView>, PlanView, Vec<UpdateView>) {
    let state = work.board.state().clone();
    let now = (work.clock)().civil;
    let inventory = state.inventory.clone().unwrap_or_default();
    let policies: BTreeMap<String, Policy> =
        work.board.policies(&inventory).into_iter().map(|(c, p)| (c.name.to_string(), p)).collect();
    let updates = updates(work, &state, now, &inventory);
    let mut containers: Vec<ContainerView> = inventory
        .containers
        .iter()
        .filter(|c| names::parse(c.name.as_str()).is_none())
        .map(|c| container(work, c, &inventory, &state, policies.get(c.name.as_str())))
        .collect();
    containers.sort_by(|a, b| (&a.project, &a.name).cmp(&(&b.project, &b.name)));
    let plan = plan_view(&state, &inventory);
    let status = super::status::status(work, &state, &containers, now);
    (status, containers, plan, updates)
}

fn updates(work: &Work, state: &State, now: DateTime<Utc>, inventory: &Inventory) -> Vec<UpdateView> {
    let mut found: Vec<UpdateView> = state.running.values().cloned().collect();
    for view in &mut found {
        if let Some(step) = view.steps.last_mut()
            && let Some(at) = step.at
        {
            step.seconds = seconds(now - at);
        }
    }
    let kept = work.store.updates(UPDATES).unwrap_or_else(|error| {
        tracing::warn!(%error, "the history of updates could not be read");
        Vec::new()
    });
    for json in kept {
        let Ok(view) = serde_json::from_str::<UpdateView>(&json) else { continue };
        if !found.iter().any(|f| f.tx == view.tx) {
            found.push(view);
        }
    }
    let mut newest = BTreeSet::new();
    for view in &mut found {
        // Only the newest update of a container can be undone by a click, and only while its image is here.
        let first = newest.insert(view.container.clone());
        let there = inventory.images.iter().any(|i| i.digests.iter().any(|d| d.ends_with(&view.from.digest)));
        view.can_roll_back = first && view.outcome == "updated" && !view.from.digest.is_empty() && there;
    }
    found
}

fn container(
    work: &Work,
    container: &Container,
    inventory: &Inventory,
    state: &State,
    policy: Option<&Policy>,
) -> ContainerView {
    let name = container.name.as_str();
    let finding = state.plan.entries.iter().find(|f| f.name == container.name);
    let updating = state.running.values().find(|u| u.container == name).map(|u| u.tx.clone());
    let label = |key: &str| container.labels.get(key).unwrap_or_default().to_owned();
    let rollback_to = work.store.generations(name).unwrap_or_default().into_iter().find(|g| {
        g.image_id != container.image_id.as_str()
            && inventory.images.iter().any(|i| i.id.as_str() == g.image_id)
    });
    ContainerView {
        id: container.id.to_string(),
        name: name.to_owned(),
        project: label(compose::PROJECT),
        image: container.image.clone(),
        version: version_view(&Work::running_version(inventory, &container.name)),
        state: container.state.word().to_owned(),
        health: health_word(container).to_owned(),
        status: container.status.clone(),
        mood: mood(container, finding, updating.is_some(), state.lost.contains_key(name)),
        policy: policy.map(|p| mode_word(p.mode)).unwrap_or_default().to_owned(),
        policy_origin: policy.map(|p| p.origin.clone()).unwrap_or_default(),
        candidate: finding.and_then(|f| candidate_version(f, state, inventory)),
        next: finding.map_or("none", |f| f.action.word()).to_owned(),
        reason: finding.map(|f| reason_view(&f.reason)).unwrap_or_default(),
        ports: container.ports.clone(),
        created: container.created,
        updating,
        rollback_to: rollback_to
            .and_then(|g| serde_json::from_str(&g.version).ok())
            .map(|v| version_view(&v)),
    }
}

fn health_word(container: &Container) -> &'static str {
    match container.health {
        None => "",
        Some(Health::Starting) => "starting",
        Some(Health::Healthy) => "healthy",
        Some(Health::Unhealthy) => "unhealthy",
    }
}

const fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Auto => "auto",
        Mode::Approve => "approve",
        Mode::Monitor => "monitor",
        Mode::Off => "off",
    }
}

/// Whether a container is in trouble by its own showing: unhealthy, restarting over and over, dead, or lost in an update.
#[must_use]
pub fn is_unwell(container: &Container, lost: bool) -> bool {
    let unhealthy = container.health == Some(Health::Unhealthy);
    let state = match container.state {
        ContainerState::Restarting | ContainerState::Dead => true,
        ContainerState::Running
        | ContainerState::Created
        | ContainerState::Paused
        | ContainerState::Removing
        | ContainerState::Exited => false,
    };
    // Exited with an error, not stopped by somebody (130, 137 and 143 are the signals that stop): the engine says so in its
    // status. What `docker compose run` started once is nobody's service.
    let by_hand = ["Exited (0)", "Exited (130)", "Exited (137)", "Exited (143)"];
    let failed = container.state == ContainerState::Exited
        && container.labels.get(compose::ONE_OFF) != Some("True")
        && !by_hand.iter().any(|ok| container.status.starts_with(ok));
    unhealthy || state || failed || lost
}

fn mood(container: &Container, finding: Option<&Finding>, updating: bool, lost: bool) -> Mood {
    if updating {
        Mood::Working
    } else if is_unwell(container, lost) {
        Mood::Fault
    } else if finding.is_some_and(|f| f.action == Action::Approve) {
        Mood::Waiting
    } else {
        Mood::Well
    }
}

fn candidate_version(finding: &Finding, state: &State, inventory: &Inventory) -> Option<VersionView> {
    let target = finding.target.as_ref()?;
    let reference = ImageRef::parse(&finding.image).ok();
    let to = match target {
        Target::Registry(digest) => state
            .versions
            .get(digest.as_str())
            .cloned()
            .unwrap_or_else(|| version::of_remote(None, None, reference.as_ref(), target)),
        Target::Local(image) => version::of_image(inventory.image(image), reference.as_ref()),
    };
    let (_, to) = version::told_apart(Work::running_version(inventory, &finding.name), to);
    Some(version_view(&to))
}

fn plan_view(state: &State, inventory: &Inventory) -> PlanView {
    let entries = state
        .plan
        .entries
        .iter()
        .filter(|f| names::parse(f.name.as_str()).is_none())
        .map(|finding| {
            let has_check = inventory.by_name(finding.name.as_str()).is_some_and(|c| c.health.is_some());
            PlanEntryView {
                container: finding.name.to_string(),
                image: finding.image.clone(),
                action: finding.action.word().to_owned(),
                reason: reason_view(&finding.reason),
                from: version_view(&Work::running_version(inventory, &finding.name)),
                to: candidate_version(finding, state, inventory),
                steps: plan::steps(finding, has_check),
            }
        })
        .collect();
    PlanView { fingerprint: state.plan.fingerprint.clone(), made: state.last_check, entries }
}

/// The last events, newest first.
#[must_use]
pub fn events(work: &Work) -> Vec<EventView> {
    let found = work.store.events_recent(EVENTS * 2).unwrap_or_else(|error| {
        tracing::warn!(%error, "the events could not be read");
        Vec::new()
    });
    let mut told: Vec<EventView> = found.iter().filter_map(event).collect();
    // A check that came to the same as the one before it is no news; the newer one stays.
    told.dedup_by(|older, newer| newer.name == "check-finished" && older.text == newer.text);
    told.truncate(EVENTS);
    told
}

fn event(event: &Event) -> Option<EventView> {
    if matches!(
        event.what,
        What::InventoryChanged | What::CheckStarted | What::UpdateStep { .. } | What::PanelChanged { .. }
    ) {
        return None;
    }
    let (mood, text, container) = tell(&event.what);
    let container = container.to_owned();
    Some(EventView { id: event.id, at: event.at, name: event.what.name(), mood, text, container })
}

/// An event's sentence for people.
#[must_use]
pub fn words(what: &What) -> String {
    tell(what).1
}

fn tell(what: &What) -> (Mood, String, &str) {
    match what {
        What::InventoryChanged => (Mood::Well, "what is shown changed".to_owned(), ""),
        What::CheckStarted => (Mood::Working, "asking the registries".to_owned(), ""),
        What::UpdateStep { container, detail, .. } => (Mood::Working, detail.clone(), container.as_str()),
        What::PanelChanged { state } => (Mood::Well, format!("the panel shows {state}"), ""),
        What::Started { version } => (Mood::Well, format!("Dockbeacon {version} started"), ""),
        What::EngineUp { version } => (Mood::Well, format!("engine {version} answers"), ""),
        What::EngineDown { error } => (Mood::Fault, error.clone(), ""),
        What::CheckFinished { images, candidates, failed } => {
            let mood = match (candidates, failed) {
                (0, 0) => Mood::Well,
                (_, 0) => Mood::Waiting,
                _ => Mood::Fault,
            };
            (mood, super::check::told(*images, *candidates, *failed), "")
        }
        What::CandidateFound { container, image, digest } => {
            (Mood::Waiting, format!("newer image for {container}: {image} ({digest})"), container.as_str())
        }
        What::UpdateStarted { container, from, to, .. } => {
            (Mood::Working, format!("updating {container} from {from} to {to}"), container.as_str())
        }
        What::UpdateFinished { container, outcome, message, .. } => {
            let mood =
                if matches!(outcome.as_str(), "updated" | "unchanged") { Mood::Well } else { Mood::Fault };
            (mood, message.clone(), container.as_str())
        }
        What::Approved { containers, by } => {
            (Mood::Working, format!("{} approved by {by}", containers.join(", ")), "")
        }
        What::Paused { until, by } => (
            Mood::Waiting,
            format!("updates paused until {} by {by}", until.format("%Y-%m-%d %H:%M UTC")),
            "",
        ),
        What::Resumed { by } => (Mood::Well, format!("updates go on, said {by}"), ""),
        What::Gesture { gesture, did } => (Mood::Working, format!("button {gesture}: {did}"), ""),
        What::DeviceChanged { verdict, text, .. } => {
            let mood = match verdict.as_str() {
                "bad" => Mood::Fault,
                "note" => Mood::Waiting,
                _ => Mood::Well,
            };
            (mood, text.clone(), "")
        }
        What::Ladder { step, text } => {
            let mood = if step == "safe-mode-over" { Mood::Well } else { Mood::Fault };
            (mood, text.clone(), "")
        }
        What::Claimed => (Mood::Well, "the device has an owner".to_owned(), ""),
        What::FactoryReset { text } => (Mood::Waiting, text.clone(), ""),
        What::LoggedIn { from } => (Mood::Well, format!("somebody logged in from {from}"), ""),
    }
}

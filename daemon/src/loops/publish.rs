//! The loop that shows: it makes the snapshot for page and API, and the state of the front panel.
//!
//! Owns the pace of both. Must never be waited for by whoever changes something.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::Timelike as _;
use dockbeacon_core::device::{Finding, is_fault, is_power};
use dockbeacon_core::event::What;
use dockbeacon_core::panel::{ButtonFacts, PanelFacts, SEEN_AFTER, ShownPlan, State, choose};
use dockbeacon_core::provision::report::Report;
use dockbeacon_core::provision::reset::Extent;
use dockbeacon_core::provision::steps::Stage;
use dockbeacon_core::settings::Settings;
use dockbeacon_core::update::candidate::Action;
use tokio::sync::watch;

use crate::owner::Owner;
use crate::panel::{PanelState, panel_view};
use crate::supervisor::Progress;
use crate::view::{DeviceView, FindingView, PanelView, SettingView, Status, View};
use crate::work::{Work, view};
use crate::{firstboot, host};

/// At most this many snapshots a second, whatever happens.
const PACE: Duration = Duration::from_millis(100);
/// The panel has hours, and a press means more once the lamp has been on for a while: look at least this often.
const LOOK: Duration = Duration::from_secs(15);

/// First boot works beside us and tells nobody: look so often while it does.
const FIRST_BOOT: Duration = Duration::from_secs(1);

/// What stays the same while the process lives.
#[derive(Debug, Clone)]
pub struct Fixed {
    /// The settings as the page lists them.
    pub settings: Vec<SettingView>,
    /// The panel's driver, why, and the button.
    pub panel: PanelView,
    /// What the board calls itself.
    pub model: String,
    /// Where a reset is asked for.
    pub owner: Owner,
    /// When the process started.
    pub started: chrono::DateTime<chrono::Utc>,
}

/// Runs until the shutdown.
pub async fn run(
    work: Work,
    fixed: Fixed,
    out: watch::Sender<Arc<View>>,
    panel: watch::Sender<PanelState>,
    progress: Progress,
) -> Result<(), String> {
    let mut fault = false;
    loop {
        progress.mark_and_expect_within(LOOK);
        let asked = work.board.asked_so_far();
        let view = make(&work, &fixed, &panel, &mut fault);
        let changed = out.send_if_modified(|before| {
            let changed = **before != view;
            if changed {
                *before = Arc::new(view);
            }
            changed
        });
        work.board.shown(asked);
        if changed {
            // Only now does whoever fetches the page anew see it.
            work.board.tell_changed();
        }
        let look = until_seen(&work).map_or(LOOK, |wait| wait.min(LOOK));
        let look = if firstboot::is_at_work(Path::new("/")) { FIRST_BOOT } else { look };
        tokio::select! {
            () = work.shutdown.cancelled() => {
                panel.send_if_modified(|shown| set(shown, State::None, (work.clock)().monotonic));
                return Ok(());
            }
            () = work.board.changed.notified() => tokio::time::sleep(PACE).await,
            () = tokio::time::sleep(look) => {}
        }
    }
}

/// How long until a press approves what the lamp says.
fn until_seen(work: &Work) -> Option<Duration> {
    let shown = button_facts(work, &work.settings).shown?;
    Some(SEEN_AFTER.saturating_sub(shown.shown_for)).filter(|wait| !wait.is_zero())
}

/// `fault` is whether there was one at the last look.
fn make(work: &Work, fixed: &Fixed, panel: &watch::Sender<PanelState>, fault: &mut bool) -> View {
    match crate::ports::Records::password(&work.store) {
        Ok(password) => work.board.state().claimed = password.is_some(),
        Err(error) => tracing::warn!(%error, "whether the device is claimed could not be read"),
    }
    let (mut status, containers, plan, updates) = view::snapshot(work);
    status.started = Some(fixed.started);
    let first_boot = firstboot::reports(Path::new("/"));
    status.notices.extend(first_boot.iter().flat_map(Report::sentences));
    let facts = panel_facts(work, &status, &updates);
    let facts = PanelFacts {
        first_boot: first_boot.iter().find_map(Report::lamp),
        fault: facts.fault || first_boot.iter().any(Report::needs_its_owner),
        ..facts
    };
    let now = (work.clock)();
    let shown = choose(&facts);
    {
        let waits = choose(&PanelFacts { held: None, ..facts }) == State::ApprovalsWaiting;
        let mut state = work.board.state();
        state.approvals_since = waits.then(|| state.approvals_since.unwrap_or(now.monotonic));
    }
    if panel.send_if_modified(|before| set(before, shown, now.monotonic)) {
        work.board.tell(What::PanelChanged { state: shown.name().to_owned() });
    }
    // Not only when the lamps show it: they may have something more urgent to say, such as that nobody owns the device.
    let before = std::mem::replace(fault, facts.fault);
    if facts.fault && !before && work.settings.device.keep_journal {
        tokio::spawn(host::keep_journal());
    }
    let since = panel.borrow().since;
    let age = now.monotonic.saturating_sub(since);
    let civil_since = chrono::TimeDelta::from_std(age).ok().and_then(|age| now.civil.checked_sub_signed(age));
    let button = button_facts(work, &work.settings);
    View {
        panel: PanelView {
            why: fixed.panel.why.clone(),
            button: fixed.panel.button.clone(),
            problems: fixed.panel.problems.clone(),
            ..panel_view(shown, &button, civil_since, &fixed.panel.driver)
        },
        device: DeviceView {
            can_reset: first_boot.iter().any(|report| report.stage == Stage::Early),
            reset_asked: fixed.owner.asked_reset().map_or("", Extent::name).to_owned(),
            ..device_view(work, &fixed.model)
        },
        events: view::events(work),
        settings: fixed.settings.clone(),
        status,
        containers,
        plan,
        updates,
    }
}

fn device_view(work: &Work, model: &str) -> DeviceView {
    let state = work.board.state();
    let view = |f: &Finding| FindingView {
        measure: f.measure.name().to_owned(),
        verdict: f.verdict.name().to_owned(),
        value: f.value.clone(),
        text: f.text.clone(),
    };
    DeviceView {
        model: model.to_owned(),
        safe_mode: state.safe_mode,
        findings: state.device.iter().map(view).collect(),
        ..DeviceView::default()
    }
}

fn set(shown: &mut PanelState, state: State, now: Duration) -> bool {
    let changed = shown.state != state;
    if changed {
        *shown = PanelState { state, since: now };
    }
    changed
}

fn panel_facts(work: &Work, status: &Status, updates: &[crate::view::UpdateView]) -> PanelFacts {
    let state = work.board.state();
    let now = (work.clock)();
    let local = now.civil.with_timezone(&work.settings.schedule.time_zone);
    let minute = u16::try_from(local.hour() * 60 + local.minute()).ok();
    PanelFacts {
        asleep: state.inventory.is_none() && state.engine.error.is_none(),
        identify: state.identify_until.is_some_and(|until| now.monotonic < until),
        held: state.held,
        claimed: state.claimed,
        fault: state.engine.error.is_some()
            || status.unwell > status.mending
            || state.safe_mode
            || is_fault(&state.device),
        power: is_power(&state.device),
        working: state.backing_up || updates.iter().any(|u| u.outcome == "running"),
        healing: !state.mending.is_empty(),
        approvals: status.waiting,
        hours: work.settings.panel.lamps,
        minute: if now.trusted { minute } else { None },
        ..PanelFacts::default()
    }
}

/// What the virtual button stands before.
#[must_use]
pub fn button_facts(work: &Work, _settings: &Settings) -> ButtonFacts {
    let state = work.board.state();
    let now = (work.clock)();
    let waits = state.plan.entries.iter().any(|f| f.action == Action::Approve);
    let fingerprint = waits.then(|| state.plan.fingerprint.clone());
    // Both: this plan, and a lamp that says so and not something more urgent.
    let since = state.plan_since.zip(state.approvals_since).map(|(plan, lamp)| plan.max(lamp));
    let shown = fingerprint.clone().zip(since).map(|(fingerprint, since)| ShownPlan {
        fingerprint,
        shown_for: now.monotonic.saturating_sub(since),
    });
    ButtonFacts {
        by_hand: false,
        claimed: state.claimed,
        open_claims: work.claims.count(),
        waiting: fingerprint,
        shown,
        paused: state.paused_until.is_some_and(|until| until > now.civil),
    }
}

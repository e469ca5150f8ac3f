//! The front panel's outputs: drivers behind one trait, and the task that moves them.
//!
//! Owns the choice of a driver and the timing of edges. Must never choose what is shown: the state is given to it.

pub mod button;
mod choose;
pub mod evdev;
pub mod gpio;
pub mod led;
mod null;
pub mod rppal;
mod virtual_panel;

use std::time::Duration;

use chrono::{DateTime, Utc};
use dockbeacon_core::panel::{
    ButtonFacts, Gesture, LampSet, Levels, State, beats, levels, meaning, next_change,
};
use tokio::sync::watch;

use crate::clock;
use crate::shutdown::CancellationToken;
use crate::supervisor::Progress;
use crate::view::{BeatView, LampView, PanelView};

pub use button::{Edges, Sign};
pub use choose::{Chosen, choose, release};
pub use null::Null;
pub use virtual_panel::VirtualPanel;

/// The longest time for which [`run`] does not mark its progress; give the supervisor some more than that.
pub const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A lamp could not be moved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the panel driver {driver} could not set a lamp: {why}")]
pub struct LampError {
    /// The driver's name.
    pub driver: &'static str,
    /// What went wrong, and what to do.
    pub why: String,
}

/// Something with lamps on it.
pub trait Lamps: Send {
    /// The driver's name, as the page shows it.
    fn driver(&self) -> &'static str;
    /// Which lamps it has.
    fn set_of_lamps(&self) -> LampSet;
    /// Whether it can show brightness in between, and so wants an edge every 40 ms of a fade.
    fn fades(&self) -> bool;
    /// Shows these levels; called only when they may have changed.
    ///
    /// # Errors
    /// When the hardware refuses.
    fn show(&mut self, levels: &Levels) -> Result<(), LampError>;
    /// Gives the lamps back to whoever had them before: a dead daemon must never look well.
    fn hand_back(&mut self);
}

/// What is to be shown, and since when on the monotonic clock: rhythms count from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PanelState {
    /// The state.
    pub state: State,
    /// When it began.
    pub since: Duration,
}

/// Moves the lamps as the state says, until `stop`; then hands them back. A driver that refuses is told of once, and tried
/// again at the next edge.
pub async fn run(
    mut state: watch::Receiver<PanelState>,
    mut lamps: Box<dyn Lamps>,
    stop: CancellationToken,
    progress: Progress,
) {
    let set = lamps.set_of_lamps();
    let mut shown: Option<Levels> = None;
    let mut broken = false;
    loop {
        progress.mark();
        let PanelState { state: now_shown, since } = *state.borrow_and_update();
        let age = clock::now().monotonic.saturating_sub(since);
        let wanted = levels(now_shown, set, age);
        if shown != Some(wanted) {
            match lamps.show(&wanted) {
                Ok(()) => {
                    shown = Some(wanted);
                    broken = false;
                }
                Err(error) if !broken => {
                    tracing::warn!(%error, "front panel");
                    broken = true;
                }
                Err(_) => {}
            }
        }
        let wait = next_change(now_shown, set, age, lamps.fades()).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT);
        tokio::select! {
            () = stop.cancelled() => break,
            changed = state.changed() => if changed.is_err() { break },
            () = tokio::time::sleep(wait) => {}
        }
    }
    lamps.hand_back();
}

/// The panel as the page draws it: always three lamps. `since` is civil, `driver` the name of the one that is used.
#[must_use]
pub fn panel_view(
    state: State,
    facts: &ButtonFacts,
    since: Option<DateTime<Utc>>,
    driver: &str,
) -> PanelView {
    let set = LampSet::Three;
    let lamp = |lamp: &dockbeacon_core::panel::Lamp| LampView {
        name: lamp.name().to_owned(),
        pattern: beats(state, set, *lamp)
            .into_iter()
            .map(|beat| BeatView { level: beat.level, ms: beat.ms, fade: beat.fade })
            .collect(),
    };
    PanelView {
        driver: driver.to_owned(),
        state: state.name().to_owned(),
        words: state.words(),
        lamps: set.lamps().iter().map(lamp).collect(),
        press: meaning(Gesture::Press, facts).words().to_owned(),
        double_press: meaning(Gesture::DoublePress, facts).words().to_owned(),
        since,
        ..PanelView::default()
    }
}

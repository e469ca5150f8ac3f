//! The panel's task with its real drivers: edges come when they are due, and the lamps are handed back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use dockbeacon::clock;
use dockbeacon::panel::{Lamps, Null, PanelState, VirtualPanel, panel_view, run};
use dockbeacon::shutdown::CancellationToken;
use dockbeacon::supervisor::Progress;
use dockbeacon_core::panel::{ButtonFacts, Lamp, Levels, State};
use tokio::sync::watch;

const DEADLINE: Duration = Duration::from_secs(10);

/// Waits until the lamps are as described; the last value that was seen otherwise.
async fn until(
    shown: &mut watch::Receiver<Option<Levels>>,
    what: &str,
    wanted: impl FnMut(&Option<Levels>) -> bool,
) {
    let found = tokio::time::timeout(DEADLINE, shown.wait_for(wanted)).await;
    assert!(matches!(found, Ok(Ok(_))), "never {what}");
}

fn lit(levels: &Option<Levels>, lamp: Lamp) -> Option<bool> {
    levels.map(|levels| levels.of(lamp).lit)
}

#[tokio::test]
async fn the_virtual_lamps_follow_the_state_and_are_handed_back() {
    let panel = VirtualPanel::new();
    let mut shown = panel.watch();
    let since = clock::now().monotonic;
    let (state, states) = watch::channel(PanelState { state: State::Identify, since });
    let stop = CancellationToken::new();
    let task = tokio::spawn(run(states, Box::new(panel), stop.clone(), Progress::unwatched()));
    for round in 0..2 {
        until(&mut shown, &format!("lit in round {round}"), |l| {
            Lamp::ALL.iter().all(|x| lit(l, *x) == Some(true))
        })
        .await;
        until(&mut shown, &format!("dark in round {round}"), |l| {
            Lamp::ALL.iter().all(|x| lit(l, *x) == Some(false))
        })
        .await;
    }
    // A steady state sleeps long, and a change of state must wake it at once.
    state.send_replace(PanelState { state: State::Fault, since: clock::now().monotonic });
    until(&mut shown, "a steady fault lamp", |l| {
        lit(l, Lamp::Fault) == Some(true) && lit(l, Lamp::Health) == Some(false)
    })
    .await;
    state.send_replace(PanelState { state: State::Working, since: clock::now().monotonic });
    until(&mut shown, "the update lamp", |l| {
        lit(l, Lamp::Update) == Some(true) && lit(l, Lamp::Fault) == Some(false)
    })
    .await;
    stop.cancel();
    tokio::time::timeout(DEADLINE, task).await.expect("ends").unwrap();
    assert_eq!(*shown.borrow(), None);
}

#[tokio::test]
async fn a_device_without_lamps_ends_as_well() {
    let (_state, states) = watch::channel(PanelState::default());
    let stop = CancellationToken::new();
    assert_eq!(Null.driver(), "none");
    let task = tokio::spawn(run(states, Box::new(Null), stop.clone(), Progress::unwatched()));
    stop.cancel();
    tokio::time::timeout(DEADLINE, task).await.expect("ends").unwrap();
}

#[test]
fn the_page_draws_the_same_rhythm_as_the_lamps() {
    let facts = ButtonFacts { claimed: true, ..ButtonFacts::default() };
    let view = panel_view(State::AllWell, &facts, None, "virtual");
    let health = view.lamps.first().unwrap();
    assert_eq!((view.state.as_str(), health.name.as_str()), ("all-well", "health"));
    let beats: Vec<(f32, u32)> = health.pattern.iter().map(|beat| (beat.level, beat.ms)).collect();
    assert_eq!(beats, [(1.0, 80), (0.0, 2_920)]);
    assert_eq!(view.press, "looks for updates now");
    assert_eq!(view.double_press, "pauses automatic updates for 24 hours");
}

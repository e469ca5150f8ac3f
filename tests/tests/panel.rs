//! The panel's task with its real drivers: edges come when they are due, and the lamps are handed back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use dockbeacon::clock;
use dockbeacon::panel::{Edges, Lamps, Null, PanelState, Sign, VirtualPanel, panel_view, run};
use dockbeacon::shutdown::CancellationToken;
use dockbeacon::supervisor::Progress;
use dockbeacon_core::panel::{ButtonFacts, Feedback, Gesture, Lamp, Levels, State};
use tokio::sync::{mpsc, watch};

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

/// Follows a button whose edges the test makes.
fn button(double: bool) -> (Edges, mpsc::UnboundedReceiver<Sign>, CancellationToken) {
    let (edges, seen) = Edges::new();
    let (out, signs) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let tell = move |sign| assert!(out.send(sign).is_ok());
    tokio::spawn(dockbeacon::panel::button::follow(
        seen,
        move || double,
        tell,
        stop.clone(),
        Progress::unwatched(),
    ));
    (edges, signs, stop)
}

async fn next(signs: &mut mpsc::UnboundedReceiver<Sign>) -> Sign {
    tokio::time::timeout(DEADLINE, signs.recv()).await.expect("the button says something").unwrap()
}

/// Time is what the button is about, so these edges are so long apart.
async fn after(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

#[tokio::test]
async fn edges_become_gestures() {
    let (edges, mut signs, stop) = button(true);
    edges.first(false);
    edges.changed(true);
    after(100).await;
    edges.changed(false);
    assert_eq!(next(&mut signs).await, Sign::Held(Some(Feedback::Pressed)));
    assert_eq!(next(&mut signs).await, Sign::Held(None));
    assert_eq!(next(&mut signs).await, Sign::Made(Gesture::Press));
    for pressed in [true, false, true, false] {
        edges.changed(pressed);
        after(60).await;
    }
    let mut made = Vec::new();
    while made.is_empty() {
        if let Sign::Made(gesture) = next(&mut signs).await {
            made.push(gesture);
        }
    }
    assert_eq!(made, [Gesture::DoublePress]);
    stop.cancel();
}

#[tokio::test]
async fn a_hold_is_told_at_its_threshold_and_one_from_before_the_start_is_not() {
    let (edges, mut signs, stop) = button(false);
    edges.first(true);
    after(100).await;
    edges.changed(false);
    after(100).await;
    edges.changed(true);
    assert_eq!(
        next(&mut signs).await,
        Sign::Held(Some(Feedback::Pressed)),
        "only what came after the release"
    );
    assert_eq!(next(&mut signs).await, Sign::Held(Some(Feedback::ShutDown)));
    edges.changed(false);
    let rest = [next(&mut signs).await, next(&mut signs).await];
    assert!(rest.contains(&Sign::Made(Gesture::Hold3)) && rest.contains(&Sign::Held(None)), "{rest:?}");
    stop.cancel();
}

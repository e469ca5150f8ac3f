//! Edges in, gestures out.

use proptest::prelude::*;

use super::*;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Feeds edges at the given milliseconds (down, up, down ...), ticking at every deadline like a driver does, until `end`;
/// returns each gesture with the millisecond at which it was made.
fn play(recogniser: &mut Recogniser, mut pressed: bool, edges: &[u64], end: u64) -> Vec<(u64, Gesture)> {
    let mut made = Vec::new();
    let mut note = |at: Duration, gesture: Option<Gesture>| {
        made.extend(gesture.map(|g| (u64::try_from(at.as_millis()).unwrap_or(u64::MAX), g)));
    };
    for at in edges.iter().copied().chain([end]) {
        while let Some(deadline) = recogniser.deadline().filter(|d| *d < ms(at)) {
            note(deadline, recogniser.tick(deadline));
        }
        if at == end {
            note(ms(at), recogniser.tick(ms(at)));
        } else {
            pressed = !pressed;
            note(ms(at), recogniser.edge(pressed, ms(at)));
        }
    }
    made
}

#[test]
fn edges_in_gestures_out() {
    use Gesture::{DoublePress, Hold3, Hold10, Press};
    type Row = (&'static str, &'static [u64], &'static [(u64, Gesture)]);
    let table: [Row; 18] = [
        ("a press acts 400 ms after its release", &[1_000, 1_200], &[(1_600, Press)]),
        ("just under 0.7 s", &[1_000, 1_699], &[(2_099, Press)]),
        ("0.7 s is nothing", &[1_000, 1_700], &[]),
        ("just under 3 s is nothing", &[1_000, 3_999], &[]),
        ("3 s", &[1_000, 4_000], &[(4_030, Hold3)]),
        ("just under 10 s", &[1_000, 10_999], &[(11_029, Hold3)]),
        ("10 s alone is nothing", &[1_000, 11_000], &[]),
        ("10 s, then a press", &[1_000, 11_000, 15_000, 15_200], &[(15_230, Hold10)]),
        ("10 s, then a press in the last moment", &[1_000, 11_000, 20_999, 21_200], &[(21_230, Hold10)]),
        ("10 s, then a press too late is a press", &[1_000, 11_000, 21_000, 21_200], &[(21_600, Press)]),
        (
            "10 s, then a hold that means nothing, then a press",
            &[1_000, 11_000, 12_000, 13_000, 14_000, 14_100],
            &[(14_500, Press)],
        ),
        ("10 s, then another hold is that hold", &[1_000, 11_000, 12_000, 16_000], &[(16_030, Hold3)]),
        ("20 s is nothing", &[1_000, 21_000, 22_000, 22_100], &[(22_500, Press)]),
        ("jammed", &[1_000, 59_000], &[]),
        ("two presses", &[1_000, 1_100, 1_499, 1_600], &[(1_630, DoublePress)]),
        ("two presses too far apart", &[1_000, 1_100, 1_500, 1_600], &[(1_500, Press), (2_000, Press)]),
        (
            "three presses",
            &[1_000, 1_100, 1_200, 1_300, 1_400, 1_500],
            &[(1_330, DoublePress), (1_900, Press)],
        ),
        ("a press, then a hold is the hold", &[1_000, 1_100, 1_300, 5_000], &[(5_030, Hold3)]),
    ];
    for (case, edges, expected) in table {
        let mut recogniser = Recogniser::new(false, Duration::ZERO);
        assert_eq!(play(&mut recogniser, false, edges, 60_000), expected, "{case}");
    }
}

#[test]
fn while_unclaimed_a_press_acts_at_once_and_there_is_no_double_press() {
    let mut recogniser = Recogniser::new(false, Duration::ZERO);
    recogniser.set_double_press(false);
    let made = play(&mut recogniser, false, &[1_000, 1_100, 1_200, 1_300], 60_000);
    assert_eq!(made, [(1_130, Gesture::Press), (1_330, Gesture::Press)]);
}

#[test]
fn a_button_that_is_down_at_the_start_is_ignored_until_released() {
    let mut recogniser = Recogniser::new(true, Duration::ZERO);
    assert_eq!(recogniser.feedback(ms(5_000)), None);
    let made = play(&mut recogniser, true, &[5_000, 6_000, 6_100], 60_000);
    assert_eq!(made, [(6_500, Gesture::Press)]);
}

#[test]
fn bouncing_is_not_pressing() {
    let mut recogniser = Recogniser::new(false, Duration::ZERO);
    let glitch = play(&mut recogniser, false, &[1_000, 1_010, 2_000, 2_029], 3_000);
    assert_eq!(glitch, []);
    let bouncy = play(&mut recogniser, false, &[4_000, 4_005, 4_010, 4_200, 4_210, 4_215], 9_000);
    assert_eq!(bouncy, [(4_615, Gesture::Press)]);
}

#[test]
fn the_lamps_say_what_letting_go_would_do() {
    let mut recogniser = Recogniser::new(false, Duration::ZERO);
    assert_eq!(recogniser.edge(true, ms(1_000)), None);
    assert_eq!(recogniser.tick(ms(1_030)), None);
    let table = [
        (1_030, Some(Feedback::Pressed), Some(4_000)),
        (4_000, Some(Feedback::ShutDown), Some(11_000)),
        (11_000, Some(Feedback::Reset), Some(21_000)),
        (21_000, Some(Feedback::Cancelled), None),
    ];
    for (at, expected, next) in table {
        assert_eq!(recogniser.feedback(ms(at)), expected, "{at}");
        assert_eq!(recogniser.next_feedback(ms(at)), next.map(ms), "{at}");
    }
    assert_eq!(recogniser.edge(false, ms(12_000)), None);
    assert_eq!(recogniser.tick(ms(12_030)), None);
    assert_eq!(recogniser.feedback(ms(12_030)), Some(Feedback::Reset));
    assert_eq!(recogniser.tick(ms(22_000)), None);
    assert_eq!(recogniser.feedback(ms(22_000)), None);
}

proptest! {
    /// Whatever comes, also out of order: nothing panics, and deadlines do not make a driver spin.
    #[test]
    fn any_sequence_of_edges_is_survived(edges in prop::collection::vec((any::<bool>(), 0_u64..100_000), 0..60), start: bool) {
        let mut recogniser = Recogniser::new(start, Duration::ZERO);
        for (pressed, at) in edges {
            let _ = recogniser.edge(pressed, ms(at));
            if let Some(deadline) = recogniser.deadline() {
                let _ = recogniser.tick(deadline);
                prop_assert!(recogniser.deadline().is_none_or(|next| next > deadline));
            }
        }
    }

    /// A hold over 20 s does nothing, whatever went before and was done with.
    #[test]
    fn a_jammed_button_is_harmless(before in prop::collection::vec(31_u64..3_000, 0..20), held in 20_000_u64..10_000_000) {
        let mut recogniser = Recogniser::new(false, Duration::ZERO);
        let mut at = 0;
        let mut edges: Vec<u64> = before.iter().map(|gap| { at += gap; at }).collect();
        if edges.len() % 2 == 1 {
            at += 31;
            edges.push(at);
        }
        let quiet = at + 60_000;
        let _ = play(&mut recogniser, false, &edges, quiet);
        let made = play(&mut recogniser, false, &[quiet + 1, quiet + 1 + held], quiet + held + 60_000);
        prop_assert_eq!(made, vec![]);
    }
}

//! How the lamps move in each state.
//!
//! Owns the table of rhythms, as data: the lamps are driven from it and the page draws from it. Must never know which state
//! it is: that is an argument, as is the time since it began.
//!
//! States differ by rhythm and count, never by colour alone, so that one lamp is enough and colour only repeats it. No
//! rhythm flashes more than three times in any second.

use std::time::Duration;

use super::{Feedback, State};

/// A lamp of the panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lamp {
    /// All is well. On a device with one lamp, that lamp.
    Health,
    /// Something is under way or waits for a yes.
    Update,
    /// Something is wrong.
    Fault,
}

impl Lamp {
    /// In the order on the panel.
    pub const ALL: [Self; 3] = [Self::Health, Self::Update, Self::Fault];

    /// As the page and the settings call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Update => "update",
            Self::Fault => "fault",
        }
    }
}

/// How many lamps there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LampSet {
    /// One, which is called `health`.
    One,
    /// All three.
    Three,
}

impl LampSet {
    /// The lamps of the set.
    #[must_use]
    pub const fn lamps(self) -> &'static [Lamp] {
        match self {
            Self::One => &[Lamp::Health],
            Self::Three => &Lamp::ALL,
        }
    }
}

/// One part of a rhythm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beat {
    /// Brightness at the end of the beat, 0 to 1.
    pub level: f32,
    /// Length in milliseconds, never 0.
    pub ms: u32,
    /// True where the level is reached by fading over the beat instead of at its start.
    pub fade: bool,
}

/// What one lamp does at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Level {
    /// Brightness, 0 to 1.
    pub brightness: f32,
    /// For lamps that are only on or off: a fade up is on, a fade down is off.
    pub lit: bool,
}

/// What all lamps do at one instant; those that the set does not have are dark.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Levels([Level; 3]);

impl Levels {
    /// What one lamp does.
    #[must_use]
    pub const fn of(&self, lamp: Lamp) -> Level {
        let [health, update, fault] = self.0;
        match lamp {
            Lamp::Health => health,
            Lamp::Update => update,
            Lamp::Fault => fault,
        }
    }
}

/// How finely a fade is drawn on a real lamp.
const FADE_STEP: Duration = Duration::from_millis(40);

const fn on(ms: u32) -> Beat {
    Beat { level: 1.0, ms, fade: false }
}

const fn off(ms: u32) -> Beat {
    Beat { level: 0.0, ms, fade: false }
}

const BREATHE: [Beat; 2] =
    [Beat { level: 1.0, ms: 2_000, fade: true }, Beat { level: 0.0, ms: 2_000, fade: true }];

/// `count` flashes of 200 ms, 200 ms apart, then a pause.
fn flashes(count: u8, pause: u32) -> Vec<Beat> {
    let mut beats: Vec<Beat> = (0..count).flat_map(|_| [on(200), off(200)]).collect();
    if let Some(last) = beats.last_mut() {
        last.ms = pause;
    }
    beats
}

/// What one lamp would show if it were the only one.
fn alone(state: State) -> Vec<Beat> {
    match state {
        State::Identify => vec![on(170), off(170)],
        State::Held { feedback: Feedback::Pressed } => vec![on(1_000)],
        State::Held { feedback: Feedback::ShutDown } => flashes(2, 1_000),
        State::Held { feedback: Feedback::Reset } => flashes(4, 1_000),
        State::Held { feedback: Feedback::Cancelled } | State::Dark | State::None => vec![off(1_000)],
        State::FirstBoot { waits_in: None } => flashes(2, 1_000),
        State::FirstBoot { waits_in: Some(step) } => {
            let mut beats = vec![on(1_000), off(600)];
            beats.extend(flashes(step.max(1), 1_000));
            beats
        }
        State::Unclaimed => BREATHE.to_vec(),
        State::Fault => flashes(4, 1_000),
        State::Power => flashes(5, 1_000),
        State::Working => vec![on(500), off(500)],
        State::Healing => flashes(3, 1_000),
        State::ApprovalsWaiting => flashes(2, 3_000),
        State::AllWell => vec![on(80), off(2_920)],
    }
}

/// The rhythm of one lamp, repeated for ever from the instant at which the state began. Never empty. This is the table.
#[must_use]
pub fn beats(state: State, set: LampSet, lamp: Lamp) -> Vec<Beat> {
    let dark = vec![off(1_000)];
    if set == LampSet::One {
        return if lamp == Lamp::Health { alone(state) } else { dark };
    }
    let (whose, rhythm) = match state {
        State::Identify | State::Held { .. } | State::Dark | State::None => return alone(state),
        State::Unclaimed => return in_turn(lamp),
        State::FirstBoot { .. } | State::AllWell => (Lamp::Health, alone(state)),
        State::Working => (Lamp::Update, alone(state)),
        State::ApprovalsWaiting => (Lamp::Update, vec![on(1_000)]),
        State::Fault => (Lamp::Fault, vec![on(1_000)]),
        State::Power | State::Healing => (Lamp::Fault, alone(state)),
    };
    if lamp == whose { rhythm } else { dark }
}

/// Each lamp breathes once while the other two are dark.
fn in_turn(lamp: Lamp) -> Vec<Beat> {
    let [up, down] = BREATHE;
    match lamp {
        Lamp::Health => vec![up, down, off(8_000)],
        Lamp::Update => vec![off(4_000), up, down, off(4_000)],
        Lamp::Fault => vec![off(8_000), up, down],
    }
}

/// What the lamps do so long after the state began.
#[must_use]
pub fn levels(state: State, set: LampSet, since: Duration) -> Levels {
    let mut levels = Levels::default();
    for (lamp, slot) in Lamp::ALL.into_iter().zip(&mut levels.0) {
        *slot = at(&beats(state, set, lamp), since).level;
    }
    levels
}

/// How long after that instant the lamps change again; `None` when they never do. While a lamp fades, that is 40 ms, but
/// with `fades` false (lamps that are only on or off) it is the end of the fade.
#[must_use]
pub fn next_change(state: State, set: LampSet, since: Duration, fades: bool) -> Option<Duration> {
    set.lamps()
        .iter()
        .filter_map(|lamp| {
            let beats = beats(state, set, *lamp);
            let first = beats.first()?;
            if beats.iter().all(|beat| !beat.fade && beat.level == first.level) {
                return None;
            }
            let place = at(&beats, since);
            Some(if place.fading && fades { place.left.min(FADE_STEP) } else { place.left })
        })
        .min()
}

struct Place {
    level: Level,
    left: Duration,
    fading: bool,
}

/// Where in its rhythm a lamp is.
fn at(beats: &[Beat], since: Duration) -> Place {
    let total: u128 = beats.iter().map(|beat| u128::from(beat.ms)).sum::<u128>().max(1) * 1_000_000;
    let mut into = since.as_nanos() % total;
    let mut before = beats.last().map_or(0.0, |beat| beat.level);
    for beat in beats {
        let length = u128::from(beat.ms) * 1_000_000;
        if into < length {
            // At most 10 s in nanoseconds, which fits.
            let left = Duration::from_nanos(u64::try_from(length - into).unwrap_or(u64::MAX));
            let done = (into as f64 / length as f64) as f32;
            let brightness = if beat.fade { before + (beat.level - before) * done } else { beat.level };
            return Place { level: Level { brightness, lit: beat.level >= 0.5 }, left, fading: beat.fade };
        }
        into -= length;
        before = beat.level;
    }
    Place { level: Level::default(), left: Duration::from_secs(1), fading: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_states() -> Vec<State> {
        let mut states = vec![
            State::Identify,
            State::FirstBoot { waits_in: None },
            State::Unclaimed,
            State::Fault,
            State::Power,
            State::Working,
            State::Healing,
            State::ApprovalsWaiting,
            State::AllWell,
            State::Dark,
            State::None,
        ];
        states.extend(Feedback::ALL.map(|feedback| State::Held { feedback }));
        states.extend((0..=9).map(|step| State::FirstBoot { waits_in: Some(step) }));
        states
    }

    /// The edges of one lamp, as (milliseconds, lit), found by following `next_change` like a driver does.
    fn edges(state: State, set: LampSet, lamp: Lamp, within: Duration) -> Vec<(u128, bool)> {
        let mut since = Duration::ZERO;
        let mut found = vec![(0, levels(state, set, since).of(lamp).lit)];
        while since < within {
            let Some(wait) = next_change(state, set, since, false) else { break };
            assert!(wait > Duration::ZERO, "{state:?} would spin");
            since += wait;
            let lit = levels(state, set, since).of(lamp).lit;
            if found.last().is_some_and(|(_, last)| *last != lit) {
                found.push((since.as_millis(), lit));
            }
        }
        found
    }

    #[test]
    fn no_state_flashes_more_than_three_times_in_any_second() {
        for state in all_states() {
            for set in [LampSet::One, LampSet::Three] {
                for lamp in Lamp::ALL {
                    let mut rises: Vec<u128> = edges(state, set, lamp, Duration::from_secs(30))
                        .into_iter()
                        .filter_map(|(at, lit)| lit.then_some(at))
                        .collect();
                    rises.sort_unstable();
                    for window in rises.windows(4) {
                        if let [first, .., fourth] = window {
                            assert!(fourth - first >= 1_000, "{state:?} {set:?} {lamp:?}: {window:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn one_lamp_tells_all_states_apart() {
        let shown = |state| format!("{:?}", beats(state, LampSet::One, Lamp::Health));
        let apart = [
            State::Identify,
            State::FirstBoot { waits_in: None },
            State::Unclaimed,
            State::Fault,
            State::Power,
            State::Working,
            State::Healing,
            State::ApprovalsWaiting,
            State::AllWell,
            State::Dark,
        ];
        for (i, a) in apart.iter().enumerate() {
            for b in apart.iter().skip(i + 1) {
                assert_ne!(shown(*a), shown(*b), "{a:?} looks like {b:?}");
            }
        }
    }

    #[test]
    fn the_table_of_the_specification() {
        let one = |state, seconds| edges(state, LampSet::One, Lamp::Health, Duration::from_secs(seconds));
        let flashes_then_pause = |state, count: usize, pause: u128| {
            let found = one(state, 30);
            let rises: Vec<u128> =
                found.iter().filter_map(|(at, lit)| lit.then_some(*at)).take(count + 1).collect();
            let falls: Vec<u128> =
                found.iter().filter_map(|(at, lit)| (!lit).then_some(*at)).take(count).collect();
            assert_eq!(
                rises.last().zip(falls.last()).map(|(r, f)| r - f),
                Some(pause),
                "{state:?} {found:?}"
            );
        };
        assert_eq!(
            one(State::Identify, 1).iter().take(3).copied().collect::<Vec<_>>(),
            [(0, true), (170, false), (340, true)]
        );
        flashes_then_pause(State::FirstBoot { waits_in: None }, 2, 1_000);
        flashes_then_pause(State::Fault, 4, 1_000);
        flashes_then_pause(State::Power, 5, 1_000);
        flashes_then_pause(State::Healing, 3, 1_000);
        flashes_then_pause(State::ApprovalsWaiting, 2, 3_000);
        flashes_then_pause(State::Held { feedback: Feedback::ShutDown }, 2, 1_000);
        flashes_then_pause(State::Held { feedback: Feedback::Reset }, 4, 1_000);
        assert_eq!(one(State::Working, 1), [(0, true), (500, false), (1_000, true)]);
        assert_eq!(one(State::AllWell, 3), [(0, true), (80, false), (3_000, true)]);
        assert_eq!(one(State::Unclaimed, 4), [(0, true), (2_000, false), (4_000, true)]);
        assert_eq!(one(State::Held { feedback: Feedback::Pressed }, 9), [(0, true)]);
        assert_eq!(one(State::None, 9), [(0, false)]);
        let steady = |state, lamp| {
            assert_eq!(edges(state, LampSet::Three, lamp, Duration::from_secs(9)), [(0, true)], "{state:?}");
            for other in Lamp::ALL.into_iter().filter(|other| *other != lamp) {
                assert_eq!(
                    edges(state, LampSet::Three, other, Duration::from_secs(9)),
                    [(0, false)],
                    "{state:?}"
                );
            }
        };
        steady(State::Fault, Lamp::Fault);
        steady(State::ApprovalsWaiting, Lamp::Update);
    }

    #[test]
    fn breathing_rises_and_falls_smoothly_and_goes_round() {
        let brightness = |ms, lamp| {
            levels(State::Unclaimed, LampSet::Three, Duration::from_millis(ms)).of(lamp).brightness
        };
        assert!(brightness(1_000, Lamp::Health) > 0.49 && brightness(1_000, Lamp::Health) < 0.51);
        assert!(brightness(5_000, Lamp::Update) > 0.49 && brightness(5_000, Lamp::Health) == 0.0);
        assert!(brightness(11_000, Lamp::Fault) > 0.49);
        assert_eq!(next_change(State::Unclaimed, LampSet::One, Duration::ZERO, true), Some(FADE_STEP));
        assert_eq!(next_change(State::Fault, LampSet::Three, Duration::ZERO, true), None);
    }
}

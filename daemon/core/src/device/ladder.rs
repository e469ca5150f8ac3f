//! The ladder of last resorts: a container, the engine's service, the device, and then safe mode.
//!
//! Owns when which rung is taken, and how often. Must never climb without end: what was done is remembered over restarts,
//! and the last rung leaves the device up, with its page reachable and the fault lamp on.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bounds are counted over so long.
const DAY: i64 = 24 * 3600;

/// What was done, kept over restarts. Times are civil, in seconds; without a clock they may be wrong after a restart, so
/// one that lies in the future counts as well.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Restarts of containers, by name.
    pub containers: BTreeMap<String, Vec<i64>>,
    /// Restarts of the engine's service.
    pub engine: Vec<i64>,
    /// Restarts of the device.
    pub reboots: Vec<i64>,
    /// All rungs are used up: nothing is restarted until the engine answers.
    pub safe_mode: bool,
    /// How long the engine had been away when its service was restarted; of this absence, so not kept.
    #[serde(skip)]
    pub engine_tried_at: Option<Duration>,
}

/// How often and how fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// So long something must be wrong before each rung.
    pub patience: Duration,
    /// Restarts of one container in 24 hours.
    pub per_container: usize,
    /// Restarts of the engine's service in 24 hours.
    pub engine: usize,
    /// Restarts of the device in 24 hours.
    pub reboots: usize,
}

/// What is going on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LadderFacts {
    /// How long the engine has not answered; `None`: it answers.
    pub engine_away: Option<Duration>,
    /// Containers whose health check fails, and for how long.
    pub unhealthy: BTreeMap<String, Duration>,
    /// An update or another job is under way: nothing is restarted under it.
    pub busy: bool,
    /// Civil time in seconds.
    pub now: i64,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Rest,
    /// Restart that container.
    RestartContainer(String),
    /// Restart the engine's service.
    RestartEngine,
    /// Restart the device.
    Reboot,
    /// Stay up and show that something is wrong.
    EnterSafeMode,
    /// The engine answers again.
    LeaveSafeMode,
}

fn lately(times: &[i64], now: i64) -> usize {
    times.iter().filter(|at| **at > now || now - **at < DAY).count()
}

/// Whether a container that is unhealthy is still brought back: it may be restarted once more.
#[must_use]
pub fn mends(memory: &Memory, name: &str, facts: &LadderFacts, bounds: &Bounds) -> bool {
    facts.engine_away.is_none()
        && lately(memory.containers.get(name).map_or(&[], Vec::as_slice), facts.now) < bounds.per_container
}

/// The next step, and what is to be remembered before it is taken. A memory that cannot be kept forbids every restart but
/// a container's: the bound would not hold.
#[must_use]
pub fn climb(memory: &Memory, facts: &LadderFacts, bounds: &Bounds) -> (Memory, Step) {
    let mut next = memory.clone();
    for times in next.containers.values_mut().chain([&mut next.engine, &mut next.reboots]) {
        times.retain(|at| *at > facts.now || facts.now - *at < DAY);
    }
    next.containers.retain(|_, times| !times.is_empty());
    let Some(away) = facts.engine_away else {
        next.engine_tried_at = None;
        if std::mem::take(&mut next.safe_mode) {
            return (next, Step::LeaveSafeMode);
        }
        let stuck = facts.unhealthy.iter().filter(|(_, time)| **time >= bounds.patience);
        let first = stuck.map(|(name, _)| name).find(|name| mends(&next, name, facts, bounds));
        let Some(name) = first.filter(|_| !facts.busy) else { return (next, Step::Rest) };
        next.containers.entry(name.clone()).or_default().push(facts.now);
        return (next, Step::RestartContainer(name.clone()));
    };
    if next.safe_mode || away < bounds.patience {
        return (next, Step::Rest);
    }
    if next.engine_tried_at.is_none() && lately(&next.engine, facts.now) < bounds.engine {
        next.engine.push(facts.now);
        next.engine_tried_at = Some(away);
        return (next, Step::RestartEngine);
    }
    // The service gets as long to come up as it had before.
    let since = next.engine_tried_at.unwrap_or_default();
    if away.saturating_sub(since) < bounds.patience {
        return (next, Step::Rest);
    }
    if lately(&next.reboots, facts.now) < bounds.reboots {
        next.reboots.push(facts.now);
        return (next, Step::Reboot);
    }
    next.safe_mode = true;
    (next, Step::EnterSafeMode)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const BOUNDS: Bounds =
        Bounds { patience: Duration::from_secs(300), per_container: 3, engine: 6, reboots: 3 };

    fn away(seconds: u64, now: i64) -> LadderFacts {
        LadderFacts { engine_away: Some(Duration::from_secs(seconds)), now, ..LadderFacts::default() }
    }

    /// Lives through an engine that never comes, looking every 10 s; each reboot starts the absence anew, with what a store
    /// keeps of the memory.
    fn live(hours: i64) -> Vec<(i64, Step)> {
        let (mut memory, mut done, mut booted) = (Memory::default(), Vec::new(), 0);
        for now in (0..hours * 3600).step_by(10) {
            let (next, step) =
                climb(&memory, &away(u64::try_from((now - booted).max(0)).unwrap(), now), &BOUNDS);
            memory = next;
            if step == Step::Reboot {
                booted = now + 60;
                memory = serde_json::from_str(&serde_json::to_string(&memory).unwrap()).unwrap();
            }
            if step != Step::Rest {
                done.push((now, step));
            }
        }
        done
    }

    #[test]
    fn an_engine_that_never_comes_ends_in_safe_mode() {
        use Step::{EnterSafeMode, Reboot, RestartEngine};
        let steps: Vec<Step> = live(12).into_iter().map(|(_, step)| step).collect();
        let round = [RestartEngine, Reboot];
        let expected: Vec<Step> =
            [round.clone(), round.clone(), round, [RestartEngine, EnterSafeMode]].concat();
        assert_eq!(steps, expected);
        let first: Vec<i64> = live(1).into_iter().map(|(at, _)| at).take(2).collect();
        assert_eq!(first, [300, 600]);
    }

    #[test]
    fn safe_mode_lasts_until_the_engine_answers() {
        let memory = Memory { safe_mode: true, ..Memory::default() };
        assert_eq!(climb(&memory, &away(99_999, 0), &BOUNDS).1, Step::Rest);
        let (memory, step) = climb(&memory, &LadderFacts::default(), &BOUNDS);
        assert_eq!((memory.safe_mode, step), (false, Step::LeaveSafeMode));
        assert_eq!(climb(&memory, &LadderFacts::default(), &BOUNDS).1, Step::Rest);
    }

    #[test]
    fn an_engine_that_comes_back_in_time_costs_nothing() {
        let (memory, step) = climb(&Memory::default(), &away(299, 0), &BOUNDS);
        assert_eq!((memory, step), (Memory::default(), Step::Rest));
        let (memory, step) = climb(&Memory::default(), &away(300, 0), &BOUNDS);
        assert_eq!(step, Step::RestartEngine);
        assert_eq!(climb(&memory, &away(599, 299), &BOUNDS).1, Step::Rest);
        let (memory, _) = climb(&memory, &LadderFacts { now: 310, ..LadderFacts::default() }, &BOUNDS);
        assert_eq!(memory.engine_tried_at, None);
        assert_eq!(climb(&memory, &away(300, 1000), &BOUNDS).1, Step::RestartEngine);
    }

    #[test]
    fn bounds_are_per_day_and_a_wrong_clock_does_not_lift_them() {
        let memory = Memory { reboots: vec![0, 10, 20], engine: vec![0; 6], ..Memory::default() };
        assert_eq!(climb(&memory, &away(900, 100), &BOUNDS).1, Step::EnterSafeMode);
        assert_eq!(climb(&memory, &away(900, DAY + 5), &BOUNDS).1, Step::RestartEngine);
        let ahead = Memory { reboots: vec![DAY * 900; 3], engine: vec![DAY * 900; 6], ..Memory::default() };
        assert_eq!(climb(&ahead, &away(900, 100), &BOUNDS).1, Step::EnterSafeMode);
    }

    #[test]
    fn an_unhealthy_container_is_restarted_three_times_a_day_and_not_under_an_update() {
        let facts = |now: i64, busy| LadderFacts {
            unhealthy: BTreeMap::from([("web".to_owned(), Duration::from_secs(300))]),
            now,
            busy,
            ..LadderFacts::default()
        };
        let mut memory = Memory::default();
        assert_eq!(climb(&memory, &facts(0, true), &BOUNDS).1, Step::Rest);
        for round in 0..3 {
            let (next, step) = climb(&memory, &facts(round * 600, false), &BOUNDS);
            assert_eq!(step, Step::RestartContainer("web".to_owned()));
            assert!(mends(&memory, "web", &facts(round * 600, false), &BOUNDS));
            memory = next;
        }
        assert!(!mends(&memory, "web", &facts(1800, false), &BOUNDS), "it gave up");
        assert_eq!(climb(&memory, &facts(1800, false), &BOUNDS).1, Step::Rest);
        assert_eq!(
            climb(&memory, &facts(DAY + 1, false), &BOUNDS).1,
            Step::RestartContainer("web".to_owned())
        );
    }
}

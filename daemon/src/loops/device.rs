//! The loop that looks at the device, and climbs the ladder when the engine stays away.
//!
//! Owns how long things have been wrong. Must never restart anything before it is remembered that it will be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dockbeacon_core::device::{
    self as core, Bounds, Finding, LadderFacts, Limits, Measure, Memory, Step, Verdict,
};
use dockbeacon_core::event::What;
use dockbeacon_core::model::Health;

use crate::supervisor::Progress;
use crate::work::Work;
use crate::{device, host, lock};

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(10);
/// The key under which the ladder's memory is kept.
pub const MEMORY: &str = "ladder";
/// Restarts of one container in a day.
const PER_CONTAINER: usize = 3;
/// Restarts of the engine's service in a day.
const ENGINE: usize = 6;

/// Runs until the shutdown.
pub async fn run(work: Work, state_dir: PathBuf, progress: Progress) -> Result<(), String> {
    let mut work = work;
    work.progress = Some(progress.clone());
    let mut ladder = Ladder::new(&work);
    loop {
        progress.mark_and_expect_within(LOOK);
        look(&work, &state_dir);
        if work.settings.device.ladder {
            ladder.look(&work).await;
        }
        tokio::select! {
            () = work.shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// One look at the device; what changed is told.
fn look(work: &Work, state_dir: &Path) {
    let settings = &work.settings.device;
    let limits = Limits {
        min_free: u64::from(settings.min_free) * 1_000_000,
        max_temperature: settings.max_temperature,
    };
    let backing_up = lock::is_backing_up(state_dir);
    if std::mem::replace(&mut work.board.state().backing_up, backing_up) != backing_up {
        work.board.changed.notify_one();
    }
    let seen = device::observe(Path::new("/"), state_dir);
    let before = work.board.state().device.clone();
    let now = core::examine(&seen, &limits, &before);
    if now == before {
        return;
    }
    let changes = changes(&before, &now);
    // A degree more is no reason to draw everything anew; the next snapshot has it.
    work.board.state().device = now;
    if before.is_empty() {
        work.board.changed.notify_one();
    }
    for change in changes {
        work.board.tell(change);
    }
}

/// Verdicts that are others than before; at the first look, what is not as it should be.
fn changes(before: &[Finding], now: &[Finding]) -> Vec<What> {
    let was = |measure: Measure| before.iter().find(|f| f.measure == measure).map(|f| f.verdict);
    now.iter()
        .filter(|f| match was(f.measure) {
            Some(before) => before != f.verdict,
            None => matches!(f.verdict, Verdict::Bad | Verdict::Note),
        })
        .map(|f| What::DeviceChanged {
            measure: f.measure.name().to_owned(),
            verdict: f.verdict.name().to_owned(),
            text: f.text.clone(),
        })
        .collect()
}

struct Ladder {
    memory: Memory,
    /// The engine has not answered since then.
    away_since: Option<Duration>,
    /// These containers have been unhealthy since then.
    unhealthy: BTreeMap<String, Duration>,
}

impl Ladder {
    fn new(work: &Work) -> Self {
        let kept = work.store.meta_get(MEMORY).unwrap_or_else(|error| {
            tracing::error!(%error, "what the ladder did before cannot be read");
            None
        });
        let memory: Memory = kept.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
        work.board.state().safe_mode = memory.safe_mode;
        work.board.changed.notify_one();
        Self { memory, away_since: None, unhealthy: BTreeMap::new() }
    }

    async fn look(&mut self, work: &Work) {
        let now = (work.clock)();
        let facts = {
            let state = work.board.state();
            self.away_since =
                if state.engine.up { None } else { Some(self.away_since.unwrap_or(now.monotonic)) };
            let sick: Vec<String> = state
                .inventory
                .iter()
                .flat_map(|inventory| &inventory.containers)
                .filter(|c| c.is_running() && c.health == Some(Health::Unhealthy))
                .map(|c| c.name.to_string())
                .collect();
            self.unhealthy.retain(|name, _| sick.contains(name));
            for name in sick {
                self.unhealthy.entry(name).or_insert(now.monotonic);
            }
            LadderFacts {
                engine_away: self.away_since.map(|since| now.monotonic.saturating_sub(since)),
                unhealthy: self
                    .unhealthy
                    .iter()
                    .map(|(name, since)| (name.clone(), now.monotonic.saturating_sub(*since)))
                    .collect(),
                busy: !state.running.is_empty(),
                now: now.civil.timestamp(),
            }
        };
        let settings = &work.settings.device;
        let bounds = Bounds {
            patience: settings.engine_patience,
            per_container: PER_CONTAINER,
            engine: ENGINE,
            reboots: settings.reboots_per_day as usize,
        };
        let mending = facts.unhealthy.keys().filter(|name| core::mends(&self.memory, name, &facts, &bounds));
        show_mending(work, mending.cloned().collect());
        let (memory, step) = core::climb(&self.memory, &facts, &bounds);
        if step == Step::Rest {
            self.memory = memory;
            return;
        }
        let kept = serde_json::to_string(&memory)
            .map_err(|e| e.to_string())
            .and_then(|json| work.store.meta_set(MEMORY, &json).map_err(|e| e.to_string()));
        if let Err(error) = kept {
            // Not remembered, the device would be restarted without end.
            tracing::error!(error, "the ladder is not climbed, because what it does cannot be kept");
            work.board.state().safe_mode = facts.engine_away.is_some();
            return;
        }
        self.memory = memory;
        self.take(work, &step).await;
    }

    async fn take(&mut self, work: &Work, step: &Step) {
        let (name, did) = match step {
            Step::Rest => return,
            Step::RestartContainer(name) => {
                // It counts as unhealthy anew from here.
                self.unhealthy.remove(name);
                ("restart-container", restart(work, name).await)
            }
            Step::RestartEngine => {
                let did = host::ask(host::Verb::RestartEngine).await;
                ("restart-engine", did.map(|()| "the engine stays away; its service is restarted".to_owned()))
            }
            Step::Reboot => {
                if work.settings.device.keep_journal {
                    host::keep_journal().await;
                    work.mark();
                }
                let did = host::ask(host::Verb::Reboot).await;
                ("reboot", did.map(|()| "the engine stays away; the device is restarted".to_owned()))
            }
            Step::EnterSafeMode => {
                work.board.state().safe_mode = true;
                let text = "the engine stays away whatever was restarted; the device stays up in safe mode: see `journalctl -u docker`";
                ("safe-mode", Ok(text.to_owned()))
            }
            Step::LeaveSafeMode => {
                work.board.state().safe_mode = false;
                ("safe-mode-over", Ok("the engine answers again; safe mode is over".to_owned()))
            }
        };
        let text = did.unwrap_or_else(|why| format!("{name} did not take place: {why}"));
        work.board.tell(What::Ladder { step: name.to_owned(), text });
    }
}

/// Tells page and panel which services are being brought back.
fn show_mending(work: &Work, mending: BTreeSet<String>) {
    if work.board.state().mending != mending {
        work.board.state().mending = mending;
        work.board.changed.notify_one();
    }
}

async fn restart(work: &Work, name: &str) -> Result<String, String> {
    let engine = work.engine().await.map_err(|error| error.to_string())?;
    work.mark();
    engine.stop(name, None, None).await.map_err(|error| error.to_string())?;
    work.mark();
    engine.start(name).await.map_err(|error| error.to_string())?;
    Ok(format!("{name} stayed unhealthy and was restarted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_once_and_at_the_first_look_only_what_is_wrong() {
        let finding =
            |measure, verdict| Finding { measure, verdict, value: String::new(), text: "so".to_owned() };
        let first = [finding(Measure::Power, Verdict::Good), finding(Measure::Card, Verdict::Bad)];
        let told = |before: &[Finding], now: &[Finding]| -> Vec<String> {
            changes(before, now)
                .into_iter()
                .filter_map(|what| {
                    let What::DeviceChanged { measure, verdict, .. } = what else { return None };
                    Some(format!("{measure} {verdict}"))
                })
                .collect()
        };
        assert_eq!(told(&[], &first), ["card bad"]);
        assert!(told(&first, &first).is_empty());
        let later = [finding(Measure::Power, Verdict::Bad), finding(Measure::Card, Verdict::Good)];
        assert_eq!(told(&first, &later), ["power bad", "card good"]);
    }
}

//! Is a container that was just started well?
//!
//! Owns the deadline and the verdict, read off the engine's description of the container. Must never wait: the shell asks
//! again until the verdict is one.

use std::time::Duration;

use serde_json::Value;

/// The engine's defaults for what a health check leaves out (source: the engine's documentation of HEALTHCHECK).
const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const RETRIES: u64 = 3;

/// How a container is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// By its own health check, at the latest after this long.
    HealthCheck {
        /// Start period + (retries + 1) × (interval + timeout).
        within: Duration,
    },
    /// It has none: it must stay up this long.
    StaysUp {
        /// The settle time.
        for_: Duration,
    },
}

/// What one look says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Not known yet; what is seen so far.
    Pending(String),
    /// Well; what was seen.
    Healthy(String),
    /// Failed; what was seen.
    Failed(String),
}

/// How the container of this description is judged.
#[must_use]
pub fn probe(inspect: &Value, settle: Duration) -> Probe {
    let check = inspect.pointer("/Config/Healthcheck");
    let test = check.and_then(|c| c.pointer("/Test/0")).and_then(Value::as_str);
    let Some(check) = check.filter(|_| !matches!(test, None | Some("NONE"))) else {
        return Probe::StaysUp { for_: settle };
    };
    let nanos =
        |key: &str| check.get(key).and_then(Value::as_u64).filter(|n| *n > 0).map(Duration::from_nanos);
    let retries = check.get("Retries").and_then(Value::as_u64).filter(|n| *n > 0).unwrap_or(RETRIES);
    let round = nanos("Interval").unwrap_or(INTERVAL) + nanos("Timeout").unwrap_or(TIMEOUT);
    let rounds = u32::try_from(retries.saturating_add(1)).unwrap_or(u32::MAX);
    let within = nanos("StartPeriod").unwrap_or_default().saturating_add(round.saturating_mul(rounds));
    Probe::HealthCheck { within }
}

/// The verdict on this description, so long after the start of watching. `restarts_before` are those of its earlier life:
/// zero for a container that we started, since a start by hand sets the engine's count back.
#[must_use]
pub fn verdict(probe: Probe, inspect: &Value, watched: Duration, restarts_before: u64) -> Verdict {
    let state = inspect.get("State").unwrap_or(&Value::Null);
    let flag = |key: &str| state.get(key).and_then(Value::as_bool).unwrap_or_default();
    let restarts = restarts(inspect).saturating_sub(restarts_before);
    if !flag("Running") || flag("Restarting") || restarts > 0 {
        return Verdict::Failed(exit_words(state, restarts, flag("OOMKilled")));
    }
    match probe {
        Probe::HealthCheck { within } => match state.pointer("/Health/Status").and_then(Value::as_str) {
            Some("healthy") => Verdict::Healthy("its health check passes".to_owned()),
            Some("unhealthy") => Verdict::Failed(format!("its health check fails{}", last_probe(state))),
            _ if watched > within => Verdict::Failed(format!(
                "its health check did not pass within {} s{}",
                within.as_secs(),
                last_probe(state)
            )),
            _ => Verdict::Pending(format!(
                "waiting for its health check, {} of at most {} s",
                watched.as_secs(),
                within.as_secs()
            )),
        },
        Probe::StaysUp { for_ } if watched >= for_ => {
            Verdict::Healthy(format!("it stayed up for {} s", for_.as_secs()))
        }
        Probe::StaysUp { for_ } => Verdict::Pending(format!(
            "it has no health check: up for {} of {} s",
            watched.as_secs(),
            for_.as_secs()
        )),
    }
}

/// How often the engine has started this container again by itself.
#[must_use]
pub fn restarts(inspect: &Value) -> u64 {
    inspect.get("RestartCount").and_then(Value::as_u64).unwrap_or_default()
}

fn exit_words(state: &Value, restarts: u64, out_of_memory: bool) -> String {
    let code = state.get("ExitCode").and_then(Value::as_i64).unwrap_or_default();
    let error = state.get("Error").and_then(Value::as_str).filter(|e| !e.is_empty());
    match (out_of_memory, error, restarts) {
        (true, _, _) => "it ran out of memory and was killed".to_owned(),
        (false, Some(error), _) => format!("it did not start: {error}"),
        (false, None, 0) => format!("it exited with code {code}"),
        (false, None, _) => "it exits again and again".to_owned(),
    }
}

/// The last lines that the health check printed.
fn last_probe(state: &Value) -> String {
    let output = state
        .pointer("/Health/Log")
        .and_then(Value::as_array)
        .and_then(|log| log.last())
        .and_then(|entry| entry.get("Output"))
        .and_then(Value::as_str)
        .map(str::trim)
        .filter(|text| !text.is_empty());
    output.map(|text| format!(" ({})", text.chars().take(200).collect::<String>())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SETTLE: Duration = Duration::from_secs(10);

    #[test]
    fn the_deadline_fills_in_the_engines_defaults() {
        let second = 1_000_000_000u64;
        for (check, expected) in [
            (json!(null), Probe::StaysUp { for_: SETTLE }),
            (json!({"Test": ["NONE"]}), Probe::StaysUp { for_: SETTLE }),
            (json!({"Test": ["CMD", "x"]}), Probe::HealthCheck { within: Duration::from_secs(240) }),
            (
                json!({"Test": ["CMD", "x"], "Interval": 5 * second, "Timeout": second, "Retries": 2, "StartPeriod": 7 * second}),
                Probe::HealthCheck { within: Duration::from_secs(25) },
            ),
        ] {
            assert_eq!(probe(&json!({"Config": {"Healthcheck": check}}), SETTLE), expected, "{check}");
        }
    }

    #[test]
    fn verdicts() {
        let up = json!({"Running": true});
        let healthy = json!({"Running": true, "Health": {"Status": "healthy"}});
        let unhealthy =
            json!({"Running": true, "Health": {"Status": "unhealthy", "Log": [{"Output": "refused\n"}]}});
        let check = Probe::HealthCheck { within: Duration::from_secs(25) };
        let stay = Probe::StaysUp { for_: SETTLE };
        for (probe, state, restarts, seconds, expected) in [
            (stay, &up, 0, 3, "Pending"),
            (stay, &up, 0, 10, "Healthy"),
            (stay, &up, 1, 10, "Failed(\"it exits again"),
            (stay, &json!({"Running": false, "ExitCode": 3}), 0, 1, "Failed(\"it exited with code 3"),
            (stay, &json!({"Running": false, "OOMKilled": true}), 0, 1, "Failed(\"it ran out of memory"),
            (check, &healthy, 0, 1, "Healthy"),
            (check, &up, 0, 1, "Pending"),
            (check, &up, 0, 26, "Failed(\"its health check did not pass"),
            (check, &unhealthy, 0, 1, "Failed(\"its health check fails (refused)"),
        ] {
            let inspect = json!({"State": state, "RestartCount": restarts});
            let seen = format!("{:?}", verdict(probe, &inspect, Duration::from_secs(seconds), 0));
            assert!(seen.starts_with(expected), "{seen} is not {expected}");
        }
    }

    #[test]
    fn restarts_of_an_earlier_life_do_not_count() {
        let inspect = json!({"State": {"Running": true}, "RestartCount": 3});
        let stay = Probe::StaysUp { for_: SETTLE };
        assert_eq!(restarts(&inspect), 3);
        assert!(matches!(verdict(stay, &inspect, SETTLE, 3), Verdict::Healthy(_)));
        assert!(matches!(verdict(stay, &inspect, SETTLE, 2), Verdict::Failed(_)));
    }
}

//! Schedules over clock changes, and when the next look is due.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::fmt::Write as _;

use chrono::TimeDelta;
use expect_test::expect_file;

use super::*;

/// Runs each block of the scenario file and writes it again: the number of runs, the first and the last, and every run that
/// comes after a rare pause.
fn play(text: &str) -> String {
    let mut out = String::new();
    let mut header = Vec::new();
    for line in text.lines() {
        if line.starts_with('#') {
            writeln!(out, "{line}").unwrap();
        } else if let Some(block) = line.strip_prefix("== ") {
            header = block.split(" | ").collect();
            let [schedule, zone, from, to] = header[..] else { panic!("{line}") };
            let tz: Tz = zone.parse().unwrap();
            let time = |t: &str| format!("{t}T00:00:00Z").parse::<DateTime<Utc>>().unwrap();
            let schedule = Schedule::parse(schedule).unwrap();
            let mut runs = Vec::new();
            let mut at = time(from);
            while let Some(next) = schedule.next(at, tz).filter(|n| *n < time(to)) {
                assert!(next > at);
                runs.push(next);
                at = next;
            }
            writeln!(out, "\n{line}\n{} runs", runs.len()).unwrap();
            let pauses: Vec<TimeDelta> = runs.windows(2).map(|w| w[1] - w[0]).collect();
            let mut counts = std::collections::BTreeMap::new();
            for pause in &pauses {
                *counts.entry(*pause).or_insert(0) += 1;
            }
            for (n, run) in runs.iter().enumerate() {
                let pause = n.checked_sub(1).map(|before| pauses[before]);
                if pause.is_none_or(|p| counts[&p] < 50) || n + 1 == runs.len() {
                    let local = run.with_timezone(&tz).format("%Y-%m-%d %H:%M:%S %:z");
                    let after = pause.map_or("start".to_owned(), |p| duration::show(p.to_std().unwrap()));
                    writeln!(out, "{local} after {after}").unwrap();
                }
            }
        }
    }
    assert!(!header.is_empty());
    out
}

#[test]
fn w1_two_years_of_clock_changes() {
    let text = include_str!("../../../../tests/scenarios/w1_dst.txt");
    expect_file!["../../../../tests/scenarios/w1_dst.txt"].assert_eq(&play(text));
}

#[test]
fn expressions_are_refused_with_a_remedy() {
    let refused = |text: &str| Schedule::parse(text).unwrap_err().to_string();
    assert_eq!(
        refused("0 3 * * *"),
        r#""0 3 * * *" has 5 fields, not six; put the seconds in front: "0 0 3 * * *""#
    );
    assert!(refused("").starts_with(r#""" has 0 fields, not six; write second minute hour"#));
    assert!(refused("0 0 25 * * *").contains("is not a schedule"));
    assert!(refused("0 0 3 * * * 2026").contains("has 7 fields"));
    assert!(refused("@reboot").contains("write @hourly, @daily"));
    assert!(refused("@every soon").contains("@every 90m"));
    assert!(refused("@every 0s").contains("from a second up"));
    assert_eq!(
        refused("0 0 0 30 2 *"),
        r#""0 0 0 30 2 *" names a day that never comes; correct day and month"#
    );
}

#[test]
fn forms_that_watchtower_takes_are_read() {
    let from: DateTime<Utc> = "2026-02-27T10:10:10.5Z".parse().unwrap();
    let table = [
        ("@daily", "2026-02-28T00:00:00Z", "every day at 00:00"),
        ("@hourly", "2026-02-27T11:00:00Z", "every hour"),
        ("@weekly", "2026-03-01T00:00:00Z", "every Sunday at 00:00"),
        ("@monthly", "2026-03-01T00:00:00Z", "on the schedule @monthly"),
        ("@every 1h30m", "2026-02-27T11:40:10.5Z", "every 1 h 30 min"),
        ("0 0 3 ? * ?", "2026-02-28T03:00:00Z", "every day at 03:00"),
        ("0 0/15 * * * *", "2026-02-27T10:15:00Z", "on the schedule 0 0/15 * * * *"),
        ("0 */15 * * * *", "2026-02-27T10:15:00Z", "every 15 min"),
        ("0 0 */6 * * *", "2026-02-27T12:00:00Z", "every 6 h"),
        ("30 5 4 * * MON-FRI", "2026-03-02T04:05:30Z", "every weekday at 04:05:30"),
        ("0 0 4 * * sun", "2026-03-01T04:00:00Z", "every Sunday at 04:00"),
        ("* * * * * *", "2026-02-27T10:10:11Z", "on the schedule * * * * * *"),
        ("0 0 12 29 2 *", "2028-02-29T12:00:00Z", "on the schedule 0 0 12 29 2 *"),
    ];
    for (text, next, words) in table {
        let schedule = Schedule::parse(text).unwrap();
        assert_eq!(schedule.next(from, Tz::UTC), Some(next.parse().unwrap()), "{text}");
        assert_eq!(schedule.describe(), words);
    }
    assert_eq!(Schedule::Never.describe(), "only when asked");
    assert_eq!(Schedule::Every(Duration::from_secs(86_400)).describe(), "every 24 h");
}

fn at(seconds: u64, civil: &str, trusted: bool) -> Now {
    Now { monotonic: Duration::from_secs(seconds), civil: civil.parse().unwrap(), trusted }
}

#[test]
fn w1_due_before_and_after_time_is_known() {
    let wait = |delay: u64, at: Option<&str>| Due::In {
        delay: Duration::from_secs(delay),
        at: at.map(|t| t.parse().unwrap()),
    };
    let start = at(10, "1970-01-01T00:00:10Z", false);
    let hourly = Schedule::Every(Duration::from_secs(3600));
    // An interval needs no civil time, neither at the start nor when the clock jumps.
    assert_eq!(hourly.due(Tz::UTC, start, start), wait(3600, None));
    assert_eq!(hourly.due(Tz::UTC, start, at(1810, "1970-01-01T00:30:10Z", false)), wait(1800, None));
    let known = at(1810, "2026-11-21T08:00:00Z", true);
    assert_eq!(hourly.due(Tz::UTC, start, known), wait(1800, Some("2026-11-21T08:30:00Z")));
    assert_eq!(
        hourly.due(Tz::UTC, start, at(9999, "2026-11-21T10:16:29Z", true)),
        wait(0, Some("2026-11-21T10:16:29Z"))
    );

    let cron = Schedule::parse("0 0 8 * * *").unwrap();
    assert_eq!(cron.due(Tz::UTC, start, start), Due::Waiting(Reason::TimeNotTrusted));
    // Time became known at 08:00, half an hour after the start: 08:00 lies within, so it is due.
    assert_eq!(cron.due(Tz::UTC, start, known), wait(0, Some("2026-11-21T08:00:00Z")));
    let done = known;
    assert_eq!(cron.due(Tz::UTC, done, known), wait(86_400, Some("2026-11-22T08:00:00Z")));
    // Three days of sleep are made up for by one look.
    let woken = known.plus(Duration::from_secs(3 * 86_400 + 60));
    let Due::In { delay, .. } = cron.due(Tz::UTC, done, woken) else { panic!() };
    assert_eq!(delay, Duration::ZERO);
    assert_eq!(cron.due(Tz::UTC, woken, woken), wait(86_340, Some("2026-11-25T08:00:00Z")));
    assert_eq!(Schedule::Never.due(Tz::UTC, start, known), Due::Never);
}

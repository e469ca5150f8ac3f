//! Schedules: when to look next.
//!
//! Owns intervals and six-field cron expressions in a time zone. Must never ask what time it is.

mod civil;

use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::now::Now;
use crate::reason::Reason;
use crate::settings::duration;

/// When to look for newer images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// Every so often, counted from the start.
    Every(Duration),
    /// A cron expression with seconds.
    Cron(String),
    /// Only when asked.
    Never,
}

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {remedy}")]
pub struct ScheduleError {
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub remedy: String,
}

/// When the next look is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// After this delay; zero means now.
    In {
        /// How long to wait.
        delay: Duration,
        /// The same in civil time, where that can be told.
        at: Option<DateTime<Utc>>,
    },
    /// Not known before this changes.
    Waiting(Reason),
    /// Only when asked.
    Never,
}

impl Schedule {
    /// Reads `0 0 3 * * *`, `@daily`, `@every 1h`.
    ///
    /// # Errors
    /// What is wrong with it and how to write it; an expression with five fields is refused, because it would mean
    /// something else with each of the two ways to read it.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let text = text.trim();
        if let Some(length) = text.strip_prefix("@every ") {
            return match duration::parse(length) {
                Some(every) if every >= Duration::from_secs(1) => Ok(Self::Every(every)),
                Some(_) | None => Err(ScheduleError {
                    what: format!("{text:?} has no length of time from a second up"),
                    remedy: "write it as @every 90m or @every 24h".to_owned(),
                }),
            };
        }
        civil::check(text)?;
        Ok(Self::Cron(text.to_owned()))
    }

    /// The first time after `after`, strictly; `None` for `Never` and for expressions that `parse` refuses. An interval
    /// counts from `after`.
    ///
    /// Where clocks are put forward, a time of day that does not exist runs once, at the first instant after the gap; where
    /// they are put back, a time of day that comes twice runs at the first. Expressions with a wildcard in the minutes or
    /// hours keep their rhythm instead: they run at every instant that shows a matching time.
    #[must_use]
    pub fn next(&self, after: DateTime<Utc>, tz: Tz) -> Option<DateTime<Utc>> {
        match self {
            Self::Every(every) => after.checked_add_signed(chrono::TimeDelta::from_std(*every).ok()?),
            Self::Cron(text) => civil::next(&civil::compile(text).ok()?, after, tz),
            Self::Never => None,
        }
    }

    /// When to look next, given the last look (or the start).
    ///
    /// Intervals go by the monotonic clock alone. Cron expressions need civil time, and take the last look's from the
    /// present one, so that a clock that was set since then neither skips nor repeats a look. Looks missed meanwhile are
    /// made up for by one.
    #[must_use]
    pub fn due(&self, tz: Tz, last: Now, now: Now) -> Due {
        let since = now.monotonic.saturating_sub(last.monotonic);
        match self {
            Self::Never => Due::Never,
            Self::Every(every) => {
                let delay = every.saturating_sub(since);
                Due::In { delay, at: now.trusted.then(|| now.plus(delay).civil) }
            }
            Self::Cron(_) if !now.trusted => Due::Waiting(Reason::TimeNotTrusted),
            Self::Cron(_) => {
                let since = chrono::TimeDelta::from_std(since).unwrap_or(chrono::TimeDelta::zero());
                match self.next(now.civil - since, tz) {
                    None => Due::Never,
                    Some(at) => {
                        Due::In { delay: (at - now.civil).to_std().unwrap_or_default(), at: Some(at) }
                    }
                }
            }
        }
    }

    /// The schedule in words: `every day at 03:00`, `every 24 h`; the expression itself where words would be long.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Never => "only when asked".to_owned(),
            Self::Every(every) => format!("every {}", spaced(*every)),
            Self::Cron(text) => civil::describe(text),
        }
    }
}

/// `24 h`, `1 h 30 min`, `90 s`.
fn spaced(length: Duration) -> String {
    let (hours, minutes, seconds) =
        (length.as_secs() / 3600, length.as_secs() / 60 % 60, length.as_secs() % 60);
    let parts = [(hours, "h"), (minutes, "min"), (seconds, "s")];
    let words: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n} {unit}")).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests;

//! Patience with a registry that asks for it.
//!
//! Owns the reading of rate headers and one registry's back-off. Must never read a clock: `Now` is an argument.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::now::Now;

/// Where a registry does not say how long to wait: this, doubled each time.
const FIRST: Duration = Duration::from_secs(60);
/// And never longer than this: Docker Hub counts in windows of six hours.
const LONGEST: Duration = Duration::from_secs(6 * 3600);

/// What a registry says about its limit: `100;w=21600`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u64,
    /// Per how long.
    pub window: Option<Duration>,
}

impl Rate {
    /// Reads `ratelimit-limit` or `ratelimit-remaining`.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split([';', ',']).map(str::trim);
        let count = parts.next()?.parse().ok()?;
        let seconds = parts.find_map(|p| p.strip_prefix("w=")).and_then(|w| w.parse().ok());
        Some(Self { count, window: seconds.map(Duration::from_secs) })
    }
}

/// The `Retry-After` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// From now on.
    Delay(Duration),
    /// A civil time.
    At(DateTime<Utc>),
}

impl RetryAfter {
    /// Reads seconds or an HTTP date.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let text = header.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Self::Delay(Duration::from_secs(seconds)));
        }
        DateTime::parse_from_rfc2822(text).ok().map(|at| Self::At(at.with_timezone(&Utc)))
    }
}

/// Until when a registry is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// From now on.
    pub remaining: Duration,
    /// As a civil time, for people.
    pub until: DateTime<Utc>,
}

/// One registry's back-off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backoff {
    /// On the monotonic clock.
    until: Option<Duration>,
    refusals: u32,
}

impl Backoff {
    /// The registry said 429 (or 503 with a time). Returns how long it is left alone.
    pub fn limited(&mut self, retry_after: Option<RetryAfter>, now: &Now) -> Wait {
        // Requests are sent in bursts: all refusals of one burst are one.
        if self.wait(now).is_none() {
            self.refusals = self.refusals.saturating_add(1);
        }
        let doubled = FIRST.saturating_mul(1 << self.refusals.saturating_sub(1).min(10));
        let asked = match retry_after {
            Some(RetryAfter::Delay(delay)) => Some(delay),
            // Against a clock that is not believed, a date says nothing.
            Some(RetryAfter::At(at)) if now.trusted => Some((at - now.civil).to_std().unwrap_or_default()),
            Some(RetryAfter::At(_)) | None => None,
        };
        let delay = asked.unwrap_or(doubled).clamp(Duration::from_secs(1), LONGEST);
        // Of several answers to one burst the longest counts.
        let until = (now.monotonic + delay).max(self.until.unwrap_or_default());
        self.until = Some(until);
        wait(until, now)
    }

    /// The registry answered as it should. An answer from within a burst that was refused in part changes nothing.
    pub fn answered(&mut self, now: &Now) {
        if self.wait(now).is_none() {
            *self = Self::default();
        }
    }

    /// Whether it is still to be left alone.
    #[must_use]
    pub fn wait(&self, now: &Now) -> Option<Wait> {
        self.until.filter(|until| *until > now.monotonic).map(|until| wait(until, now))
    }
}

fn wait(until: Duration, now: &Now) -> Wait {
    let remaining = until.saturating_sub(now.monotonic);
    Wait { remaining, until: now.civil + TimeDelta::from_std(remaining).unwrap_or(TimeDelta::MAX) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn now(seconds: u64) -> Now {
        let start = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        Now { monotonic: Duration::ZERO, civil: start, trusted: true }.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn headers() {
        let six_hours = Some(Duration::from_secs(21600));
        assert_eq!(Rate::parse("100;w=21600"), Some(Rate { count: 100, window: six_hours }));
        assert_eq!(Rate::parse("7"), Some(Rate { count: 7, window: None }));
        assert_eq!(Rate::parse("many"), None);
        assert_eq!(RetryAfter::parse(" 30 "), Some(RetryAfter::Delay(Duration::from_secs(30))));
        let at = DateTime::from_timestamp(1_700_000_090, 0).unwrap();
        assert_eq!(RetryAfter::parse("Tue, 14 Nov 2023 22:14:50 GMT"), Some(RetryAfter::At(at)));
        assert_eq!(RetryAfter::parse("soon"), None);
    }

    #[test]
    fn a_registry_is_left_alone_as_long_as_it_asks() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.wait(&now(0)), None);
        backoff.limited(RetryAfter::parse("90"), &now(0));
        assert_eq!(backoff.wait(&now(30)).map(|w| w.remaining.as_secs()), Some(60));
        assert_eq!(backoff.wait(&now(90)), None);
        backoff.answered(&now(90));
        assert_eq!(
            backoff.limited(RetryAfter::parse("Tue, 14 Nov 2023 22:14:50 GMT"), &now(0)).remaining.as_secs(),
            90
        );
    }

    #[test]
    fn without_a_time_it_doubles_up_to_six_hours() {
        let mut backoff = Backoff::default();
        let mut at = 0;
        let mut waits = Vec::new();
        for _ in 0..12 {
            let wait = backoff.limited(None, &now(at)).remaining.as_secs();
            waits.push(wait);
            at += wait;
        }
        assert_eq!(waits[..3], [60, 120, 240]);
        assert_eq!(waits[11], 6 * 3600);
        backoff.answered(&now(at));
        assert_eq!(backoff.limited(None, &now(at)).remaining.as_secs(), 60);
    }

    #[test]
    fn a_burst_counts_once_and_keeps_its_wait() {
        let mut backoff = Backoff::default();
        for _ in 0..20 {
            backoff.limited(None, &now(0));
            backoff.answered(&now(0));
        }
        assert_eq!(backoff.wait(&now(0)).map(|w| w.remaining.as_secs()), Some(60));
    }

    #[test]
    fn a_date_is_not_believed_by_an_untrusted_clock() {
        let untrusted = Now { trusted: false, ..now(0) };
        let mut backoff = Backoff::default();
        let wait = backoff.limited(RetryAfter::parse("Tue, 14 Nov 2028 22:14:50 GMT"), &untrusted);
        assert_eq!(wait.remaining.as_secs(), 60);
    }
}

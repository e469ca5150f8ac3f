//! How long a login lasts.
//!
//! Owns the two limits. Must never see a cookie.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::now::Now;

/// A login ends after so long without a request.
pub const SESSION_IDLE: Duration = Duration::from_secs(7 * 24 * 3600);
/// A login ends after so long in any case.
pub const SESSION_ABSOLUTE: Duration = Duration::from_secs(30 * 24 * 3600);

/// Whether a session is over: by its end in civil time, or because it was last used (on the monotonic clock) too long
/// ago. `last_used` is `None` for a session not seen since the daemon started.
#[must_use]
pub fn session_over(expires: DateTime<Utc>, last_used: Option<Duration>, now: Now) -> bool {
    let idle = last_used.is_some_and(|used| now.monotonic.saturating_sub(used) >= SESSION_IDLE);
    idle || now.civil >= expires
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_end_by_idleness_and_by_age() {
        let start = Now { monotonic: Duration::from_secs(10), civil: DateTime::UNIX_EPOCH, trusted: true };
        let end = start.plus(SESSION_ABSOLUTE).civil;
        let second = Duration::from_secs(1);
        assert!(!session_over(end, None, start));
        assert!(!session_over(end, Some(start.monotonic), start.plus(SESSION_IDLE - second)));
        assert!(session_over(end, Some(start.monotonic), start.plus(SESSION_IDLE)));
        assert!(session_over(end, None, start.plus(SESSION_ABSOLUTE)));
    }
}

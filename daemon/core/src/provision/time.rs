//! Which time cannot be true.
//!
//! Owns the floor of the clock and how an answer of a web server becomes a time. Must never read or set a clock. All times are
//! seconds since 1970.

use chrono::DateTime;

/// The file in the image that holds the time of its build, in seconds since 1970.
pub const BUILD_TIME: &str = "usr/lib/dockbeacon/build-time";

/// No earlier time can be true: that of the image's build, or the last one that was saved.
#[must_use]
pub fn floor(build: Option<&str>, saved: Option<&str>) -> Option<i64> {
    let read =
        |text: Option<&str>| text.and_then(|text| text.trim().parse::<i64>().ok()).filter(|at| *at > 0);
    // A damaged file must not set the clock to another age.
    let built = read(build);
    let saved = read(saved).filter(|saved| built.is_none_or(|built| *saved < built + CENTURY));
    built.max(saved)
}

const CENTURY: i64 = 100 * 365 * 24 * 3600;

/// To what the clock must be set; `None` where it may be right as it is.
#[must_use]
pub const fn behind(now: i64, floor: Option<i64>) -> Option<i64> {
    match floor {
        Some(floor) if now < floor => Some(floor),
        Some(_) | None => None,
    }
}

/// What is saved now: a clock that was saved never goes back.
#[must_use]
pub const fn to_save(now: i64, floor: Option<i64>) -> Option<i64> {
    match floor {
        Some(floor) if now <= floor => None,
        Some(_) | None => Some(now),
    }
}

/// The time in the `Date` of an HTTP answer.
#[must_use]
pub fn from_http_date(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc2822(text.trim()).ok().map(|at| at.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_the_later_of_both() {
        let table = [
            (None, None, None),
            (Some("1700000000\n"), None, Some(1_700_000_000)),
            (Some("1700000000"), Some("1800000000"), Some(1_800_000_000)),
            (Some("1700000000"), Some("1600000000"), Some(1_700_000_000)),
            (Some("1700000000"), Some("99999999999999"), Some(1_700_000_000)),
            (Some("rubbish"), Some("-5"), None),
        ];
        for (build, saved, expected) in table {
            assert_eq!(floor(build, saved), expected, "{build:?} {saved:?}");
        }
        assert_eq!(behind(5, Some(7)), Some(7));
        assert_eq!(behind(8, Some(7)), None);
        assert_eq!(to_save(7, Some(7)), None);
        assert_eq!(to_save(8, Some(7)), Some(8));
    }

    #[test]
    fn dates_of_web_servers() {
        assert_eq!(from_http_date("Sat, 21 Nov 2026 11:25:14 GMT"), Some(1_795_260_314));
        assert_eq!(from_http_date("yesterday"), None);
    }
}

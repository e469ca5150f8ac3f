//! Cron expressions on a clock that is put forward and back.
//!
//! Owns which instants an expression names in a time zone. The expression itself is read and matched by `croner`, on wall
//! time alone; this module decides what a wall time that never comes, or comes twice, means. Must never ask what time it is.

use chrono::{DateTime, LocalResult, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use super::ScheduleError;

/// An expression ready to be asked.
pub(super) struct Compiled {
    cron: Cron,
    /// A wildcard stands in the minutes or hours: the rhythm matters, not the time of day.
    rhythm: bool,
}

/// Six fields for each name.
const NAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 0 1 1 *"),
    ("@annually", "0 0 0 1 1 *"),
    ("@monthly", "0 0 0 1 * *"),
    ("@weekly", "0 0 0 * * 0"),
    ("@daily", "0 0 0 * * *"),
    ("@midnight", "0 0 0 * * *"),
    ("@hourly", "0 0 * * * *"),
];

/// No time zone's clock was ever put forward by more than a day.
const LONGEST_GAP_MINUTES: u32 = 25 * 60;

/// The six fields, names spelt out and `?` read as `*`.
fn fields(text: &str) -> Result<[String; 6], ScheduleError> {
    let lower = text.trim().to_lowercase();
    if lower.starts_with('@') {
        let Some((_, six)) = NAMES.iter().find(|(name, _)| *name == lower) else {
            return Err(ScheduleError {
                what: format!("{text:?} is not a known name for a schedule"),
                remedy: "write @hourly, @daily, @weekly, @monthly, @yearly, @every 24h or six fields"
                    .to_owned(),
            });
        };
        return fields(six);
    }
    let parts: Vec<String> = text.split_whitespace().map(|f| f.replace('?', "*")).collect();
    let count = parts.len();
    parts.try_into().map_err(|_| ScheduleError {
        what: format!("{text:?} has {count} {}, not six", if count == 1 { "field" } else { "fields" }),
        remedy: if count == 5 {
            format!("put the seconds in front: \"0 {text}\"")
        } else {
            "write second minute hour day month weekday, such as \"0 0 3 * * *\"".to_owned()
        },
    })
}

/// Reads an expression.
pub(super) fn compile(text: &str) -> Result<Compiled, ScheduleError> {
    let fields = fields(text)?;
    let parser =
        CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed).sloppy_ranges(true).build();
    let cron = parser.parse(&fields.join(" ")).map_err(|error| ScheduleError {
        what: format!("{text:?} is not a schedule ({})", error.to_string().trim_end_matches('.')),
        remedy: "write second minute hour day month weekday, such as \"0 0 3 * * *\"".to_owned(),
    })?;
    let [_, minute, hour, ..] = &fields;
    Ok(Compiled { rhythm: minute.contains('*') || hour.contains('*'), cron })
}

/// Makes sure that an expression ever comes true, which takes too long to do at every look.
pub(super) fn check(text: &str) -> Result<(), ScheduleError> {
    match wall_after(&compile(text)?, DateTime::UNIX_EPOCH.naive_utc()) {
        Some(_) => Ok(()),
        None => Err(ScheduleError {
            what: format!("{text:?} names a day that never comes"),
            remedy: "correct day and month".to_owned(),
        }),
    }
}

/// The next matching wall time, strictly after. Wall time has no gaps, so UTC stands in for it.
fn wall_after(compiled: &Compiled, wall: NaiveDateTime) -> Option<NaiveDateTime> {
    compiled.cron.find_next_occurrence(&wall.and_utc(), false).ok().map(|at| at.naive_utc())
}

/// The next instant, strictly after.
pub(super) fn next(compiled: &Compiled, after: DateTime<Utc>, tz: Tz) -> Option<DateTime<Utc>> {
    let after = after.with_nanosecond(0)?;
    let local = after.with_timezone(&tz);
    if compiled.rhythm {
        return compiled.cron.find_next_occurrence(&local, false).ok().map(|at| at.to_utc());
    }
    // Wall times in order name instants in order (equal ones within a gap), so the first that lies ahead is the next.
    let mut wall = local.naive_local();
    loop {
        wall = wall_after(compiled, wall)?;
        let at = instant(wall, tz)?;
        if at > after {
            return Some(at);
        }
    }
}

/// The instant that a wall time names: the first of two, or the end of the gap that it falls into.
fn instant(wall: NaiveDateTime, tz: Tz) -> Option<DateTime<Utc>> {
    match tz.from_local_datetime(&wall) {
        LocalResult::Single(at) => return Some(at.to_utc()),
        LocalResult::Ambiguous(first, _) => return Some(first.to_utc()),
        LocalResult::None => {}
    }
    let mut edge = wall.with_second(0)?;
    for _ in 0..LONGEST_GAP_MINUTES {
        edge += TimeDelta::minutes(1);
        if let Some(at) = tz.from_local_datetime(&edge).earliest() {
            return Some(at.to_utc());
        }
    }
    None
}

/// The expression in words where that is short.
pub(super) fn describe(text: &str) -> String {
    let plain = || format!("on the schedule {text}");
    let Ok([second, minute, hour, day, month, weekday]) = fields(text) else { return plain() };
    let every_day = day == "*" && month == "*";
    let (Ok(second), true) = (second.parse::<u32>(), every_day) else { return plain() };
    let step = |field: &str| field.strip_prefix("*/").and_then(|n| n.parse::<u32>().ok());
    if weekday == "*" && second == 0 {
        match (minute.as_str(), hour.as_str()) {
            ("*", "*") => return "every minute".to_owned(),
            ("0", "*") => return "every hour".to_owned(),
            (minute, "*") => {
                if let Some(n) = step(minute) {
                    return format!("every {n} min");
                }
            }
            ("0", hour) => {
                if let Some(n) = step(hour) {
                    return format!("every {n} h");
                }
            }
            _ => {}
        }
    }
    let (Ok(minute), Ok(hour)) = (minute.parse::<u32>(), hour.parse::<u32>()) else { return plain() };
    let days = match weekday.to_uppercase().as_str() {
        "*" => "day",
        "0" | "7" | "SUN" => "Sunday",
        "1" | "MON" => "Monday",
        "2" | "TUE" => "Tuesday",
        "3" | "WED" => "Wednesday",
        "4" | "THU" => "Thursday",
        "5" | "FRI" => "Friday",
        "6" | "SAT" => "Saturday",
        "1-5" | "MON-FRI" => "weekday",
        _ => return plain(),
    };
    let time = match second {
        0 => format!("{hour:02}:{minute:02}"),
        _ => format!("{hour:02}:{minute:02}:{second:02}"),
    };
    format!("every {days} at {time}")
}

//! What a setting's value may be.
//!
//! Owns the types of values, how each is read from text and shown again. Must never know which key it serves.

use std::net::SocketAddr;
use std::time::Duration;

use crate::auth::Plain;

use super::{Mode, PanelDriver, Secret, duration};
use crate::panel::{LampHours, LineName};
use crate::window::Schedule;

/// A value as it was written, before its type is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawValue {
    /// The key without a value: not set.
    Empty,
    /// One text, as written.
    Scalar(String),
    /// Several.
    List(Vec<String>),
}

/// The type of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A text that is never shown.
    Secret,
    /// True or false.
    Flag,
    /// A whole number from zero.
    Count,
    /// A length of time.
    Length,
    /// A length of time from one second, or never.
    Interval,
    /// A six-field cron expression.
    Cron,
    /// A time zone's name.
    Zone,
    /// An update mode.
    Mode,
    /// Several texts.
    List,
    /// Address and port.
    Listen,
    /// `unix:///path`.
    Socket,
    /// A log level.
    Level,
    /// A panel driver.
    Driver,
    /// A line of the board, or none.
    Line,
    /// 1 to 100.
    Percent,
    /// Hours of the lamps.
    Lamps,
    /// What plain HTTP from other machines gets.
    Plain,
}

/// A value of the right type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Unset,
    /// Text, sockets and log levels.
    Text(String),
    /// Never shown.
    Secret(Secret),
    /// True or false.
    Flag(bool),
    /// A whole number.
    Count(u32),
    /// A length of time.
    Length(Duration),
    /// An interval or cron expression.
    Schedule(Schedule),
    /// A time zone.
    Zone(chrono_tz::Tz),
    /// An update mode.
    Mode(Mode),
    /// Several texts.
    List(Vec<String>),
    /// Address and port.
    Listen(SocketAddr),
    /// A panel driver.
    Driver(PanelDriver),
    /// A line of the board; `None` where nothing is wired.
    Line(Option<LineName>),
    /// Hours of the lamps.
    Lamps(LampHours),
    /// What plain HTTP from other machines gets.
    Plain(Plain),
}

/// Why a value was refused: what is wrong, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl Kind {
    /// What to write, in words.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Text | Self::Secret => "write one text",
            Self::Flag => "write true or false",
            Self::Count => "write a whole number from 0",
            Self::Length => "write seconds, or a length such as 90s, 5m, 24h or 2d",
            Self::Interval => "write seconds, a length such as 30m, 24h or 2d, or never",
            Self::Cron => "write six fields, second minute hour day month weekday, such as \"0 0 3 * * *\"",
            Self::Zone => "write a name such as Europe/Berlin, America/New_York or UTC",
            Self::Mode => "write auto, approve, monitor or off",
            Self::List => "write a list such as [one, two]",
            Self::Listen => "write address and port, such as 127.0.0.1:3625, [::1]:3625 or 0.0.0.0:3625",
            Self::Socket => "write a unix socket such as unix:///var/run/docker.sock",
            Self::Level => "write error, warn, info, debug or trace",
            Self::Plain => "write explain or allow",
            Self::Driver => "write auto, rppal, gpio, led or virtual",
            Self::Line => {
                "write a line's name such as GPIO17, a chip's label and offset such as pinctrl-bcm2711:17, or none; chips go by label, since their numbers change"
            }
            Self::Percent => "write a whole number from 1 to 100",
            Self::Lamps => "write on, off, or hours such as night 22:00-07:00",
        }
    }

    /// Reads a value.
    ///
    /// # Errors
    /// What is wrong with it and what to write instead.
    pub fn read(self, raw: &RawValue) -> Result<Value, Refused> {
        let text = match (self, raw) {
            (_, RawValue::Empty) => return Ok(Value::Unset),
            (Self::List, RawValue::List(items)) => return Ok(Value::List(items.clone())),
            (Self::List, RawValue::Scalar(text)) => {
                let items = text.split([',', ' ', '\t', '\n']).filter(|t| !t.is_empty());
                return Ok(Value::List(items.map(str::to_owned).collect()));
            }
            (_, RawValue::List(_)) => {
                return Err(self.refuse("a list stands where one value belongs".to_owned()));
            }
            (_, RawValue::Scalar(text)) => text.trim(),
        };
        if text.is_empty() {
            return Ok(Value::Unset);
        }
        let wrong = || self.refuse(format!("{text:?} is not {}", self.noun()));
        match self {
            Self::Text => Ok(Value::Text(text.to_owned())),
            Self::Secret => Ok(Value::Secret(Secret::new(text.to_owned()))),
            Self::Flag => truth(text).map(Value::Flag).ok_or_else(wrong),
            Self::Count => text.parse().map(Value::Count).map_err(|_| wrong()),
            Self::Length => duration::parse(text).map(Value::Length).ok_or_else(wrong),
            Self::Interval => match text.to_lowercase().as_str() {
                "never" | "off" => Ok(Value::Schedule(Schedule::Never)),
                _ => match duration::parse(text) {
                    Some(every) if every >= Duration::from_secs(1) => {
                        Ok(Value::Schedule(Schedule::Every(every)))
                    }
                    Some(_) => Err(self.refuse(format!("{text:?} is shorter than a second"))),
                    None => Err(wrong()),
                },
            },
            Self::Cron => match Schedule::parse(text) {
                Ok(schedule) => Ok(Value::Schedule(schedule)),
                Err(error) => Err(Refused { what: error.what, remedy: error.remedy }),
            },
            Self::Zone => zone(text).map(Value::Zone).ok_or_else(wrong),
            Self::Mode => Mode::parse(text).map(Value::Mode).ok_or_else(wrong),
            Self::List => Err(wrong()),
            Self::Listen => text.parse().map(Value::Listen).map_err(|_| wrong()),
            Self::Socket => match text.strip_prefix("unix://") {
                Some(path) if path.starts_with('/') => Ok(Value::Text(text.to_owned())),
                Some(_) | None => Err(self.refuse(format!(
                    "{text:?} is not a unix socket, and other ways to an engine are not built yet"
                ))),
            },
            Self::Level => level(text).map(|l| Value::Text(l.to_owned())).ok_or_else(wrong),
            Self::Driver => {
                let driver = PanelDriver::ALL.into_iter().find(|driver| driver.word() == text);
                driver.map(Value::Driver).ok_or_else(wrong)
            }
            Self::Line if matches!(text, "none" | "off" | "false") => Ok(Value::Line(None)),
            Self::Line => LineName::parse(text).map(|line| Value::Line(Some(line))).ok_or_else(wrong),
            Self::Percent => match text.trim_end_matches('%').trim_end().parse() {
                Ok(percent @ 1..=100) => Ok(Value::Count(percent)),
                Ok(_) | Err(_) => Err(wrong()),
            },
            Self::Lamps => lamps(text).map(Value::Lamps).ok_or_else(wrong),
            Self::Plain => match text {
                "explain" => Ok(Value::Plain(Plain::Explain)),
                "allow" => Ok(Value::Plain(Plain::Allow)),
                _ => Err(wrong()),
            },
        }
    }

    const fn noun(self) -> &'static str {
        match self {
            Self::Text | Self::Secret => "a text",
            Self::Flag => "a truth value",
            Self::Count => "a whole number",
            Self::Length | Self::Interval => "a length of time",
            Self::Cron => "a schedule",
            Self::Zone => "a known time zone",
            Self::Mode => "an update mode",
            Self::List => "a list",
            Self::Listen => "an address with a port",
            Self::Socket => "a unix socket",
            Self::Level => "a log level",
            Self::Driver => "a panel driver",
            Self::Line => "a line of the board",
            Self::Percent => "a percentage",
            Self::Lamps => "an hour setting of the lamps",
            Self::Plain => "a rule for plain HTTP",
        }
    }

    fn refuse(self, what: String) -> Refused {
        Refused { what, remedy: self.remedy().to_owned() }
    }
}

impl Value {
    /// As text for people; secrets hidden, nothing for what is not set.
    #[must_use]
    pub fn show(&self) -> String {
        match self {
            Self::Unset => String::new(),
            Self::Text(text) => text.clone(),
            Self::Secret(_) => "(set, not shown)".to_owned(),
            Self::Flag(flag) => flag.to_string(),
            Self::Count(count) => count.to_string(),
            Self::Length(length) => duration::show(*length),
            Self::Schedule(Schedule::Every(every)) => duration::show(*every),
            Self::Schedule(Schedule::Cron(cron)) => cron.clone(),
            Self::Schedule(Schedule::Never) => "never".to_owned(),
            Self::Zone(zone) => zone.name().to_owned(),
            Self::Mode(mode) => mode.word().to_owned(),
            Self::List(items) => items.join(", "),
            Self::Listen(address) => address.to_string(),
            Self::Plain(Plain::Explain) => "explain".to_owned(),
            Self::Plain(Plain::Allow) => "allow".to_owned(),
            Self::Driver(driver) => driver.word().to_owned(),
            Self::Line(line) => line.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string),
            Self::Lamps(LampHours::On) => "on".to_owned(),
            Self::Lamps(LampHours::Off) => "off".to_owned(),
            Self::Lamps(LampHours::Night { from, to }) => {
                format!("night {:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
            }
        }
    }
}

/// A truth value as people, YAML and Go write it.
#[must_use]
pub fn truth(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "true" | "t" | "yes" | "on" | "1" => Some(true),
        "false" | "f" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// A time zone; a leading colon, as `TZ` may have, is passed over.
fn zone(text: &str) -> Option<chrono_tz::Tz> {
    text.strip_prefix(':').unwrap_or(text).parse().ok()
}

/// Our five levels; Watchtower's `panic`, `fatal` and `warning` are taken for the nearest.
fn level(text: &str) -> Option<&'static str> {
    match text.to_lowercase().as_str() {
        "panic" | "fatal" | "error" => Some("error"),
        "warn" | "warning" => Some("warn"),
        "info" => Some("info"),
        "debug" => Some("debug"),
        "trace" => Some("trace"),
        _ => None,
    }
}

fn lamps(text: &str) -> Option<LampHours> {
    match text {
        "on" | "true" | "yes" => return Some(LampHours::On),
        "off" | "false" | "no" => return Some(LampHours::Off),
        _ => {}
    }
    let (from, to) = text.strip_prefix("night")?.trim().split_once('-')?;
    let (from, to) = (minutes(from)?, minutes(to)?);
    // Equal ends could mean all day or not at all.
    (from != to).then_some(LampHours::Night { from, to })
}

fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

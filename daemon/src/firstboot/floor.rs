//! The clock's floor.
//!
//! Owns setting a clock that is behind, and saving it. The image holds the time of its build in `/usr/lib/dockbeacon/build-time`;
//! a running device saves its time hourly and at stop. Must never set the clock back.

use anyhow::{Context as _, Result};
use dockbeacon_core::provision::time;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_settime};

use super::Done;
use super::card::Card;
use crate::clock;

const SAVED: &str = "var/lib/dockbeacon-firstboot/clock";

fn lowest(card: &Card) -> Option<i64> {
    time::floor(card.text(time::BUILD_TIME).as_deref(), card.text(SAVED).as_deref())
}

/// Sets a clock that is behind its floor.
pub fn raise(card: &Card) -> Done {
    let now = clock::now().civil.timestamp();
    match time::behind(now, lowest(card)) {
        None => Done::nothing("the clock is not behind what it can be"),
        Some(floor) => match set(card, floor) {
            Ok(()) => Done::well(format!("the clock was behind and is set to {}", readable(floor))),
            Err(error) => error.into(),
        },
    }
}

/// Saves the time, so that the next start is not earlier.
pub fn save(card: &Card) -> Result<String> {
    let now = clock::now().civil.timestamp();
    match time::to_save(now, lowest(card)) {
        None => Ok("the clock is behind what was saved; nothing saved".to_owned()),
        Some(now) => {
            card.write(SAVED, format!("{now}\n").as_bytes(), 0o600, None)?;
            Ok(format!("saved the time, {}", readable(now)))
        }
    }
}

/// Sets the machine's clock; a folder that stands for a card has none.
pub fn set(card: &Card, to: i64) -> Result<()> {
    if !card.is_live() {
        return Ok(());
    }
    clock_settime(ClockId::CLOCK_REALTIME, TimeSpec::new(to, 0)).context("setting the clock")
}

/// A time for people.
pub fn readable(at: i64) -> String {
    chrono::DateTime::from_timestamp(at, 0)
        .map_or_else(|| at.to_string(), |at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}

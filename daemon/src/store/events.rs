//! The newest events, so that a page that comes back can catch up.
//!
//! Owns their ids, which never go back or repeat. Must never wait for the card: an event lost in a power cut is no harm.

use chrono::{DateTime, Utc};
use dockbeacon_core::event::Event;
use rusqlite::params;

use super::{Result, Store, from_micros, rows, to_micros};

/// How many are kept.
const KEPT: i64 = 5_000;
/// Trimmed only at every so many, to spare the card.
const TRIM_EVERY: i64 = 100;

impl Store {
    /// Adds an event, given as the JSON of `What`; returns its id.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn event_add(&self, at: DateTime<Utc>, what: &str) -> Result<u64> {
        self.relaxed(|c| {
            c.prepare_cached("INSERT INTO events (at, json) VALUES (?1, ?2)")?
                .execute(params![to_micros(at), what])?;
            let id = c.last_insert_rowid();
            if id % TRIM_EVERY == 0 {
                c.execute("DELETE FROM events WHERE id <= ?1", [id - KEPT])?;
            }
            Ok(u64::try_from(id).unwrap_or(0))
        })
    }

    /// Events with a greater id, oldest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn events_after(&self, id: u64, limit: usize) -> Result<Vec<Event>> {
        let after = i64::try_from(id).unwrap_or(i64::MAX);
        self.events("SELECT id, at, json FROM events WHERE id > ?1 ORDER BY id LIMIT ?2", after, limit)
    }

    /// The newest events, newest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn events_recent(&self, limit: usize) -> Result<Vec<Event>> {
        self.events("SELECT id, at, json FROM events WHERE id > ?1 ORDER BY id DESC LIMIT ?2", 0, limit)
    }

    /// Rows of a kind that this version does not know are left out: the file may have been written by another one.
    fn events(&self, sql: &str, after: i64, limit: usize) -> Result<Vec<Event>> {
        let found = self.read(|c| {
            let mut query = c.prepare_cached(sql)?;
            let found = query.query_map([after, rows(limit)], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
            })?;
            found.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        Ok(found
            .into_iter()
            .filter_map(|(id, at, json)| {
                let what = serde_json::from_str(&json).ok()?;
                Some(Event { id: u64::try_from(id).ok()?, at: from_micros(at), what })
            })
            .collect())
    }
}

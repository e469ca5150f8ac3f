//! The history of updates, as the page shows it.
//!
//! Owns one row per transaction. Must never be asked what a crash left behind: the journal knows.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, params};

use super::{Result, Store, rows, to_micros};

/// How many ended updates are kept.
const KEPT: i64 = 500;

impl Store {
    /// Adds or replaces the row of one transaction. The next journal record makes it durable: put the last state before
    /// the transaction is closed.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn update_put(
        &self,
        tx: &str,
        container: &str,
        started: DateTime<Utc>,
        ended: Option<DateTime<Utc>>,
        json: &str,
    ) -> Result<()> {
        self.relaxed(|c| {
            c.prepare_cached(
                "INSERT INTO updates (tx, container, started, ended, json) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (tx) DO UPDATE SET
                     container = excluded.container, started = excluded.started, ended = excluded.ended, json = excluded.json",
            )?
            .execute(params![tx, container, to_micros(started), ended.map(to_micros), json])?;
            if ended.is_some() {
                c.execute(
                    "DELETE FROM updates WHERE seq IN
                     (SELECT seq FROM updates WHERE ended IS NOT NULL ORDER BY seq DESC LIMIT -1 OFFSET ?1)",
                    [KEPT],
                )?;
            }
            Ok(())
        })
    }

    /// Takes one row out of the history.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn update_forget(&self, tx: &str) -> Result<()> {
        self.relaxed(|c| c.execute("DELETE FROM updates WHERE tx = ?1", [tx]).map(drop))
    }

    /// The rows' JSON, the unfinished ones first, then newest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn updates(&self, limit: usize) -> Result<Vec<String>> {
        self.read(|c| {
            let mut query =
                c.prepare_cached("SELECT json FROM updates ORDER BY ended IS NOT NULL, seq DESC LIMIT ?1")?;
            query.query_map([rows(limit)], |row| row.get(0))?.collect()
        })
    }

    /// The JSON of one transaction.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn update_get(&self, tx: &str) -> Result<Option<String>> {
        self.read(|c| {
            c.query_row("SELECT json FROM updates WHERE tx = ?1", [tx], |row| row.get(0)).optional()
        })
    }
}

//! The journal of update transactions: what was begun, what was finished.
//!
//! Owns order and durability: an append returns only when the card has it. Must never read a record's meaning.

use chrono::{DateTime, Utc};
use rusqlite::params;

use super::{Result, Store, from_micros, to_micros};

/// How many closed transactions are kept for the history.
const KEPT: i64 = 200;

/// A transaction that was not closed: its name and its records, oldest first.
pub type OpenTransaction = (String, Vec<(DateTime<Utc>, String)>);

impl Store {
    /// Adds records to a transaction, which begins with its first one, all or none of them. Returns when they are durable.
    /// Records for a closed transaction are kept but do not open it again.
    ///
    /// # Errors
    /// When they could not be made durable, above all with a full disk.
    pub fn journal_append_all(&self, tx: &str, at: DateTime<Utc>, records: &[String]) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        self.durably(|c| {
            c.prepare_cached("INSERT INTO journal_tx (tx) VALUES (?1) ON CONFLICT DO NOTHING")?
                .execute([tx])?;
            let mut insert = c.prepare_cached("INSERT INTO journal (tx, at, record) VALUES (?1, ?2, ?3)")?;
            for record in records {
                insert.execute(params![tx, to_micros(at), record])?;
            }
            Ok(())
        })
    }

    /// Adds one record; see `journal_append_all`.
    ///
    /// # Errors
    /// As there.
    pub fn journal_append(&self, tx: &str, at: DateTime<Utc>, record: &str) -> Result<()> {
        self.journal_append_all(tx, at, &[record.to_owned()])
    }

    /// Transactions without a close, oldest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn journal_open(&self) -> Result<Vec<OpenTransaction>> {
        let names = self.read(|c| {
            let mut query = c.prepare_cached("SELECT tx FROM journal_tx WHERE closed = 0 ORDER BY seq")?;
            let names =
                query.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(names)
        })?;
        names.into_iter().map(|tx| Ok((tx.clone(), self.journal_records(&tx)?))).collect()
    }

    /// The records of one transaction, open or closed, oldest first; empty when it is not known.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn journal_records(&self, tx: &str) -> Result<Vec<(DateTime<Utc>, String)>> {
        self.read(|c| {
            let mut query = c.prepare_cached("SELECT at, record FROM journal WHERE tx = ?1 ORDER BY seq")?;
            let rows = query.query_map([tx], |row| Ok((from_micros(row.get(0)?), row.get(1)?)))?;
            rows.collect()
        })
    }

    /// Ends a transaction; durable when it returns. The newest 200 closed ones are kept, open ones always.
    ///
    /// # Errors
    /// When it could not be made durable.
    pub fn journal_close(&self, tx: &str) -> Result<()> {
        self.durably(|c| {
            c.execute("UPDATE journal_tx SET closed = 1 WHERE tx = ?1", [tx])?;
            let surplus = "SELECT tx FROM journal_tx WHERE closed = 1 ORDER BY seq DESC LIMIT -1 OFFSET ?1";
            c.execute(&format!("DELETE FROM journal WHERE tx IN ({surplus})"), [KEPT])?;
            c.execute(&format!("DELETE FROM journal_tx WHERE tx IN ({surplus})"), [KEPT])?;
            Ok(())
        })
    }
}

//! From whatever version of the state is found to the newest.
//!
//! Owns the list of versions; `user_version` in the file says which one it is. A released step is never edited, only
//! followed by another. Must never touch a file written by a later version.

use std::path::Path;

use rusqlite::Connection;

use super::{Result, StoreError};

/// One script for each step; the first makes version 1 of an empty file.
const STEPS: [&str; 1] = [include_str!("schema-v1.sql")];

/// The version that this program writes.
pub const NEWEST: i64 = STEPS.len() as i64;

/// Looks for damage. The file is a few megabytes at most, so this takes milliseconds.
pub fn check(path: &Path, connection: &Connection) -> Result<()> {
    let answer: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|e| StoreError::from_sqlite(path, &e))?;
    if answer == "ok" { Ok(()) } else { Err(StoreError::Damaged { path: path.to_owned(), why: answer }) }
}

/// Runs the missing steps, all in one transaction.
pub fn migrate(path: &Path, connection: &mut Connection) -> Result<()> {
    let attempt = |connection: &mut Connection| {
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if found < NEWEST {
            for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
                transaction.execute_batch(step)?;
            }
            transaction.pragma_update(None, "user_version", NEWEST)?;
        }
        transaction.commit()?;
        Ok(found)
    };
    let found = attempt(connection).map_err(|e| StoreError::from_sqlite(path, &e))?;
    if found > NEWEST {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: NEWEST });
    }
    Ok(())
}

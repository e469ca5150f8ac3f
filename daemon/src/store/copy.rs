//! The state on its way into a backup and out of one.
//!
//! Owns a copy that is whole while others write, and taking out of it what concerns the old machine alone. Must never
//! change the state that it copies.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::records::CLAIM_CODE;
use super::{FILE_NAME, PATIENCE, Result, Store, StoreError};

/// Writes the state in the folder `from`, as it is at one instant, to the new file `to`. Whether there was any.
///
/// # Errors
/// When it cannot be read, or `to` not be written.
pub fn copy(from: &Path, to: &Path) -> Result<bool> {
    let path = from.join(FILE_NAME);
    if !path.exists() {
        return Ok(false);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let attempt = || {
        let connection = Connection::open_with_flags(&path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        connection.execute("VACUUM INTO ?1", [to.to_string_lossy()])
    };
    attempt().map_err(|error| StoreError::from_sqlite(&path, &error))?;
    Ok(true)
}

impl Store {
    /// Forgets what concerns only the machine on which the state was written: logins, the claim code, updates that were under
    /// way, and these remarks.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn forget_machine(&self, remarks: &[&str]) -> Result<()> {
        self.durably(|c| {
            c.execute("DELETE FROM sessions", [])?;
            c.execute("UPDATE journal_tx SET closed = 1", [])?;
            for key in remarks.iter().chain([&CLAIM_CODE]) {
                c.execute("DELETE FROM meta WHERE key = ?1", [key])?;
            }
            Ok(())
        })
    }
}

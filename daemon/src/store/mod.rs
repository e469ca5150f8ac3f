//! The state that outlives the process: journal, history, facts, tokens, in one SQLite file.
//!
//! Owns the file `dockbeacon.db`, its schema and its migrations; the only module that names rusqlite. Must never
//! interpret the JSON that it keeps, and must never overwrite a file that it cannot read.
//!
//! Two connections to one file: the durable one waits for the card on every commit and is for what a power cut must not
//! take (journal, passwords, refused digests); the relaxed one does not wait, which saves the card from a write barrier
//! per event. A durable commit also makes every earlier relaxed one durable, since both go through one log.

mod copy;
mod error;
mod events;
mod facts;
mod journal;
mod migrations;
mod records;
mod updates;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OpenFlags};

pub use copy::copy;
pub use error::StoreError;
pub use facts::{Approval, BadDigest, Generation};
pub use journal::OpenTransaction;

/// The name of the file in the state folder.
pub const FILE_NAME: &str = "dockbeacon.db";

/// How long a connection waits for the other one.
const PATIENCE: Duration = Duration::from_secs(5);

type Result<T> = std::result::Result<T, StoreError>;

/// The state. Clones share the same two connections.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    durable: Mutex<Connection>,
    relaxed: Mutex<Connection>,
    notices: Vec<String>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the state in an existing folder, makes it where there is none, and brings an older one up to date. A file
    /// that cannot be read as a database is moved aside and a new one begun; [`Store::notices`] then says so.
    ///
    /// # Errors
    /// No room, no permission, a read-only file system, or a file written by a newer version.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE_NAME);
        let mut notices = Vec::new();
        let durable = match open_durable(&path) {
            Ok(connection) => connection,
            Err(StoreError::Damaged { why, .. }) => {
                let aside = move_aside(&path)?;
                let notice = format!(
                    "The state file could not be read ({why}). It was kept as {} and a new one was begun: history, approvals, \
                     refused versions and passwords are gone, and an update that was interrupted is not known any more.",
                    aside.display()
                );
                tracing::error!(path = %path.display(), aside = %aside.display(), "{notice}");
                notices.push(notice);
                open_durable(&path)?
            }
            Err(other) => return Err(other),
        };
        let relaxed = connect(&path, "NORMAL")?;
        let inner = Inner { path, durable: Mutex::new(durable), relaxed: Mutex::new(relaxed), notices };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What its owner must be told about how it was opened; empty when all is well.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.inner.notices
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Runs `act` in one transaction on the connection that waits for the card.
    fn durably<T>(&self, act: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        self.run(&self.inner.durable, act)
    }

    /// Runs `act` in one transaction that the next durable one makes durable.
    fn relaxed<T>(&self, act: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        self.run(&self.inner.relaxed, act)
    }

    /// Reads without taking the writer's place.
    fn read<T>(&self, act: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        act(&hold(&self.inner.relaxed)).map_err(|e| StoreError::from_sqlite(&self.inner.path, &e))
    }

    fn run<T>(
        &self,
        connection: &Mutex<Connection>,
        act: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let mut connection = hold(connection);
        let attempt = || {
            let transaction =
                connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let value = act(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        attempt().map_err(|e| StoreError::from_sqlite(&self.inner.path, &e))
    }
}

/// A panic while a connection was held leaves no half-done work: its transaction was rolled back when it was dropped.
fn hold(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open_durable(path: &Path) -> Result<Connection> {
    create_private(path)?;
    let mut connection = connect(path, "FULL")?;
    migrations::check(path, &connection)?;
    migrations::migrate(path, &mut connection)?;
    Ok(connection)
}

/// The file is made before SQLite does, so that it and the log beside it are readable by their owner alone.
fn create_private(path: &Path) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let opened = std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    // SQLite gives the files beside it the same owner.
    let given = opened.and_then(|file| crate::lock::give_to_owner(&file, path.parent().unwrap_or(path)));
    given.map_err(|e| StoreError::from_io(path, &e))
}

fn connect(path: &Path, synchronous: &str) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let attempt = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        // The log is cut back to this after a checkpoint: a burst of events must not hold room on the card for ever.
        connection.pragma_update(None, "journal_size_limit", 1 << 20)?;
        // Half a megabyte of pages is plenty for a state of this size.
        connection.pragma_update(None, "cache_size", -512)?;
        connection.set_prepared_statement_cache_capacity(32);
        Ok(connection)
    };
    attempt().map_err(|e| StoreError::from_sqlite(path, &e))
}

/// Renames the file and the log beside it to a name that nobody has; returns the new name of the file.
fn move_aside(path: &Path) -> Result<PathBuf> {
    let time = crate::clock::now().civil.format("%Y%m%dT%H%M%SZ");
    let mut aside = PathBuf::from(format!("{}.unreadable-{time}", path.display()));
    let mut count = 1;
    while aside.exists() {
        count += 1;
        aside = PathBuf::from(format!("{}.unreadable-{time}-{count}", path.display()));
    }
    std::fs::rename(path, &aside).map_err(|e| StoreError::from_io(path, &e))?;
    for suffix in ["-wal", "-shm"] {
        let from = PathBuf::from(format!("{}{suffix}", path.display()));
        let to = PathBuf::from(format!("{}{suffix}", aside.display()));
        match std::fs::rename(&from, &to) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(StoreError::from_io(&from, &e)),
        }
    }
    Ok(aside)
}

const fn to_micros(at: DateTime<Utc>) -> i64 {
    at.timestamp_micros()
}

fn from_micros(at: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at).unwrap_or_default()
}

/// A limit as SQLite takes it.
fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;

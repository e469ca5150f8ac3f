//! What can go wrong with the state, said so that its owner knows what to do.
//!
//! Owns the translation of SQLite's codes. Must never decide whether work goes on without the store: its callers do.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// The state could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No room.
    #[error(
        "{path}: the disk is full; free some space (`docker image prune`, `journalctl --vacuum-size=50M`), nothing else is needed"
    )]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The file system or the file refuses writing.
    #[error(
        "{path}: cannot be written, the file system or the file is read-only; remount it or check the card, then restart"
    )]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// Not ours to open.
    #[error("{path}: no permission; run as the user that owns the folder, or with sudo")]
    NoPermission {
        /// The file.
        path: PathBuf,
    },
    /// The content is damaged. At start such a file is moved aside; this is for damage that appears later.
    #[error(
        "{path}: the content is damaged ({why}); restart Dockbeacon, which moves the file aside and starts a new one, and check the card"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        why: String,
    },
    /// Written by a later version.
    #[error(
        "{path}: written by a newer Dockbeacon (state version {found}, this program knows up to {known}); install that version again, or move the file away to start afresh"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: i64,
        /// The newest one known here.
        known: i64,
    },
    /// Something else holds it for longer than we wait.
    #[error("{path}: another program holds it; stop that program (`fuser {path}` names it)")]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// Anything else.
    #[error("{path}: {why}")]
    Other {
        /// The file.
        path: PathBuf,
        /// SQLite's or the system's words.
        why: String,
    },
}

impl StoreError {
    pub(super) fn from_sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        let why = error.to_string();
        let rusqlite::Error::SqliteFailure(failure, _) = error else {
            return Self::Other { path, why };
        };
        // SQLite reports a full disk as an I/O error where it grows the shared-memory file of the log.
        if failure.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE {
            return Self::Full { path };
        }
        // The library's enum is open, so a rest is needed.
        #[allow(clippy::wildcard_enum_match_arm, reason = "not our enum, and it may grow")]
        match failure.code {
            ErrorCode::DiskFull => Self::Full { path },
            ErrorCode::ReadOnly => Self::ReadOnly { path },
            ErrorCode::PermissionDenied => Self::NoPermission { path },
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Damaged { path, why },
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Locked { path },
            _ => Self::Other { path, why },
        }
    }

    pub(super) fn from_io(path: &Path, error: &std::io::Error) -> Self {
        let path = path.to_owned();
        #[allow(clippy::wildcard_enum_match_arm, reason = "not our enum, and it may grow")]
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full { path },
            std::io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            std::io::ErrorKind::PermissionDenied => Self::NoPermission { path },
            _ => Self::Other { path, why: error.to_string() },
        }
    }
}

//! The few traits that parts of the shell need of each other, each with two real implementations.
//!
//! Owns `Records`: what the HTTP side reads and writes of the store. Must never name SQLite.

use chrono::{DateTime, Utc};
use dockbeacon_core::auth::Role;
use dockbeacon_core::event::Event;

use crate::view::UpdateView;

/// A record could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store failed while {act}: {why}")]
pub struct RecordsError {
    /// What was being done.
    pub act: &'static str,
    /// What went wrong, and what to do.
    pub why: String,
}

/// An API token as it is kept: never the token itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Short and public.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// SHA-256 of the token, hexadecimal.
    pub hash: String,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created: DateTime<Utc>,
}

/// A session as it is kept: never the cookie itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// SHA-256 of the cookie, hexadecimal.
    pub hash: String,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it ends in any case.
    pub expires: DateTime<Utc>,
}

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// When.
    pub at: DateTime<Utc>,
    /// Who: `page`, `api token NAME`, `command line`.
    pub who: String,
    /// From which address.
    pub from: String,
    /// What was asked for, and how it ended.
    pub what: String,
}

/// What the HTTP side reads and writes of the store. Calls block for a few milliseconds at most.
/// Implemented by `store::Store` and by the in-memory `MemoryRecords` of the HTTP tests.
pub trait Records: Send + Sync {
    /// Events with a greater id, oldest first.
    fn events_after(&self, id: u64, limit: usize) -> Result<Vec<Event>, RecordsError>;
    /// Updates, newest first.
    fn updates(&self, limit: usize) -> Result<Vec<UpdateView>, RecordsError>;
    /// The owner's password as an argon2id PHC string; `None` while unclaimed.
    fn password(&self) -> Result<Option<String>, RecordsError>;
    /// Sets the password; `None` makes the device unclaimed and deletes sessions and tokens.
    fn set_password(&self, phc: Option<&str>) -> Result<(), RecordsError>;
    /// SHA-256 of the one-time claim code, hexadecimal, while the device is unclaimed.
    fn claim_code(&self) -> Result<Option<String>, RecordsError>;
    /// Sets or forgets the claim code's hash.
    fn set_claim_code(&self, hash: Option<&str>) -> Result<(), RecordsError>;
    /// All tokens.
    fn tokens(&self) -> Result<Vec<TokenRow>, RecordsError>;
    /// Adds one.
    fn add_token(&self, row: &TokenRow) -> Result<(), RecordsError>;
    /// Removes one; false when there was none of that id.
    fn remove_token(&self, id: &str) -> Result<bool, RecordsError>;
    /// The session of that hash.
    fn session(&self, hash: &str) -> Result<Option<SessionRow>, RecordsError>;
    /// Adds one; expired ones may be dropped on the way.
    fn add_session(&self, row: &SessionRow) -> Result<(), RecordsError>;
    /// Ends one.
    fn remove_session(&self, hash: &str) -> Result<(), RecordsError>;
    /// Adds a line to the audit log.
    fn audit(&self, row: &AuditRow) -> Result<(), RecordsError>;
    /// The audit log, newest first.
    fn audit_log(&self, limit: usize) -> Result<Vec<AuditRow>, RecordsError>;
}

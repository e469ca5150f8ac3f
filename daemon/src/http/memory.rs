//! Records kept in memory: the second real implementation of the port, for tests and a daemon without a disk.
//!
//! Owns nothing beyond the process. Must never be chosen where a state folder can be written.

use std::sync::{Mutex, MutexGuard, PoisonError};

use dockbeacon_core::event::Event;

use crate::ports::{AuditRow, Records, RecordsError, SessionRow, TokenRow};
use crate::view::UpdateView;

#[derive(Debug, Default)]
struct Kept {
    events: Vec<Event>,
    updates: Vec<UpdateView>,
    password: Option<String>,
    code: Option<String>,
    tokens: Vec<TokenRow>,
    sessions: Vec<SessionRow>,
    audit: Vec<AuditRow>,
}

/// Records in memory.
#[derive(Debug, Default)]
pub struct MemoryRecords(Mutex<Kept>);

impl MemoryRecords {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an event, as the loops do before they publish it.
    pub fn add_event(&self, event: Event) {
        self.kept().events.push(event);
    }

    /// Keeps an update; the newest is given last.
    pub fn add_update(&self, update: UpdateView) {
        self.kept().updates.insert(0, update);
    }
}

impl Records for MemoryRecords {
    fn events_after(&self, id: u64, limit: usize) -> Result<Vec<Event>, RecordsError> {
        Ok(self.kept().events.iter().filter(|event| event.id > id).take(limit).cloned().collect())
    }

    fn updates(&self, limit: usize) -> Result<Vec<UpdateView>, RecordsError> {
        Ok(self.kept().updates.iter().take(limit).cloned().collect())
    }

    fn password(&self) -> Result<Option<String>, RecordsError> {
        Ok(self.kept().password.clone())
    }

    fn set_password(&self, phc: Option<&str>) -> Result<(), RecordsError> {
        let mut kept = self.kept();
        kept.password = phc.map(str::to_owned);
        if phc.is_none() {
            kept.sessions.clear();
            kept.tokens.clear();
        }
        Ok(())
    }

    fn claim_code(&self) -> Result<Option<String>, RecordsError> {
        Ok(self.kept().code.clone())
    }

    fn set_claim_code(&self, hash: Option<&str>) -> Result<(), RecordsError> {
        self.kept().code = hash.map(str::to_owned);
        Ok(())
    }

    fn tokens(&self) -> Result<Vec<TokenRow>, RecordsError> {
        Ok(self.kept().tokens.clone())
    }

    fn add_token(&self, row: &TokenRow) -> Result<(), RecordsError> {
        self.kept().tokens.push(row.clone());
        Ok(())
    }

    fn remove_token(&self, id: &str) -> Result<bool, RecordsError> {
        let mut kept = self.kept();
        let before = kept.tokens.len();
        kept.tokens.retain(|row| row.id != id);
        Ok(kept.tokens.len() < before)
    }

    fn session(&self, hash: &str) -> Result<Option<SessionRow>, RecordsError> {
        Ok(self.kept().sessions.iter().find(|row| row.hash == hash).cloned())
    }

    fn add_session(&self, row: &SessionRow) -> Result<(), RecordsError> {
        self.kept().sessions.push(row.clone());
        Ok(())
    }

    fn remove_session(&self, hash: &str) -> Result<(), RecordsError> {
        self.kept().sessions.retain(|row| row.hash != hash);
        Ok(())
    }

    fn audit(&self, row: &AuditRow) -> Result<(), RecordsError> {
        self.kept().audit.push(row.clone());
        Ok(())
    }

    fn audit_log(&self, limit: usize) -> Result<Vec<AuditRow>, RecordsError> {
        Ok(self.kept().audit.iter().rev().take(limit).cloned().collect())
    }
}

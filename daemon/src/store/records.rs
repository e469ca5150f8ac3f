//! What the HTTP side keeps: password, claim code, tokens, sessions, audit log.
//!
//! Owns their rows; all of it is durable when a call returns. Must never see a secret in clear, only hashes.

use dockbeacon_core::auth::Role;
use dockbeacon_core::event::Event;
use rusqlite::{OptionalExtension, params};

use super::{Store, StoreError, from_micros, rows, to_micros};
use crate::ports::{AuditRow, Records, RecordsError, SessionRow, TokenRow};
use crate::view::UpdateView;

/// How many lines of the audit log are kept.
const AUDIT_KEPT: i64 = 5_000;
const PASSWORD: &str = "auth.password";
pub(super) const CLAIM_CODE: &str = "auth.claim-code";

const fn role_text(role: Role) -> &'static str {
    match role {
        Role::Read => "read",
        Role::Operate => "operate",
        Role::Admin => "admin",
    }
}

/// An unknown word gives the weakest role: a newer version may have written it.
fn role_from(text: &str) -> Role {
    match text {
        "admin" => Role::Admin,
        "operate" => Role::Operate,
        _ => Role::Read,
    }
}

fn while_doing(act: &'static str) -> impl FnOnce(StoreError) -> RecordsError {
    move |e| RecordsError { act, why: e.to_string() }
}

impl Store {
    fn set_or_forget(&self, key: &str, value: Option<&str>) -> Result<(), StoreError> {
        self.durably(|c| {
            match value {
                Some(value) => {
                    c.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", [key, value])?
                }
                None => c.execute("DELETE FROM meta WHERE key = ?1", [key])?,
            };
            Ok(())
        })
    }
}

impl Records for Store {
    fn events_after(&self, id: u64, limit: usize) -> Result<Vec<Event>, RecordsError> {
        Self::events_after(self, id, limit).map_err(while_doing("reading events"))
    }

    fn updates(&self, limit: usize) -> Result<Vec<UpdateView>, RecordsError> {
        let texts = Self::updates(self, limit).map_err(while_doing("reading the update history"))?;
        let mut updates = Vec::with_capacity(texts.len());
        for text in texts {
            match serde_json::from_str(&text) {
                Ok(update) => updates.push(update),
                Err(why) => {
                    tracing::warn!(%why, "a row of the update history was written by another version; left out")
                }
            }
        }
        Ok(updates)
    }

    fn password(&self) -> Result<Option<String>, RecordsError> {
        self.meta_get(PASSWORD).map_err(while_doing("reading the password"))
    }

    fn set_password(&self, phc: Option<&str>) -> Result<(), RecordsError> {
        let act = while_doing("writing the password");
        let Some(phc) = phc else {
            return self
                .durably(|c| {
                    c.execute("DELETE FROM meta WHERE key = ?1", [PASSWORD])?;
                    c.execute("DELETE FROM sessions", [])?;
                    c.execute("DELETE FROM tokens", [])?;
                    Ok(())
                })
                .map_err(act);
        };
        self.set_or_forget(PASSWORD, Some(phc)).map_err(act)
    }

    fn claim_code(&self) -> Result<Option<String>, RecordsError> {
        self.meta_get(CLAIM_CODE).map_err(while_doing("reading the claim code"))
    }

    fn set_claim_code(&self, hash: Option<&str>) -> Result<(), RecordsError> {
        self.set_or_forget(CLAIM_CODE, hash).map_err(while_doing("writing the claim code"))
    }

    fn tokens(&self) -> Result<Vec<TokenRow>, RecordsError> {
        self.read(|c| {
            let mut query =
                c.prepare_cached("SELECT id, name, hash, role, created FROM tokens ORDER BY created, id")?;
            let found = query.query_map([], |row| {
                let (id, name, hash) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let role = role_from(&row.get::<_, String>(3)?);
                Ok(TokenRow { id, name, hash, role, created: from_micros(row.get(4)?) })
            })?;
            found.collect()
        })
        .map_err(while_doing("reading API tokens"))
    }

    fn add_token(&self, row: &TokenRow) -> Result<(), RecordsError> {
        self.durably(|c| {
            c.execute(
                "INSERT INTO tokens (id, name, hash, role, created) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![row.id, row.name, row.hash, role_text(row.role), to_micros(row.created)],
            )
            .map(drop)
        })
        .map_err(while_doing("adding an API token"))
    }

    fn remove_token(&self, id: &str) -> Result<bool, RecordsError> {
        self.durably(|c| Ok(c.execute("DELETE FROM tokens WHERE id = ?1", [id])? > 0))
            .map_err(while_doing("removing an API token"))
    }

    fn session(&self, hash: &str) -> Result<Option<SessionRow>, RecordsError> {
        self.read(|c| {
            c.query_row("SELECT hash, role, created, expires FROM sessions WHERE hash = ?1", [hash], |row| {
                let role = role_from(&row.get::<_, String>(1)?);
                let (created, expires) = (from_micros(row.get(2)?), from_micros(row.get(3)?));
                Ok(SessionRow { hash: row.get(0)?, role, created, expires })
            })
            .optional()
        })
        .map_err(while_doing("reading a session"))
    }

    fn add_session(&self, row: &SessionRow) -> Result<(), RecordsError> {
        self.durably(|c| {
            c.execute("DELETE FROM sessions WHERE expires <= ?1", [to_micros(row.created)])?;
            c.execute(
                "INSERT OR REPLACE INTO sessions (hash, role, created, expires) VALUES (?1, ?2, ?3, ?4)",
                params![row.hash, role_text(row.role), to_micros(row.created), to_micros(row.expires)],
            )
            .map(drop)
        })
        .map_err(while_doing("adding a session"))
    }

    fn remove_session(&self, hash: &str) -> Result<(), RecordsError> {
        self.durably(|c| c.execute("DELETE FROM sessions WHERE hash = ?1", [hash]).map(drop))
            .map_err(while_doing("ending a session"))
    }

    fn audit(&self, row: &AuditRow) -> Result<(), RecordsError> {
        self.durably(|c| {
            c.execute(
                "INSERT INTO audit (at, who, address, what) VALUES (?1, ?2, ?3, ?4)",
                params![to_micros(row.at), row.who, row.from, row.what],
            )?;
            let id = c.last_insert_rowid();
            c.execute("DELETE FROM audit WHERE seq <= ?1", [id - AUDIT_KEPT]).map(drop)
        })
        .map_err(while_doing("writing the audit log"))
    }

    fn audit_log(&self, limit: usize) -> Result<Vec<AuditRow>, RecordsError> {
        self.read(|c| {
            let mut query =
                c.prepare_cached("SELECT at, who, address, what FROM audit ORDER BY seq DESC LIMIT ?1")?;
            let found = query.query_map([rows(limit)], |row| {
                let (who, from, what) = (row.get(1)?, row.get(2)?, row.get(3)?);
                Ok(AuditRow { at: from_micros(row.get(0)?), who, from, what })
            })?;
            found.collect()
        })
        .map_err(while_doing("reading the audit log"))
    }
}

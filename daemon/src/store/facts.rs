//! Facts that decisions rest on: refused digests, configurations of images, earlier generations, approvals, first
//! sightings, and single values by key.
//!
//! Owns their rows. Must never decide what follows from them.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, params};

use super::{Result, Store, from_micros, to_micros};

/// How many sightings are kept for one container.
const SIGHTINGS: i64 = 20;

/// A digest that a container must not be moved to again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadDigest {
    /// The container's name.
    pub container: String,
    /// The registry's digest.
    pub digest: String,
    /// What went wrong with it.
    pub why: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// An image that a container ran before, kept for going back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// The container's name.
    pub container: String,
    /// The image.
    pub image_id: String,
    /// The owner's reference, `repo:tag`.
    pub reference: String,
    /// The tag of ours that guards the image.
    pub kept_tag: String,
    /// Its version, as JSON.
    pub version: String,
    /// When it was replaced.
    pub at: DateTime<Utc>,
}

/// Somebody's yes to one candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The container's name.
    pub container: String,
    /// The digest that was approved.
    pub digest: String,
    /// Who.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
}

impl Store {
    /// Remembers a bad digest; durable when it returns. Once more for the same one replaces reason and time.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn bad_add(&self, container: &str, digest: &str, why: &str, at: DateTime<Utc>) -> Result<()> {
        self.durably(|c| {
            c.execute(
                "INSERT OR REPLACE INTO bad_digests (container, digest, why, at) VALUES (?1, ?2, ?3, ?4)",
                params![container, digest, why, to_micros(at)],
            )?;
            Ok(())
        })
    }

    /// All bad digests, by container, oldest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn bad_list(&self) -> Result<Vec<BadDigest>> {
        self.read(|c| {
            let mut query = c.prepare_cached(
                "SELECT container, digest, why, at FROM bad_digests ORDER BY container, at",
            )?;
            let found = query.query_map([], |row| {
                let (container, digest, why) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(BadDigest { container, digest, why, at: from_micros(row.get(3)?) })
            })?;
            found.collect()
        })
    }

    /// Forgets one; false when it was not there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn bad_remove(&self, container: &str, digest: &str) -> Result<bool> {
        self.durably(|c| {
            let gone = c.execute(
                "DELETE FROM bad_digests WHERE container = ?1 AND digest = ?2",
                [container, digest],
            )?;
            Ok(gone > 0)
        })
    }

    /// Keeps an image's configuration; the same once more writes nothing.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn image_config_put(&self, image_id: &str, json: &str) -> Result<()> {
        self.put("image_configs", "image_id", "json", image_id, json)
    }

    /// An image's configuration.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn image_config_get(&self, image_id: &str) -> Result<Option<String>> {
        self.read(|c| {
            c.query_row("SELECT json FROM image_configs WHERE image_id = ?1", [image_id], |row| row.get(0))
                .optional()
        })
    }

    /// The images whose configuration is kept, in order.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn image_config_ids(&self) -> Result<Vec<String>> {
        self.read(|c| {
            let mut query = c.prepare_cached("SELECT image_id FROM image_configs ORDER BY image_id")?;
            query.query_map([], |row| row.get(0))?.collect()
        })
    }

    /// Forgets an image's configuration.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn image_config_forget(&self, image_id: &str) -> Result<()> {
        self.relaxed(|c| c.execute("DELETE FROM image_configs WHERE image_id = ?1", [image_id]).map(drop))
    }

    /// Adds a generation; durable when it returns. An image that comes back is again the newest of its container.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn generation_add(
        &self,
        container: &str,
        image_id: &str,
        reference: &str,
        kept_tag: &str,
        version_json: &str,
        at: DateTime<Utc>,
    ) -> Result<()> {
        self.durably(|c| {
            c.execute(
                "INSERT OR REPLACE INTO generations (container, image_id, reference, kept_tag, version, at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![container, image_id, reference, kept_tag, version_json, to_micros(at)],
            )?;
            Ok(())
        })
    }

    /// A container's generations, newest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn generations(&self, container: &str) -> Result<Vec<Generation>> {
        self.read(|c| {
            let mut query = c.prepare_cached(
                "SELECT container, image_id, reference, kept_tag, version, at
                 FROM generations WHERE container = ?1 ORDER BY seq DESC",
            )?;
            let found = query.query_map([container], |row| {
                Ok(Generation {
                    container: row.get(0)?,
                    image_id: row.get(1)?,
                    reference: row.get(2)?,
                    kept_tag: row.get(3)?,
                    version: row.get(4)?,
                    at: from_micros(row.get(5)?),
                })
            })?;
            found.collect()
        })
    }

    /// Forgets one generation; false when it was not there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn generation_remove(&self, container: &str, image_id: &str) -> Result<bool> {
        self.durably(|c| {
            let gone = c.execute(
                "DELETE FROM generations WHERE container = ?1 AND image_id = ?2",
                [container, image_id],
            )?;
            Ok(gone > 0)
        })
    }

    /// Keeps an approval, one per container; durable when it returns.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn approval_put(&self, container: &str, digest: &str, by: &str, at: DateTime<Utc>) -> Result<()> {
        self.durably(|c| {
            c.execute(
                "INSERT OR REPLACE INTO approvals (container, digest, who, at) VALUES (?1, ?2, ?3, ?4)",
                params![container, digest, by, to_micros(at)],
            )?;
            Ok(())
        })
    }

    /// All approvals, by container.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn approvals(&self) -> Result<Vec<Approval>> {
        self.read(|c| {
            let mut query =
                c.prepare_cached("SELECT container, digest, who, at FROM approvals ORDER BY container")?;
            let found = query.query_map([], |row| {
                let (container, digest, by) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(Approval { container, digest, by, at: from_micros(row.get(3)?) })
            })?;
            found.collect()
        })
    }

    /// Forgets a container's approval; false when there was none.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn approval_remove(&self, container: &str) -> Result<bool> {
        self.durably(|c| Ok(c.execute("DELETE FROM approvals WHERE container = ?1", [container])? > 0))
    }

    /// Notes that a candidate was seen; true the first time. The last 20 of a container are remembered.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn candidate_seen(&self, container: &str, digest: &str, at: DateTime<Utc>) -> Result<bool> {
        if self.candidate_first_seen(container, digest)?.is_some() {
            return Ok(false);
        }
        self.relaxed(|c| {
            let new = c.execute(
                "INSERT OR IGNORE INTO candidates (container, digest, at) VALUES (?1, ?2, ?3)",
                params![container, digest, to_micros(at)],
            )? > 0;
            c.execute(
                "DELETE FROM candidates WHERE container = ?1 AND seq NOT IN
                 (SELECT seq FROM candidates WHERE container = ?1 ORDER BY seq DESC LIMIT ?2)",
                params![container, SIGHTINGS],
            )?;
            Ok(new)
        })
    }

    /// When a candidate was first seen.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn candidate_first_seen(&self, container: &str, digest: &str) -> Result<Option<DateTime<Utc>>> {
        let at = self.read(|c| {
            let sql = "SELECT at FROM candidates WHERE container = ?1 AND digest = ?2";
            c.query_row(sql, [container, digest], |row| row.get::<_, i64>(0)).optional()
        })?;
        Ok(at.map(from_micros))
    }

    /// The value of a key.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn meta_get(&self, key: &str) -> Result<Option<String>> {
        self.read(|c| {
            c.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()
        })
    }

    /// Sets the value of a key; the same once more writes nothing.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn meta_set(&self, key: &str, value: &str) -> Result<()> {
        self.put("meta", "key", "value", key, value)
    }

    /// Removes a key.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn meta_remove(&self, key: &str) -> Result<()> {
        self.relaxed(|c| c.execute("DELETE FROM meta WHERE key = ?1", [key]).map(drop))
    }

    /// Writes one text under one key, and nothing at all when it is there already. The names are ours, never input.
    fn put(&self, table: &str, key_name: &str, value_name: &str, key: &str, value: &str) -> Result<()> {
        let sql = format!("SELECT 1 FROM {table} WHERE {key_name} = ?1 AND {value_name} = ?2");
        if self.read(|c| c.query_row(&sql, [key, value], |_| Ok(())).optional())?.is_some() {
            return Ok(());
        }
        let sql = format!("INSERT OR REPLACE INTO {table} ({key_name}, {value_name}) VALUES (?1, ?2)");
        self.relaxed(|c| c.execute(&sql, [key, value]).map(drop))
    }
}

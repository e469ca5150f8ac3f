//! Settings for people: each value with its origin, and the sample file.
//!
//! Owns the texts of `dockbeacon config`. Must never show a secret.

use super::merge::Merged;
use super::table::{KEYS, Key};
use super::value::Kind;

/// One setting in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// `schedule.cron`.
    pub key: &'static str,
    /// The value; secrets hidden, empty where not set.
    pub value: String,
    /// `default`, `config.yaml line 7`, `environment WATCHTOWER_SCHEDULE`, `option --interval`.
    pub origin: String,
    /// What it means.
    pub doc: &'static str,
}

/// Every setting with its value and origin, in the order of the table.
#[must_use]
pub fn explain(merged: &Merged) -> Vec<Explained> {
    KEYS.iter()
        .filter_map(|key| merged.slots.get(key.name).map(|slot| (key, slot)))
        .map(|(key, slot)| Explained {
            key: key.name,
            value: slot.value.show(),
            origin: slot.origin.to_string(),
            doc: key.doc,
        })
        .collect()
}

/// The sample file: every setting with its meaning, its variables and its default, switched off by `#`, so that a file made
/// from it pins nothing that a later version changes.
#[must_use]
pub fn sample() -> String {
    let mut text = String::from(
        "# Dockbeacon's settings. Everything has a default: remove the # in front of a setting to change it.\n\
         # Stronger than this file are WATCHTOWER_* variables, then DOCKBEACON_* variables, then the command line.\n\
         # `dockbeacon config` shows what is in force and why, `dockbeacon config --check` finds mistakes.\n",
    );
    let mut section = "";
    for key in KEYS {
        let (head, name) = key.name.split_once('.').unwrap_or(("", key.name));
        text.push('\n');
        if head != section {
            if !head.is_empty() {
                text.push_str(&format!("{head}:\n"));
            }
            section = head;
        }
        let indent = if head.is_empty() { "" } else { "  " };
        for line in wrap(&comment(key), 100) {
            text.push_str(&format!("{indent}# {line}\n"));
        }
        let value = default(key);
        text.push_str(&format!("{indent}#{name}:{}{value}\n", if value.is_empty() { "" } else { " " }));
    }
    text
}

fn comment(key: &Key) -> String {
    let others: Vec<&str> = key.compat.iter().map(|c| c.name).collect();
    let also = if others.is_empty() { String::new() } else { format!(", {}", others.join(", ")) };
    format!("{} Environment: {}{also}.", key.doc, key.env())
}

fn default(key: &Key) -> String {
    match (key.kind, key.default) {
        (Kind::List, "") => "[]".to_owned(),
        (_, plain) => plain.to_owned(),
    }
}

/// Breaks a text between words.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

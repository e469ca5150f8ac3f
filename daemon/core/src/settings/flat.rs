//! A settings file as a flat list of keys with their lines.
//!
//! Owns how nested maps become dotted keys, and what a settings file may not hold. Must never know which keys there are.

use super::{RawEntry, RawValue};
use crate::text::{Kind, Node, Place, TextError, yaml};

/// Reads a settings file.
///
/// # Errors
/// When it is not YAML, or holds something that no setting is.
pub fn read(text: &str) -> Result<Vec<RawEntry>, TextError> {
    let root = yaml::read(text)?;
    let mut entries = Vec::new();
    match root.kind {
        Kind::Empty => {}
        Kind::Map(_) => flatten("", &root, &mut entries)?,
        Kind::Text(_) | Kind::List(_) | Kind::Alias => {
            return refuse(root.place, "the file is no map of settings", "write `key: value` lines");
        }
    }
    Ok(entries)
}

/// Adds the entries of a map, with the names of the maps around it in front.
///
/// # Errors
/// As [`read`].
pub fn flatten(prefix: &str, map: &Node, entries: &mut Vec<RawEntry>) -> Result<(), TextError> {
    for (name, node) in map.entries() {
        let key = if prefix.is_empty() { name.name.clone() } else { format!("{prefix}.{}", name.name) };
        let value = match &node.kind {
            Kind::Map(_) => {
                flatten(&key, node, entries)?;
                continue;
            }
            Kind::Empty => RawValue::Empty,
            Kind::Text(text) => RawValue::Scalar(text.clone()),
            Kind::List(items) => RawValue::List(items.iter().map(item).collect::<Result<_, _>>()?),
            Kind::Alias => {
                return refuse(node.place, &format!("{key} uses an alias"), "write the value itself");
            }
        };
        entries.push(RawEntry { key, value, line: name.place.line });
    }
    Ok(())
}

fn item(node: &Node) -> Result<String, TextError> {
    match &node.kind {
        Kind::Text(text) => Ok(text.clone()),
        Kind::Empty => refuse(node.place, "a list has an empty item", "write a text or remove the dash"),
        Kind::List(_) | Kind::Map(_) | Kind::Alias => {
            refuse(node.place, "a list holds something other than texts", "write one text per item")
        }
    }
}

fn refuse<T>(place: Place, what: &str, remedy: &'static str) -> Result<T, TextError> {
    Err(TextError { place, what: what.to_owned(), remedy })
}

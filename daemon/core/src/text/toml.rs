//! TOML to a tree.
//!
//! Owns the only use of the TOML parser. Must never know which keys there are.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{DEEPEST, Key, Kind, Node, Place, TextError};

/// Reads a file.
///
/// # Errors
/// When it is not TOML, or is nested absurdly deep.
pub fn read(text: &str) -> Result<Node, TextError> {
    let table = DeTable::parse(text).map_err(|error| TextError {
        place: place(text, error.span().map_or(0, |span| span.start)),
        what: format!("not valid TOML ({})", error.message().replace('\n', " ")),
        remedy: "write `key = \"value\"`, texts in quotes, below a [section]",
    })?;
    let span = table.span();
    Ok(Node { kind: map(text, table.get_ref(), 0)?, place: place(text, span.start), bytes: span })
}

fn place(text: &str, at: usize) -> Place {
    let before = text.get(..at.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Place { line, column }
}

fn map(text: &str, table: &DeTable<'_>, depth: usize) -> Result<Kind, TextError> {
    let mut entries = Vec::new();
    for (key, value) in table {
        let name = key.get_ref().clone().into_owned();
        let key = Key { name, place: place(text, key.span().start) };
        entries.push((key, node(text, value, depth + 1)?));
    }
    // The table sorts by name; messages follow the file.
    entries.sort_by_key(|(key, _)| key.place);
    Ok(Kind::Map(entries))
}

fn node(text: &str, value: &Spanned<DeValue<'_>>, depth: usize) -> Result<Node, TextError> {
    let bytes: Range<usize> = value.span();
    let place = place(text, bytes.start);
    if depth > DEEPEST {
        let what = "the file is nested too deeply".to_owned();
        return Err(TextError { place, what, remedy: "remove some of the brackets" });
    }
    let kind = match value.get_ref() {
        DeValue::String(text) => Kind::Text(text.clone().into_owned()),
        DeValue::Integer(number) => Kind::Text(number.as_str().to_owned()),
        DeValue::Float(number) => Kind::Text(number.as_str().to_owned()),
        DeValue::Boolean(truth) => Kind::Text(truth.to_string()),
        DeValue::Datetime(time) => Kind::Text(time.to_string()),
        DeValue::Array(items) => {
            Kind::List(items.iter().map(|item| node(text, item, depth + 1)).collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => map(text, table, depth)?,
    };
    Ok(Node { kind, place, bytes })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn places_and_bytes_are_those_of_the_file() {
        let text = "config_version = 1\n[wlan]\nssid = \"ä\"\npassword = 'secret'\nhidden = false\n";
        let root = read(text).unwrap();
        let (wlan, table) = &root.entries()[1];
        assert_eq!((wlan.name.as_str(), wlan.place.line), ("wlan", 2));
        let (_, password) = &table.entries()[1];
        assert_eq!((password.place.line, &text[password.bytes.clone()]), (4, "'secret'"));
        assert_eq!(table.entries()[2].1.text(), Some("false"));
    }

    #[test]
    fn what_is_not_toml_is_told_with_its_line() {
        let error = read("[wlan]\nssid = Home\n").unwrap_err();
        assert_eq!(error.place.line, 2, "{error:?}");
        assert!(error.what.starts_with("not valid TOML ("), "{error:?}");
    }
}

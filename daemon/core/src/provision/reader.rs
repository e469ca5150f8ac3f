//! Reading maps with a list of what may stand in them.
//!
//! Owns the messages about unknown, double and misplaced keys, so that every format complains alike. Must never know a format.

use super::check::Refusal;
use super::customisation::SecretPlace;
use super::{Problem, redact};
use crate::settings::table::nearest;
use crate::text::{Kind, Node, Place, TextError};

/// One file while it is being read.
pub struct Reader<'t> {
    /// Its name.
    pub file: &'t str,
    /// Its text.
    pub text: &'t str,
    /// How many bytes of the file lie before the text: a byte order mark.
    pub before: usize,
    /// What is wrong.
    pub errors: Vec<Problem>,
    /// What is passed over.
    pub notices: Vec<Problem>,
    /// Where secrets stand.
    pub secrets: Vec<SecretPlace>,
}

impl<'t> Reader<'t> {
    /// Begins.
    pub const fn new(file: &'t str, text: &'t str, before: usize) -> Self {
        Self { file, text, before, errors: Vec::new(), notices: Vec::new(), secrets: Vec::new() }
    }

    /// A problem at a place.
    pub fn problem(&self, place: Place, what: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem { file: self.file.to_owned(), line: place.line, what: what.into(), remedy: remedy.into() }
    }

    /// Notes that something is wrong.
    pub fn wrong(&mut self, place: Place, what: impl Into<String>, remedy: impl Into<String>) {
        let problem = self.problem(place, what, remedy);
        self.errors.push(problem);
    }

    /// Notes that something is passed over.
    pub fn pass(&mut self, place: Place, what: impl Into<String>, remedy: impl Into<String>) {
        let problem = self.problem(place, what, remedy);
        self.notices.push(problem);
    }

    /// A file that cannot be read at all.
    pub fn unreadable(&mut self, error: TextError) {
        self.wrong(error.place, error.what, error.remedy);
    }

    /// The entries of a map, told when there is something else.
    pub fn map<'n>(&mut self, node: &'n Node, name: &str, example: &str) -> &'n [(crate::text::Key, Node)] {
        if !matches!(node.kind, Kind::Map(_) | Kind::Empty) {
            self.wrong(
                node.place,
                format!("{name} is {}, not a map", node.word()),
                format!("write {example}"),
            );
        }
        let entries = node.entries();
        for (at, (key, _)) in entries.iter().enumerate() {
            if let Some((first, _)) = entries.iter().take(at).find(|(k, _)| k.name == key.name) {
                let what = format!("{} stands here a second time, after line {}", key.name, first.place.line);
                self.wrong(key.place, what, "remove one of them");
            }
        }
        entries
    }

    /// Tells of a key that is not known.
    pub fn unknown(&mut self, key: &crate::text::Key, section: &str, known: &[&str]) {
        let name = &key.name;
        let inside = if section.is_empty() { String::new() } else { format!(" in {section}") };
        let remedy = nearest(name, known.iter().copied()).map_or_else(
            || format!("remove it; known are {}", known.join(", ")),
            |near| format!("did you mean {near}?"),
        );
        self.wrong(key.place, format!("{name} is not known{inside}"), remedy);
    }

    /// The text of a value, told when there is none.
    pub fn text_of<'n>(&mut self, node: &'n Node, name: &str) -> Option<&'n str> {
        let text = node.text();
        if text.is_none() && node.kind != Kind::Empty {
            self.wrong(node.place, format!("{name} is {}, not a text", node.word()), "write one text");
        }
        text
    }

    /// A text that a rule accepts.
    pub fn checked<T>(
        &mut self,
        node: &Node,
        name: &str,
        rule: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        let text = self.text_of(node, name)?;
        match rule(text) {
            Ok(value) => Some(value),
            Err((what, remedy)) => {
                self.wrong(node.place, format!("{name}: {what}"), remedy);
                None
            }
        }
    }

    /// A truth value.
    pub fn truth(&mut self, node: &Node, name: &str) -> Option<bool> {
        self.checked(node, name, |text| {
            crate::settings::truth(text)
                .ok_or_else(|| (format!("{text:?} is neither yes nor no"), "write true or false".to_owned()))
        })
    }

    /// A list of texts that a rule accepts; a single text is a list of one.
    pub fn list<T>(&mut self, node: &Node, name: &str, rule: impl Fn(&str) -> Result<T, Refusal>) -> Vec<T> {
        match &node.kind {
            Kind::List(items) => items.iter().filter_map(|item| self.checked(item, name, &rule)).collect(),
            Kind::Text(_) => self.checked(node, name, rule).into_iter().collect(),
            Kind::Empty => Vec::new(),
            Kind::Map(_) | Kind::Alias => {
                self.wrong(
                    node.place,
                    format!("{name} is {}, not a list", node.word()),
                    "write one text per item",
                );
                Vec::new()
            }
        }
    }

    /// A secret: its place is noted, and `None` in `Some` says that it was used and overwritten earlier.
    pub fn secret<T>(
        &mut self,
        node: &Node,
        name: &str,
        rule: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Option<Option<T>> {
        let text = self.text_of(node, name)?;
        if redact::is_used(text) {
            return Some(None);
        }
        let bytes = redact::inside(self.text, node.bytes.clone());
        let bytes = bytes.start + self.before..bytes.end + self.before;
        self.secrets.push(SecretPlace { file: self.file.to_owned(), bytes });
        self.checked(node, name, rule).map(Some)
    }
}

//! Files that people write, as a tree whose every value knows its place.
//!
//! Owns the one shape that YAML and TOML are read into, with lines for messages and bytes for overwriting secrets in place.
//! Must never know which keys there are, nor what a value means: scalars stay the text that was written.

pub mod toml;
pub mod yaml;

use std::ops::Range;

/// Deeper files are nobody's settings and would only use up the stack.
pub const DEEPEST: usize = 32;

/// Where something stands, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// Why a file cannot be read at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextError {
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: &'static str,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it begins.
    pub place: Place,
    /// Where its bytes lie in the file, quotes included.
    pub bytes: Range<usize>,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Nothing, in the format's words.
    Empty,
    /// A text, a number, a truth value: as it was written.
    Text(String),
    /// Values in order.
    List(Vec<Node>),
    /// Keys in order; the same may stand there twice.
    Map(Vec<(Key, Node)>),
    /// A reference to another place of the file.
    Alias,
}

/// A key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its text.
    pub name: String,
    /// Where it stands.
    pub place: Place,
}

impl Node {
    /// Its text, where it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            Kind::Empty | Kind::List(_) | Kind::Map(_) | Kind::Alias => None,
        }
    }

    /// Its entries; none where it is no map.
    #[must_use]
    pub fn entries(&self) -> &[(Key, Self)] {
        match &self.kind {
            Kind::Map(entries) => entries,
            Kind::Empty | Kind::Text(_) | Kind::List(_) | Kind::Alias => &[],
        }
    }

    /// What it is, for messages.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self.kind {
            Kind::Empty => "nothing",
            Kind::Text(_) => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
            Kind::Alias => "an alias",
        }
    }
}

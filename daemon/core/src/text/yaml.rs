//! YAML to a tree.
//!
//! Owns the only use of the YAML parser. Scalars stay the text that was written, so that `0 0 3 * * *`, `1.10` and `on` reach
//! the settings unharmed. Must never know which keys there are.

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::{DEEPEST, Key, Kind, Node, Place, TextError};

/// Reads a file of one document. An empty one is [`Kind::Empty`].
///
/// # Errors
/// When it is not YAML, has several documents, keys that are no plain texts, or is nested absurdly deep.
pub fn read(text: &str) -> Result<Node, TextError> {
    let mut events = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let (line, column) = (error.marker().line(), error.marker().col() + 1);
            let tab = text.lines().nth(line.saturating_sub(1)).is_some_and(indented_by_tab);
            TextError {
                place: Place { line, column },
                what: format!("not valid YAML ({})", error.info()),
                remedy: if tab {
                    "indent with spaces instead of tabs"
                } else {
                    "check indentation, quotes and colons at and above this place"
                },
            }
        })?;
        events.push((event, span));
    }
    let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let mut reader = Reader { events, at: 0, starts };
    let mut root = Node { kind: Kind::Empty, place: Place { line: 1, column: 1 }, bytes: 0..0 };
    let mut documents = 0;
    while let Some((event, span)) = reader.next() {
        match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    return refuse(span, "a second document begins", "keep one document and no second ---");
                }
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            other @ (Event::Scalar(..)
            | Event::SequenceStart(..)
            | Event::MappingStart(..)
            | Event::Alias(_)
            | Event::SequenceEnd
            | Event::MappingEnd) => root = reader.node(other, span, 0)?,
        }
    }
    Ok(root)
}

fn indented_by_tab(line: &str) -> bool {
    line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t')
}

fn place(span: Span) -> Place {
    Place { line: span.start.line(), column: span.start.col() + 1 }
}

fn refuse<T>(span: Span, what: &str, remedy: &'static str) -> Result<T, TextError> {
    Err(TextError { place: place(span), what: what.to_owned(), remedy })
}

struct Reader<'t> {
    events: Vec<(Event<'t>, Span)>,
    at: usize,
    /// The byte at which each character begins: the parser counts characters.
    starts: Vec<usize>,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Option<(Event<'t>, Span)> {
        let event = self.events.get(self.at).cloned();
        self.at += 1;
        event
    }

    fn bytes(&self, span: Span) -> Range<usize> {
        let byte = |at: usize| self.starts.get(at).or(self.starts.last()).copied().unwrap_or_default();
        byte(span.start.index())..byte(span.end.index())
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, TextError> {
        if depth > DEEPEST {
            return refuse(
                span,
                "the file is nested too deeply",
                "remove some of the brackets or indentation",
            );
        }
        let bytes = self.bytes(span);
        let kind = match event {
            Event::Scalar(text, style, ..) => match (style, &*text) {
                (ScalarStyle::Plain, "" | "~" | "null" | "Null" | "NULL") => Kind::Empty,
                (_, text) => Kind::Text(text.to_owned()),
            },
            Event::SequenceStart(..) => Kind::List(self.list(depth)?),
            Event::MappingStart(..) => Kind::Map(self.map(depth)?),
            Event::Alias(_) => Kind::Alias,
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => Kind::Empty,
        };
        Ok(Node { kind, place: place(span), bytes })
    }

    /// The rest of a list whose start has been read; the parser keeps starts and ends balanced.
    fn list(&mut self, depth: usize) -> Result<Vec<Node>, TextError> {
        let mut items = Vec::new();
        while let Some((event, span)) = self.next() {
            if matches!(event, Event::SequenceEnd) {
                break;
            }
            items.push(self.node(event, span, depth + 1)?);
        }
        Ok(items)
    }

    /// The rest of a map whose start has been read.
    fn map(&mut self, depth: usize) -> Result<Vec<(Key, Node)>, TextError> {
        let mut entries = Vec::new();
        while let Some((event, span)) = self.next() {
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let Event::Scalar(name, ..) = event else {
                return refuse(span, "a key is not a plain text", "write `key: value`");
            };
            let key = Key { name: name.into_owned(), place: place(span) };
            let Some((event, span)) = self.next() else { break };
            entries.push((key, self.node(event, span, depth + 1)?));
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn places_and_bytes_are_those_of_the_file() {
        let text = "ä: 'söße'\nb:\n  - plain \n  - \"q\\\"x\"\n";
        let root = read(text).unwrap();
        let [(a, quoted), (b, list)] = root.entries() else { unreachable!("{root:?}") };
        assert_eq!((a.name.as_str(), a.place.line, b.place.line), ("ä", 1, 2));
        assert_eq!(&text[quoted.bytes.clone()], "'söße'");
        assert_eq!(quoted.text(), Some("söße"));
        let Kind::List(items) = &list.kind else { unreachable!() };
        assert_eq!(&text[items[0].bytes.clone()], "plain");
        assert_eq!((items[0].place.line, &text[items[1].bytes.clone()]), (3, "\"q\\\"x\""));
    }

    #[test]
    fn a_file_that_is_too_deep_is_refused_and_does_not_use_up_the_stack() {
        let text = format!("a: {}{}", "[".repeat(200), "]".repeat(200));
        assert!(read(&text).unwrap_err().what.contains("too deeply"));
        assert_eq!(read("").unwrap().kind, Kind::Empty);
        assert_eq!(read("# only words\n").unwrap().kind, Kind::Empty);
    }
}

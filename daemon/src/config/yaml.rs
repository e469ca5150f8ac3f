//! YAML to a flat list of keys with their lines.
//!
//! Owns the only use of the YAML parser. Scalars stay the text that was written, so that `0 0 3 * * *`, `1.10` and `on` reach
//! the settings unharmed. Must never know which keys there are.

use dockbeacon_core::settings::{RawEntry, RawValue};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// What the file cannot be read for, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct YamlError {
    pub line: usize,
    pub column: usize,
    pub what: String,
    pub remedy: &'static str,
}

struct Reader<'a> {
    events: Vec<(Event<'a>, Span)>,
    at: usize,
    entries: Vec<RawEntry>,
}

/// Flattens nested maps into dotted keys.
pub(super) fn read(text: &str) -> Result<Vec<RawEntry>, YamlError> {
    let mut events = Vec::new();
    for event in Parser::new_from_str(text) {
        events.push(event.map_err(|error| {
            let (line, column) = (error.marker().line(), error.marker().col());
            let tab = text.lines().nth(line.saturating_sub(1)).is_some_and(indented_by_tab);
            YamlError {
                line,
                column,
                what: format!("not valid YAML ({})", error.info()),
                remedy: if tab {
                    "indent with spaces instead of tabs"
                } else {
                    "check indentation, quotes and colons at and above this place"
                },
            }
        })?);
    }
    let mut reader = Reader { events, at: 0, entries: Vec::new() };
    reader.document()?;
    Ok(reader.entries)
}

fn indented_by_tab(line: &str) -> bool {
    line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t')
}

fn refuse<T>(span: Span, what: &str, remedy: &'static str) -> Result<T, YamlError> {
    Err(YamlError { line: span.start.line(), column: span.start.col() + 1, what: what.to_owned(), remedy })
}

/// Nothing, in YAML's words.
fn value(text: &str, style: ScalarStyle) -> RawValue {
    match (style, text) {
        (ScalarStyle::Plain, "" | "~" | "null" | "Null" | "NULL") => RawValue::Empty,
        (_, text) => RawValue::Scalar(text.to_owned()),
    }
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<(Event<'a>, Span)> {
        let event = self.events.get(self.at).cloned();
        self.at += 1;
        event
    }

    fn document(&mut self) -> Result<(), YamlError> {
        let mut documents = 0;
        while let Some((event, span)) = self.next() {
            match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        return refuse(span, "a second document begins", "keep one document and no second ---");
                    }
                }
                Event::MappingStart(..) => self.mapping("")?,
                Event::Scalar(text, style, ..) if value(&text, style) == RawValue::Empty => {}
                Event::Scalar(..) | Event::SequenceStart(..) | Event::Alias(_) => {
                    return refuse(span, "the file is no map of settings", "write `key: value` lines");
                }
                Event::Nothing
                | Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentEnd
                | Event::SequenceEnd
                | Event::MappingEnd => {}
            }
        }
        Ok(())
    }

    /// The rest of a map whose start has been read.
    fn mapping(&mut self, prefix: &str) -> Result<(), YamlError> {
        while let Some((event, span)) = self.next() {
            let name = match event {
                Event::MappingEnd => return Ok(()),
                Event::Scalar(text, ..) => text,
                _ => return refuse(span, "a key is not a plain text", "write `key: value`"),
            };
            let key = if prefix.is_empty() { name.into_owned() } else { format!("{prefix}.{name}") };
            let line = span.start.line();
            let Some((event, span)) = self.next() else { return Ok(()) };
            let value = match event {
                Event::MappingStart(..) => {
                    self.mapping(&key)?;
                    continue;
                }
                Event::Scalar(text, style, ..) => value(&text, style),
                Event::SequenceStart(..) => self.list()?,
                _ => return refuse(span, &format!("{key} uses an alias"), "write the value itself"),
            };
            self.entries.push(RawEntry { key, value, line });
        }
        Ok(())
    }

    /// The rest of a list whose start has been read.
    fn list(&mut self) -> Result<RawValue, YamlError> {
        let mut items = Vec::new();
        while let Some((event, span)) = self.next() {
            match event {
                Event::SequenceEnd => break,
                Event::Scalar(text, style, ..) => match value(&text, style) {
                    RawValue::Scalar(text) => items.push(text),
                    RawValue::Empty | RawValue::List(_) => {
                        return refuse(span, "a list has an empty item", "write a text or remove the dash");
                    }
                },
                _ => return refuse(span, "a list holds something other than texts", "write one text per item"),
            }
        }
        Ok(RawValue::List(items))
    }
}

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

/// What matters of the parser's events.
#[derive(Clone)]
enum Token {
    Document,
    Map,
    List,
    /// The end of a map or list; the parser keeps them balanced.
    End,
    /// The text as written, and the value that it stands for.
    Text(String, RawValue),
    Alias,
}

struct Reader {
    tokens: Vec<(Token, Span)>,
    at: usize,
    entries: Vec<RawEntry>,
}

/// Flattens nested maps into dotted keys.
pub(super) fn read(text: &str) -> Result<Vec<RawEntry>, YamlError> {
    let mut tokens = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let (line, column) = (error.marker().line(), error.marker().col() + 1);
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
        })?;
        tokens.extend(token(event).map(|token| (token, span)));
    }
    let mut reader = Reader { tokens, at: 0, entries: Vec::new() };
    reader.document()?;
    Ok(reader.entries)
}

fn token(event: Event<'_>) -> Option<Token> {
    match event {
        Event::DocumentStart(_) => Some(Token::Document),
        Event::MappingStart(..) => Some(Token::Map),
        Event::SequenceStart(..) => Some(Token::List),
        Event::MappingEnd | Event::SequenceEnd => Some(Token::End),
        Event::Scalar(text, style, ..) => {
            let value = value(&text, style);
            Some(Token::Text(text.into_owned(), value))
        }
        Event::Alias(_) => Some(Token::Alias),
        Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => None,
    }
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

impl Reader {
    fn next(&mut self) -> Option<(Token, Span)> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn document(&mut self) -> Result<(), YamlError> {
        let mut documents = 0;
        while let Some((token, span)) = self.next() {
            match token {
                Token::Document => {
                    documents += 1;
                    if documents > 1 {
                        return refuse(
                            span,
                            "a second document begins",
                            "keep one document and no second ---",
                        );
                    }
                }
                Token::Map => self.mapping("")?,
                Token::Text(_, RawValue::Empty) | Token::End => {}
                Token::Text(..) | Token::List | Token::Alias => {
                    return refuse(span, "the file is no map of settings", "write `key: value` lines");
                }
            }
        }
        Ok(())
    }

    /// The rest of a map whose start has been read.
    fn mapping(&mut self, prefix: &str) -> Result<(), YamlError> {
        while let Some((token, span)) = self.next() {
            let name = match token {
                Token::End => return Ok(()),
                Token::Text(name, _) => name,
                Token::Document | Token::Map | Token::List | Token::Alias => {
                    return refuse(span, "a key is not a plain text", "write `key: value`");
                }
            };
            let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            let line = span.start.line();
            let Some((token, span)) = self.next() else { return Ok(()) };
            let value = match token {
                Token::Map => {
                    self.mapping(&key)?;
                    continue;
                }
                Token::Text(_, value) => value,
                Token::List => self.list()?,
                Token::Alias | Token::Document | Token::End => {
                    return refuse(span, &format!("{key} uses an alias"), "write the value itself");
                }
            };
            self.entries.push(RawEntry { key, value, line });
        }
        Ok(())
    }

    /// The rest of a list whose start has been read.
    fn list(&mut self) -> Result<RawValue, YamlError> {
        let mut items = Vec::new();
        while let Some((token, span)) = self.next() {
            match token {
                Token::End => break,
                Token::Text(_, RawValue::Scalar(text)) => items.push(text),
                Token::Text(_, RawValue::Empty | RawValue::List(_)) => {
                    return refuse(span, "a list has an empty item", "write a text or remove the dash");
                }
                Token::Document | Token::Map | Token::List | Token::Alias => {
                    return refuse(
                        span,
                        "a list holds something other than texts",
                        "write one text per item",
                    );
                }
            }
        }
        Ok(RawValue::List(items))
    }
}

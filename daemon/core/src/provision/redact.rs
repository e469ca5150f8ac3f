//! Overwriting secrets where they stand.
//!
//! Owns which bytes are overwritten and how an overwritten secret is told from a real one. Must never change the length of a
//! file: the bytes on the card are overwritten in place, and a file that is written anew leaves the old bytes behind.

use std::ops::Range;

/// What stands where a secret stood.
const MARK: char = 'X';

/// Whether this is what is left of a secret that was used.
#[must_use]
pub fn is_used(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c == MARK)
}

/// The bytes of a scalar without its quotes.
#[must_use]
pub fn inside(text: &str, bytes: Range<usize>) -> Range<usize> {
    let written = text.get(bytes.clone()).unwrap_or_default();
    let trimmed = written.trim_end();
    let quote = if trimmed.len() >= 6 && (trimmed.starts_with("\"\"\"") || trimmed.starts_with("'''")) {
        3
    } else {
        usize::from(trimmed.len() >= 2 && trimmed.starts_with(['"', '\'']))
    };
    bytes.start + quote..bytes.start + trimmed.len() - quote
}

/// The file with these bytes overwritten; line ends stay, so that every other line keeps its number.
#[must_use]
pub fn redacted(content: &[u8], secrets: &[Range<usize>]) -> Vec<u8> {
    let mut content = content.to_vec();
    for range in secrets {
        let end = range.end.min(content.len());
        for byte in content.get_mut(range.start.min(end)..end).unwrap_or_default() {
            if !matches!(*byte, b'\n' | b'\r') {
                *byte = MARK as u8;
            }
        }
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_stay_and_lengths_too() {
        let table = [
            ("a: 'secret' # x", "a: 'XXXXXX' # x", 3..11),
            ("a: secret \n", "a: XXXXXX \n", 3..10),
            ("a: \"s\\\"t\"", "a: \"XXXX\"", 3..9),
            ("a = \"\"\"sec\nret\"\"\"", "a = \"\"\"XXX\nXXX\"\"\"", 4..17),
            ("a: söß", "a: XXXXX", 3..8),
        ];
        for (text, expected, bytes) in table {
            let bytes = inside(text, bytes);
            let out = redacted(text.as_bytes(), &[bytes]);
            assert_eq!(String::from_utf8_lossy(&out), expected);
            assert_eq!(out.len(), text.len());
            assert_eq!(redacted(&out, &[]), out);
        }
        assert!(is_used("XXXXXXXX") && !is_used("") && !is_used("XXXxX"));
    }
}

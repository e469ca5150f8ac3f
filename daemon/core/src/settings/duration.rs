//! Lengths of time as people write them.
//!
//! Owns `90`, `90s`, `1m30s`, `1.5h`, `24h`, `2d`: Go's forms, a bare number as seconds, and days. Must never accept a
//! negative length.

use std::time::Duration;

/// Nanoseconds in each unit; longer names first where one begins another.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
    ("d", 86_400e9),
];

/// The longest length that is accepted: a hundred years.
const LIMIT: f64 = 100.0 * 366.0 * 86_400e9;

/// Reads a length; `None` when it is none.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    if let Ok(seconds) = rest.parse::<u64>() {
        return nanos(seconds as f64 * 1e9);
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let amount: f64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?.trim_start();
        let end = rest.find(|c: char| c.is_ascii_digit() || c == ' ').unwrap_or(rest.len());
        let unit = rest.get(..end)?;
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total += amount * size;
        rest = rest.get(end..)?.trim_start();
    }
    nanos(total)
}

fn nanos(total: f64) -> Option<Duration> {
    // In range: between nothing and a hundred years in nanoseconds fits 64 bits.
    (0.0..=LIMIT).contains(&total).then(|| Duration::from_nanos(total.round() as u64))
}

/// Writes a length in a form that `parse` reads back, `24h` or `1m30s`.
#[must_use]
pub fn show(length: Duration) -> String {
    let mut text = String::new();
    let mut seconds = length.as_secs();
    for (name, size) in [("h", 3600), ("m", 60), ("s", 1)] {
        let amount = seconds / size;
        seconds %= size;
        if amount > 0 {
            text.push_str(&format!("{amount}{name}"));
        }
    }
    match length.subsec_nanos() {
        0 => {}
        n if n % 1_000_000 == 0 => text.push_str(&format!("{}ms", n / 1_000_000)),
        n => text.push_str(&format!("{n}ns")),
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn lengths_are_read_and_written_back() {
        let table = [
            ("10s", 10_000, "10s"),
            ("1m30s", 90_000, "1m30s"),
            ("300", 300_000, "5m"),
            ("0", 0, "0s"),
            ("1.5h", 5_400_000, "1h30m"),
            ("2d", 172_800_000, "48h"),
            ("1d 2h", 93_600_000, "26h"),
            ("100ms", 100, "100ms"),
        ];
        for (text, millis, shown) in table {
            let length = parse(text).unwrap();
            assert_eq!(length.as_millis(), millis, "{text}");
            assert_eq!(show(length), shown, "{text}");
            assert_eq!(parse(&show(length)), Some(length), "{text}");
        }
        for text in ["", "s", "-1s", "1x", "1h2", "soon", "1.2.3s", "10 s m", "999999999999d", "NaN", "1e3"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

//! How a line of the board is named, and how a kernel LED is handed back.
//!
//! Owns the reading of `GPIO17` and `LABEL:OFFSET`. Must never know a chip by its number: numbers change from kernel to
//! kernel.

/// A line by the name that the kernel knows it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineName {
    /// `GPIO17`.
    Named(String),
    /// `pinctrl-bcm2835:17`, for lines without names.
    OfChip {
        /// The chip's label.
        label: String,
        /// The line on it.
        offset: u32,
    },
}

impl LineName {
    /// Reads `GPIO17` or `LABEL:OFFSET`; `None` where it is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let word = |text: &str| {
            !text.is_empty()
                && text.len() <= 31
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/@,+".contains(c))
        };
        if let Some((label, offset)) = text.rsplit_once(':') {
            let offset = offset.parse().ok().filter(|offset| *offset < 1024)?;
            // A number of a chip would be another chip after the next update of the kernel.
            let by_number = label
                .strip_prefix("gpiochip")
                .is_some_and(|number| !number.is_empty() && number.chars().all(|c| c.is_ascii_digit()));
            return (word(label) && !by_number).then(|| Self::OfChip { label: label.to_owned(), offset });
        }
        // A bare number could be meant as a pin of the header or as a line of some chip.
        (word(text) && !text.chars().all(|c| c.is_ascii_digit())).then(|| Self::Named(text.to_owned()))
    }

    /// The number that Broadcom's documents give it, where the name tells.
    #[must_use]
    pub fn bcm(&self) -> Option<u8> {
        match self {
            Self::Named(name) => name.strip_prefix("GPIO")?.parse().ok().filter(|n| *n < 54),
            Self::OfChip { label, offset } if BOARD_CHIPS.contains(&label.as_str()) => {
                u8::try_from(*offset).ok().filter(|n| *n < 54)
            }
            Self::OfChip { .. } => None,
        }
    }
}

impl std::fmt::Display for LineName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::OfChip { label, offset } => write!(f, "{label}:{offset}"),
        }
    }
}

/// The labels of the chips behind the 40-pin header: Zero 2 W and 3, 4, 5.
pub const BOARD_CHIPS: [&str; 3] = ["pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1"];

/// The trigger in force, the one in brackets in a LED's `trigger` file.
#[must_use]
pub fn current_trigger(file: &str) -> Option<&str> {
    file.split_whitespace().find_map(|word| word.strip_prefix('[')?.strip_suffix(']'))
}

/// The trigger that a LED is handed back with: the one it had, but never `heartbeat`, which looks like all well, nor
/// `none`, which looks like nothing at all where the kernel has a better one. The board's own LED shows the card.
/// `file` is its `trigger` file, `had` the trigger before we took it, where that is known.
#[must_use]
pub fn trigger_to_hand_back<'a>(file: &'a str, had: Option<&'a str>, own_led: bool) -> &'a str {
    let words = || file.split_whitespace().map(|word| word.trim_matches(|c| c == '[' || c == ']'));
    let known = |name: &str| words().any(|word| word == name);
    if let Some(had) =
        had.filter(|had| known(had) && !matches!(*had, "heartbeat" | "none" | "timer" | "pattern"))
    {
        return had;
    }
    if !own_led {
        return "none";
    }
    words()
        .find(|word| *word == "mmc0")
        .or_else(|| words().find(|word| word.starts_with("mmc")))
        .or_else(|| words().find(|word| *word == "disk-activity"))
        .unwrap_or("none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_by_names() {
        let of_chip = |label: &str, offset| Some(LineName::OfChip { label: label.to_owned(), offset });
        let named = |name: &str| Some(LineName::Named(name.to_owned()));
        let table = [
            ("GPIO17", named("GPIO17"), Some(17)),
            (" GPIO26 ", named("GPIO26"), Some(26)),
            ("ID_SDA", named("ID_SDA"), None),
            ("SPI_CE0-N", named("SPI_CE0-N"), None),
            ("GPIO99", named("GPIO99"), None),
            ("pinctrl-bcm2711:22", of_chip("pinctrl-bcm2711", 22), Some(22)),
            ("9030000.pl061:6", of_chip("9030000.pl061", 6), None),
            ("gpiochip0:17", None, None),
            ("17", None, None),
            ("", None, None),
            (":3", None, None),
            ("pinctrl-rp1:", None, None),
            ("pinctrl-rp1:-1", None, None),
            ("GPIO 17", None, None),
        ];
        for (text, expected, bcm) in table {
            let read = LineName::parse(text);
            assert_eq!(read, expected, "{text}");
            assert_eq!(read.and_then(|line| line.bcm()), bcm, "{text}");
        }
    }

    #[test]
    fn a_led_is_never_handed_back_as_a_heartbeat() {
        let file = "none kbd-scrolllock timer heartbeat default-on [mmc0] mmc1 cpu0 \n";
        assert_eq!(current_trigger(file), Some("mmc0"));
        assert_eq!(current_trigger("none timer"), None);
        let table = [
            (file, Some("mmc0"), true, "mmc0"),
            (file, Some("mmc1"), true, "mmc1"),
            (file, Some("heartbeat"), true, "mmc0"),
            (file, Some("none"), true, "mmc0"),
            (file, None, true, "mmc0"),
            (file, Some("gone"), true, "mmc0"),
            (file, None, false, "none"),
            (file, Some("heartbeat"), false, "none"),
            ("[none] timer heartbeat mmc1", None, true, "mmc1"),
            ("[none] timer heartbeat", Some("heartbeat"), true, "none"),
        ];
        for (file, had, own, expected) in table {
            assert_eq!(trigger_to_hand_back(file, had, own), expected, "{had:?} {own}");
        }
    }
}

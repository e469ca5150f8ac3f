//! A host name that another device in the network has already.
//!
//! Owns the name that is taken instead. Must never look at the network.

/// The new name, where the mDNS responder had to give way: it then calls itself `NAME-2` and so on. `serial` is the board's serial
/// number, or anything else that is this device's own.
#[must_use]
pub fn instead(ours: &str, responder: &str, serial: &str) -> Option<String> {
    let number = responder.strip_prefix(ours)?.strip_prefix('-')?;
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let own: Vec<char> =
        serial.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let last: String = own.get(own.len().checked_sub(4)?..)?.iter().collect();
    if ours.ends_with(&format!("-{last}")) {
        // Ours already: whoever else has it, another name would not help.
        return None;
    }
    let room = 63 - last.len() - 1;
    let stem: String = ours.chars().take(room).collect();
    Some(format!("{}-{last}", stem.trim_end_matches('-')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_that_had_to_give_way_is_changed() {
        let table = [
            ("dockbeacon", "dockbeacon", "10000000abcd1234", None),
            ("dockbeacon", "dockbeacon-2", "10000000abcd1234\0", Some("dockbeacon-1234")),
            ("dockbeacon", "dockbeacon-13", "00000000DEADBEEF", Some("dockbeacon-beef")),
            ("dockbeacon-1234", "dockbeacon-1234-2", "10000000abcd1234", None),
            ("dockbeacon", "dockbeacon-garage", "1234", None),
            ("dockbeacon", "other-2", "1234", None),
            ("dockbeacon", "dockbeacon-2", "12", None),
        ];
        for (ours, responder, serial, expected) in table {
            assert_eq!(instead(ours, responder, serial).as_deref(), expected, "{ours} {responder}");
        }
        let long = "a".repeat(63);
        assert_eq!(instead(&long, &format!("{long}-2"), "12345678").map(|name| name.len()), Some(63));
    }
}

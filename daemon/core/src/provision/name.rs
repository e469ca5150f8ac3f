//! The network as a new device meets it: whether there is a way out, and a host name that another device has already.
//!
//! Owns both answers. Must never look at the network.

/// Whether there is a default route, by the kernel's tables of both protocols.
#[must_use]
pub fn way_out(route: &str, ipv6_route: &str) -> bool {
    let four = route.lines().skip(1).any(|line| {
        let mut words = line.split_whitespace();
        words.next().is_some_and(|device| device != "lo") && words.next() == Some("00000000")
    });
    let six = ipv6_route.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.first().is_some_and(|to| to.bytes().all(|b| b == b'0'))
            && words.get(1) == Some(&"00")
            && words.last().is_some_and(|device| *device != "lo")
    });
    four || six
}

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
    fn a_default_route_of_either_protocol_is_a_way_out() {
        let head = "Iface\tDestination\tGateway \tFlags\n";
        let zero = "0".repeat(32);
        let six = |device: &str| {
            format!("{zero} 00 {zero} 00 {zero} 00000400 00000001 00000000 00000003 {device}\n")
        };
        let table = [
            (String::new(), String::new(), false),
            (format!("{head}eth0\t0002A8C0\t00000000\t0001\n"), six("lo"), false),
            (format!("{head}eth0\t00000000\t0102A8C0\t0003\n"), String::new(), true),
            (head.to_owned(), six("wlan0"), true),
        ];
        for (route, ipv6_route, expected) in table {
            assert_eq!(way_out(&route, &ipv6_route), expected, "{route}{ipv6_route}");
        }
    }

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

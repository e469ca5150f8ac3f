//! Whether a value can be taken.
//!
//! Owns the rules for names, keys, addresses and passwords, each with what to do about a bad one. Must never look at the card.

use super::customisation::{Keyboard, WifiKey};
use crate::settings::Secret;

/// What is wrong and what to do.
pub type Refusal = (String, String);

fn refuse<T>(what: String, remedy: &str) -> Result<T, Refusal> {
    Err((what, remedy.to_owned()))
}

/// Names that belong to the system or to Dockbeacon.
const TAKEN: [&str; 12] = [
    "root",
    "daemon",
    "bin",
    "sys",
    "sync",
    "mail",
    "www-data",
    "nobody",
    "sshd",
    "docker",
    "dockbeacon",
    "messagebus",
];

/// A host name: one label, lower case.
pub fn host_name(text: &str) -> Result<String, Refusal> {
    let name = text.trim().to_lowercase();
    let good = (1..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    if good && name != "localhost" {
        Ok(name)
    } else {
        refuse(
            format!("{text:?} is no host name"),
            "use up to 63 letters, digits and dashes, with a letter or digit at both ends, such as shelf-pi",
        )
    }
}

/// The name of an account.
pub fn user_name(text: &str) -> Result<String, Refusal> {
    let good = (1..=32).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    if !good {
        return refuse(
            format!("{text:?} is no name for an account"),
            "use up to 32 small letters, digits, - and _, beginning with a letter",
        );
    }
    if TAKEN.contains(&text) || text.starts_with("systemd-") {
        return refuse(format!("the account {text} belongs to the system"), "choose another name");
    }
    Ok(text.to_owned())
}

/// The name of a group.
pub fn group_name(text: &str) -> Result<String, Refusal> {
    let good = (1..=32).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && !text.starts_with('-');
    if good {
        Ok(text.to_owned())
    } else {
        refuse(format!("{text:?} is no name of a group"), "correct or remove it")
    }
}

/// A public key as it stands in `authorized_keys`, without options.
pub fn ssh_key(text: &str) -> Result<String, Refusal> {
    const KINDS: [&str; 7] = [
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    ];
    let key = text.trim();
    let mut words = key.split_whitespace();
    let kind = words.next().unwrap_or_default();
    let body = words.next().unwrap_or_default();
    let base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    if key.contains("PRIVATE KEY") {
        return refuse(
            "this is a private key".to_owned(),
            "write the public one, from the file that ends in .pub, and make a new pair: this card has had the private one",
        );
    }
    if !KINDS.contains(&kind)
        || body.len() < 40
        || !body.bytes().all(base64)
        || key.chars().any(char::is_control)
    {
        return refuse(
            format!("{:?} is no public SSH key", shortened(key)),
            "write the one line of the file that ends in .pub, such as ssh-ed25519 AAAA… name",
        );
    }
    Ok(key.to_owned())
}

fn shortened(text: &str) -> String {
    let short: String = text.chars().take(24).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

/// A wireless network's name: bytes, 1 to 32 of them.
pub fn ssid(bytes: Vec<u8>) -> Result<Vec<u8>, Refusal> {
    if (1..=32).contains(&bytes.len()) {
        Ok(bytes)
    } else {
        refuse(
            format!("a wireless network's name has 1 to 32 bytes, not {}", bytes.len()),
            "write it as the router shows it",
        )
    }
}

/// A wireless network's password, or its hash of 64 hexadecimal digits.
pub fn psk(text: &str, sae: bool) -> Result<WifiKey, Refusal> {
    let secret = || Secret::new(text.to_owned());
    if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(WifiKey::Psk(secret()));
    }
    // The number, never the text: messages are shown.
    if !(8..=63).contains(&text.len()) || text.chars().any(char::is_control) {
        return refuse(
            format!(
                "a wireless network's password has 8 to 63 characters, this one {}",
                text.chars().count()
            ),
            "write it as it stands on the router, in quotes; leave it out for a network without one",
        );
    }
    Ok(if sae { WifiKey::Sae(secret()) } else { WifiKey::Psk(secret()) })
}

/// The country of the radio rules.
pub fn country(text: &str) -> Result<String, Refusal> {
    let code = text.trim().to_uppercase();
    if code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase()) {
        Ok(code)
    } else {
        refuse(format!("{text:?} is no country"), "write its two letters, such as DE, GB or US")
    }
}

/// A time zone.
pub fn time_zone(text: &str) -> Result<String, Refusal> {
    match text.trim().parse::<chrono_tz::Tz>() {
        Ok(zone) => Ok(zone.name().to_owned()),
        Err(_) => refuse(
            format!("{text:?} is no time zone"),
            "write continent and city, such as Europe/Berlin, or UTC",
        ),
    }
}

/// A keyboard, by its parts.
pub fn keyboard(model: &str, layout: &str, variant: &str, options: &str) -> Result<Keyboard, Refusal> {
    let good = |text: &str| {
        text.len() <= 128
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b',' | b':' | b'(' | b')'))
    };
    if layout.is_empty() || ![model, layout, variant, options].into_iter().all(good) {
        return refuse(
            format!("{layout:?} is no keyboard layout"),
            "write its short name, such as de, gb or us",
        );
    }
    let model = if model.is_empty() { "pc105" } else { model };
    Ok(Keyboard {
        model: model.to_owned(),
        layout: layout.to_owned(),
        variant: variant.to_owned(),
        options: options.to_owned(),
    })
}

/// The address of a proxy or mirror.
pub fn address(text: &str, what: &str, example: &str) -> Result<String, Refusal> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let host = rest.map(|rest| rest.rsplit_once('@').map_or(rest, |(_, host)| host).trim_end_matches('/'));
    let good = host.is_some_and(|host| !host.is_empty() && !host.starts_with([':', '/', '?']))
        && !text
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '\\' | '$' | '`'));
    if good {
        Ok(text.to_owned())
    } else {
        // The text may hold a password.
        refuse(format!("this is no address of a {what}"), &format!("write for example {example}"))
    }
}

/// A host name or address, for name and time servers and exceptions from proxies.
pub fn host(text: &str) -> Result<String, Refusal> {
    let good = !text.is_empty()
        && text.len() <= 255
        && text.bytes().all(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'_' | b'/' | b'*' | b'[' | b']')
        });
    if good {
        Ok(text.to_owned())
    } else {
        refuse(format!("{text:?} is no host"), "write a name or an address")
    }
}

/// An address with the length of its prefix.
pub fn cidr(text: &str) -> Result<String, Refusal> {
    let good = text.split_once('/').is_some_and(|(address, length)| {
        let most = match address.parse::<std::net::IpAddr>() {
            Ok(std::net::IpAddr::V4(_)) => 32,
            Ok(std::net::IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        length.parse::<u8>().is_ok_and(|length| (1..=most).contains(&length))
    });
    if good {
        Ok(text.to_owned())
    } else {
        refuse(format!("{text:?} is no address with its prefix"), "write for example 192.168.1.50/24")
    }
}

/// An address.
pub fn ip(text: &str) -> Result<String, Refusal> {
    match text.parse::<std::net::IpAddr>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => refuse(format!("{text:?} is no address"), "write for example 192.168.1.1"),
    }
}

/// A password hash as `crypt` makes it.
pub fn hash(text: &str) -> Result<Secret, Refusal> {
    let good = text.starts_with('$')
        && text.matches('$').count() >= 3
        && text.len() <= 256
        && !text.chars().any(|c| c.is_whitespace() || c.is_control() || c == ':');
    if good {
        Ok(Secret::new(text.to_owned()))
    } else {
        refuse(
            "this is no password hash".to_owned(),
            "make one with `openssl passwd -6`, or write the password itself as password",
        )
    }
}

/// A password as it is typed.
pub fn password(text: &str) -> Result<Secret, Refusal> {
    if text.is_empty() || text.len() > 256 || text.chars().any(char::is_control) {
        return refuse(
            "this password cannot be typed".to_owned(),
            "choose one of 1 to 256 characters in one line",
        );
    }
    Ok(Secret::new(text.to_owned()))
}

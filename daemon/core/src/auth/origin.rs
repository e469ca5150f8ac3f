//! Which Host headers are ours and which pages may change something.
//!
//! Owns the defence against DNS rebinding (a stranger's name that resolves to us) and against cross-site requests. Must
//! never resolve a name.

use std::net::{IpAddr, SocketAddr};

/// The names by which this device may be called.
#[derive(Debug, Clone, Copy)]
pub struct Hosts<'a> {
    /// The device's own host name.
    pub own: &'a str,
    /// Names that the settings allow, without port.
    pub allowed: &'a [String],
    /// Where we listen.
    pub listen: SocketAddr,
}

impl Hosts<'_> {
    /// Whether a Host header names this device. An address (not a name) cannot be rebound, so where we listen on all
    /// addresses any address is good.
    #[must_use]
    pub fn know(&self, host: &str) -> bool {
        let Some((name, _)) = split(host) else { return false };
        if let Some(address) = address(&name) {
            let listen = self.listen.ip().to_canonical();
            return address.is_loopback() || listen.is_unspecified() || listen == address;
        }
        let name = name.strip_suffix('.').unwrap_or(&name);
        if name == "localhost" || name.ends_with(".localhost") {
            return true;
        }
        let own = self.own.to_ascii_lowercase();
        let is_own = !own.is_empty() && (name == own || name.strip_suffix(".local") == Some(own.as_str()));
        is_own || self.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
    }
}

/// A request that would change something came from a page that is not ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// The browser says so.
    #[error("the request comes from another site (Sec-Fetch-Site: {0})")]
    Site(String),
    /// The Origin header says so.
    #[error("the request comes from a page of {0}, not from this device")]
    Origin(String),
}

/// Whether a request that changes something may come from where it says. Programs that are no browsers send neither
/// header and pass: they have no cookies that a stranger could borrow.
///
/// The scheme is not compared, because a reverse proxy in front may have taken TLS off.
///
/// # Errors
/// When `Sec-Fetch-Site` or `Origin` name another place than `host`.
pub fn check_origin(fetch_site: Option<&str>, origin: Option<&str>, host: &str) -> Result<(), OriginError> {
    if let Some(site) = fetch_site.filter(|site| !matches!(*site, "same-origin" | "none")) {
        return Err(OriginError::Site(site.to_owned()));
    }
    let Some(origin) = origin else { return Ok(()) };
    let foreign = || OriginError::Origin(origin.to_owned());
    let (scheme, rest) = origin.split_once("://").ok_or_else(foreign)?;
    let default = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return Err(foreign()),
    };
    let (Some((name, port)), Some((own, own_port))) = (split(rest), split(host)) else {
        return Err(foreign());
    };
    if name == own && port.unwrap_or(default) == own_port.unwrap_or(default) {
        Ok(())
    } else {
        Err(foreign())
    }
}

/// Splits `name:port`, `[v6]:port` or either without port; the name in lower case, brackets kept.
fn split(host: &str) -> Option<(String, Option<u16>)> {
    let (name, port) = match host.rfind(']') {
        Some(end) => (&host[..=end], host[end + 1..].strip_prefix(':')),
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    let tail = &host[name.len()..];
    let sound = !name.is_empty() && !name.contains(['/', '@', '?', '#', '\\', ' ']);
    if !sound || (port.is_none() && !tail.is_empty()) {
        return None;
    }
    let port = match port {
        Some(digits) => Some(digits.parse().ok()?),
        None => None,
    };
    Some((name.to_ascii_lowercase(), port))
}

fn address(name: &str) -> Option<IpAddr> {
    match name.strip_prefix('[') {
        Some(rest) => {
            rest.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().ok().map(|v6| IpAddr::V6(v6).to_canonical())
        }
        None => name.parse::<std::net::Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn only_our_own_names_are_known() {
        let allowed = vec!["Dock.Example.org".to_owned()];
        let hosts = Hosts { own: "Cupboard", allowed: &allowed, listen: "192.0.2.5:3625".parse().unwrap() };
        for good in [
            "localhost",
            "localhost:3625",
            "LOCALHOST.",
            "127.0.0.1:3625",
            "127.9.9.9",
            "[::1]:3625",
            "cupboard",
            "cupboard.local:80",
            "Cupboard.local.",
            "dock.example.org",
            "192.0.2.5:3625",
            "[::ffff:192.0.2.5]",
        ] {
            assert!(hosts.know(good), "{good}");
        }
        for bad in [
            "",
            ":80",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.0.2.6",
            "[2001:db8::1]",
            "localhost:x",
            "localhost:99999",
            "user@localhost",
            "localhost/../evil",
            "evillocalhost",
            "[::1",
            "[::1]x",
            "dock.example.org.evil",
            "cupboard.local.evil",
            ".local",
            "[127.0.0.1]",
            "localhost localhost",
        ] {
            assert!(!hosts.know(bad), "{bad}");
        }
        let everywhere = Hosts { own: "", allowed: &[], listen: "[::]:3625".parse().unwrap() };
        assert!(everywhere.know("192.0.2.6:3625") && everywhere.know("[2001:db8::1]"));
        assert!(!everywhere.know("evil.example") && !everywhere.know(".local"));
    }

    #[test]
    fn only_our_own_pages_may_change_something() {
        let host = "cupboard.local:3625";
        let good = [
            (None, None),
            (Some("same-origin"), Some("http://cupboard.local:3625")),
            (Some("none"), None),
            (None, Some("http://Cupboard.local:3625")),
        ];
        for (site, origin) in good {
            assert_eq!(check_origin(site, origin, host), Ok(()), "{site:?} {origin:?}");
        }
        let bad = [
            (Some("cross-site"), None),
            (Some("same-site"), Some("http://cupboard.local:3625")),
            (Some("cross-site"), Some("http://cupboard.local:3625")),
            (None, Some("null")),
            (None, Some("http://evil.example")),
            (None, Some("http://cupboard.local:3626")),
            (None, Some("http://cupboard.local")),
            (None, Some("file://cupboard.local:3625")),
            (None, Some("http://cupboard.local:3625@evil.example")),
        ];
        for (site, origin) in bad {
            assert!(check_origin(site, origin, host).is_err(), "{site:?} {origin:?}");
        }
        assert_eq!(check_origin(None, Some("https://dock.example"), "dock.example"), Ok(()));
        assert_eq!(check_origin(None, Some("https://dock.example"), "dock.example:443"), Ok(()));
        assert!(check_origin(None, Some("https://dock.example"), "dock.example:80").is_err());
    }
}

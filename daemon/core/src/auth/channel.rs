//! What may travel over which channel.
//!
//! Owns the rule that secrets never cross the network in clear. Must never count another machine's plain request as near.

use std::net::IpAddr;

use super::Access;

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Over TLS.
    Tls,
    /// Without TLS, but from this machine: over loopback or the control socket. A reverse proxy or a tunnel ends there.
    Near,
    /// Without TLS from another machine.
    Plain,
}

impl Channel {
    /// The channel of a connection from that address.
    #[must_use]
    pub const fn of(peer: IpAddr, tls: bool) -> Self {
        match (tls, peer.to_canonical().is_loopback()) {
            (true, _) => Self::Tls,
            (false, true) => Self::Near,
            (false, false) => Self::Plain,
        }
    }

    /// Whether nobody between the two ends can read it.
    #[must_use]
    pub const fn is_private(self) -> bool {
        matches!(self, Self::Tls | Self::Near)
    }
}

/// What plain HTTP from other machines gets; `http.plain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Plain {
    /// A page that explains and leads to https with what that page is drawn with, and the health paths.
    #[default]
    Explain,
    /// Everything but claiming and logging in.
    Allow,
}

/// Whether a request that needs `access` may be served over this channel. If not, it is led to https.
#[must_use]
pub const fn may_travel(channel: Channel, access: Access, plain: Plain) -> bool {
    match (channel, access, plain) {
        (Channel::Tls | Channel::Near, _, _) | (Channel::Plain, Access::Health | Access::Open, _) => true,
        (Channel::Plain, Access::Claim | Access::Login, _) | (Channel::Plain, _, Plain::Explain) => false,
        (Channel::Plain, Access::UpdateApi | Access::Needs(_), Plain::Allow) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Role;

    #[test]
    fn plain_requests_from_elsewhere_get_little() {
        let all = [
            Access::Health,
            Access::Open,
            Access::Claim,
            Access::Login,
            Access::UpdateApi,
            Access::Needs(Role::Read),
            Access::Needs(Role::Admin),
        ];
        for access in all {
            for plain in [Plain::Explain, Plain::Allow] {
                assert!(may_travel(Channel::Tls, access, plain));
                assert!(may_travel(Channel::Near, access, plain));
            }
            let open = matches!(access, Access::Health | Access::Open);
            assert_eq!(may_travel(Channel::Plain, access, Plain::Explain), open, "{access:?}");
            let secret = matches!(access, Access::Claim | Access::Login);
            assert_eq!(may_travel(Channel::Plain, access, Plain::Allow), !secret, "{access:?}");
        }
    }

    #[test]
    fn loopback_is_near_however_it_is_written() {
        for (address, tls, expected) in [
            ("127.0.0.1", false, Channel::Near),
            ("127.8.9.1", false, Channel::Near),
            ("::1", false, Channel::Near),
            ("::ffff:127.0.0.1", false, Channel::Near),
            ("192.168.1.7", false, Channel::Plain),
            ("::ffff:192.168.1.7", false, Channel::Plain),
            ("fe80::1", false, Channel::Plain),
            ("192.168.1.7", true, Channel::Tls),
            ("127.0.0.1", true, Channel::Tls),
        ] {
            let peer: Result<IpAddr, _> = address.parse();
            assert_eq!(peer.map(|peer| Channel::of(peer, tls)), Ok(expected), "{address}");
        }
    }
}

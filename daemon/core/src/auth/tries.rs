//! Limits on guessing passwords and codes.
//!
//! Owns the growing delay per address and for all together. Must never know what was tried.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::now::Now;

/// Tries of one address before it has to wait.
const FREE_PER_ADDRESS: u32 = 5;
/// Tries of all addresses together before everybody has to wait.
const FREE_FOR_ALL: u32 = 30;
/// The longest wait of one address.
const WAIT_PER_ADDRESS: Duration = Duration::from_secs(15 * 60);
/// The longest wait of all: short, or a stranger could keep the owner out for ever.
const WAIT_FOR_ALL: Duration = Duration::from_secs(20);
/// Tries are forgotten after so long without another.
const MEMORY: Duration = Duration::from_secs(3600);
/// Addresses remembered at most; the one that tried longest ago goes first.
const ADDRESSES: usize = 512;

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    failed: u32,
    last: Duration,
}

impl Tally {
    fn wait(self, free: u32, longest: Duration, now: Duration) -> Duration {
        if self.failed < free || now.saturating_sub(self.last) >= MEMORY {
            return Duration::ZERO;
        }
        let delay = Duration::from_secs(1 << (self.failed - free).min(20)).min(longest);
        (self.last + delay).saturating_sub(now)
    }

    fn add(&mut self, now: Duration) {
        if now.saturating_sub(self.last) >= MEMORY {
            self.failed = 0;
        }
        self.failed = self.failed.saturating_add(1);
        self.last = now;
    }
}

/// What has been tried lately.
#[derive(Debug, Clone, Default)]
pub struct Tries {
    addresses: BTreeMap<IpAddr, Tally>,
    all: Tally,
}

impl Tries {
    /// Asks to try once. It counts as failed until [`Self::succeeded`] says otherwise, so that tries made at the same
    /// time cannot slip through together. A refused try does not count.
    ///
    /// # Errors
    /// How long to wait, never less than a second.
    pub fn begin(&mut self, from: IpAddr, now: Now) -> Result<(), Duration> {
        let from = network(from);
        let own = self.addresses.get(&from).copied().unwrap_or_default();
        let wait = own.wait(FREE_PER_ADDRESS, WAIT_PER_ADDRESS, now.monotonic).max(self.all.wait(
            FREE_FOR_ALL,
            WAIT_FOR_ALL,
            now.monotonic,
        ));
        if wait > Duration::ZERO {
            return Err(wait.max(Duration::from_secs(1)));
        }
        self.all.add(now.monotonic);
        self.addresses.entry(from).or_default().add(now.monotonic);
        if self.addresses.len() > ADDRESSES {
            let oldest =
                self.addresses.iter().min_by_key(|(_, tally)| tally.last).map(|(address, _)| *address);
            if let Some(oldest) = oldest {
                self.addresses.remove(&oldest);
            }
        }
        Ok(())
    }

    /// The try of that address was right: its own tally is forgotten, the one for all forgives only this try.
    pub fn succeeded(&mut self, from: IpAddr) {
        self.addresses.remove(&network(from));
        self.all.failed = self.all.failed.saturating_sub(1);
    }
}

/// One subscriber has a whole /64 of IPv6, so that is what counts as an address.
fn network(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use chrono::DateTime;

    fn at(seconds: u64) -> Now {
        Now { monotonic: Duration::from_secs(10_000 + seconds), civil: DateTime::UNIX_EPOCH, trusted: true }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_wait_doubles_after_five_tries_and_is_forgotten() {
        let mut tries = Tries::default();
        for _ in 0..5 {
            tries.begin(ip("192.0.2.1"), at(0)).unwrap();
        }
        assert_eq!(tries.begin(ip("192.0.2.1"), at(0)), Err(Duration::from_secs(1)));
        tries.begin(ip("192.0.2.1"), at(1)).unwrap();
        assert_eq!(tries.begin(ip("192.0.2.1"), at(1)), Err(Duration::from_secs(2)));
        tries.begin(ip("192.0.2.2"), at(1)).unwrap();
        tries.begin(ip("192.0.2.1"), at(4000)).unwrap();
        tries.begin(ip("192.0.2.1"), at(4000)).unwrap();
    }

    #[test]
    fn a_right_try_clears_the_address() {
        let mut tries = Tries::default();
        for _ in 0..20 {
            tries.begin(ip("127.0.0.1"), at(0)).unwrap();
            tries.succeeded(ip("127.0.0.1"));
        }
    }

    #[test]
    fn many_addresses_together_are_slowed_but_never_locked_out() {
        let mut tries = Tries::default();
        let mut refused = 0;
        for n in 0..2000_u32 {
            if tries.begin(IpAddr::V4((0x0a00_0000 + n).into()), at(u64::from(n) / 100)).is_err() {
                refused += 1;
            }
        }
        assert!(refused > 1900, "{refused}");
        assert!(tries.addresses.len() <= ADDRESSES);
        tries.begin(ip("192.0.2.7"), at(20 + WAIT_FOR_ALL.as_secs())).unwrap();
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let mut tries = Tries::default();
        for n in 0..5 {
            tries.begin(ip(&format!("2001:db8::{n}")), at(0)).unwrap();
        }
        assert!(tries.begin(ip("2001:db8::ffff"), at(0)).is_err());
        assert!(tries.begin(ip("2001:db8:0:1::1"), at(0)).is_ok());
        assert_eq!(network(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
    }
}

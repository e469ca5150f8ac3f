//! The only caller of now().
//!
//! Owns the reading of both clocks and the answer to whether civil time can be believed. Must never set a clock, and
//! nobody else may read one: what needs the time is given it.
//!
//! A Raspberry Pi has no clock battery and wakes up in the past, so civil time is believed when one of these holds, and
//! never while it is earlier than [`FLOOR`]:
//! - systemd-timesyncd says that it has synchronised since the boot, or first boot was told the time by a web server;
//! - the kernel set its time from a hardware clock at the boot;
//! - systemd-timesyncd is not in charge of the time here (no systemd, as in a container, or another time service, which
//!   we cannot ask): then the machine's owner vouches for it.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use chrono::Utc;
use dockbeacon_core::now::Now;

/// Seconds since 1970 of 1 November 2025: no earlier time can be true while this program runs.
pub const FLOOR: i64 = 1_761_955_200;

/// Where first boot notes that a web server told the true time; relative to the root.
pub const TOLD: &str = "run/dockbeacon-firstboot/time-is-true";

static START: OnceLock<Instant> = OnceLock::new();
static TRUSTED: AtomicBool = AtomicBool::new(false);

/// This instant. The monotonic part counts from the first call. Civil time that was believed once stays believed.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clocks")]
pub fn now() -> Now {
    let monotonic = START.get_or_init(Instant::now).elapsed();
    let civil = Utc::now();
    let trusted = TRUSTED.load(Ordering::Relaxed) || {
        let trusted = believable(civil.timestamp(), observe(Path::new("/")));
        TRUSTED.store(trusted, Ordering::Relaxed);
        trusted
    };
    Now { monotonic, civil, trusted }
}

/// What the machine says about its clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evidence {
    /// systemd-timesyncd has synchronised since the boot, or first boot was told the time over TLS.
    pub synchronised: bool,
    /// The kernel took its time from a hardware clock.
    pub hardware_clock: bool,
    /// systemd-timesyncd is in charge here, whether or not it has synchronised yet.
    pub timesyncd: bool,
}

/// Looks below `root`, which is `/` but in tests.
#[must_use]
pub fn observe(root: &Path) -> Evidence {
    let there = |path: &str| root.join(path).exists();
    let systemd = there("run/systemd/system");
    let enabled = there("etc/systemd/system/sysinit.target.wants/systemd-timesyncd.service")
        || there("etc/systemd/system/dbus-org.freedesktop.timesync1.service");
    let hctosys = std::fs::read_to_string(root.join("sys/class/rtc/rtc0/hctosys")).unwrap_or_default();
    Evidence {
        synchronised: there("run/systemd/timesync/synchronized") || there(TOLD),
        hardware_clock: hctosys.trim() == "1",
        timesyncd: systemd && (enabled || there("run/systemd/timesync")),
    }
}

/// Whether civil time, in seconds since 1970, can be believed on that evidence.
#[must_use]
pub const fn believable(civil: i64, evidence: Evidence) -> bool {
    civil >= FLOOR && (evidence.synchronised || evidence.hardware_clock || !evidence.timesyncd)
}

/// The machine's own name, as people reach it.
#[must_use]
pub fn host_name() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn civil_time_is_believed_on_evidence_only() {
        let pi = Evidence { timesyncd: true, ..Evidence::default() };
        let table = [
            ("a Pi before its first answer", FLOOR + 1, pi, false),
            ("a Pi with an answer", FLOOR + 1, Evidence { synchronised: true, ..pi }, true),
            ("a PC", FLOOR + 1, Evidence { hardware_clock: true, ..pi }, true),
            ("a PC with an empty battery", 0, Evidence { hardware_clock: true, ..pi }, false),
            ("a container", FLOOR + 1, Evidence::default(), true),
            ("a container in 1970", 0, Evidence::default(), false),
        ];
        for (case, civil, evidence, expected) in table {
            assert_eq!(believable(civil, evidence), expected, "{case}");
        }
    }

    #[test]
    fn the_evidence_is_read_from_the_files_that_systemd_and_the_kernel_keep() {
        let root = tempfile::tempdir().unwrap();
        let touch = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        assert_eq!(observe(root.path()), Evidence::default());
        touch("run/systemd/system/x", "");
        touch("etc/systemd/system/sysinit.target.wants/systemd-timesyncd.service", "");
        assert_eq!(observe(root.path()), Evidence { timesyncd: true, ..Evidence::default() });
        touch("sys/class/rtc/rtc0/hctosys", "1\n");
        touch("run/systemd/timesync/synchronized", "");
        assert_eq!(
            observe(root.path()),
            Evidence { synchronised: true, hardware_clock: true, timesyncd: true }
        );
    }

    #[test]
    fn monotonic_time_does_not_go_back() {
        let (a, b) = (now(), now());
        assert!(b.monotonic >= a.monotonic);
    }
}

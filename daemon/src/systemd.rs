//! What the service manager is told, and the watchdog.
//!
//! Owns READY, STATUS, RELOADING, STOPPING and WATCHDOG. Must never say WATCHDOG while a loop is stuck: being restarted is
//! then what is wanted. Without a service manager every call does nothing.

use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::clock;
use crate::shutdown::CancellationToken;
use crate::supervisor::Health;

/// The service manager, where there is one.
#[derive(Debug, Clone, Default)]
pub struct Manager {
    socket: Option<OsString>,
    watchdog: Option<Duration>,
}

impl Manager {
    /// As the environment says: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`.
    #[must_use]
    pub fn from_env() -> Self {
        Self { socket: std::env::var_os("NOTIFY_SOCKET"), watchdog: sd_notify::watchdog_enabled() }
    }

    /// At a given socket; an `@` in front means the abstract namespace.
    #[must_use]
    pub fn at(socket: impl Into<OsString>, watchdog: Option<Duration>) -> Self {
        Self { socket: Some(socket.into()), watchdog }
    }

    /// Whether somebody listens.
    #[must_use]
    pub const fn present(&self) -> bool {
        self.socket.is_some()
    }

    /// The start is done: the first inventory is in.
    pub fn ready(&self, status: &str) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(&one_line(status))]);
    }

    /// The start goes on and may take so long from now: the service manager shall not give it up.
    pub fn extend_start(&self, by: Duration) {
        let by = u32::try_from(by.as_micros()).unwrap_or(u32::MAX);
        self.tell(&[NotifyState::ExtendTimeoutUsec(by)]);
    }

    /// What goes on, in words, as `systemctl status` shows it.
    pub fn status(&self, words: &str) {
        self.tell(&[NotifyState::Status(&one_line(words))]);
    }

    /// The settings are being read again; say [`Manager::ready`] when done.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(_) => self.tell(&[NotifyState::Reloading]),
        }
    }

    /// The end has begun.
    pub fn stopping(&self, status: &str) {
        self.tell(&[NotifyState::Stopping, NotifyState::Status(&one_line(status))]);
    }

    /// Says WATCHDOG at half of the interval for as long as no loop is stuck, until `stop`. Returns at once when the
    /// service manager does not ask for it. Keep it running during an ordered end: that may take longer than the interval.
    pub async fn watch(self, health: Health, stop: CancellationToken) {
        let Some(interval) = self.watchdog.filter(|_| self.present()) else {
            stop.cancelled().await;
            return;
        };
        let mut beat = tokio::time::interval((interval / 2).max(Duration::from_millis(1)));
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut before: Vec<&'static str> = Vec::new();
        loop {
            tokio::select! {
                _ = beat.tick() => {}
                () = stop.cancelled() => return,
            }
            let stalled = health.stalled(clock::now().monotonic);
            if stalled.is_empty() {
                self.tell(&[NotifyState::Watchdog]);
            }
            if stalled != before {
                if stalled.is_empty() {
                    tracing::info!("all loops make progress again");
                } else {
                    let names = stalled.join(", ");
                    tracing::error!(loops = %names, "no progress; the watchdog will restart the daemon");
                    self.status(&format!("No progress in: {names}; about to be restarted"));
                }
                before = stalled;
            }
        }
    }

    /// A manager that does not listen must not take the daemon down; it shows in the log.
    fn tell(&self, states: &[NotifyState<'_>]) {
        let Some(socket) = &self.socket else { return };
        let text: String = states.iter().map(|state| format!("{state}\n")).collect();
        if let Err(why) = send(socket, text.as_bytes()) {
            tracing::debug!(%why, "the service manager could not be told");
        }
    }
}

/// STATUS ends at the line's end.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// The crate's own sending reads the environment at each call and does not know abstract sockets.
fn send(socket: &OsString, message: &[u8]) -> std::io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    let from = UnixDatagram::unbound()?;
    // A full queue must not stop a loop.
    from.set_nonblocking(true)?;
    from.connect_addr(&address)?;
    from.send(message).map(drop)
}

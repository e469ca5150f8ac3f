//! What can go wrong between Dockbeacon and the engine.
//!
//! Owns the translation of socket errors and status codes into meaning and remedy. Must never let a number of HTTP's out
//! that a caller would have to know.

use std::io::ErrorKind;

/// A call to the engine failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// There is no engine to talk to, or it went away, or no common language was found.
    #[error("the engine cannot be reached: {why}; {remedy}")]
    Unreachable {
        /// What was seen.
        why: String,
        /// What to do.
        remedy: String,
    },
    /// The thing asked for does not exist (any more). The engine's own words.
    #[error("{0}")]
    NotFound(String),
    /// A name is taken, or the thing is in use or in the wrong state. The engine's own words.
    #[error("{0}")]
    Conflict(String),
    /// The engine understood and said no, or failed itself.
    #[error("the engine refused: {msg} (status {status})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The engine's own words.
        msg: String,
    },
    /// An image could not be pulled; nothing has changed.
    #[error("{image} could not be pulled: {msg}")]
    Pull {
        /// What was asked for.
        image: String,
        /// The engine's own words.
        msg: String,
    },
    /// No answer in time. The engine may still be at it: whoever acts on this must look first.
    #[error(
        "the engine did not answer in time while {what}; see `journalctl -u docker`, it may be overloaded or hang"
    )]
    TimedOut {
        /// What was being done.
        what: String,
    },
    /// The answer was not what the API promises.
    #[error("the engine's answer while {what} makes no sense: {why}")]
    Garbled {
        /// What was being done.
        what: String,
        /// What is wrong with it.
        why: String,
    },
}

impl EngineError {
    /// Whether the engine itself is the trouble, so that waiting and connecting again may help.
    #[must_use]
    pub const fn engine_is_away(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } => true,
            Self::NotFound(_)
            | Self::Conflict(_)
            | Self::Refused { .. }
            | Self::Pull { .. }
            | Self::Garbled { .. } => false,
        }
    }

    /// The meaning of a status code outside 2xx and 304.
    pub(super) fn from_status(status: u16, msg: String) -> Self {
        match status {
            404 => Self::NotFound(msg),
            409 => Self::Conflict(msg),
            _ => Self::Refused { status, msg },
        }
    }

    /// The meaning of a failed `connect(2)` on the engine's socket.
    pub(super) fn from_connect(path: &str, error: &std::io::Error) -> Self {
        let (why, remedy) = if error.kind() == ErrorKind::NotFound {
            (
                format!("there is no socket at {path}"),
                "install the engine (`apt install docker.io`) or start it (`systemctl start docker`)",
            )
        } else if error.kind() == ErrorKind::PermissionDenied {
            (
                format!("no permission on {path}"),
                "run dockbeacon as root, or add its user to the socket's group (`usermod -aG docker USER`) and start it again",
            )
        } else if error.kind() == ErrorKind::ConnectionRefused {
            (
                format!("nobody listens at {path}"),
                "the engine is not running or just starting: `systemctl start docker`, then see `journalctl -u docker`",
            )
        } else {
            (format!("{path}: {error}"), "see `systemctl status docker`")
        };
        Self::Unreachable { why, remedy: remedy.to_owned() }
    }

    /// The connection broke in the middle of a call.
    pub(super) fn hung_up(what: &str, error: &dyn std::fmt::Display) -> Self {
        Self::Unreachable {
            why: format!("it hung up while {what} ({error})"),
            remedy: "it may be restarting; see `systemctl status docker`".to_owned(),
        }
    }
}

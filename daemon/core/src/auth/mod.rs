//! Who may do what.
//!
//! Owns roles, which role each route needs, the strength of codes and passwords, which hosts and origins are ours, what
//! may travel over which channel, and the limits on trying. Must never compare or hash a secret: the shell does, in constant time.

pub mod access;
pub mod channel;
pub mod code;
pub mod origin;
pub mod session;
pub mod tries;

use serde::{Deserialize, Serialize};

pub use access::{Access, access};
pub use channel::{Channel, Plain, may_travel};
pub use code::{check_password, code_from, normalise_code};
pub use origin::{Hosts, OriginError, check_origin};
pub use session::{SESSION_ABSOLUTE, SESSION_IDLE, session_over};
pub use tries::Tries;

/// What a session or token may do; each includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look.
    Read,
    /// Check, approve, update, roll back, pause.
    Operate,
    /// All of it: tokens, settings, the virtual button.
    Admin,
}

impl Role {
    /// The word used in the API.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

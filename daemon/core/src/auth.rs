//! Who may do what.
//!
//! Owns roles, the strength of codes and passwords, and the limits on trying. Must never compare or hash a secret: the
//! shell does, in constant time.

use serde::{Deserialize, Serialize};

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

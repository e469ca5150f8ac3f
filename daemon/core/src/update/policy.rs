//! placeholder until merged
use std::time::Duration;
use crate::reason::Reason;
use crate::settings::Mode;
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Policy { pub mode: Mode, pub origin: String, pub excluded: Option<Reason>, pub no_pull: Option<String>, pub stop_signal: Option<String>, pub stop_timeout: Option<Duration>, pub rollback: bool, pub settle: Duration, pub warnings: Vec<String> }

//! What a card becomes at its first boot.
//!
//! Owns every decision of `dockbeacon firstboot`: what the files on the boot partition ask for and whether that is valid, what is
//! written where, which step is due, how far the root partition may grow, which time cannot be true. Must never touch the
//! card: what was found on it is an argument.

pub mod acts;
pub mod apps;
mod check;
pub mod claim;
mod cloudinit;
pub mod customisation;
pub mod growth;
pub mod name;
mod native;
mod preseed;
mod reader;
pub mod redact;
pub mod report;
pub mod reset;
pub mod source;
pub mod steps;
pub mod time;

#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something about a file that its owner should know, with the place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct Problem {
    /// The file's name on the boot partition.
    pub file: String,
    /// The line, from 1; 0 where it is about the whole file.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}; {}", self.what, self.remedy)
    }
}

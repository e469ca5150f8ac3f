//! What the kernel says of a process.
//!
//! Owns reading `/proc`. Must never be asked about anything but our own children.

use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// Memory in megabytes (10^6 bytes).
pub struct Memory {
    /// Resident, shared pages counted whole.
    pub resident: f64,
    /// Resident, shared pages counted by their share.
    pub proportional: f64,
}

/// What it holds now.
pub fn memory(pid: u32) -> Result<Memory> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let field = |name: &str| -> Result<f64> {
        let line = text.lines().find(|l| l.starts_with(name)).with_context(|| format!("no {name}"))?;
        let kilobytes: f64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
        Ok(kilobytes * 1024.0 / 1e6)
    };
    Ok(Memory { resident: field("Rss:")?, proportional: field("Pss:")? })
}

/// User and system time of all its threads so far, those that ended included.
pub fn cpu(pid: u32) -> Result<Duration> {
    let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(pid)?))?;
    Ok(Duration::from(clock_gettime(clock)?))
}

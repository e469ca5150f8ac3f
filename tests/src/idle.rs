//! What a device costs while nothing happens: memory, and bytes written to its card.
//!
//! Owns how both are measured on a running device; tests judge, the bench prints. Must never change what it measures.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::qemu::Vm;

/// One command of the measuring.
const SOON: Duration = Duration::from_secs(300);
/// Seconds of a day.
const DAY: u64 = 86_400;

/// Memory in KiB.
#[derive(Debug)]
pub struct Memory {
    /// What the kernel has to give.
    pub total: u64,
    /// `MemTotal` less `MemAvailable`.
    pub used: u64,
    /// The daemon's resident memory.
    pub daemon: u64,
    /// The largest programs, a line each.
    pub largest: String,
}

/// What is in use now.
///
/// # Errors
/// The device does not answer.
pub fn memory(vm: &mut Vm) -> Result<Memory> {
    let text = vm.run("cat /proc/meminfo", SOON)?;
    let kib = |name: &str| -> Result<u64> {
        let line = text.lines().find(|l| l.starts_with(name)).with_context(|| format!("no {name}"))?;
        Ok(line.split_whitespace().nth(1).context("no number")?.parse()?)
    };
    let daemon =
        vm.run("awk '/^VmRSS/ { print $2 }' /proc/$(systemctl show -P MainPID dockbeacon)/status", SOON)?;
    let total = kib("MemTotal:")?;
    Ok(Memory {
        total,
        used: total - kib("MemAvailable:")?,
        daemon: daemon.trim().parse().context("the daemon's memory")?,
        largest: vm.run("ps -eo rss,comm --sort=-rss | head -n 8", SOON)?,
    })
}

/// Bytes written to the card in a simulated day.
#[derive(Debug)]
pub struct Written {
    /// What came by itself while nothing happened, for the whole day.
    pub idle: u64,
    /// Each timer, how often a day has it, and what it wrote in one run.
    pub timers: Vec<(String, u64, u64)>,
}

impl Written {
    /// All of the day.
    #[must_use]
    pub fn day(&self) -> u64 {
        self.idle + self.timers.iter().map(|(_, times, bytes)| times * bytes).sum::<u64>()
    }
}

/// Watches an idle device for so long and takes that for the day; then runs what each timer starts.
///
/// # Errors
/// The device does not answer, or a timer's unit fails.
pub fn written(vm: &mut Vm, watch: Duration) -> Result<Written> {
    let before = sectors(vm)?;
    let seconds = watch.as_secs().max(1);
    vm.run(&format!("sleep {seconds}"), watch + SOON)?;
    let idle = (sectors(vm)? - before) * DAY / seconds;
    let listed = vm.run("systemctl list-timers --all --no-legend --plain | grep -o '[^ ]*[.]timer'", SOON)?;
    let mut timers = Vec::new();
    for timer in listed.lines().map(str::trim) {
        let unit = vm.run(&format!("systemctl show -P Unit {timer}"), SOON)?;
        let before = sectors(vm)?;
        vm.run(&format!("systemctl start {unit}"), 3 * SOON)?;
        timers.push((timer.to_owned(), times(timer), sectors(vm)? - before));
    }
    Ok(Written { idle, timers })
}

/// How often a day has it: those of Debian and ours; one that is rarer than daily counts as daily.
fn times(timer: &str) -> u64 {
    match timer {
        "dockbeacon-clock.timer" => 24,
        "apt-daily.timer" => 2,
        _ => 1,
    }
}

/// Bytes written to the disk that holds the root since the start.
fn sectors(vm: &mut Vm) -> Result<u64> {
    let ask = "sync; disk=$(lsblk -no PKNAME $(findmnt -no SOURCE /)); awk -v d=$disk '$3 == d { print $10 * 512 }' /proc/diskstats";
    let text = vm.run(ask, SOON)?;
    text.lines().next_back().unwrap_or_default().trim().parse().with_context(|| format!("sectors: {text}"))
}

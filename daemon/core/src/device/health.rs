//! What the kernel's files say of power, heat, card and memory.
//!
//! Owns the reading of those files and the verdicts. Must never call something good that could not be seen: it is unknown.

use serde::{Deserialize, Serialize};

/// How far below the limit it must cool before it no longer counts as too hot, in degrees.
const COOLER_BY: f64 = 5.0;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// The supply's voltage.
    Power,
    /// Whether the processor is slowed down.
    Throttling,
    /// The processor's temperature.
    Temperature,
    /// Free space where the engine and we keep data.
    Space,
    /// Whether the card can be written and is without errors.
    Card,
    /// How worn the card is.
    Wear,
    /// Whether the memory of containers can be limited.
    Memory,
}

impl Measure {
    /// All of them, as they are shown.
    pub const ALL: [Self; 7] =
        [Self::Power, Self::Throttling, Self::Temperature, Self::Space, Self::Card, Self::Wear, Self::Memory];

    /// Stable, for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Power => "power",
            Self::Throttling => "throttling",
            Self::Temperature => "temperature",
            Self::Space => "space",
            Self::Card => "card",
            Self::Wear => "wear",
            Self::Memory => "memory",
        }
    }
}

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Worth knowing, and nothing is wrong now.
    Note,
    /// Wrong now.
    Bad,
    /// The kernel does not say.
    Unknown,
}

impl Verdict {
    /// Stable, for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Bad => "bad",
            Self::Unknown => "unknown",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What.
    pub measure: Measure,
    /// How it is.
    pub verdict: Verdict,
    /// The number, with its unit; empty where there is none.
    pub value: String,
    /// A sentence, with what to do where something is to be done.
    pub text: String,
}

/// Space on one file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// What lies there, `/var/lib/docker`.
    pub path: String,
    /// Bytes that may still be written.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
    /// The file system answers every writing with an error.
    pub refuses_writing: bool,
}

/// The kernel's files as they were read; `None` where one is not there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// `in0_lcrit_alarm` of the hwmon device `rpi_volt`.
    pub under_voltage: Option<String>,
    /// The firmware's `get_throttled`, hexadecimal.
    pub throttled: Option<String>,
    /// `temp` of the first thermal zone, in thousandths of a degree.
    pub temperature: Option<String>,
    /// Where data is kept.
    pub disks: Vec<Disk>,
    /// `/proc/self/mountinfo`.
    pub mounts: Option<String>,
    /// `errors_count` of the root's ext4.
    pub card_errors: Option<String>,
    /// `pre_eol_info` of the card.
    pub end_of_life: Option<String>,
    /// `life_time` of the card.
    pub life_time: Option<String>,
    /// `/sys/fs/cgroup/cgroup.controllers`.
    pub controllers: Option<String>,
}

/// From where on something counts as bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes.
    pub min_free: u64,
    /// Degrees Celsius.
    pub max_temperature: u32,
}

fn finding(measure: Measure, verdict: Verdict, value: impl Into<String>, text: impl Into<String>) -> Finding {
    Finding { measure, verdict, value: value.into(), text: text.into() }
}

fn unknown(measure: Measure, text: &str) -> Finding {
    finding(measure, Verdict::Unknown, "", text)
}

/// Looks at everything. `before` are the findings of the last time: what is nearly too hot stays too hot.
#[must_use]
pub fn examine(seen: &Observed, limits: &Limits, before: &[Finding]) -> Vec<Finding> {
    let bits = seen.throttled.as_deref().and_then(hexadecimal);
    vec![
        power(seen.under_voltage.as_deref(), bits),
        throttling(bits),
        temperature(seen.temperature.as_deref(), limits, before),
        space(&seen.disks, limits),
        card(seen),
        wear(seen),
        memory(seen.controllers.as_deref()),
    ]
}

/// What the panel calls a fault.
#[must_use]
pub fn is_fault(findings: &[Finding]) -> bool {
    bad(findings, &[Measure::Space, Measure::Card])
}

/// What the panel calls power or heat.
#[must_use]
pub fn is_power(findings: &[Finding]) -> bool {
    bad(findings, &[Measure::Power, Measure::Throttling, Measure::Temperature])
}

fn bad(findings: &[Finding], which: &[Measure]) -> bool {
    findings.iter().any(|f| f.verdict == Verdict::Bad && which.contains(&f.measure))
}

fn hexadecimal(text: &str) -> Option<u32> {
    let text = text.trim();
    u32::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
}

fn power(alarm: Option<&str>, bits: Option<u32>) -> Finding {
    let alarm = alarm.map(str::trim);
    if alarm == Some("1") || bits.is_some_and(|bits| bits & 1 != 0) {
        let text =
            "the supply's voltage is too low; use the board's own power supply and a short, thick cable";
        return finding(Measure::Power, Verdict::Bad, "low", text);
    }
    if bits.is_some_and(|bits| bits & 1 << 16 != 0) {
        let text = "the voltage was too low since the start, and is not now; a better power supply helps";
        return finding(Measure::Power, Verdict::Note, "was low", text);
    }
    if alarm == Some("0") || bits.is_some() {
        return finding(Measure::Power, Verdict::Good, "good", "the supply's voltage is as it should be");
    }
    unknown(Measure::Power, "this kernel has no sensor for the supply's voltage")
}

fn throttling(bits: Option<u32>) -> Finding {
    const NOW: u32 = 0b1110;
    let Some(bits) = bits else {
        return unknown(Measure::Throttling, "this kernel does not say whether the processor is slowed down");
    };
    let of = |bits: u32| {
        let names = [(1, "capped"), (2, "throttled"), (3, "at its soft temperature limit")];
        let names: Vec<&str> =
            names.iter().filter(|(bit, _)| bits & 1 << bit != 0).map(|(_, name)| *name).collect();
        names.join(", ")
    };
    if bits & NOW != 0 {
        let why = of(bits);
        let text =
            format!("the processor is {why}: too hot or too little power; cool it and check the supply");
        return finding(Measure::Throttling, Verdict::Bad, why, text);
    }
    if bits >> 16 & NOW != 0 {
        let why = of(bits >> 16);
        let text = format!("the processor was {why} since the start, and is not now");
        return finding(Measure::Throttling, Verdict::Note, format!("was {why}"), text);
    }
    finding(Measure::Throttling, Verdict::Good, "no", "the processor runs at full speed")
}

fn temperature(text: Option<&str>, limits: &Limits, before: &[Finding]) -> Finding {
    let Some(thousandths) = text.and_then(|text| text.trim().parse::<i32>().ok()) else {
        return unknown(Measure::Temperature, "this kernel has no temperature sensor");
    };
    let degrees = f64::from(thousandths) / 1000.0;
    let was = before.iter().any(|f| f.measure == Measure::Temperature && f.verdict == Verdict::Bad);
    let limit = f64::from(limits.max_temperature) - if was { COOLER_BY } else { 0.0 };
    let value = format!("{degrees:.0} °C");
    if degrees >= limit {
        let text = format!("{value}: too hot; give it air, a heat sink or a fan");
        return finding(Measure::Temperature, Verdict::Bad, value, text);
    }
    finding(Measure::Temperature, Verdict::Good, value, "the processor is cool enough")
}

/// Bytes as people say them.
fn size(bytes: u64) -> String {
    let megabytes = bytes / 1_000_000;
    if megabytes >= 10_000 {
        format!("{} GB", megabytes / 1000)
    } else if megabytes >= 1000 {
        format!("{}.{} GB", megabytes / 1000, megabytes % 1000 / 100)
    } else {
        format!("{megabytes} MB")
    }
}

fn space(disks: &[Disk], limits: &Limits) -> Finding {
    let Some(least) = disks.iter().min_by_key(|disk| disk.free) else {
        return unknown(Measure::Space, "the free space cannot be read");
    };
    let value = format!("{} of {} free", size(least.free), size(least.total));
    // On a card that is smaller than the limit, a twentieth of it is the limit.
    if least.free < limits.min_free.min(least.total / 20) {
        let text = format!(
            "{value} at {}; `docker system df` shows what takes it, `docker image prune` deletes unused images",
            least.path
        );
        return finding(Measure::Space, Verdict::Bad, value, text);
    }
    finding(Measure::Space, Verdict::Good, value, "there is enough free space")
}

/// One line of `mountinfo`: where it is mounted, and whether the file system itself is read-only. Its own options are
/// behind the dash; those before it are of this mount alone, and a sandbox makes them read-only on purpose.
fn mount(line: &str) -> Option<(&str, bool)> {
    let (ours, system) = line.split_once(" - ")?;
    let point = ours.split(' ').nth(4)?;
    let options = system.split(' ').nth(2)?;
    // After an error the kernel may refuse to write without calling it `ro` (6.12), or has a word of its own for it (6.15).
    Some((point, options.split(',').any(|option| matches!(option, "ro" | "emergency_ro"))))
}

fn card(seen: &Observed) -> Finding {
    let Some(mounts) = &seen.mounts else {
        return unknown(Measure::Card, "whether the card can be written cannot be read");
    };
    let of = |path: &str| {
        mounts
            .lines()
            .filter_map(mount)
            .filter(|(point, _)| {
                *point == "/"
                    || path == *point
                    || path.strip_prefix(point).is_some_and(|rest| rest.starts_with('/'))
            })
            // Of several at the same place the last one is seen.
            .fold(None, |best: Option<(&str, bool)>, next| match best {
                Some(best) if best.0.len() > next.0.len() => Some(best),
                Some(_) | None => Some(next),
            })
    };
    let is_read_only =
        |disk: &&Disk| disk.refuses_writing || of(&disk.path).is_some_and(|(_, read_only)| read_only);
    let read_only = seen.disks.iter().find(is_read_only);
    if let Some(disk) = read_only {
        let text = format!(
            "the file system with {} became read-only: the card has errors or is worn out; back up what matters and replace it",
            disk.path
        );
        return finding(Measure::Card, Verdict::Bad, "read-only", text);
    }
    match seen.card_errors.as_deref().map(|text| text.trim().parse::<u64>()) {
        Some(Ok(0)) | None => {}
        Some(Ok(errors)) => {
            let text = format!(
                "the file system has counted {errors} errors; back up what matters, and check it with e2fsck at the next chance"
            );
            return finding(Measure::Card, Verdict::Note, format!("{errors} errors"), text);
        }
        Some(Err(_)) => {}
    }
    finding(Measure::Card, Verdict::Good, "writable", "the card can be written")
}

fn wear(seen: &Observed) -> Finding {
    let step = |text: &str| text.split_whitespace().filter_map(hexadecimal).max();
    if let Some(end) = seen.end_of_life.as_deref().and_then(step) {
        match end {
            2 => {
                return finding(
                    Measure::Wear,
                    Verdict::Note,
                    "80 % of its reserve is used",
                    "the card wears out; plan to replace it",
                );
            }
            3 => {
                let text = "nearly all of the card's reserve is used; back up what matters and replace it";
                return finding(Measure::Wear, Verdict::Note, "90 % of its reserve is used", text);
            }
            _ => {}
        }
    }
    match seen.life_time.as_deref().and_then(step) {
        Some(tenths @ 1..=10) => {
            let value = format!("up to {} % of its life is used", tenths * 10);
            let verdict = if tenths >= 9 { Verdict::Note } else { Verdict::Good };
            finding(Measure::Wear, verdict, value, "as the card itself estimates")
        }
        Some(11) => finding(
            Measure::Wear,
            Verdict::Note,
            "past its life",
            "the card is past its estimated life; replace it",
        ),
        Some(_) | None => {
            unknown(Measure::Wear, "this card does not say how worn it is; most SD cards do not")
        }
    }
}

fn memory(controllers: Option<&str>) -> Finding {
    let Some(controllers) = controllers else {
        return unknown(Measure::Memory, "whether the memory of containers can be limited cannot be read");
    };
    if controllers.split_whitespace().any(|name| name == "memory") {
        return finding(
            Measure::Memory,
            Verdict::Good,
            "can be limited",
            "the memory of containers can be limited",
        );
    }
    let text = "the memory of containers cannot be limited or seen: add cgroup_enable=memory to cmdline.txt on the boot partition and restart";
    finding(Measure::Memory, Verdict::Note, "cannot be limited", text)
}

#[cfg(test)]
mod tests;

//! What is wrong with this machine, as far as Dockbeacon cares, and what to do about it.
//!
//! Owns the verdict on every finding and its words. Must never look itself: what was seen is an argument.

use serde::Serialize;

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It cannot be told, or does not matter here.
    Unknown,
    /// It works, and something should be done.
    Warning,
    /// Something does not work.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What: `engine`, `disk` …
    pub topic: &'static str,
    /// How it stands.
    pub verdict: Verdict,
    /// What was seen.
    pub what: String,
    /// What to do; empty where nothing is to be done.
    pub remedy: String,
}

/// How full a file system is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    /// What lies there, `the state folder`.
    pub of: &'static str,
    /// Where.
    pub path: String,
    /// Free bytes.
    pub free: u64,
    /// All bytes.
    pub total: u64,
}

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The state folder's path, and why it cannot be used, if so.
    pub state: (String, Option<String>),
    /// Civil time is believed, and what it is.
    pub time: (bool, String),
    /// File systems.
    pub space: Vec<Space>,
    /// The engine's version, or what is wrong with it.
    pub engine: Option<Result<String, String>>,
    /// There is a way out.
    pub network: bool,
    /// Registries by name: `None` where it answered, else what is wrong. `None` around it: not asked.
    pub registries: Option<Vec<(String, Option<String>)>>,
    /// The kernel's controllers, `/sys/fs/cgroup/cgroup.controllers`.
    pub controllers: Option<String>,
    /// The options of the root file system's mount.
    pub root_options: Option<String>,
    /// Which board this is; `None` where it is no Raspberry Pi.
    pub board: Option<String>,
    /// GPIO chips, and why the first cannot be opened, if so.
    pub gpio: Vec<(String, Option<String>)>,
}

/// Less free space is too little for the next image.
const SCARCE: u64 = 1024 * 1024 * 1024;
/// Less and the journal cannot be written for long.
const NONE: u64 = 100 * 1024 * 1024;

/// Everything there is to say, in a fixed order.
#[must_use]
pub fn examine(seen: &Seen) -> Vec<Finding> {
    let mut findings = vec![permissions(seen), time(seen)];
    findings.extend(seen.space.iter().map(disk));
    findings.push(engine(seen));
    findings.push(network(seen));
    registries(seen, &mut findings);
    findings.push(memory(seen));
    findings.push(root(seen));
    findings.push(gpio(seen));
    findings
}

fn finding(
    topic: &'static str,
    verdict: Verdict,
    what: impl Into<String>,
    remedy: impl Into<String>,
) -> Finding {
    Finding { topic, verdict, what: what.into(), remedy: remedy.into() }
}

fn permissions(seen: &Seen) -> Finding {
    let (path, why) = &seen.state;
    match why {
        None => finding("permissions", Verdict::Good, format!("the state folder {path} can be written"), ""),
        Some(why) => finding(
            "permissions",
            Verdict::Bad,
            format!("the state folder {path} cannot be used: {why}"),
            "run this as root or as the user dockbeacon, or name another folder with --state-dir",
        ),
    }
}

fn time(seen: &Seen) -> Finding {
    let (trusted, now) = &seen.time;
    if *trusted {
        return finding("time", Verdict::Good, format!("it is {now}"), "");
    }
    finding(
        "time",
        Verdict::Bad,
        format!(
            "nobody has confirmed that it is {now}; until then nothing is pulled or updated on a schedule"
        ),
        "see `timedatectl timesync-status`; the time server must be reachable over UDP port 123, or set another with NTP= in \
         /etc/systemd/timesyncd.conf",
    )
}

fn disk(space: &Space) -> Finding {
    let Space { of, path, free, total } = space;
    let what = format!("{} of {} free for {of} ({path})", size(*free), size(*total));
    let verdict = match *free {
        free if free < NONE => Verdict::Bad,
        free if free < SCARCE.min(total / 10) => Verdict::Warning,
        _ => Verdict::Good,
    };
    let remedy = if verdict == Verdict::Good {
        ""
    } else {
        "see `docker system df`; `docker image prune -a` frees unused images"
    };
    finding("disk", verdict, what, remedy)
}

/// With a decimal point, in steps of 1024.
fn size(bytes: u64) -> String {
    const MIB: u64 = 1024 * 1024;
    if bytes < 1024 * MIB {
        format!("{} MiB", bytes / MIB)
    } else {
        let tenths = bytes * 10 / (1024 * MIB);
        format!("{}.{} GiB", tenths / 10, tenths % 10)
    }
}

fn engine(seen: &Seen) -> Finding {
    match &seen.engine {
        Some(Ok(version)) => finding("engine", Verdict::Good, format!("version {version} answers"), ""),
        Some(Err(why)) => {
            let (what, remedy) = why.split_once("; ").unwrap_or((why, "see `systemctl status docker`"));
            finding("engine", Verdict::Bad, what, remedy)
        }
        None => finding("engine", Verdict::Unknown, "not asked", ""),
    }
}

fn network(seen: &Seen) -> Finding {
    if seen.network {
        finding("network", Verdict::Good, "there is a way out", "")
    } else {
        finding(
            "network",
            Verdict::Bad,
            "there is no default route",
            "plug in a cable, or see `nmcli device` and `nmcli device wifi list`",
        )
    }
}

fn registries(seen: &Seen, findings: &mut Vec<Finding>) {
    let Some(registries) = &seen.registries else {
        let why = "not asked: that needs network and time";
        findings.push(finding("registry", Verdict::Unknown, why, ""));
        return;
    };
    for (name, why) in registries {
        findings.push(match why {
            None => finding("registry", Verdict::Good, format!("{name} answers"), ""),
            Some(why) => {
                let (what, remedy) = why.split_once("; ").unwrap_or((why, ""));
                finding("registry", Verdict::Bad, what, remedy)
            }
        });
    }
}

fn memory(seen: &Seen) -> Finding {
    const TOPIC: &str = "memory";
    match &seen.controllers {
        Some(all) if all.split_whitespace().any(|one| one == "memory") => {
            finding(TOPIC, Verdict::Good, "the memory of containers can be limited and measured", "")
        }
        Some(_) if seen.board.is_some() => finding(
            TOPIC,
            Verdict::Warning,
            "the kernel's memory controller is off: limits of containers have no effect",
            "add cgroup_enable=memory to the one line of /boot/firmware/cmdline.txt and restart",
        ),
        Some(_) => finding(
            TOPIC,
            Verdict::Warning,
            "the kernel's memory controller is off: limits of containers have no effect",
            "start the kernel without cgroup_disable=memory",
        ),
        None => finding(
            TOPIC,
            Verdict::Unknown,
            "the kernel tells no controllers (cgroups of the first version?)",
            "",
        ),
    }
}

fn root(seen: &Seen) -> Finding {
    const TOPIC: &str = "root";
    match &seen.root_options {
        Some(options) if options.split(',').any(|option| matches!(option, "ro" | "emergency_ro")) => finding(
            TOPIC,
            Verdict::Bad,
            "the root file system is read-only: the kernel found an error on the card, or somebody mounted it so",
            "see `dmesg | grep -i ext4`; back up what matters, and replace the card if errors come back",
        ),
        Some(_) => finding(TOPIC, Verdict::Good, "the root file system can be written", ""),
        None => finding(TOPIC, Verdict::Unknown, "the mounts cannot be read", ""),
    }
}

fn gpio(seen: &Seen) -> Finding {
    const TOPIC: &str = "gpio";
    let Some(board) = &seen.board else {
        return finding(
            TOPIC,
            Verdict::Unknown,
            "this is no Raspberry Pi: lamps and button are on the page, or where panel.* names their lines",
            "",
        );
    };
    let header = seen.gpio.iter().find(|(label, _)| label.starts_with("pinctrl-")).or(seen.gpio.first());
    match header {
        None => finding(
            TOPIC,
            Verdict::Warning,
            format!("{board}: the kernel offers no GPIO lines"),
            "lamps and button on the header need them; see `ls /dev/gpiochip*`",
        ),
        Some((label, None)) => {
            finding(TOPIC, Verdict::Good, format!("{board}: lines of {label} can be used"), "")
        }
        Some((label, Some(why))) => finding(
            TOPIC,
            Verdict::Warning,
            format!("{board}: {label} cannot be opened: {why}"),
            "the user of the daemon must be in the group gpio: `usermod -aG gpio dockbeacon`, then restart it",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn well() -> Seen {
        let gib = 1024 * 1024 * 1024;
        Seen {
            state: ("/var/lib/dockbeacon".to_owned(), None),
            time: (true, "2026-11-21 12:00:00 UTC".to_owned()),
            space: vec![Space {
                of: "the state folder",
                path: "/var/lib/dockbeacon".to_owned(),
                free: 20 * gib,
                total: 29 * gib,
            }],
            engine: Some(Ok("26.1.5".to_owned())),
            network: true,
            registries: Some(vec![("docker.io".to_owned(), None)]),
            controllers: Some("cpuset cpu io memory pids\n".to_owned()),
            root_options: Some("rw,noatime".to_owned()),
            board: Some("Raspberry Pi 3 Model B".to_owned()),
            gpio: vec![("raspberrypi-exp-gpio".to_owned(), None), ("pinctrl-bcm2835".to_owned(), None)],
        }
    }

    fn shown(seen: &Seen) -> String {
        examine(seen).iter().fold(String::new(), |text, f| {
            format!(
                "{text}{:?} {}: {}{}{}\n",
                f.verdict,
                f.topic,
                f.what,
                if f.remedy.is_empty() { "" } else { " -> " },
                f.remedy
            )
        })
    }

    #[test]
    fn s4_a_device_that_is_well_and_one_on_which_nothing_is() {
        let ill = Seen {
            state: ("/var/lib/dockbeacon".to_owned(), Some("permission denied".to_owned())),
            time: (false, "2024-01-01 00:00:00 UTC".to_owned()),
            space: vec![
                Space {
                    of: "the state folder",
                    path: "/var/lib/dockbeacon".to_owned(),
                    free: 5_000_000,
                    total: 16_000_000_000,
                },
                Space {
                    of: "the engine's images",
                    path: "/var/lib/docker".to_owned(),
                    free: 900_000_000,
                    total: 16_000_000_000,
                },
            ],
            engine: Some(Err(
                "the engine is out of reach: there is no socket at /run/docker.sock; start it".to_owned()
            )),
            network: false,
            registries: Some(vec![(
                "ghcr.io".to_owned(),
                Some("ghcr.io does not answer: timed out; check the network".to_owned()),
            )]),
            controllers: Some("cpuset cpu io pids".to_owned()),
            root_options: Some("ro,noatime".to_owned()),
            gpio: vec![("pinctrl-bcm2835".to_owned(), Some("permission denied".to_owned()))],
            ..well()
        };
        let pc = Seen {
            board: None,
            gpio: Vec::new(),
            registries: None,
            controllers: None,
            root_options: None,
            engine: None,
            ..well()
        };
        let table: [(Seen, Expect); 3] = [
            (
                well(),
                expect![[r#"
            Good permissions: the state folder /var/lib/dockbeacon can be written
            Good time: it is 2026-11-21 12:00:00 UTC
            Good disk: 20.0 GiB of 29.0 GiB free for the state folder (/var/lib/dockbeacon)
            Good engine: version 26.1.5 answers
            Good network: there is a way out
            Good registry: docker.io answers
            Good memory: the memory of containers can be limited and measured
            Good root: the root file system can be written
            Good gpio: Raspberry Pi 3 Model B: lines of pinctrl-bcm2835 can be used
        "#]],
            ),
            (
                ill,
                expect![[r#"
            Bad permissions: the state folder /var/lib/dockbeacon cannot be used: permission denied -> run this as root or as the user dockbeacon, or name another folder with --state-dir
            Bad time: nobody has confirmed that it is 2024-01-01 00:00:00 UTC; until then nothing is pulled or updated on a schedule -> see `timedatectl timesync-status`; the time server must be reachable over UDP port 123, or set another with NTP= in /etc/systemd/timesyncd.conf
            Bad disk: 4 MiB of 14.9 GiB free for the state folder (/var/lib/dockbeacon) -> see `docker system df`; `docker image prune -a` frees unused images
            Warning disk: 858 MiB of 14.9 GiB free for the engine's images (/var/lib/docker) -> see `docker system df`; `docker image prune -a` frees unused images
            Bad engine: the engine is out of reach: there is no socket at /run/docker.sock -> start it
            Bad network: there is no default route -> plug in a cable, or see `nmcli device` and `nmcli device wifi list`
            Bad registry: ghcr.io does not answer: timed out -> check the network
            Warning memory: the kernel's memory controller is off: limits of containers have no effect -> add cgroup_enable=memory to the one line of /boot/firmware/cmdline.txt and restart
            Bad root: the root file system is read-only: the kernel found an error on the card, or somebody mounted it so -> see `dmesg | grep -i ext4`; back up what matters, and replace the card if errors come back
            Warning gpio: Raspberry Pi 3 Model B: pinctrl-bcm2835 cannot be opened: permission denied -> the user of the daemon must be in the group gpio: `usermod -aG gpio dockbeacon`, then restart it
        "#]],
            ),
            (
                pc,
                expect![[r#"
            Good permissions: the state folder /var/lib/dockbeacon can be written
            Good time: it is 2026-11-21 12:00:00 UTC
            Good disk: 20.0 GiB of 29.0 GiB free for the state folder (/var/lib/dockbeacon)
            Unknown engine: not asked
            Good network: there is a way out
            Unknown registry: not asked: that needs network and time
            Unknown memory: the kernel tells no controllers (cgroups of the first version?)
            Unknown root: the mounts cannot be read
            Unknown gpio: this is no Raspberry Pi: lamps and button are on the page, or where panel.* names their lines
        "#]],
            ),
        ];
        for (seen, golden) in table {
            golden.assert_eq(&shown(&seen));
        }
    }

    #[test]
    fn whatever_is_not_good_says_what_to_do() {
        let nothing = Seen::default();
        for finding in examine(&nothing) {
            assert!(finding.verdict <= Verdict::Unknown || !finding.remedy.is_empty(), "{finding:?}");
        }
    }
}

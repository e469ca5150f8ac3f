//! The verdicts on the kernel's files as boards have them.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

const LIMITS: Limits = Limits { min_free: 512_000_000, max_temperature: 80 };

/// `/proc/self/mountinfo` inside the unit's sandbox: every mount is read-only, the file systems are not.
const MOUNTS: &str = "\
320 319 179:2 / / ro,noatime shared:1 - ext4 /dev/mmcblk0p2 rw,errors=remount-ro
321 320 179:1 / /boot/firmware ro,relatime shared:2 - vfat /dev/mmcblk0p1 rw,umask=0077
322 320 179:2 /var/lib/dockbeacon /var/lib/dockbeacon rw,noatime - ext4 /dev/mmcblk0p2 rw,errors=remount-ro
323 320 0:21 / /sys ro,nosuid - sysfs sysfs rw
";

fn disk(path: &str, free: u64) -> Disk {
    Disk { path: path.to_owned(), free, total: 14_000_000_000, refuses_writing: false }
}

/// A Pi 4 with Raspberry Pi OS on which all is well.
fn pi() -> Observed {
    let text = |text: &str| Some(text.to_owned());
    Observed {
        under_voltage: text("0\n"),
        throttled: text("0\n"),
        temperature: text("48312\n"),
        disks: vec![disk("/var/lib/docker", 9_200_000_000), disk("/var/lib/dockbeacon", 9_200_000_000)],
        mounts: text(MOUNTS),
        card_errors: text("0\n"),
        end_of_life: None,
        life_time: None,
        controllers: text("cpuset cpu io memory pids\n"),
    }
}

fn of(seen: &Observed, measure: Measure) -> (Verdict, String) {
    let found = examine(seen, &LIMITS, &[]).into_iter().find(|f| f.measure == measure).unwrap();
    (found.verdict, found.value)
}

#[test]
fn every_measure_has_a_finding_and_a_sentence() {
    for seen in [pi(), Observed::default()] {
        let findings = examine(&seen, &LIMITS, &[]);
        assert_eq!(findings.iter().map(|f| f.measure).collect::<Vec<_>>(), Measure::ALL);
        assert!(findings.iter().all(|f| f.text.len() > 20));
        assert!(!is_fault(&findings) && !is_power(&findings));
    }
    assert!(examine(&Observed::default(), &LIMITS, &[]).iter().all(|f| f.verdict == Verdict::Unknown));
}

#[test]
fn a_board_on_which_all_is_well() {
    let table = [
        (Measure::Power, Verdict::Good, "good"),
        (Measure::Throttling, Verdict::Good, "no"),
        (Measure::Temperature, Verdict::Good, "48 °C"),
        (Measure::Space, Verdict::Good, "9.2 GB of 14 GB free"),
        (Measure::Card, Verdict::Good, "writable"),
        (Measure::Wear, Verdict::Unknown, ""),
        (Measure::Memory, Verdict::Good, "can be limited"),
    ];
    for (measure, verdict, value) in table {
        assert_eq!(of(&pi(), measure), (verdict, value.to_owned()), "{measure:?}");
    }
}

/// Debian's kernel has neither the hwmon driver of the firmware nor its `get_throttled`.
#[test]
fn what_a_kernel_has_no_sensor_for_is_unknown() {
    let seen = Observed { under_voltage: None, throttled: None, ..pi() };
    assert_eq!(of(&seen, Measure::Power).0, Verdict::Unknown);
    assert_eq!(of(&seen, Measure::Throttling).0, Verdict::Unknown);
    let garbled = Observed { temperature: Some("n/a".to_owned()), throttled: Some("?".to_owned()), ..pi() };
    assert_eq!(of(&garbled, Measure::Temperature).0, Verdict::Unknown);
    assert_eq!(of(&garbled, Measure::Throttling).0, Verdict::Unknown);
}

#[test]
fn p8_power_and_heat_now_and_since_the_start() {
    let table = [
        ("0x0", Some("1"), Verdict::Bad, Verdict::Good),
        ("50005", Some("0"), Verdict::Bad, Verdict::Bad),
        ("0x50000", Some("0"), Verdict::Note, Verdict::Note),
        ("0x10000", None, Verdict::Note, Verdict::Good),
        ("0x80008", Some("0"), Verdict::Good, Verdict::Bad),
        ("e0002", Some("0"), Verdict::Good, Verdict::Bad),
        ("0", None, Verdict::Good, Verdict::Good),
    ];
    for (bits, alarm, power, throttled) in table {
        let seen =
            Observed { throttled: Some(bits.to_owned()), under_voltage: alarm.map(str::to_owned), ..pi() };
        assert_eq!(of(&seen, Measure::Power).0, power, "{bits} {alarm:?}");
        assert_eq!(of(&seen, Measure::Throttling).0, throttled, "{bits}");
        let findings = examine(&seen, &LIMITS, &[]);
        assert_eq!(is_power(&findings), power == Verdict::Bad || throttled == Verdict::Bad, "{bits}");
        assert!(!is_fault(&findings));
    }
}

#[test]
fn too_hot_stays_so_until_it_is_some_degrees_cooler() {
    let at = |text: &str, before: &[Finding]| {
        examine(&Observed { temperature: Some(text.to_owned()), ..pi() }, &LIMITS, before)
    };
    assert!(!is_power(&at("79900", &[])));
    let hot = at("80100\n", &[]);
    assert!(is_power(&hot));
    assert!(is_power(&at("75100", &hot)));
    assert!(!is_power(&at("74900", &hot)));
    assert!(!is_power(&at("-5000", &[])));
}

#[test]
fn p8_a_full_or_read_only_card_is_a_fault() {
    let full = Observed { disks: vec![disk("/var/lib/docker", 400_000_000)], ..pi() };
    assert_eq!(of(&full, Measure::Space), (Verdict::Bad, "400 MB of 14 GB free".to_owned()));
    assert!(is_fault(&examine(&full, &LIMITS, &[])));
    // A small file system is not full because it is small.
    let small = Disk { total: 1_000_000_000, ..disk("/var/lib/docker", 100_000_000) };
    assert_eq!(of(&Observed { disks: vec![small], ..pi() }, Measure::Space).0, Verdict::Good);
    let broken = MOUNTS.replace("/dev/mmcblk0p2 rw,", "/dev/mmcblk0p2 ro,");
    let broken = Observed { mounts: Some(broken), ..pi() };
    assert_eq!(of(&broken, Measure::Card), (Verdict::Bad, "read-only".to_owned()));
    assert!(is_fault(&examine(&broken, &LIMITS, &[])));
    let broken = MOUNTS.replace("/dev/mmcblk0p2 rw,", "/dev/mmcblk0p2 rw,emergency_ro,");
    let broken = Observed { mounts: Some(broken), ..pi() };
    assert_eq!(of(&broken, Measure::Card), (Verdict::Bad, "read-only".to_owned()));
    // As on Debian 13's kernel, where the mount table says nothing of it.
    let refuses = Disk { refuses_writing: true, ..disk("/var/lib/dockbeacon", 9_000_000_000) };
    let broken = Observed { disks: vec![refuses], card_errors: Some("1\n".to_owned()), ..pi() };
    assert_eq!(of(&broken, Measure::Card), (Verdict::Bad, "read-only".to_owned()));
    // The boot partition may be read-only; nothing of ours lies there.
    let boot = MOUNTS.replace("/dev/mmcblk0p1 rw,", "/dev/mmcblk0p1 ro,");
    assert_eq!(of(&Observed { mounts: Some(boot), ..pi() }, Measure::Card).0, Verdict::Good);
    let errors = Observed { card_errors: Some("3\n".to_owned()), ..pi() };
    assert_eq!(of(&errors, Measure::Card), (Verdict::Note, "3 errors".to_owned()));
}

#[test]
fn p8_wear_is_told_where_the_card_tells_it() {
    let table = [
        (Some("0x01"), Some("0x02 0x03"), Verdict::Good, "up to 30 % of its life is used"),
        (Some("0x01"), Some("0x09 0x01"), Verdict::Note, "up to 90 % of its life is used"),
        (Some("0x02"), Some("0x01 0x01"), Verdict::Note, "80 % of its reserve is used"),
        (Some("0x03"), None, Verdict::Note, "90 % of its reserve is used"),
        (Some("0x00"), Some("0x0b 0x01"), Verdict::Note, "past its life"),
        (Some("0x00"), Some("0x00 0x00"), Verdict::Unknown, ""),
    ];
    for (end, life, verdict, value) in table {
        let seen =
            Observed { end_of_life: end.map(str::to_owned), life_time: life.map(str::to_owned), ..pi() };
        assert_eq!(of(&seen, Measure::Wear), (verdict, value.to_owned()), "{end:?} {life:?}");
    }
}

#[test]
fn a_missing_memory_controller_is_told_with_the_remedy() {
    let seen = Observed { controllers: Some("cpuset cpu io pids\n".to_owned()), ..pi() };
    let found = examine(&seen, &LIMITS, &[]).into_iter().find(|f| f.measure == Measure::Memory).unwrap();
    assert_eq!(found.verdict, Verdict::Note);
    assert!(found.text.contains("cgroup_enable=memory"), "{}", found.text);
}

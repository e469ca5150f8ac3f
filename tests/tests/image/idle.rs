//! What an idle day writes to the card.
//!
//! Owns the limit. Must never leave a machine running.

use std::time::Duration;

use dockbeacon_tests::idle;
use dockbeacon_tests::qemu::{Machine, Setup};

use crate::appliance::{p3_a_service_of_the_boot_partition_runs, prepare};
use crate::boot::{self, SOON, as_declared, settled, wait_for};

/// 5 MB: an SD card of the cheapest kind bears ten thousand times its size.
const LIMIT: u64 = 5_000_000;

#[test]
#[ignore = "a boot and five idle minutes; scripts/test --all runs it"]
fn p9_an_idle_day_writes_little_and_a_busy_journal_stays_in_memory() {
    let (_turn, folder, card) = boot::card();
    prepare(&card, folder.path(), "engine-patience: 5m");
    let mut vm = Setup::new(Machine::Virt).start(&card).unwrap();
    settled(&mut vm);
    p3_a_service_of_the_boot_partition_runs(&mut vm);
    as_declared(&mut vm);
    // First boot has its own to write; a file system that was made a moment ago is set up behind it.
    wait_for(&mut vm, "! grep -q ' vfat ' /proc/mounts && ! pgrep -x ext4lazyinit", Duration::from_secs(600));
    let day = idle::written(&mut vm, Duration::from_secs(300)).unwrap();
    println!("idle: {} bytes a day", day.idle);
    for (timer, times, bytes) in &day.timers {
        println!("{times:3} x {timer}: {bytes} bytes");
    }
    println!("a day: {} bytes", day.day());
    assert!(day.day() <= LIMIT, "{day:?}");

    // However much is said, the journal stays within its bounds, and none of it is on the card.
    vm.run("head -c 40000000 /dev/urandom | base64 -w 900 | systemd-cat -t flood; journalctl --sync", SOON)
        .unwrap();
    let kib: u64 = vm.run("du -sk /run/log/journal | cut -f1", SOON).unwrap().parse().unwrap();
    assert!(kib <= 40 * 1024, "{kib} KiB of journal");
    assert_eq!(vm.run("ls /var/log/journal 2>/dev/null; true", SOON).unwrap(), "");
    // So do the logs of containers.
    let kept = vm.run("docker inspect -f '{{json .HostConfig.LogConfig}}' relay-relay-1", SOON).unwrap();
    assert_eq!(kept, r#"{"Type":"local","Config":{"max-file":"3","max-size":"10m"}}"#);
}

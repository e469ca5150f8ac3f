//! The image, booted on the board of a Raspberry Pi 3B.
//!
//! Owns what only a running card shows, and what must hold on every machine. One boot serves many proofs, because a
//! boot costs minutes. Must never leave a machine running.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dockbeacon_tests::card::{self, Card};
use dockbeacon_tests::idle;
use dockbeacon_tests::qemu::{Machine, Setup, Vm};
use tempfile::TempDir;

/// Emulation on a busy machine is slow; nothing here is a promise of speed.
pub const BOOT: Duration = Duration::from_secs(900);
pub const SOON: Duration = Duration::from_secs(180);
/// An update with everything in it.
pub const UPDATE: Duration = Duration::from_secs(300);

/// One machine at a time: two emulators on two cores are each slower than half, and units have deadlines.
static TURN: Mutex<()> = Mutex::new(());

/// A card that may be written to, in its turn.
pub fn card() -> (MutexGuard<'static, ()>, TempDir, Card) {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::Builder::new().prefix("dockbeacon-card").tempdir().unwrap();
    let card = card::image().unwrap().copy_to(&folder.path().join("card.img"), 4).unwrap();
    (turn, folder, card)
}

/// Waits until every unit has started or failed, and requires that none failed.
pub fn settled(vm: &mut Vm) {
    let state = vm.wait_started(BOOT).unwrap();
    let failed =
        vm.run("systemctl --failed --plain --no-legend; systemctl list-jobs --no-legend", SOON).unwrap();
    let log = vm.run("journalctl -b -p warning --no-pager | tail -n 60", SOON).unwrap();
    println!("all is {state} after {:?}", vm.uptime());
    if state != "running" {
        println!("{}", vm.run("systemd-analyze; systemd-analyze blame | head -n 12", SOON).unwrap());
    }
    assert_eq!((state.as_str(), failed.as_str()), ("running", ""), "{failed}\n{log}");
}

/// Waits until a command succeeds on the device.
pub fn wait_for(vm: &mut Vm, what: &str, limit: Duration) {
    let seconds = limit.as_secs();
    let (status, said) = vm
        .try_run(
            &format!("for i in $(seq {seconds}); do ( {what} ) && break; sleep 1; done; {what}"),
            2 * limit,
        )
        .unwrap();
    if status != 0 {
        let log = vm
            .run("journalctl -b -u 'dockbeacon*' -o short-monotonic --no-pager | tail -n 60", SOON)
            .unwrap();
        panic!("never true on the device: {what}\n{said}\n{log}");
    }
}

/// Waits until the panel shows a state.
pub fn wait_state(vm: &mut Vm, state: &str) {
    wait_for(vm, &format!("dockbeacon --json status | grep -q '\"state\": *\"{state}\"'"), UPDATE);
}

/// How much memory the whole system and the daemon take, printed; far too much is an error.
fn memory(vm: &mut Vm) {
    let seen = idle::memory(vm).unwrap();
    println!(
        "memory: {} MiB of {} MiB in use, the daemon {} KiB\n{}",
        seen.used / 1024,
        seen.total / 1024,
        seen.daemon,
        seen.largest
    );
    // The target is 200 MB; this guards against what nobody meant to run.
    assert!(seen.used < 240 * 1024 && seen.daemon < 12 * 1024, "{seen:?}");
}

/// What must hold on every machine.
pub fn as_declared(vm: &mut Vm) {
    let mut is =
        |command: &str, wanted: &str| assert_eq!(vm.run(command, SOON).unwrap(), wanted, "{command}");
    // The kernel confines containers, by a profile that the engine itself brings. One question, for each takes seconds here.
    is(
        "docker info --format '{{.Driver}} {{.LiveRestoreEnabled}} {{.LoggingDriver}} {{.CgroupVersion}} \
         {{.Swarm.LocalNodeState}} {{.MemoryLimit}} {{.PidsLimit}} {{range .SecurityOptions}}{{println .}}{{end}}' | \
         grep -o -e '^overlay2.* true' -e apparmor",
        "overlay2 true local 2 inactive true true\napparmor",
    );
    is("docker compose version --short >/dev/null && echo there", "there");
    is("grep -ow memory /sys/fs/cgroup/cgroup.controllers", "memory");
    is("systemctl is-active dockbeacon docker containerd NetworkManager avahi-daemon | sort -u", "active");
    is("findmnt -no FSTYPE,OPTIONS / | grep -ow -e ext4 -e rw -e noatime | xargs", "ext4 rw noatime");
    is(
        "ls /boot/firmware >/dev/null; findmnt -t vfat -no FSTYPE /boot/firmware; stat -c %a /boot/firmware",
        "vfat\n700",
    );
    is("cat /sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]");
    is("tail -n +2 /proc/swaps | cut -d' ' -f1", "/dev/zram0");
    is("ls /var/log/journal 2>/dev/null; journalctl --header | grep -c /run/log/journal", "1");
    is("grep -c . /etc/machine-id; grep -vc uninitialized /etc/machine-id", "1\n1");
    // Nothing but the page and SSH is open to the network. (mDNS is avahi, and 68 the answers for an address.)
    let open = "ss -Hlntu | awk '{ print $1, $5 }' | grep -v -e '127.0.0' -e '\\[::1\\]' | sed 's/.*://' | sort -un | \
                grep -v -x -e 22 -e 3625 -e 5353 -e 68 -e 546 | while read p; do ss -Hlntup sport = :$p; done";
    println!("other open ports: {}", vm.run(open, SOON).unwrap());
}

#[test]
fn p1_the_image_boots_on_the_board_of_a_raspberry_pi_3b() {
    let (_turn, _folder, card) = card();
    // No network: over the emulated USB no address ever comes. What needs one is proven on `virt`.
    let mut vm = Setup::new(Machine::Raspi3b).without_network().start(&card).unwrap();
    settled(&mut vm);
    let model = vm.run("tr -d '\\0' </proc/device-tree/model", SOON).unwrap();
    assert_eq!(model, "Raspberry Pi 3 Model B");
    as_declared(&mut vm);
    assert_eq!(
        vm.run("cat /sys/class/watchdog/watchdog0/identity", SOON).unwrap(),
        "Broadcom BCM2835 Watchdog timer"
    );
    wait_state(&mut vm, "unclaimed");
    // While it waits for its owner the lamps light in turn; the kernel says what its lines do, and for whom.
    let lines =
        "grep -ow 'GPIO[0-9]* *|dockbeacon *) *[a-z]* *[a-z]*' /sys/kernel/debug/gpio | tr -s ' |)' ' '";
    let wanted = [
        "GPIO17 dockbeacon out hi",
        "GPIO17 dockbeacon out lo",
        "GPIO22 dockbeacon out hi",
        "GPIO22 dockbeacon out lo",
        "GPIO26 dockbeacon in lo",
        "GPIO27 dockbeacon out hi",
        "GPIO27 dockbeacon out lo",
    ];
    let wanted = BTreeSet::from(wanted.map(str::to_owned));
    let (mut seen, from) = (BTreeSet::new(), vm.uptime());
    while seen != wanted && vm.uptime() < from + SOON {
        seen.extend(vm.run(lines, SOON).unwrap().lines().map(str::to_owned));
    }
    assert_eq!(seen, wanted);
    assert_eq!(vm.run("grep -c ', pinctrl-bcm2835:$' /sys/kernel/debug/gpio", SOON).unwrap(), "1");
    // By now the start is some minutes ago.
    memory(&mut vm);
    // Handed back when the daemon goes, in whatever way.
    vm.run("systemctl kill -s KILL dockbeacon; systemctl stop dockbeacon", SOON).unwrap();
    assert_eq!(vm.run(&format!("{lines}; true"), SOON).unwrap(), "");
    vm.run("systemctl poweroff", SOON).unwrap();
    vm.wait_off(Duration::from_secs(240)).unwrap();
    card.check().unwrap();
}

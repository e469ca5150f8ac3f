//! Power cuts all through the first boot, in a network of its own, with a clock that stands years back.
//!
//! Owns the chain: each boot that goes on after a cut is itself cut at the next step, and the last one is let through. Must never
//! leave a machine or a network behind.
#![allow(clippy::disallowed_methods, reason = "the test bed waits against real time")]

use std::time::SystemTime;

use dockbeacon_tests::lan::Lan;
use dockbeacon_tests::qemu::{Machine, Setup, Vm};

use crate::appliance::{asks_as_alice, p3_a_service_of_the_boot_partition_runs, prepare};
use crate::appliance::{the_device_is_what_its_file_asks_for, version};
use crate::boot::{self, BOOT, SOON, settled};

/// The board's clock before anybody has told it the time.
const PAST: [&str; 2] = ["-rtc", "base=2020-01-01T00:00:00"];

/// P4, with P3 at its end: nine boots of one card.
#[test]
#[ignore = "nine boots, twenty minutes under emulation; scripts/test --all runs it"]
fn p4_after_a_power_cut_at_every_step_first_boot_goes_on_and_ends_the_same() {
    let (_turn, folder, card) = boot::card();
    let key = prepare(&card, folder.path(), "engine-patience: 5m");
    let lan = Lan::start().unwrap();
    let setup = Setup::new(Machine::Virt).in_lan(&lan).args(&PAST);
    let mut kept = None;
    for step in 1..=8 {
        let mut vm = setup.start(&card).unwrap();
        vm.wait_console(&format!("first boot {step}/8"), BOOT).unwrap();
        println!("cut at step {step} after {:?}", vm.uptime());
        vm.cut();
        card.check().unwrap();
        if step > 3 {
            // What makes it this device and no other is made once.
            let now = ["/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub"].map(|f| card.text(f).unwrap());
            assert_eq!(*kept.get_or_insert_with(|| now.clone()), now);
        }
    }

    let mut vm = setup.start(&card).unwrap();
    settled(&mut vm);
    vm.wait_console("first boot 8/8 done: started relay", BOOT).unwrap();
    the_device_is_what_its_file_asks_for(&mut vm);
    p3_a_service_of_the_boot_partition_runs(&mut vm);
    let identity = vm.run("cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub", SOON).unwrap();
    assert_eq!(identity, kept.unwrap().concat().trim());
    let failed = vm.run(
        "journalctl -b -u dockbeacon-firstboot -u dockbeacon-provision -o cat | grep FAILED; true",
        SOON,
    );
    assert_eq!(failed.unwrap(), "");
    true_time_came_from_the_network(&mut vm, &lan);
    p5_it_is_found_by_its_name(&mut vm, &lan, &key);
    vm.run("systemctl poweroff", SOON).unwrap();
    vm.wait_off(SOON).unwrap();
    card.check().unwrap();
}

/// The clock stood in 2020, and no web server can be reached: a time server has told it.
fn true_time_came_from_the_network(vm: &mut Vm, lan: &Lan) {
    assert_eq!(vm.run("timedatectl show -P NTPSynchronized", SOON).unwrap(), "yes");
    assert!(lan.asked() > 0);
    let there: u64 = vm.run("date +%s", SOON).unwrap().parse().unwrap();
    let here = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert!(here.abs_diff(there) < 60, "{there} on the device, {here} here");
}

/// What the device says is its address there.
pub fn address_in_lan(vm: &mut Vm) -> String {
    vm.run("ip -4 -o address show scope global | grep -o '10[.]77[.]0[.][0-9]*/' | tr -d /", SOON).unwrap()
}

/// P5: the name answers in its network, by TLS on that port, plain http leads there, and the console has said so.
fn p5_it_is_found_by_its_name(vm: &mut Vm, lan: &Lan, key: &std::path::Path) {
    let address = lan.resolve("shelf.local").unwrap();
    assert_eq!(address.to_string(), address_in_lan(vm));
    let console = vm.console.text();
    let shown = ["https://shelf.local:3625/", "Claim code   ", "Certificate  SHA-256 "];
    assert!(shown.iter().all(|text| console.contains(text)), "{console}");
    let ask = |url: &str| {
        let place = format!("shelf.local:3625:{address}");
        let output =
            lan.run("curl", &["-sS", "-k", "--resolve", &place, "-w", "\n%{http_code}", url]).unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let health = ask("https://shelf.local:3625/livez");
    assert!(health.ends_with("\n200"), "{health}");
    let plain = ask("http://shelf.local:3625/");
    assert!(plain.contains("https://shelf.local:3625/") && plain.ends_with("\n403"), "{plain}");
    let ssh = lan.command("ssh");
    assert_eq!(asks_as_alice(ssh, &address.to_string(), 22, key, "hostname"), "shelf");
    assert_eq!(version(vm, 8080), "1.0.0");
}

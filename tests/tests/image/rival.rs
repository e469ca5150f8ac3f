//! A network in which somebody else has the device's name already.
//!
//! Owns what the device is called then. Must never leave a machine or a network behind.

use dockbeacon_tests::lan::Lan;
use dockbeacon_tests::qemu::{Machine, Setup};

use crate::appliance::prepare;
use crate::boot::{self, SOON, settled, wait_state};
use crate::chain::address_in_lan;

#[test]
#[ignore = "a boot, four minutes under emulation; scripts/test --all runs it"]
fn p4_a_name_that_somebody_else_has_gets_an_end_of_its_own() {
    let (_turn, folder, card) = boot::card();
    prepare(&card, folder.path(), "engine-patience: 5m");
    let lan = Lan::start().unwrap();
    lan.have_name("shelf.local").unwrap();
    let mut vm = Setup::new(Machine::Virt).in_lan(&lan).start(&card).unwrap();
    settled(&mut vm);
    // This machine has no serial number: the end is that of its own id.
    let id = vm.run("cat /etc/machine-id", SOON).unwrap();
    let name = format!("shelf-{}", &id[id.len() - 4..]);
    assert_eq!(vm.run("hostname; cat /etc/hostname", SOON).unwrap(), format!("{name}\n{name}"));
    assert!(vm.run("getent hosts $(hostname)", SOON).unwrap().contains(&name));
    wait_state(&mut vm, "unclaimed");
    let found = lan.resolve(&format!("{name}.local")).unwrap();
    assert_eq!(found.to_string(), address_in_lan(&mut vm));
    vm.wait_console(&format!("https://{name}.local:3625/"), SOON).unwrap();
    assert!(vm.run("cat /boot/firmware/dockbeacon-claim.txt", SOON).unwrap().contains(&name));
    vm.run("systemctl poweroff", SOON).unwrap();
    vm.wait_off(SOON).unwrap();
    card.check().unwrap();
}

//! The panel overlay that the card carries, merged into the board's tree as the board's firmware does, and booted.
//!
//! Owns what the kernel makes of it. Must never leave a machine running.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dockbeacon_tests::card::Card;
use dockbeacon_tests::qemu::{Machine, Setup};

use crate::boot::{self, SOON, settled, wait_for, wait_state};

/// Runs a tool of the device tree and gives what it says.
fn tree(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().expect("package device-tree-compiler");
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The board's tree with the card's overlay in it.
fn merged(card: &Card, folder: &Path) -> std::path::PathBuf {
    let [own, overlay, out] = ["board.dtb", "panel.dtbo", "merged.dtb"].map(|name| folder.join(name));
    card.boot_take("bcm2837-rpi-3-b.dtb", &own).unwrap();
    card.boot_take("overlays/dockbeacon-panel.dtbo", &overlay).unwrap();
    let text = |path: &Path| path.display().to_string();
    tree("fdtoverlay", &["-i", &text(&own), "-o", &text(&out), &text(&overlay)]);
    // The board's own LED hangs on a chip that the emulator does not have; here it gets a line of the chip that it has.
    let get =
        |node: &str, property: &str, kind: &str| tree("fdtget", &["-t", kind, &text(&out), node, property]);
    let chip = get(&get("/__symbols__", "gpio", "s"), "phandle", "x");
    let led = get("/__symbols__", "led_act", "s");
    tree("fdtput", &["-t", "x", &text(&out), &led, "gpios", &chip, "2f", "0"]);
    out
}

#[test]
#[ignore = "seven minutes under emulation; scripts/test --all runs it"]
fn p7_lamps_that_an_overlay_declares_are_driven_as_leds_of_the_kernel() {
    let (_turn, folder, card) = boot::card();
    let board = merged(&card, folder.path());
    let mut vm = Setup::new(Machine::Raspi3b).dtb(&board).start(&card).unwrap();
    settled(&mut vm);
    wait_state(&mut vm, "unclaimed");
    // All in turn, and the board's own LED says the same with one lamp. The kernel tells what its lines do.
    let lines = "grep -ow -e 'dockbeacon:[a-z:]* *) *out [a-z]*' -e 'ACT *) *out [a-z]*' /sys/kernel/debug/gpio | tr -s ' )' ' '";
    let seen = vm.run(&format!("for i in $(seq 120); do {lines}; sleep 0.2; done | sort -u"), SOON).unwrap();
    // The kernel cuts long names there.
    let wanted: Vec<String> = ["ACT", "dockbeacon:amber:upd", "dockbeacon:green:hea", "dockbeacon:red:fault"]
        .into_iter()
        .flat_map(|name| ["hi", "lo"].map(|level| format!("{name} out {level}")))
        .collect();
    assert_eq!(seen.lines().collect::<Vec<_>>(), wanted);
    // Which driver, and that the button of the overlay is read: said at the start.
    let said = vm.run("journalctl -b -u dockbeacon -o cat --no-pager | grep -i 'front panel'", SOON).unwrap();
    assert!(!said.contains("cannot be"), "{said}");
    // Killed, the board's LED goes back to what the kernel does with it, and never looks like all well.
    let had = "for l in ACT dockbeacon:green:health; do sed 's/.*\\[\\(.*\\)\\].*/\\1/' /sys/class/leds/$l/trigger; done";
    assert_eq!(vm.run(had, SOON).unwrap(), "none\nnone");
    vm.run("systemctl kill -s KILL dockbeacon; systemctl stop dockbeacon", SOON).unwrap();
    wait_for(&mut vm, "grep -q '\\[mmc0\\]' /sys/class/leds/ACT/trigger", SOON);
    let dark = vm.run("cat /sys/class/leds/dockbeacon:*/brightness | sort -u", SOON).unwrap();
    assert_eq!(dark, "0");
    vm.run("systemctl poweroff", SOON).unwrap();
    vm.wait_off(Duration::from_secs(240)).unwrap();
    card.check().unwrap();
}

//! The front panel's device-tree overlay: compiled, and merged into the trees of Debian's boards.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

use dockbeacon_core::panel::drivers::{OVERLAY_BUTTON, OVERLAY_LEDS};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Runs a tool and gives what it says.
fn say(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> String {
    let program = program.as_ref();
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| {
        panic!("{}: {error}; install the package device-tree-compiler", program.display())
    });
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {arguments:?}: {words}", program.display());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn compiled(dir: &Path) -> String {
    let out = dir.join("dockbeacon-panel.dtbo").display().to_string();
    let source = here("overlays/devicetree/dockbeacon-panel.dts").display().to_string();
    say("dtc", &["-q", "-@", "-I", "dts", "-O", "dtb", "-o", &out, &source]);
    out
}

#[test]
fn the_overlay_fits_every_board_whose_header_debians_kernel_knows() {
    let dir = tempfile::tempdir().unwrap();
    let overlay = compiled(dir.path());
    let folder = say(here("tests/src/board_trees.sh"), &[]);
    let mut boards: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "dtb"))
        // The Pi 5's header is on another chip, which this kernel does not know; Raspberry Pi OS's does.
        .filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with("bcm2712"))
        .collect();
    boards.sort();
    assert!(boards.len() >= 8, "{boards:?}");
    for board in boards {
        let board = board.display().to_string();
        let merged = dir.path().join("merged.dtb").display().to_string();
        say("fdtoverlay", &["-i", &board, "-o", &merged, &overlay]);
        let get =
            |node: &str, property: &str, kind: &str| say("fdtget", &["-t", kind, &merged, node, property]);
        let chip = get("/__symbols__", "gpio", "s");
        let phandle = get(&chip, "phandle", "x");
        for ((lamp, label), line) in
            ["health", "update", "fault"].into_iter().zip(OVERLAY_LEDS).zip([17, 27, 22])
        {
            let node = format!("/dockbeacon-leds/{lamp}");
            assert_eq!(get(&node, "label", "s"), label, "{board}");
            assert_eq!(get(&node, "gpios", "x"), format!("{phandle} {line:x} 0"), "{board}");
        }
        assert_eq!(get("/dockbeacon-leds", "compatible", "s"), "gpio-leds");
        assert_eq!(get("/dockbeacon-button", "compatible", "s"), "gpio-keys");
        assert_eq!(get("/dockbeacon-button", "label", "s"), OVERLAY_BUTTON);
        assert_eq!(get("/dockbeacon-button/press", "gpios", "x"), format!("{phandle} 1a 1"), "{board}");
        // BTN_0: with KEY_POWER (74) every press would switch off.
        assert_eq!(get("/dockbeacon-button/press", "linux,code", "x"), "100", "{board}");
        // The daemon's defaults go by the names that the board gives its lines.
        let names = get(&chip, "gpio-line-names", "s");
        for line in ["GPIO17", "GPIO27", "GPIO22", "GPIO26"] {
            assert!(names.split_whitespace().any(|name| name == line), "{board} has no {line}: {names}");
        }
    }
}

//! The same tree and the same packages give the same bytes.
//!
//! Owns building the image a second time. Must never build with other inputs than the first time.

use std::path::Path;
use std::process::Command;

use dockbeacon_tests::card;

#[test]
#[ignore = "builds the image a second time, half a minute and 2 GB; scripts/test --all runs it"]
fn two_builds_of_one_tree_are_byte_identical() {
    let first = card::image().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("dockbeacon");
    std::fs::write(&program, first.read("/usr/bin/dockbeacon").unwrap()).unwrap();
    let output = folder.path().join("again");
    let built = Command::new("scripts/build-image")
        .current_dir(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")))
        .args(["--no-compress", "--daemon"])
        .arg(&program)
        .arg("--output")
        .arg(&output)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let again = output.join(first.path.file_name().unwrap());
    // cmp names the first byte that differs.
    let compared = Command::new("cmp").arg(&first.path).arg(&again).output().unwrap();
    assert!(compared.status.success(), "{}", String::from_utf8_lossy(&compared.stdout));
}

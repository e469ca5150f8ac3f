//! What `scripts/build-image` says when it cannot build, and what it leaves: nothing.
//!
//! Owns a cache of its own for each try. Must never touch the cache that holds the packages.

use std::path::Path;
use std::process::Command;

const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A try with a cache of its own, which is prepared by this command; its status and what it said.
fn build(cache: &Path, first: &str, args: &str) -> (bool, String) {
    let script = format!(
        "{first} && exec scripts/build-image --daemon /bin/true --output {}/out {args}",
        cache.display()
    );
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "bash", "-c", &script])
        .current_dir(TOP)
        .env("DOCKBEACON_CACHE", cache)
        .env_remove("DOCKBEACON_MIRROR")
        .output()
        .unwrap();
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.success(), said)
}

#[test]
fn what_keeps_a_build_from_succeeding_is_said_and_nothing_stays() {
    // As another user the script asks for root by itself; the namespace of this test needs it from the start.
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let nowhere = "--mirror http://127.0.0.1:9/debian";
    let tries = [
        ("true", "--base windows", "there is no base windows; say debian raspios"),
        ("true", "--arch riscv64", "riscv64 is not built"),
        ("true", "--colour", "unknown option --colour; see --help"),
        ("true", "--mirror", "--mirror needs a value"),
        ("true", nowhere, "http://127.0.0.1:9/debian does not answer with Debian's trixie"),
        // On a machine whose apt knows no archive of Debian's, and with no network.
        (
            "mkdir $DOCKBEACON_CACHE/bin && printf '#!/bin/sh\nexit 100\n' >$DOCKBEACON_CACHE/bin/apt-get && \
             chmod +x $DOCKBEACON_CACHE/bin/apt-get && export PATH=$DOCKBEACON_CACHE/bin:$PATH http_proxy=http://127.0.0.1:9",
            "--fresh",
            "http://deb.debian.org/debian is out of reach; check the network",
        ),
        ("mount -t tmpfs -o size=64m tmpfs $DOCKBEACON_CACHE", nowhere, "GiB free; building needs 6"),
        // As an interrupted build leaves it.
        (
            "mkdir -p $DOCKBEACON_CACHE/image/work.XyZ/root",
            nowhere,
            "removing what an interrupted build left behind",
        ),
    ];
    let mounts = || std::fs::read_to_string("/proc/self/mounts").unwrap();
    let before = mounts();
    for (first, args, why) in tries {
        let cache = tempfile::tempdir().unwrap();
        let (built, said) = build(cache.path(), first, args);
        assert!(!built && said.contains(why), "{args}: {said}");
        let left = std::fs::read_dir(cache.path().join("image"));
        let left: Vec<_> = left.into_iter().flatten().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| name == "lock"), "{args}: {left:?}");
    }
    assert_eq!(mounts(), before);
}

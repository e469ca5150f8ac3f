//! The binary of the service that tests update, compiled from one file of `std`.
//!
//! Owns its cache under the target folder, keyed by source and target. Must never go through cargo: that would build the
//! whole dependency tree for a second target.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::image::sha256;

const SOURCE: &str = include_str!("../fixtures/demo_service.rs");

/// The architecture of this machine in the image world: `amd64` or `arm64`.
pub fn host_arch() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

/// The folder that cargo builds into.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")), PathBuf::from)
}

/// The static binary for this machine, compiled at the first call.
///
/// # Errors
/// `rustc` or its musl target is missing; the message says how to add it.
pub fn binary() -> Result<Vec<u8>> {
    binary_for(std::env::consts::ARCH)
}

/// The same for another machine: `aarch64`, `x86_64`.
///
/// # Errors
/// As [`binary`].
pub fn binary_for(machine: &str) -> Result<Vec<u8>> {
    let target = format!("{machine}-unknown-linux-musl");
    let folder = target_dir().join("demo-service");
    let file = folder.join(format!("{target}-{}", &sha256(SOURCE.as_bytes())[..16]));
    if !file.exists() {
        std::fs::create_dir_all(&folder)?;
        // Written beside and moved into place: test processes may do this at the same time.
        let work = tempfile::tempdir_in(&folder)?;
        let (source, built) = (work.path().join("demo_service.rs"), work.path().join("built"));
        std::fs::write(&source, SOURCE)?;
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        // For another machine Rust's own linker and musl do, where its compiler is not there.
        let foreign: &[&str] = if machine == std::env::consts::ARCH {
            &[]
        } else {
            &["-C", "linker=rust-lld", "-C", "link-self-contained=yes"]
        };
        let output = Command::new(rustc)
            .args(["--edition", "2024", "--crate-type", "bin", "--target", &target])
            .args(["-C", "opt-level=s", "-C", "panic=abort", "-C", "strip=symbols"])
            .args(foreign)
            .arg("-o")
            .arg(&built)
            .arg(&source)
            .output()
            .context("cannot run rustc")?;
        if !output.status.success() {
            bail!(
                "the demo service does not compile (is the target there? rustup target add {target}): {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        std::fs::rename(&built, &file)?;
    }
    std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))
}

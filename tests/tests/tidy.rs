//! The rules of the house that a machine can check: who may name what, and what every file looks like.
//!
//! Owns the rules of `ARCHITECTURE.md` that no compiler and no lint knows. Must never need more than the source tree.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `dockbeacon-core` may depend on: pure computation.
const CORE_MAY_USE: [&str; 11] = [
    "base64",
    "chrono",
    "chrono-tz",
    "croner",
    "saphyr-parser",
    "semver",
    "serde",
    "serde_json",
    "strsim",
    "thiserror",
    "toml",
];

/// What may lie at the top of the repository. Directories end with a slash.
const TOP: [&str; 20] = [
    ".ci/",
    ".gitattributes",
    ".gitignore",
    ".shellcheckrc",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "clippy.toml",
    "daemon/",
    "deny.toml",
    "image/",
    "overlays/",
    "rustfmt.toml",
    "scripts/",
    "systemd/",
    "tests/",
];

/// Adapters of the daemon: none of them imports another.
const ADAPTERS: [&str; 12] = [
    "docker", "registry", "store", "notify", "redis", "caddy", "backup", "mqtt", "panel", "probe", "metrics",
    "systemd",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Files that git knows or would add, relative to the root.
fn files() -> Vec<String> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git");
    let listed: BTreeSet<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .filter(|f| root().join(f).exists())
        .collect();
    assert!(listed.len() > 20, "git lists only {} files", listed.len());
    listed.into_iter().collect()
}

fn text(file: &str) -> Option<String> {
    std::fs::read(root().join(file)).ok().and_then(|bytes| String::from_utf8(bytes).ok())
}

fn rust() -> Vec<(String, String)> {
    files().into_iter().filter(|f| f.ends_with(".rs")).map(|f| (f.clone(), text(&f).unwrap())).collect()
}

/// Lines with their numbers, without comments and without the file's tests (which come last, by `#[cfg(test)]`).
fn code(source: &str) -> impl Iterator<Item = (usize, &str)> {
    source
        .lines()
        .enumerate()
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .map(|(at, line)| (at + 1, line.split_once("//").map_or(line, |(before, _)| before)))
}

/// True when `word` stands in `line` as a whole path segment.
fn names(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(part)
            && !line[at + word.len()..].chars().next().is_some_and(part)
    })
}

fn none(found: &[String]) {
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// The dependency names of one section of a manifest.
fn dependencies(manifest: &str, section: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line == format!("[{section}]");
        } else if inside && let Some((name, _)) = line.split_once('=') {
            found.push(name.trim().split('.').next().unwrap().to_owned());
        }
    }
    found
}

#[test]
fn core_depends_on_pure_crates_only() {
    let found = dependencies(&text("daemon/core/Cargo.toml").unwrap(), "dependencies");
    let strange: Vec<_> = found
        .into_iter()
        .filter(|d| !CORE_MAY_USE.contains(&d.as_str()))
        .map(|d| format!("{d} is no pure crate that daemon/core may use"))
        .collect();
    none(&strange);
}

#[test]
fn core_reads_no_clock_file_environment_network_or_chance() {
    // The addresses of `std::net` are plain values; its sockets are not.
    let forbidden = [
        "std::fs",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "ToSocketAddrs",
        "std::env",
        "std::process",
        "std::thread",
        "std::time::Instant",
        "SystemTime",
        "Instant::now",
        "Utc::now",
        "Local::now",
        "rand",
        "getrandom",
        "tokio",
        "std::io",
    ];
    let mut found = Vec::new();
    for (file, source) in rust().into_iter().filter(|(f, _)| f.starts_with("daemon/core/src/")) {
        for (at, line) in code(&source) {
            found.extend(
                forbidden
                    .iter()
                    .filter(|w| names(line, w))
                    .map(|w| format!("{file}:{at}: {w} belongs to the shell")),
            );
        }
    }
    none(&found);
}

#[test]
fn each_library_has_one_place() {
    // Word, the only places that may name it, within daemon/src.
    let rules: [(&str, &[&str]); 9] = [
        ("bollard", &["daemon/src/docker/", "daemon/src/docker.rs"]),
        ("rusqlite", &["daemon/src/store/", "daemon/src/store.rs"]),
        ("use rppal", &["daemon/src/panel/rppal.rs"]),
        ("SystemTime", &["daemon/src/clock.rs"]),
        ("Instant::now", &["daemon/src/clock.rs"]),
        ("Utc::now", &["daemon/src/clock.rs"]),
        ("Local::now", &["daemon/src/clock.rs"]),
        ("tracing_subscriber", &["daemon/src/telemetry.rs"]),
        ("tracing_journald", &["daemon/src/telemetry.rs"]),
    ];
    let mut found = Vec::new();
    for (file, source) in rust().into_iter().filter(|(f, _)| f.starts_with("daemon/src/")) {
        for (at, line) in code(&source) {
            for (word, places) in rules {
                let allowed = places.iter().any(|p| file.starts_with(p));
                // `mod rppal;` and the like only say where the place is.
                if !allowed && names(line, word) && !line.contains("mod ") {
                    found.push(format!("{file}:{at}: only {} names {word}", places[0]));
                }
            }
        }
    }
    none(&found);
}

#[test]
fn adapters_do_not_import_one_another_and_http_talks_to_handles() {
    let mut found = Vec::new();
    for (file, source) in rust().into_iter().filter(|(f, _)| f.starts_with("daemon/src/")) {
        let module = file["daemon/src/".len()..].split(['/', '.']).next().unwrap().to_owned();
        let others: Vec<&str> = match module.as_str() {
            "http" => vec!["docker", "store", "registry", "loops", "app"],
            own if ADAPTERS.contains(&own) => {
                let mut list: Vec<&str> = ADAPTERS.iter().copied().filter(|a| *a != own).collect();
                list.extend(["http", "loops", "app"]);
                list
            }
            _ => continue,
        };
        for (at, line) in code(&source) {
            for other in &others {
                if names(line, &format!("crate::{other}")) {
                    found.push(format!("{file}:{at}: {module} must not import {other}"));
                }
            }
        }
    }
    none(&found);
}

#[test]
fn every_module_says_what_it_owns_and_stays_short() {
    let mut found = Vec::new();
    for (file, source) in rust() {
        if !source.starts_with("//!") {
            found.push(format!("{file}: open with a //! paragraph: what it owns, what it must never do"));
        }
        let lines = source.lines().count();
        let reason =
            source.lines().take_while(|l| l.starts_with("//!")).any(|l| l.contains("over 600 lines"));
        if lines > 600 && !reason {
            found
                .push(format!("{file}: {lines} lines; split it, or say at its top why it is over 600 lines"));
        }
    }
    none(&found);
}

#[test]
fn the_top_of_the_repository_is_as_designed() {
    let top: BTreeSet<String> = files()
        .iter()
        .map(|f| f.split_once('/').map_or_else(|| f.clone(), |(folder, _)| format!("{folder}/")))
        .collect();
    let strange: Vec<_> = top
        .iter()
        .filter(|entry| !TOP.contains(&entry.as_str()))
        .map(|entry| format!("{entry} does not belong at the top of the repository"))
        .collect();
    none(&strange);
}

#[test]
fn files_end_with_one_newline_and_name_no_one_s_machine() {
    // Put together so that this file does not find itself.
    let paths = [concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/wo", "rk/"), concat!("/ro", "ot/")];
    let unfinished = [concat!("to", "do!("), concat!("unimple", "mented!(")];
    let mut found = Vec::new();
    for file in files() {
        let Some(source) = text(&file) else { continue };
        if !source.is_empty() && (!source.ends_with('\n') || source.ends_with("\n\n")) {
            found.push(format!("{file}: end with one newline"));
        }
        // Fixtures hold what real machines said.
        if file.starts_with("tests/fixtures/") || file == "Cargo.lock" {
            continue;
        }
        for (at, line) in source.lines().enumerate() {
            // The folder of root and of the Pi's own user are real places on a device.
            let device = ["/home/pi", "/root/.docker", "/root/.ssh"].iter().any(|p| line.contains(p));
            let path = paths.iter().find(|p| {
                line.match_indices(**p).any(|(i, _)| {
                    let before = line[..i].chars().next_back();
                    before.is_none_or(|c| c.is_whitespace() || "\"'=(:`".contains(c))
                })
            });
            if let Some(path) = path.filter(|_| !device) {
                found.push(format!("{file}:{}: {path} is a path of somebody's machine", at + 1));
            }
            if file.ends_with(".rs") && unfinished.iter().any(|w| line.contains(w)) {
                found.push(format!("{file}:{}: unfinished", at + 1));
            }
        }
    }
    none(&found);
}

#[test]
fn scripts_are_strict_and_executable() {
    use std::os::unix::fs::PermissionsExt;
    let mut found = Vec::new();
    for file in files().into_iter().filter(|f| f.starts_with("scripts/") || f == ".ci/run") {
        let Some(source) = text(&file).filter(|s| s.starts_with("#!")) else { continue };
        let mode = root().join(&file).metadata().unwrap().permissions().mode();
        if mode & 0o100 == 0 {
            found.push(format!("{file}: is not executable"));
        }
        if source.starts_with("#!/usr/bin/env bash") && !source.contains("set -euo pipefail") {
            found.push(format!("{file}: begin with set -euo pipefail"));
        }
    }
    none(&found);
}

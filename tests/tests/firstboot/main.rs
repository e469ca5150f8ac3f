//! First boot: the real program on folders that stand for cards, with the real tools, cut off at every fail point.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "tests wait against real time")]

mod card;
mod early;
mod grow;
mod late;
mod reset;
mod restore;
mod truth;

/// Accounts and owners of files can only be set by root.
fn is_root() -> bool {
    let root = nix::unistd::Uid::effective().is_root();
    if !root {
        eprintln!("skipped: only root may give files to other users");
    }
    root
}

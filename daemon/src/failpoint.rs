//! Points at which a crash test stops the process dead.
//!
//! Owns the reading of `DOCKBEACON_FAILPOINT` (`name`, or `name#N` for the Nth time it is passed) and the writing of
//! `DOCKBEACON_FAILPOINT_TRACE` (a file that gets a line for each point passed, so that a test finds them all and no list
//! of them can go stale). Must never do anything unless the feature `failpoints` is compiled in, which no release has.

/// Passes the point `name`: the process kills itself with SIGKILL when this point is armed and its turn has come.
#[inline]
pub fn hit(name: &str) {
    if armed(name) {
        die();
    }
}

/// Whether `name` is armed and its turn has come; counts as passing it once.
/// For points that have something left to do before they `die`.
#[cfg(not(feature = "failpoints"))]
#[inline]
#[must_use]
pub const fn armed(_name: &str) -> bool {
    false
}

/// Whether `name` is armed and its turn has come; counts as passing it once.
/// For points that have something left to do before they `die`.
#[cfg(feature = "failpoints")]
#[must_use]
pub fn armed(name: &str) -> bool {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static WANTED: OnceLock<Option<(String, usize)>> = OnceLock::new();
    static PASSED: AtomicUsize = AtomicUsize::new(0);

    trace(name);
    let wanted = WANTED.get_or_init(|| std::env::var("DOCKBEACON_FAILPOINT").ok().map(|text| parse(&text)));
    let Some((point, turn)) = wanted else { return false };
    point == name && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *turn
}

/// Adds the point to the file that a test wants them in.
#[cfg(feature = "failpoints")]
fn trace(name: &str) {
    use std::io::Write as _;

    let Some(file) = std::env::var_os("DOCKBEACON_FAILPOINT_TRACE") else { return };
    // A point that is missing in the file is for the test to notice.
    if let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(file) {
        let _ = file.write_all(format!("{name}\n").as_bytes());
    }
}

/// Ends the process as a power cut would: no destructor, no flush.
pub fn die() {
    // Cannot fail for the own process; if it ever did, an abort is the next best thing.
    let _ = nix::sys::signal::kill(nix::unistd::getpid(), nix::sys::signal::Signal::SIGKILL);
    std::process::abort();
}

/// `name#N` into name and turn; without a number the first time.
#[cfg(any(feature = "failpoints", test))]
fn parse(text: &str) -> (String, usize) {
    match text.rsplit_once('#') {
        Some((name, turn)) => (name.to_owned(), turn.parse().unwrap_or(1)),
        None => (text.to_owned(), 1),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn points_are_named_with_an_optional_turn() {
        for (text, name, turn) in
            [("engine.stop.sent", "engine.stop.sent", 1), ("a.b#3", "a.b", 3), ("a.b#x", "a.b", 1)]
        {
            assert_eq!(parse(text), (name.to_owned(), turn), "{text}");
        }
    }
}

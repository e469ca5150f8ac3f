//! Points at which a crash test stops the process dead, or lets a loop hang.
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

/// Stays at the point `name` for ever when it is armed and its turn has come: a loop that hangs.
pub async fn hang(name: &str) {
    if armed(name) {
        std::future::pending::<()>().await;
    }
}

/// The patience of the watchdog with a loop: `DOCKBEACON_PATIENCE_MS` where fail points are compiled in, so that a test
/// need not wait a minute.
#[cfg(not(feature = "failpoints"))]
#[inline]
#[must_use]
pub const fn patience(usual: std::time::Duration) -> std::time::Duration {
    usual
}

/// The patience of the watchdog with a loop: `DOCKBEACON_PATIENCE_MS` where fail points are compiled in, so that a test
/// need not wait a minute.
#[cfg(feature = "failpoints")]
#[must_use]
pub fn patience(usual: std::time::Duration) -> std::time::Duration {
    let given = std::env::var("DOCKBEACON_PATIENCE_MS").ok().and_then(|text| text.parse().ok());
    given.map_or(usual, std::time::Duration::from_millis)
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

//! What the store does when the file will not have it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

/// A real SQLITE_FULL from the real library: the file may not grow beyond the pages that it has.
#[test]
fn a_full_disk_is_said_with_its_remedy_and_leaves_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    store.journal_append("t1", at, "first").unwrap();
    hold(&store.inner.durable).pragma_update(None, "max_page_count", 1).unwrap();
    let error = store.journal_append("t1", at, &"x".repeat(1 << 20)).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert!(error.to_string().contains("free some space"), "{error}");
    assert_eq!(store.journal_open().unwrap(), vec![("t1".to_owned(), vec![(at, "first".to_owned())])]);
    hold(&store.inner.durable).pragma_update(None, "max_page_count", 1 << 20).unwrap();
    store.journal_append("t1", at, "second").unwrap();
    assert_eq!(store.journal_records("t1").unwrap().len(), 2);
}

#[test]
fn the_two_connections_differ_in_how_they_wait_for_the_card() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let level =
        |c: &Mutex<Connection>| -> i64 { hold(c).query_row("PRAGMA synchronous", [], |r| r.get(0)).unwrap() };
    assert_eq!((level(&store.inner.durable), level(&store.inner.relaxed)), (2, 1));
}

/// Card wear: writing the same value again must not add a page to the log.
#[test]
fn the_same_value_again_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.meta_set("paused", "no").unwrap();
    store.image_config_put("sha256:1", "{}").unwrap();
    let log = dir.path().join(format!("{FILE_NAME}-wal"));
    let before = std::fs::metadata(&log).unwrap().len();
    for _ in 0..50 {
        store.meta_set("paused", "no").unwrap();
        store.image_config_put("sha256:1", "{}").unwrap();
    }
    assert_eq!(std::fs::metadata(&log).unwrap().len(), before);
}

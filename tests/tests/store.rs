//! The state on a real file: every released version, damage, a full disk, and what each call promises.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use chrono::{DateTime, Utc};
use dockbeacon::lock::{self, LockError};
use dockbeacon::ports::{AuditRow, Records, SessionRow, TokenRow};
use dockbeacon::store::{Approval, BadDigest, FILE_NAME, Store, StoreError};
use dockbeacon::view::UpdateView;
use dockbeacon_core::auth::Role;
use dockbeacon_core::event::What;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_770_000_000 + seconds, 123_456_000).unwrap()
}

fn fresh() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.notices(), Vec::<String>::new());
    (dir, store)
}

#[test]
fn the_journal_keeps_order_and_open_transactions_for_ever() {
    let (dir, store) = fresh();
    store.journal_append("a", at(0), "a1").unwrap();
    store.journal_append("b", at(1), "b1").unwrap();
    store.journal_append("a", at(2), "a2").unwrap();
    let again = Store::open(dir.path()).unwrap();
    let a = vec![(at(0), "a1".to_owned()), (at(2), "a2".to_owned())];
    let b = vec![(at(1), "b1".to_owned())];
    assert_eq!(again.journal_open().unwrap(), [("a".to_owned(), a.clone()), ("b".to_owned(), b)]);
    for number in 0..210 {
        let tx = format!("t{number}");
        store.journal_append(&tx, at(3), "x").unwrap();
        store.journal_close(&tx).unwrap();
    }
    store.journal_close("b").unwrap();
    assert_eq!(store.journal_open().unwrap(), [("a".to_owned(), a)]);
    assert_eq!(store.journal_records("t9").unwrap(), []);
    assert_eq!(store.journal_records("t209").unwrap().len(), 1);
}

#[test]
fn updates_are_listed_running_first_then_newest_first() {
    let (_dir, store) = fresh();
    for (tx, ended) in [("1", Some(at(9))), ("2", None), ("3", Some(at(9))), ("4", None)] {
        store.update_put(tx, "web", at(0), ended, tx).unwrap();
    }
    assert_eq!(store.updates(10).unwrap(), ["4", "2", "3", "1"]);
    store.update_put("2", "web", at(0), Some(at(5)), "2 ended").unwrap();
    assert_eq!(store.updates(3).unwrap(), ["4", "3", "2 ended"]);
    assert_eq!(store.update_get("2").unwrap().as_deref(), Some("2 ended"));
    assert_eq!(store.update_get("9").unwrap(), None);
}

#[test]
fn events_have_ids_that_go_on_and_the_oldest_go() {
    let (dir, store) = fresh();
    let what = serde_json::to_string(&What::CheckStarted).unwrap();
    let first = store.event_add(at(0), &what).unwrap();
    assert_eq!(store.event_add(at(0), "{\"event\":\"from-the-future\"}").unwrap(), first + 1);
    for number in 0..5_200 {
        store.event_add(at(number), &what).unwrap();
    }
    let again = Store::open(dir.path()).unwrap();
    let last = again.event_add(at(9), &serde_json::to_string(&What::Claimed).unwrap()).unwrap();
    assert_eq!(last, first + 5_202);
    let after = again.events_after(last - 3, 2).unwrap();
    assert_eq!(after.iter().map(|e| e.id).collect::<Vec<_>>(), [last - 2, last - 1]);
    let recent = again.events_recent(1).unwrap();
    assert_eq!((recent[0].id, recent[0].at, &recent[0].what), (last, at(9), &What::Claimed));
    let kept = again.events_after(0, 100_000).unwrap();
    assert!((5_000..5_100).contains(&kept.len()), "{}", kept.len());
}

#[test]
fn facts_are_kept_over_a_restart() {
    let (dir, store) = fresh();
    store.bad_add("web", "sha256:b", "never healthy", at(1)).unwrap();
    store.bad_add("web", "sha256:b", "exited 1", at(2)).unwrap();
    store.bad_add("db", "sha256:c", "x", at(3)).unwrap();
    store.image_config_put("sha256:i", "{\"a\":1}").unwrap();
    store.image_config_put("sha256:i", "{\"a\":2}").unwrap();
    store.generation_add("web", "sha256:1", "r:1", "kept:1", "{}", at(1)).unwrap();
    store.generation_add("web", "sha256:2", "r:1", "kept:2", "{}", at(2)).unwrap();
    store.generation_add("web", "sha256:1", "r:1", "kept:1", "{}", at(3)).unwrap();
    store.approval_put("web", "sha256:n", "page", at(4)).unwrap();
    assert!(store.candidate_seen("web", "sha256:n", at(5)).unwrap());
    store.meta_set("paused", "yes").unwrap();
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    let bad = |container: &str, digest: &str, why: &str, seconds| BadDigest {
        container: container.to_owned(),
        digest: digest.to_owned(),
        why: why.to_owned(),
        at: at(seconds),
    };
    assert_eq!(
        store.bad_list().unwrap(),
        [bad("db", "sha256:c", "x", 3), bad("web", "sha256:b", "exited 1", 2)]
    );
    assert!(store.bad_remove("db", "sha256:c").unwrap() && !store.bad_remove("db", "sha256:c").unwrap());
    assert_eq!(store.image_config_get("sha256:i").unwrap().as_deref(), Some("{\"a\":2}"));
    assert_eq!(store.image_config_ids().unwrap(), ["sha256:i"]);
    store.image_config_forget("sha256:i").unwrap();
    assert_eq!(store.image_config_get("sha256:i").unwrap(), None);
    let images =
        |s: &Store| s.generations("web").unwrap().into_iter().map(|g| g.image_id).collect::<Vec<_>>();
    assert_eq!(images(&store), ["sha256:1", "sha256:2"]);
    assert!(store.generation_remove("web", "sha256:1").unwrap());
    assert_eq!(images(&store), ["sha256:2"]);
    let approval =
        Approval { container: "web".into(), digest: "sha256:n".into(), by: "page".into(), at: at(4) };
    assert_eq!(store.approvals().unwrap(), [approval]);
    assert!(store.approval_remove("web").unwrap() && !store.approval_remove("web").unwrap());
    assert!(!store.candidate_seen("web", "sha256:n", at(6)).unwrap());
    assert_eq!(store.candidate_first_seen("web", "sha256:n").unwrap(), Some(at(5)));
    assert_eq!(store.meta_get("paused").unwrap().as_deref(), Some("yes"));
    store.meta_remove("paused").unwrap();
    assert_eq!(store.meta_get("paused").unwrap(), None);
}

#[test]
fn records_of_the_http_side() {
    let (_dir, store) = fresh();
    let records: &dyn Records = &store;
    assert_eq!(records.password().unwrap(), None);
    records.set_claim_code(Some("h")).unwrap();
    assert_eq!(records.claim_code().unwrap().as_deref(), Some("h"));
    records.set_claim_code(None).unwrap();
    assert_eq!(records.claim_code().unwrap(), None);
    records.set_password(Some("$argon2id$x")).unwrap();
    let token = |id: &str, role| TokenRow {
        id: id.into(),
        name: "n".into(),
        hash: id.repeat(3),
        role,
        created: at(1),
    };
    let tokens = [token("a", Role::Read), token("b", Role::Operate), token("c", Role::Admin)];
    for row in &tokens {
        records.add_token(row).unwrap();
    }
    assert_eq!(records.tokens().unwrap(), tokens);
    assert!(records.remove_token("a").unwrap() && !records.remove_token("a").unwrap());
    let session = |hash: &str, created, expires| SessionRow {
        hash: hash.into(),
        role: Role::Admin,
        created: at(created),
        expires: at(expires),
    };
    records.add_session(&session("old", 0, 10)).unwrap();
    records.add_session(&session("new", 10, 20)).unwrap();
    assert_eq!(records.session("old").unwrap(), None);
    assert_eq!(records.session("new").unwrap(), Some(session("new", 10, 20)));
    records.remove_session("new").unwrap();
    assert_eq!(records.session("new").unwrap(), None);
    records.add_session(&session("last", 10, 20)).unwrap();
    // Unclaimed again: nobody stays inside.
    records.set_password(None).unwrap();
    assert_eq!(
        (records.password().unwrap(), records.session("last").unwrap(), records.tokens().unwrap()),
        (None, None, vec![])
    );
    for number in 0..3 {
        let row =
            AuditRow { at: at(number), who: "page".into(), from: "::1".into(), what: format!("w{number}") };
        records.audit(&row).unwrap();
    }
    let lines: Vec<String> = records.audit_log(2).unwrap().into_iter().map(|row| row.what).collect();
    assert_eq!(lines, ["w2", "w1"]);
    let update = UpdateView { tx: "t".into(), started: Some(at(0)), ..UpdateView::default() };
    store.update_put("t", "web", at(0), None, &serde_json::to_string(&update).unwrap()).unwrap();
    store.update_put("u", "web", at(0), None, "not ours").unwrap();
    assert_eq!(records.updates(9).unwrap(), [update]);
}

#[test]
fn a_damaged_file_is_kept_aside_and_said() {
    for damage in ["garbage in front", "a page torn in the middle"] {
        let (dir, store) = fresh();
        for number in 0..2_000 {
            store.event_add(at(number), "{\"event\":\"check-started\"}").unwrap();
        }
        store.journal_append("t", at(0), "r").unwrap();
        drop(store);
        let path = dir.path().join(FILE_NAME);
        let mut bytes = std::fs::read(&path).unwrap();
        let place = if damage.starts_with("garbage") { 0 } else { bytes.len() / 2 / 4_096 * 4_096 };
        bytes[place..place + 4_096].fill(0x5a);
        std::fs::write(&path, &bytes).unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.notices().len(), 1, "{damage}");
        let aside: Vec<PathBuf> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().contains(".unreadable-"))
            .collect();
        assert_eq!(aside.len(), 1, "{damage}: {aside:?}");
        assert!(store.notices()[0].contains(&aside[0].display().to_string()));
        assert_eq!(std::fs::read(&aside[0]).unwrap(), bytes, "{damage}: kept as it was");
        store.journal_append("t", at(0), "r").unwrap();
    }
}

#[test]
fn a_file_of_a_newer_version_is_left_alone() {
    let (dir, store) = fresh();
    drop(store);
    let path = dir.path().join(FILE_NAME);
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
    assert!(Store::open(dir.path()).is_err() && path.exists());
}

/// Every released state file opens for ever. The fixture is SQL, as `sqlite3 .dump` writes it, so that it can be read.
#[test]
fn state_of_version_1_opens() {
    let dir = tempfile::tempdir().unwrap();
    let sql = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/state-v1.sql");
    let old = rusqlite::Connection::open(dir.path().join(FILE_NAME)).unwrap();
    old.execute_batch(&std::fs::read_to_string(sql).unwrap()).unwrap();
    drop(old);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.notices(), Vec::<String>::new());
    assert_eq!(
        store.journal_open().unwrap(),
        [("tx2".to_owned(), vec![(at(2), "{\"begun\":\"pull\"}".to_owned())])]
    );
    assert_eq!(store.journal_records("tx1").unwrap().len(), 2);
    assert_eq!(store.updates(9).unwrap().len(), 1);
    assert_eq!(store.events_recent(9).unwrap()[0].what, What::Claimed);
    assert_eq!(store.bad_list().unwrap()[0].why, "never became healthy");
    assert_eq!(store.image_config_ids().unwrap(), ["sha256:1111"]);
    assert_eq!(store.generations("web").unwrap()[0].kept_tag, "dockbeacon/kept:web-1");
    assert_eq!(store.approvals().unwrap()[0].by, "page");
    assert_eq!(store.candidate_first_seen("web", "sha256:n").unwrap(), Some(at(1)));
    assert_eq!(store.meta_get("schedule.last").unwrap().as_deref(), Some("x"));
    assert_eq!(store.password().unwrap().as_deref(), Some("$argon2id$v=19$x"));
    assert_eq!(store.tokens().unwrap()[0].role, Role::Operate);
    assert_eq!(store.session("s").unwrap().unwrap().expires, at(9));
    assert_eq!(store.audit_log(9).unwrap()[0].what, "approved web");
}

/// Only its owner may read the state: it holds hashes of passwords and tokens.
#[test]
fn the_file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, store) = fresh();
    store.meta_set("a", "b").unwrap();
    for name in [FILE_NAME.to_owned(), format!("{FILE_NAME}-wal")] {
        let mode = std::fs::metadata(dir.path().join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
}

const CHILD: &str = "DOCKBEACON_TEST_FULL_DISK";

/// Runs on a file system of one megabyte, in a mount namespace of its own: see the next test.
#[test]
fn child_on_a_full_disk() {
    let Some(dir) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let state = dir.join("state");
    let held = lock::take(&state).unwrap();
    let store = Store::open(&state).unwrap();
    store.journal_append("t", at(0), "first").unwrap();
    let filler = dir.join("filler");
    while std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(&filler)
        .and_then(|mut f| std::io::Write::write_all(&mut f, &[0; 4_096]))
        .is_ok()
    {}
    let mut written = 1;
    let error = loop {
        match store.journal_append("t", at(0), &"x".repeat(2_000)) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 10_000, "never full");
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(error.to_string().contains("free some space"), "{error}");
    assert_eq!(store.journal_records("t").unwrap().len(), written);
    let other = dir.join("other");
    let refused = lock::take(&other).map(drop).and_then(|()| {
        Store::open(&other)
            .map(drop)
            .map_err(|e| LockError::Io { path: other.clone(), source: std::io::Error::other(e) })
    });
    println!("a new folder on a full disk: {refused:?}");
    assert!(refused.is_err());
    std::fs::remove_file(&filler).unwrap();
    store.journal_append("t", at(0), "again").unwrap();
    drop((store, held));
    assert_eq!(Store::open(&state).unwrap().journal_records("t").unwrap().len(), written + 1);
    println!("full disk survived");
}

#[test]
fn a_really_full_disk_loses_nothing_and_heals() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        "mount -t tmpfs -o size=1m tmpfs '{0}' || exit 77; {CHILD}='{0}' exec '{1}' --exact child_on_a_full_disk --nocapture",
        dir.path().display(),
        std::env::current_exe().unwrap().display()
    );
    let output =
        match Command::new("unshare").args(["--mount", "--map-root-user", "sh", "-c", &script]).output() {
            Ok(output) => output,
            Err(why) => return eprintln!("skipped, no mount namespace: {why}"),
        };
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(77) || text.contains("unshare") {
        return eprintln!("skipped, no mount namespace: {text}");
    }
    assert!(output.status.success() && text.contains("full disk survived"), "{text}");
}

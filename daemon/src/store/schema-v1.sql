-- Version 1 of the state. Times are microseconds since 1970 in UTC; `json` columns are opaque to the store.
CREATE TABLE journal_tx (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    tx     TEXT    NOT NULL UNIQUE,
    closed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE journal (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    tx     TEXT    NOT NULL,
    at     INTEGER NOT NULL,
    record TEXT    NOT NULL
) STRICT;
CREATE INDEX journal_by_tx ON journal (tx, seq);

CREATE TABLE updates (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    tx        TEXT    NOT NULL UNIQUE,
    container TEXT    NOT NULL,
    started   INTEGER NOT NULL,
    ended     INTEGER,
    json      TEXT    NOT NULL
) STRICT;

CREATE TABLE events (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    at   INTEGER NOT NULL,
    json TEXT    NOT NULL
) STRICT;

CREATE TABLE bad_digests (
    container TEXT    NOT NULL,
    digest    TEXT    NOT NULL,
    why       TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (container, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE image_configs (
    image_id TEXT NOT NULL PRIMARY KEY,
    json     TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE generations (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    container TEXT    NOT NULL,
    image_id  TEXT    NOT NULL,
    reference TEXT    NOT NULL,
    kept_tag  TEXT    NOT NULL,
    version   TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    UNIQUE (container, image_id)
) STRICT;

CREATE TABLE approvals (
    container TEXT    NOT NULL PRIMARY KEY,
    digest    TEXT    NOT NULL,
    who       TEXT    NOT NULL,
    at        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE candidates (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    container TEXT    NOT NULL,
    digest    TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    UNIQUE (container, digest)
) STRICT;

CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
    id      TEXT    NOT NULL PRIMARY KEY,
    name    TEXT    NOT NULL,
    hash    TEXT    NOT NULL UNIQUE,
    role    TEXT    NOT NULL,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    hash    TEXT    NOT NULL PRIMARY KEY,
    role    TEXT    NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    who     TEXT    NOT NULL,
    address TEXT    NOT NULL,
    what    TEXT    NOT NULL
) STRICT;

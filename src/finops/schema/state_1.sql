-- The work queue. manifests: a row is one attempt at one delivery.
CREATE TABLE manifests (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    vendor        TEXT NOT NULL,
    export        TEXT NOT NULL,
    manifest_id   TEXT NOT NULL,             -- the vendor's delivery id
    billing_month TEXT NOT NULL,             -- YYYY-MM
    state         TEXT NOT NULL,
    path          TEXT,                      -- staging folder
    reason        TEXT NOT NULL DEFAULT '',  -- why it failed
    fingerprint   TEXT NOT NULL,
    delivery      TEXT NOT NULL,             -- JSON: keys, sizes, ETags, columns
    run_id        TEXT NOT NULL,             -- the run that discovered it
    discovered_at TEXT NOT NULL,             -- UTC
    updated_at    TEXT NOT NULL              -- UTC
);
CREATE INDEX manifests_by_export ON manifests (vendor, export, billing_month);
-- Files that were downloaded and verified; size in bytes.
CREATE TABLE files (
    path        TEXT PRIMARY KEY,
    vendor      TEXT NOT NULL,
    export      TEXT NOT NULL,
    key         TEXT NOT NULL,
    size        INTEGER NOT NULL,
    etag        TEXT NOT NULL,
    sha256      TEXT NOT NULL,
    verified_at TEXT NOT NULL
);
CREATE TABLE runs (
    run_id      TEXT PRIMARY KEY,
    command     TEXT NOT NULL,
    started_at  TEXT NOT NULL,
    finished_at TEXT,
    exit_code   INTEGER,
    outcome     TEXT NOT NULL DEFAULT ''
);

-- What was found in data files that no manifest describes; size in bytes.
CREATE TABLE surveyed (
    vendor  TEXT NOT NULL,
    export  TEXT NOT NULL,
    key     TEXT NOT NULL,
    size    INTEGER NOT NULL,
    etag    TEXT NOT NULL,
    shape   TEXT NOT NULL,
    periods TEXT NOT NULL,                   -- JSON: rows by billing period
    PRIMARY KEY (vendor, export, key)
);

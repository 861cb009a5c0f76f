-- What the store knows of itself. Times are UTC.
CREATE SCHEMA finops;

CREATE TABLE finops.meta (schema_version INTEGER NOT NULL);

-- One row per dataset: which export fills it, in which shape, with which tables.
CREATE TABLE finops.exports (
    dataset        VARCHAR NOT NULL,
    vendor         VARCHAR NOT NULL,
    export         VARCHAR NOT NULL,
    shape          VARCHAR NOT NULL,
    table_strategy VARCHAR NOT NULL
);

-- The ledger: one row per delivery ever loaded. is_current marks what counts now.
-- files: size in bytes at the vendor; totals: billed cost per currency; rounded_cells:
-- money cells that had digits beyond the 24th decimal.
CREATE TABLE finops.loads (
    load_id        VARCHAR NOT NULL,
    dataset        VARCHAR NOT NULL,
    billing_period VARCHAR NOT NULL,
    delivery_id    VARCHAR NOT NULL,
    fingerprint    VARCHAR NOT NULL,
    delivered_at   TIMESTAMP NOT NULL,
    loaded_at      TIMESTAMP NOT NULL,
    files          STRUCT(key VARCHAR, size BIGINT, etag VARCHAR, sha256 VARCHAR)[] NOT NULL,
    row_count      BIGINT NOT NULL,
    totals         MAP(VARCHAR, DECIMAL(38, 24)) NOT NULL,
    rounded_cells  BIGINT NOT NULL,
    is_current     BOOLEAN NOT NULL
);

-- Which column holds what the vendor calls "original". What is given here stays.
CREATE TABLE finops.column_registry (
    dataset       VARCHAR NOT NULL,
    original      VARCHAR NOT NULL,
    name          VARCHAR NOT NULL,
    type          VARCHAR NOT NULL,
    position      INTEGER,            -- place in the vendor's contract
    first_load_id VARCHAR NOT NULL
);

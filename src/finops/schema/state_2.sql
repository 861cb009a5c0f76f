-- What was published where, as far as this data folder knows; the warehouse's ledger decides.
CREATE TABLE publications (
    warehouse     TEXT NOT NULL,             -- NAME of [warehouse.NAME]
    table_name    TEXT NOT NULL,             -- with its dataset
    vendor        TEXT NOT NULL,
    export        TEXT NOT NULL,
    billing_month TEXT NOT NULL,             -- YYYY-MM
    state         TEXT NOT NULL,             -- published or failed
    reason        TEXT NOT NULL,             -- why it failed
    load_id       TEXT NOT NULL,
    row_count     INTEGER NOT NULL,
    run_id        TEXT NOT NULL,
    updated_at    TEXT NOT NULL,             -- UTC
    PRIMARY KEY (warehouse, table_name, billing_month)
);

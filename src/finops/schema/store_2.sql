-- Every store has a name, and a clone knows whose it is: what a killed run committed in its
-- clone is taken over only beside that very store.
ALTER TABLE finops.meta ADD COLUMN generation VARCHAR;
ALTER TABLE finops.meta ADD COLUMN parent VARCHAR;

-- What is not loaded again by itself: a delivery that was rolled back, or, without a
-- fingerprint, a billing period that was forgotten. Times are UTC.
CREATE TABLE finops.holds (
    dataset        VARCHAR NOT NULL,
    billing_period VARCHAR NOT NULL,
    fingerprint    VARCHAR,
    since          TIMESTAMP NOT NULL
);

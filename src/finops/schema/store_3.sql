-- Charges: every loaded period in one shape. The columns of focus.cost_and_usage are data
-- (focus/columns.csv), so code makes that table and the views of the versions.
CREATE SCHEMA focus;

-- What reports read. Grain: day, and every column down to BillingCurrency. Costs in that
-- currency; x_Charges counts charges. day: UTC, of ChargePeriodStart.
CREATE TABLE focus.daily (
    day                      DATE NOT NULL,
    x_BillingPeriod          VARCHAR NOT NULL,
    x_Vendor                 VARCHAR NOT NULL,
    x_Export                 VARCHAR NOT NULL,
    x_LoadId                 VARCHAR NOT NULL,
    BillingAccountId         VARCHAR,
    BillingAccountName       VARCHAR,
    SubAccountId             VARCHAR,
    SubAccountName           VARCHAR,
    ProviderName             VARCHAR,
    PublisherName            VARCHAR,
    InvoiceId                VARCHAR,
    x_BillingEntity          VARCHAR,
    ServiceCategory          VARCHAR,
    ServiceSubcategory       VARCHAR,
    ServiceName              VARCHAR,
    RegionId                 VARCHAR,
    ChargeCategory           VARCHAR,
    ChargeClass              VARCHAR,
    PricingCategory          VARCHAR,
    CommitmentDiscountType   VARCHAR,
    CommitmentDiscountStatus VARCHAR,
    x_LineItemType           VARCHAR,
    BillingCurrency          VARCHAR,
    BilledCost               DECIMAL(38, 24),
    EffectiveCost            DECIMAL(38, 24),
    ListCost                 DECIMAL(38, 24),
    ContractedCost           DECIMAL(38, 24),
    x_Charges                BIGINT NOT NULL
);

-- Of which load a period's charges are, and what made them: where that differs from what would
-- make them now, the next run makes them anew. is_final: the vendor has invoiced the period.
CREATE TABLE finops.charge_builds (
    dataset        VARCHAR NOT NULL,
    billing_period VARCHAR NOT NULL,
    load_id        VARCHAR NOT NULL,
    made_with      VARCHAR NOT NULL,
    charges        BIGINT NOT NULL,
    is_final       BOOLEAN NOT NULL
);

-- What the checks said when the charges were made. rows_found: charges that break the rule;
-- amount: their billed cost, or the difference, in currency; example: x_SourceRowId of some.
CREATE TABLE finops.checks (
    dataset        VARCHAR NOT NULL,
    billing_period VARCHAR NOT NULL,
    load_id        VARCHAR NOT NULL,
    rule           VARCHAR NOT NULL,
    ok             BOOLEAN NOT NULL,
    rows_found     BIGINT NOT NULL,
    amount         DECIMAL(38, 24),
    examples       VARCHAR[] NOT NULL
);

-- What each delivery added up to, also after it was replaced; costs in BillingCurrency.
CREATE TABLE finops.period_totals (
    load_id         VARCHAR NOT NULL,
    ServiceName     VARCHAR,
    SubAccountId    VARCHAR,
    ChargeCategory  VARCHAR,
    BillingCurrency VARCHAR,
    BilledCost      DECIMAL(38, 24),
    EffectiveCost   DECIMAL(38, 24),
    charges         BIGINT NOT NULL
);

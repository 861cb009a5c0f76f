-- One month of FOCUS files: from a small catalogue to the table `line_item`, in the names of FOCUS.
-- Grain: one row per charge. Money: USD, at most ten decimals. Times: UTC. Every random draw is taken
-- from an MD5, so that the data is the same everywhere. Inputs: the variables that `sample.py` sets.

CREATE MACRO draw(key) AS CAST(md5_number_lower(key) >> 1 AS BIGINT);
CREATE MACRO day_of(number) AS getvariable('period_start') + to_days(CAST(number AS INTEGER));

-- Grain: one row per price. `typical` is what a charge has of the unit, `weight` how many charges there are.
CREATE TABLE price AS
SELECT row_number() OVER () - 1 AS price_number, *
FROM (VALUES
    ('Lakehouse', 'Lakehouse Jobs', 'Analytics', 'Data Processing', 'Cluster', 'Jobs compute', 'Compute Units', 0.15, 41.5, 5),
    ('Lakehouse', 'Lakehouse SQL', 'Analytics', 'Data Warehouses', 'Warehouse', 'SQL compute', 'Compute Units', 0.7, 9.25, 4),
    ('Lakehouse', 'Lakehouse Storage', 'Storage', 'Object Storage', 'Table', 'Managed storage', 'GB-Months', 0.023, 812.4, 3),
    ('Lakehouse', 'Lakehouse Model Serving', 'AI and Machine Learning', 'Machine Learning', 'Endpoint', 'Serving compute', 'Compute Units', 0.07, 77.125, 2),
    ('Token Gateway', 'Language Models', 'AI and Machine Learning', 'Generative AI', 'Key', 'Input tokens', 'Tokens', 0.0000025, 1840211, 4),
    ('Token Gateway', 'Language Models', 'AI and Machine Learning', 'Generative AI', 'Key', 'Output tokens', 'Tokens', 0.00001, 302177, 4)
) AS prices(publisher, service, category, subcategory, resource_type, meter, unit, list_price, typical, weight);

CREATE TABLE ticket AS
SELECT row_number() OVER (ORDER BY price_number, part) - 1 AS ticket, price_number
FROM (SELECT price_number, unnest(range(weight)) AS part FROM price);

-- Money is made of `quantity` and `unit_price`, where it is not given. A commitment pays for SQL compute.
CREATE TABLE line AS
WITH
usage AS (
    SELECT 'Usage' AS ChargeCategory, number, draw(concat(key, 'day')) % getvariable('days') AS day, price_number,
        draw(concat(key, 'workspace')) % 5 AS workspace, draw(concat(key, 'resource')) % 30 AS resource,
        CAST(typical * (draw(concat(key, 'quantity')) % 1000 + 1) / 1000 AS DECIMAL(14, 4)) AS quantity,
        CAST(NULL AS DECIMAL(20, 10)) AS billed, CAST(NULL AS DECIMAL(20, 10)) AS effective,
        CAST(NULL AS VARCHAR) AS commitment_status, CAST(NULL AS VARCHAR) AS description
    FROM (
        SELECT number, concat(getvariable('seed'), getvariable('account'), getvariable('period_start'), number,
            CASE WHEN number % 100 = 7 THEN getvariable('refresh') END) AS key
        FROM range(CAST(getvariable('usage_rows') AS BIGINT)) AS numbers(number)
    )
    JOIN ticket ON ticket.ticket = draw(concat(key, 'price')) % (SELECT count(*) FROM ticket)
    JOIN price USING (price_number)
),
covered AS (
    SELECT day, 6 + draw(concat(getvariable('seed'), getvariable('period_start'), day, 'covered')) % 5 AS used
    FROM range(CAST(getvariable('days') AS BIGINT)) AS days(day)
)
SELECT * FROM usage
UNION ALL BY NAME
SELECT 'Usage' AS ChargeCategory, 1000000000 + day AS number, day, 1 AS price_number, 0 AS workspace,
    0 AS resource, used AS quantity, 0 AS billed, used * 0.5 AS effective, 'Used' AS commitment_status
FROM covered
UNION ALL BY NAME
SELECT 'Usage' AS ChargeCategory, 1100000000 + day AS number, day, 1 AS price_number, 0 AS workspace,
    CAST(NULL AS BIGINT) AS resource, 10 - used AS quantity, 0 AS billed, (10 - used) * 0.5 AS effective,
    'Unused' AS commitment_status
FROM covered WHERE used < 10
UNION ALL BY NAME
SELECT 'Purchase' AS ChargeCategory, 2000000000 AS number, 0 AS day, 1 AS price_number, 1 AS quantity,
    1825 AS billed, 0 AS effective, 'Commitment of one year' AS description
WHERE getvariable('is_purchase')
UNION ALL BY NAME
SELECT 'Credit' AS ChargeCategory, 2000000001 AS number, 27 AS day, -12.5 AS billed, -12.5 AS effective,
    'Promotional credit' AS description
UNION ALL BY NAME
SELECT 'Tax' AS ChargeCategory, 2000000002 AS number, 0 AS day, 41.0375 AS billed, 41.0375 AS effective,
    'Value added tax' AS description;

CREATE TABLE line_item AS
SELECT
    row_number() OVER (ORDER BY number) - 1 AS line_number,
    getvariable('account') AS BillingAccountId,
    'Acme Data' AS BillingAccountName,
    'Organization' AS BillingAccountType,
    'USD' AS BillingCurrency,
    'USD' AS PricingCurrency,
    getvariable('period_start') AS BillingPeriodStart,
    getvariable('period_end') AS BillingPeriodEnd,
    day_of(day) AS ChargePeriodStart,
    CASE WHEN ChargeCategory = 'Tax' THEN getvariable('period_end') ELSE day_of(day + 1) END AS ChargePeriodEnd,
    ChargeCategory,
    coalesce(description, meter) AS ChargeDescription,
    CASE ChargeCategory WHEN 'Usage' THEN 'Usage-Based' ELSE 'One-Time' END AS ChargeFrequency,
    coalesce(billed, CAST(quantity * unit_price AS DECIMAL(20, 10))) AS BilledCost,
    coalesce(effective, BilledCost) AS EffectiveCost,
    CASE WHEN ChargeCategory = 'Usage' THEN CAST(quantity * unit_price AS DECIMAL(20, 10)) ELSE BilledCost END
        AS ContractedCost,
    CASE WHEN ChargeCategory = 'Usage' THEN CAST(quantity * list_price AS DECIMAL(20, 10)) ELSE BilledCost END
        AS ListCost,
    CASE WHEN ChargeCategory = 'Usage' THEN unit_price END AS ContractedUnitPrice,
    CASE WHEN ChargeCategory = 'Usage' THEN list_price END AS ListUnitPrice,
    ContractedUnitPrice AS PricingCurrencyContractedUnitPrice,
    EffectiveCost AS PricingCurrencyEffectiveCost,
    ListUnitPrice AS PricingCurrencyListUnitPrice,
    CASE WHEN ChargeCategory = 'Usage' THEN CASE WHEN commitment_status IS NULL THEN 'Standard' ELSE 'Committed' END
        WHEN ChargeCategory = 'Purchase' THEN 'Standard' END AS PricingCategory,
    CASE WHEN ChargeCategory IN ('Usage', 'Purchase') THEN quantity END AS PricingQuantity,
    CASE WHEN PricingQuantity IS NOT NULL THEN unit END AS PricingUnit,
    CASE WHEN ChargeCategory = 'Usage' AND commitment_status IS DISTINCT FROM 'Unused' THEN quantity END
        AS ConsumedQuantity,
    CASE WHEN ConsumedQuantity IS NOT NULL THEN unit END AS ConsumedUnit,
    CASE WHEN commitment_status IS NOT NULL OR ChargeCategory = 'Purchase' THEN 'commitment-7' END
        AS CommitmentDiscountId,
    CASE WHEN CommitmentDiscountId IS NOT NULL THEN 'SQL compute of one year' END AS CommitmentDiscountName,
    CASE WHEN CommitmentDiscountId IS NOT NULL THEN 'Usage' END AS CommitmentDiscountCategory,
    CASE WHEN CommitmentDiscountId IS NOT NULL THEN 'Commitment' END AS CommitmentDiscountType,
    commitment_status AS CommitmentDiscountStatus,
    CASE WHEN CommitmentDiscountId IS NOT NULL THEN quantity END AS CommitmentDiscountQuantity,
    CASE WHEN CommitmentDiscountId IS NOT NULL THEN unit END AS CommitmentDiscountUnit,
    CASE WHEN getvariable('is_invoiced') THEN concat('LH-', strftime(getvariable('period_start'), '%Y%m')) END
        AS InvoiceId,
    'Lakehouse' AS InvoiceIssuerName,
    'Lakehouse' AS ProviderName,
    coalesce(publisher, 'Lakehouse') AS PublisherName,
    coalesce(publisher, 'Lakehouse') AS ServiceProviderName,
    'Lakehouse' AS HostProviderName,
    coalesce(category, 'Other') AS ServiceCategory,
    coalesce(subcategory, 'Other (Other)') AS ServiceSubcategory,
    coalesce(service, 'Lakehouse Platform') AS ServiceName,
    CASE WHEN ChargeCategory IN ('Usage', 'Purchase') THEN concat('SKU-', price_number) END AS SkuId,
    CASE WHEN SkuId IS NOT NULL THEN concat('SKU-', price_number, '-LIST') END AS SkuPriceId,
    CASE WHEN SkuId IS NOT NULL THEN meter END AS SkuMeter,
    CASE WHEN commitment_status = 'Unused' OR ChargeCategory = 'Purchase' THEN CommitmentDiscountId
        WHEN resource IS NOT NULL THEN concat(lower(resource_type), '-', resource) END AS ResourceId,
    CASE WHEN ResourceId IS NOT NULL THEN concat(resource_type, ' ', ResourceId) END AS ResourceName,
    CASE WHEN ResourceId IS NOT NULL THEN resource_type END AS ResourceType,
    CASE WHEN workspace IS NOT NULL THEN concat('ws-', workspace) END AS SubAccountId,
    CASE WHEN workspace IS NOT NULL THEN concat('Workspace ', workspace) END AS SubAccountName,
    CASE WHEN workspace IS NOT NULL THEN 'Workspace' END AS SubAccountType,
    CASE WHEN ChargeCategory = 'Usage' THEN 'eu-central-1' END AS RegionId,
    CASE WHEN ChargeCategory = 'Usage' THEN 'Frankfurt' END AS RegionName,
    CASE WHEN resource % 3 = 0 THEN concat('{"team": "team-', workspace, '", "cost-center": "', 100 + workspace, '"}')
        END AS Tags,
    CASE WHEN workspace IS NOT NULL THEN concat('/workspaces/', workspace) END AS x_Workspace
FROM (
    SELECT line.*, price.* EXCLUDE (price_number),
        CAST(price.list_price * 0.9 AS DECIMAL(16, 8)) AS unit_price
    FROM line LEFT JOIN price USING (price_number)
);

CREATE VIEW total AS
SELECT unnest(['billed', 'effective']) AS measure, 'USD' AS currency,
    unnest([sum(BilledCost), sum(EffectiveCost)]) AS amount
FROM line_item;

CREATE VIEW kind AS SELECT ChargeCategory AS kind, count(*) AS rows FROM line_item GROUP BY ALL ORDER BY 1;

-- One run of the sample's exports: from a small catalogue to the view `line_item`.
-- Grain of `line` and `line_item`: one row per line item of one dataset. Money: billing currency, at most
-- twenty decimals. Quantities: units of measure. Times: UTC, the day. Every random draw is taken from an
-- MD5, so that the data is the same everywhere. Inputs: the variables that `sample.py` sets.

CREATE MACRO draw(key) AS CAST(md5_number_lower(key) >> 1 AS BIGINT);
CREATE MACRO guid(key) AS regexp_replace(md5(key), '(.{8})(.{4})(.{4})(.{4})(.{12})', '\1-\2-\3-\4-\5');
CREATE MACRO rate() AS CAST(getvariable('rate') AS DECIMAL(6, 4));
CREATE MACRO day_of(number) AS getvariable('period_start') + to_days(CAST(number AS INTEGER));

-- Grain: one row per meter. `price` is the public one of a unit of measure, in USD.
CREATE TABLE meter AS
SELECT row_number() OVER () - 1 AS meter_number, guid(concat('meter', meter_name, product_name)) AS meter_id, *
FROM (VALUES
    ('Microsoft.Compute', 'virtualMachines', 'Virtual Machines', 'Dsv5 Series', 'D4s v5', 'Virtual Machines Dsv5 Series - D4s v5 - EU West', 'Compute', '1 Hour', 0.23, 24, 0),
    ('Microsoft.Compute', 'virtualMachines', 'Virtual Machines', 'Esv5 Series', 'E4s v5', 'Virtual Machines Esv5 Series - E4s v5 - EU West', 'Compute', '1 Hour', 0.304, 24, 0),
    ('Microsoft.Compute', 'virtualMachines', 'Virtual Machines', 'Dsv5 Series', 'D4s v5', 'Virtual Machines Dsv5 Series - D4s v5 - US East 2', 'Compute', '1 Hour', 0.192, 24, 4),
    ('Microsoft.Compute', 'virtualMachineScaleSets', 'Virtual Machines', 'BS Series', 'B2s', 'Virtual Machines BS Series - B2s - EU West', 'Compute', '1 Hour', 0.0416, 24, 3),
    ('Microsoft.Compute', 'virtualMachineScaleSets', 'Virtual Machines', 'Dsv5 Series', 'D4s v5 Spot', 'Virtual Machines Dsv5 Series - D4s v5 Spot - EU West', 'Compute', '1 Hour', 0.046, 24, 1),
    ('Microsoft.Compute', 'disks', 'Storage', 'Premium SSD Managed Disks', 'P10 LRS Disk', 'Premium SSD Managed Disks - P10 LRS - EU West', 'Storage', '1/Month', 19.71, 0.033336, 4),
    ('Microsoft.Compute', 'virtualMachines', 'Bandwidth', 'Inter-Region', 'Intra Continent Data Transfer Out', 'Bandwidth Inter-Region - Intra Continent Data Transfer Out', 'Networking', '1 GB', 0.02, 3.127, 3),
    ('Microsoft.Storage', 'storageAccounts', 'Storage', 'Tiered Block Blob', 'Hot LRS Data Stored', 'Tiered Block Blob - Hot LRS - EU West', 'Storage', '1 GB/Month', 0.0196, 12.403127, 4),
    ('Microsoft.Storage', 'storageAccounts', 'Storage', 'Tiered Block Blob', 'GRS List and Create Container Operations', 'Tiered Block Blob - GRS - List and Create Container Operations', 'Storage', '10K', 0.1, 0.0047, 4),
    ('Microsoft.Sql', 'servers/databases', 'SQL Database', 'Single Standard', 'S2 DTUs', 'SQL Database Single Standard - S2 DTUs', 'Databases', '1/Day', 2.4194, 1, 2),
    ('Microsoft.DBforPostgreSQL', 'flexibleServers', 'Azure Database for PostgreSQL', 'Flexible Server General Purpose', 'vCore', 'Azure Database for PostgreSQL Flexible Server - vCore - EU West', 'Databases', '1 Hour', 0.104, 24, 2),
    ('Microsoft.Network', 'publicIPAddresses', 'Virtual Network', 'IP Addresses', 'Standard IPv4 Static Public IP', 'IP Addresses - Standard IPv4 Static Public IP', 'Networking', '1 Hour', 0.005, 24, 3),
    ('microsoft.operationalinsights', 'workspaces', 'Log Analytics', '', 'Pay-as-you-go Data Ingestion', 'Log Analytics - Pay-as-you-go Data Ingestion', 'Management and Governance', '1 GB', 2.99, 0.80634996, 2),
    ('MICROSOFT.KEYVAULT', 'VAULTS', 'Key Vault', '', 'Operations', 'Key Vault - Operations', 'Security', '10K', 0.03, 0.0311, 1),
    ('Microsoft.EventHub', 'namespaces', 'Event Hubs', 'Standard', 'Throughput Unit', 'Event Hubs - Standard - Throughput Unit', 'Internet of Things', '1 Hour', 0.03, 24, 1),
    ('Microsoft.CognitiveServices', 'accounts', 'Azure OpenAI', 'Azure OpenAI', 'gpt-4o Input Tokens', 'Azure OpenAI - gpt-4o Input Tokens', 'AI + Machine Learning', '1K', 0.0025, 1203.4, 1)
) AS meters(consumed_service, resource_kind, meter_category, meter_subcategory, meter_name, product_name,
    service_family, unit_of_measure, price, typical, weight);

CREATE TABLE ticket AS
SELECT row_number() OVER (ORDER BY meter_number, part) - 1 AS ticket, meter_number
FROM (SELECT meter_number, unnest(range(weight)) AS part FROM meter);

CREATE TABLE subscription AS
SELECT number AS subscription_number,
    guid(concat('subscription', getvariable('account'), number)) AS subscription_id, name AS subscription_name
FROM (VALUES (0, 'Production'), (1, 'Staging'), (2, 'Data Platform'), (3, 'Sandbox')) AS names(number, name);

-- Grain: one row per line item and dataset; both datasets have the rows of NULL. `quantity` and `unit_price`
-- make `cost` where it is not said. Commitments: a reservation paid monthly, one paid upfront, a savings plan.
CREATE TABLE line AS
WITH
usage AS (
    SELECT NULL AS dataset, number, 'Usage' AS charge_type,
        CASE WHEN meter_name LIKE '%Spot' THEN 'Spot' ELSE 'OnDemand' END AS pricing_model, NULL AS commitment,
        draw(concat(key, 'day')) % getvariable('days') AS day, meter_number,
            draw(concat(key, 'subscription')) % 4 AS subscription_number,
        draw(concat(key, 'resource')) % 40 AS resource_number,
        CAST(typical * (draw(concat(key, 'quantity')) % 1000 + 1) / 1000 AS DECIMAL(12, 6)) AS quantity,
        CAST(price * 0.95 AS DECIMAL(16, 8)) AS unit_price, NULL AS given_cost
    FROM (
        SELECT number, concat(getvariable('seed'), getvariable('period_start'), number,
            CASE WHEN number % 100 = 7 THEN getvariable('refresh') END) AS key,
        FROM range(CAST(getvariable('usage_rows') AS BIGINT)) AS numbers(number)
    )
    JOIN ticket ON ticket.ticket = draw(concat(key, 'meter')) % (SELECT count(*) FROM ticket)
    JOIN meter USING (meter_number)
),
days AS (SELECT day FROM range(CAST(getvariable('days') AS BIGINT)) AS days(day)),
-- Hours of one day that a commitment paid for, of `capacity` hours that were bought; price of one hour of it.
covered AS (
    SELECT day, c.*, 12 + draw(concat(getvariable('seed'), getvariable('period_start'), day,
        commitment)) % 13 AS hours
    FROM days CROSS JOIN (VALUES
        ('monthly', 'Reservation', 'UnusedReservation', 0, 24, 0.12),
            ('upfront', 'Reservation', 'UnusedReservation', 0, 24, 0.08),
        ('plan', 'SavingsPlan', 'UnusedSavingsPlan', 1, 24, 0.21)
    ) AS c(commitment, model, unused, meter_number, capacity, hourly)
),
committed AS (
    SELECT 'ActualCost' AS dataset, 'Usage' AS charge_type, model AS pricing_model, commitment, day, meter_number,
        hours AS quantity, 0 AS given_cost FROM covered
    UNION ALL SELECT 'AmortizedCost', 'Usage', model, commitment, day, meter_number, hours,
    hours * hourly FROM covered
    UNION ALL SELECT 'AmortizedCost', unused, model, commitment, day, meter_number, capacity - hours,
    (capacity - hours) * hourly FROM covered WHERE capacity > hours
    UNION ALL SELECT 'ActualCost', 'Purchase', model, commitment, 0, meter_number, 1,
        CASE WHEN commitment = 'upfront' THEN 365 * 24 * hourly ELSE capacity * hourly * getvariable('days') END
    FROM covered WHERE day = 0 AND (commitment <> 'upfront' OR getvariable('is_purchase'))
),
other AS (
    SELECT * FROM (VALUES
        (NULL, 'Purchase', 'OnDemand', NULL, 3, NULL, 1, 49.0),
        (NULL, 'Purchase', 'OnDemand', NULL, 0, NULL, 2, 100.0),
        ('ActualCost', 'Refund', 'Reservation', 'upfront', 9, 0, 1, -12.5),
        (NULL, 'RoundingAdjustment', 'OnDemand', NULL, 27, NULL, 1, 0.00417)
    ) AS o(dataset, charge_type, pricing_model, commitment, day, meter_number, quantity, given_cost)
)
SELECT * FROM usage
UNION ALL BY NAME
SELECT dataset, 1000000000 + row_number() OVER (ORDER BY dataset, commitment, day, charge_type) AS number,
    charge_type, pricing_model, commitment,
    day, meter_number, CASE WHEN charge_type NOT LIKE 'Unused%' THEN day % 2 END AS subscription_number,
    0 AS resource_number,
    CAST(quantity AS DECIMAL(12, 6)) AS quantity, CAST(given_cost AS DECIMAL(16, 8)) AS given_cost,
    CASE WHEN charge_type = 'Usage'
        THEN (SELECT CAST(price * 0.95 AS DECIMAL(16, 8))
        FROM meter WHERE meter.meter_number = committed.meter_number) END AS unit_price
FROM committed
UNION ALL BY NAME
SELECT dataset, 2000000000 + row_number() OVER (ORDER BY charge_type, given_cost) AS number, charge_type,
    pricing_model, commitment,
    day, meter_number, NULL AS subscription_number, 0 AS resource_number,
    CAST(quantity AS DECIMAL(12, 6)) AS quantity,
    CAST(given_cost AS DECIMAL(16, 8)) AS given_cost, NULL AS unit_price
FROM other;

-- As either dataset has it, in the names of columns.csv.
CREATE TABLE line_item AS
WITH costed AS (
    SELECT line.*, dataset_type,
        CAST(coalesce(given_cost, unit_price * quantity) * rate() AS DECIMAL(38, 20)) AS cost,
        CAST(coalesce(given_cost, unit_price * quantity) AS DECIMAL(38, 16)) AS cost_in_usd
    FROM line JOIN (VALUES ('ActualCost'), ('AmortizedCost')) AS datasets(dataset_type)
        ON coalesce(dataset, dataset_type) = dataset_type
)
SELECT
    row_number() OVER (PARTITION BY dataset_type ORDER BY day, number) - 1 AS line_number, dataset_type,
    charge_type, pricing_model, cost, cost_in_usd AS cost_in_pricing_currency, cost_in_usd, quantity, unit_price,
    CASE WHEN quantity <> 0 AND cost = 0 THEN 0 ELSE unit_price END AS effective_price,
    CASE WHEN charge_type = 'Usage' THEN price END AS payg_price,
    CASE WHEN charge_type = 'Usage'
        THEN CAST(CAST(price AS DECIMAL(16, 8)) * quantity * rate() AS DECIMAL(38, 18)) END AS payg_cost,
    CASE WHEN charge_type = 'Usage'
        THEN CAST(CAST(price AS DECIMAL(16, 8)) * quantity AS DECIMAL(38, 14)) END AS payg_cost_in_usd,
    CASE WHEN charge_type = 'Purchase' AND commitment IS DISTINCT FROM 'upfront' AND given_cost <> 49 THEN 'Recurring'
        WHEN charge_type IN ('Purchase', 'Refund') THEN 'OneTime' ELSE 'UsageBased' END AS frequency,
    day_of(day) AS charge_date, getvariable('period_start') AS billing_period_start,
    day_of(getvariable('days') - 1) AS billing_period_end,
    day_of(day) AS service_period_start, day_of(day) AS service_period_end, day_of(0) AS exchange_rate_date,
    rate() AS exchange_rate,
    getvariable('account') AS billing_account_id, 'Contoso' AS billing_account_name,
    getvariable('profile') AS billing_profile_id, 'Contoso Europe' AS billing_profile_name,
    CASE WHEN getvariable('is_invoiced')
        THEN concat('G0', draw(concat(getvariable('account'), getvariable('period_start'))) % 100000000) END AS invoice_id,
    'SEC-1' AS invoice_section_id, 'Engineering' AS invoice_section_name, 'Engineering' AS account_name,
    'billing@contoso.example' AS account_owner_id,
    subscription_id, subscription_name,
    CASE WHEN subscription_id IS NOT NULL
        THEN concat('rg-', lower(split_part(subscription_name, ' ', 1))) END AS resource_group,
    CASE WHEN meter_number IS NOT NULL THEN CASE WHEN product_name LIKE '%US East 2' THEN 'EastUS2'
        ELSE 'westeurope' END END AS resource_location,
    meter_id, meter_name, meter_category, meter_subcategory,
    CASE WHEN product_name LIKE '%US East 2' THEN 'US East 2' WHEN meter_id IS NOT NULL
        THEN 'EU West' END AS meter_region,
    service_family, coalesce(product_name,
        CASE WHEN given_cost = 49 THEN 'Example Firewall' WHEN given_cost = 100
        THEN 'Standard Support' END) AS product_name,
    CASE WHEN meter_id IS NOT NULL THEN concat('DZH', upper(left(meter_id, 9))) END AS product_id,
        upper(left(meter_id, 3)) || '-' || substr(md5(meter_id), 1, 5) AS part_number,
    unit_of_measure,
    CASE WHEN commitment IS NOT NULL AND charge_type <> 'Usage' THEN CASE WHEN pricing_model = 'SavingsPlan'
        THEN 'Microsoft.BillingBenefits' ELSE 'Microsoft.Capacity' END
        WHEN given_cost = 100 THEN 'Microsoft.Support' ELSE consumed_service END AS consumed_service,
    CASE WHEN charge_type = 'Usage'
        THEN concat('/subscriptions/', CASE WHEN day % 3 = 0 THEN upper(subscription_id) ELSE subscription_id END,
        '/resourceGroups/', resource_group,
        '/providers/', consumed_service, '/',
            CASE WHEN resource_kind LIKE '%/%' THEN replace(resource_kind, '/', '/main/') ELSE resource_kind END,
            '/', resource_name)
        ELSE benefit_id END AS resource_id,
    CASE WHEN charge_type = 'Usage' THEN resource_name END AS resource_name,
    CASE WHEN commitment IS NOT NULL AND pricing_model = 'Reservation'
        THEN guid(concat('reservation', commitment)) END AS reservation_id,
    CASE WHEN pricing_model = 'Reservation' THEN commitment END AS reservation_name,
    benefit_id, commitment AS benefit_name,
    CASE WHEN commitment IS NOT NULL THEN guid(concat('order', commitment)) END AS product_order_id,
        commitment AS product_order_name,
    CASE WHEN commitment IS NOT NULL THEN '12' END AS term,
    CASE WHEN given_cost = 49 THEN 'Marketplace' ELSE 'Azure' END AS publisher_type,
    CASE WHEN given_cost = 49 THEN 'Example Security Ltd' ELSE 'Microsoft' END AS publisher_name,
    getvariable('currency') AS billing_currency, 'USD' AS pricing_currency, 'True' AS is_azure_credit_eligible,
    CASE WHEN meter_category = 'Virtual Machines' AND charge_type = 'Usage'
        THEN concat('{"UsageType":"ComputeHR","ServiceType":"Standard_', replace(meter_name, ' ', '_'),
            '","VCPUs":4', CASE WHEN pricing_model = 'Reservation' THEN ',"RINormalizationRatio":2.0' END,
            '}') END AS additional_info,
    CASE WHEN charge_type = 'Usage'
        THEN concat(getvariable('tags_open'), '"env": "',
        CASE WHEN subscription_name = 'Production' THEN 'prod' ELSE 'test' END, '","team": "team-',
        resource_number % 5, '"', getvariable('tags_close')) END AS tags,
    'Azure' AS provider
FROM (
    SELECT *, CASE WHEN commitment IS NOT NULL THEN CASE WHEN pricing_model = 'SavingsPlan'
        THEN concat('/providers/Microsoft.BillingBenefits/savingsPlanOrders/', guid(concat('order', commitment)),
            '/savingsPlans/', guid(concat('plan', commitment)))
        ELSE concat('/providers/Microsoft.Capacity/reservationOrders/', guid(concat('order', commitment)),
            '/reservations/', guid(concat('reservation', commitment))) END END AS benefit_id,
        concat(lower(split_part(resource_kind, '/', 1)), '-', resource_number) AS resource_name
    FROM costed LEFT JOIN meter USING (meter_number) LEFT JOIN subscription USING (subscription_number)
);

CREATE VIEW "ActualCost" AS FROM line_item WHERE dataset_type = 'ActualCost';
CREATE VIEW "AmortizedCost" AS FROM line_item WHERE dataset_type = 'AmortizedCost';
CREATE VIEW written AS FROM line_item WHERE list_contains(getvariable('datasets'), dataset_type);

-- Grain: one row per dataset and charge type.
CREATE VIEW kind AS
SELECT concat(dataset_type, ' ', charge_type) AS kind, count(*) AS rows FROM written GROUP BY ALL ORDER BY ALL;

-- Grain: one row per dataset: what its run adds up to.
CREATE VIEW total AS
SELECT CASE dataset_type WHEN 'ActualCost' THEN 'billed' ELSE 'effective' END AS measure,
    getvariable('currency') AS currency, sum(cost) AS amount
FROM written GROUP BY dataset_type ORDER BY measure;

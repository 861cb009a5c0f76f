-- One delivery of the sample: from the catalogue to the view `line_item`.
-- Grain of `line` and `line_item`: one row per line item. Money: the export's currency, at most ten
-- decimals and fifteen digits, so that a DOUBLE holds it without loss. Quantities: pricing units.
-- Times: UTC. Every random draw is taken from an MD5, so that the data is the same everywhere.
-- Inputs: the catalogue, and the variables that `sample.py` sets.

-- 63 random bits that depend on nothing but the text.
CREATE MACRO draw(key) AS CAST(md5_number_lower(key) >> 1 AS BIGINT);

-- A slot is the stretch of time that one commitment fee covers: an hour, a day or the month.
CREATE MACRO slot_start(moment) AS
    time_bucket(to_hours(CAST(getvariable('slot_hours') AS BIGINT)), moment, getvariable('period_start'));
CREATE MACRO slot_stop(moment) AS moment + to_hours(CAST(getvariable('slot_hours') AS BIGINT));
CREATE MACRO hour_in(slot, a) AS getvariable('period_start')
    + to_hours(CAST(slot * getvariable('slot_hours') + a % getvariable('slot_hours') AS BIGINT));

-- Grain: one row per SKU and region. `product_attributes`: all, named as in CUR 2.0;
-- `product_map`: those for which CUR 2.0 has no column.
CREATE TABLE product AS
SELECT
    row_number() OVER (ORDER BY sku_number, region_code) - 1 AS product_number,
    s.*, region_code, location, region_weight, normalization_factor,
    region.prefix || s.usage_type AS full_usage_type,
    upper(left(md5(concat(s.product_code, s.usage_type, s.operation, region_code)), 16)) AS sku,
    s.product_name LIKE 'Example %' AS marketplace,
    map_from_entries(list_filter(map_entries(map_concat(MAP {
        'product_name': product_name, 'servicecode': product_code, 'servicename': product_name,
        'sku': sku, 'usagetype': full_usage_type, 'operation': operation, 'product_family': family,
        'region': region_code, 'region_code': region_code, 'location': location,
        'location_type': CASE WHEN location IS NOT NULL THEN 'AWS Region' END,
        'instance_type': instance_type, 'instance_family': instance_family, 'vcpu': vcpu,
        'memory': memory, 'network_performance': network, 'physical_processor': processor,
        'instance_type_family': split_part(replace(instance_type, 'db.', ''), '.', 1),
        'current_generation': CASE WHEN vcpu IS NOT NULL THEN 'Yes' END,
        'operating_system': CASE WHEN s.usage_type LIKE 'BoxUsage%' THEN 'Linux' END,
        'tenancy': CASE WHEN s.usage_type LIKE 'BoxUsage%' THEN 'Shared' END,
        'pre_installed_sw': CASE WHEN s.usage_type LIKE 'BoxUsage%' THEN 'NA' END,
        'license_model': CASE WHEN s.usage_type LIKE 'BoxUsage%' THEN 'No License required' END
    }, coalesce(attributes, MAP {}))), lambda x: x.value IS NOT NULL)) AS product_attributes,
    map_from_entries(list_filter(map_entries(product_attributes), lambda x: x.key NOT IN (
        'comment', 'fee_code', 'fee_description', 'from_location', 'from_location_type', 'from_region_code',
        'instance_family', 'instance_type', 'instancesku', 'location', 'location_type', 'operation',
        'pricing_unit', 'product_family', 'region_code', 'servicecode', 'sku', 'to_location',
        'to_location_type', 'to_region_code', 'usagetype'))) AS product_map
FROM sku AS s JOIN region USING (scope) LEFT JOIN instance USING (instance_type)
WHERE s.usage_type IS NOT NULL OR scope = 'global'
ORDER BY product_number;

CREATE TABLE ticket AS
SELECT row_number() OVER (ORDER BY product_number, part) - 1 AS ticket, product_number
FROM (SELECT product_number, unnest(range(CAST(weight * region_weight AS BIGINT))) AS part FROM product);
SET VARIABLE tickets = (SELECT count(*) FROM ticket);
SET VARIABLE pooled = (SELECT count(*) * getvariable('pool_size') FROM product);

-- Grain: one row per resource: `pool_size` for each product, then the instances of fleets and reservations.
CREATE TABLE resource AS
WITH
owner AS (
    SELECT row_number() OVER (ORDER BY account_number, part) - 1 AS ticket, account_number
    FROM (SELECT account_number, unnest(range(share)) AS part FROM account)
),
pool AS (
    SELECT product_number * getvariable('pool_size') + part AS resource_number, product_number, account_number
    FROM product, range(getvariable('pool_size')) AS r(part), owner
    WHERE ticket = draw(concat('owner', product_number, '/', part)) % 10
    UNION ALL
    SELECT getvariable('pooled') + part, product_number, account_number
    FROM range(getvariable('fleet_size')) AS r(part)
    JOIN fleet ON fleet_number = part % 6 JOIN product USING (usage_type, region_code)
    UNION ALL
    SELECT getvariable('pooled') + getvariable('fleet_size') + part,
        product_number, account_number
    FROM range(getvariable('reserved_size')) AS r(part)
    JOIN reservation ON reservation_number = part % 3 JOIN product USING (usage_type, region_code)
),
drawn AS (
    SELECT *, draw(concat('resource', resource_number)) AS a,
        left(md5(concat(resource_number)), 16) AS hex
    FROM pool JOIN product USING (product_number) JOIN account USING (account_number)
),
named AS (
    SELECT *,
        ['web', 'checkout', 'search', 'billing', 'etl', 'reports', 'auth', 'ml-train'][1 + (a >> 8) % 8] AS app,
        ['prod', 'prod', 'staging', 'dev'][1 + (a >> 12) % 4] AS environment,
        concat(app, '-', environment, '-', resource_number) AS name
    FROM drawn
),
tagged AS (
    SELECT *, CASE
        WHEN account_number = 5 AND a % 4 > 0 THEN MAP {'aws_created_by': 'Root:' || account_id}
        ELSE MAP {
            'user_name': CASE a % 16
                WHEN 1 THEN name || ', blue' WHEN 2 THEN name || ' "canary"'
                WHEN 3 THEN name || e'\nmoved from the old VPC' WHEN 4 THEN 'Zürich–データ ' || name
                ELSE name END,
            'user_cost_center': concat('CC-', 1000 + (a >> 16) % 12),
            'user_environment': environment,
            'user_team': CASE WHEN (a >> 20) % 10 > 0
                THEN ['Payments', 'Growth', 'Data, Analytics & ML', 'Platform'][1 + (a >> 24) % 4] END,
            'user_project': CASE WHEN getvariable('is_late') AND (a >> 28) % 3 > 0
                THEN ['Apollo', 'Büro 2.0', 'migration'][1 + (a >> 32) % 3] END,
            'aws_created_by': CASE WHEN (a >> 36) % 2 = 0
                THEN 'AssumedRole:AROAJ5JL5L6PCSV4JKUVK:deploy-' || app END
        } END AS tags
    FROM named
)
SELECT resource_number, product_number, account_number,
    replace(replace(replace(replace(resource_pattern, '{r}', coalesce(region_code, '')),
        '{a}', account_id), '{x}', hex), '{n}', name) AS resource_id,
    CASE WHEN instance_type IS NOT NULL OR meter = 'storage'
        THEN region_code || ['a', 'b', 'c'][1 + (a >> 40) % 3] END AS availability_zone,
    map_from_entries(list_filter(map_entries(tags), lambda x: x.value IS NOT NULL)) AS resource_tags,
    CASE WHEN tags['user_team'] IS NOT NULL THEN MAP {'team': tags['user_team']}
        ELSE MAP {'team': 'Unallocated'} END AS cost_category
FROM tagged ORDER BY resource_number;

CREATE TABLE line (
    line_item_type VARCHAR, product_number BIGINT, resource_number BIGINT, account_number INTEGER,
    start TIMESTAMP, stop TIMESTAMP, amount DECIMAL(18, 10), rate DECIMAL(18, 10), cost DECIMAL(18, 10),
    on_demand_cost DECIMAL(18, 10), term VARCHAR, description VARCHAR, tax_type VARCHAR,
    plan_number INTEGER, plan_rate DECIMAL(18, 10), plan_effective DECIMAL(18, 10),
    plan_total DECIMAL(18, 10), plan_used DECIMAL(18, 10), plan_upfront DECIMAL(18, 10),
    plan_recurring DECIMAL(18, 10),
    reservation_number INTEGER, upfront_used DECIMAL(18, 10), recurring_used DECIMAL(18, 10),
    upfront_in_period DECIMAL(18, 10), upfront_unused DECIMAL(18, 10), recurring_unused DECIMAL(18, 10),
    units_reserved DECIMAL(18, 10), units_unused DECIMAL(18, 10), upfront_value DECIMAL(18, 10)
);

-- Ordinary usage. A later refresh lacks another hundredth of the rows, and rates a twentieth of them anew.
INSERT INTO line BY NAME
WITH drawn AS (
    SELECT draw(key) AS a, draw(key || '/b') AS b
    FROM (SELECT concat(getvariable('seed'), '/', getvariable('period_start'), '/', n) AS key
        FROM range(getvariable('usage_rows')) AS r(n))
),
placed AS (
    SELECT
        product_number * getvariable('pool_size') + (a >> 20) % getvariable('pool_size') AS resource_number,
        getvariable('period_start') + to_hours(CAST((a >> 36) % getvariable('hours') AS BIGINT)) AS start,
        (b % 1000003) / 1000003 AS share, b
    FROM drawn JOIN ticket ON ticket = a % getvariable('tickets')
    WHERE a % 101 <> getvariable('refresh') % 101
),
metered AS (
    SELECT placed.*, resource.product_number, account_number, usage_type, price,
        CAST(CASE meter
            WHEN 'hours' THEN CASE WHEN b % 10 > 0 THEN 1 ELSE ceil(share * 3600) / 3600 END
            WHEN 'storage' THEN (1 + share * 2000) / 744
            WHEN 'requests' THEN ceil(exp(share * 11))
            WHEN 'bytes' THEN pow(10, share * 8.5 - 7)
            ELSE share * 2000 END AS DECIMAL(18, 10)) AS amount,
        CAST(CASE WHEN b % 20 = 0 THEN price * (1 - 0.02 * ((getvariable('refresh') - 1) % 10))
            ELSE price END AS DECIMAL(18, 10)) AS rate
    FROM placed JOIN resource USING (resource_number) JOIN product USING (product_number)
)
SELECT 'Usage' AS line_item_type, product_number, resource_number, account_number,
    start, start + INTERVAL 1 HOUR AS stop, amount, rate,
    CAST(CAST(amount AS DOUBLE) * CAST(rate AS DOUBLE) AS DECIMAL(18, 10)) AS cost,
    CAST(CAST(amount AS DOUBLE) * CAST(price AS DOUBLE) AS DECIMAL(18, 10)) AS on_demand_cost,
    CASE WHEN usage_type LIKE 'SpotUsage%' THEN 'Spot' ELSE 'OnDemand' END AS term
FROM metered;

-- Fleets under a Savings Plan: each instance once in each slot of the month, at the on-demand price.
INSERT INTO line BY NAME
WITH instance_hour AS (
    SELECT slot, resource_number, product_number, fleet.account_number, plan_number, price,
        CAST(round(price * 0.66, 6) AS DECIMAL(18, 6)) AS plan_rate,
        draw(concat(getvariable('seed'), '/', getvariable('period_start'), '/', slot, '/', part)) AS a
    FROM range(getvariable('slots')) AS s(slot), range(getvariable('fleet_size')) AS r(part)
    JOIN fleet ON fleet_number = part % 6
    JOIN resource ON resource_number = getvariable('pooled') + part
    JOIN product USING (product_number)
)
SELECT 'SavingsPlanCoveredUsage' AS line_item_type, product_number, resource_number, account_number,
    hour_in(slot, a) AS start,
    start + INTERVAL 1 HOUR AS stop, CASE WHEN a % 17 = 0 THEN 0.5 ELSE 1.0 END AS amount,
    price AS rate, amount * CAST(price AS DECIMAL(10, 6)) AS cost, cost AS on_demand_cost,
    'OnDemand' AS term, plan_number, plan_rate, amount * plan_rate AS plan_effective
FROM instance_hour;

-- What the plans take off again: for each fleet's product and account, in each slot.
INSERT INTO line BY NAME
WITH covered AS (
    SELECT slot_start(start) AS slot, product_number, account_number, plan_number, rate,
        sum(amount) AS amount, sum(cost) AS cost
    FROM line WHERE line_item_type = 'SavingsPlanCoveredUsage' GROUP BY ALL
)
SELECT 'SavingsPlanNegation' AS line_item_type, product_number, account_number, plan_number,
    slot AS start, slot_stop(slot) AS stop, amount, -rate AS rate, -cost AS cost, 0 AS on_demand_cost,
    'SavingsPlanNegation used by AccountId : ' || account_id AS description
FROM covered JOIN account USING (account_number)
ORDER BY slot, plan_number, product_number, account_number;

-- The commitment: the same in each slot, three in a hundred above what all instances would use.
INSERT INTO line BY NAME
WITH used AS (
    SELECT plan_number, slot_start(line.start) AS slot, sum(plan_effective) AS plan_used
    FROM line WHERE line_item_type = 'SavingsPlanCoveredUsage' GROUP BY ALL
),
committed AS (
    SELECT plan_number, CAST(round(sum(plan_rate) * 1.03, 4) AS DECIMAL(18, 4)) AS plan_total
    FROM (SELECT DISTINCT plan_number, resource_number, plan_rate FROM line WHERE plan_rate IS NOT NULL)
    GROUP BY plan_number
)
SELECT 'SavingsPlanRecurringFee' AS line_item_type, product_number, 0 AS account_number, plan_number,
    slot AS start, slot_stop(slot) AS stop, 1 AS amount,
    plan_total, plan_used, CAST(round(plan_total * upfront_share, 4) AS DECIMAL(18, 4)) AS plan_upfront,
    plan_total - plan_upfront AS plan_recurring, plan_recurring AS cost, plan_recurring AS rate
FROM used JOIN committed USING (plan_number) JOIN savings_plan USING (plan_number) JOIN product USING (usage_type)
ORDER BY slot, plan_number;

-- Paid once, at the start of the plan, for its twelve months.
INSERT INTO line BY NAME
SELECT 'SavingsPlanUpfrontFee' AS line_item_type, product_number, 0 AS account_number, plan_number,
    getvariable('period_start') AS start, getvariable('period_start') + INTERVAL 1 SECOND AS stop,
    1 AS amount, price AS cost, price AS rate
FROM (
    SELECT product_number, plan_number, CAST(round(12 * sum(plan_upfront), 2) AS DECIMAL(18, 2)) AS price
    FROM line WHERE line_item_type = 'SavingsPlanRecurringFee' GROUP BY ALL
)
WHERE getvariable('is_purchase') AND price > 0;

-- Reserved instances, in the same manner. Their unblended cost is in the fees.
INSERT INTO line BY NAME
WITH instance_hour AS (
    SELECT slot, resource_number, product_number, resource.account_number, reservation_number, price,
        upfront_price, recurring_price,
        draw(concat(getvariable('seed'), '/', getvariable('period_start'), '/r', slot, '/', part)) AS a
    FROM range(getvariable('slots')) AS s(slot), range(getvariable('reserved_size')) AS r(part)
    JOIN reservation ON reservation_number = part % 3
    JOIN resource ON resource_number
        = getvariable('pooled') + getvariable('fleet_size') + part
    JOIN product USING (product_number)
)
SELECT 'DiscountedUsage' AS line_item_type, product_number, resource_number, account_number,
    hour_in(slot, a) AS start,
    start + INTERVAL 1 HOUR AS stop, CASE WHEN a % 13 = 0 THEN 0.5 ELSE 1.0 END AS amount, 0 AS rate, 0 AS cost,
    amount * CAST(price AS DECIMAL(10, 6)) AS on_demand_cost, 'Reserved' AS term, reservation_number,
    amount * upfront_price AS upfront_used, amount * recurring_price AS recurring_used
FROM instance_hour;

-- Grain: one row per reservation and month; a unit is a reserved instance in one slot.
INSERT INTO line BY NAME
WITH used AS (
    SELECT reservation_number, sum(amount) AS units_used, sum(upfront_used) AS upfront_used,
        sum(recurring_used) AS recurring_used,
        CAST(count(DISTINCT resource_number) * getvariable('slots') AS DECIMAL(9, 0)) AS units
    FROM line WHERE line_item_type = 'DiscountedUsage' GROUP BY reservation_number
)
SELECT 'RIFee' AS line_item_type, product_number, account_number, reservation_number,
    getvariable('period_start') AS start, getvariable('period_end') - INTERVAL 1 SECOND AS stop,
    units AS amount, recurring_price AS rate, units * recurring_price AS cost, 0 AS on_demand_cost,
    units * upfront_price AS upfront_in_period, units * upfront_price - upfront_used AS upfront_unused,
    units * recurring_price - recurring_used AS recurring_unused, units AS units_reserved,
    units - units_used AS units_unused,
    CAST(round(12 * units * upfront_price, 2) AS DECIMAL(18, 2)) AS upfront_value
FROM used JOIN reservation USING (reservation_number)
JOIN product ON product.usage_type = fee_usage_type AND product.region_code = reservation.region_code
ORDER BY reservation_number;

INSERT INTO line BY NAME
SELECT 'Fee' AS line_item_type, product_number, account_number, reservation_number, start,
    start + INTERVAL 1 SECOND AS stop, 1 AS amount, upfront_value AS cost, upfront_value AS rate,
    'Sign up charge for subscription: ' || (1000000 + reservation_number) AS description
FROM line WHERE line_item_type = 'RIFee' AND upfront_value > 0 AND getvariable('is_purchase');

-- What is computed from an account's month: support, tax, discount, credit, refund. Never zero.
INSERT INTO line BY NAME
WITH month_cost AS (
    SELECT account_number, marketplace, sum(cost) AS cost
    FROM line JOIN product USING (product_number) GROUP BY ALL
),
rule AS (SELECT * FROM (VALUES
    ('Fee', 'AWSSupportBusiness', 0.03, 0, false, NULL, 'AWS Support (Business) fee for the month'),
    ('Tax', 'AmazonEC2', 0.08, NULL, false, 'USSalesTax', 'Tax for product code AmazonEC2'),
    ('Tax', '8bmtd7hzc3wr9kq1x5vnjo2fe', 0.08, NULL, true, 'VAT', 'Tax of type VAT for AWS Marketplace'),
    ('EdpDiscount', 'AmazonEC2', -0.02, NULL, false, NULL, 'Enterprise discount, 2% of usage'),
    ('Credit', 'AmazonEC2', -0.01, 4, false, NULL, 'AWS Activate "startup" credits, 2nd tranche'),
    ('Credit', 'AmazonEC2', -0.005, 3, false, NULL, 'Migration Acceleration Program, phase 2'),
    ('Refund', 'AmazonEC2', -0.001, 1, false, NULL, 'Refund for an hour of impaired instances')
) AS t(line_item_type, product_code, factor, only_account, marketplace, tax_type, description))
SELECT line_item_type, product_number, account.account_number, getvariable('period_start') AS start,
    getvariable('period_end') AS stop, rule.description, rule.tax_type,
    CASE WHEN line_item_type = 'Fee' THEN 1 END AS amount,
    CAST(CASE WHEN factor < 0 THEN least(-0.01, round(factor * base, 2))
        ELSE greatest(0.01, round(factor * base, 2)) END AS DECIMAL(18, 2)) AS cost
FROM rule
JOIN product ON product.product_code = rule.product_code AND product.meter = 'none'
    AND (rule.product_code = 'AWSSupportBusiness' OR usage_type IS NULL)
JOIN account ON account_number = coalesce(only_account, account_number),
LATERAL (SELECT CAST(coalesce(sum(m.cost), 0) AS DOUBLE) AS base FROM month_cost AS m
    WHERE m.marketplace = rule.marketplace AND (m.account_number = account.account_number OR only_account = 0))
ORDER BY line_item_type, product_number, factor, account.account_number;

-- Marketplace subscription, sold by somebody else than AWS.
INSERT INTO line BY NAME
SELECT 'Fee' AS line_item_type, product_number, 1 AS account_number, getvariable('period_start') AS start,
    getvariable('period_end') AS stop, 1 AS amount, 249 AS rate, 249 AS cost,
    'AWS Marketplace monthly subscription, Example Observability, Pro' AS description
FROM product WHERE marketplace AND usage_type IS NULL;

-- Grain: one row per delivery: what all its lines share.
CREATE TABLE bill AS
SELECT getvariable('period_start') AS period_start, getvariable('period_end') AS period_end,
    concat(getvariable('seed'), '/', getvariable('period_start'), '/', getvariable('refresh'), '/') AS salt,
    account_id AS payer_account, account_name AS payer_name, getvariable('currency') AS currency,
    getvariable('commitment_start') AS commitment_start,
    getvariable('commitment_start') + INTERVAL 12 MONTHS AS commitment_end,
    CASE WHEN getvariable('is_invoiced')
        THEN 1400000000 + draw(concat('invoice', getvariable('period_start'))) % 90000000 END AS invoice
FROM account WHERE account_number = 0;

-- Grain: one row per product; a column for each attribute that some line of this delivery has.
CREATE TABLE product_columns AS
PIVOT (
    SELECT product_number, 'product_' || entry.key AS attribute, entry.value AS value
    FROM (SELECT product_number, unnest(map_entries(product_attributes)) AS entry FROM product
        WHERE product_number IN (SELECT product_number FROM line))
) ON attribute USING any_value(value) GROUP BY product_number;

-- Grain: one row per resource; a column for each tag.
CREATE TABLE tag_columns AS
PIVOT (
    SELECT resource_number, 'resource_tags_' || entry.key AS tag, entry.value AS value
    FROM (SELECT resource_number, unnest(map_entries(resource_tags)) AS entry FROM resource
        WHERE resource_number IN (SELECT resource_number FROM line))
) ON tag USING any_value(value) GROUP BY resource_number;

-- Grain: one row per line item, numbered in the order of the files. Columns as in CUR 2.0, and those of
-- CUR 1 that CUR 2.0 folds into maps.
CREATE VIEW line_item AS
SELECT
    line.rowid AS line_number,
    left(sha256(salt || line.rowid), 52) AS identity_line_item_id,
    strftime(start, '%Y-%m-%dT%H:%M:%SZ/') || strftime(stop, '%Y-%m-%dT%H:%M:%SZ') AS identity_time_interval,
    CAST(invoice + CASE WHEN marketplace THEN 7 WHEN line_item_type = 'Refund' THEN 3 ELSE 0 END AS VARCHAR)
        AS bill_invoice_id,
    CASE WHEN marketplace THEN 'Example Software LLC' ELSE 'Amazon Web Services, Inc.' END AS bill_invoicing_entity,
    CASE WHEN marketplace THEN 'AWS Marketplace' ELSE 'AWS' END AS bill_billing_entity,
    CASE WHEN line_item_type = 'Refund' THEN 'Refund'
        WHEN line_item_type = 'SavingsPlanUpfrontFee' THEN 'Purchase'
        WHEN line_item_type = 'Fee' AND reservation_number IS NOT NULL THEN 'Purchase'
        ELSE 'Anniversary' END AS bill_bill_type,
    payer_account AS bill_payer_account_id, payer_name AS bill_payer_account_name,
    period_start AS bill_billing_period_start_date, period_end AS bill_billing_period_end_date,
    account_id AS line_item_usage_account_id, account_name AS line_item_usage_account_name,
    bill_invoicing_entity AS line_item_legal_entity,
    line_item_type AS line_item_line_item_type,
    start AS line_item_usage_start_date, stop AS line_item_usage_end_date,
    product_code AS line_item_product_code, full_usage_type AS line_item_usage_type,
    operation AS line_item_operation, availability_zone AS line_item_availability_zone,
    resource_id AS line_item_resource_id, amount AS line_item_usage_amount,
    CAST(normalization_factor AS DECIMAL(18, 10)) AS line_item_normalization_factor,
    CAST(amount * normalization_factor AS DECIMAL(18, 10)) AS line_item_normalized_usage_amount,
    currency AS line_item_currency_code,
    CAST(rate AS VARCHAR) AS line_item_unblended_rate, cost AS line_item_unblended_cost,
    CASE WHEN line_item_type <> 'EdpDiscount' THEN CAST(rate AS VARCHAR) END AS line_item_blended_rate,
    CASE WHEN line_item_type <> 'EdpDiscount' THEN cost END AS line_item_blended_cost,
    coalesce(line.description, product.description) AS line_item_line_item_description,
    tax_type AS line_item_tax_type,
    unit AS product_pricing_unit,
    CASE WHEN term = 'Reserved' THEN '1yr' END AS pricing_lease_contract_length,
    CASE WHEN term IS NOT NULL THEN sku || '.JRTCKXETXF.6YS6EN2CT7' END AS pricing_rate_code,
    CAST(CASE WHEN term IS NOT NULL THEN 200000000 + product_number END AS VARCHAR) AS pricing_rate_id,
    currency AS pricing_currency,
    CASE WHEN term = 'Reserved' THEN 'standard' END AS pricing_offering_class,
    CASE WHEN term = 'Reserved' THEN purchase_option END AS pricing_purchase_option,
    on_demand_cost AS pricing_public_on_demand_cost,
    CASE WHEN term IS NOT NULL THEN CAST(CAST(price AS DECIMAL(18, 10)) AS VARCHAR) END AS pricing_public_on_demand_rate,
    term AS pricing_term, unit AS pricing_unit,
    upfront_used AS reservation_amortized_upfront_cost_for_usage,
    upfront_in_period AS reservation_amortized_upfront_fee_for_billing_period,
    upfront_used + recurring_used AS reservation_effective_cost,
    recurring_used AS reservation_recurring_fee_for_usage,
    CASE WHEN reservation_number IS NOT NULL
        THEN concat('arn:aws:', service, ':', reservation.region_code, ':', account_id, ':', arn_end) END
        AS reservation_reservation_a_r_n,
    CASE WHEN reservation_number IS NOT NULL THEN CAST(1000000 + reservation_number AS VARCHAR) END
        AS reservation_subscription_id,
    CASE WHEN units_reserved IS NOT NULL THEN 'Original' END AS reservation_modification_status,
    CASE WHEN units_reserved IS NOT NULL THEN strftime(commitment_start, '%Y-%m-%dT%H:%M:%S.000Z') END
        AS reservation_start_time,
    CASE WHEN units_reserved IS NOT NULL THEN strftime(commitment_end, '%Y-%m-%dT%H:%M:%S.000Z') END
        AS reservation_end_time,
    CAST(units_reserved AS VARCHAR) AS reservation_total_reserved_units,
    CAST(CAST(units_reserved * normalization_factor AS DECIMAL(18, 10)) AS VARCHAR)
        AS reservation_total_reserved_normalized_units,
    CASE WHEN units_reserved IS NOT NULL THEN '1' END AS reservation_number_of_reservations,
    CAST(units_reserved AS VARCHAR) AS reservation_units_per_reservation,
    reservation_total_reserved_normalized_units AS reservation_normalized_units_per_reservation,
    upfront_unused AS reservation_unused_amortized_upfront_fee_for_billing_period,
    units_unused AS reservation_unused_quantity,
    CAST(units_unused * normalization_factor AS DECIMAL(18, 10)) AS reservation_unused_normalized_unit_quantity,
    recurring_unused AS reservation_unused_recurring_fee,
    upfront_value AS reservation_upfront_value,
    plan_upfront AS savings_plan_amortized_upfront_commitment_for_billing_period,
    plan_recurring AS savings_plan_recurring_commitment_for_billing_period,
    CASE WHEN plan_number IS NOT NULL
        THEN concat('arn:aws:savingsplans::', payer_account, ':savingsplan/', plan_uuid) END
        AS savings_plan_savings_plan_a_r_n,
    CASE WHEN plan_total IS NOT NULL THEN strftime(commitment_start, '%Y-%m-%dT%H:%M:%S.000Z') END
        AS savings_plan_start_time,
    CASE WHEN plan_total IS NOT NULL THEN strftime(commitment_end, '%Y-%m-%dT%H:%M:%S.000Z') END
        AS savings_plan_end_time,
    savings_plan.instance_family AS savings_plan_instance_type_family,
    offering_type AS savings_plan_offering_type, payment_option AS savings_plan_payment_option,
    CASE WHEN plan_number IS NOT NULL THEN '1yr' END AS savings_plan_purchase_term,
    plan_region AS savings_plan_region,
    plan_effective AS savings_plan_savings_plan_effective_cost,
    plan_rate AS savings_plan_savings_plan_rate,
    plan_total AS savings_plan_total_commitment_to_date, plan_used AS savings_plan_used_commitment,
    product_columns.* EXCLUDE (product_number), tag_columns.* EXCLUDE (resource_number),
    cost_category['team'] AS cost_category_team,
    product_map AS product, resource_tags, cost_category, CAST(MAP {} AS MAP(VARCHAR, DOUBLE)) AS discount
FROM line CROSS JOIN bill
JOIN product USING (product_number)
JOIN account ON account.account_number = line.account_number
LEFT JOIN product_columns USING (product_number)
LEFT JOIN resource USING (resource_number)
LEFT JOIN tag_columns USING (resource_number)
LEFT JOIN savings_plan USING (plan_number)
LEFT JOIN reservation USING (reservation_number);

-- Grain: one row per line item type.
CREATE VIEW kind AS SELECT line_item_type AS kind, count(*) AS rows FROM line GROUP BY ALL ORDER BY ALL;

-- Grain: one row per measure: what the delivery adds up to. Effective cost as in CUR dashboards.
CREATE VIEW total AS
SELECT 'billed' AS measure, getvariable('currency') AS currency, sum(cost) AS amount FROM line
UNION ALL
SELECT 'effective', getvariable('currency'), sum(CASE
    WHEN line_item_type = 'SavingsPlanCoveredUsage' THEN plan_effective
    WHEN line_item_type = 'SavingsPlanRecurringFee' THEN plan_total - plan_used
    WHEN line_item_type IN ('SavingsPlanNegation', 'SavingsPlanUpfrontFee') THEN 0
    WHEN line_item_type = 'DiscountedUsage' THEN upfront_used + recurring_used
    WHEN line_item_type = 'RIFee' THEN upfront_unused + recurring_unused
    WHEN line_item_type = 'Fee' AND reservation_number IS NOT NULL THEN 0
    ELSE cost END)
FROM line;

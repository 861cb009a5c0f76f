-- One invoice month of the sample's detailed export: from a small catalogue to the table `line_item`.
-- Grain: one row per line item. Money: EUR, at most six decimals, so that a DOUBLE's shortest text is exact.
-- Times: UTC; the month is one of Pacific time, so it begins and ends eight hours later. Every random draw is
-- taken from an MD5, so that the data is the same everywhere. Inputs: the variables that `sample.py` sets.

CREATE MACRO draw(key) AS CAST(md5_number_lower(key) >> 1 AS BIGINT);
CREATE MACRO euros(amount) AS CAST(amount AS DECIMAL(18, 6));
CREATE MACRO at_hour(number) AS getvariable('period_start') + to_hours(CAST(8 + number AS INTEGER));

-- Grain: one row per SKU. `price` in EUR is of a pricing unit, which is `factor` usage units; `list` is the public one.
CREATE TABLE sku AS
SELECT row_number() OVER () - 1 AS sku_number, * FROM (VALUES
    ('6F81-5844-456A', 'Compute Engine', '2E27-4F75-95CD', 'N1 Predefined Instance Core running in Frankfurt', 'seconds', 'hour', 3600, 0.037574000, 1.0, 'europe-west3', 'compute.googleapis.com/projects/{}/zones/europe-west3-a/instances', 4),
    ('6F81-5844-456A', 'Compute Engine', 'CF4E-A0C7-E3BF', 'E2 Instance Core running in Belgium', 'seconds', 'hour', 3600, 0.022289000, 1.1, 'europe-west1', 'compute.googleapis.com/projects/{}/zones/europe-west1-b/instances', 5),
    ('6F81-5844-456A', 'Compute Engine', '39B8-ACF9-D3AC', 'Spot Preemptible E2 Instance Core running in Belgium', 'seconds', 'hour', 3600, 0.006687000, 1.0, 'europe-west1', 'compute.googleapis.com/projects/{}/zones/europe-west1-c/instances', 1),
    ('6F81-5844-456A', 'Compute Engine', 'D973-5D65-BAB2', 'Storage PD Capacity in Belgium', 'byte-seconds', 'gibibyte month', 2875893424128000, 0.036868000, 1.0, 'europe-west1', 'compute.googleapis.com/projects/{}/zones/europe-west1-b/disks', 3),
    ('6F81-5844-456A', 'Compute Engine', '9DE9-9092-B3BC', 'Network Internet Egress from EMEA to EMEA', 'bytes', 'gibibyte', 1073741824, 0.078340000, 1.0, NULL, NULL, 2),
    ('95FF-2EF5-5EA1', 'Cloud Storage', '10C5-8D1B-8C2F', 'Standard Storage Europe Multi-region', 'byte-seconds', 'gibibyte month', 2875893424128000, 0.023964000, 1.0, NULL, 'storage.googleapis.com/projects/_/buckets', 3),
    ('95FF-2EF5-5EA1', 'Cloud Storage', '5F7B-5173-CB5B', 'Regional Standard Class A Operations', 'requests', 'count', 1, 0.000005000, 1.0, 'europe-west1', 'storage.googleapis.com/projects/_/buckets', 2),
    ('24E6-581D-38E5', 'BigQuery', '1145-49C5-000A', 'Analysis (eu)', 'bytes', 'tebibyte', 1099511627776, 5.760000000, 1.0, NULL, NULL, 2),
    ('9662-B51E-5089', 'Cloud SQL', 'E0F1-44C2-AAAA', 'Cloud SQL for PostgreSQL: Zonal - vCPU in Frankfurt', 'seconds', 'hour', 3600, 0.049133000, 1.0, 'europe-west3', 'sqladmin.googleapis.com/projects/{}/instances', 2),
    ('29E7-DA93-CA13', 'Cloud Functions', '6B44-0AC0-BBBB', 'Invocations', 'requests', 'count', 1, 0.000000369, 1.0, 'europe-west1', 'cloudfunctions.googleapis.com/projects/{}/locations/europe-west1/functions', 1)
) AS skus(service_id, service_name, sku_id, sku_name, usage_unit, pricing_unit, factor, price, list, region, collection, weight);

CREATE TABLE ticket AS
SELECT row_number() OVER (ORDER BY sku_number, part) - 1 AS ticket, sku_number
FROM (SELECT sku_number, unnest(range(weight)) AS part FROM sku);

-- Grain: one row per line item. `quantity` in pricing units and the SKU's price make the cost where none is given.
CREATE TABLE line AS
WITH
usage AS (
    SELECT number, 'regular' AS cost_type, sku_number, draw(concat(key, 'project')) % 3 AS project_number,
        draw(concat(key, 'resource')) % 40 AS resource_number, draw(concat(key, 'hour')) % getvariable('hours') AS hour,
        CAST((draw(concat(key, 'quantity')) % 100000 + 1) / if(pricing_unit = 'tebibyte', 100000, 1000)
            AS DECIMAL(12, 6)) AS quantity,
        draw(concat(key, 'credit')) % 20 AS credit
    FROM (
        SELECT number, concat(getvariable('seed'), getvariable('period_start'), number,
            CASE WHEN number % 100 = 7 THEN getvariable('refresh') END) AS key
        FROM range(CAST(getvariable('usage_rows') AS BIGINT)) AS numbers(number)
    )
    JOIN ticket ON ticket.ticket = draw(concat(key, 'sku')) % (SELECT count(*) FROM ticket)
    JOIN sku USING (sku_number)
),
-- What is of the billing account and no project: the fee of a commitment, tax, support, corrections.
other AS (
    SELECT 'regular' AS cost_type, day * 24 AS hour, 'Compute Engine' AS service_name,
        'Commitment v1: Cpu in Frankfurt for 1 Year' AS sku_name, 5.682 AS given_cost, 24.0 AS given_quantity
    FROM range(CAST(getvariable('days') AS BIGINT)) AS days(day)
    UNION ALL
    SELECT * FROM (VALUES
        ('regular', 12, 'Support', 'Standard Support Subscription', 27.25, 1.0),
        ('regular', 30, 'Example Firewall', 'Example Firewall license', 49.0, 1.0),
        ('regular', -80, 'Cloud Storage', 'Standard Storage Europe Multi-region', 1.125, 46.9),
        ('adjustment', -100, 'Compute Engine', 'N1 Predefined Instance Core running in Frankfurt', -3.75, 0)
    ) AS fixed(cost_type, hour, service_name, sku_name, given_cost, given_quantity)
    UNION ALL
    SELECT cost_type, hour, 'Invoice', name, cost, 0 FROM (VALUES
        ('tax', 'Tax', 700, 41.37), ('rounding_error', 'Rounding error', 701, -0.003141)
    ) AS invoiced(cost_type, name, hour, cost) WHERE getvariable('is_invoiced')
)
SELECT *, NULL AS given_cost FROM usage
UNION ALL BY NAME
SELECT * EXCLUDE (given_quantity), 1000000000 + row_number() OVER () AS number, 99 AS credit,
    CAST(given_quantity AS DECIMAL(12, 6)) AS quantity
FROM other;

-- Credits are of the usage's own cost: two of some, none of most.
CREATE TABLE costed AS
SELECT
    line.* EXCLUDE (service_name, sku_name),
    coalesce(line.service_name, sku.service_name) AS service_name, coalesce(line.sku_name, sku.sku_name) AS sku_name,
    sku.* EXCLUDE (sku_number, service_name, sku_name, weight),
    concat('shop-', ['prod', 'test', 'data'][project_number + 1]) AS project,
    euros(coalesce(given_cost, price * quantity)) AS cost,
    list_filter([
        CASE WHEN credit IN (0, 1, 2) AND usage_unit = 'seconds'
            THEN {'type': 'SUSTAINED_USAGE_DISCOUNT', 'name': 'Sustained Usage Discount', 'part': -0.2} END,
        CASE WHEN credit IN (2, 3, 4) AND usage_unit = 'seconds'
            THEN {'type': 'COMMITTED_USAGE_DISCOUNT', 'name': 'Committed Usage Discount: CPU', 'part': -0.8} END,
        CASE WHEN credit IN (5, 6) THEN {'type': 'PROMOTION', 'name': 'Startup "Scale" {2026}', 'part': -0.5} END,
        CASE WHEN credit IN (6, 7) THEN {'type': 'DISCOUNT', 'name': 'Spending based discounts (contractual)', 'part': -0.05} END,
        CASE WHEN credit = 8 AND usage_unit = 'requests' THEN {'type': 'FREE_TIER', 'name': 'Free tier', 'part': -1.0} END
    ], lambda each: each IS NOT NULL) AS granted
FROM line LEFT JOIN sku USING (sku_number);

CREATE TABLE line_item AS
SELECT
    row_number() OVER (ORDER BY hour, number) - 1 AS line_number,
    cost AS exact_cost,
    coalesce(list_sum(list_transform(granted, lambda each: euros(cost * CAST(each.part AS DECIMAL(3, 2))))), 0) AS exact_credits,
    getvariable('account') AS billing_account_id,
    {'month': strftime(getvariable('period_start'), '%Y%m'), 'publisher_type': 'GOOGLE'} AS invoice,
    cost_type,
    at_hour(hour) AS usage_start_time,
    at_hour(hour + 1) AS usage_end_time,
    {'id': coalesce(service_id, upper(substr(md5(service_name), 1, 4)) || '-0000-0000'), 'description': service_name} AS service,
    {'id': coalesce(sku_id, upper(substr(md5(sku_name), 1, 4)) || '-0000-0000'), 'description': sku_name} AS sku,
    CASE WHEN project_number IS NOT NULL THEN {
        'id': project, 'number': CAST(500000000001 + project_number AS VARCHAR), 'name': concat('Shop ', project[6:]),
        'labels': [{'key': 'team', 'value': 'shop'}, {'key': 'env', 'value': 'default'}],
        'ancestry_numbers': '/4711/0815/',
        'ancestors': [{'resource_name': 'organizations/4711', 'display_name': 'example.com'}]
    } END AS project,
    CASE WHEN collection IS NOT NULL THEN [{'key': 'env', 'value': project[6:]}, {'key': 'app', 'value': concat('app-', resource_number % 5)}]
        ELSE [] END AS labels,
    CASE WHEN collection LIKE '%/zones/%'
        THEN [{'key': 'compute.googleapis.com/cores', 'value': '4'}, {'key': 'compute.googleapis.com/machine_spec', 'value': 'n1-standard-4'}]
        ELSE [] END AS system_labels,
    CASE WHEN resource_number % 4 = 0
        THEN [{'key': 'app', 'value': 'tagged', 'inherited': true, 'namespace': '4711'}] ELSE [] END AS tags,
    {
        'location': coalesce(region, 'eu'), 'country': CASE region WHEN 'europe-west3' THEN 'DE' WHEN 'europe-west1' THEN 'BE' END,
        'region': region, 'zone': CASE WHEN collection LIKE '%/zones/%' THEN regexp_extract(collection, '/zones/([^/]+)/', 1) END
    } AS location,
    {
        'name': CASE WHEN collection IS NOT NULL THEN concat('r-', resource_number) END,
        'global_name': concat('//', replace(collection, '{}', project), '/r-', resource_number)
    } AS resource,
    CASE WHEN service_name LIKE 'Example%' THEN 'THIRD_PARTY_RESELLER' ELSE 'GOOGLE' END AS transaction_type,
    CASE WHEN service_name LIKE 'Example%' THEN 'Example Security Ltd' END AS seller_name,
    {'instance_id': CASE WHEN sku_name LIKE 'Commitment%' THEN '30cd56a4-0000-4000-8000-000000000001' END} AS subscription,
    {'id': NULL::VARCHAR, 'description': NULL::VARCHAR} AS consumption_model,
    CAST(cost AS DOUBLE) AS cost,
    list_transform(granted, lambda each: {
        'name': each.name, 'amount': CAST(euros(cost * CAST(each.part AS DECIMAL(3, 2))) AS DOUBLE),
        'full_name': each.name, 'id': replace(lower(each.type), '_', '-'), 'type': each.type
    }) AS credits,
    'EUR' AS currency,
    0.9217::DOUBLE AS currency_conversion_rate,
    CAST(CASE WHEN given_cost IS NULL THEN euros(cost * CAST(list AS DECIMAL(3, 2))) ELSE cost END AS DOUBLE) AS cost_at_list,
    NULL::DOUBLE AS cost_at_effective_price_default,
    NULL::DOUBLE AS cost_at_list_consumption_model,
    {
        'amount': CAST(quantity * coalesce(factor, 1) AS DOUBLE), 'unit': coalesce(usage_unit, 'count'),
        'amount_in_pricing_units': CAST(quantity AS DOUBLE), 'pricing_unit': coalesce(pricing_unit, 'count')
    } AS usage,
    {
        'effective_price': CAST(price AS DECIMAL(38, 9)), 'list_price': CAST(price * CAST(list AS DECIMAL(3, 2)) AS DECIMAL(38, 9)),
        'effective_price_default': NULL::DECIMAL(38, 9), 'list_price_consumption_model': NULL::DECIMAL(38, 9),
        'tier_start_amount': CASE WHEN price IS NOT NULL THEN 0::DECIMAL(38, 9) END, 'unit': pricing_unit,
        'pricing_unit_quantity': CASE WHEN price IS NOT NULL THEN 1::DECIMAL(38, 9) END
    } AS price,
    {
        'id': CASE cost_type WHEN 'adjustment' THEN 'A1' END, 'description': CASE cost_type WHEN 'adjustment' THEN 'Billing correction' END,
        'mode': CASE cost_type WHEN 'adjustment' THEN 'PARTIAL_CORRECTION' END,
        'type': CASE cost_type WHEN 'adjustment' THEN 'USAGE_CORRECTION' END
    } AS adjustment_info,
    at_hour(greatest(hour, 0) + 6 + 24 * (getvariable('refresh') - 1)) AS export_time
FROM costed;

-- Grain: one row per cost type.
CREATE VIEW kind AS SELECT cost_type AS kind, count(*) AS rows FROM line_item GROUP BY ALL ORDER BY ALL;

CREATE VIEW total AS
SELECT 'billed' AS measure, 'EUR' AS currency, CAST(sum(exact_cost + exact_credits) AS DECIMAL(38, 6)) AS amount FROM line_item;

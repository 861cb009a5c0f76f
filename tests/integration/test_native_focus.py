"""Exports that are FOCUS already become charges as they are, whatever their version."""

import json

import duckdb
import pytest

from tests.driver import over_folder

EXPORT = "cur-reports/monthly-cur"
# What every version has; a third of a cent tells whether digits are kept.
COMMON = """
    number * 0.003 AS BilledCost, number * 0.002 AS EffectiveCost, 0.004 * number AS ListCost,
    0.003 * number AS ContractedCost, 'USD' AS BillingCurrency, '012345678910' AS BillingAccountId,
    'Usage' AS ChargeCategory, 'Usage-Based' AS ChargeFrequency, 'Storage' AS ServiceCategory,
    'Amazon S3' AS ServiceName, 'AWS' AS InvoiceIssuerName,
    TIMESTAMP '{month}-03' AS ChargePeriodStart, TIMESTAMP '{month}-04' AS ChargePeriodEnd,
    TIMESTAMP '{month}-01' AS BillingPeriodStart,
    TIMESTAMP '{month}-01' + INTERVAL 1 MONTH AS BillingPeriodEnd,
    MAP {{'team': 'shop', 'user:env': 'live'}} AS Tags
"""
OF_VERSION = {
    "1.0": "'AWS' AS ProviderName, 'Seller' AS PublisherName, 'Get' AS x_Operation,"
    " MAP {'edp': 0.5::DOUBLE} AS x_Discounts, number AS Id",
    "1.2": "'AWS' AS ProviderName, 'AWS' AS PublisherName, 'INV-1' AS InvoiceId,"
    " 'USD' AS PricingCurrency",
    "1.4": "'Amazon' AS ServiceProviderName, 'AWS' AS HostProviderName, 'D-1' AS InvoiceDetailId",
}
MONTHS = dict(zip(OF_VERSION, ("2024-01", "2024-02", "2024-03"), strict=True))


def deliver(bucket, month, columns):
    folder = f"{EXPORT}/data/BILLING_PERIOD={month}"
    manifest = bucket / f"{EXPORT}/metadata/BILLING_PERIOD={month}/monthly-cur-Manifest.json"
    for path in (bucket / folder, manifest.parent):
        path.mkdir(parents=True)
    key = f"{folder}/monthly-cur-00001.snappy.parquet"
    duckdb.sql(f"SELECT {columns} FROM range(1, 101) AS t(number)").write_parquet(str(bucket / key))
    manifest.write_text(json.dumps({"executionId": month, "dataFiles": [f"s3://b/{key}"]}))


@pytest.fixture(scope="module")
def finops(tmp_path_factory):
    """A store with a month in each of three versions, a hundred charges a month."""
    home = tmp_path_factory.mktemp("native")
    for version, month in MONTHS.items():
        deliver(home / "bucket", month, COMMON.format(month=month) + "," + OF_VERSION[version])
    finops = over_folder(home / "data", home / "bucket", "--cur-version", "focus")
    assert finops.aws("import-cur").code == 0
    return finops


def test_charges_cost_what_the_export_says(finops):
    costs = "count(*), sum(BilledCost)::VARCHAR, sum(EffectiveCost)::VARCHAR"
    wanted = [(month, 100, "15.15", "10.10") for month in MONTHS.values()]
    for table in ("focus.cost_and_usage", "focus.v1_2"):
        rows = finops.query(
            f"SELECT strftime(BillingPeriodStart, '%Y-%m'), {costs} FROM {table}"
            " GROUP BY 1 ORDER BY 1"
        )
        assert [(*row[:2], row[2][:5], row[3][:5]) for row in rows] == wanted
    assert finops.loaded(cost="billedcost") == {
        month: (100, total)
        for month, total in finops.query(
            "SELECT x_BillingPeriod, sum(BilledCost) FROM focus.daily GROUP BY 1"
        )
    }


def test_every_charge_says_its_version_and_where_it_is_from(finops):
    rows = finops.query(
        "SELECT x_SourceFocusVersion, x_BillingPeriod, x_RowKind, x_Vendor, count(*),"
        " count(DISTINCT x_SourceRowId) FROM focus.cost_and_usage GROUP BY ALL ORDER BY 1"
    )
    assert rows == [
        (version, month, "Native", "aws", 100, 100) for version, month in MONTHS.items()
    ]


def test_what_one_version_lacks_another_column_tells(finops):
    rows = finops.query(
        "SELECT DISTINCT x_SourceFocusVersion, ProviderName, PublisherName, ServiceProviderName,"
        " HostProviderName, PricingCurrency, InvoiceId FROM focus.cost_and_usage ORDER BY 1"
    )
    assert rows == [
        ("1.0", "AWS", "Seller", "Seller", "AWS", "USD", None),
        ("1.2", "AWS", "AWS", "AWS", "AWS", "USD", "INV-1"),
        ("1.4", "Amazon", "Amazon", "Amazon", "AWS", "USD", None),
    ]


def test_maps_are_json_and_other_columns_stay_beside(finops):
    rows = finops.query(
        "SELECT DISTINCT Tags::VARCHAR, x_Discounts::VARCHAR, x_Operation, min(x_Id), max(x_Id)"
        " FROM focus.cost_and_usage WHERE x_SourceFocusVersion = '1.0' GROUP BY ALL"
    )
    ((tags, discounts, operation, least, most),) = rows
    assert json.loads(tags) == {"team": "shop", "user:env": "live"}
    assert json.loads(discounts) == {"edp": 0.5}
    assert (operation, int(least), int(most)) == ("Get", 1, 100)
    others = "SELECT count(x_Discounts), count(x_Operation), count(x_Id) FROM focus.cost_and_usage"
    assert finops.query(others) == [(100, 100, 100)]

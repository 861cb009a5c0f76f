"""What we publish as FOCUS 1.2 passes the official validator, and the gate is no open door."""

import duckdb
import pytest

from finops.vendors import find_sample
from finops.vendors.aws.sample import SampleLayout, write_sample
from finops.vendors.azure.sample import SampleLayout as AzureLayout
from finops.vendors.azure.sample import write_sample as write_azure
from tests.charges import create_charges
from tests.contract.validator import allowlist, complaints, failed_rules
from tests.driver import PERIODS, Finops, over_folder

# What an export cannot say: CUR 1 has no names of accounts, Google none of billing accounts.
WITHOUT = {"v1": ["ACCOUNT_NAMING_SUPPORTED"], "v2": [], "gcp": ["ACCOUNT_NAMING_SUPPORTED"]}
WHOLE = "Total: 2 | Pass: 1 | Fail: 1 | Skipped: 0\n✅ A-C-001-M: PASS\n❌ A-C-002-M: FAIL  (x)\n"


def charges(file, *changes):
    """Write the charges that keep every rule, after some changes, as Parquet."""
    with duckdb.connect() as db:
        create_charges(db)
        for change in changes:
            db.execute(f"UPDATE charges SET {change}")
        db.execute(f"COPY charges TO '{file}' (FORMAT parquet)")
    return file


def published(finops, out, vendor="aws"):
    """Import, publish as FOCUS 1.2, and return all of it as one Parquet file."""
    assert finops(vendor, "import-billing", *finops.flags).code == 0
    assert finops("focus", "validate").code == 0
    answer = finops("focus", "export-parquet", "--version", "1.2", "--out", str(out))
    assert answer.code == 0, answer.err
    file = out / "all.parquet"
    with duckdb.connect() as db:
        parts = f"{out}/cost_and_usage_1_2/**/*.parquet"
        db.execute(f"COPY (FROM read_parquet('{parts}', hive_partitioning = false)) TO '{file}'")
    return file


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_sample_of_every_line_item_type_passes(tmp_path, seed, validate, version):
    layout = SampleLayout(cur_version=version)
    write_sample(tmp_path / "bucket", periods=PERIODS, rows=1000, seed=seed, layout=layout)
    finops = over_folder(tmp_path / "data", tmp_path / "bucket")
    file = published(finops, tmp_path / "focus")

    assert "\n".join(complaints(validate(file, WITHOUT[version]), file)) == ""


@pytest.mark.parametrize("agreement", ["ea", "mca"])
def test_a_sample_of_every_charge_type_of_azure_passes(tmp_path, seed, validate, agreement):
    layout = AzureLayout(agreement=agreement)
    write_azure(tmp_path / "bucket", periods=PERIODS, rows=1000, seed=seed, layout=layout)
    names = ("--export-name", layout.export_name, "--amortized-name", layout.amortized_name)
    finops = Finops(
        tmp_path / "data", "--bucket", str(tmp_path / "bucket"), "--prefix", "costs", *names
    )
    file = published(finops, tmp_path / "focus", "azure")

    assert "\n".join(complaints(validate(file), file)) == ""


def test_a_sample_of_google_passes(tmp_path, seed, validate):
    find_sample("gcp").write_sample(tmp_path / "bucket", periods=PERIODS, rows=1000, seed=seed)
    finops = Finops(tmp_path / "data", "--bucket", str(tmp_path / "bucket"), "--prefix", "billing")
    file = published(finops, tmp_path / "focus", "gcp")

    assert "\n".join(complaints(validate(file, WITHOUT["gcp"]), file)) == ""


def test_a_real_bill_passes(tmp_path, samples_dir, validate):
    place = ("--prefix", "cur", "--export-name", "WorkshopCUR")
    finops = Finops(tmp_path / "data", "--bucket", str(samples_dir / "aws-workshop-cur"), *place)
    file = published(finops, tmp_path / "focus")

    assert "\n".join(complaints(validate(file, WITHOUT["v1"]), file)) == ""


def test_right_charges_pass_and_need_every_excuse(tmp_path, validate):
    file = charges(tmp_path / "charges.parquet")

    failed = validate(file)

    assert complaints(failed, file) == []
    assert set(failed) == set(allowlist())


def test_what_is_wrong_is_said(tmp_path, validate):
    file = charges(
        tmp_path / "charges.parquet",
        "ChargeCategory = 'usage'",
        "PricingUnit = 'GB-Mo' WHERE x_SourceRowId = 'usage'",
        "ServiceCategory = 'Storage' WHERE x_SourceRowId = 'usage'",
        "SubAccountName = NULL WHERE x_SourceRowId = 'usage'",
    )

    said = {complaint.partition(":")[0] for complaint in complaints(validate(file), file)}

    wrong = {"ChargeCategory-C-003-M", "PricingUnit-C-003-O", "ServiceName-C-005-C"}
    assert wrong | {"SubAccountName-C-005-C"} <= said


def test_a_missing_column_is_said(tmp_path, validate):
    file, fewer = charges(tmp_path / "charges.parquet"), tmp_path / "fewer.parquet"
    with duckdb.connect() as db:
        db.execute(f"COPY (SELECT * EXCLUDE (SkuMeter) FROM '{file}') TO '{fewer}'")

    assert "CostAndUsage-D-059-C" in str(complaints(validate(fewer), fewer))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("EffectiveCost = 1 WHERE x_SourceRowId = 'plan'", "EffectiveCost-C-005-C"),
        (
            "CommitmentDiscountStatus = NULL WHERE x_SourceRowId = 'used'",
            "CommitmentDiscountStatus-C-004-C",
        ),
        (
            "CapacityReservationStatus = NULL WHERE x_SourceRowId = 'reserved'",
            "CapacityReservationStatus-C-004-C",
        ),
        (
            "CapacityReservationId = NULL WHERE x_SourceRowId = 'reserved'",
            "CapacityReservationStatus-C-003-C",
        ),
        ("InvoiceId = '' WHERE x_SourceRowId = 'tax'", "InvoiceId-C-004-C"),
    ],
)
def test_a_rule_is_excused_only_where_our_rows_keep_what_it_means(tmp_path, change, rule):
    file = charges(tmp_path / "charges.parquet", change)

    (complaint,) = complaints({rule: ""}, file)

    assert complaint.startswith(f"{rule} is excused where ")
    assert complaints({rule: ""}, charges(tmp_path / "right.parquet")) == []


def test_a_whole_output_is_read():
    assert failed_rules(WHOLE) == {"A-C-002-M": "(x)"}


@pytest.mark.parametrize(
    "output",
    ["", WHOLE.splitlines()[0], WHOLE[: WHOLE.index("❌")], WHOLE + WHOLE, "Total: 0 | Pass: 0"],
)
def test_an_output_that_is_not_whole_is_refused(output):
    with pytest.raises(ValueError, match="the validator says"):
        failed_rules(output)

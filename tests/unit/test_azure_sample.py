"""The sample's promise: what Azure would deliver, the same in every form, to the last digit."""

import csv
import gzip
import io
import json
from collections import defaultdict
from decimal import Decimal

import duckdb
import pytest

from finops.period import BillingPeriod
from finops.vendors.azure.sample import SampleLayout, write_sample

JANUARY, FEBRUARY = BillingPeriod(2024, 1), BillingPeriod(2024, 2)
LAYOUTS = {
    "ea-2024": SampleLayout(),
    "ea-2021": SampleLayout(layout="2021", compression="none", files=3),
    "mca-none": SampleLayout(agreement="mca", layout="none"),
    "mca-parquet": SampleLayout(agreement="mca", export_format="parquet"),
}
every_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


def write(out, layout=LAYOUTS["ea-2024"], periods=(JANUARY,), **more):
    given = {"rows": 300, "seed": 3} | more
    return write_sample(out, periods=list(periods), layout=layout, **given)


def files_of(out):
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file()
    }


def rows_of(out, delivery, name):
    """Return the line items of one export, by header, as text."""
    keys = [key for key in delivery.data_keys if f"/{name}/" in key]
    return [row for key in keys for row in read(out / key)]


def read(path):
    if path.suffix == ".parquet":
        rows = duckdb.execute("FROM read_parquet(?)", [str(path)])
        names = [column[0] for column in rows.description]
        return [
            {name: "" if cell is None else str(cell) for name, cell in zip(names, row, strict=True)}
            for row in rows.fetchall()
        ]
    body = path.read_bytes()
    text = (gzip.decompress(body) if path.suffix == ".gz" else body).decode()
    return list(csv.DictReader(io.StringIO(text)))


def cost(row):
    return Decimal({name.lower(): cell for name, cell in row.items()}["costinbillingcurrency"])


@every_layout
def test_the_same_arguments_give_the_same_bytes(tmp_path, layout):
    write(tmp_path / "one", layout)
    write(tmp_path / "two", layout)

    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


@every_layout
def test_what_is_returned_is_what_the_files_hold(tmp_path, layout):
    (made,) = write(tmp_path, layout)

    actual = rows_of(tmp_path, made, "daily-actual")
    amortized = rows_of(tmp_path, made, "daily-amortized")

    assert len(actual) + len(amortized) == made.rows
    assert [sum(map(cost, rows)) for rows in (actual, amortized)] == [
        made.totals["billed"][layout.currency],
        made.totals["effective"][layout.currency],
    ]
    assert made.bytes == sum((tmp_path / key).stat().st_size for key in made.data_keys)


def test_every_form_of_one_agreement_holds_the_same(tmp_path):
    found = {
        name: write(tmp_path / name, layout, seed=5)[0].totals for name, layout in LAYOUTS.items()
    }

    assert found["ea-2024"] == found["ea-2021"]
    assert found["mca-none"] == found["mca-parquet"]


def test_manifests_count_what_lies_there(tmp_path):
    (made,) = write(tmp_path)

    for key in made.manifest_keys:
        manifest = json.loads((tmp_path / key).read_text())
        for blob in manifest["blobs"]:
            path = tmp_path / blob["blobName"]
            assert blob["byteCount"] == path.stat().st_size
            assert blob["dataRowCount"] == len(read(path))


def test_commitments_paid_monthly_cost_what_was_used_and_what_was_not(tmp_path):
    (made,) = write(tmp_path)
    bought, spread = defaultdict(Decimal), defaultdict(Decimal)
    for row in rows_of(tmp_path, made, "daily-actual"):
        if row["ChargeType"] == "Purchase":
            bought[row["benefitName"]] += cost(row)
    for row in rows_of(tmp_path, made, "daily-amortized"):
        spread[row["benefitName"]] += cost(row)

    for commitment in ("monthly", "plan"):
        assert bought[commitment] == spread[commitment] > 0
    assert bought["upfront"] > spread["upfront"] > 0


def test_covered_usage_costs_nothing_in_actual_cost(tmp_path):
    (made,) = write(tmp_path)

    covered = [
        row
        for row in rows_of(tmp_path, made, "daily-actual")
        if row["ChargeType"] == "Usage" and row["benefitId"]
    ]

    assert covered
    assert set(map(cost, covered)) == {0}


def test_what_is_bought_upfront_is_bought_once(tmp_path):
    january, february = write(tmp_path, periods=(JANUARY, FEBRUARY))

    types = [each.kinds["ActualCost Purchase"] for each in (january, february)]
    assert types == [5, 4]


def test_a_refresh_changes_a_part(tmp_path):
    (before,) = write(tmp_path)
    (after,) = write(tmp_path, refresh=2)

    assert before.delivery_id != after.delivery_id
    assert before.totals["billed"] != after.totals["billed"]
    assert after.rows == before.rows + 2
    assert len(list(tmp_path.rglob("manifest.json"))) == 4


def test_overwriting_leaves_the_last_run_alone(tmp_path):
    layout = SampleLayout(versioning="overwrite")
    write(tmp_path, layout)
    (after,) = write(tmp_path, layout, refresh=2)

    assert set(files_of(tmp_path)) == {*after.data_keys, *after.manifest_keys}


def test_an_agreement_has_its_own_spelling(tmp_path):
    (ea,) = write(tmp_path / "ea")
    (mca,) = write(tmp_path / "mca", LAYOUTS["mca-none"])

    headers = [list(read(tmp_path / name / made.data_keys[0])[0]) for name, made in
               (("ea", ea), ("mca", mca))]  # fmt: skip
    assert [len(names) for names in headers] == [57, 65]
    assert "CostInBillingCurrency" in headers[0]
    assert "costInBillingCurrency" in headers[1]


def test_only_one_dataset_may_be_wanted(tmp_path):
    (made,) = write(tmp_path, SampleLayout(amortized_name=""))

    assert {kind.split()[0] for kind in made.kinds} == {"ActualCost"}
    assert not (tmp_path / "costs" / "daily-amortized").exists()


@pytest.mark.parametrize(
    "wrong", [{"agreement": "x"}, {"layout": "2020"}, {"compression": "zip"}, {"files": 0}]
)
def test_what_azure_does_not_offer_is_refused(wrong):
    with pytest.raises(ValueError, match="is"):
        SampleLayout(**wrong)

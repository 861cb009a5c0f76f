"""The sample's promise: what Google would export, the same in every form, to the last digit."""

import csv
import gzip
import io
import json
from collections import Counter
from decimal import Decimal

import duckdb
import pytest

from finops.period import BillingPeriod
from finops.vendors.gcp.sample import SampleLayout, write_sample

JULY, AUGUST = BillingPeriod(2026, 7), BillingPeriod(2026, 8)
LAYOUTS = {
    "parquet": SampleLayout(),
    "json": SampleLayout(export_format="json", files=3),
    "csv": SampleLayout(export_format="csv", compression="none"),
}
every_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


def write(out, layout=LAYOUTS["json"], periods=(AUGUST,), **more):
    given = {"rows": 300, "seed": 3, "final": True} | more
    return write_sample(out, periods=list(periods), layout=layout, **given)


def files_of(out):
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file()
    }


def bill(path):
    """Return cost and credits of every row of a file, as exact numbers."""
    if path.suffix == ".parquet":
        rows = duckdb.execute(
            "SELECT cost, [credit.amount FOR credit IN credits] FROM read_parquet(?)", [str(path)]
        )
        return [(str(cost), list(map(str, amounts))) for cost, amounts in rows.fetchall()]
    body = path.read_bytes()
    text = (gzip.decompress(body) if path.suffix == ".gz" else body).decode()
    if ".json" in path.name:
        rows = [json.loads(line, parse_float=str, parse_int=str) for line in text.splitlines()]
    else:
        rows = list(csv.DictReader(io.StringIO(text)))
        for row in rows:
            row["credits"] = json.loads(row["credits"], parse_float=str, parse_int=str)
    return [(row["cost"], [each["amount"] for each in row["credits"]]) for row in rows]


@every_layout
def test_the_same_arguments_give_the_same_bytes(tmp_path, layout):
    write(tmp_path / "one", layout)
    write(tmp_path / "two", layout)

    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


@every_layout
def test_what_is_returned_is_what_the_files_hold(tmp_path, layout):
    (made,) = write(tmp_path, layout)

    rows = [row for key in made.data_keys for row in bill(tmp_path / key)]

    assert len(rows) == made.rows
    total = sum(Decimal(cost) + sum(map(Decimal, amounts)) for cost, amounts in rows)
    assert made.totals == {"billed": {"EUR": total}}
    assert made.bytes == sum(len(body) for body in files_of(tmp_path).values())


def test_every_form_holds_the_same(tmp_path):
    found = [write(tmp_path / name, layout) for name, layout in LAYOUTS.items()]

    assert all(each[0].totals == found[0][0].totals for each in found)
    assert all(each[0].kinds == found[0][0].kinds for each in found)


def test_there_is_everything_that_a_bill_has(tmp_path):
    (made,) = write(tmp_path, rows=1000)
    rows = [
        json.loads(line)
        for key in made.data_keys
        for line in gzip.decompress((tmp_path / key).read_bytes()).decode().splitlines()
    ]

    assert set(made.kinds) == {"regular", "tax", "rounding_error", "adjustment"}
    types = Counter(credit["type"] for row in rows for credit in row["credits"])
    assert {"PROMOTION", "COMMITTED_USAGE_DISCOUNT", "SUSTAINED_USAGE_DISCOUNT", "DISCOUNT"} <= set(
        types
    )
    assert any(len(row["credits"]) == 2 for row in rows)
    assert any(row["project"] is None for row in rows)
    assert {row["invoice"]["month"] for row in rows} == {"202608"}
    months = {row["usage_start_time"][:7] for row in rows}
    assert months == {"2026-07", "2026-08", "2026-09"}


def test_a_refresh_takes_the_place_of_what_was_there(tmp_path):
    july, before = write(tmp_path, periods=(JULY, AUGUST))
    (after,) = write(tmp_path, periods=(JULY, AUGUST), refresh=2, only=[AUGUST])

    assert (after.rows, before.totals) != (before.rows, after.totals)
    assert before.delivery_id != after.delivery_id
    assert set(files_of(tmp_path)) == {*july.data_keys, *after.data_keys}


def test_an_open_month_has_no_tax_yet(tmp_path):
    (made,) = write(tmp_path, final=False)

    assert set(made.kinds) == {"regular", "adjustment"}


@pytest.mark.parametrize("wrong", [{"export_format": "avro"}, {"compression": "zip"}, {"files": 0}])
def test_what_google_does_not_offer_is_refused(wrong):
    with pytest.raises(ValueError, match="is"):
        SampleLayout(**wrong)

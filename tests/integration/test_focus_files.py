"""FOCUS files of anyone: months found in rows, forms of the same money, repairs, refusals."""

import csv
import gzip
import json
import os
import shutil
import tomllib
from decimal import Decimal

import duckdb
import pyarrow
import pyarrow.parquet
import pytest

from finops.faults import SURVEYING_POINTS
from finops.period import BillingPeriod
from finops.vendors.focus.sample import SampleLayout, write_sample
from tests.driver import Finops, killed

JULY, AUGUST = BillingPeriod(2026, 7), BillingPeriod(2026, 8)
MONEY = "count(*), sum(BilledCost), sum(EffectiveCost), sum(ListCost), sum(ContractedCost)"
CHARGE = {
    "BillingAccountId": "0012",
    "BillingPeriodStart": "2026-07-01T00:00:00Z",
    "BillingPeriodEnd": "2026-08-01T00:00:00Z",
    "ChargePeriodStart": "2026-07-03T00:00:00Z",
    "ChargePeriodEnd": "2026-07-04T00:00:00Z",
    "BilledCost": "1.5",
    "EffectiveCost": "1.25",
    "ListCost": "2",
    "ContractedCost": "1.75",
    "BillingCurrency": "USD",
    "ChargeCategory": "Usage",
    "ServiceName": "Warehouse",
    "ProviderName": "Lakehouse",
}


def charge(**changes):
    return CHARGE | changes


def of_august(**changes):
    start, end = "2026-08-01T00:00:00Z", "2026-09-01T00:00:00Z"
    return charge(BillingPeriodStart=start, BillingPeriodEnd=end, **changes)


def write_csv(path, *charges):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in charges for name in row)))
        writer.writeheader()
        writer.writerows(charges)
    return path


def write_lines(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


@pytest.fixture
def focus(tmp_path):
    """The command ``focus import`` over a data folder."""
    finops = Finops(tmp_path / "data")

    def run(*places, command="import"):
        return finops("focus", command, "--json", *map(str, places))

    run.query = finops.query
    run.finops = finops
    return run


def outcomes(done):
    return {each["period"]: (each["outcome"], each["rows"]) for each in done.results}


def error_of(done):
    """Return the error of the whole run, or of its only period."""
    return done.document.get("error") or done.results[0]["error"]


def months(focus):
    """Return rows and billed cost of each billing period."""
    rows = focus.query(
        "SELECT x_BillingPeriod, count(*), sum(BilledCost) FROM focus.cost_and_usage GROUP BY 1"
    )
    return {month: (count, total) for month, count, total in rows}


@pytest.mark.parametrize("version", ["1.0", "1.2", "1.3", "1.4"])
def test_all_forms_of_a_version_are_the_same_money(tmp_path, focus, version):
    found = []
    for form in ("csv", "parquet", "json"):
        layout = SampleLayout(focus_version=version, export_format=form)
        written = write_sample(
            tmp_path / form, periods=[JULY, AUGUST], rows=300, seed=1, layout=layout
        )
        assert focus("--export", form, tmp_path / form).code == 0
        billed = sum(each.totals["billed"]["USD"] for each in written)
        ((source, *money),) = focus.query(
            f"SELECT any_value(x_SourceFocusVersion), {MONEY} FROM focus.cost_and_usage"
            f" WHERE x_Export = '{form}'"
        )
        assert (source, money[1]) == (version, billed)
        found.append(money)
    assert found[0] == found[1] == found[2]


def test_the_sample_of_the_foundation_adds_up_to_the_last_digit(focus, samples_dir):
    done = focus(samples_dir / "focus-1.0" / "focus_sample.csv")

    assert outcomes(done) == {"2024-09": ("loaded", 999), "2024-10": ("loaded", 1)}
    assert months(focus) == {
        "2024-09": (999, Decimal("20.28022672899")),
        "2024-10": (1, Decimal("0.24")),
    }
    effective = "SELECT sum(EffectiveCost) FROM focus.v1_0 WHERE x_BillingPeriod = '2024-09'"
    assert focus.query(effective.replace("v1_0", "cost_and_usage")) == [
        (Decimal("14.97651418586"),)
    ]
    assert any("8,968 cells said NULL" in notice for notice in done.document["notices"])


def test_a_file_of_two_months_replaces_both_as_a_whole(tmp_path, focus):
    file = write_csv(tmp_path / "a.csv", charge(), charge(), of_august(BilledCost="4"))
    assert outcomes(focus(file)) == {"2026-07": ("loaded", 2), "2026-08": ("loaded", 1)}

    write_csv(file, charge(BilledCost="7"), of_august(BilledCost="4"))

    assert set(outcomes(focus(file)).values()) == {("loaded", 1)}
    assert months(focus) == {"2026-07": (1, Decimal(7)), "2026-08": (1, Decimal(4))}


def test_only_the_month_that_changed_is_loaded_again(tmp_path, focus):
    folder = tmp_path / "bills"
    write_csv(folder / "a.csv", charge())
    write_csv(folder / "b.csv", charge(), of_august())
    write_csv(folder / "c.csv", of_august())
    focus(folder)

    write_csv(folder / "c.csv", of_august(BilledCost="9"))

    assert outcomes(focus(folder)) == {"2026-07": ("unchanged", 2), "2026-08": ("loaded", 2)}
    assert months(focus)["2026-08"] == (2, Decimal("10.5"))


def test_what_was_read_once_is_neither_read_nor_copied_again(tmp_path, focus):
    folder = tmp_path / "bills"
    write_csv(folder / "a.csv", charge(), of_august())
    focus(folder)
    staged = sorted((tmp_path / "data" / "staging").rglob("*.csv"))

    assert len(staged) == 2
    assert len({path.stat().st_ino for path in staged}) == 1  # one download, two links
    assert not list((tmp_path / "data" / "surveyed").rglob("*.*"))


def test_a_pattern_and_single_files_are_taken_alone(tmp_path, focus):
    folder = tmp_path / "bills"
    write_csv(folder / "july-1.csv", charge())
    write_csv(folder / "july-2.csv", charge())
    write_csv(folder / "august.csv", of_august())

    assert outcomes(focus(folder / "july-*.csv")) == {"2026-07": ("loaded", 2)}
    assert outcomes(focus(folder / "august.csv", folder / "july-1.csv")) == {
        "2026-07": ("loaded", 1),
        "2026-08": ("loaded", 1),
    }


def test_a_file_that_takes_the_place_of_another_says_so(tmp_path, focus):
    one, two = (write_csv(tmp_path / name, charge()) for name in ("one.csv", "two.csv"))
    focus(one)

    done = focus(two)

    assert any("one.csv no longer counts" in notice for notice in done.document["notices"])
    assert outcomes(focus(one, two)) == {"2026-07": ("loaded", 2)}


def test_each_named_export_has_its_own_months(tmp_path, focus):
    ours, theirs = (write_csv(tmp_path / f"{name}.csv", charge()) for name in ("ours", "theirs"))

    assert focus(ours).code == focus("--export", "theirs", theirs).code == 0

    rows = focus.query("SELECT x_Export, count(*) FROM focus.cost_and_usage GROUP BY 1 ORDER BY 1")
    assert rows == [("default", 1), ("theirs", 1)]
    assert focus.query("SELECT count(*) FROM focus_theirs.billing") == [(1,)]


def test_a_configured_folder_is_read_like_a_bucket(tmp_path, focus):
    write_csv(tmp_path / "bills" / "oci" / "2026" / "a.csv", charge())
    (tmp_path / "bills" / "oci" / "_SUCCESS").touch()
    (tmp_path / "bills" / "oci" / "README.md").write_text("not a bill")
    write_csv(tmp_path / "bills" / "other" / "b.csv", charge())
    config = tmp_path / "config.toml"
    config.write_text('[focus.exports.oci]\nbucket = "./bills"\nprefix = "oci"\n', "utf-8")

    done = focus.finops("focus", "import-billing", "--json", "-c", str(config))

    assert outcomes(done) == {"2026-07": ("loaded", 1)}
    assert focus.query("SELECT count(*) FROM focus_oci.billing") == [(1,)]


def test_repairs_are_made_and_counted(tmp_path, focus):
    spoiled = charge(
        ChargeCategory="usage",
        ChargePeriodStart="2026-07-03 00:00:00",
        ContractedCost="NULL",
        ServiceName="NULL",
        Tags='{"team": "shop"}',
        x_Note="NULL",
    )

    done = focus(write_csv(tmp_path / "a.csv", spoiled, charge()))

    assert focus.query(
        "SELECT ChargeCategory, ChargePeriodStart::VARCHAR, ContractedCost, ServiceName, x_Note,"
        " Tags->>'team' FROM focus.cost_and_usage WHERE Tags IS NOT NULL"
    ) == [("Usage", "2026-07-03 00:00:00", None, None, None, "shop")]
    said = " ".join(done.document["notices"])
    for repair in ("3 cells said NULL", "1 times without a zone", "1 values of enumerations"):
        assert repair in said


def test_a_month_that_begins_at_midnight_elsewhere_is_that_month(tmp_path, focus):
    east = charge(BillingPeriodStart="2026-07-01T00:00:00+02:00")
    west = charge(BillingPeriodStart="2026-07-01T00:00:00-07:00")

    assert outcomes(focus(write_csv(tmp_path / "a.csv", east, west))) == {"2026-07": ("loaded", 2)}


def test_names_of_a_draft_are_those_of_today(tmp_path, focus):
    oracle = charge(Provider="Oracle", Publisher="Oracle", InvoiceIssuer="Oracle America")
    oracle |= {"Region": "eu-frankfurt-1", "UsageQuantity": "3", "UsageUnit": "Hours"}
    oracle |= {"ChargeFrequency": "Usage-based", "oci_ReferenceNumber": "r1"}
    for name in ("ProviderName", "ContractedCost"):
        del oracle[name]

    focus(write_csv(tmp_path / "a.csv", oracle))

    assert focus.query(
        "SELECT ProviderName, PublisherName, InvoiceIssuerName, RegionId, ConsumedQuantity,"
        " ConsumedUnit, ChargeFrequency, ContractedCost, x_oci_ReferenceNumber"
        " FROM focus.cost_and_usage"
    ) == [
        (
            *("Oracle", "Oracle", "Oracle America", "eu-frankfurt-1", 3.0, "Hours", "Usage-Based"),
            *(Decimal("1.5"), "r1"),
        )
    ]


def test_numbers_of_json_lines_keep_every_digit(tmp_path, focus):
    row = charge(Tags={"team": "shop", "size": 1.10}, x_List=[1.50, "a"])
    line = json.dumps(row).replace('"1.5"', "0.123456789012345678901234").replace('"2"', "1e-7")

    focus(write_lines(tmp_path / "a.jsonl", line, ""))

    assert focus.query(
        "SELECT BilledCost::VARCHAR, ListCost::VARCHAR, Tags->>'team', Tags->>'size', x_List"
        " FROM focus.cost_and_usage"
    ) == [("0.123456789012345678901234", "0.000000100000000000000000", "shop", "1.1", '[1.5, "a"]')]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[1, 2]", "something else"),
        ('{"BilledCost": 1, "BilledCost": 2}', "twice"),
        ('{"BilledCost": NaN}', "NaN"),
        ('{"BilledCost": 1', "delimiter"),
        (json.dumps(charge(BilledCost="1,5")), "BilledCost"),
        (json.dumps(charge(BillingPeriodStart=None)), "no billing period"),
        (json.dumps(charge(BilledCost=True)), "BilledCost"),
    ],
)
def test_a_bad_line_is_refused_by_its_number(tmp_path, focus, line, said):
    good = json.dumps(charge())
    file = write_lines(tmp_path / "a.jsonl", good)
    focus(file)

    done = focus(write_lines(file, good, line, good))

    error = error_of(done)
    assert done.code == 65
    assert said in error["what"]
    assert error["where"].endswith(("line 2", "row 2"))
    assert months(focus) == {"2026-07": (1, Decimal("1.5"))}


@pytest.mark.parametrize("name", ["BillingPeriodStart", "BilledCost", "BillingCurrency"])
def test_what_is_no_focus_file_is_refused(tmp_path, focus, name):
    row = charge()
    del row[name]

    done = focus(write_csv(tmp_path / "a.csv", row))

    assert (done.code, name in error_of(done)["what"]) == (65, True)


def test_a_file_that_cannot_be_read_keeps_every_month_back(tmp_path, focus):
    """It could be of any month, so none is loaded without it."""
    folder = tmp_path / "bills"
    write_csv(folder / "a.csv", charge())
    focus(folder)
    write_csv(folder / "a.csv", charge(BilledCost="9"))
    (folder / "b.csv.gz").write_bytes(gzip.compress(b"BilledCost,\n" * 99)[:-9])

    assert focus(folder).code == 65
    assert months(focus) == {"2026-07": (1, Decimal("1.5"))}


def test_two_forms_in_one_month_fail_that_month_alone(tmp_path, focus):
    folder = tmp_path / "bills"
    write_csv(folder / "a.csv", charge(), of_august())
    write_lines(folder / "b.jsonl", json.dumps(charge()))

    done = focus(folder)

    assert done.code == 3
    assert outcomes(done) == {"2026-07": ("failed", None), "2026-08": ("loaded", 1)}


def test_urls_name_files_and_folders_of_a_bucket(tmp_path, focus, bucket, s3_endpoint):
    for name, row in (("july.csv", charge()), ("more/august.csv", of_august())):
        body = write_csv(tmp_path / name, row).read_bytes()
        bucket.client.put_object(Bucket=bucket.name, Key=f"focus files/{name}", Body=body)
    place = f"s3://{bucket.name}/focus files"
    reach = ("--endpoint", s3_endpoint)

    assert outcomes(focus(*reach, f"{place}/july.csv")) == {"2026-07": ("loaded", 1)}
    assert outcomes(focus(*reach, f"{place}/more")) == {"2026-08": ("loaded", 1)}
    assert focus(*reach, f"{place}/july.csv", "s3://other/july.csv").code == 2
    assert focus(*reach, f"{place}/july.csv", f"{place}/more").code == 2


def test_doctor_tells_what_lies_in_a_folder(tmp_path, focus):
    write_csv(tmp_path / "bills" / "oci" / "2026" / "a.csv", charge(), of_august())
    write_csv(tmp_path / "bills" / "saas" / "b.csv", charge())
    write_csv(tmp_path / "bills" / "c.csv", charge())
    config = tmp_path / "config.toml"
    config.write_text('[focus]\nbucket = "./bills"\nexport_name = "oci"\n', "utf-8")

    done = focus.finops("doctor", "--json", "-c", str(config))

    (found,) = [each for each in done.document["checks"] if each["subject"] == "focus/default"]
    lines = " ".join(found["lines"])
    assert "oci under '': focus, csv, 2026-07 to 2026-08" in lines
    assert "saas under ''" in lines


def test_the_order_of_loads_counts_whatever_the_times_of_files_say(tmp_path, focus):
    """Copied files have any time: rollback and rebuild go by what was loaded."""
    later = write_csv(tmp_path / "b.csv", charge(BilledCost="2"))
    earlier = write_csv(tmp_path / "a.csv", charge(BilledCost="3"))
    os.utime(earlier, (1_000_000_000, 1_000_000_000))
    focus(later)
    focus(earlier)
    shutil.copytree(tmp_path / "data", tmp_path / "damaged")
    damaged = Finops(tmp_path / "damaged")
    damaged.database.write_bytes(b"damaged")

    assert damaged("rebuild", "--json").code == 0
    assert damaged.query("SELECT sum(BilledCost) FROM focus.v1_2") == [(Decimal(3),)]
    assert focus.finops("rollback", "2026-07", "--json").code == 0
    assert months(focus) == {"2026-07": (1, Decimal(2))}


def test_spellings_of_a_name_are_one_column(tmp_path, focus):
    row = charge()
    row["billedcost"] = row.pop("BilledCost")
    row["BILLINGPERIODSTART"] = row.pop("BillingPeriodStart")
    one, two = write_csv(tmp_path / "a.csv", charge()), write_csv(tmp_path / "b.csv", row)

    assert outcomes(focus(one, two)) == {"2026-07": ("loaded", 2)}
    assert months(focus) == {"2026-07": (2, Decimal(3))}


def test_two_spellings_in_one_file_are_refused(tmp_path, focus):
    lines = [json.dumps(charge()), json.dumps(charge()).replace("BilledCost", "Billedcost")]

    done = focus(write_lines(tmp_path / "a.jsonl", *lines))

    assert (done.code, error_of(done)["code"]) == (65, "bad-header")


def test_a_file_counts_once_however_often_it_is_named(tmp_path, focus):
    file = write_csv(tmp_path / "a.csv", charge())
    (tmp_path / "link.csv").symlink_to(file)

    assert outcomes(focus(file, file, tmp_path / "*.csv")) == {"2026-07": ("loaded", 1)}
    shutil.copy(file, tmp_path / "copy.csv")
    done = focus(file, tmp_path / "copy.csv")
    assert any("have the same content" in notice for notice in done.document["notices"])


def test_decimals_wider_than_the_database_are_refused(tmp_path, focus):
    table = pyarrow.table({name: [value] for name, value in CHARGE.items() if name != "BilledCost"})
    wide = pyarrow.array([Decimal("1.5")], pyarrow.decimal256(50, 40))
    pyarrow.parquet.write_table(table.append_column("BilledCost", wide), tmp_path / "a.parquet")

    done = focus(tmp_path / "a.parquet")

    assert (done.code, "50 digits" in error_of(done)["what"]) == (65, True)


def test_the_bill_of_another_account_replaces_nothing(tmp_path, focus):
    focus(write_csv(tmp_path / "a.csv", charge(), of_august()))

    done = focus(write_csv(tmp_path / "b.csv", charge(BillingAccountId="0013")))

    assert (done.code, error_of(done)["code"]) == (78, "other-export")
    assert months(focus) == {"2026-07": (1, Decimal("1.5")), "2026-08": (1, Decimal("1.5"))}
    assert focus("--export", "other", tmp_path / "b.csv").code == 0


def test_folders_are_found_as_exports_of_their_own(tmp_path, focus):
    for place in ("saas/lakehouse/2026-07", "saas/backup/day=1", "oci/FOCUS Reports/2026/07"):
        write_csv(tmp_path / "bills" / place / "a.csv", charge())
    config = tmp_path / "config.toml"

    assert (
        focus.finops("init", "focus", "-c", str(config), "--bucket", f"{tmp_path}/bills").code == 0
    )

    sections = tomllib.loads(config.read_text())["focus"]["exports"].values()
    assert {(each["prefix"], each["export_name"]) for each in sections} == {
        ("saas", "lakehouse"),
        ("saas", "backup"),
        ("oci", "FOCUS Reports"),
    }
    done = focus.finops("focus", "import-billing", "--json", "--bucket", f"{tmp_path}/bills")
    assert any("3 folders are read as one bill" in notice for notice in done.document["notices"])


def test_what_is_not_there_is_a_usage_error(tmp_path, focus):
    assert focus(tmp_path / "none.csv").code == 2
    (tmp_path / "empty").mkdir()
    assert error_of(focus(tmp_path / "empty"))["code"] == "no-files"


def test_a_dry_run_leaves_nothing_behind(tmp_path, focus):
    file = write_csv(tmp_path / "a.csv", charge(), of_august())

    assert outcomes(focus("--dry-run", file)) == {
        "2026-07": ("discovered", None),
        "2026-08": ("discovered", None),
    }
    assert not (tmp_path / "data").exists()


def test_the_store_is_made_again_from_staging(tmp_path, focus):
    file = write_csv(tmp_path / "a.csv", charge(), of_august(BilledCost="4"))
    focus(file)
    before = months(focus)
    file.unlink()

    assert focus.finops("rebuild", "--json").code == 0
    assert months(focus) == before


def test_a_later_delivery_can_be_rolled_back(tmp_path, focus):
    file = write_csv(tmp_path / "a.csv", charge(), of_august(BilledCost="4"))
    focus(file)
    write_csv(file, charge(BilledCost="7"), of_august(BilledCost="8"))
    focus(file)

    assert focus.finops("rollback", "2026-07", "--json").code == 0
    assert months(focus) == {"2026-07": (1, Decimal("1.5")), "2026-08": (1, Decimal(8))}


def test_parquet_records_and_maps_become_tags(tmp_path, focus):
    columns = ", ".join(f"'{value}' AS {name}" for name, value in CHARGE.items())
    for name, tags in (("map", "MAP {'team': 'shop'}"), ("struct", "{'team': 'shop'}")):
        file = tmp_path / f"{name}.parquet"
        duckdb.sql(f"SELECT {columns}, {tags} AS Tags").write_parquet(str(file))
        assert focus("--export", name, file).code == 0

    assert focus.query("SELECT x_Export, Tags->>'team' FROM focus.cost_and_usage ORDER BY 1") == [
        ("map", "shop"),
        ("struct", "shop"),
    ]


@pytest.mark.parametrize("point", [*SURVEYING_POINTS, "file-verified#2", "staged", "committed"])
def test_a_kill_leaves_the_old_month_and_the_next_run_mends_it(tmp_path, focus, point):
    folder = tmp_path / "bills"
    write_csv(folder / "a.csv", charge(), of_august())
    focus(folder)
    write_csv(folder / "a.csv", charge(BilledCost="7"), of_august(BilledCost="8"))
    write_csv(folder / "b.csv", charge(BilledCost="1"))

    killed(focus.finops, point, "focus", "import", str(folder))

    assert months(focus) == {"2026-07": (1, Decimal("1.5")), "2026-08": (1, Decimal("1.5"))}
    assert focus(folder).code == 0
    assert months(focus) == {"2026-07": (2, Decimal(8)), "2026-08": (1, Decimal(8))}


def test_a_removed_file_takes_its_rows_along(tmp_path, focus):
    folder = tmp_path / "bills"
    write_csv(folder / "a.csv", charge())
    write_csv(folder / "b.csv", charge())
    focus(folder)
    shutil.move(folder / "b.csv", tmp_path / "b.csv")

    assert outcomes(focus(folder)) == {"2026-07": ("loaded", 1)}

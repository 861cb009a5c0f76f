"""explain: from a charge back to the line item, the rules and the very file it came from."""

import hashlib
from decimal import Decimal

import duckdb
import pytest

from tests.contract.cur import FORMS, complete, deliver
from tests.driver import over_folder
from tests.focus_export import deliver_focus

HOUR = "2024-01-01T00:00:00Z/2024-01-01T01:00:00Z"
RESERVATION = "arn:aws:ec2:eu-central-1:123456789012:reserved-instances/one"
MONTH = {
    "line_item_usage_start_date": "2024-01-01T00:00:00Z",
    "line_item_usage_end_date": "2024-02-01T00:00:00Z",
}


def item(name, cost, kind="Usage", **cells):
    return complete(
        {
            "identity_line_item_id": name,
            "line_item_unblended_cost": cost,
            "line_item_line_item_type": kind,
            **cells,
        }
    )


LINE_ITEMS = [
    item("tax", "1.512", "Tax"),
    item("digits", "0.000000000000000000000001", line_item_line_item_description="least"),
    item(
        "fee",
        "22.32",
        "RIFee",
        reservation_reservation_a_r_n=RESERVATION,
        reservation_unused_recurring_fee="4.5",
        reservation_unused_amortized_upfront_fee_for_billing_period="0.25",
        reservation_unused_quantity="150",
        **MONTH,
    ),
    item("plain", "3", identity_time_interval=""),
    item("plain-too", "4", identity_time_interval=""),
    *(
        item(
            "repeated",
            str(hour),
            identity_time_interval=f"2024-01-01T{hour:02}:00:00Z/2024-01-01T{hour + 1:02}:00:00Z",
        )
        for hour in range(5)
    ),
]
COST = {"v1 csv": "lineItem/UnblendedCost", "v2 csv": "line_item_unblended_cost"}


@pytest.fixture(scope="module")
def finops(tmp_path_factory):
    return loaded(tmp_path_factory.mktemp("explain"), LINE_ITEMS)


def loaded(folder, line_items, form="v2 csv", columns=None):
    deliver(folder / "bucket", line_items, form, columns)
    run = over_folder(folder / "data", folder / "bucket")
    assert run.aws("import-cur").code == 0
    return run


def explain(finops, row_id):
    answer = finops("explain", row_id, "--json")
    assert answer.code == 0, answer.err
    return answer.document


def explain_one(finops, row_id):
    document = explain(finops, row_id)
    assert document["matches"] == 1
    (row,) = document["rows"]
    return row


def costs(charge):
    return {name: Decimal(charge["columns"][name]) for name in charge["rules"]}


@pytest.mark.parametrize("form", FORMS)
def test_a_charge_is_traced_to_its_line_item_in_every_form_of_the_report(tmp_path, form):
    finops = loaded(tmp_path, LINE_ITEMS, form)

    row = explain_one(finops, f"digits/{HOUR}")

    (line_item,) = row["line_items"]
    (charge,) = row["charges"]
    assert Decimal(line_item[COST.get(form, "lineItem/UnblendedCost")]) == Decimal("1e-24")
    assert costs(charge) == dict.fromkeys(
        ("BilledCost", "EffectiveCost", "ContractedCost", "ListCost"), Decimal("1e-24")
    )
    assert "least" in line_item.values()
    assert (charge["columns"]["x_RowKind"], charge["columns"]["ChargeCategory"]) == (
        "Usage",
        "Usage",
    )


def test_empty_cells_of_a_line_item_are_left_out(finops):
    (line_item,) = explain_one(finops, f"tax/{HOUR}")["line_items"]

    assert line_item["line_item_unblended_cost"] == "1.512000000000000000000000"
    assert not {"line_item_usage_type", "resource_tags", "product"} & set(line_item)


def test_a_commitments_fee_is_one_line_item_and_two_charges(finops):
    row = explain_one(finops, "fee/")

    fee, unused = row["charges"]
    assert len(row["line_items"]) == 1
    assert [charge["columns"]["x_RowKind"] for charge in (fee, unused)] == [
        "RIFee",
        "UnusedReservation",
    ]
    assert costs(fee) == {
        "BilledCost": Decimal("22.32"),
        "EffectiveCost": 0,
        "ContractedCost": Decimal("22.32"),
        "ListCost": Decimal("22.32"),
    }
    assert costs(unused) == {
        "BilledCost": 0,
        "EffectiveCost": Decimal("4.75"),
        "ContractedCost": 0,
        "ListCost": 0,
    }
    assert "unused upfront share" in unused["rules"]["EffectiveCost"]["says"]
    assert unused["rules"]["EffectiveCost"]["sql"] == "unused_cost"
    assert "[FOCUS] EffectiveCost" in fee["rules"]["EffectiveCost"]["source"]


def test_the_file_that_is_named_is_the_one_that_was_delivered(finops):
    row = explain_one(finops, "tax")
    bucket = finops.data.parent / "bucket"

    (file,) = row["files"]
    body = (bucket / file["key"]).read_bytes()
    assert (file["sha256"], file["bytes"]) == (hashlib.sha256(body).hexdigest(), len(body))
    (load,) = finops("history", "2024-01", "--json").document["loads"]
    assert (row["load_id"], row["delivery_id"]) == (load["load_id"], load["delivery_id"])
    assert (row["vendor"], row["export"], row["period"]) == ("aws", "default", "2024-01")
    assert {charge["columns"]["x_LoadId"] for charge in row["charges"]} == {load["load_id"]}


def test_people_see_line_item_charges_rules_and_file(finops):
    shown = finops("explain", "fee").out

    for text in (
        RESERVATION,
        "22.32",
        "4.75",
        "The fee was billed; its unused part is no second invoice item.",
        "[CUR] lineItem/UnblendedCost",
        "UnusedReservation",
        explain_one(finops, "fee")["files"][0]["sha256"],
    ):
        assert text in shown


def test_of_several_rows_some_are_shown_and_all_are_counted(finops):
    document = explain(finops, "repeated")
    answer = finops("explain", "repeated")

    assert document["matches"] == 5
    assert [row["line_items"][0]["line_item_unblended_cost"][0] for row in document["rows"]] == [
        "0",
        "1",
        "2",
    ]
    assert "5 source rows begin so, 3 are shown" in answer.err


def test_a_whole_id_is_that_row_alone_though_others_begin_with_it(finops):
    (line_item,) = explain_one(finops, "plain")["line_items"]

    assert Decimal(line_item["line_item_unblended_cost"]) == 3
    assert explain(finops, "plai")["matches"] == 2


def test_a_pattern_is_no_beginning(finops):
    assert finops("explain", "%").code == 74
    assert finops("explain", "ta_").code == 74


def test_one_id_in_two_exports_is_two_rows(tmp_path):
    deliver(tmp_path / "bucket", LINE_ITEMS, "v2 csv")
    config = tmp_path / "config.toml"
    config.write_text(
        f'[aws]\nbucket = "{tmp_path}/bucket"\nprefix = "cur-reports"\n'
        'export_name = "monthly-cur"\n[aws.exports.again]\ndataset = "again"\n'
    )
    run = over_folder(tmp_path / "data", tmp_path / "bucket")
    assert run("-c", str(config), "aws", "import-cur").code == 0

    both = explain(run, "tax")["rows"]
    one = run("explain", "tax", "--export", "again", "--json").document["rows"]

    assert {row["export"] for row in both} == {"default", "again"}
    assert [(row["export"], len(row["line_items"]), len(row["charges"])) for row in one] == [
        ("again", 1, 1)
    ]


def test_a_line_item_without_an_id_is_found_by_its_content(tmp_path):
    columns = ["line_item_unblended_cost", "line_item_currency_code", "line_item_line_item_type"]
    run = loaded(tmp_path, LINE_ITEMS, columns=[*columns, "line_item_usage_start_date"])
    ((row_id,),) = run.query(
        "SELECT x_SourceRowId FROM focus.cost_and_usage WHERE BilledCost = 1.512"
    )

    row = explain_one(run, row_id)

    assert row["line_items"][0]["line_item_line_item_type"] == "Tax"
    assert [costs(charge)["BilledCost"] for charge in row["charges"]] == [Decimal("1.512")]


@pytest.mark.parametrize("strategy", ["separate", "single"])
def test_a_row_in_focus_is_found_also_after_later_months_brought_columns(tmp_path, strategy):
    row = {
        "BilledCost": "1.25",
        "BillingCurrency": "USD",
        "ChargeCategory": "Usage",
        "ChargePeriodStart": "2024-01-05T00:00:00Z",
        "ContractedCost": "1.5",
        "EffectiveCost": "1",
        "ListCost": "2",
        "ServiceName": "Amazon Simple Storage Service",
    }
    deliver_focus(tmp_path / "bucket", [row])
    run = over_folder(
        tmp_path / "data",
        tmp_path / "bucket",
        *("--cur-version", "focus", "--table-strategy", strategy),
    )
    assert run.aws("import-cur").code == 0
    ((row_id,),) = run.query("SELECT x_SourceRowId FROM focus.cost_and_usage")
    deliver_focus(tmp_path / "bucket", [{"AvailabilityZone": "a", **row}], period="2024-02")
    assert run.aws("import-cur").code == 0

    found = explain_one(run, row_id)

    assert (found["period"], len(found["line_items"])) == ("2024-01", 1)
    assert Decimal(found["line_items"][0]["BilledCost"]) == Decimal("1.25")
    (charge,) = found["charges"]
    assert costs(charge) == {
        "BilledCost": Decimal("1.25"),
        "EffectiveCost": 1,
        "ContractedCost": Decimal("1.5"),
        "ListCost": 2,
    }
    assert charge["rules"]["BilledCost"]["source"] == "[FOCUS] BilledCost"


def test_every_charge_of_a_bill_leads_to_its_line_item(finops):
    rows = finops.query("SELECT DISTINCT x_SourceRowId, BilledCost FROM focus.cost_and_usage")

    for row_id, _ in rows:
        row = explain_one(finops, row_id)
        cost = sum(costs(charge)["BilledCost"] for charge in row["charges"])
        assert [Decimal(each["line_item_unblended_cost"]) for each in row["line_items"]] == [cost]


def test_many_files_are_counted_and_json_names_them(tmp_path):
    run = loaded(tmp_path, LINE_ITEMS)
    with duckdb.connect(str(run.database)) as db:
        db.execute(
            "UPDATE finops.loads SET files = list_transform(range(7), lambda number:"
            " {'key': 'file-' || number, 'size': 1, 'etag': '', 'sha256': ''})"
        )

    shown = run("explain", "tax").out

    assert "file-4" in shown
    assert "file-5" not in shown
    assert "and 2 more" in shown
    assert len(explain_one(run, "tax")["files"]) == 7


def test_what_is_not_there_has_a_word_and_a_way_to_find_it(finops, tmp_path):
    answer = finops("explain", "nothing", "--json")

    error = answer.document["error"]
    assert (answer.code, error["code"]) == (74, "no-such-row")
    assert "'nothing'" in error["what"]
    assert "finops sql" in error["do"]
    assert finops("explain", "tax", "--export", "nobody").code == 78
    empty = over_folder(tmp_path / "empty", tmp_path)
    assert empty("explain", "tax", "--json").document["error"]["code"] == "no-database"


def test_charges_whose_line_items_were_dropped_by_hand_say_so(tmp_path):
    run = loaded(tmp_path, LINE_ITEMS)
    with duckdb.connect(str(run.database)) as db:
        db.execute("DROP VIEW aws_billing.billing; DROP TABLE aws_billing.billing_2024_01")

    answer = run("explain", "tax", "--json")

    assert (answer.code, answer.document["error"]["code"]) == (74, "missing-table")

"""reconcile: the bill, its invoices and the charges agree, or it says by how much and why."""

import json
import shutil
from decimal import Decimal

import duckdb
import pytest

from finops.vendors.aws.sample import SampleLayout, write_sample
from tests.contract.cur import complete, deliver
from tests.driver import PERIODS, over_folder
from tests.focus_export import deliver_focus

INVOICE, SECOND, EURO = "1400000001", "1400000003", "1400000002"
DIGIT = Decimal("0.000000000000000000000001")
SELLER = {"bill_billing_entity": "AWS Marketplace", "line_item_legal_entity": "Example Software"}


def item(name, cost, kind="Usage", **cells):
    return complete(
        {
            "identity_line_item_id": name,
            "line_item_unblended_cost": cost,
            "line_item_line_item_type": kind,
            "bill_invoice_id": INVOICE,
            **cells,
        }
    )


# The first invoice comes to 205.2600000001 USD: 13.61 tax and 54 Marketplace, which share 4.
LINE_ITEMS = [
    item("usage", "100.1000000001"),
    item("storage", "20.05", line_item_product_code="AmazonS3"),
    item("tax", "9.61", "Tax"),
    item("support", "30", "Fee", line_item_product_code="AWSSupportBusiness"),
    item("credit", "-5", "Credit"),
    item("discount", "-2", "EdpDiscount"),
    item("refund", "-1.5", "Refund", bill_bill_type="Refund"),
    item("seller", "50", "Fee", **SELLER),
    item("seller-tax", "4", "Tax", **SELLER),
    item("euro", "7.77", bill_invoice_id=EURO, line_item_currency_code="EUR"),
    item("second", "17.29", bill_invoice_id=SECOND),
    item("open", "3.33", bill_invoice_id=""),
]
LOADED = Decimal("205.2600000001")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return loaded(tmp_path_factory.mktemp("reconcile"), LINE_ITEMS)


@pytest.fixture
def finops(prepared, tmp_path):
    """A copy of its own of the prepared store."""
    shutil.copytree(prepared.data, tmp_path / "data")
    return over_folder(tmp_path / "data", tmp_path / "bucket")


def loaded(folder, line_items):
    deliver(folder / "bucket", line_items, "v2 csv")
    run = over_folder(folder / "data", folder / "bucket")
    assert run.aws("import-cur").code == 0
    return run


def by_hand(finops, *statements):
    with duckdb.connect(str(finops.database)) as db:
        for statement in statements:
            db.execute(statement)


def lines(answer):
    """Return stated, loaded and residual by invoice, billing entity and currency."""
    return {
        (line["invoice_id"], line["billing_entity"], line["currency"]): tuple(
            line[name] and Decimal(line[name]) for name in ("stated", "loaded", "residual")
        )
        for line in answer.document["lines"]
    }


def stated(folder, *rows, header="invoice_id,total,currency"):
    file = folder / "invoices.csv"
    file.write_text("\n".join([header, *rows]))
    return str(file)


def the_invoice(finops, folder, total):
    """Compare one stated total of the first invoice; return exit code and its line."""
    answer = finops("reconcile", "--json", "--invoice", stated(folder, f"{INVOICE},{total},USD"))
    return answer.code, answer.document["lines"][0]


def explained(line):
    return [
        (set(each["without"]), set(each["within"])) for each in line["suspects"] if each["explains"]
    ]


def test_every_invoice_of_the_bill_is_loaded_to_the_last_digit(prepared):
    answer = prepared("reconcile", "--json")

    assert answer.code == 0
    amounts = {key: (total, total, Decimal(0)) for key, total in bill().items()}
    assert lines(answer) == amounts
    assert answer.document["against"] == "bill"


def bill():
    totals = {}
    for each in LINE_ITEMS:
        place = (each["bill_invoice_id"] or None, each["bill_billing_entity"])
        key = (*place, each["line_item_currency_code"])
        totals[key] = totals.get(key, 0) + Decimal(each["line_item_unblended_cost"])
    return totals


def test_below_each_invoice_are_its_charge_categories(prepared):
    found = {
        (line["invoice_id"], line["billing_entity"]): {
            category: Decimal(billed) for category, billed in line["categories"].items()
        }
        for line in prepared("reconcile", "2024-01", "--json").document["lines"]
    }

    assert found[INVOICE, "AWS"] == {
        "Adjustment": Decimal("-1.5"),
        "Credit": -7,
        "Purchase": 30,
        "Tax": Decimal("9.61"),
        "Usage": Decimal("120.1500000001"),
    }
    assert found[INVOICE, "AWS Marketplace"] == {"Purchase": 50, "Tax": 4}
    shown = prepared("reconcile").out
    assert "120.1500000001" in shown
    assert "(none yet)" in shown


@pytest.mark.parametrize("form", ["v1 csv", "v1 parquet"])
def test_the_older_forms_of_the_report_reconcile_too(tmp_path, form):
    deliver(tmp_path / "bucket", LINE_ITEMS, form)
    run = over_folder(tmp_path / "data", tmp_path / "bucket")
    assert run.aws("import-cur").code == 0

    answer = run("reconcile", "--json")

    assert answer.code == 0
    assert {key: total for key, (total, _, _) in lines(answer).items()} == bill()


@pytest.mark.parametrize("strategy", ["separate", "single"])
def test_a_sample_of_everything_reconciles_in_every_period(tmp_path, seed, strategy):
    layout = SampleLayout(cur_version="v2", export_format="parquet")
    written = write_sample(tmp_path / "bucket", periods=PERIODS, rows=300, seed=seed, layout=layout)
    run = over_folder(tmp_path / "data", tmp_path / "bucket", "--table-strategy", strategy)
    assert run.aws("import-cur").code == 0

    answer = run("reconcile", "--json")

    assert answer.code == 0
    totals = {str(each.period): sum(each.totals["billed"].values()) for each in written}
    for period, total in totals.items():
        found = [line for line in answer.document["lines"] if line["periods"] == [period]]
        assert sum(Decimal(line["loaded"]) for line in found) == total
        assert {line["billing_entity"] for line in found} == {"AWS", "AWS Marketplace"}


def test_what_a_focus_export_bills_is_loaded_whatever_the_case_of_its_columns(tmp_path):
    row = {
        "billedcost": "1.25",
        "BILLINGCURRENCY": "USD",
        "InvoiceId": "7",
        "ChargeCategory": "Tax",
    }
    deliver_focus(tmp_path / "bucket", [row, {**row, "billedcost": "2", "InvoiceId": ""}])
    run = over_folder(tmp_path / "data", tmp_path / "bucket", "--cur-version", "focus")
    assert run.aws("import-cur").code == 0

    answer = run("reconcile", "--json")

    assert answer.code == 0
    assert lines(answer) == {
        ("7", None, "USD"): (Decimal("1.25"), Decimal("1.25"), 0),
        (None, None, "USD"): (2, 2, 0),
    }


def test_one_digit_that_was_changed_by_hand_is_found(finops):
    by_hand(
        finops,
        f"UPDATE focus.daily SET BilledCost = BilledCost + {DIGIT:f}::DECIMAL(38, 24)"
        f" WHERE InvoiceId = '{INVOICE}' AND x_LineItemType = 'Usage' AND ServiceName LIKE '%S3%'",
    )
    answer = finops("reconcile", "--json")

    assert answer.code == 4
    assert "error[not-reconciled]: 1 of 5 lines" in answer.err
    wrong = {key: sums for key, sums in lines(answer).items() if sums[2]}
    total = bill()[INVOICE, "AWS", "USD"]
    assert wrong == {(INVOICE, "AWS", "USD"): (total, total + DIGIT, -DIGIT)}
    assert finops("reconcile", "2024-01").code == 4


def test_a_digit_is_found_in_the_largest_bill_that_there_can_be(tmp_path):
    run = loaded(tmp_path, [item("usage", "12345678901234.000000000000000000000001")])
    assert run("reconcile").code == 0
    by_hand(run, f"UPDATE focus.daily SET BilledCost = BilledCost - {DIGIT:f}::DECIMAL(38, 24)")

    answer = run("reconcile", "--json")

    assert answer.code == 4
    assert [line["residual"] for line in answer.document["lines"]] == [format(DIGIT, "f")]


def test_charges_that_the_bill_does_not_have_are_named(finops):
    by_hand(
        finops,
        "INSERT INTO focus.daily BY NAME SELECT * REPLACE ('Tax' AS ChargeCategory,"
        f" 1.25 AS BilledCost) FROM focus.daily WHERE InvoiceId = '{SECOND}'",
    )
    answer = finops("reconcile", "--json")

    (line,) = [line for line in answer.document["lines"] if not line["reconciled"]]
    assert (answer.code, line["invoice_id"], Decimal(line["residual"])) == (
        4,
        SECOND,
        Decimal("-1.25"),
    )
    assert explained(line) == [({"tax"}, set())]
    assert "the bill does not include tax (1.25)" in finops("reconcile").out


def test_charges_that_are_gone_leave_the_whole_bill(finops):
    by_hand(finops, "DELETE FROM focus.daily")

    answer = finops("reconcile", "--json")

    assert answer.code == 4
    assert lines(answer) == {key: (total, 0, total) for key, total in bill().items()}


def test_an_invoice_that_says_what_is_loaded_is_reconciled(finops, tmp_path):
    file = stated(tmp_path, f"{INVOICE},205.26,USD", f"{EURO},7.77,EUR", f"{SECOND},17.29,USD")
    answer = finops("reconcile", "--json", "--invoice", file)

    assert answer.code == 0
    assert answer.document["against"] == "invoice"
    assert lines(answer) == {
        (INVOICE, "AWS, AWS Marketplace", "USD"): (
            Decimal("205.26"),
            LOADED,
            Decimal("-0.0000000001"),
        ),
        (EURO, "AWS", "EUR"): (Decimal("7.77"), Decimal("7.77"), 0),
        (SECOND, "AWS", "USD"): (Decimal("17.29"), Decimal("17.29"), 0),
        (None, "AWS", "USD"): (None, Decimal("3.33"), None),
    }


@pytest.mark.parametrize(
    ("total", "code"),
    [("205.265", 0), ("205.2650000001", 0), ("205.2650000002", 4), ("205.2550000001", 0)],
)
def test_half_a_cent_is_rounding_and_no_more(finops, tmp_path, total, code):
    assert the_invoice(finops, tmp_path, total)[0] == code


@pytest.mark.parametrize(("total", "code"), [("100", 0), ("101", 4)])
def test_half_a_yen_is_rounding(tmp_path, total, code):
    run = loaded(tmp_path, [item("usage", "100.49", line_item_currency_code="JPY")])
    file = stated(tmp_path, f"{INVOICE},{total},JPY")

    assert run("reconcile", "--invoice", file).code == code


@pytest.mark.parametrize(
    ("total", "without", "within"),
    [
        ("191.65", {"tax"}, set()),
        ("151.26", {"Marketplace"}, set()),
        ("210.26", {"credits"}, set()),
        ("207.26", {"discounts"}, set()),
        ("206.76", {"refunds"}, set()),
        ("175.26", {"support"}, set()),
        ("208.59", set(), {"AWS charges without invoice id"}),
        ("222.55", set(), {f"invoice {SECOND}"}),
        ("141.65", {"tax", "Marketplace"}, set()),
        ("212.26", {"credits", "discounts"}, set()),
        ("161.65", {"tax", "support"}, set()),
        ("194.98", {"tax"}, {"AWS charges without invoice id"}),
    ],
)
def test_what_an_invoice_leaves_out_or_adds_is_named(finops, tmp_path, total, without, within):
    code, line = the_invoice(finops, tmp_path, total)

    assert code == 4
    assert explained(line) == [(without, within)]
    amount = Decimal(line["suspects"][0]["amount"])
    assert abs(amount - Decimal(line["residual"])) <= Decimal("0.005")
    assert amount == {"191.65": Decimal("-13.61"), "141.65": Decimal("-63.61")}.get(total, amount)


def test_the_words_for_it_name_the_amount(finops, tmp_path):
    file = stated(tmp_path, f"{INVOICE},141.65,USD", f"{SECOND},20.62,USD")
    answer = finops("reconcile", "--invoice", file)

    assert "the invoice does not include tax and does not include Marketplace (63.61)" in answer.out
    assert f"{SECOND} AWS USD: the invoice includes AWS charges without invoice id (3.33)" in (
        answer.out
    )
    assert "error[not-reconciled]: 2 of 4 lines differ" in answer.err


def test_all_invoices_of_a_month_under_one_id_are_told_together(tmp_path):
    run = loaded(tmp_path, [*LINE_ITEMS, item("third", "0.44", bill_invoice_id="1400000009")])
    total = LOADED + Decimal("17.29") + Decimal("0.44")

    _, line = the_invoice(run, tmp_path, round(total, 2))

    assert explained(line) == [(set(), {"all other invoices of the period"})]


def test_what_nothing_explains_may_lie_in_any_part(finops, tmp_path):
    code, line = the_invoice(finops, tmp_path, "500")

    assert (code, explained(line)) == (4, [])
    possible = {
        (*each["without"], *each["within"]): Decimal(each["amount"]) for each in line["suspects"]
    }
    assert possible == {
        ("tax",): Decimal("-13.61"),
        ("Marketplace",): -54,
        ("credits",): 5,
        ("discounts",): 2,
        ("refunds",): Decimal("1.5"),
        ("support",): -30,
        ("AWS charges without invoice id",): Decimal("3.33"),
    }


def test_a_cent_for_each_service_may_be_rounding_and_is_no_agreement(finops, tmp_path):
    code, line = the_invoice(finops, tmp_path, "205.28")

    assert (code, explained(line)) == (4, [])
    assert line["suspects"][0]["within"] == ["rounding"]
    assert ["rounding"] not in [
        each["within"] for each in the_invoice(finops, tmp_path, "205.36")[1]["suspects"]
    ]


def test_an_entity_of_an_invoice_can_be_stated_alone(finops, tmp_path):
    rows = [f"{INVOICE},54,USD,AWS Marketplace", f"{INVOICE},151.26,USD,AWS"]
    file = stated(tmp_path, *rows, header="invoice_id,total,currency,billing_entity")
    answer = finops("reconcile", "--json", "--invoice", file)

    assert answer.code == 0
    assert lines(answer)[INVOICE, "AWS Marketplace", "USD"] == (54, 54, 0)


def test_only_one_entity_stated_leaves_the_other_named(finops, tmp_path):
    header = "invoice_id,total,currency,billing_entity"
    file = stated(tmp_path, f"{INVOICE},54,USD,AWS Marketplace", header=header)
    answer = finops("reconcile", "--json", "--invoice", file)

    assert answer.code == 0
    assert lines(answer)[INVOICE, "AWS", "USD"] == (None, Decimal("151.2600000001"), None)


def test_invoices_that_only_one_side_has_are_named(finops, tmp_path):
    answer = finops("reconcile", "--invoice", stated(tmp_path, "4711,9.99,USD"))

    assert answer.code == 4
    assert "4711 USD: not loaded" in answer.out
    assert f"{INVOICE} AWS, AWS Marketplace USD: not in the file" in answer.out
    assert f"{EURO} AWS EUR: not in the file" in answer.out


def test_an_invoice_in_another_currency_is_another_invoice(finops, tmp_path):
    answer = finops("reconcile", "--json", "--invoice", stated(tmp_path, f"{EURO},7.77,USD"))

    assert answer.code == 4
    assert lines(answer)[EURO, None, "USD"] == (Decimal("7.77"), 0, Decimal("7.77"))
    assert lines(answer)[EURO, "AWS", "EUR"] == (None, Decimal("7.77"), None)


def test_an_invoice_in_toml_reads_like_one_in_csv(finops, tmp_path):
    file = tmp_path / "invoices.toml"
    file.write_text(
        f'[[invoice]]\ninvoice_id = "{INVOICE}"\ntotal = 191.65\ncurrency = "USD"\n'
        f'[[invoice]]\ninvoice_id = {SECOND}\ntotal = "17.29"\ncurrency = "USD"\n'
        'period = "2024-01"\n[[invoice]]\ninvoice_id = "0"\ntotal = 0\ncurrency = "USD"\n'
    )
    answer = finops("reconcile", "--json", "--invoice", str(file))

    first, second, nothing, *_ = answer.document["lines"]
    assert (first["stated"], explained(first)) == ("191.65", [({"tax"}, set())])
    assert [each["reconciled"] for each in (first, second, nothing)] == [False, True, True]


def test_only_the_period_that_is_asked_for_counts(tmp_path, seed):
    write_sample(
        tmp_path / "bucket",
        periods=PERIODS,
        rows=200,
        seed=seed,
        layout=SampleLayout(),
        final=True,
    )
    run = over_folder(tmp_path / "data", tmp_path / "bucket")
    assert run.aws("import-cur").code == 0
    known = {line["invoice_id"]: line for line in run("reconcile", "--json").document["lines"]}
    rows = [f"{name},{round(Decimal(line['loaded']), 2)},USD" for name, line in known.items()]
    all_of_them = stated(tmp_path, *rows)
    assert run("reconcile", "--invoice", all_of_them).code == 0

    answer = run("reconcile", "2024-02", "--json", "--invoice", all_of_them)
    wrong_period = stated(tmp_path, f"{rows[0]},2024-02", header="invoice_id,total,currency,period")

    assert answer.code == 0
    of_february = {name for name, line in known.items() if line["periods"] == ["2024-02"]}
    assert {line["invoice_id"] for line in answer.document["lines"]} == of_february
    assert known[rows[0].split(",")[0]]["periods"] == ["2024-03"]
    assert run("reconcile", "2024-02", "--invoice", wrong_period).code == 4
    assert run("reconcile", "2024-01", "--invoice", wrong_period).code == 0


def test_two_exports_of_one_bill_are_compared_each_alone(tmp_path):
    deliver(tmp_path / "bucket", LINE_ITEMS, "v2 csv")
    config = tmp_path / "config.toml"
    config.write_text(
        f'[aws]\nbucket = "{tmp_path}/bucket"\nprefix = "cur-reports"\n'
        'export_name = "monthly-cur"\n[aws.exports.again]\ndataset = "again"\n'
    )
    run = over_folder(tmp_path / "data", tmp_path / "bucket")
    assert run("-c", str(config), "aws", "import-cur").code == 0

    answer = run("reconcile", "--json", "--invoice", stated(tmp_path, f"{INVOICE},205.26,USD"))

    found = [line for line in answer.document["lines"] if line["invoice_id"] == INVOICE]
    assert answer.code == 0
    assert {line["export"]: Decimal(line["loaded"]) for line in found} == {
        "default": LOADED,
        "again": LOADED,
    }
    of_one = run("reconcile", "--json", "--export", "again").document["lines"]
    assert {line["export"] for line in of_one} == {"again"}


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("invoice_id,total,currency\n1,12.3.4,USD", "line 2, total", "'12.3.4' is no total"),
        ('invoice_id,total,currency\n1,"1,234.56",USD', "line 2, total", "'1,234.56'"),
        ("invoice_id,total,currency\n1,NaN,USD", "line 2, total", "'NaN' is no total"),
        ("invoice_id,total,currency\n1,1e3,USD", "line 2, total", "'1e3' is no total"),
        ("invoice_id,total,currency\n\n1,2,USD\n2,,USD", "line 4, total", "total is missing"),
        ("invoice_id,total\n1,2", "line 2, currency", "currency is missing"),
        ("invoice_id,total,currency\n,2,USD", "line 2, invoice_id", "invoice_id is missing"),
        ("invoice_id,total,currency\n1,2,dollars", "line 2, currency", "'dollars' is no currency"),
        ("invoice_id,amount,currency\n1,2,USD", "line 2", "'amount' is no key"),
        ("invoice_id;total;currency\n1;2;USD", "line 2", "'invoice_id;total;currency' is no key"),
        ("invoice_id,total,currency\n1,2,USD,3", "line 2", "is no key"),
        ("invoice_id,total,currency,period\n1,2,USD,2024-13", "line 2, period", "'2024-13'"),
        ("invoice_id,total,currency\n1,2,USD\n1,3,USD", "line 3", "1 is there twice"),
        ('invoice_id,total,currency\n1,"2"3,USD', "invoices.csv", "cannot be read"),
        ("invoice_id,total,currency\n", "invoices.csv", "names no invoice"),
        ("", "invoices.csv", "names no invoice"),
    ],
)
def test_a_malformed_csv_file_is_refused_with_the_place(finops, tmp_path, text, where, what):
    (tmp_path / "invoices.csv").write_text(text)

    refused(finops, tmp_path / "invoices.csv", where, what)


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("[[invoice]]\ninvoice_id = '1\ntotal = 2", "invoices.toml", "cannot be read"),
        ("[[invoice]]\ninvoice_id = '1'\ntotal = inf\ncurrency = 'USD'", "number 1, total", "Inf"),
        ("[[invoice]]\ninvoice_id = '1'\ntotal = true\ncurrency = 'USD'", "total", "'True'"),
        ("invoice = [1]", "[[invoice]] number 1", "is no key"),
        ("invoice = 1", "[[invoice]] number 1", "is no key"),
        ("[invoices]\n", "invoices.toml", "names no invoice"),
    ],
)
def test_a_malformed_toml_file_is_refused_with_the_place(finops, tmp_path, text, where, what):
    (tmp_path / "invoices.toml").write_text(text)

    refused(finops, tmp_path / "invoices.toml", where, what)


def test_a_file_that_is_not_there_or_no_text_is_refused(finops, tmp_path):
    (tmp_path / "scan.csv").write_bytes(b"\xff\xfe%PDF")

    refused(finops, tmp_path / "nowhere.csv", "nowhere.csv", "No such file")
    refused(finops, tmp_path / "scan.csv", "scan.csv", "cannot be read")


def refused(finops, file, where, what):
    answer = finops("reconcile", "--json", "--invoice", str(file))
    error = json.loads(answer.out)["error"]

    assert (answer.code, error["code"]) == (78, "invoice-file")
    assert str(file) in error["where"]
    assert where in error["where"] or where in str(file)
    assert what in error["what"]
    assert "invoice_id,total,currency" in error["do"]


def test_what_is_not_loaded_cannot_be_reconciled(finops, tmp_path):
    file = stated(tmp_path, f"{INVOICE},1,USD")
    for arguments in (["2030-01"], ["2030-01", "--invoice", file]):
        answer = finops("reconcile", "--json", *arguments)
        assert (answer.code, answer.document["error"]["code"]) == (74, "not-loaded")
    assert finops("reconcile", "2024-13").code == 78
    assert finops("reconcile", "--export", "nobody").code == 78
    nothing = over_folder(tmp_path / "empty", tmp_path)
    assert nothing("reconcile", "--json").document["error"]["code"] == "no-database"


def test_a_bill_whose_table_was_dropped_by_hand_is_not_reconciled(finops):
    by_hand(finops, "DROP VIEW aws_billing.billing", "DROP TABLE aws_billing.billing_2024_01")
    answer = finops("reconcile", "--json")

    assert (answer.code, answer.document["error"]["code"]) == (74, "missing-table")
    assert "rebuild" in answer.document["error"]["do"]

"""The charges of a period come, change and go with its line items, in the same commit."""

import shutil
import sys

import pytest

from finops.vendors.aws.charges import mapping
from finops.vendors.aws.sample import SampleLayout, write_sample
from tests.charge_table import all_charges
from tests.contract.cur import complete
from tests.contract.cur import deliver as deliver_items
from tests.contract.mutants import mutants
from tests.driver import PERIODS, expected, over_folder

STRATEGIES = ("separate", "single")
MONTHS = PERIODS[:2]
TABLES = ("finops.charge_builds", "finops.checks", "focus.daily", "focus.cost_and_usage")


def deliver(root, seed, refresh=1, rows=250):
    layout = SampleLayout(files=1)
    return write_sample(root, periods=MONTHS, rows=rows, seed=seed, layout=layout, refresh=refresh)


@pytest.fixture(scope="module")
def stores(tmp_path_factory, seed):
    """By table strategy: a folder in which two deliveries were loaded, and of each what it was."""
    made = {}
    for strategy in STRATEGIES:
        root, history = tmp_path_factory.mktemp(strategy), []
        finops = over_folder(root / "data", root / "bucket", "--table-strategy", strategy)
        for refresh in (1, 2):
            deliveries = deliver(root / "bucket", seed, refresh)
            assert finops.aws("import-cur").code == 0
            history.append((deliveries, charges(finops)))
        made[strategy] = root, history
    return made


@pytest.fixture(params=STRATEGIES)
def both(request, stores, tmp_path):
    """This test's own copy of each store, and what the two deliveries were."""
    return copy(stores, request.param, tmp_path)


@pytest.fixture
def store(stores, tmp_path):
    """This test's own copy of the store with a table per period."""
    return copy(stores, "separate", tmp_path)


def copy(stores, strategy, to):
    root, history = stores[strategy]
    shutil.copytree(root, to, dirs_exist_ok=True)
    return over_folder(to / "data", to / "bucket", "--table-strategy", strategy), *history


def charges(finops, period="%"):
    return all_charges(finops, where=f"x_BillingPeriod LIKE '{period}'")


def costs(finops):
    return finops.query(
        "SELECT x_BillingPeriod, sum(BilledCost), sum(EffectiveCost) FROM focus.cost_and_usage"
        " GROUP BY ALL ORDER BY ALL"
    )


def costs_of(deliveries):
    return [
        (str(each.period), each.totals["billed"]["USD"], each.totals["effective"]["USD"])
        for each in deliveries
    ]


def periods_in(finops, table):
    """Return the billing periods whose current or former loads a table has rows of."""
    load = "x_LoadId" if table.startswith("focus.") else "load_id"
    return finops.query(
        f"SELECT billing_period, is_current FROM finops.loads WHERE load_id IN"
        f" (SELECT {load} FROM {table}) ORDER BY ALL"
    )


def test_a_restatement_replaces_the_charges_and_both_totals_stay(both):
    finops, (first, older), (second, newer) = both

    assert costs(finops) == costs_of(second) != costs_of(first)
    assert charges(finops) == newer != older
    for table in TABLES:
        assert periods_in(finops, table) == [("2024-01", True), ("2024-02", True)]
    totals = finops.query(
        "SELECT billing_period, sum(BilledCost), sum(EffectiveCost) FROM finops.period_totals"
        " JOIN finops.loads USING (load_id) GROUP BY billing_period, load_id"
    )
    assert sorted(totals) == sorted(costs_of(first) + costs_of(second))


def test_both_strategies_make_the_same_charges(stores):
    (_, separate), (_, single) = (stores[strategy][1] for strategy in STRATEGIES)

    assert separate == single


@pytest.mark.parametrize("other", STRATEGIES)
def test_switching_the_strategy_keeps_the_charges(stores, tmp_path, other):
    before = next(strategy for strategy in STRATEGIES if strategy != other)
    finops, *_ = copy(stores, before, tmp_path)
    made = "SELECT * FROM finops.charge_builds ORDER BY ALL"
    kept = finops.query(made), all_charges(finops, without="x_Export")

    assert finops.aws("import-cur", "--table-strategy", other).code == 0

    assert (finops.query(made), all_charges(finops, without="x_Export")) == kept


def test_forget_takes_the_charges_and_leaves_the_totals(both):
    finops, _, (second, newer) = both
    kept = charges(finops, "2024-01")

    assert finops("forget", "2024-02").code == 0

    assert charges(finops) == kept < newer
    assert costs(finops) == costs_of(second[:1])
    for table in TABLES:
        assert periods_in(finops, table) == [("2024-01", True)]
    assert len(periods_in(finops, "finops.period_totals")) == 4


def test_rollback_brings_the_earlier_charges_back(both):
    finops, (first, older), (second, _) = both
    kept = charges(finops, "2024-01")

    assert finops("rollback", "2024-02").code == 0

    assert costs(finops) == [costs_of(second)[0], costs_of(first)[1]]
    assert charges(finops, "2024-01") == kept
    assert charges(finops, "2024-02") <= older
    for table in TABLES:
        assert periods_in(finops, table) == [("2024-01", True), ("2024-02", True)]


def test_rebuild_makes_the_same_charges_again(both):
    finops, _, (_, newer) = both
    finops.database.unlink()

    assert finops("rebuild").code == 0

    assert charges(finops) == newer
    assert finops.aws("import-cur").outcomes == dict.fromkeys(("2024-01", "2024-02"), "unchanged")


def test_nothing_is_made_anew_where_nothing_changed(store, tmp_path):
    finops, *_ = store
    flags = user_files(tmp_path)
    assert finops.aws("import-cur", *flags).code == 0
    before = finops.database.stat()

    answer = finops.aws("import-cur", *flags)

    after = finops.database.stat()
    assert (answer.code, answer.document["notices"]) == (0, [])
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def user_files(folder, subcategory="Containers"):
    services, accounts = folder / "services.csv", folder / "accounts.csv"
    services.write_text(
        f"service,ServiceCategory,ServiceSubcategory\nAmazonS3,Compute,{subcategory}\n"
    )
    accounts.write_text("account_id,name\n012345678910,The Payer\n")
    return "--service-categories", str(services), "--account-names", str(accounts)


def test_changed_user_files_change_the_charges_of_every_period(store, tmp_path):
    finops, _, (second, newer) = store
    of_s3 = (
        "SELECT DISTINCT x_BillingPeriod, ServiceCategory, ServiceSubcategory, BillingAccountName"
        " FROM {} WHERE ServiceName ILIKE '%simple storage%' ORDER BY ALL"
    )

    for subcategory in ("Containers", "Virtual Machines"):
        answer = finops.aws("import-cur", *user_files(tmp_path, subcategory))

        assert answer.document["notices"] == ["aws_billing: made the charges of 2 periods anew"]
        for table in ("focus.cost_and_usage", "focus.daily"):
            assert finops.query(of_s3.format(table)) == [
                (str(month), "Compute", subcategory, "The Payer") for month in MONTHS
            ]
        assert costs(finops) == costs_of(second)

    assert finops.aws("import-cur").code == 0
    assert charges(finops) == newer


@pytest.mark.parametrize(
    ("key", "text", "place", "said"),
    [
        ("service-categories", None, "", "cannot be read"),
        ("service-categories", "service,category\n", ", line 1", "the first line is not"),
        (
            "service-categories",
            "service,ServiceCategory,ServiceSubcategory\nAmazonS3,Storage,Object Storage\n"
            "AmazonEC2,Compute,Object Storage\n",
            ", line 3",
            "Compute / Object Storage is no category of FOCUS",
        ),
        ("account-names", "account_id,name\n012345678910\n", ", line 2", "needs 2 cells"),
        ("account-names", "account_id,name\n012345678910,\n", ", line 2", "needs 2 cells"),
    ],
)
def test_a_wrong_user_file_is_told_before_anything_is_touched(
    tmp_path, seed, key, text, place, said
):
    file = tmp_path / "mine.csv"
    if text:
        file.write_text(text)
    deliver(tmp_path / "bucket", seed)
    finops = over_folder(tmp_path / "data", tmp_path / "bucket")

    answer = finops.aws("import-cur", f"--{key}", str(file))

    error = answer.document["error"]
    assert (answer.code, error["code"]) == (78, "config")
    assert said in error["what"]
    assert error["where"] == f"{file}{place}"
    assert not finops.data.exists()


@pytest.fixture
def usual(tmp_path):
    """A store with a bill of one line item."""
    finops = over_folder(tmp_path / "data", tmp_path / "bucket")
    deliver_one(tmp_path, "Usage")
    assert finops.aws("import-cur", "--strict").code == 0
    return finops


def deliver_one(folder, line_item_type):
    item = {"identity_line_item_id": "a", "line_item_usage_amount": "1"}
    shutil.rmtree(folder / "bucket", ignore_errors=True)
    items = [
        complete(
            item | {"line_item_unblended_cost": "7.77", "line_item_line_item_type": line_item_type}
        )
    ]
    deliver_items(folder / "bucket", items, "v2 csv")


def test_an_unknown_line_item_type_is_loaded_counted_and_told(usual, tmp_path):
    deliver_one(tmp_path, "QuantumFee")

    answer = usual.aws("import-cur")

    assert answer.code == 0
    (notice,) = answer.document["notices"]
    assert "a check failed: known-line-item-types" in notice
    row = "a/2024-01-01T00:00:00Z/2024-01-01T01:00:00Z"
    checks = "SELECT rule, rows_found, amount::VARCHAR, examples FROM finops.checks WHERE NOT ok"
    ((rule, rows, amount, examples),) = usual.query(checks)
    assert (rule, rows, amount[:5], examples) == ("known-line-item-types", 1, "7.770", [row])
    charge = "SELECT ChargeCategory, x_LineItemType, x_Charges, BilledCost::DOUBLE"
    assert usual.query(f"{charge} FROM focus.daily") == [("Adjustment", "QuantumFee", 1, 7.77)]


def test_strict_refuses_it_and_keeps_the_earlier_delivery(usual, tmp_path):
    before = all_charges(usual, without="x_Export")
    deliver_one(tmp_path, "QuantumFee")

    answer = usual.aws("import-cur", "--strict")

    error = answer.results[0]["error"]
    assert (answer.code, error["code"]) == (4, "check-failed")
    assert "known-line-item-types" in error["what"]
    assert "the delivery loaded" in error["kept"]
    assert all_charges(usual, without="x_Export") == before
    assert usual.query("SELECT line_item_line_item_type FROM aws_billing.billing") == [("Usage",)]
    assert usual.aws("import-cur").code == 0
    assert all_charges(usual, without="x_Export") != before


MUTANTS = dict(mutants(mapping()))
WRONG = {
    "rows: Tax as []": "billed-total",
    "rows: Usage as [kind, kind]": "billed-total",
    "rows: SavingsPlanNegation as []": "row-accounting",
    "rows: SavingsPlanNegation as [kind, kind]": "row-accounting",
    "BilledCost: 1 swapped with 2": "billed-total",
}


@pytest.fixture
def wrong(monkeypatch):
    """Return a function that puts a wrong mapping in the place of the right one."""
    module = sys.modules[mapping.__module__]
    return lambda mistake: monkeypatch.setattr(module, "mapping", lambda: MUTANTS[mistake])


def test_a_wrong_mapping_cannot_replace_a_period(store, tmp_path, seed, wrong, monkeypatch):
    finops, _, (second, newer) = store
    third = deliver(tmp_path / "bucket", seed, refresh=3)

    for mistake, rule in WRONG.items():
        wrong(mistake)
        answer = finops.aws("import-cur")

        errors = [result["error"] for result in answer.results]
        assert (answer.code, {error["code"] for error in errors}) == (4, {"check-failed"})
        assert all(f"the check {rule}:" in error["what"] for error in errors), mistake
        assert finops.loaded() == expected(second)
        assert charges(finops) == newer

    monkeypatch.undo()
    assert finops.aws("import-cur").code == 0
    assert costs(finops) == costs_of(third)


def test_charges_that_would_be_wrong_are_not_made_anew(store, tmp_path, wrong):
    finops, _, (second, newer) = store
    wrong("BilledCost: 1 swapped with 2")

    answer = finops.aws("import-cur", *user_files(tmp_path))

    assert answer.code == 4
    assert {result["error"]["code"] for result in answer.results} == {"check-failed"}
    assert finops.loaded() == expected(second)
    assert charges(finops) == newer

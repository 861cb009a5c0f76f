"""Which accounts two exports both have, and which of them totals leave out."""

from collections import Counter
from contextlib import contextmanager
from decimal import Decimal

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.focus.overlaps import (
    IS_LEFT_OUT,
    Verdict,
    find_overlaps,
    overlap_lines,
    places_left_out,
)
from finops.sql import query, run_script

MONTH = "2024-01"
GUID = "1CAAA5A3-2B66-438E-8AB4-BCE37D518C5D"
BOTH, ACCEPTED, LEFT_OUT = Verdict.COUNTED_IN_BOTH, Verdict.ACCEPTED, Verdict.LEFT_OUT


@contextmanager
def opened():
    with duckdb.connect() as db:
        query(db, "CREATE SCHEMA finops")
        run_script(db, "schema/store_3.sql")
        yield db


@pytest.fixture
def db():
    with opened() as db:
        yield db


def charge(
    db,
    export,
    account="a",
    payer="p",
    cost="1",
    *,
    month=MONTH,
    currency="EUR",
    provider="Cloud",
    days=(1,),
    category="Usage",
    column="BilledCost",
):
    """Put a charge a day into the pre-aggregate; ``cost`` is what they come to."""
    vendor, name = export.split("/")
    query(
        db,
        "INSERT INTO focus.daily BY NAME SELECT make_date($year, $month, unnest($days::INTEGER[]))"
        " AS day, $period AS x_BillingPeriod, $vendor AS x_Vendor, $name AS x_Export,"
        " $load AS x_LoadId, $payer AS BillingAccountId, $account AS SubAccountId,"
        " $provider AS ProviderName, $category AS ChargeCategory, $currency AS BillingCurrency,"
        " 0 AS BilledCost, 0 AS EffectiveCost, 0 AS ListCost, 0 AS ContractedCost, 1 AS x_Charges",
        {
            "year": int(month[:4]),
            "month": int(month[5:]),
            "days": list(days),
            "period": month,
            "vendor": vendor,
            "name": name,
            "load": f"{export} {month}",
            "payer": payer,
            "account": account,
            "provider": provider,
            "category": category,
            "currency": currency,
        },
    )
    query(
        db,
        f"UPDATE focus.daily SET {column} = ? WHERE rowid = (SELECT max(rowid) FROM focus.daily)",
        [cost],
    )


def found(db, settings=(), **more):
    return [
        (each.exports, each.verdict, each.accounts, each.costs)
        for each in find_overlaps(db, dict(settings), **more)
    ]


def counted(db, settings, column="BilledCost"):
    """Return what totals count, by export."""
    places = places_left_out(find_overlaps(db, dict(settings), cost=column))
    rows = query(
        db,
        f"SELECT concat(x_Vendor, '/', x_Export), sum({column}) FROM focus.daily"
        f" WHERE NOT {IS_LEFT_OUT} GROUP BY ALL ORDER BY ALL",
        places,
    )
    return dict(rows)


def eur(amount):
    return {"EUR": Decimal(amount)}


def test_both_count_until_the_user_says_which(db):
    charge(db, "c/wide", cost="10")
    charge(db, "c/wide", "b", cost="5")
    charge(db, "c/narrow", cost="9")

    assert found(db) == [(("c/narrow", "c/wide"), BOTH, ("a",), (eur(9), eur(10)))]
    assert found(db, {"c/narrow": "leave-out"}) == [
        (("c/wide", "c/narrow"), LEFT_OUT, ("a",), (eur(10), eur(9)))
    ]
    assert counted(db, {}) == {"c/wide": 15, "c/narrow": 9}
    assert counted(db, {"c/narrow": "leave-out"}) == {"c/wide": 15}
    # What only the wide one has counts all the same.
    assert counted(db, {"c/wide": "leave-out"}) == {"c/narrow": 9, "c/wide": 5}


@pytest.mark.parametrize("accepting", [["c/one"], ["c/two"], ["c/one", "c/two"]])
def test_what_the_user_accepts_counts_without_a_word(db, accepting):
    charge(db, "c/one")
    charge(db, "c/two")
    settings = dict.fromkeys(accepting, "count")

    assert [verdict for _, verdict, *_ in found(db, settings)] == [ACCEPTED]
    assert overlap_lines(find_overlaps(db, settings)) == []
    assert counted(db, settings) == {"c/one": 1, "c/two": 1}


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({"account": GUID}, {"account": f"/subscriptions/{GUID.lower()}"}),
        ({"account": "/subscriptions/x/"}, {"account": "X"}),
        ({"payer": "/providers/Microsoft.Billing/billingAccounts/P"}, {"payer": "p"}),
        ({"payer": "/providers/Microsoft.Billing/billingAccounts/1:2/billingProfiles/P"}, {}),
        # Usage of the payer itself; not every form names it as a sub account.
        ({"account": None}, {"account": "p"}),
        ({"account": ""}, {"account": None}),
        # Old bills do not tell the billing account.
        ({"payer": None}, {}),
        ({"payer": None}, {"payer": None}),
        # In the Marketplace the provider is the seller, of one form and not of another.
        ({"provider": "Seller"}, {}),
        # The same account under two payers on the same days: what a reseller bills again.
        ({"payer": "x", "days": (1, 2, 3)}, {"days": (1, 2, 3, 4)}),
        ({"currency": "USD"}, {}),
        ({"column": "ListCost"}, {}),
    ],
)
def test_the_same_account_is_found(db, one, two):
    charge(db, "c/one", **one)
    charge(db, "d/two", **two)

    assert [exports for exports, *_ in found(db)] == [("c/one", "d/two")]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({}, {"account": "b"}),
        ({}, {"month": "2024-02"}),
        ({}, {"cost": "0"}),
        ({"account": None}, {}),
        ({"account": None, "payer": None}, {"account": None, "payer": None}),
        # The account moved from one payer to the other.
        ({"days": range(1, 17), "payer": "x"}, {"days": range(15, 31)}),
        # Fees are on the first of a month, whoever had the account then.
        (
            {"payer": "x", "days": (1, 2, 3), "category": "Purchase"},
            {"days": (1, 2, 3), "category": "Purchase"},
        ),
        # Two clouds may have an account of the same number.
        ({"payer": None, "provider": "AWS"}, {"provider": "Alibaba"}),
        ({"payer": "x", "provider": "AWS", "days": (1, 2, 3)}, {"days": (1, 2, 3)}),
    ],
)
def test_another_account_is_not(db, one, two):
    charge(db, "c/one", **one)
    charge(db, "c/two", **two)

    assert found(db, {"c/two": "leave-out"}) == []


def test_an_export_is_no_overlap_of_itself(db):
    charge(db, "c/one")
    charge(db, "c/one", "/x/A")

    assert found(db) == []


def test_costs_that_cancel_each_other_are_costs(db):
    for cost in ("5", "-5"):
        charge(db, "c/one", cost=cost)
    charge(db, "c/two", cost="5")

    assert found(db) == [(("c/one", "c/two"), BOTH, ("a",), (eur(0), eur(5)))]


def test_two_currencies_are_never_added(db):
    charge(db, "c/one", cost="3")
    charge(db, "c/one", cost="4", currency="USD")
    charge(db, "c/two", cost="5", currency="USD")
    charge(db, "c/two", cost="6", currency=None)

    ((_, _, _, costs),) = found(db)

    assert costs == ({"EUR": 3, "USD": 4}, {"": 6, "USD": 5})


def test_of_three_each_account_counts_once(db):
    for export, cost in (("c/one", "1"), ("c/two", "2"), ("c/three", "3")):
        charge(db, export, cost=cost)
    charge(db, "c/two", "b", cost="20")
    charge(db, "c/three", "b", cost="30")
    pairs = [("c/one", "c/three"), ("c/one", "c/two"), ("c/three", "c/two")]
    settings = {"c/two": "leave-out", "c/three": "leave-out"}

    assert [exports for exports, *_ in found(db)] == pairs
    assert counted(db, settings) == {"c/one": 1, "c/three": 30}
    assert found(db, settings) == [
        (("c/one", "c/three"), LEFT_OUT, ("a",), (eur(1), eur(3))),
        (("c/one", "c/two"), LEFT_OUT, ("a",), (eur(1), eur(2))),
        (("c/three", "c/two"), LEFT_OUT, ("b",), (eur(30), eur(20))),
    ]


def test_if_all_are_left_out_the_first_by_name_counts(db):
    charge(db, "c/two", cost="2")
    charge(db, "c/one", cost="1")

    assert counted(db, {"c/one": "leave-out", "c/two": "leave-out"}) == {"c/one": 1}


def test_only_what_the_other_payer_has_as_well_is_left_out(db):
    # The subscription moved: its own export has it under both payers, theirs under one.
    charge(db, "c/payer", cost="10", days=range(1, 15))
    charge(db, "c/sub", cost="11", days=range(1, 15))
    charge(db, "c/sub", cost="7", payer="x", days=range(15, 31))

    assert counted(db, {"c/sub": "leave-out"}) == {"c/payer": 10, "c/sub": 7}


FIRST, REST = range(1, 15), range(15, 31)


@pytest.mark.parametrize(
    ("payers", "expected"),
    [
        # "b" has what both others have, so it is left out for "a", and nothing for "b".
        ({"a": "x", "b": None, "c": "y"}, {"v/a": 1, "v/b": 10, "v/c": 3}),
        ({"a": "x", "b": "y", "c": None}, {"v/a": 1, "v/b": 12}),
    ],
)
def test_where_a_bill_tells_no_payer_nothing_is_lost(db, payers, expected):
    days = {"x": FIRST, "y": REST, None: (*FIRST, *REST)}
    for cost, (name, payer) in enumerate(payers.items(), 1):
        charge(db, f"v/{name}", cost=str(cost), payer=payer, days=days[payer])
    for name, cost in (("b", "10"), ("c", "20")):
        charge(db, f"v/{name}", "other", cost=cost)
    settings = {"v/b": "leave-out", "v/c": "leave-out"}

    assert counted(db, settings) == expected
    assert (("v/b", "v/c"), LEFT_OUT, ("other",), (eur(10), eur(20))) in found(db, settings)


def test_of_some_loads_only_those_are_compared(db):
    for month in (MONTH, "2024-02"):
        for export in ("c/one", "c/two", "c/three"):
            charge(db, export, month=month)

    one = find_overlaps(db, {}, ["c/one 2024-01", "c/three 2024-01", "c/one 2024-02"])

    assert [(each.exports, str(each.period)) for each in one] == [(("c/one", "c/three"), MONTH)]
    assert find_overlaps(db, {}, ["c/one 2024-01"]) == find_overlaps(db, {}, []) == []
    assert len(find_overlaps(db, {})) == 6


def test_the_costs_are_those_of_the_metric(db):
    charge(db, "c/one", cost="7", column="ListCost")
    charge(db, "c/two", cost="8", column="ListCost")

    assert found(db, cost="ListCost")[0][3] == (eur(7), eur(8))
    assert found(db)[0][3] == (eur(0), eur(0))


def test_the_sentences_name_exports_accounts_months_and_money(db):
    for month in ("2024-01", "2024-02", "2024-03"):
        charge(db, "c/wide", cost="1000.50", month=month)
        charge(db, "c/narrow", cost="0.000000000000000000000001", month=month)
    (said,) = overlap_lines(find_overlaps(db, {}))
    (left_out,) = overlap_lines(find_overlaps(db, {"c/narrow": "leave-out"}))
    tiny, much = "c/narrow (0.000000000000000000000003 EUR)", "c/wide (3,001.50 EUR)"
    for account in "bcde":
        charge(db, "c/wide", account)
        charge(db, "c/narrow", account)
    (of_many,) = overlap_lines(find_overlaps(db, {}), "published from", "!")

    what = "account a of 2024-01 to 2024-03"
    assert said.startswith(f"counted in both {tiny} and {much}: {what}; set overlaps = ")
    assert left_out == f"left out: {tiny}, {what}, which {much} has, too"
    assert of_many.startswith("published from both c/narrow (")
    assert of_many.endswith(": accounts a, b, c and 2 more of 2024-01 to 2024-03!")


def test_before_there_are_charges_there_are_no_overlaps(db):
    assert found(db) == []
    query(db, "DROP SCHEMA focus CASCADE")
    assert found(db) == []


exports = st.sampled_from(["v/a", "v/b", "v/c", "w/a"])
settings = st.dictionaries(exports, st.sampled_from(["report", "count", "leave-out"]))


@given(charges=st.lists(st.tuples(exports, st.sampled_from("xyz"))), settings=settings)
def test_what_counts_is_all_but_what_another_has(charges, settings):
    with opened() as db:
        for export, account in charges:
            charge(db, export, account)

        counts = counted(db, settings)
        sums = [each.costs for each in find_overlaps(db, settings) if each.verdict == LEFT_OUT]

    having = Counter(charges)
    keepers = {}
    for export, account in sorted(
        having, key=lambda key: (settings.get(key[0]) == "leave-out", key)
    ):
        if settings.get(export) != "leave-out" or account not in keepers.values():
            keepers[export, account] = account
    expected = Counter()
    for export, account in keepers:
        expected[export] += having[export, account]
    assert counts == dict(expected)
    assert sum(counts.values()) + sum(own["EUR"] for _, own in sums) == len(charges)

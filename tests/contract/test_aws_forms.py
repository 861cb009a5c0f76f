"""One bill makes the same charges whether AWS delivers it as CUR 1 or 2.0, as CSV or Parquet."""

import pytest

from finops.vendors.aws.sample import SampleLayout, write_sample
from tests.charge_table import all_charges
from tests.driver import PERIODS, over_folder

LAYOUTS = {
    "v2 csv": SampleLayout(cur_version="v2"),
    "v2 parquet": SampleLayout(cur_version="v2", export_format="parquet"),
    "v1 csv": SampleLayout(),
    "v1 zip": SampleLayout(compression="zip"),
    "v1 parquet": SampleLayout(export_format="parquet"),
}


@pytest.fixture(scope="module")
def stores(tmp_path_factory, seed):
    """The same two periods, loaded from every layout; CUR 1 learns the accounts' names."""
    home = tmp_path_factory.mktemp("forms")
    names = home / "accounts.csv"
    names.write_text("account_id,name\n")
    loaded = {}
    for form, layout in LAYOUTS.items():
        deliveries = write_sample(
            home / form / "bucket", periods=PERIODS[:2], rows=500, seed=seed, layout=layout
        )
        finops = over_folder(home / form / "data", home / form / "bucket")
        assert finops.aws("import-cur", "--account-names", str(names)).code == 0
        loaded[form] = finops, deliveries
        if form == "v2 csv":
            names.write_text("account_id,name\n" + "".join(account_names(finops)))
    return loaded


def account_names(finops):
    rows = finops.query(
        "SELECT SubAccountId, SubAccountName FROM focus.cost_and_usage"
        " UNION SELECT BillingAccountId, BillingAccountName FROM focus.cost_and_usage"
    )
    return [f'{account},"{name}"\n' for account, name in rows if name]


@pytest.mark.parametrize("form", list(LAYOUTS)[1:])
def test_every_form_makes_the_same_charges(stores, form):
    wanted, made = (all_charges(stores[each][0]) for each in ("v2 csv", form))

    assert sorted((made - wanted).elements()) == sorted((wanted - made).elements())


@pytest.mark.parametrize("form", LAYOUTS)
def test_costs_are_those_of_the_generator(stores, form):
    finops, deliveries = stores[form]

    found = finops.query(
        "SELECT x_BillingPeriod, BillingCurrency, sum(BilledCost), sum(EffectiveCost)"
        " FROM focus.cost_and_usage GROUP BY ALL ORDER BY 1"
    )

    assert found == [
        (str(each.period), "USD", each.totals["billed"]["USD"], each.totals["effective"]["USD"])
        for each in deliveries
    ]


@pytest.mark.parametrize("form", LAYOUTS)
def test_the_pre_aggregates_add_up_to_the_charges(stores, form):
    finops, _ = stores[form]
    costs = "sum(BilledCost), sum(EffectiveCost)"
    by_load = f"SELECT x_LoadId, {costs}, count(*) FROM focus.cost_and_usage GROUP BY 1"
    daily = f"SELECT x_LoadId, {costs}, sum(x_Charges) FROM focus.daily GROUP BY 1"
    totals = f"SELECT load_id, {costs}, sum(charges) FROM finops.period_totals GROUP BY 1"

    wanted = sorted(finops.query(by_load))
    assert len(wanted) == 2
    assert sorted(finops.query(daily)) == sorted(finops.query(totals)) == wanted

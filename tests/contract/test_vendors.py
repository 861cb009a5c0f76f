"""What every vendor promises, from its sample bills to the store, whoever the vendor is.

No vendor is named here: one that is added has to pass it all.
"""

import inspect
import re
import shutil
from dataclasses import replace

import pytest

import finops.vendors
from finops import sampling
from finops.config import VENDORS
from finops.demo import place_of
from finops.period import BillingPeriod
from finops.sampling import write_sample
from finops.vendors import find_sample, find_vendor
from tests.driver import Finops, killed

JANUARY, FEBRUARY = PERIODS = [BillingPeriod(2024, 1), BillingPeriod(2024, 2)]
ROWS = 200
SIGNATURE = re.compile(r"^``(\w+)\((.*?)\)``\n((?:    .*\n)+)", re.MULTILINE)
OPTIONAL = "only vendors that"


def forms():
    """Yield every vendor with its usual sample and with each other value of what it offers."""
    for vendor in VENDORS:
        usual = find_sample(vendor).SampleLayout()
        yield pytest.param(vendor, usual, id=f"{vendor}-usual")
        for name, offered in usual.OFFERS.items():
            for value in sorted({*offered} - {getattr(usual, name)}):
                layout = replace(usual, **{name: value})
                yield pytest.param(vendor, layout, id=f"{vendor}-{name}-{value}")


class Bills:
    """A bucket with samples of one vendor, and the command line over it."""

    def __init__(self, root, vendor, layout, seed):
        self.bucket, self.vendor, self.layout, self.seed = root / "bucket", vendor, layout, seed
        self.finops = Finops(root / "data")
        place = {"bucket": str(self.bucket)} | place_of(vendor, layout)
        self.flags = [
            word for name, value in place.items() for word in (f"--{name.replace('_', '-')}", value)
        ]

    def write(self, refresh=1, only=None):
        return write_sample(
            self.bucket,
            layout=self.layout,
            periods=PERIODS,
            rows=ROWS,
            seed=self.seed,
            refresh=refresh,
            only=only,
        )

    def load(self, *flags):
        return self.finops(self.vendor, "import-billing", "--json", *self.flags, *flags)

    def loaded(self):
        """Return rows by period, from the line items themselves."""
        return dict(
            self.finops.query(
                f"SELECT billing_period, count(*) FROM {self.vendor}_billing.billing GROUP BY 1"
            )
        )

    def charged(self, cost="BilledCost"):
        """Return cost by period and currency, from the charges."""
        return {
            (period, currency): total
            for period, currency, total in self.finops.query(
                "SELECT strftime(BillingPeriodStart, '%Y-%m'), BillingCurrency,"
                f" sum({cost}) FROM focus.cost_and_usage GROUP BY ALL"
            )
        }

    def content(self):
        """Return all line items without what a load stamps on them."""
        return self.finops.query(
            "SELECT COLUMNS(lambda name: NOT starts_with(name, '_finops'))"
            f" FROM {self.vendor}_billing.billing ORDER BY ALL"
        )

    def ledger(self):
        """Return the loads that count, by period."""
        return dict(
            self.finops.query("SELECT billing_period, load_id FROM finops.loads WHERE is_current")
        )


def rows_of(deliveries):
    return {str(each.period): each.rows for each in deliveries}


def totals_of(deliveries, measure="billed"):
    return {
        (str(each.period), currency): total
        for each in deliveries
        for currency, total in each.totals[measure].items()
    }


def files_of(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.fixture(scope="module")
def once_loaded(tmp_path_factory, seed):
    """Return a function that loads a vendor's usual sample into a folder."""
    made = {}

    def make(vendor):
        root = tmp_path_factory.mktemp(vendor)
        bills = Bills(root, vendor, find_sample(vendor).SampleLayout(), seed)
        made[vendor] = root, bills.write()
        assert bills.load().code == 0

    def copy(vendor, to):
        if vendor not in made:
            make(vendor)
        root, deliveries = made[vendor]
        shutil.copytree(root, to, dirs_exist_ok=True)
        return Bills(to, vendor, find_sample(vendor).SampleLayout(), seed), deliveries

    return copy


@pytest.fixture(params=VENDORS)
def loaded(request, once_loaded, tmp_path):
    """A vendor's ``Bills``, two periods of them loaded, and their deliveries."""
    return once_loaded(request.param, tmp_path)


every_form = pytest.mark.parametrize(("vendor", "layout"), list(forms()))


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_vendor_offers_what_the_protocol_names(vendor):
    module = find_vendor(vendor)
    promised = SIGNATURE.findall(finops.vendors.__doc__)
    assert len(promised) > 10
    for name, arguments, text in promised:
        if hasattr(module, name) or OPTIONAL not in text:
            names = list(inspect.signature(getattr(module, name)).parameters)
            assert [each.strip("_") for each in names] == re.findall(r"\w+", arguments), name


@every_form
def test_the_same_seed_gives_the_same_bytes(tmp_path, vendor, layout, seed):
    one, two = (Bills(tmp_path / name, vendor, layout, seed) for name in ("one", "two"))

    assert one.write(only=[JANUARY]) == two.write(only=[JANUARY])
    assert files_of(one.bucket) == files_of(two.bucket)


@every_form
def test_every_form_loads_to_the_last_digit_and_once(tmp_path, vendor, layout, seed):
    bills = Bills(tmp_path, vendor, layout, seed)
    deliveries = bills.write(only=[JANUARY])

    first, again = bills.load(), bills.load()

    assert (first.code, first.err, first.outcomes) == (0, "", {"2024-01": "loaded"})
    assert (again.code, again.outcomes) == (0, {"2024-01": "unchanged"})
    assert bills.loaded() == rows_of(deliveries)
    assert bills.charged() == totals_of(deliveries)
    if "effective" in deliveries[0].totals:
        assert bills.charged("EffectiveCost") == totals_of(deliveries, "effective")


def test_what_is_loaded_passes_every_check(loaded):
    bills, deliveries = loaded

    assert bills.loaded() == rows_of(deliveries)
    assert bills.charged() == totals_of(deliveries)
    assert bills.finops("verify").code == 0
    assert bills.finops("focus", "validate").code == 0


def test_a_restated_month_is_replaced_alone_and_can_be_rolled_back(loaded):
    bills, (january, february) = loaded
    before = bills.ledger()
    (restated,) = bills.write(refresh=2, only=[FEBRUARY])

    assert bills.load().outcomes == {"2024-01": "unchanged", "2024-02": "loaded"}
    assert bills.charged() == totals_of([january, restated]) != totals_of([january, february])
    assert bills.loaded() == rows_of([january, restated])
    assert bills.ledger()["2024-01"] == before["2024-01"]
    history = bills.finops("history", "2024-02", "--json").document
    assert before["2024-02"] in str(history)
    assert bills.finops("verify").code == 0

    assert bills.finops("rollback", "2024-02").code == 0
    assert bills.charged() == totals_of([january, february])
    assert bills.loaded() == rows_of([january, february])
    assert bills.load().outcomes["2024-02"] != "loaded"


def test_one_table_holds_what_a_table_per_month_holds(loaded, tmp_path):
    bills, deliveries = loaded
    single = Bills(tmp_path, bills.vendor, bills.layout, bills.seed)
    single.finops = Finops(tmp_path / "single")

    assert single.load("--table-strategy", "single").code == 0
    assert single.content() == bills.content()
    assert single.charged() == totals_of(deliveries)


def test_a_damaged_file_leaves_the_month_as_it_was(loaded):
    bills, (january, february) = loaded
    (restated,) = bills.write(refresh=2, only=[FEBRUARY])
    file = bills.bucket / restated.data_keys[-1]
    file.write_bytes(bytes(file.stat().st_size))

    answer = bills.load()

    assert answer.code in {3, 65}
    assert restated.data_keys[-1] in answer.err
    assert bills.loaded() == rows_of([january, february])
    assert bills.charged() == totals_of([january, february])


def test_a_column_that_is_added_later_appears(loaded, monkeypatch):
    bills, _ = loaded
    write = sampling.Rows.write

    def write_more(rows, keys, projection, table="line_item"):
        return write(rows, keys, f"{projection}, 'x' AS x_added_later", table)

    monkeypatch.setattr(sampling.Rows, "write", write_more)
    bills.write(refresh=2, only=[FEBRUARY])

    assert bills.load().code == 0
    assert dict(
        bills.finops.query(
            "SELECT billing_period, count(x_added_later)"
            f" FROM {bills.vendor}_billing.billing GROUP BY 1"
        )
    ) == {"2024-01": 0, "2024-02": bills.loaded()["2024-02"]}


def test_a_killed_run_leaves_the_old_month_and_the_next_one_ends_its_work(loaded):
    bills, deliveries = loaded
    (restated,) = bills.write(refresh=2, only=[FEBRUARY])

    killed(bills.finops, "rows-read", bills.vendor, "import-billing", *bills.flags)
    assert bills.charged() == totals_of(deliveries)

    assert bills.load().code == 0
    assert bills.charged() == totals_of([deliveries[0], restated])

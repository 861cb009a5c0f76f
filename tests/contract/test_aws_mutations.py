"""The golden cases notice every mistake in the money columns of the AWS mapping."""

import duckdb
import pytest

from finops.store.dataset import Dataset, stored_exports
from finops.store.ledger import current_loads
from finops.vendors import aws
from finops.vendors.aws.charges import line_items, mapping
from tests.contract.golden import CASES, KEY, as_expected, bills_of, by_key, import_bill, key_of
from tests.contract.mutants import COSTS, mutants

# The mapping up to where the costs are made: to describe the charges as well takes time.
NEXT = ",\n\n-- The price of one unit"
COSTS_ONLY = (
    f"WITH {mapping().partition(NEXT)[0]}\n"
    "SELECT source_row_id AS x_SourceRowId,"
    f" x_RowKind, {', '.join(COSTS)} FROM costed"
)
MUTANTS = dict(mutants(COSTS_ONLY))


@pytest.fixture(scope="module")
def bills(tmp_path_factory):
    """The line items of all cases, and the costs that are expected of them."""
    made = [
        (_line_items(tmp_path_factory.mktemp("bill"), items), _costs(charges))
        for items, charges in bills_of(CASES)
    ]
    yield made
    for db, _ in made:
        db.close()


def _line_items(folder, items):
    db = duckdb.connect(str(import_bill(folder, items).database), read_only=True)
    (export,) = stored_exports(db)
    (load,) = current_loads(db, export.dataset).values()
    bill = Dataset(db, export).bill(aws, load)
    rows = line_items(bill.columns, bill.table, COSTS_ONLY)
    db.execute(f"CREATE TEMP TABLE line_item AS {rows}", {"billing_period": str(load.period)})
    db.execute("SET disabled_optimizers = 'cte_inlining'")  # planning takes longest
    return db


def _costs(charges):
    return by_key(
        {name: charge[name] for name in (*KEY, *COSTS) if name in charge} for charge in charges
    )


def test_the_mapping_itself_makes_the_costs_of_every_case(bills):
    for db, expected in bills:
        assert made(db, COSTS_ONLY, expected) == expected


@pytest.mark.parametrize("name", MUTANTS)
def test_the_cases_notice(bills, name):
    assert any(made(db, MUTANTS[name], expected) != expected for db, expected in bills)


def made(db, text, expected):
    """Return the costs that a mapping makes; what is there twice becomes None."""
    charges = [dict(zip((*KEY, *COSTS), row, strict=True)) for row in db.execute(text).fetchall()]
    keys = [key_of(charge) for charge in charges]
    return {
        key: as_expected(charge, expected.get(key, charge)) if keys.count(key) == 1 else None
        for key, charge in zip(keys, charges, strict=True)
    }

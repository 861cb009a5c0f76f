"""A store of an older schema is migrated in the clone; one of a newer schema is refused."""

import duckdb
import pytest

from finops.schema import schema_scripts
from tests.charge_table import all_charges
from tests.driver import PERIODS, expected

NEWEST = len(schema_scripts("store"))


@pytest.fixture
def store(imported, tmp_path):
    return imported(tmp_path, periods=PERIODS[:2])


@pytest.fixture
def finops(store):
    return store[0]


@pytest.fixture
def totals(store):
    return expected(store[1])


def change(finops, *statements):
    with duckdb.connect(str(finops.database)) as db:
        for statement in statements:
            db.execute(statement)


def age(finops, version):
    """Make the store what an older finops left."""
    change(
        finops,
        "DROP SCHEMA focus CASCADE",
        *(f"DROP TABLE finops.{name}" for name in ("charge_builds", "checks", "period_totals")),
        *(f"DROP MACRO finops.{name}" for name in ("flat_json", "unit_price")),
        f"UPDATE finops.meta SET schema_version = {version}",
    )
    if version == 1:
        change(
            finops,
            "DROP TABLE finops.holds",
            "ALTER TABLE finops.meta DROP COLUMN parent",
            "ALTER TABLE finops.meta DROP COLUMN generation",
        )


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_store_is_read_as_it_is_and_migrated_by_the_next_run(finops, totals, version):
    charges = all_charges(finops)
    age(finops, version)
    assert finops("history", "2024-02").code == 0
    findings = finops("verify", "--json").document["findings"]
    assert {each["check"] for each in findings if not each["ok"]} == {"charges"}
    assert finops.aws("list-manifests").code == 0
    assert finops.query("SELECT schema_version FROM finops.meta") == [(version,)]

    answer = finops.aws("import-cur")
    assert set(answer.outcomes.values()) == {"unchanged"}
    assert answer.document["notices"] == ["aws_billing: made the charges of 2 periods anew"]
    assert finops.query("SELECT schema_version FROM finops.meta") == [(NEWEST,)]
    assert finops.loaded() == totals
    assert all_charges(finops) == charges
    assert finops("verify").code == 0
    assert finops("forget", "2024-02").code == 0


@pytest.mark.parametrize("command", ["import-cur", "status", "verify"])
def test_a_newer_store_is_refused_with_words(finops, command):
    change(finops, f"UPDATE finops.meta SET schema_version = {NEWEST + 1}")
    content = finops.database.read_bytes()
    run = finops.aws if command == "import-cur" else finops
    answer = run(command) if command == "import-cur" else run(command, "--json")

    assert answer.code == 74
    assert answer.document["error"]["code"] == "newer-schema"
    assert finops.database.read_bytes() == content
    assert finops("rebuild").code == 74
    assert finops.database.read_bytes() == content

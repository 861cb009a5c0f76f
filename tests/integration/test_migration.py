"""A store of an older schema is migrated in the clone; one of a newer schema is refused."""

import duckdb
import pytest

from finops.schema import schema_scripts
from finops.vendors.aws.sample import SampleLayout, write_sample
from tests.driver import PERIODS, expected, over_folder

NEWEST = len(schema_scripts("store"))


@pytest.fixture
def finops(tmp_path):
    return over_folder(tmp_path / "data", tmp_path / "bucket")


@pytest.fixture
def totals(finops, tmp_path, seed):
    deliveries = write_sample(
        tmp_path / "bucket", periods=PERIODS, rows=50, seed=seed, layout=SampleLayout()
    )
    assert finops.aws("import-cur").code == 0
    return expected(deliveries)


def change(finops, *statements):
    with duckdb.connect(str(finops.database)) as db:
        for statement in statements:
            db.execute(statement)


def make_it_schema_1(finops):
    change(
        finops,
        "DROP TABLE finops.holds",
        "ALTER TABLE finops.meta DROP COLUMN parent",
        "ALTER TABLE finops.meta DROP COLUMN generation",
        "UPDATE finops.meta SET schema_version = 1",
    )


def test_an_older_store_is_read_as_it_is_and_migrated_by_the_next_run(finops, totals):
    make_it_schema_1(finops)
    assert finops("history", "2024-02").code == 0
    assert finops("verify").code == 0
    assert finops.aws("list-manifests").code == 0
    assert finops.query("SELECT schema_version FROM finops.meta") == [(1,)]

    before = finops.database.stat().st_ino
    assert set(finops.aws("import-cur").outcomes.values()) == {"unchanged"}
    assert finops.database.stat().st_ino != before
    assert finops.query("SELECT schema_version FROM finops.meta") == [(NEWEST,)]
    assert finops.loaded() == totals
    assert finops("forget", "2024-02").code == 0


@pytest.mark.parametrize("command", ["import-cur", "status", "verify"])
@pytest.mark.usefixtures("totals")
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

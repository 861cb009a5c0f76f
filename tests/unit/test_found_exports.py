"""Exports that lie in a bucket: their names can be configured, and no two are alike."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.config import load_config
from finops.delivery import FoundExport
from finops.period import BillingPeriod
from finops.steps.list_manifests import export_sections, name_exports

PERIOD = BillingPeriod(2024, 1)
segment = st.text(st.sampled_from("aZ0-_. é\x7f\"'\\"), min_size=1, max_size=50)
place = st.lists(segment, min_size=1, max_size=4)


def found(path):
    prefix, _, name = path.rpartition("/")
    return FoundExport(prefix, name, "v2", "csv", PERIOD, PERIOD, datetime(2024, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["cur2/111/cid-cur2", "cur2/222/cid-cur2"], ["111", "222"]),
        (
            ["cur2/111/cid-cur2", "focus/111/cid-focus"],
            ["cur2-111-cid-cur2", "focus-111-cid-focus"],
        ),
        (["bills/a", "bills/a.b", "bills/a-b"], ["a", "a-b", "a-b-2"]),
        (["bills", "more/bills"], ["bills", "more"]),
        (["p/default", "p/_"], ["default-2", "export-2"]),
        (["one"], ["one"]),
    ],
)
def test_a_name_is_what_tells_the_places_apart(paths, names):
    assert list(name_exports([found(path) for path in paths])) == names


def test_a_name_that_is_taken_is_not_given_again():
    assert list(name_exports([found("p/a"), found("p/b")], ["A", "b-2"])) == ["a-2", "b"]


@given(st.lists(place, min_size=1, max_size=6, unique_by="/".join))
def test_whatever_lies_there_can_be_configured(paths):
    exports = [found("/".join(path)) for path in paths]
    file = Path("config.toml")
    file.write_text(f"[aws]\nbucket = 'b'\n{export_sections('aws', name_exports(exports))}\n")

    written = tomllib.loads(file.read_text())["aws"]["exports"]
    configured = load_config(file, {}, {}).exports

    assert [(each.prefix, each.export_name) for each in configured] == [
        (each.prefix, each.name) for each in exports
    ]
    assert len(written) == len({each.dataset for each in configured}) == len(exports)

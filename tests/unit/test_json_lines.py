"""JSON lines as CSV: every value comes back, numbers as they were written."""

import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.errors import BadDataError
from finops.store.json_lines import write_csv

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def converted(path, lines, *, flat=False):
    names, is_whole = [], False
    while not is_whole:
        names, is_whole = write_csv(lines, names, path, "key", flat=flat)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def text_of(value):
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@given(records=st.lists(st.dictionaries(TEXT.filter(bool), VALUES, min_size=1), min_size=1))
def test_every_value_comes_back(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("json") / "a.csv"
    names = dict.fromkeys(name for record in records for name in record)

    found = converted(path, [json.dumps(record, ensure_ascii=False) for record in records])

    assert found == [{name: text_of(record.get(name)) for name in names} for record in records]


@pytest.mark.parametrize(
    "number", ["0.12345678901234567890123456789", "1.10", "1e-7", "1E+20", "-0", "9" * 40]
)
def test_numbers_are_as_they_were_written(tmp_path, number):
    (row,) = converted(tmp_path / "a.csv", [f'{{"a": {number}, "b": [{{"c": {number}}}]}}'])

    assert row == {"a": number, "b": f'[{{"c": {number}}}]'}


def test_fields_of_records_become_columns(tmp_path):
    lines = ['{"a": {"b": {"c": 1}, "d": [{"e": 2}]}, "f": {}}', '{"a": null, "g": 3}']

    assert converted(tmp_path / "a.csv", lines, flat=True) == [
        {"a.b.c": "1", "a.d": '[{"e": 2}]', "g": ""},
        {"a.b.c": "", "a.d": "", "g": "3"},
    ]


def test_a_field_that_is_there_twice_is_refused(tmp_path):
    line = '{"a": {"b": 1}, "a.b": 2}'

    with pytest.raises(BadDataError, match="twice") as refused:
        converted(tmp_path / "a.csv", ["{}", line], flat=True)

    assert refused.value.where == "key, line 2"

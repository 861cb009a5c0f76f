"""What explain says of a cost is read from the mapping itself, for every kind of charge."""

import re
import tomllib
from pathlib import Path

import pytest

from finops.focus.rules import COSTS, find_rule, read_rules
from finops.vendors.aws import mapping

CASES = (Path(__file__).parents[1] / "contract/aws_charges").glob("*.toml")
ROW_KINDS = sorted(
    {
        charge["x_RowKind"]
        for case in CASES
        for charge in tomllib.loads(case.read_text(encoding="utf-8"))["charge"]
    }
)
WRITTEN = """
costed AS (
    SELECT
        *,
        -- What is paid, in two
        -- lines. Source: [A] a/b;
        -- [B] "c".
        CASE
            -- Nothing is
            -- paid twice.
            WHEN x_RowKind IN ('Gift', 'Unused') THEN 0
            -- Half of it.
            WHEN x_RowKind IN (
                'Shared'
            )
            THEN coalesce(
                CASE WHEN is_net THEN net END, cost) / 2
            -- As billed.
            ELSE cost
        END AS BilledCost,
        CASE WHEN x_RowKind = 'Gift' THEN 1 END AS gifts
    FROM priced
)
"""


@pytest.mark.parametrize("column", COSTS)
@pytest.mark.parametrize("kind", ROW_KINDS)
def test_every_cost_of_every_kind_of_charge_has_a_rule_with_its_source(kind, column):
    rule = find_rule(mapping(), column, kind)

    assert rule.column == column
    assert re.fullmatch(r"[A-Z].{10,}\.", rule.says)
    assert f"[FOCUS] {column}" in rule.source or "[CUR]" in rule.source
    assert rule.sql


def test_a_rule_is_the_very_text_that_runs():
    written = " ".join(mapping().split())
    rules = list(read_rules(mapping()))
    branches = re.findall(r"WHEN x_RowKind IN \([^)]*\)\s+THEN|ELSE cost\n", costed())

    assert [rule.column for rule in rules if not rule.kinds] == list(COSTS)
    assert len(rules) == len(branches)
    for rule in rules:
        assert f"THEN {rule.sql} " in written or f"ELSE {rule.sql} " in written
        assert "x_RowKind" not in rule.sql
        assert rule.says in " ".join(written.replace("--", "").split())


def test_no_rule_is_of_a_kind_that_does_not_exist():
    named = {kind for rule in read_rules(mapping()) for kind in rule.kinds}

    assert named <= set(ROW_KINDS)


@pytest.mark.parametrize(
    ("kind", "says", "sql"),
    [
        ("Gift", "Nothing is paid twice.", "0"),
        ("Unused", "Nothing is paid twice.", "0"),
        ("Shared", "Half of it.", "coalesce( CASE WHEN is_net THEN net END, cost) / 2"),
        ("Anything", "As billed.", "cost"),
    ],
)
def test_the_first_branch_that_asks_for_the_kind_is_the_rule(kind, says, sql):
    rule = find_rule(WRITTEN, "BilledCost", kind)

    assert (rule.says, rule.sql, rule.source) == (says, sql, '[A] a/b; [B] "c"')


def test_a_column_without_such_rules_has_none():
    assert find_rule(WRITTEN, "ListCost", "Gift") is None
    assert find_rule("SELECT 1", "BilledCost", "Gift") is None


def test_a_bill_in_focus_speaks_for_itself():
    rule = find_rule(mapping(), "ListCost", "Native")

    assert (rule.sql, rule.source) == ("ListCost", "[FOCUS] ListCost")


def costed():
    text = mapping()
    return text[text.index("costed AS") : text.index("FROM described")]

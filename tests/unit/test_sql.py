"""Ctrl-C reaches Python as DuckDB words it, wherever a statement runs."""

import pytest

from finops.sql import query, run_statements


class Interrupted:
    """A connection on which Ctrl-C comes with every statement."""

    def execute(self, *_statement):
        raise RuntimeError("Query interrupted")


@pytest.mark.parametrize("run", [query, run_statements])
def test_an_interrupt_is_pythons_own(run):
    with pytest.raises(KeyboardInterrupt):
        run(Interrupted(), "SELECT 1")

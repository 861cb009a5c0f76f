"""What must hold after every case, and the count of what did."""

import re
import signal
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

from tests.reliability.site import ROOT

_PAGE = (ROOT / "docs/errors.md").read_text()
EXIT_CODES = {int(code) for code in re.findall(r"(?m)^\| (\d+) \|", _PAGE)}
ERROR_CODES = set(re.findall(r"(?m)^\| `([\w-]+)` \|", _PAGE))


@dataclass
class Line:
    """A line of the table."""

    tried: int = 0
    survived: int = 0
    lost: int = 0
    doubled: int = 0

    def add(self, other):
        self.tried += other.tried
        self.survived += other.survived
        self.lost += other.lost
        self.doubled += other.doubled


@dataclass
class Tally:
    """What was tried and what survived, by case."""

    lines: dict[str, Line] = field(default_factory=dict)

    def line(self, case):
        return self.lines.setdefault(case, Line())

    @contextmanager
    def trial(self, case, times=1):
        """Count a case as survived if nothing in it fails."""
        line = self.line(case)
        line.tried += times
        yield Trial(line)
        line.survived += times

    def markdown(self):
        """Return the table as a page shows it."""
        head = ["| case | tried | survived | rows lost | rows doubled |", "|---|--:|--:|--:|--:|"]
        return head + [
            f"| {case} | {line.tried:,} | {line.survived:,} | {line.lost:,} | {line.doubled:,} |"
            for case, line in sorted(self.lines.items())
        ]


@dataclass
class Trial:
    """One case under way."""

    line: Line

    def recovers(self, site, ended, versions, before, crashes=()):
        """Check a run that was harmed, and the plain run after it.

        ``versions`` are the bills by period that may be there after the harm; the last of them
        is what must be there in the end. ``before`` is what the store held at first.
        """
        check_words(ended, crashes)
        final = versions[-1]
        unchanged = {
            period
            for period in before.ledger
            if all(bills.get(period) == final[period] for bills in versions)
        }
        assert_untouched(self.holds(site, *versions), before, unchanged)
        again = site.run()
        check_words(again)
        assert again.code == 0, again
        held = self.holds(site, final)
        assert_untouched(held, before, unchanged)
        assert_clean(site, held)

    def holds(self, site, *versions):
        """Check that every period is whole and in one of the versions; return what is held."""
        held = site.read()
        periods = set(held.rows).union(*versions)
        differences = {
            period: min((_difference(held, period, bills) for bills in versions), key=sum)
            for period in periods
        }
        self.line.lost += sum(lost for lost, _ in differences.values())
        self.line.doubled += sum(doubled for _, doubled in differences.values())
        wrong = {period: found for period, found in differences.items() if any(found)}
        assert not wrong, f"rows lost and doubled: {wrong}"
        for period in periods:
            _assert_one_load(held, period)
        _assert_charges_of_the_loads(held)
        return held


def _difference(held, period, bills):
    """Return how many rows a period lacks, and how many it has beyond the bill's."""
    wanted = bills[period].counted if period in bills else Counter()
    found = held.rows.get(period, Counter())
    return (wanted - found).total(), (found - wanted).total()


def _assert_one_load(held, period):
    """The rows carry one load, and the ledger says of it what the rows say."""
    rows = held.rows.get(period, Counter())
    if not rows:
        assert held.ledger.get(period, ("", 0, 0))[1] == 0
        return
    total = sum((cost * count for (_, _, cost), count in rows.items()), Decimal(0))
    load_id, *said = held.ledger[period]
    assert held.load_ids[period] == {load_id}
    assert said == [rows.total(), total]


def _assert_charges_of_the_loads(held):
    """No line items without their charges, and no charges of line items that are gone."""
    wanted = sorted((period, *load) for period, load in held.ledger.items() if load[1])
    for charges in held.charges:
        assert charges == wanted


def assert_untouched(held, before, periods):
    for period in periods:
        assert held.ledger[period] == before.ledger[period], f"{period} was touched"


def assert_clean(site, held):
    """Nothing that a harmed run left behind is there any more."""
    left = [*site.data.glob("open_finops.next*"), *site.data.rglob("*.part")]
    left += (site.data / "tmp").iterdir()
    assert (left, held.stages) == ([], [])


def check_words(ended, crashes=()):
    """A process ends with a documented code, or by our own signal, and never babbles.

    ``crashes`` are the signals by which the system may end it in this case.
    """
    ours = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
    assert ended.code in EXIT_CODES or -ended.code in (*ours, *crashes), ended
    assert "Traceback" not in ended.out + ended.err, ended.err
    assert "error[unexpected]" not in ended.err, ended.err
    named = set(re.findall(r"(?m)^error\[([\w-]+)\]", ended.err))
    assert named <= ERROR_CODES, named - ERROR_CODES

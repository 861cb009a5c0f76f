"""A state machine of everything that happens to a data folder, beside a model of a few dicts."""

import shutil
import sys
import tempfile
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from finops.faults import CRASH_POINTS
from tests.reliability.bills import PERIODS, make_bill, write_bill
from tests.reliability.oracle import Tally, assert_clean, check_words
from tests.reliability.plan import dice, rounds
from tests.reliability.site import Site

# From here to the end a kill counts as one of the load: after two the delivery is set aside.
LOADING = CRASH_POINTS[CRASH_POINTS.index("cloned") :]
HARMLESS = CRASH_POINTS[: CRASH_POINTS.index("cloned")]
MONTH = st.sampled_from(PERIODS)
TALLY = Tally()


class Bookkeeping(RuleBasedStateMachine):
    """``bucket`` and ``store`` say which bill each month has there."""

    def __init__(self):
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="finops-model-"))
        self.site = Site(self.home / "data", self.home / "bucket")
        self.bucket, self.store = {}, {}
        self.versions = count()
        self.killed_loading = False
        self.trial = TALLY.trial("state machine: deliver, restate, run, kill, full disk")
        self.now = self.trial.__enter__()

    def teardown(self):
        failure = sys.exc_info()
        if self.bucket and failure[0] is None:
            self.run()
        shutil.rmtree(self.home)
        self.trial.__exit__(*failure)

    def put(self, bill):
        write_bill(self.site.bucket, bill, files=2)
        self.bucket[str(bill.period)] = bill

    def version(self):
        return f"v{next(self.versions):04}"

    @rule(period=MONTH, rows=st.integers(1, 200))
    def deliver(self, period, rows):
        """A first delivery, or a restatement with other costs."""
        name = self.version()
        self.put(make_bill(period, name, rows, dice("model", name, str(period))))

    @precondition(lambda self: self.bucket)
    @rule(data=st.data())
    def deliver_the_same_again(self, data):
        bill = self.bucket[data.draw(st.sampled_from(sorted(self.bucket)))]
        self.put(type(bill)(bill.period, self.version(), bill.rows))

    @precondition(lambda self: self.bucket)
    @rule()
    def run(self):
        ended = self.site.run()
        check_words(ended)
        assert ended.code == 0, ended
        self.store, self.killed_loading = dict(self.bucket), False
        assert_clean(self.site, self.now.holds(self.site, self.store))

    @precondition(lambda self: self.bucket)
    @rule(point=st.sampled_from(HARMLESS), time=st.integers(1, 4))
    def kill_before_the_load(self, point, time):
        self.harm(f"{point}#{time}")

    @precondition(lambda self: self.bucket and not self.killed_loading)
    @rule(point=st.sampled_from(LOADING), time=st.integers(1, 3))
    def kill_in_the_load(self, point, time):
        self.killed_loading = True
        self.harm(f"{point}#{time}")

    @precondition(lambda self: self.bucket)
    @rule(point=st.sampled_from(CRASH_POINTS), time=st.integers(1, 2))
    def fill_the_disk(self, point, time):
        self.harm(f"{point}#{time}:disk-full")

    def harm(self, fault):
        ended = self.site.run(fault=fault)
        check_words(ended)
        assert ended.code in (0, -9, 74), ended
        self.believe()

    def believe(self):
        """Take each month as it is now: the one before, or the one in the bucket."""
        held = self.now.holds(self.site, self.store, self.bucket)
        for name, bill in self.bucket.items():
            if held.rows.get(name) == bill.counted:
                self.store[name] = bill

    @invariant()
    def the_store_is_the_model(self):
        self.now.holds(self.site, self.store)


@pytest.mark.timeout(0)
def test_the_state_machine(tally):
    machine = Bookkeeping.TestCase
    machine.settings = settings(
        max_examples=rounds(40, 2),
        stateful_step_count=rounds(20, 8),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    try:
        machine().runTest()
    finally:
        tally.lines.update(TALLY.lines)

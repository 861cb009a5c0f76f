"""A state machine of everything that happens to a data folder, beside a model of a few dicts."""

import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from finops.faults import CRASH_POINTS
from tests.reliability.bills import PERIODS, make_bill, write_bill, write_manifest
from tests.reliability.oracle import Line, Trial, assert_clean, check_words
from tests.reliability.plan import dice, rounds
from tests.reliability.site import Site

# From here to the end a kill counts as one of the load: after two the delivery is set aside.
LOADING = CRASH_POINTS[CRASH_POINTS.index("cloned") :]
HARMLESS = CRASH_POINTS[: CRASH_POINTS.index("cloned")]
MONTH = st.sampled_from(PERIODS)
LINES = []


class Bookkeeping(RuleBasedStateMachine):
    """``bucket`` and ``store`` say which bill each month has there.

    ``bills`` are all that were ever delivered, by version, and ``files`` their data files;
    ``held`` are the versions that a rollback set aside.
    """

    def __init__(self):
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="finops-model-"))
        self.site = Site(self.home / "data", self.home / "bucket")
        self.bucket, self.store, self.bills, self.files = {}, {}, {}, {}
        self.held = set()
        self.killed_loading = False
        self.line = Line()
        self.now = Trial(self.line)

    def teardown(self):
        failure = sys.exc_info()[1]
        if self.bucket and failure is None:
            self.run()
        shutil.rmtree(self.home)
        # Hypothesis gives up some examples half-way; they prove nothing.
        if not type(failure).__module__.startswith("hypothesis"):
            self.line.tried = 1
            self.line.survived = int(failure is None)
            LINES.append(self.line)

    def put(self, bill):
        self.files[bill.version] = write_bill(self.site.bucket, bill)
        self.bills[bill.version] = self.bucket[str(bill.period)] = bill

    def version(self):
        return f"v{len(self.bills):04}"

    def choose(self, data):
        return data.draw(st.sampled_from(sorted(self.bucket)))

    @rule(period=MONTH, rows=st.integers(1, 200))
    def deliver(self, period, rows):
        """A first delivery, or a restatement with other costs."""
        name = self.version()
        self.put(make_bill(period, name, rows, dice("model", name, str(period))))

    @precondition(lambda self: self.bucket)
    @rule(data=st.data())
    def deliver_the_same_again(self, data):
        bill = self.bucket[self.choose(data)]
        self.put(replace(bill, version=self.version()))

    @precondition(lambda self: self.bucket)
    @rule(data=st.data())
    def take_back(self, data):
        """The bucket shows an earlier delivery again."""
        period = self.choose(data)
        earlier = [name for name, bill in self.bills.items() if str(bill.period) == period]
        name = data.draw(st.sampled_from(earlier))
        self.bucket[period] = self.bills[name]
        write_manifest(self.site.bucket, self.bills[name], self.files[name])

    @precondition(lambda self: self.bucket)
    @rule()
    def run(self):
        ended = self.site.run()
        check_words(ended)
        assert ended.code == 0, ended
        wanted = {
            period: bill for period, bill in self.bucket.items() if bill.version not in self.held
        }
        self.store, self.killed_loading = self.store | wanted, False
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
        self.believe(self.store, self.bucket)

    def believe(self, *possible):
        """Take the store as it is, if it is one of those that are possible."""
        held = self.now.holds(self.site, *possible)
        self.store = {name: self.bills[version] for name, version in held.deliveries.items()}

    # The commands that look after what is loaded.

    @precondition(lambda self: self.store)
    @rule()
    def verify(self):
        assert self.site.look_after("verify").code == 0

    @precondition(lambda self: self.store)
    @rule(data=st.data())
    def roll_back(self, data):
        period = data.draw(st.sampled_from(sorted(self.store)))
        present = self.store[period]
        ended = self.site.look_after("rollback", period)
        check_words(ended)
        assert ended.code in (0, 4), ended
        # What a killed run committed of the other months is published with it.
        others = {name: bill for name, bill in self.bucket.items() if name != period}
        earlier = [bill for bill in self.bills.values() if str(bill.period) == period]
        stores = [{**self.store, period: bill} for bill in earlier]
        self.believe(*stores, *({**others, period: bill} for bill in earlier))
        if ended.code == 0:
            assert self.store[period] != present
            self.held.add(present.version)

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
        total = tally.line("state machine: deliver, restate, run, kill, full disk, roll back")
        for line in LINES:
            total.add(line)

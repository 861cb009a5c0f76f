"""Prepared data folders, and the table at the end."""

import os
import re
import shutil
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.reliability.bills import make_bill, make_bills, write_bill
from tests.reliability.oracle import Tally
from tests.reliability.plan import SEED, dice
from tests.reliability.site import ROOT, Held, Site, finish
from tests.servers.proxy import proxy_before

TALLY = pytest.StashKey[Tally]()
BEGIN, END = "<!-- table -->", "<!-- end of table -->"


def pytest_configure(config):
    config.stash[TALLY] = Tally()


class Story(NamedTuple):
    """A site before its run: what it holds, and what it will hold after."""

    site: Site
    old: dict
    new: dict
    before: Held


@pytest.fixture(scope="session")
def tally(request):
    """The counts of the whole test run."""
    return request.config.stash.setdefault(TALLY, Tally())


@pytest.fixture(scope="session")
def stories(tmp_path_factory):
    """Make sites before a first load and before a restatement, for both table strategies."""
    home = tmp_path_factory.mktemp("stories")
    old = make_bills("first", dice("bills"))
    new = old | {
        name: make_bill(bill.period, "second", 330, dice("restated", name))
        for name, bill in list(old.items())[:2]
    }
    _deliver(home / "old", old.values())
    shutil.copytree(home / "old", home / "new")
    _deliver(home / "new", [bill for name, bill in new.items() if bill != old[name]])
    return {
        (kind, strategy): _story(home, kind, strategy, old, new)
        for kind in ("first", "restated")
        for strategy in ("separate", "single")
    }


def _deliver(bucket, bills):
    for bill in bills:
        write_bill(bucket, bill)


def _story(home, kind, strategy, old, new):
    flags = ("--table-strategy", strategy)
    site = Site(home / f"{kind}-{strategy}", home / "old", flags)
    if kind == "first":
        return Story(site, {}, old, Held())
    # Made in its own environment: the tests' own takes effect for each test only.
    assert site.run().code == 0
    return Story(Site(site.data, home / "new", flags), old, new, site.read())


@pytest.fixture(scope="session")
def durations(stories, tmp_path_factory):
    """Measure how long the run of each story works once it holds the data folder."""
    home = tmp_path_factory.mktemp("durations")
    return {key: _duration(story, home / "-".join(key)) for key, story in stories.items()}


def _duration(story, data):
    site = story.site.copy(data)
    process = site.start()
    site.wait_until_locked(process)
    begin = time.monotonic()
    finish(process)
    assert process.returncode == 0
    return time.monotonic() - begin


@pytest.fixture
def story(stories, tmp_path):
    """Return a copy of a prepared site."""

    def copy(kind, strategy):
        prepared = stories[kind, strategy]
        return prepared._replace(site=prepared.site.copy(tmp_path / "data"))

    return copy


@pytest.fixture(scope="session")
def _proxy(s3_endpoint):
    with proxy_before(s3_endpoint) as made:
        yield made


@pytest.fixture
def proxy(_proxy):
    """A proxy before the S3 server, harmless until a test tells it otherwise."""
    yield _proxy
    _proxy.heal()


def pytest_terminal_summary(terminalreporter, config):
    tally = config.stash.get(TALLY, None)
    if not tally or not tally.lines:
        return
    table = tally.markdown()
    terminalreporter.section(f"reliability, seed {SEED}")
    for line in table:
        terminalreporter.line(line)
    if page := os.environ.get("FINOPS_RELIABILITY_PAGE"):
        _write_table(ROOT / page, table)


def _write_table(page: Path, table):
    text = "\n".join([BEGIN, *table, END])
    page.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: text, page.read_text(), flags=re.DOTALL))

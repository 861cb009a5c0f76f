"""Stores that many tests begin with are imported once and copied."""

import shutil

import pytest

from finops.vendors.aws.sample import write_sample
from tests.driver import PERIODS, over_folder


@pytest.fixture(scope="session")
def imported(tmp_path_factory, seed):
    """Return a function that puts a bucket and the store loaded from it into a folder.

    It returns the command line over them, and the deliveries of each of ``refreshes``, all of
    which were loaded, one after the other.
    """
    made = {}

    def make(periods, rows, refreshes):
        root, history = tmp_path_factory.mktemp("imported"), []
        finops = over_folder(root / "data", root / "bucket")
        for refresh in range(1, refreshes + 1):
            history.append(
                write_sample(
                    root / "bucket", periods=periods, rows=rows, seed=seed, refresh=refresh
                )
            )
            assert finops.aws("import-cur").code == 0
        return root, history

    def copy(to, *flags, periods=PERIODS, rows=200, refreshes=1):
        key = (tuple(periods), rows, refreshes)
        if key not in made:
            made[key] = make(*key)
        root, history = made[key]
        shutil.copytree(root, to, dirs_exist_ok=True)
        return over_folder(to / "data", to / "bucket", *flags), *history

    return copy

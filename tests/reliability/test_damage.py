"""A damaged file is never loaded: each bit counts, wherever it was lost."""

import gzip
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from finops.period import BillingPeriod
from tests.driver import upload
from tests.reliability.bills import csv_text, make_bills, write_bill
from tests.reliability.oracle import assert_clean
from tests.reliability.plan import chosen, dice, rounds
from tests.reliability.site import Held, Site
from tests.servers import proxy as faults

FORMS = ["csv.gz", "parquet"]
DATA = r"monthly-cur-\d{5}\."
MONTHS = [BillingPeriod(2018, 1).shift(number) for number in range(50)]
BATCHES = rounds(20, 1)


def deliver(bucket, chance, form, periods):
    """Deliver one small file a month; return the bills and the files' paths by period."""
    bills = make_bills("only", chance, periods=periods, rows=20)
    paths = {name: write_bill(bucket, bill, files=1, form=form)[0] for name, bill in bills.items()}
    return bills, paths


@pytest.fixture(scope="session")
def staged(tmp_path_factory):
    """Make a data folder per form in which many months wait to be loaded."""
    made = {}

    def stage(form):
        if form not in made:
            home = tmp_path_factory.mktemp("staged")
            periods = MONTHS[: rounds(50, 12)]
            bills, _ = deliver(home / "bucket", dice("staged", form), form, periods)
            site = Site(home / "data", home / "bucket")
            for command in ("discover-manifests", "extract-manifests", "extract-billing"):
                assert site.run(command).code == 0
            made[form] = site, bills
        return made[form]

    return stage


def flip_a_bit(path: Path, chance: random.Random):
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def cut_at(path: Path, percent):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * percent // 100])


def damaged_copy(bucket, to, paths):
    """Copy a bucket and return where the files at ``paths`` lie in the copy."""
    shutil.copytree(bucket, to)
    return {name: to / path.relative_to(bucket) for name, path in paths.items()}


@pytest.mark.parametrize("batch", range(BATCHES))
@pytest.mark.parametrize("form", FORMS)
def test_a_bit_flipped_in_a_staged_file(tmp_path, staged, tally, form, batch):
    prepared, bills = staged(form)
    chance = dice("staged", form, batch)
    site = prepared.copy(tmp_path / "data")
    for path in site.data.rglob(f"0001-*.{form}"):
        flip_a_bit(path, chance)
    with tally.trial(f"bit flipped in a staged {form}", len(bills)) as trial:
        ended = site.run("load-billing-local")

        assert ended.errors == dict.fromkeys(bills, "staging-lost")
        trial.recovers(site, ended, [{}, bills], Held())


@pytest.mark.parametrize("form", [*FORMS, "csv"])
def test_a_staged_file_cut_short(tmp_path, staged, tally, form):
    prepared, bills = staged(form)
    site = prepared.copy(tmp_path / "data")
    cuts = chosen(range(100), len(bills))
    for number in range(0, len(cuts), len(bills)):
        site = prepared.copy(tmp_path / f"data{number}")
        paths = sorted(site.data.rglob(f"0001-*.{form}"))
        for path, percent in zip(paths, cuts[number:], strict=False):
            cut_at(path, percent)
        with tally.trial(f"staged {form} cut short", len(paths)) as trial:
            ended = site.run("load-billing-local")

            assert ended.errors == dict.fromkeys(bills, "staging-lost")
            trial.recovers(site, ended, [{}, bills], Held())


@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_bit_flipped_in_a_gzip_at_the_source(tmp_path, tally, batch):
    chance = dice("source", batch)
    bills, paths = deliver(tmp_path / "good", chance, "csv.gz", MONTHS[: rounds(50, 12)])
    contents = {name: gzip.decompress(path.read_bytes()) for name, path in paths.items()}
    damaged = damaged_copy(tmp_path / "good", tmp_path / "bad", paths)
    for path in damaged.values():
        flip_a_bit(path, chance)
    site = Site(tmp_path / "data", tmp_path / "bad")
    with tally.trial("bit flipped in a csv.gz at the source", len(bills)) as trial:
        ended = site.run()

        # Time and system in the header mean nothing: those bits change no row.
        harmless = {name for name in bills if _inflated(damaged[name]) == contents[name]}
        wrong = dict.fromkeys(bills.keys() - harmless, "damaged-file")
        assert {name: ended.errors[name] for name in wrong} == wrong
        good = replace(site, bucket=tmp_path / "good")
        trial.recovers(good, ended, [{}, bills], Held())


def _inflated(path):
    try:
        return gzip.decompress(path.read_bytes())
    except (OSError, EOFError, gzip.zlib.error):
        return None


@pytest.mark.parametrize("form", FORMS)
def test_a_file_cut_short_at_the_source(tmp_path, tally, form):
    cuts = chosen(range(100), 12)
    periods = [MONTHS[0].shift(number) for number in range(len(cuts))]
    bills, paths = deliver(tmp_path / "good", dice("cut", form), form, periods)
    damaged = damaged_copy(tmp_path / "good", tmp_path / "bad", paths)
    for path, percent in zip(damaged.values(), cuts, strict=True):
        cut_at(path, percent)
    site = Site(tmp_path / "data", tmp_path / "bad")
    with tally.trial(f"{form} cut short at the source", len(cuts)) as trial:
        ended = site.run()

        assert (ended.code, ended.errors) == (65, dict.fromkeys(bills, "damaged-file"))
        good = replace(site, bucket=tmp_path / "good")
        trial.recovers(good, ended, [{}, bills], Held())


def test_what_comes_after_a_gzip(tmp_path, tally):
    chance = dice("after")
    bills, paths = deliver(tmp_path / "bucket", chance, "csv.gz", MONTHS[:3])
    garbage, members, zeros = paths.values()
    garbage.write_bytes(garbage.read_bytes() + chance.randbytes(chance.randint(1, 1000)))
    text = csv_text(bills[str(MONTHS[1])].rows, MONTHS[1]).encode()
    middle = chance.randrange(len(text))
    members.write_bytes(gzip.compress(text[:middle]) + gzip.compress(text[middle:]))
    zeros.write_bytes(zeros.read_bytes() + bytes(100))
    site = Site(tmp_path / "data", tmp_path / "bucket")
    with tally.trial("gzip with garbage, members or zeros after it", 3) as trial:
        ended = site.run()

        assert ended.code == 3
        assert ended.errors == {str(MONTHS[0]): "damaged-file", str(MONTHS[2]): "bad-file"}
        del bills[str(MONTHS[0])], bills[str(MONTHS[2])]
        assert_clean(site, trial.holds(site, bills))


@pytest.mark.parametrize("batch", range(BATCHES))
@pytest.mark.parametrize("form", FORMS)
def test_a_bit_flipped_on_the_way_from_s3(tmp_path, tally, bucket, proxy, form, batch):
    chance = dice("way", form, batch)
    bills, _ = deliver(tmp_path / "tree", chance, form, MONTHS[: rounds(50, 5)])
    upload(tmp_path / "tree", bucket)
    site = Site(tmp_path / "data", bucket.name, ("--endpoint", proxy.url))
    with tally.trial(f"bit flipped in a {form} on the way from S3", len(bills)) as trial:
        proxy.harm("GET", DATA, after=faults.flip_any(chance), times=10**6)
        ended = site.run()
        proxy.heal()

        assert (ended.code, ended.errors) == (65, dict.fromkeys(bills, "damaged-file"))
        trial.recovers(site, ended, [{}, bills], Held())


@pytest.mark.parametrize("form", FORMS)
def test_a_bit_flipped_once_is_fetched_again(tmp_path, tally, bucket, proxy, form):
    chance = dice("once", form)
    bills, _ = deliver(tmp_path / "tree", chance, form, MONTHS[: rounds(50, 3)])
    upload(tmp_path / "tree", bucket)
    site = Site(tmp_path / "data", bucket.name, ("--endpoint", proxy.url))
    with tally.trial(f"bit flipped once in a {form} on the way from S3", len(bills)) as trial:
        for period in bills:
            month = period.replace("-", "") + "01-"
            proxy.harm("GET", f"{month}.*{DATA}", after=faults.flip_any(chance))
        ended = site.run()

        assert ended.code == 0, ended
        assert_clean(site, trial.holds(site, bills))

"""Whatever the network does, a month is the old one, the new one, or an error that is named."""

from dataclasses import replace

import pytest

from tests.driver import upload, upload_manifests_again
from tests.reliability.bills import PERIODS, make_bills, manifest_of, retouched, write_bill
from tests.reliability.plan import chosen, dice, rounds
from tests.reliability.site import Site
from tests.servers import proxy as faults

DATA = r"monthly-cur-\d{5}\."
MANIFEST = "Manifest.json"


@pytest.fixture
def remote(proxy, bucket, tmp_path):
    """A site that reads a bucket through the proxy."""
    return Site(tmp_path / "data", bucket.name, ("--endpoint", proxy.url))


@pytest.fixture
def deliver(bucket, tmp_path):
    """Put bills into the bucket; AWS overwrites the files in place."""

    def put(bills, **form):
        for bill in bills.values():
            write_bill(tmp_path / "tree", bill, overwrite=True, **form)
        upload(tmp_path / "tree", bucket)

    return put


def _two_versions(chance):
    return (
        make_bills(version, chance, periods=PERIODS[:2], rows=200)
        for version in ("first", "second")
    )


HARMS = {
    "connection cut": lambda chance: {"after": faults.cut(chance.randrange(9_000))},
    "answer delayed": lambda _: {"after": faults.delay(1)},
    "503 SlowDown": lambda chance: {
        "after": faults.refuse(503, "SlowDown"),
        "times": chance.randint(1, 3),
    },
    "500 in between": lambda _: {"after": faults.refuse(500, "InternalError")},
    "403": lambda _: {"after": faults.refuse(403, "AccessDenied")},
    "403 expired token": lambda _: {"after": faults.refuse(403, "ExpiredToken")},
    "404": lambda _: {"after": faults.refuse(404, "NoSuchKey")},
    "412": lambda _: {"after": faults.refuse(412, "PreconditionFailed")},
    "Content-Length too large": lambda _: {"after": faults.claim_length(100)},
    "Content-Length too small": lambda _: {"after": faults.claim_length(-100)},
    "body short, headers agree": lambda chance: {"after": faults.shorten(chance.randint(1, 2000))},
    "stale ETag": lambda _: {"after": faults.claim_etag("0" * 32)},
}


@pytest.mark.parametrize("number", range(rounds(10, 1)))
@pytest.mark.parametrize("harm", chosen(HARMS, 5))
def test_a_harmed_answer(remote, proxy, deliver, tally, harm, number):
    chance = dice(harm, number)
    old, new = _two_versions(chance)
    deliver(old)
    assert remote.run().code == 0
    before = remote.read()
    deliver(new)
    with tally.trial(f"S3: {harm}") as trial:
        proxy.harm(
            chance.choice(["GET", "GET", "HEAD"]),
            chance.choice([DATA, DATA, MANIFEST, "list-type"]),
            skip=chance.randrange(6),
            **HARMS[harm](chance),
        )
        ended = remote.run()
        proxy.heal()

        trial.recovers(remote, ended, [old, new], before)


@pytest.mark.parametrize("number", range(rounds(100, 2)))
def test_a_download_cut_at_any_byte_goes_on(remote, proxy, deliver, tally, number):
    chance = dice("cut", number)
    new = make_bills("first", chance, rows=300)
    deliver(new)
    with tally.trial("S3: download cut at a random byte, goes on") as trial:
        for skip in range(chance.randint(1, 3)):
            proxy.harm("GET", DATA, after=faults.cut(chance.randrange(5_000)), skip=skip * 2)
        ended = remote.run()

        assert ended.code == 0, ended
        trial.holds(remote, new)


@pytest.mark.parametrize("number", range(rounds(40, 2)))
@pytest.mark.parametrize("what", ["data file", "manifest", "delivery"])
def test_the_bucket_changes_while_it_is_read(
    remote, proxy, deliver, bucket, tally, tmp_path, what, number
):
    chance = dice("swap", what, number)
    old, new = _two_versions(chance)
    form = chance.choice(["csv.gz", "csv", "csv", "csv"])
    if form == "csv":
        new = {name: retouched(bill, "second") for name, bill in old.items()}
    deliver(old, form=form)
    is_loaded = number % 2
    if is_loaded:
        assert remote.run().code == 0
    before = remote.read()
    paths = _rewrite(tmp_path / "tree", new, form, chance, what)
    then = _with_one_file_changed(old, new, paths) if what == "data file" else new

    def swap():
        for path in paths:
            key = path.relative_to(tmp_path / "tree").as_posix()
            bucket.client.put_object(Bucket=bucket.name, Key=key, Body=path.read_bytes())

    with tally.trial(f"S3: {what} replaced while a run reads") as trial:
        key, requests = chance.choice([(DATA, 4), (DATA, 4), (DATA, 4), ("", 16)])
        proxy.harm("GET", key, before=swap, skip=chance.randrange(requests))
        ended = remote.run()
        proxy.heal()
        swap()
        upload_manifests_again(bucket)  # until then a delivery is waited for

        trial.recovers(remote, ended, [old if is_loaded else {}, old, then], before)


def _rewrite(tree, bills, form, chance, what):
    """Write the new version and return the files to put, in the order in which AWS does."""
    paths = [
        path
        for bill in bills.values()
        for path in write_bill(tree, bill, form=form, overwrite=what != "manifest")
    ]
    if what == "data file":
        return [chance.choice(paths)]
    return paths + [manifest_of(tree, bill.period) for bill in bills.values()]


def _with_one_file_changed(old, new, paths):
    """Say what the bucket holds once one of a month's two files is another one."""
    (path,) = paths
    for name, bill in old.items():
        if path.parent == manifest_of(path.parents[3], bill.period).parent:
            half = len(bill.rows) // 2
            halves = [bill.rows[:half], bill.rows[half:]]
            part = int(path.name.startswith("monthly-cur-00002"))
            halves[part] = (new[name].rows[:half], new[name].rows[half:])[part]
            return old | {name: replace(bill, rows=(*halves[0], *halves[1]))}
    raise AssertionError(path)

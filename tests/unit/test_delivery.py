"""A delivery survives being written down, and its fingerprint tells it from every other."""

import dataclasses
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.delivery import DataFile, Delivery, ManifestColumn
from finops.period import BillingPeriod

files = st.builds(DataFile, st.text(), st.integers(0, 2**60), st.text())
deliveries = st.builds(
    Delivery,
    vendor=st.sampled_from(["aws", "azure"]),
    export=st.text(min_size=1),
    period=st.builds(BillingPeriod, st.integers(1900, 2999), st.integers(1, 12)),
    delivery_id=st.text(),
    manifest_key=st.text(),
    manifest_etag=st.text(),
    delivered_at=st.datetimes(timezones=st.just(UTC)),
    shape=st.sampled_from(["v1", "v2", "focus"]),
    file_format=st.sampled_from(["csv", "parquet"]),
    compression=st.sampled_from(["none", "gzip", "zip"]),
    files=st.lists(files, max_size=5).map(tuple),
    columns=st.lists(st.builds(ManifestColumn, st.text(), st.text()), max_size=3).map(tuple),
    notices=st.lists(st.text(), max_size=2).map(tuple),
)

EXAMPLE = Delivery(
    vendor="aws",
    export="default",
    period=BillingPeriod(2024, 1),
    delivery_id="20240105T000000Z",
    manifest_key="p/r/20240101-20240201/r-Manifest.json",
    manifest_etag="m",
    delivered_at=datetime(2024, 1, 5, tzinfo=UTC),
    shape="v1",
    file_format="csv",
    compression="gzip",
    files=(DataFile("k1", 10, "e1"), DataFile("k2", 20, "e2")),
)


@given(deliveries)
def test_a_delivery_reads_back_as_it_was_written(delivery) -> None:
    back = Delivery.from_json(delivery.to_json())

    assert back == delivery
    assert back.fingerprint == delivery.fingerprint


def test_what_is_written_is_json_that_people_can_read() -> None:
    written = json.loads(EXAMPLE.to_json())

    assert written["period"] == "2024-01"
    assert written["delivered_at"] == "2024-01-05T00:00:00+00:00"
    assert written["files"][0] == {"key": "k1", "size": 10, "etag": "e1"}


@given(deliveries, st.randoms(use_true_random=False))
def test_the_order_of_files_does_not_change_the_fingerprint(delivery, shuffler) -> None:
    shuffled = list(delivery.files)
    shuffler.shuffle(shuffled)

    other = dataclasses.replace(delivery, files=tuple(shuffled))

    assert other.fingerprint == delivery.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"vendor": "azure"},
        {"export": "second"},
        {"period": BillingPeriod(2024, 2)},
        {"delivery_id": "20240106T000000Z"},
        {"files": EXAMPLE.files[:1]},
        {"files": (*EXAMPLE.files, DataFile("k3", 0, ""))},
        {"files": (DataFile("K1", 10, "e1"), EXAMPLE.files[1])},
        {"files": (DataFile("k1", 11, "e1"), EXAMPLE.files[1])},
        {"files": (DataFile("k1", 10, "e9"), EXAMPLE.files[1])},
        {"files": (DataFile("k1", 10, "e2"), DataFile("k2", 20, "e1"))},
    ],
    ids=str,
)
def test_every_change_of_the_source_changes_the_fingerprint(change) -> None:
    assert dataclasses.replace(EXAMPLE, **change).fingerprint != EXAMPLE.fingerprint


@given(deliveries, st.text(), st.integers(0, 2**60), st.text())
def test_one_other_file_is_another_fingerprint(delivery, key, size, etag) -> None:
    added = DataFile(key, size, etag)

    other = dataclasses.replace(delivery, files=(*delivery.files, added))

    assert other.fingerprint != delivery.fingerprint


def test_a_manifest_written_again_with_the_same_content_is_the_same_delivery() -> None:
    again = dataclasses.replace(
        EXAMPLE, manifest_etag="other", delivered_at=datetime(2024, 1, 9, tzinfo=UTC)
    )

    assert again.fingerprint == EXAMPLE.fingerprint


@given(deliveries)
def test_a_delivery_is_as_large_as_its_files(delivery) -> None:
    assert delivery.bytes == sum(file.size for file in delivery.files)
    assert EXAMPLE.bytes == 30

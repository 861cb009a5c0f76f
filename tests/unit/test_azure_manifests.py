"""Azure runs: the newest complete one of every month is found, and nothing else is believed."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest

from finops.config import Export
from finops.delivery import Delivery, FailedDelivery, StoredObject
from finops.errors import BadDataError, ConfigError, TemporaryError
from finops.vendors.azure.manifests import list_deliveries, list_exports

RUN = "0b1c2d3e-1111-2222-3333-444455556666"
OTHER = "0b1c2d3e-9999-2222-3333-444455556666"
MONTH = "20240101-20240131"


class MemoryContainer:
    """A store as Azure has it: any text is a key, and nothing is tidied."""

    def __init__(self, *, live=True):
        self.live = live
        self.url = "az://account/bills"
        self.objects = {}

    def put(self, key, body="", modified="2024-02-02"):
        body = body.encode()
        moment = datetime.fromisoformat(modified).replace(tzinfo=UTC)
        etag = hashlib.sha256(body).hexdigest()
        self.objects[key] = (body, StoredObject(key, len(body), etag, moment))

    def put_run(self, name="actual", run=RUN, at="202402020427", modified="2024-02-02", **more):
        """Write a run of one file; the manifest comes last."""
        folder = f"costs/{name}/{MONTH}/{at}/{run}" if at else f"costs/{name}/{MONTH}/{run}"
        key = f"{folder}/part_0_0001.csv.gz"
        self.put(key, f"{name} {run}", modified)
        manifest = manifest_2024(key, run, type_=more.pop("type_", "ActualCost")) | more
        self.put(f"{folder}/manifest.json", json.dumps(manifest), modified)
        return key

    def list_objects(self, prefix):
        return (stored for key, (_, stored) in self.objects.items() if key.startswith(prefix))

    def read_object(self, key, limit):
        body, stored = self.objects[key]
        assert len(body) <= limit
        return body, stored

    def head_object(self, key):
        if key not in self.objects:
            raise BadDataError("the object is missing", code="missing-object")
        return self.objects[key][1]


def manifest_2024(key, run, type_="ActualCost"):
    return {
        "manifestVersion": "2024-04-01",
        "blobCount": 1,
        "dataRowCount": 3,
        "exportConfig": {"exportName": "x", "type": type_},
        "deliveryConfig": {"fileFormat": "Csv", "compressionMode": "Gzip"},
        "runInfo": {
            "runId": run,
            "startDate": "2024-01-01T00:00:00",
            "endDate": "2024-01-21T00:00:00Z",
            "submittedTime": "2024-02-02T04:27:12.5234447Z",
        },
        "blobs": [{"blobName": key, "byteCount": 9, "dataRowCount": 3}],
    }


def export(**settings):
    given = {"export_name": "actual", "prefix": "costs"} | settings
    return Export(vendor="azure", name="default", section="azure", **given)


@pytest.fixture
def store():
    return MemoryContainer()


def only(store, **settings):
    (delivery,) = list_deliveries(store, export(**settings))
    return delivery


def failure(store, **settings):
    found = only(store, **settings)
    assert isinstance(found, FailedDelivery)
    return found.error


def test_a_run_is_what_its_manifest_says(store):
    key = store.put_run()

    found = only(store)

    assert isinstance(found, Delivery)
    assert (str(found.period), found.delivery_id, found.shape) == ("2024-01", RUN, "costs")
    assert (found.file_format, found.compression) == ("csv", "gzip")
    ((file),) = found.files
    assert (file.key, file.label, file.rows) == (key, "ActualCost", 3)
    assert file.etag == store.head_object(key).etag
    assert found.delivered_at == datetime(2024, 2, 2, 4, 27, 12, 523444, tzinfo=UTC)
    assert found.manifest_key.endswith(f"{RUN}/manifest.json")
    assert found.notices == (
        "no AmortizedCost: effective cost is what was billed (set amortized_name)",
    )


def test_the_month_is_that_of_the_folder_though_a_run_ends_before_it(store):
    store.put_run()

    assert str(only(store).period) == "2024-01"


def test_of_several_runs_the_newest_counts(store):
    store.put_run(run=OTHER, at="202401152300", modified="2024-01-15")
    key = store.put_run(run=RUN, at="202401160427", modified="2024-01-16")

    assert [file.key for file in only(store).files] == [key]


def test_without_a_time_in_the_folders_name_the_manifests_own_time_tells(store):
    store.put_run(run=OTHER, at="", modified="2024-01-15")
    store.put_run(run=RUN, at="", modified="2024-01-16")

    assert only(store).delivery_id == RUN


def test_in_a_copy_the_time_in_the_manifest_tells():
    copy = MemoryContainer(live=False)
    copy.put_run(run=RUN, at="", modified="2024-01-01")
    older = {"runId": OTHER, "submittedTime": "2024-02-01T00:00:00Z"}
    copy.put_run(run=OTHER, at="", modified="2024-03-01", runInfo=older)

    assert only(copy).delivery_id == RUN


def test_a_run_without_manifest_waits_and_the_one_before_counts(store):
    store.put_run(run=OTHER, at="202401150427", modified="2024-01-15")
    store.put(f"costs/actual/{MONTH}/202401160427/{RUN}/part_0_0001.csv.gz", "half", "2024-01-16")

    assert only(store).delivery_id == OTHER


def test_a_month_with_no_complete_run_waits(store):
    store.put(f"costs/actual/{MONTH}/{RUN}/part_0_0001.csv.gz", "half")

    error = failure(store)

    assert isinstance(error, TemporaryError)
    assert error.code == "in-progress"


def test_files_newer_than_their_manifest_wait(store):
    key = store.put_run()
    now = (datetime.now(UTC) - timedelta(minutes=5)).replace(tzinfo=None).isoformat()
    store.put(key, "the next run", now)

    assert failure(store).code == "in-progress"


def test_both_exports_are_one_delivery(store):
    actual = store.put_run()
    amortized = store.put_run("amortized", OTHER, type_="AmortizedCost")

    found = only(store, amortized_name="amortized")

    labels = [(file.key, file.label) for file in found.files]
    assert labels == [(actual, "ActualCost"), (amortized, "AmortizedCost")]
    assert found.delivery_id == f"{RUN}+{OTHER}"
    assert found.notices == ()


def test_an_unfinished_amortized_run_lets_the_whole_month_wait(store):
    store.put_run()
    store.put(f"costs/amortized/{MONTH}/{OTHER}/part_0_0001.csv.gz", "half")

    assert failure(store, amortized_name="amortized").code == "in-progress"


def test_a_month_that_one_export_lacks_is_told(store):
    store.put_run()
    other = f"costs/amortized/20231201-20231231/{OTHER}"
    manifest = manifest_2024(f"{other}/a.csv.gz", OTHER, "AmortizedCost")
    manifest["runInfo"]["startDate"] = "2023-12-01"
    store.put(f"{other}/a.csv.gz", "x")
    store.put(f"{other}/manifest.json", json.dumps(manifest))

    january, december = list_deliveries(store, export(amortized_name="amortized"))

    assert "no AmortizedCost" in january.notices[0]
    assert "no ActualCost" in december.notices[0]
    assert [file.label for file in december.files] == ["AmortizedCost"]


def test_an_amortized_export_alone_is_taken(store):
    store.put_run("amortized", type_="AmortizedCost")

    found = only(store, export_name="", amortized_name="amortized")

    assert found.files[0].label == "AmortizedCost"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("ActualCost", "ActualCost"),
        ("AmortizedCost", "AmortizedCost"),
        ("FocusCost", "AmortizedCost"),
    ],
)
def test_two_exports_that_would_count_cost_twice_are_refused(store, first, second):
    store.put_run(type_=first)
    store.put_run("amortized", OTHER, type_=second)

    with pytest.raises(ConfigError, match=r"is (Focus|Actual|Amortized)Cost"):
        list_deliveries(store, export(amortized_name="amortized"))


@pytest.mark.parametrize("type_", ["PriceSheet", "ReservationTransactions", "ReservationDetails"])
def test_an_export_that_is_no_bill_is_refused(store, type_):
    store.put_run(type_=type_)

    error = failure(store)

    assert type_ in error.what
    assert error.exit_code == 78


def test_usage_of_a_management_group_is_actual_cost(store):
    store.put_run(type_="Usage")

    assert only(store).files[0].label == "ActualCost"


def test_a_focus_export_needs_no_other(store):
    store.put_run(type_="FocusCost")

    found = only(store)

    assert (found.shape, found.files[0].label, found.notices) == ("focus", "", ())


def test_manifests_of_2021_have_the_run_in_their_place(store):
    folder = f"costs/actual/{MONTH}/202402020427/{RUN}"
    store.put(f"{folder}/000001.csv", "x")
    blobs = [{"blobName": f"{folder}/000001.csv", "dataRowCount": 490, "headerRowCount": 1}]
    plain = {"manifestVersion": "2021-01-01", "blobCount": 1, "dataRowCount": 490, "blobs": blobs}
    store.put(f"{folder}/_Manifest.json", json.dumps(plain))

    found = only(store)

    assert (found.delivery_id, found.files[0].label) == (RUN, "ActualCost")
    assert found.delivered_at == datetime(2024, 2, 2, 4, 27, tzinfo=UTC)


def test_of_old_exports_without_manifest_the_newest_file_is_the_run(store):
    store.put(f"costs/actual/{MONTH}/actual_{OTHER}.csv", "old", "2024-01-15")
    store.put(f"costs/actual/{MONTH}/actual_{RUN}.csv", "new", "2024-01-16")

    found = only(store)

    assert (found.delivery_id, len(found.files), found.manifest_key) == (RUN, 1, "")
    assert found.files[0].key.endswith(f"{RUN}.csv")


@pytest.mark.parametrize(
    "empty",
    [
        {"blobs": [], "blobCount": 0, "dataRowCount": 0},
        {"blobs": None, "blobCount": None, "dataRowCount": 0},
        {"blobs": [{"blobName": "", "dataRowCount": 0}], "blobCount": 1, "dataRowCount": 0},
    ],
)
def test_an_empty_run_is_a_delivery_without_files(store, empty):
    store.put_run(**empty)

    assert only(store).files == ()


def test_blanks_in_blob_names_are_not_part_of_them(store):
    key = f"costs/actual/{MONTH}/{RUN}/part0.csv"
    store.put(key, "x")
    name = f" costs/actual/{MONTH}/ {RUN}/part0.csv"
    store.put(f"costs/actual/{MONTH}/{RUN}/manifest.json", json.dumps(manifest_2024(name, RUN)))

    assert only(store).files[0].key == key


@pytest.mark.parametrize(
    "key",
    [
        "costs/other/20240101-20240131/a.csv",
        "costs/actual/20240201-20240229/a.csv",
        "costs/actual/../secret/a.csv",
        "secret.csv",
    ],
)
def test_keys_outside_the_export_or_month_are_refused(store, key):
    store.put_run(blobs=[{"blobName": key}])

    assert failure(store).code == "foreign-key"


def test_a_missing_file_is_the_failure_of_its_month(store):
    store.put_run(blobs=[{"blobName": f"costs/actual/{MONTH}/{RUN}/gone.csv"}])

    assert failure(store).code == "missing-object"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{",
        "{}x",
        '{"blobs": 1}',
        '{"blobs": [1]}',
        '{"blobs": [{}], "blobCount": 1, "dataRowCount": 1}',
        '{"blobCount": 1, "dataRowCount": 1}',
        '{"runInfo": 3}',
        '{"runInfo": {"startDate": "2024-02-01"}}',
    ],
)
def test_what_is_no_manifest_of_the_month_is_refused(store, body):
    store.put(f"costs/actual/{MONTH}/{RUN}/manifest.json", body)

    assert failure(store).code == "bad-manifest"


def test_spans_of_days_that_are_no_month_are_left_out(store):
    store.put_run()
    for span in (
        "20240110-20240116",
        "20240101-20240229",
        "20240101-20240130",
        "20241301-20241331",
    ):
        store.put(f"costs/actual/{span}/{RUN}/manifest.json", "{}")

    assert len(list_deliveries(store, export())) == 1


def test_two_exports_under_the_prefix_must_be_named(store):
    store.put_run()
    store.put_run("amortized", OTHER)

    with pytest.raises(ConfigError, match="2 exports lie under the prefix"):
        list_deliveries(store, export(export_name=""))


def test_an_export_whose_name_begins_alike_is_another(store):
    store.put_run("actual-old", OTHER)
    store.put_run()

    assert only(store).delivery_id == RUN


def test_no_run_at_all_is_an_error_that_says_where(store):
    with pytest.raises(ConfigError, match="no run of actual lies under the prefix 'costs'"):
        list_deliveries(store, export())


def test_exports_are_found_with_what_they_are(store):
    store.put_run()
    store.put_run("amortized", OTHER, type_="AmortizedCost")

    found = list_exports(store, export(export_name="nothing"))

    assert [(each.prefix, each.name, each.shape) for each in found] == [
        ("costs", "actual", "ActualCost"),
        ("costs", "amortized", "AmortizedCost"),
    ]
    assert str(found[0].first) == "2024-01"
    assert [each.more for each in found] == [{"amortized_name": "amortized"}, {}]


def test_files_of_both_exports_must_have_one_form(store):
    store.put_run()
    folder = f"costs/amortized/{MONTH}/{OTHER}"
    store.put(f"{folder}/a.snappy.parquet", "x")
    manifest = manifest_2024(f"{folder}/a.snappy.parquet", OTHER, "AmortizedCost")
    store.put(f"{folder}/manifest.json", json.dumps(manifest))

    assert failure(store, amortized_name="amortized").code == "two-forms"

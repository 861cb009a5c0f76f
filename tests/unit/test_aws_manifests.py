"""AWS manifests: the newest delivery of every period is found, and nothing else is believed."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest

from finops.config import Export
from finops.delivery import DataFile, Delivery, FailedDelivery, StoredObject
from finops.errors import AccessError, BadDataError, ConfigError
from finops.period import BillingPeriod
from finops.storage.folder import FolderStorage
from finops.vendors.aws.manifests import is_in_progress, list_deliveries

UUID = "0b1c2d3e-1111-2222-3333-444455556666"
TYPED_COLUMNS = [
    {"category": "identity", "name": "LineItemId", "type": "String"},
    {"category": "lineItem", "name": "UnblendedCost", "type": "OptionalBigDecimal"},
    {"category": "resourceTags", "name": "user:Team"},
]


class MemoryBucket:
    """A bucket as S3 has it: any text is a key, and nothing is tidied."""

    live = True

    def __init__(self, name="mine"):
        self.url = f"s3://{name}"
        self.objects = {}

    def put(self, key, body="", modified="2024-01-05"):
        body = body if isinstance(body, bytes) else body.encode()
        moment = datetime.fromisoformat(modified).replace(tzinfo=UTC)
        etag = hashlib.sha256(body).hexdigest()
        self.objects[key] = (body, StoredObject(key, len(body), etag, moment))
        return self.objects[key][1]

    def list_objects(self, prefix):
        return (stored for key, (_, stored) in self.objects.items() if key.startswith(prefix))

    def read_object(self, key, limit):
        body, stored = self._object(key)
        assert len(body) <= limit
        return body, stored

    def head_object(self, key):
        return self._object(key)[1]

    def download(self, stored, to, advance):
        raise NotImplementedError

    def _object(self, key):
        if key not in self.objects:
            raise BadDataError("the object is missing", code="missing-object")
        return self.objects[key]


def export(**settings):
    return Export(vendor="aws", name="default", section="aws", **settings)


def days(period):
    month = BillingPeriod.parse(period)
    return f"{month.start:%Y%m%d}-{month.end:%Y%m%d}"


def v1_manifest(period, keys, **more):
    month = BillingPeriod.parse(period)
    said = {"start": f"{month.start:%Y%m%d}T000000.000Z", "end": f"{month.end:%Y%m%d}T000000.000Z"}
    plain = {"assemblyId": "a1", "billingPeriod": said, "reportKeys": keys, "bucket": "mine"}
    return json.dumps(plain | more)


def put_v1(into, period, place="p/rep", assembly="", name="rep", modified="2024-01-05", **more):
    """Write a legacy report of one file: in place, or in a folder of its own."""
    folder = f"{place}/{days(period)}/" + (f"{assembly}/" if assembly else "")
    key = f"{folder}{name}-00001.csv.gz"
    into.put(key, f"{period} {assembly}", modified)
    body = v1_manifest(period, [key], **{"assemblyId": assembly or "a1"} | more)
    into.put(f"{folder}{name}-Manifest.json", body, modified)
    return key, body


def put_v2(into, period, place="p/rep", execution="", name="rep", **more):
    """Write a data export of one Parquet file, ``more`` going into its manifest."""
    folder = f"{execution}/" if execution else ""
    key = f"{place}/data/BILLING_PERIOD={period}/{folder}{name}-00001.snappy.parquet"
    into.put(key, f"{period} {execution}")
    columns = [{"name": "line_item_unblended_cost", "type": "double"}]
    plain = {"executionId": execution or "x1", "dataFiles": [f"s3://mine/{key}"]}
    body = json.dumps(plain | {"columns": columns} | more)
    into.put(f"{place}/metadata/BILLING_PERIOD={period}/{folder}{name}-Manifest.json", body)
    return key, body


def only(deliveries):
    (delivery,) = deliveries
    if isinstance(delivery, FailedDelivery):
        raise delivery.error
    return delivery


def keys_of(delivery):
    return [file.key for file in delivery.files]


def ids_of(deliveries):
    return [(str(each.period), each.delivery_id) for each in deliveries]


def failure(bucket, settings=None):
    (failed,) = list_deliveries(bucket, settings or export(prefix="p", export_name="rep"))
    assert isinstance(failed, FailedDelivery)
    return failed.error


@pytest.fixture
def bucket():
    return MemoryBucket()


REP = export(prefix="p", export_name="rep")


# Legacy reports


def test_a_report_that_creates_new_files_is_read_through_its_top_manifest(bucket) -> None:
    key, body = put_v1(bucket, "2024-01", assembly="20240105T000000Z", columns=TYPED_COLUMNS)
    top = bucket.put("p/rep/20240101-20240201/rep-Manifest.json", body, "2024-01-05T00:01")

    delivery = only(list_deliveries(bucket, REP))

    stored = bucket.head_object(key)
    assert delivery == Delivery(
        vendor="aws",
        export="default",
        period=BillingPeriod(2024, 1),
        delivery_id="20240105T000000Z",
        manifest_key=top.key,
        manifest_etag=top.etag,
        delivered_at=datetime(2024, 1, 5, 0, 1, tzinfo=UTC),
        shape="v1",
        file_format="csv",
        compression="gzip",
        files=(DataFile(key, stored.size, stored.etag),),
        columns=delivery.columns,
    )
    assert [(column.name, column.type) for column in delivery.columns] == [
        ("identity/LineItemId", "String"),
        ("lineItem/UnblendedCost", "OptionalBigDecimal"),
        ("resourceTags/user:Team", ""),
    ]


def test_an_overwritten_report_lies_beside_its_manifest(bucket) -> None:
    key, _ = put_v1(bucket, "2024-01", assemblyId="0d6c-uuid")

    delivery = only(list_deliveries(bucket, REP))

    assert keys_of(delivery) == [key] == ["p/rep/20240101-20240201/rep-00001.csv.gz"]
    assert delivery.delivery_id == "0d6c-uuid"


def test_a_parquet_report_lies_under_its_name_twice(bucket) -> None:
    key = "p/rep/rep/year=2024/month=1/rep-00001.snappy.parquet"
    bucket.put(key, "data")
    manifest = v1_manifest("2024-01", [key], compression="Parquet")
    bucket.put("p/rep/20240101-20240201/rep-Manifest.json", manifest)
    bucket.put("p/rep/rep/year=2024/month=1/rep-Manifest.json", "a copy that is none of ours")
    bucket.put("p/rep/cost_and_usage_data_status/status.parquet", "READY")

    delivery = only(list_deliveries(bucket, REP))

    assert keys_of(delivery) == [key]
    assert (delivery.file_format, delivery.compression) == ("parquet", "none")


def test_what_else_lies_there_is_no_manifest(bucket) -> None:
    put_v1(bucket, "2024-01")
    for decoy in (
        "p/rep/20240101-20240201/rep-RedshiftManifest.json",
        "p/rep/20240101-20240201/rep-RedshiftCommands.sql",
        "p/rep/20240101-20240201/other-Manifest.json",
        "p/rep/20240101-20240201/a/b/rep-Manifest.json",
        "p/rep/20240102-20240201/rep-Manifest.json",
        "p/rep/20241301-20250101/rep-Manifest.json",
        "p/rep/metadata/BILLING_PERIOD=2024-13/rep-Manifest.json",
        "p/rep/metadata/BILLING_PERIOD=2024-02/rep-Metadata.json",
        "p/rep/metadata/date=2024-02-01/rep-Manifest.json",
        "p/rep/rep-Manifest.json",
        "p/rep/aws-programmatic-access-test-object",
        "aws-programmatic-access-test-object",
        "p/aws-programmatic-access-test-object",
    ):
        bucket.put(decoy, "decoy", "2025-01-01")

    for settings in (REP, export(prefix="p"), export()):
        assert ids_of(list_deliveries(bucket, settings)) == [("2024-01", "a1")]


PLACES = [
    ("", "rep"),
    ("", "/rep"),
    ("/", "/rep"),
    ("p", "p/rep"),
    ("p/", "p/rep"),
    ("p/", "p//rep"),
    ("p", "p//rep"),
    ("/p", "/p/rep"),
    ("p", "/p/rep"),
    ("a/b/c", "a/b/c/rep"),
    ("with space/ü 報告", "with space/ü 報告/rep"),
    ("a.b*[c]", "a.b*[c]/rep"),
]


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("put", [put_v1, put_v2])
@pytest.mark.parametrize(("prefix", "place"), PLACES)
def test_any_prefix_that_aws_writes_is_found(bucket, prefix, place, put, named) -> None:
    key, _ = put(bucket, "2024-01", place=place)

    settings = export(prefix=prefix, export_name="rep" if named else "")

    assert keys_of(only(list_deliveries(bucket, settings))) == [key]


@pytest.mark.parametrize("place", ["rep", "p/rep", "with space/ü 報告/rep"])
def test_a_folder_is_read_as_a_bucket_is(bucket, tmp_path, place) -> None:
    put_v1(bucket, "2024-01", place=place)
    put_v1(bucket, "2024-02", place=place, assembly="20240205T000000Z")
    for key, (body, _) in bucket.objects.items():
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(body)
    settings = export(prefix=place.removesuffix("rep"), export_name="rep")

    from_folder = list_deliveries(FolderStorage(tmp_path), settings)

    assert [(each.period, keys_of(each), each.delivery_id) for each in from_folder] == [
        (each.period, keys_of(each), each.delivery_id) for each in list_deliveries(bucket, settings)
    ]
    assert len(from_folder) == 2


@pytest.mark.parametrize(
    ("ending", "form"),
    [
        (".csv.gz", ("csv", "gzip")),
        (".csv.zip", ("csv", "zip")),
        (".csv", ("csv", "none")),
        (".CSV.GZ", ("csv", "gzip")),
        (".snappy.parquet", ("parquet", "none")),
        (".parquet", ("parquet", "none")),
    ],
)
def test_file_names_tell_the_form(bucket, ending, form) -> None:
    key = f"p/rep/20240101-20240201/rep-1{ending}"
    bucket.put(key)
    bucket.put("p/rep/20240101-20240201/rep-Manifest.json", v1_manifest("2024-01", [key]))

    delivery = only(list_deliveries(bucket, REP))

    assert (delivery.file_format, delivery.compression) == form


# Data exports


def test_a_data_export_that_creates_new_files_is_read_through_its_top_manifest(bucket) -> None:
    execution = f"2024-01-15T12:00:00.000Z-{UUID}"
    key, body = put_v2(bucket, "2024-01", execution=execution)
    bucket.put("p/rep/metadata/BILLING_PERIOD=2024-01/rep-Manifest.json", body)

    delivery = only(list_deliveries(bucket, REP))

    assert delivery.manifest_key == "p/rep/metadata/BILLING_PERIOD=2024-01/rep-Manifest.json"
    assert (delivery.shape, delivery.delivery_id) == ("v2", execution)
    assert keys_of(delivery) == [key]
    assert [column.name for column in delivery.columns] == ["line_item_unblended_cost"]


def test_an_overwritten_data_export_is_read(bucket) -> None:
    key, _ = put_v2(bucket, "2024-01")

    delivery = only(list_deliveries(bucket, REP))

    assert keys_of(delivery) == [key]
    assert (delivery.delivery_id, delivery.file_format) == ("x1", "parquet")


def test_the_partition_key_may_be_lower_case(bucket) -> None:
    key = "p/rep/data/billing_period=2024-01/rep-1.csv.gz"
    bucket.put(key)
    manifest = json.dumps({"executionId": "x", "dataFiles": [key]})
    bucket.put("p/rep/metadata/billing_period=2024-01/rep-Manifest.json", manifest)

    assert keys_of(only(list_deliveries(bucket, REP))) == [key]


KEY = "p/rep/data/BILLING_PERIOD=2024-01/rep-00001.snappy.parquet"


@pytest.mark.parametrize(
    "listed",
    [
        {"dataFiles": [f"s3://mine/{KEY}"]},
        {"dataFiles": [KEY]},
        {"dataFiles": [{"s3Uri": f"s3://mine/{KEY}"}]},
        {"dataFiles": [{"key": KEY}]},
        {"dataFiles": [{"key": KEY, "size": 7, "s3Uri": None}]},
        {"reportKeys": [KEY]},
    ],
    ids=str,
)
def test_data_files_may_be_listed_in_any_form(bucket, listed) -> None:
    bucket.put(KEY, "data")
    bucket.put(
        "p/rep/metadata/BILLING_PERIOD=2024-01/rep-Manifest.json",
        json.dumps({"executionId": "x"} | listed),
    )

    delivery = only(list_deliveries(bucket, REP))

    assert delivery.files == (DataFile(KEY, 4, bucket.head_object(KEY).etag),)


def test_a_focus_export_is_told_by_its_columns(bucket) -> None:
    put_v2(bucket, "2024-01", columns=[{"name": "BilledCost", "type": "double"}])

    assert only(list_deliveries(bucket, REP)).shape == "focus"


# Which one is the newest


def test_without_a_top_manifest_the_newest_execution_counts(bucket) -> None:
    put_v2(bucket, "2024-01", execution=f"2024-01-09T12:00:00.000Z-{UUID}")
    put_v2(bucket, "2024-01", execution=f"2024-01-15T12:00:00.000Z-{UUID}")
    put_v2(bucket, "2024-01", execution=f"2024-01-10T12:00:00.000Z-{UUID}")

    delivery = only(list_deliveries(bucket, REP))

    assert delivery.delivery_id.startswith("2024-01-15")
    assert delivery.delivered_at == datetime(2024, 1, 15, 12, tzinfo=UTC)


def test_without_a_time_in_the_folder_that_of_the_object_counts(bucket) -> None:
    put_v1(bucket, "2024-01", assembly="ffff-uuid", modified="2024-01-09")
    put_v1(bucket, "2024-01", assembly="aaaa-uuid", modified="2024-01-15")
    put_v1(bucket, "2024-01", assembly="cccc-uuid", modified="2024-01-10")

    assert only(list_deliveries(bucket, REP)).delivery_id == "aaaa-uuid"


def test_the_time_aws_wrote_counts_more_than_that_of_a_copy(bucket) -> None:
    put_v1(bucket, "2024-01", assembly="20240115T000000Z", modified="2024-06-01T00:00")
    put_v1(bucket, "2024-01", assembly="20240110T000000Z", modified="2024-06-01T00:05")

    assert only(list_deliveries(bucket, REP)).delivery_id == "20240115T000000Z"


@pytest.mark.parametrize(
    "folder", ["20249999T000000Z", "2024-01-99T00:00:00.000Z-x", "00000000T000000Z"]
)
def test_a_folder_that_only_looks_like_a_time_is_a_name(bucket, folder) -> None:
    put_v1(bucket, "2024-01", assembly=folder, modified="2024-01-09")
    put_v1(bucket, "2024-01", assembly="20240105T000000Z", modified="2024-01-05")

    delivery = only(list_deliveries(bucket, REP))

    assert delivery.delivery_id == folder
    assert delivery.delivered_at == datetime(2024, 1, 9, tzinfo=UTC)


def test_the_top_manifest_counts_whatever_lies_below(bucket) -> None:
    key, body = put_v1(bucket, "2024-01", assembly="20240105T000000Z")
    put_v1(bucket, "2024-01", assembly="20240120T000000Z", modified="2024-01-20")
    bucket.put("p/rep/20240101-20240201/rep-Manifest.json", body, "2024-01-06")

    assert keys_of(only(list_deliveries(bucket, REP))) == [key]


@pytest.mark.parametrize("put", [put_v1, put_v2])
def test_periods_come_newest_first(bucket, put) -> None:
    for period in ("2024-02", "2023-12", "2024-10", "2024-01"):
        put(bucket, period)

    periods = [str(each.period) for each in list_deliveries(bucket, REP)]

    assert periods == ["2024-10", "2024-02", "2024-01", "2023-12"]


@pytest.mark.parametrize(
    ("first", "last", "periods"),
    [
        (None, None, ["2024-03", "2024-02", "2024-01"]),
        ("2024-02", None, ["2024-03", "2024-02"]),
        (None, "2024-02", ["2024-02", "2024-01"]),
        ("2024-02", "2024-02", ["2024-02"]),
        ("2024-04", None, []),
    ],
)
def test_first_and_last_month_are_included(bucket, first, last, periods) -> None:
    for period in ("2024-01", "2024-02", "2024-03"):
        put_v1(bucket, period)
    settings = export(
        prefix="p",
        export_name="rep",
        start_date=first and BillingPeriod.parse(first),
        end_date=last and BillingPeriod.parse(last),
    )

    assert [str(each.period) for each in list_deliveries(bucket, settings)] == periods


# Several exports, several versions


def test_exports_whose_names_begin_alike_do_not_mix(bucket) -> None:
    put_v1(bucket, "2024-01", place="p/rep", assemblyId="of-rep")
    put_v1(bucket, "2024-01", place="p/rep-hourly", name="rep-hourly", assemblyId="of-hourly")
    put_v1(bucket, "2024-01", place="p2/rep", assemblyId="elsewhere")

    def found(**settings):
        return ids_of(list_deliveries(bucket, export(**settings)))

    assert found(prefix="p", export_name="rep") == [("2024-01", "of-rep")]
    assert found(prefix="p", export_name="rep-hourly") == [("2024-01", "of-hourly")]
    assert found(prefix="p2") == [("2024-01", "elsewhere")]
    with pytest.raises(ConfigError):
        found(prefix="p", export_name="re")


def test_several_exports_without_a_name_are_not_guessed_about(bucket) -> None:
    put_v1(bucket, "2024-01", place="p/one", name="one")
    put_v2(bucket, "2024-01", place="p/two", name="two")

    with pytest.raises(ConfigError) as caught:
        list_deliveries(bucket, export(prefix="p"))

    assert caught.value.code == "several-exports"
    assert "p/one/" in caught.value.what
    assert "p/two/" in caught.value.what
    assert "--export-name" in caught.value.do


def test_two_versions_of_one_name_would_count_costs_twice(bucket) -> None:
    put_v1(bucket, "2024-01")
    put_v2(bucket, "2024-02")

    with pytest.raises(ConfigError) as caught:
        list_deliveries(bucket, REP)

    assert caught.value.code == "two-versions"
    assert "v1 and v2" in caught.value.what


@pytest.mark.parametrize(("version", "period"), [("v1", "2024-01"), ("v2", "2024-02")])
def test_cur_version_chooses_between_two_versions(bucket, version, period) -> None:
    put_v1(bucket, "2024-01")
    put_v2(bucket, "2024-02")
    settings = export(prefix="p", export_name="rep", cur_version=version)

    assert [str(each.period) for each in list_deliveries(bucket, settings)] == [period]


@pytest.mark.parametrize(("form", "period"), [("csv", "2024-01"), ("parquet", "2024-02")])
def test_export_format_chooses_between_two_formats(bucket, form, period) -> None:
    put_v2(bucket, "2024-02")
    key = "p/rep/data/BILLING_PERIOD=2024-01/rep-1.csv.gz"
    bucket.put(key)
    put_v2(bucket, "2024-01", dataFiles=[key])
    settings = export(prefix="p", export_name="rep", export_format=form)

    assert [str(each.period) for each in list_deliveries(bucket, settings)] == [period]


# What is not believed


@pytest.mark.parametrize(
    "key",
    [
        "p/other/data.csv.gz",
        "p/rep-hourly/data.csv.gz",
        "p/repo.csv.gz",
        "data.csv.gz",
        "/etc/passwd.csv.gz",
        "p/rep/../other/data.csv.gz",
        "p/rep/../../../etc/passwd.csv",
        "../p/rep/data.csv.gz",
        "p/rep/a\0b.csv.gz",
        "s3://mine/p/other/data.csv.gz",
        "s3://mine/p/rep/../x.csv.gz",
        "s3://other",
        "https://example.com/p/rep/data.csv.gz",
        "file:///p/rep/data.csv.gz",
        "P/REP/data.csv.gz",
        "C:\\p\\rep\\data.csv.gz",
        "C:/p/rep/data.csv.gz",
        "\\\\host\\p\\rep\\data.csv.gz",
        "p\\rep\\data.csv.gz",
        "p/rep/\0/../../data.csv.gz",
        "~/p/rep/data.csv.gz",
        "p/rep/..//../data.csv.gz",
    ],
)
@pytest.mark.parametrize("put", [put_v1, put_v2])
def test_a_key_outside_the_exports_folder_is_refused(bucket, put, key) -> None:
    bucket.put(key, "bait")
    bucket.put(key.removeprefix("s3://mine/"), "bait")
    listed = {"reportKeys" if put is put_v1 else "dataFiles": [key]}
    put(bucket, "2024-01", **listed)

    error = failure(bucket)

    assert error.code == "foreign-key"
    assert repr(key.removeprefix("s3://mine/").removeprefix("s3://other")) in error.what
    assert error.where.startswith("s3://mine/p/rep/")


def test_one_foreign_key_among_good_ones_refuses_the_delivery(bucket) -> None:
    key, _ = put_v1(bucket, "2024-01")
    put_v1(bucket, "2024-01", reportKeys=[key, "p/other/x.csv.gz"])

    assert failure(bucket).code == "foreign-key"


def test_another_bucket_in_the_manifest_is_a_notice_and_nothing_more(bucket) -> None:
    key, _ = put_v2(bucket, "2024-01")
    put_v2(bucket, "2024-01", dataFiles=[f"s3://original/{key}"])

    delivery = only(list_deliveries(bucket, REP))

    assert keys_of(delivery) == [key]
    (notice,) = delivery.notices
    assert "'original'" in notice
    assert "s3://mine" in notice


def test_the_bucket_field_of_a_replicated_report_is_a_notice(bucket) -> None:
    put_v1(bucket, "2024-01", bucket="original")

    (notice,) = only(list_deliveries(bucket, REP)).notices

    assert "'original'" in notice


@pytest.mark.parametrize("put", [put_v1, put_v2])
def test_the_own_bucket_is_no_notice(bucket, put) -> None:
    put(bucket, "2024-01")

    assert only(list_deliveries(bucket, REP)).notices == ()


def test_a_key_that_is_listed_twice_is_not_counted_twice(bucket) -> None:
    key, _ = put_v1(bucket, "2024-01")
    put_v1(bucket, "2024-01", reportKeys=[key, key])

    (found,) = list_deliveries(bucket, REP)

    if isinstance(found, FailedDelivery):
        assert repr(key) in found.error.what
    else:
        assert keys_of(found) == [key]


JANUARY = {"start": "20240101T000000.000Z", "end": "20240201T000000.000Z"}
KEYS = ["p/rep/20240101-20240201/rep-00001.csv.gz"]
BAD_MANIFESTS = {
    "not JSON": "<html>",
    "empty": "",
    "cut short": '{"reportKeys": [',
    "not UTF-8": b'{"reportKeys": ["\xff"]}',
    "a list": "[]",
    "null": "null",
    "a number": "1",
    "nested too deep": "[" * 100_000,
    "a number too long": '{"reportKeys": [], "x": ' + "9" * 5000 + "}",
    "no files key": json.dumps({"billingPeriod": JANUARY}),
    "files are text": json.dumps({"reportKeys": KEYS[0]}),
    "files are null": json.dumps({"reportKeys": None}),
    "files are an object": json.dumps({"reportKeys": {"0": KEYS[0]}}),
    "a file is a number": json.dumps({"reportKeys": [1]}),
    "a file is null": json.dumps({"reportKeys": [None]}),
    "a file is empty": json.dumps({"reportKeys": [""]}),
    "a file has no key": json.dumps({"reportKeys": [{"size": 1}]}),
    "a file's key is a list": json.dumps({"reportKeys": [{"key": KEYS}]}),
    "another month": json.dumps(
        {"reportKeys": KEYS, "billingPeriod": {"start": "20240201T000000.000Z"}}
    ),
    "a month that is none": json.dumps({"reportKeys": KEYS, "billingPeriod": {"start": "soon"}}),
    "columns are text": json.dumps({"reportKeys": KEYS, "columns": "all"}),
    "a column is a number": json.dumps({"reportKeys": KEYS, "columns": [1]}),
    "a column without a name": json.dumps({"reportKeys": KEYS, "columns": [{"type": "String"}]}),
    "a column named by a number": json.dumps({"reportKeys": KEYS, "columns": [{"name": 1}]}),
    "two forms": json.dumps({"reportKeys": [KEYS[0], KEYS[0].replace(".csv.gz", ".parquet")]}),
    "an unknown form": json.dumps({"reportKeys": [KEYS[0].replace(".csv.gz", ".orc")]}),
    "a missing file": json.dumps({"reportKeys": [KEYS[0].replace("00001", "00002")]}),
    "half a character in a key": '{"reportKeys": ["p/rep/\\ud800.csv.gz"]}',
}


@pytest.mark.parametrize("body", BAD_MANIFESTS.values(), ids=BAD_MANIFESTS)
def test_a_bad_manifest_fails_its_own_period_alone(bucket, body) -> None:
    good, _ = put_v1(bucket, "2024-02")
    bucket.put(KEYS[0])
    bucket.put("p/rep/20240101-20240201/rep-Manifest.json", body)

    newer, failed = list_deliveries(bucket, REP)

    assert keys_of(newer) == [good]
    assert isinstance(failed, FailedDelivery)
    assert failed.period == BillingPeriod(2024, 1)
    assert isinstance(failed.error, BadDataError)
    assert failed.error.where


@pytest.mark.parametrize("body", BAD_MANIFESTS.values(), ids=BAD_MANIFESTS)
def test_a_bad_manifest_in_a_folder_fails_its_own_period_alone(tmp_path, body) -> None:
    path = tmp_path / "p/rep/20240101-20240201/rep-Manifest.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(body if isinstance(body, bytes) else body.encode())
    (path.parent / "rep-00001.csv.gz").touch()

    (failed,) = list_deliveries(FolderStorage(tmp_path), REP)

    assert isinstance(failed, FailedDelivery)


@pytest.mark.parametrize("field", ["assemblyId", "bucket", "columns"])
def test_half_a_character_anywhere_harms_its_own_period_at_most(bucket, field) -> None:
    half = "\ud800"
    put_v1(bucket, "2024-01", **{field: [{"name": half}] if field == "columns" else half})

    (found,) = list_deliveries(bucket, REP)

    if isinstance(found, Delivery):
        assert Delivery.from_json(found.to_json()).fingerprint == found.fingerprint


def test_a_bom_before_the_json_is_no_harm(bucket) -> None:
    key, body = put_v1(bucket, "2024-01")
    bucket.put("p/rep/20240101-20240201/rep-Manifest.json", b"\xef\xbb\xbf" + body.encode())

    assert keys_of(only(list_deliveries(bucket, REP))) == [key]


@pytest.mark.parametrize(
    ("compression", "form"), [("GZIP", "csv"), ("Parquet", "parquet"), (None, "csv")]
)
def test_an_empty_list_is_a_delivery_of_nothing(bucket, compression, form) -> None:
    put_v1(bucket, "2024-01", reportKeys=[], compression=compression)

    delivery = only(list_deliveries(bucket, REP))

    assert (delivery.files, delivery.bytes, delivery.file_format) == ((), 0, form)


@pytest.mark.parametrize(
    "identity", [{"assemblyId": None}, {"assemblyId": ""}, {"assemblyId": None, "executionId": ""}]
)
def test_without_an_id_the_etag_tells_deliveries_apart(bucket, identity) -> None:
    put_v1(bucket, "2024-01", **identity)

    delivery = only(list_deliveries(bucket, REP))

    assert delivery.delivery_id == delivery.manifest_etag != ""


def test_files_keep_the_order_of_the_manifest(bucket) -> None:
    keys = [f"p/rep/20240101-20240201/rep-{number}.csv.gz" for number in (10, 2, 1)]
    for key in keys:
        bucket.put(key, key)
    put_v1(bucket, "2024-01", reportKeys=keys)

    assert keys_of(only(list_deliveries(bucket, REP))) == keys


def test_a_file_that_no_manifest_lists_is_not_taken(bucket) -> None:
    key, _ = put_v1(bucket, "2024-01")
    bucket.put("p/rep/20240101-20240201/rep-00002.csv.gz", "left over")

    assert keys_of(only(list_deliveries(bucket, REP))) == [key]


@pytest.mark.parametrize("settings", [REP, export(), export(prefix="q")])
def test_a_place_without_manifests_is_a_setting_that_is_wrong(bucket, settings) -> None:
    bucket.put("p/rep/aws-programmatic-access-test-object")

    with pytest.raises(ConfigError) as caught:
        list_deliveries(bucket, settings)

    assert caught.value.code == "no-manifests"
    assert "prefix" in caught.value.do


V1, V2 = "p/rep/20240101-20240201", "p/rep/data/BILLING_PERIOD=2024-01"


@pytest.mark.parametrize(
    ("folder", "later", "age", "waits"),
    [
        (V1, 1, 0, True),
        (V1, 1, 29, True),
        (V1, 1, 30, False),
        (V1, 1, -29, True),
        (V1, 1, -30, False),
        (V1, 0, 0, False),
        (V1, -1, 0, False),
        (f"{V1}/20240105T000000Z", 1, 0, False),
        (V2, 1, 0, True),
        ("p/rep/data/billing_period=2024-01", 1, 0, True),
        (f"{V2}/execution", 1, 0, False),
        ("p/rep/rep/year=2024/month=1", 1, 0, True),
        ("20240101-20240201", 1, 0, True),
    ],
)
def test_only_a_fresh_overwriting_is_waited_for(folder, later, age, waits) -> None:
    """``later`` is how many seconds the file is newer, ``age`` its minutes by our clock."""
    written = datetime(2024, 1, 5, tzinfo=UTC)
    manifest = StoredObject("m", 1, "e", written)
    old = StoredObject(f"{folder}/rep-00001.csv.gz", 1, "e", written - timedelta(days=1))
    new = StoredObject(f"{folder}/rep-00002.csv.gz", 1, "e", written + timedelta(seconds=later))

    now = new.modified + timedelta(minutes=age)

    assert is_in_progress(manifest, [old, new], now) is waits


def test_a_delivery_of_no_files_is_not_waited_for() -> None:
    moment = datetime(2024, 1, 5, tzinfo=UTC)
    assert not is_in_progress(StoredObject("m", 1, "e", moment), [], moment)


def test_a_missing_file_that_may_not_be_asked_for_fails_its_month_alone(bucket, monkeypatch):
    put_v1(bucket, "2024-02")
    put_v1(bucket, "2024-01")
    bucket.objects = {
        key: kept for key, kept in bucket.objects.items() if "0101-" not in key or "Mani" in key
    }

    def forbidden(_key):
        raise AccessError("the storage refuses: Forbidden")

    monkeypatch.setattr(bucket, "head_object", forbidden)

    kept, failed = list_deliveries(bucket, export(prefix="p", export_name="rep"))

    assert isinstance(kept, Delivery)
    assert (str(failed.period), failed.error.code) == ("2024-01", "missing-object")
    assert failed.error.where.endswith("rep-00001.csv.gz")


# Copies of data files alone


DATA = "cur2/111111111111/cid-cur2/data/BILLING_PERIOD=2024-01"
COPIED = export(prefix="cur2/111111111111", export_name="cid-cur2")


def test_where_no_manifest_was_copied_the_files_in_the_months_folder_count(bucket):
    late = bucket.put(f"{DATA}/cid-cur2-00002.snappy.parquet", "bb", "2024-01-06")
    early = bucket.put(f"{DATA}/cid-cur2-00001.snappy.parquet", "a")
    bucket.put(f"{DATA}/other-00001.snappy.parquet", "c")
    bucket.put(f"{DATA}/deeper/cid-cur2-00001.snappy.parquet", "d")

    delivery = only(list_deliveries(bucket, COPIED))

    assert delivery.files == tuple(DataFile(e.key, e.size, e.etag) for e in (early, late))
    assert (delivery.manifest_key, delivery.delivery_id) == ("", late.etag)
    assert (delivery.shape, delivery.file_format) == ("v2", "parquet")
    assert delivery.delivered_at == late.modified
    assert delivery.notices == (
        "no manifest was copied here: the files that lie there count as the delivery",
    )


@pytest.mark.parametrize(
    ("name", "cur_version", "shape"),
    [
        ("cid-cur2", "auto", "v2"),
        ("cid-focus", "auto", "focus"),
        ("bills", "focus", "focus"),
        ("cid-focus", "v2", "v2"),
    ],
)
def test_without_a_manifest_configuration_or_name_tells_the_shape(bucket, name, cur_version, shape):
    bucket.put(f"p/{name}/data/billing_period=2024-01/{name}-00001.csv.gz", "a")

    settings = export(prefix="p", export_name=name, cur_version=cur_version)

    assert only(list_deliveries(bucket, settings)).shape == shape


def test_where_there_is_a_manifest_of_any_month_data_files_alone_are_no_delivery(bucket):
    put_v2(bucket, "2024-01")
    bucket.put("p/rep/data/BILLING_PERIOD=2024-02/rep-00001.csv.gz", "a")

    assert [str(each.period) for each in list_deliveries(bucket, REP)] == ["2024-01"]


def test_files_without_a_manifest_wait_until_none_is_young(bucket):
    now = datetime.now(UTC).replace(tzinfo=None)
    bucket.put(f"{DATA}/cid-cur2-00001.snappy.parquet", "a", str(now - timedelta(minutes=29)))
    assert failure(bucket, COPIED).code == "in-progress"

    bucket.put(f"{DATA}/cid-cur2-00001.snappy.parquet", "a", str(now - timedelta(minutes=31)))
    assert only(list_deliveries(bucket, COPIED)).period == BillingPeriod(2024, 1)

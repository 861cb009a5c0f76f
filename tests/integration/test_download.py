"""Downloads from S3: every page is read, no bytes of two versions mix, nothing comes twice."""

import gzip
import json
import time

import pytest

from finops.config import Export
from finops.delivery import StoredObject
from finops.errors import AccessError
from finops.storage import open_storage
from finops.storage.s3 import S3Storage
from finops.vendors.aws.sample import SampleLayout, write_sample
from tests.driver import PERIODS, Finops, expected, upload, upload_manifests_again


@pytest.fixture
def storage(bucket, s3_endpoint):
    return open_storage(_export(bucket.name, s3_endpoint))


def _export(bucket, endpoint):
    return Export("aws", "default", "aws", bucket=bucket, endpoint=endpoint)


@pytest.fixture
def finops(tmp_path, bucket, s3_endpoint):
    place = ("--prefix", "cur-reports", "--export-name", "monthly-cur")
    return Finops(tmp_path / "data", "--bucket", bucket.name, "--endpoint", s3_endpoint, *place)


def get(bucket, key):
    return bucket.client.get_object(Bucket=bucket.name, Key=key)["Body"].read()


def put(bucket, key, body):
    bucket.client.put_object(Bucket=bucket.name, Key=key, Body=body)


@pytest.fixture
def damage(monkeypatch):
    """Flip the last bit of what comes from the storage, ``times`` times; tell how often it came."""
    append, came = S3Storage._append, []

    def damage(times):
        def damaged(storage, stored, to, advance):
            answer = append(storage, stored, to, advance)
            came.append(stored.key)
            if len(came) <= times:
                body = to.read_bytes()
                to.write_bytes(body[:-2] + bytes([body[-2] ^ 1]) + body[-1:])
            return answer

        monkeypatch.setattr(S3Storage, "_append", damaged)
        return came

    return damage


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_damage_on_the_way_is_found_and_mended_in_the_same_run(
    tmp_path, seed, bucket, finops, damage, compression
):
    layout = SampleLayout(compression=compression, files=1)
    deliveries = write_sample(
        tmp_path / "tree", periods=PERIODS[:1], rows=200, seed=seed, layout=layout
    )
    upload(tmp_path / "tree", bucket)
    came = damage(times=1)

    assert finops.aws("import-cur").code == 0

    assert len(came) == 2
    assert finops.loaded() == expected(deliveries)


def test_damage_that_comes_again_is_an_error_and_leaves_nothing(
    tmp_path, seed, bucket, finops, damage
):
    layout = SampleLayout(compression="none", files=1)
    write_sample(tmp_path / "tree", periods=PERIODS[:1], rows=200, seed=seed, layout=layout)
    upload(tmp_path / "tree", bucket)
    came = damage(times=9)

    answer = finops.aws("import-cur")

    (result,) = answer.results
    assert (answer.code, result["error"]["code"], len(came)) == (65, "damaged-file", 2)
    assert "MD5" in result["error"]["what"]
    assert result["error"]["where"].endswith(came[0])
    assert not list(finops.data.rglob("*.csv*"))


@pytest.mark.parametrize("how", ["aws:kms", "aws:kms:dsse", "parts"])
def test_an_etag_that_is_no_md5_is_not_taken_for_one(bucket, storage, tmp_path, damage, how):
    place = {"Bucket": bucket.name, "Key": "k"}
    if how == "parts":
        upload_id = bucket.client.create_multipart_upload(**place)["UploadId"]
        part = {"UploadId": upload_id, "PartNumber": 1}
        tag = bucket.client.upload_part(**place, **part, Body=b"bytes")["ETag"]
        parts = {"Parts": [{"PartNumber": 1, "ETag": tag}]}
        bucket.client.complete_multipart_upload(**place, UploadId=upload_id, MultipartUpload=parts)
    else:
        bucket.client.put_object(**place, Body=b"bytes", ServerSideEncryption=how)
    damage(times=1)

    storage.download(storage.head_object("k"), tmp_path / "file", lambda _amount: None)

    assert (tmp_path / "file").read_bytes() == b"bytds"


def test_a_profile_that_is_not_there_is_an_access_error():
    with pytest.raises(AccessError, match="nobody"):
        open_storage(Export("aws", "default", "aws", bucket="bucket", profile="nobody"))


@pytest.mark.parametrize("prefix", ["", "deep/er/still", "with space/ü", "slash/"])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_any_prefix_is_found_with_and_without_slashes(
    tmp_path, seed, bucket, s3_endpoint, prefix, version
):
    layout = SampleLayout(prefix="P", cur_version=version, export_name="rep")
    deliveries = write_sample(
        tmp_path / "tree", periods=PERIODS[:1], rows=200, seed=seed, layout=layout
    )
    for path in (tmp_path / "tree").rglob("*"):
        if path.is_file():
            key = path.relative_to(tmp_path / "tree").as_posix().replace("P/", f"{prefix}/", 1)
            body = path.read_bytes()
            if key.endswith("Manifest.json"):
                body = body.replace(b'"P/', json.dumps(f"{prefix}/")[:-1].encode())
                body = body.replace(b"sample-bucket/P/", f"{bucket.name}/{prefix}/".encode())
            bucket.client.put_object(Bucket=bucket.name, Key=key, Body=body)
    cost = {"v1": "lineitem_unblendedcost", "v2": "line_item_unblended_cost"}[version]

    for number, given in enumerate({prefix, f"/{prefix}", prefix.strip("/"), f"{prefix}/"}):
        flags = ("--bucket", bucket.name, "--endpoint", s3_endpoint, "--prefix", given)
        finops = Finops(tmp_path / f"data{number}", *flags, "--export-name", "rep")
        answer = finops.aws("import-cur")
        assert answer.code == 0, answer
        assert finops.loaded(cost=cost) == expected(deliveries)


def test_verified_files_are_not_downloaded_again(tmp_path, seed, bucket, finops):
    layout = SampleLayout(files=3)
    (delivery,) = write_sample(
        tmp_path / "tree", periods=PERIODS[:1], rows=200, seed=seed, layout=layout
    )
    upload(tmp_path / "tree", bucket)
    lost = bucket.client.get_object(Bucket=bucket.name, Key=delivery.data_keys[2])["Body"].read()
    bucket.client.put_object(Bucket=bucket.name, Key=delivery.data_keys[2], Body=lost[:-9])
    assert finops.aws("import-cur").code == 65
    kept = {path: path.stat().st_ino for path in finops.data.rglob("*.csv.gz")}

    bucket.client.put_object(Bucket=bucket.name, Key=delivery.data_keys[2], Body=lost)
    answer = finops.aws("import-cur")

    assert answer.code == 0
    assert finops.loaded() == expected([delivery])
    assert len(kept) == 2
    now = {path.name: path.read_bytes() for path in finops.data.rglob("*.csv.gz")}
    assert {path.name for path in kept} < now.keys()


def test_a_delivery_overwritten_while_it_is_read_is_begun_again(
    tmp_path, seed, bucket, finops, monkeypatch
):
    layout = SampleLayout(versioning="overwrite", files=2)
    old = write_sample(tmp_path / "old", periods=PERIODS, rows=200, seed=seed, layout=layout)
    new = write_sample(
        tmp_path / "new", periods=PERIODS, rows=230, seed=seed, layout=layout, refresh=2
    )
    upload(tmp_path / "old", bucket)
    assert finops.aws("discover-manifests").code == 0
    assert finops.aws("extract-manifests").code == 0
    upload(tmp_path / "new", bucket)

    answer = finops.aws("extract-billing")
    loading = finops.aws("load-billing-local")

    assert set(answer.outcomes.values()) == {"staged"}
    assert loading.code == 0
    assert finops.loaded() == expected(new) != expected(old)
    reasons = {row["reason"] for row in finops.aws("show-state").document["manifests"]}
    assert reasons == {"", "source-changed"}


@pytest.mark.parametrize(
    ("version", "form", "versioning", "waits"),
    [
        ("v1", "csv", "overwrite", True),
        ("v1", "parquet", "overwrite", True),
        ("v2", "csv", "overwrite", True),
        ("v1", "csv", "create_new", False),
        ("v2", "parquet", "create_new", False),
    ],
)
def test_a_month_that_is_being_overwritten_is_left_for_later(
    tmp_path, seed, bucket, finops, version, form, versioning, waits
):
    layout = SampleLayout(
        cur_version=version, export_format=form, versioning=versioning, compression="none"
    )
    tree = {"periods": PERIODS[:2], "seed": seed, "layout": layout}
    cost = {"v1": "lineitem_unblendedcost", "v2": "line_item_unblended_cost"}[version]
    old = write_sample(tmp_path / "old", rows=200, **tree)
    new = write_sample(tmp_path / "new", rows=230, refresh=2, **tree)
    upload(tmp_path / "old", bucket)
    assert finops.aws("import-cur").code == 0
    upload(tmp_path / "new", bucket)
    time.sleep(1.1)  # times are whole seconds
    put(bucket, new[0].data_keys[0], get(bucket, new[0].data_keys[0]))

    answer = finops.aws("import-cur")

    if waits:
        (failed,) = (each for each in answer.results if each["error"])
        assert (answer.code, failed["period"]) == (3, "2024-01")
        assert (failed["error"]["code"], failed["error"]["exit_code"]) == ("in-progress", 75)
        assert f"({old[0].rows} rows)" in failed["error"]["kept"]
        assert finops.loaded(cost=cost) == expected([old[0], new[1]])
        upload_manifests_again(bucket)
        answer = finops.aws("import-cur")
    assert answer.code == 0
    assert finops.loaded(cost=cost) == expected(new) != expected(old)


def test_what_was_begun_of_a_replaced_delivery_goes(tmp_path, seed, bucket, finops):
    layout = SampleLayout(versioning="overwrite")
    for refresh in (1, 2):
        tree = tmp_path / f"tree{refresh}"
        write_sample(tree, periods=PERIODS[:1], rows=200, seed=seed, layout=layout, refresh=refresh)
        upload(tree, bucket)
        finops.aws("discover-manifests")
        finops.aws("extract-manifests")
        if refresh == 1:
            (manifest,) = finops.data.rglob("manifest.json")
            (manifest.parent / "0001-00000000.csv.gz.part").write_bytes(b"half")

    assert finops.aws("extract-billing").code == 0

    assert not list(finops.data.rglob("*.part"))


def test_a_source_that_keeps_changing_is_left_for_later(tmp_path, seed, bucket, finops):
    layout = SampleLayout(versioning="overwrite", files=1)
    tree = tmp_path / "tree"
    (delivery,) = write_sample(tree, periods=PERIODS[:1], rows=200, seed=seed, layout=layout)
    upload(tree, bucket)
    changing = _ChangingStorage(bucket, delivery.data_keys[0])
    with changing.after_every_download():
        answer = finops.aws("import-cur")

    (result,) = answer.results
    assert (answer.code, result["error"]["code"]) == (75, "source-changed")
    assert changing.downloads == 4
    assert finops.aws("import-cur").code == 0


class _ChangingStorage:
    """Replaces an object each time it was downloaded, as AWS does in OVERWRITE mode."""

    def __init__(self, bucket, key):
        self.bucket, self.key, self.downloads = bucket, key, 0

    def after_every_download(self):
        download = S3Storage.download

        def and_change(storage, stored: StoredObject, to, advance):
            download(storage, stored, to, advance)
            self.downloads += 1
            text = gzip.decompress(get(self.bucket, self.key))
            put(self.bucket, self.key, gzip.compress(text, mtime=self.downloads))
            upload_manifests_again(self.bucket)

        patch = pytest.MonkeyPatch()
        patch.setattr(S3Storage, "download", and_change)
        return _Undo(patch)


class _Undo:
    def __init__(self, patch):
        self.patch = patch

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.patch.undo()


def test_a_manifest_that_names_another_bucket_is_read_here_with_a_notice(
    tmp_path, seed, bucket, finops
):
    deliveries = write_sample(tmp_path / "tree", periods=PERIODS[:1], rows=200, seed=seed)
    upload(tmp_path / "tree", bucket)

    answer = finops.aws("import-cur")

    assert "names the bucket 'sample-bucket'" in answer.document["notices"][0]
    assert finops.loaded() == expected(deliveries)

"""One contract for all storages: what is listed is read, byte by byte, or it is an error."""

import contextlib
import gzip
import itertools
import json
import os
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, partialmethod
from typing import Any

import pytest

from finops.config import Export, mask_secrets
from finops.errors import (
    AccessError,
    BadDataError,
    ConfigError,
    LocalError,
    TemporaryError,
    UnavailableError,
)
from finops.storage import open_output, open_storage
from tests.servers import azurite, gcs
from tests.servers import proxy as faults
from tests.servers.proxy import Proxy, proxy_before

pytestmark = pytest.mark.timeout(900)  # the first may install a server
BLOCK = 1 << 16
BODY = bytes(range(256)) * (3 * BLOCK // 256) + b"end"
CANARY = "Y2FuYXJ5LXNlY3JldC1rZXk="


@dataclass
class Place:
    """An empty bucket, its storage, and how to write there without that."""

    export: Export
    put: Any
    get: Any
    media: str = ""  # what is in the path of the requests that bring bytes
    proxy: Proxy | None = None

    @cached_property
    def storage(self):
        return open_storage(self.export)


def _folder(request):
    root = request.getfixturevalue("tmp_path") / "bucket"
    root.mkdir()

    def put(key, body):
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(body)

    return Place(Export("aws", "e", "aws", bucket=str(root)), put, lambda key: _read(root / key))


def _read(path):
    return path.read_bytes()


def _s3(request):
    bucket = request.getfixturevalue("bucket")
    proxy = request.getfixturevalue("s3_proxy")

    def put(key, body, encoding=None):
        more = {"ContentEncoding": encoding} if encoding else {}
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=body, **more)

    def get(key):
        return bucket.client.get_object(Bucket=bucket.name, Key=key)["Body"].read()

    export = Export("aws", "e", "aws", bucket=bucket.name, endpoint=proxy.url)
    return Place(export, put, get, "/k$", proxy)


def _azure(request):
    container = request.getfixturevalue("container")
    proxy = request.getfixturevalue("azure_proxy")

    def put(key, body, encoding=None, **more):
        from azure.storage.blob import ContentSettings

        kind = ContentSettings(content_encoding=encoding) if encoding else None
        blob = container.get_blob_client(key)
        blob.upload_blob(body, overwrite=True, content_settings=kind, **more)

    def get(key):
        return container.get_blob_client(key).download_blob().readall()

    url = f"az://{azurite.ACCOUNT}/{container.container_name}"
    export = Export("azure", "e", "azure", bucket=url, endpoint=f"{proxy.url}/{azurite.ACCOUNT}")
    return Place(export, put, get, "/k$", proxy)


def _gcs(request):
    bucket = request.getfixturevalue("gcs_bucket")
    proxy = request.getfixturevalue("gcs_proxy")

    def put(key, body, encoding=None):
        blob = bucket.blob(key)
        blob.content_encoding = encoding
        blob.upload_from_string(body)

    def get(key):
        return bucket.blob(key).download_as_bytes()

    export = Export("gcp", "e", "gcp", bucket=bucket.name, endpoint=proxy.url)
    return Place(export, put, get, "alt=media", proxy)


KINDS = {"folder": _folder, "s3": _s3, "azure": _azure, "gcs": _gcs}
remote = pytest.mark.parametrize("place", ["s3", "azure", "gcs"], indirect=True)


@pytest.fixture(params=KINDS)
def place(request, monkeypatch):
    monkeypatch.setattr("finops.storage.azure._BLOCK", BLOCK)
    monkeypatch.setattr("finops.storage.gcs._BLOCK", BLOCK)
    made = KINDS[request.param](request)
    yield made
    if made.proxy:
        made.proxy.heal()


@pytest.fixture(scope="session")
def s3_proxy(s3_endpoint):
    with proxy_before(s3_endpoint) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def azure_proxy(azure):
    with proxy_before(azure.url) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def gcs_proxy(gcs_endpoint):
    with proxy_before(gcs_endpoint, gcs.Conditions) as proxy:
        yield proxy


@pytest.fixture
def no_pause(monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    monkeypatch.setattr("finops.storage.gcs._PATIENCE", 0.1)


def keys(storage, prefix=""):
    return sorted(stored.key for stored in storage.list_objects(prefix))


def download(storage, stored, to):
    amounts = []
    storage.download(stored, to, amounts.append)
    return sum(amounts)


ODD = ["with space/ü/x y.csv", "🎉/報告.csv", "q?&+%41=.csv", "p%2Fq/x", "a:b;c/d=1,e", "#/~'!(*)"]


@pytest.mark.parametrize("key", ODD)
def test_odd_keys_are_listed_and_read_as_they_are(place, tmp_path, key):
    place.put(key, key.encode())
    storage = place.storage

    (stored,) = storage.list_objects(key[:3])
    download(storage, stored, tmp_path / "file")

    assert (stored.key, stored.size) == (key, len(key.encode()))
    assert storage.head_object(key) == stored
    assert storage.read_object(key, 100) == (key.encode(), stored)
    assert (tmp_path / "file").read_bytes() == key.encode()


@pytest.mark.parametrize(
    ("place", "key"),
    [
        *itertools.product(["s3", "azure", "gcs"], ["/led/x.csv", "a//b.csv"]),
        *itertools.product(["s3", "gcs"], ["a/./b.csv", "a/../b.csv"]),
    ],
    indirect=["place"],
)
def test_stray_slashes_and_dots_are_part_of_a_key(place, tmp_path, key):
    place.put(key, b"stray")
    place.put(key.replace("/", ""), b"other")
    storage = place.storage

    (stored,) = storage.list_objects(key[:2])
    download(storage, stored, tmp_path / "file")

    assert (stored.key, storage.head_object(key)) == (key, stored)
    assert (tmp_path / "file").read_bytes() == b"stray"


@pytest.mark.parametrize("key", ["../other/x", "a/../../x", "a\\..\\..\\x", ".", "..", "a/./x/"])
def test_no_key_leads_out_of_the_bucket(place, key):
    place.put("x", b"x")
    place.put("other/x", b"x")

    with pytest.raises(BadDataError) as refused:
        place.storage.read_object(key, 100)

    assert refused.value.code == "missing-object"


def test_a_listing_takes_what_begins_with_the_prefix(place):
    for key in ("rep/1", "rep/sub/2", "rep-hourly/3", "other/rep/4"):
        place.put(key, b"x")

    assert keys(place.storage, "rep/") == ["rep/1", "rep/sub/2"]
    assert keys(place.storage, "rep") == ["rep-hourly/3", "rep/1", "rep/sub/2"]
    assert keys(place.storage, "none/") == []
    assert len(keys(place.storage)) == 4


@pytest.mark.parametrize("place", ["folder", "azure", "gcs"], indirect=True)
def test_nothing_is_not_a_key(place):
    with pytest.raises(BadDataError) as refused:
        place.storage.head_object("")

    assert refused.value.code == "missing-object"


@remote
def test_a_listing_goes_on_page_by_page(place, monkeypatch):
    for number in range(7):
        place.put(f"a/{number}", b"x")
    _small_pages(monkeypatch)
    place.proxy.served.clear()

    assert keys(place.storage, "a/") == [f"a/{number}" for number in range(7)]
    assert sum(place.proxy.served.values()) == 4


def _small_pages(monkeypatch):
    from azure.storage.blob import ContainerClient
    from botocore.paginate import Paginator
    from google.cloud.storage import Bucket

    def patch(owner, name, **more):
        monkeypatch.setattr(owner, name, partialmethod(getattr(owner, name), **more))

    patch(ContainerClient, "list_blobs", results_per_page=2)
    patch(Paginator, "paginate", PaginationConfig={"PageSize": 2})
    patch(Bucket, "list_blobs", page_size=2)


def test_a_change_shows_in_the_etag(place):
    place.put("k", b"old")
    old = place.storage.head_object("k")
    place.put("k", b"new")
    new = place.storage.head_object("k")

    assert '"' not in old.etag
    assert old.etag != new.etag
    assert datetime.now(UTC) - new.modified < timedelta(minutes=5)


def test_more_than_the_limit_is_not_read(place):
    place.put("k", b"x" * 101)

    assert place.storage.read_object("k", 101)[0] == b"x" * 101
    with pytest.raises(BadDataError, match="101 bytes where at most 100") as refused:
        place.storage.read_object("k", 100)
    assert refused.value.code == "too-large"


@pytest.mark.parametrize("there", [0, 1, BLOCK, BLOCK + 1, len(BODY) - 1, len(BODY)])
def test_a_download_brings_what_is_lacking(place, tmp_path, there):
    place.put("k", BODY)
    (tmp_path / "file").write_bytes(BODY[:there])

    came = download(place.storage, place.storage.head_object("k"), tmp_path / "file")

    assert (tmp_path / "file").read_bytes() == BODY
    assert came == len(BODY) - there


def test_an_empty_object_is_an_empty_file(place, tmp_path):
    place.put("k", b"")
    (stored,) = place.storage.list_objects("k")

    assert download(place.storage, stored, tmp_path / "file") == 0
    assert (tmp_path / "file").read_bytes() == b""
    assert place.storage.read_object("k", 9) == (b"", stored)


@remote
def test_packed_objects_come_as_they_are_stored(place, tmp_path):
    packed = gzip.compress(BODY, mtime=0)
    place.put("k", packed, encoding="gzip")
    stored = place.storage.head_object("k")
    (tmp_path / "part").write_bytes(packed[:5])

    for name in ("file", "part"):
        download(place.storage, stored, tmp_path / name)

    assert stored.size == len(packed)
    assert (tmp_path / "file").read_bytes() == (tmp_path / "part").read_bytes() == packed
    assert place.storage.read_object("k", 1 << 20)[0] == packed


@pytest.mark.parametrize("there", [b"", b"old" * 500, b"old" * 1000])
def test_another_version_than_the_listed_is_not_taken(place, tmp_path, there):
    place.put("k", b"old" * 1000)
    listed = place.storage.head_object("k")
    (tmp_path / "part").write_bytes(there)
    place.put("k", b"new" * 1000)

    with pytest.raises(TemporaryError) as refused:
        download(place.storage, listed, tmp_path / "part")

    assert refused.value.code == "source-changed"
    assert (tmp_path / "part").read_bytes() == there


def test_what_was_listed_in_another_storage_has_changed(place, tmp_path):
    place.put("k", b"x")
    listed = place.storage.head_object("k")

    with pytest.raises(TemporaryError) as refused:
        download(place.storage, replace(listed, etag="1-2"), tmp_path / "file")

    assert refused.value.code == "source-changed"


@remote
def test_bytes_of_two_versions_never_mix(place, tmp_path, no_pause):
    place.put("k", BODY)
    listed = place.storage.head_object("k")
    place.proxy.harm("GET", place.media, after=faults.cut(1000))
    place.proxy.harm("GET", place.media, before=lambda: place.put("k", BODY[::-1]), skip=1)

    with pytest.raises(TemporaryError) as refused:
        download(place.storage, listed, tmp_path / "part")

    assert refused.value.code == "source-changed"
    assert BODY.startswith((tmp_path / "part").read_bytes())


@pytest.mark.parametrize("place", ["azure", "gcs"], indirect=True)
def test_a_change_between_two_blocks_is_noticed(place, tmp_path):
    place.put("k", BODY)
    listed = place.storage.head_object("k")
    place.proxy.harm("GET", place.media, before=lambda: place.put("k", BODY[::-1]), skip=1)

    with pytest.raises(TemporaryError) as refused:
        download(place.storage, listed, tmp_path / "part")

    assert refused.value.code == "source-changed"
    assert BODY.startswith((tmp_path / "part").read_bytes())


@remote
def test_a_broken_connection_is_gone_on_with(place, tmp_path, no_pause):
    place.put("k", BODY)
    stored = place.storage.head_object("k")
    place.proxy.harm("GET", place.media, after=faults.cut(1000), times=2)

    came = download(place.storage, stored, tmp_path / "file")

    assert (tmp_path / "file").read_bytes() == BODY
    assert came == len(BODY)


@remote
def test_damage_on_the_way_is_found(place, tmp_path):
    place.put("k", BODY)
    stored = place.storage.head_object("k")
    place.proxy.harm("GET", place.media, after=_flip)

    with pytest.raises(BadDataError, match="MD5") as refused:
        download(place.storage, stored, tmp_path / "file")

    assert refused.value.code == "damaged-file"


def _flip(answer):
    answer.body = answer.body[:-1] + bytes([answer.body[-1] ^ 1])


@remote
def test_what_lay_there_whole_is_compared_too(place, tmp_path):
    place.put("k", b"bytes")
    (tmp_path / "file").write_bytes(b"bytez")

    with pytest.raises(BadDataError, match="MD5"):
        download(place.storage, place.storage.head_object("k"), tmp_path / "file")


@pytest.mark.parametrize("place", ["gcs"], indirect=True)
@pytest.mark.parametrize("there", [BODY, BODY[:-1] + b"?"])
def test_a_composed_object_is_compared_by_its_crc32c(place, tmp_path, there):
    place.put("k", BODY)
    stored = place.storage.head_object("k")
    (tmp_path / "file").write_bytes(there)
    place.proxy.harm("GET", "/o/k", after=_without_md5)

    error = pytest.raises(BadDataError, match="CRC32C")
    with error if there != BODY else contextlib.nullcontext():
        download(place.storage, stored, tmp_path / "file")


def _without_md5(answer):
    told = json.loads(answer.body)
    assert told.pop("md5Hash")
    answer.body = json.dumps(told).encode()
    answer.headers["Content-Length"] = len(answer.body)


@pytest.mark.parametrize("place", ["azure"], indirect=True)
def test_without_an_md5_nothing_is_compared(place, tmp_path):
    from azure.storage.blob import ContentSettings

    container = azurite.Azurite(place.proxy.upstream).container(place.export.bucket.split("/")[-1])
    with container:
        container.get_blob_client("k").stage_block("MQ==", b"bytes")
        container.get_blob_client("k").commit_block_list(["MQ=="], ContentSettings())
    (tmp_path / "file").write_bytes(b"bytez")

    assert download(place.storage, place.storage.head_object("k"), tmp_path / "file") == 0


@pytest.mark.parametrize("place", ["azure"], indirect=True)
@pytest.mark.parametrize("name", ["hdi_isfolder", "Hdi_isfolder"])
def test_folders_of_a_hierarchical_account_are_no_objects(place, name):
    place.put("dir", b"", metadata={name: "true"})
    place.put("dir/file", b"x", metadata={"hdi_isfolder": "no"})
    place.put("dir/empty", b"")

    assert keys(place.storage) == ["dir/empty", "dir/file"]


def test_a_missing_object_is_missing(place, tmp_path):
    place.put("k", b"x")
    storage, listed = place.storage, place.storage.head_object("k")
    storage.remove_object("k")

    for ask in (storage.head_object, lambda key: storage.read_object(key, 9)):
        with pytest.raises(BadDataError) as refused:
            ask("k")
        assert refused.value.code == "missing-object"
        assert refused.value.where == f"{storage.url}/k"
    with pytest.raises((BadDataError, TemporaryError)) as refused:
        download(storage, listed, tmp_path / "file")
    assert refused.value.code in {"missing-object", "source-changed"}


@remote
def test_a_missing_bucket_is_a_setting_that_is_wrong(place, tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    gone = open_storage(_elsewhere(place.export))

    for ask in (lambda: keys(gone), lambda: gone.upload(tmp_path / "file", "k")):
        with pytest.raises(ConfigError, match="does not exist"):
            ask()


def _elsewhere(export):
    above, separator, _name = export.bucket.rpartition("/")
    return replace(export, bucket=f"{above}{separator}no-such-bucket-here")


@remote
@pytest.mark.parametrize(
    ("status", "code", "error", "word"),
    [
        (401, "ExpiredToken", AccessError, "access"),
        (403, "AccessDenied", AccessError, "access"),
        (429, "SlowDown", TemporaryError, "throttled"),
        (503, "SlowDown", TemporaryError, "throttled"),
        (500, "InternalError", UnavailableError, "unavailable"),
    ],
)
def test_refusals_are_told_apart(place, no_pause, status, code, error, word):
    place.proxy.harm("GET", "", after=faults.refuse(status, code), times=99)

    with pytest.raises(error) as refused:
        keys(place.storage, "a/")

    assert refused.value.code == word
    assert refused.value.where == f"{place.storage.url}/a/"
    assert "a test says so" in refused.value.what or status == 401


@remote
def test_nobody_there_is_unavailable(place, no_pause):
    dead = replace(place.export, endpoint="http://127.0.0.1:9/devstoreaccount1")

    with pytest.raises(UnavailableError, match="does not answer"):
        open_storage(dead).head_object("k")


def refusal(export):
    with pytest.raises(AccessError) as refused:
        keys(open_storage(export))
    assert CANARY not in mask_secrets(f"{refused.value.what} {refused.value.do}")
    return refused.value


@pytest.mark.parametrize("place", ["azure"], indirect=True)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KEY", CANARY),
        ("KEY", "not base 64!"),
        ("SAS_TOKEN", f"?sv=2024-08-04&sp=rl&sig={CANARY}"),
        ("CONNECTION_STRING", f"AccountName={azurite.ACCOUNT};AccountKey={CANARY};"),
        ("CONNECTION_STRING", f"SharedAccessSignature=sv=2024-08-04&sig={CANARY}"),
        ("KEY", ""),
    ],
)
def test_azure_refuses_wrong_keys_and_none(place, monkeypatch, no_pause, name, value):
    monkeypatch.delenv("AZURE_STORAGE_KEY")
    monkeypatch.setenv(f"AZURE_STORAGE_{name}", value)

    error = refusal(place.export)

    assert "Storage Blob Data Reader" in error.do


@pytest.mark.parametrize("place", ["azure"], indirect=True)
@pytest.mark.parametrize("how", ["connection", "connection alone", "sas", "sas in connection"])
def test_azure_takes_keys_from_the_environment(place, monkeypatch, how):
    place.put("k", b"x")
    monkeypatch.setenv("AZURE_STORAGE_KEY", "")
    export, parts = place.export, {"AccountName": azurite.ACCOUNT, "AccountKey": azurite.KEY}
    if how == "connection alone":
        parts["BlobEndpoint"], export = export.endpoint, replace(export, endpoint="")
    if how.startswith("sas"):
        parts = {"SharedAccessSignature": _sas()}
    if how == "sas":
        monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", f"?{_sas()}")
    else:
        text = ";".join(f"{name}={value}" for name, value in parts.items())
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)

    assert keys(open_storage(export)) == ["k"]


def _sas():
    from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

    return generate_account_sas(
        azurite.ACCOUNT,
        azurite.KEY,
        ResourceTypes(container=True, object=True),
        AccountSasPermissions(read=True, list=True),
        datetime.now(UTC) + timedelta(hours=1),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"AccountName=another;AccountKey={CANARY}", "'another'"),
        ("BlobEndpoint=https://x/;AccountName=account", "neither"),
        (CANARY, "neither"),
    ],
)
def test_a_connection_string_of_something_else_is_refused(monkeypatch, text, said):
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)

    with pytest.raises(ConfigError, match=said) as refused:
        open_storage(Export("azure", "e", "azure", bucket="az://account/container"))

    assert CANARY not in f"{refused.value} {refused.value.do}"


@pytest.mark.parametrize("chosen", ["AzureCliCredential", "ManagedIdentityCredential"])
def test_without_keys_azure_s_own_chain_is_asked(azure_proxy, monkeypatch, no_pause, chosen):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", chosen)
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{azure_proxy.url}/no-token-here")
    monkeypatch.setenv("IDENTITY_HEADER", CANARY)

    error = refusal(Export("azure", "e", "azure", bucket="az://account/container"))

    assert "az login" in error.do


@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_s3_without_credentials_refuses(place, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    assert "aws sso login" in refusal(place.export).do


@pytest.mark.parametrize("text", [None, "{", f'{{"private_key": "{CANARY}"}}', "account"])
def test_gcs_without_credentials_refuses(tmp_path, monkeypatch, no_pause, gcs_proxy, text):
    file = tmp_path / "account.json"
    if text:
        file.write_text(_account(gcs_proxy) if text == "account" else text)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))

    error = refusal(Export("gcp", "e", "gcp", bucket="gs://some-bucket"))

    assert "gcloud auth application-default login" in error.do


def _account(proxy):
    """Return the file of a service account whose tokens nobody gives."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "finops@example.com",
            "private_key": key.decode(),
            "token_uri": f"{proxy.url}/no-token-here",
        }
    )


@pytest.mark.parametrize("size", [0, 5, 9 << 20])
def test_what_is_put_is_there_whole_and_replaces(place, tmp_path, size):
    body = os.urandom(size)
    (tmp_path / "file").write_bytes(body)
    place.put("a/b", b"old")

    place.storage.upload(tmp_path / "file", "a/b")

    assert place.get("a/b") == body
    assert keys(place.storage) == ["a/b"]


def test_what_is_removed_is_gone_and_what_is_not_there_is_no_matter(place):
    place.put("a/b", b"x")
    place.put("a/c", b"x")

    for _ in range(2):
        place.storage.remove_object("a/b")

    assert keys(place.storage) == ["a/c"]


@remote
def test_who_may_not_write_is_told_what_it_takes(place, tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    for method in ("PUT", "POST", "DELETE"):
        place.proxy.harm(method, "", after=faults.refuse(403, "AccessDenied"), times=99)

    for ask in (
        lambda: place.storage.upload(tmp_path / "file", "k"),
        lambda: place.storage.remove_object("k"),
    ):
        with pytest.raises(AccessError) as refused:
            ask()
        assert "--out" in refused.value.do


@remote
def test_files_are_written_below_a_url_s_prefix(place, tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    url = place.storage.url

    for out, prefix in ((f"{url}/lake/bills/", "lake/bills/"), (url, "")):
        storage, begins = open_output(out, place.export)
        storage.upload(tmp_path / "file", f"{begins}k")
        assert (storage.url, begins) == (url, prefix)

    assert keys(place.storage) == ["k", "lake/bills/k"]


URLS = {
    ("aws", "s3://some-bucket"): "s3://some-bucket",
    ("aws", "some-bucket"): "s3://some-bucket",
    ("gcp", "some-bucket"): "gs://some-bucket",
    ("aws", "gs://some-bucket"): "gs://some-bucket",
    ("azure", "az://account/container"): "az://account/container",
    ("aws", "https://account.blob.core.windows.net/$web"): "az://account/$web",
}


@pytest.mark.parametrize(("vendor", "bucket"), URLS)
def test_the_scheme_says_which_storage(vendor, bucket):
    export = Export(vendor, "e", vendor, bucket=bucket, endpoint="http://127.0.0.1:9")

    assert open_storage(export).url == URLS[vendor, bucket]


@pytest.mark.parametrize(
    ("vendor", "bucket"),
    [
        ("azure", "container"),
        ("azure", "az://account"),
        ("azure", "az://account/container/folder"),
        ("azure", "https://account.blob.core.windows.net"),
        ("azure", "https://example.com/container"),
        ("azure", f"https://account.blob.core.windows.net/container?sig={CANARY}"),
        ("azure", "az://account/.."),
        ("aws", "ftp://bucket"),
        ("gcp", "gs://bucket/folder"),
        ("gcp", "gs://x:secret@bucket"),
        ("aws", "s3://bucket/folder"),
    ],
)
def test_what_is_no_bucket_is_refused_and_the_form_is_shown(vendor, bucket):
    with pytest.raises(ConfigError) as refused:
        open_storage(Export(vendor, "e", vendor, bucket=bucket))

    assert "://" in refused.value.do or "prefix" in refused.value.do
    assert CANARY not in mask_secrets(str(refused.value))


@pytest.mark.parametrize(
    ("bucket", "extra"), [("s3://b", "aws"), ("az://acc/container", "azure"), ("gs://bbb", "gcp")]
)
def test_without_the_extra_the_line_that_installs_it_is_shown(monkeypatch, bucket, extra):
    monkeypatch.setattr("finops.storage.remote.find_spec", lambda _name: None)

    with pytest.raises(LocalError) as refused:
        open_storage(Export("aws", "e", "aws", bucket=bucket))

    assert refused.value.code == "missing-extra"
    assert refused.value.do == f"pip install 'open-finops[{extra}]'"

"""A folder stands for a bucket: keys never lead out of it, and a changed file is noticed."""

import os

import pytest

from finops.errors import BadDataError, LocalError, TemporaryError
from finops.storage.folder import FolderStorage


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "bucket"
    root.mkdir()
    (tmp_path / "secret").write_text("not yours")
    (tmp_path / "bucketeer").mkdir()
    (tmp_path / "bucketeer" / "secret").write_text("not yours either")
    return root


def put(root, key, text="content"):
    path = root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def listed(root, prefix):
    return sorted(stored.key for stored in FolderStorage(root).list_objects(prefix))


@pytest.mark.parametrize("key", ["a/b", "a/./b", "a//b", "/a/b", "./a/b", "//a/b/", "a/b/."])
def test_keys_with_aws_s_stray_slashes_and_dots_name_the_same_file(root, key) -> None:
    put(root, "a/b", "here")

    body, stored = FolderStorage(root).read_object(key, 100)

    assert body == b"here"
    assert (stored.key, stored.size) == ("a/b", 4)


@pytest.mark.parametrize(
    "key",
    ["../secret", "a/../../secret", "..", "a/..", "/../secret", "a/../a/b", "../bucketeer/secret"],
)
def test_a_key_never_leads_out_of_the_folder(root, key) -> None:
    put(root, "a/b")
    storage = FolderStorage(root)

    with pytest.raises(BadDataError) as caught:
        storage.read_object(key, 100)

    assert caught.value.code == "missing-object"
    assert list(storage.list_objects(f"{key}/")) == []


@pytest.mark.parametrize(
    "key", ["none", "a", "a/b/c", "", "/", "a\0b", "x" * 300, "\ud800", "a/none"]
)
def test_a_key_that_names_no_file_is_missing(root, key) -> None:
    put(root, "a/b")
    storage = FolderStorage(root)

    for ask in (storage.head_object, lambda key: storage.read_object(key, 100)):
        with pytest.raises(BadDataError) as caught:
            ask(key)
        assert caught.value.code == "missing-object"
        assert caught.value.where.endswith(f"/{key}")


@pytest.mark.parametrize(
    "key", ["with space/a b.csv", "Übersicht/報告.csv", "a:b/c=d", "x/-", "q?/*[x]"]
)
def test_spaces_and_other_alphabets_are_names_like_any(root, key) -> None:
    put(root, key, "text")
    storage = FolderStorage(root)

    assert listed(root, "") == [key]
    assert listed(root, key[:3]) == [key]
    assert storage.read_object(key, 10)[0] == b"text"


def test_listing_takes_what_begins_with_the_prefix(root) -> None:
    for key in ("rep/1", "rep/sub/2", "rep-hourly/3", "repository", "other/rep/4"):
        put(root, key)

    assert listed(root, "rep/") == ["rep/1", "rep/sub/2"]
    assert listed(root, "rep") == ["rep-hourly/3", "rep/1", "rep/sub/2", "repository"]
    assert listed(root, "rep/s") == ["rep/sub/2"]
    assert listed(root, "/rep/") == listed(root, "rep//") == ["rep/1", "rep/sub/2"]
    assert listed(root, "none/") == listed(root, "rep/1/") == []
    assert len(listed(root, "")) == 5


def test_a_change_of_time_alone_is_a_change(root, tmp_path) -> None:
    path = put(root, "a", "same size")
    storage = FolderStorage(root)
    stored = storage.head_object("a")
    os.utime(path, ns=(1, 1))

    with pytest.raises(TemporaryError):
        storage.download(stored, tmp_path / "copy", lambda _: None)


def test_a_file_that_changes_during_the_download_is_noticed(root, tmp_path) -> None:
    path = put(root, "a", "x" * 3_000_000)
    storage = FolderStorage(root)

    def overwrite(_amount):
        path.write_text("y" * 3_000_000)
        os.utime(path, ns=(1, 1))

    with pytest.raises(TemporaryError) as caught:
        storage.download(storage.head_object("a"), tmp_path / "copy", overwrite)

    assert caught.value.code == "source-changed"


@pytest.mark.parametrize("name", ["none", "file"])
def test_the_root_must_be_a_folder(tmp_path, name) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(LocalError, match=name):
        FolderStorage(tmp_path / name)

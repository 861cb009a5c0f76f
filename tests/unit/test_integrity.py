"""A file that came cut short or damaged is refused before anyone reads a cost from it."""

import gzip
import hashlib
import io
import random
import tracemalloc
import zipfile

import duckdb
import pytest

from finops import integrity
from finops.errors import BadDataError
from finops.integrity import read_zip_entry, verify_file

KEY = "bills/january.csv"
CSV = "identity/LineItemId,lineItem/UnblendedCost\n" + "".join(
    f"line-{number},{number * 7919 % 1000}.{number:03}\n" for number in range(400)
)


def gzipped(text=CSV):
    return gzip.compress(text.encode(), mtime=0)


def zipped(*entries, method=zipfile.ZIP_DEFLATED):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, text in entries:
            archive.writestr(name, text)
    return packed.getvalue()


def parquet(tmp_path):
    path = tmp_path / "whole.parquet"
    with duckdb.connect() as db:
        db.execute(
            "COPY (SELECT range AS n FROM range(100)) TO ? (FORMAT parquet)", [str(path)]
        ).fetchall()
    return path.read_bytes()


def verify(tmp_path, content, file_format="csv", compression="none"):
    path = tmp_path / "file"
    path.write_bytes(content)
    return verify_file(path, KEY, file_format, compression)


def refuse(tmp_path, content, file_format="csv", compression="none"):
    with pytest.raises(BadDataError) as caught:
        verify(tmp_path, content, file_format, compression)
    assert caught.value.code == "damaged-file"
    assert caught.value.where == KEY
    return caught.value.what


@pytest.mark.parametrize("compression", ["none", "gzip", "zip"])
def test_a_whole_file_is_accepted_with_its_sha256(tmp_path, compression) -> None:
    content = {
        "none": CSV.encode(),
        "gzip": gzipped(),
        "zip": zipped(("any name.csv", CSV)),
    }[compression]

    assert verify(tmp_path, content, compression=compression) == hashlib.sha256(content).hexdigest()


def test_a_whole_parquet_file_is_accepted_with_its_sha256(tmp_path) -> None:
    content = parquet(tmp_path)

    assert verify(tmp_path, content, "parquet") == hashlib.sha256(content).hexdigest()


def test_a_gzip_of_several_members_is_accepted(tmp_path) -> None:
    content = gzipped("a,b\n") + gzipped("1,2\n")

    assert verify(tmp_path, content, compression="gzip") == hashlib.sha256(content).hexdigest()


def test_a_gzip_cut_short_anywhere_is_refused(tmp_path) -> None:
    content = gzipped()

    for length in range(0, len(content), 7):
        refuse(tmp_path, content[:length], compression="gzip")
    for missing in range(1, 10):
        refuse(tmp_path, content[:-missing], compression="gzip")


def test_a_second_member_cut_short_is_refused(tmp_path) -> None:
    first, second = gzipped("a,b\n"), gzipped()

    for length in (1, 9, 10, len(second) // 2, len(second) - 1):
        refuse(tmp_path, first + second[:length], compression="gzip")


def flipped(content, bit):
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def is_harmless(tmp_path, damaged):
    """Tell whether a damaged gzip is let through because it still holds the same rows."""
    try:
        verify(tmp_path, damaged, compression="gzip")
    except BadDataError:
        return False
    assert gzip.decompress(damaged) == CSV.encode()
    return True


def test_a_flipped_bit_in_a_gzip_is_refused_or_changes_no_row(tmp_path) -> None:
    content = gzipped()
    stream = range(80, len(content) * 8)

    sample = random.Random(3).sample(stream, 200)  # noqa: S311 - an example, not a secret
    harmless = [bit for bit in sample if is_harmless(tmp_path, flipped(content, bit))]

    # Deflate can say the same thing twice: a match of the same text further back.
    assert len(harmless) < 5


def test_a_flipped_bit_at_either_end_of_a_gzip_changes_no_row(tmp_path) -> None:
    content = gzipped()
    header, trailer = range(80), range((len(content) - 8) * 8, len(content) * 8)

    for bit in header:
        is_harmless(tmp_path, flipped(content, bit))
    for bit in trailer:
        refuse(tmp_path, flipped(content, bit), compression="gzip")


def test_a_long_gzip_is_checked_to_its_end(tmp_path) -> None:
    content = gzipped(CSV * 500)

    verify(tmp_path, content, compression="gzip")
    refuse(tmp_path, content[:-1], compression="gzip")
    refuse(tmp_path, flipped(content, len(content) * 8 - 40), compression="gzip")


def test_a_long_zip_is_checked_to_its_end(tmp_path) -> None:
    content = zipped(("a.csv", CSV * 500), method=zipfile.ZIP_STORED)
    last_row = (content.rindex(b"line-399") + 1) * 8

    verify(tmp_path, content, compression="zip")
    refuse(tmp_path, flipped(content, last_row), compression="zip")


@pytest.mark.parametrize("tail", [b"x", b"PK", b"\x1f\x8b", b"<html>"])
def test_a_gzip_with_something_behind_it_is_refused(tmp_path, tail) -> None:
    refuse(tmp_path, gzipped() + tail, compression="gzip")


@pytest.mark.parametrize("content", [b"", gzip.compress(b"", mtime=0)])
def test_an_empty_gzip_is_refused(tmp_path, content) -> None:
    assert "empty" in refuse(tmp_path, content, compression="gzip")


@pytest.mark.parametrize("content", [CSV.encode(), b"PK\x03\x04", b"<html>", b"\x1f"])
def test_what_is_no_gzip_is_refused(tmp_path, content) -> None:
    refuse(tmp_path, content, compression="gzip")


@pytest.mark.parametrize(("entries", "count"), [([], 0), ([("a.csv", "a\n"), ("b.csv", "b\n")], 2)])
def test_a_zip_holds_one_file(tmp_path, entries, count) -> None:
    assert f"{count} entries" in refuse(tmp_path, zipped(*entries), compression="zip")


def test_a_zip_cut_short_anywhere_is_refused(tmp_path) -> None:
    content = zipped(("a.csv", CSV))

    for length in [*range(0, len(content), 11), len(content) - 1]:
        refuse(tmp_path, content[:length], compression="zip")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_a_flipped_bit_in_a_zip_is_refused_or_changes_no_row(tmp_path, method) -> None:
    content = zipped(("a.csv", CSV[:60]), method=method)
    path = tmp_path / "file"

    for bit in range(len(content) * 8):
        path.write_bytes(flipped(content, bit))
        try:
            verify_file(path, KEY, "csv", "zip")
        except BadDataError as error:
            assert error.where == KEY  # noqa: PT017 - most of thousands of flips end here
            continue
        assert b"".join(read_zip_entry(path, KEY)) == CSV[:60].encode()


def test_a_zip_entry_is_read_whatever_its_name(tmp_path) -> None:
    path = tmp_path / "file"
    path.write_bytes(zipped(("../../etc/passwd", CSV)))

    assert b"".join(read_zip_entry(path, KEY)) == CSV.encode()
    assert sorted(tmp_path.iterdir()) == [path]


def refuse_bomb(tmp_path, content, compression):
    """Return the most memory, in bytes, that refusing a bomb took."""
    (tmp_path / "bomb").write_bytes(content)
    tracemalloc.start()
    with pytest.raises(BadDataError) as caught:
        verify_file(tmp_path / "bomb", KEY, "csv", compression)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (caught.value.code, caught.value.where) == ("too-large", KEY)
    return peak


def test_a_gzip_bomb_is_refused_while_it_is_read(tmp_path) -> None:
    member = gzip.compress(b"0\n" * (32 << 20), mtime=0)

    assert refuse_bomb(tmp_path, member * 16, "gzip") < 16 << 20


def test_a_zip_bomb_is_refused_while_it_is_read(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(integrity, "_INFLATED", 8 << 20)

    assert refuse_bomb(tmp_path, zipped(("a", b"0\n" * (32 << 20))), "zip") < 16 << 20


@pytest.mark.parametrize("compression", ["gzip", "zip"])
def test_what_shrinks_well_but_stays_small_is_no_bomb(tmp_path, monkeypatch, compression) -> None:
    monkeypatch.setattr(integrity, "_INFLATED", 8 << 20)
    pack = {"gzip": gzip.compress, "zip": lambda body: zipped(("a", body))}[compression]
    body = bytes(8 << 20)
    assert len(body) > 200 * len(pack(body))

    verify(tmp_path, pack(body), compression=compression)
    refuse_bomb(tmp_path, pack(body + b"x"), compression)


def test_what_is_large_but_shrinks_as_bills_do_is_no_bomb(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(integrity, "_INFLATED", 1)
    verify(tmp_path, gzipped(CSV * 20), compression="gzip")


def packed(body, compression):
    pack = {"gzip": gzip.compress, "zip": lambda text: zipped(("a", text)), "none": bytes}
    return pack[compression](body)


@pytest.mark.parametrize("compression", ["gzip", "zip", "none"])
@pytest.mark.parametrize("end", [b"", b"\n", b"\n2\n"])
def test_a_line_that_duckdb_would_drop_is_refused(tmp_path, compression, end) -> None:
    body = b"a\n1\n" + b"x" * (40 << 20) + end
    (tmp_path / "file").write_bytes(packed(body, compression))

    with pytest.raises(BadDataError, match="a row is longer") as caught:
        verify_file(tmp_path / "file", KEY, "csv", compression)
    assert (caught.value.code, caught.value.where) == ("bad-file", KEY)


@pytest.mark.parametrize("compression", ["gzip", "zip", "none"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_any_number_of_lines_is_no_long_line(tmp_path, compression, end) -> None:
    line = b"x" * (4 << 20) + end

    verify(tmp_path, packed(line * 6, compression), compression=compression)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_codecs_that_cannot_be_stopped_are_not_used(tmp_path, method) -> None:
    bomb = zipped(("a.csv", bytes(64 << 20)), method=method)
    tracemalloc.start()
    assert "method" in refuse(tmp_path, bomb, compression="zip")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_a_parquet_file_cut_short_anywhere_is_refused(tmp_path) -> None:
    content = parquet(tmp_path)

    for length in [*range(13), len(content) // 2, len(content) - 4, len(content) - 1]:
        refuse(tmp_path, content[:length], "parquet")


@pytest.mark.parametrize("content", [b"PAR1", b"PAR1PAR1", b"PAR1" * 2 + b"PAR2", CSV.encode()])
def test_what_is_no_parquet_file_is_refused(tmp_path, content) -> None:
    refuse(tmp_path, content, "parquet")

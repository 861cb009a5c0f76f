"""What a downloaded file must prove: length, gzip CRC, one entry in a zip, a Parquet footer.

DuckDB does not check a gzip CRC, and a flipped bit may load as a different table, so
every file is read once here, hashed, and inflated where it is compressed.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from finops.errors import BadDataError

_BLOCK = 1 << 20
_PARQUET_MAGIC = b"PAR1"
# Bills shrink to a tenth or a thirtieth; what shrinks to less was made to fill a disk.
_INFLATED = 256 << 20
_RATIO = 200
_LONGEST_LINE = 16 << 20
# Of the other methods' codecs a few bytes may take gigabytes of memory.
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What a damaged zip makes zipfile and its codecs raise.
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


def verify_file(path: Path, key: str, file_format: str, compression: str) -> str:
    """Check one data file and return its SHA-256.

    Raises:
        BadDataError: it is cut short or damaged; names the key.
    """
    if compression == "gzip":
        _check_gzip(path, key)
    elif compression == "zip":
        _check_zip(path, key)
    elif file_format == "parquet":
        _check_parquet(path, key)
    else:
        _check_lines(path, key)
    return sha256_of(path)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_length(path: Path, key: str, listed: int) -> None:
    """Compare what came with what the listing promised, in bytes; 0 promises nothing."""
    size = path.stat().st_size
    if listed and size != listed:
        raise _damaged(key, f"{size:,} bytes came, {listed:,} were listed")


def read_zip_entry(path: Path, key: str) -> Iterator[bytes]:
    """Yield the content of the one file in a zip, block by block; its name is ignored.

    Raises:
        BadDataError: it is no zip, is damaged, grows too large, or holds not one file.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(_only_entry(archive, key)) as entry:
            yield from _bounded(iter(partial(entry.read, _BLOCK), b""), path, key)
    except (*_ZIP_ERRORS, OSError) as error:
        raise _damaged(key, f"the zip is damaged: {error}") from error


def _only_entry(archive: zipfile.ZipFile, key: str) -> zipfile.ZipInfo:
    entries = archive.infolist()
    if len(entries) != 1:
        raise _damaged(key, f"the zip holds {len(entries):,} entries, one is expected")
    if entries[0].compress_type not in _ZIP_METHODS:
        raise _damaged(key, f"the zip uses the method {entries[0].compress_type}, not deflate")
    return entries[0]


def _bounded(blocks: Iterable[bytes], path: Path, key: str) -> Iterator[bytes]:
    """Pass blocks of CSV on, until they are too many for their file, or a line does not end.

    DuckDB drops a last line that is longer than its buffer without a word.
    """
    limit = max(_INFLATED, _RATIO * path.stat().st_size)
    inflated = line = 0
    for block in blocks:
        inflated += len(block)
        end = max(block.rfind(b"\n"), block.rfind(b"\r"))
        line = len(block) - end - 1 + (line if end < 0 else 0)
        if line > _LONGEST_LINE:
            raise BadDataError(
                f"a row is longer than {_LONGEST_LINE:,} bytes",
                code="bad-file",
                where=key,
                do="wait for the next delivery, or ask the vendor",
            )
        if inflated > limit:
            raise BadDataError(
                f"the file inflates to more than {_RATIO} times its size, as no bill does",
                code="too-large",
                where=key,
                do="check who may write to this bucket",
            )
        yield block


def _check_gzip(path: Path, key: str) -> None:
    """Inflate every member: CRC and length are compared on the way."""
    try:
        with gzip.open(path) as file:
            blocks = iter(partial(file.read, _BLOCK), b"")
            inflated = sum(map(len, _bounded(blocks, path, key)))
    except (EOFError, OSError, zlib.error) as error:
        raise _damaged(key, f"the gzip is damaged: {error}") from error
    if not inflated:
        raise _damaged(key, "the file is empty: not even a header is there")


def _check_lines(path: Path, key: str) -> None:
    with path.open("rb") as file:
        for _block in _bounded(iter(partial(file.read, _BLOCK), b""), path, key):
            pass


def _check_zip(path: Path, key: str) -> None:
    for _block in read_zip_entry(path, key):
        pass


def _check_parquet(path: Path, key: str) -> None:
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(0, 2)
        long_enough = file.tell() >= 12
        file.seek(-4 if long_enough else 0, 2)
        if head != _PARQUET_MAGIC or not long_enough or file.read(4) != _PARQUET_MAGIC:
            raise _damaged(key, "the Parquet file is cut short or is none")


def _damaged(key: str, what: str) -> BadDataError:
    return BadDataError(what, code="damaged-file", where=key, do="run again: it is downloaded anew")

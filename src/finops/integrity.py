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
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from finops.errors import BadDataError

_BLOCK = 1 << 20
_PARQUET_MAGIC = b"PAR1"
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
    return sha256_of(path)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_length(path: Path, key: str, listed: int) -> None:
    """Compare what came with what the listing promised, in bytes."""
    size = path.stat().st_size
    if size != listed:
        raise _damaged(key, f"{size:,} bytes came, {listed:,} were listed")


def read_zip_entry(path: Path, key: str) -> Iterator[bytes]:
    """Yield the content of the one file in a zip, block by block; its name is ignored.

    Raises:
        BadDataError: it is no zip, is damaged, or holds more or less than one file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) == 1:
                with archive.open(entries[0]) as entry:
                    yield from iter(partial(entry.read, _BLOCK), b"")
    except (*_ZIP_ERRORS, OSError) as error:
        raise _damaged(key, f"the zip is damaged: {error}") from error
    if len(entries) != 1:
        raise _damaged(key, f"the zip holds {len(entries)} entries, one is expected")


def _check_gzip(path: Path, key: str) -> None:
    """Inflate every member: CRC and length are compared on the way."""
    try:
        with gzip.open(path) as file:
            inflated = len(file.read(_BLOCK))
            while file.read(_BLOCK):
                pass
    except (EOFError, OSError, zlib.error) as error:
        raise _damaged(key, f"the gzip is damaged: {error}") from error
    if not inflated:
        raise _damaged(key, "the file is empty: not even a header is there")


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

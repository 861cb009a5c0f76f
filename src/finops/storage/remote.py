"""What all object storages share: resuming, comparing, and one wording of what goes wrong."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, NamedTuple, TypeVar

from finops.delivery import StoredObject
from finops.errors import (
    AccessError,
    BadDataError,
    ConfigError,
    FinopsError,
    LocalError,
    TemporaryError,
    UnavailableError,
)
from finops.storage import Advance

Found = TypeVar("Found")
_READ_ATTEMPTS = 4
_BLOCK = 1 << 20

# What S3 and Azure call it, and as a status what all three do.
_NO_BUCKET = {"NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted"}
_MISSING = {"404", "NoSuchKey", "NotFound"}
_CHANGED = {"412", "PreconditionFailed", "416", "InvalidRange"}
_FORBIDDEN = {
    *("401", "403", "AccessDenied", "ExpiredToken", "InvalidAccessKeyId"),
    *("SignatureDoesNotMatch", "InvalidToken", "AllAccessDisabled", "InvalidAuthenticationInfo"),
}
_BUSY = {
    *("503", "429", "SlowDown", "Throttling", "RequestLimitExceeded", "RequestTimeTooSkewed"),
    "OperationTimedOut",
}


class Checksum(NamedTuple):
    """What the storage says of an object's bytes; ``digest`` in hexadecimal digits."""

    name: str
    digest: str
    begin: Callable[[], Any] = lambda: hashlib.md5(usedforsecurity=False)


class RemoteStorage(ABC):
    """A bucket behind an SDK. One client serves all threads."""

    live = True
    noun: ClassVar[str] = "bucket"
    to_find: ClassVar[str]
    to_read: ClassVar[str]
    to_write: ClassVar[str]

    def __init__(self, url: str) -> None:
        """Take the address that errors are to name."""
        self.url = url

    def list_objects(self, prefix: str) -> Iterator[StoredObject]:
        """Yield every object whose key begins with ``prefix``, page by page."""
        with self._of_the_bucket(prefix):
            yield from self._each(prefix, self._list(prefix))

    def head_object(self, key: str) -> StoredObject:
        """Ask for one object's size, version and time."""
        return self._translated(key, lambda: self._head(key))

    def read_object(self, key: str, limit: int) -> tuple[bytes, StoredObject]:
        """Get a small object."""
        body, stored = self._translated(key, lambda: self._read(key, limit + 1))
        if len(body) > limit:
            raise BadDataError(
                f"{stored.size:,} bytes where at most {limit:,} are expected",
                code="too-large",
                where=self._where(key),
            )
        return body, stored

    def download(self, stored: StoredObject, to: Path, advance: Advance) -> None:
        """Get the bytes that ``to`` lacks, going on where a broken connection stopped.

        Every request is for this version alone, so bytes of two never mix; the whole is
        compared with the checksum that the storage has of it.
        """
        for attempt in range(1, _READ_ATTEMPTS + 1):
            try:
                checksum = self._append(stored, to, advance)
            except UnavailableError:
                if attempt == _READ_ATTEMPTS:
                    raise
                continue
            if to.stat().st_size >= stored.size:
                _compare(to, checksum, self._where(stored.key))
                return

    def upload(self, file: Path, key: str) -> None:
        """Put a file, in parts if it is large; it is shown once it is whole."""
        with file.open("rb") as source, self._writing(), self._of_the_bucket(key):
            self._translated(key, lambda: self._put(source, key))

    def remove_object(self, key: str) -> None:
        """Delete an object, if it is there."""
        with self._writing(), suppress(BadDataError):
            self._translated(key, lambda: self._delete(key))

    @abstractmethod
    def _list(self, prefix: str) -> Iterator[StoredObject]: ...

    @abstractmethod
    def _head(self, key: str) -> StoredObject: ...

    @abstractmethod
    def _read(self, key: str, most: int) -> tuple[bytes, StoredObject]:
        """Return the first ``most`` bytes of an object."""

    @abstractmethod
    def _open(self, stored: StoredObject, begin: int) -> tuple[Iterable[bytes], Checksum | None]:
        """Ask for what this version has from ``begin`` on; at its end, for its checksum alone."""

    @abstractmethod
    def _put(self, source: BinaryIO, key: str) -> None: ...

    @abstractmethod
    def _delete(self, key: str) -> None: ...

    @abstractmethod
    def _known(self, error: Exception, where: str) -> FinopsError | None:
        """Translate what the SDK raises."""

    def _append(self, stored: StoredObject, to: Path, advance: Advance) -> Checksum | None:
        with to.open("ab") as target:
            begin = target.tell()
            blocks, checksum = self._translated(stored.key, lambda: self._open(stored, begin))
            for block in self._each(stored.key, blocks):
                target.write(block)
                advance(len(block))
        return checksum

    def _each(self, key: str, items: Iterable[Found]) -> Iterator[Found]:
        """Yield what is asked for only as it is taken."""
        coming = iter(items)
        while (item := self._translated(key, lambda: next(coming, None))) is not None:
            yield item

    def _translated(self, key: str, call: Callable[[], Found]) -> Found:
        try:
            return call()
        except FinopsError:
            raise
        except Exception as error:
            known = self._known(error, self._where(key))
            if known is None:
                raise
            raise known from error

    def _where(self, key: str) -> str:
        return f"{self.url}/{key}"

    @contextmanager
    def _of_the_bucket(self, key: str) -> Iterator[None]:
        """Where no object is asked for, what is missing is the bucket."""
        try:
            yield
        except BadDataError as error:
            raise self._no_bucket(self._where(key)) from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Say which rights it takes to write."""
        try:
            yield
        except AccessError as error:
            error.do = self.to_write
            raise

    def _answered(self, codes: set[str], text: str, where: str) -> FinopsError:
        """Translate an error answer once; an unknown one is never taken for "no data"."""
        if codes & _NO_BUCKET:
            return self._no_bucket(where)
        if codes & _MISSING:
            return missing(where)
        if codes & _CHANGED:
            return changed(where)
        if codes & _FORBIDDEN:
            return AccessError(f"the storage refuses: {text}", where=where, do=self.to_read)
        if codes & _BUSY:
            return TemporaryError(f"the storage is busy: {text}", code="throttled", where=where)
        said = ", ".join(sorted(codes - {""})) or "an error"
        return UnavailableError(f"the storage answers {said}: {text}", where=where)

    def _no_bucket(self, where: str) -> ConfigError:
        return ConfigError(f"the {self.noun} does not exist", where=where, do=self.to_find)

    def _unreachable(self, error: Exception, where: str) -> UnavailableError:
        return UnavailableError(
            f"the storage does not answer: {error}", where=where, do="check network and endpoint"
        )

    def _impossible(self, error: Exception, where: str) -> ConfigError:
        return ConfigError(f"{error}", where=where, do="check the endpoint")


def require(extra: str, *modules: str) -> None:
    """See that the SDK of a storage is installed.

    Raises:
        LocalError: it is not.
    """
    if not all(map(_is_installed, modules)):
        raise LocalError(
            f"this storage needs {' and '.join(modules)}",
            code="missing-extra",
            do=f"pip install 'open-finops[{extra}]'",
        )


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package that it would be in
        return False


def missing(where: str) -> BadDataError:
    """Return the error for a key that names no object."""
    return BadDataError(
        "the object is missing",
        code="missing-object",
        where=where,
        do="wait for the next delivery, or see what removed it",
    )


def changed(where: str) -> TemporaryError:
    """Return the error for an object that is no longer the one that was listed."""
    return TemporaryError(
        "the object changed while it was read", code="source-changed", where=where
    )


def _compare(path: Path, expected: Checksum | None, where: str) -> None:
    """Compare a file with the checksum that the storage has, if it has one.

    Raises:
        BadDataError: they differ.
    """
    if expected is None:
        return
    digest = expected.begin()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    found = digest.digest().hex()
    if found != expected.digest:
        raise BadDataError(
            f"the bytes that came have the {expected.name} {found}, the storage says"
            f" {expected.digest}",
            code="damaged-file",
            where=where,
            do="run again: it is downloaded anew",
        )

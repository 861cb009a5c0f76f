"""Google Cloud Storage, with application default credentials."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from finops import __version__
from finops.config import Export
from finops.delivery import StoredObject
from finops.errors import AccessError, ConfigError, FinopsError
from finops.storage.remote import Checksum, RemoteStorage, changed, missing, require

_BLOCK = 8 << 20
_PATIENCE = 60.0  # seconds that one request is repeated
_NAME = "[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"


class GcsStorage(RemoteStorage):
    """A bucket of ``gs://BUCKET``. The ETag is the generation, which every change raises."""

    to_find = "check the bucket's name"
    to_read = "the role roles/storage.objectViewer on the bucket is needed; check the credentials"
    to_write = "the role roles/storage.objectUser is needed on the bucket that --out points to"

    def __init__(self, url: str, export: Export) -> None:
        """Find credentials; of the bucket nothing is asked yet."""
        super().__init__(url)
        name = url.removeprefix("gs://")
        if not re.fullmatch(_NAME, name):
            raise ConfigError(
                f"{name!r} is not a bucket name",
                do="write gs://BUCKET, and put what follows a / into prefix",
            )
        require("gcp", "google.cloud.storage")
        from google.cloud.storage.retry import DEFAULT_RETRY

        self._bucket = self._translated("", lambda: _client(export).bucket(name))
        self._ways = {"retry": DEFAULT_RETRY.with_timeout(_PATIENCE)}

    def _list(self, prefix: str) -> Iterator[StoredObject]:
        wanted = "items(name,size,generation,timeCreated),nextPageToken"
        yield from map(_stored, self._bucket.list_blobs(prefix=prefix, fields=wanted, **self._ways))

    def _head(self, key: str) -> StoredObject:
        return _stored(self._asked(key))

    def _read(self, key: str, most: int) -> tuple[bytes, StoredObject]:
        stored = self._head(key)
        return self._range(stored, 0, most), stored

    def _open(self, stored: StoredObject, begin: int) -> tuple[Iterable[bytes], Checksum | None]:
        blob = self._asked(stored.key, if_generation_match=self._generation(stored))
        begins = range(begin, stored.size, _BLOCK)
        return (self._range(stored, each, _BLOCK) for each in begins), _checksum(blob)

    def _range(self, stored: StoredObject, begin: int, most: int) -> bytes:
        """Get bytes as they are stored, in one request, of this version alone.

        A blob remembers the generation that came and asks for that one ever after, be it gone
        or not: so each request has a new one.
        """
        if begin >= stored.size:
            return b""
        body: bytes = self._blob(stored.key).download_as_bytes(
            start=begin,
            end=begin + most - 1,
            raw_download=True,
            checksum=None,
            if_generation_match=self._generation(stored),
            **self._ways,
        )
        return body

    def _put(self, source: BinaryIO, key: str) -> None:
        size = os.fstat(source.fileno()).st_size
        self._blob(key).upload_from_file(source, size=size, **self._ways)

    def _delete(self, key: str) -> None:
        self._blob(key).delete(**self._ways)

    def _asked(self, key: str, **conditions: int) -> Any:
        blob = self._blob(key)
        blob.reload(**conditions, **self._ways)
        return blob

    def _blob(self, key: str) -> Any:
        """Name an object; some names, which none can have, would lead to the bucket itself."""
        if key in {"", ".", ".."}:
            raise missing(self._where(key))
        return self._bucket.blob(key)

    def _generation(self, stored: StoredObject) -> int:
        if not stored.etag.isdecimal():  # listed when the bucket was another storage's
            raise changed(self._where(stored.key))
        return int(stored.etag)

    def _known(self, error: Exception, where: str) -> FinopsError | None:
        from google.api_core.exceptions import GoogleAPICallError, RetryError
        from google.auth.exceptions import GoogleAuthError, TransportError
        from requests import RequestException
        from urllib3.exceptions import HTTPError

        if isinstance(error, RetryError) and isinstance(error.cause, Exception):
            return self._known(error.cause, where)
        if isinstance(error, GoogleAPICallError):
            return self._answered({str(int(error.code or 0))}, _text(error), where)
        if isinstance(error, (HTTPError, RequestException, TransportError)):
            return self._unreachable(error, where)
        if isinstance(error, GoogleAuthError):
            return _no_credentials(error, where)
        return self._impossible(error, where) if isinstance(error, ValueError) else None


def _client(export: Export) -> Any:
    """Make a client; over plain http it has no credentials to give away.

    For traces that nobody reads it would ask about the bucket, which takes another role.
    """
    from google.api_core.client_info import ClientInfo
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.storage import Client

    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    return Client(
        project=None,
        credentials=AnonymousCredentials() if export.endpoint.startswith("http://") else None,
        client_options={"api_endpoint": export.endpoint} if export.endpoint else None,
        client_info=ClientInfo(user_agent=f"open-finops/{__version__}"),
    )


def _stored(blob: Any) -> StoredObject:
    return StoredObject(blob.name, blob.size, str(blob.generation), blob.time_created)


def _checksum(blob: Any) -> Checksum | None:
    """Return the MD5, or where an object was composed and has none, the CRC32C."""
    from google_crc32c import Checksum as Crc32c

    if blob.md5_hash:
        return Checksum("MD5", base64.b64decode(blob.md5_hash).hex())
    if blob.crc32c:
        return Checksum("CRC32C", base64.b64decode(blob.crc32c).hex(), Crc32c)
    return None


def _text(error: Any) -> str:
    """Return what the server said, without the request's address before it."""
    said = next((each["message"] for each in error.errors), str(error.message))
    return str(said).partition("\n")[0]


def _no_credentials(error: Exception, where: str) -> AccessError:
    return AccessError(
        f"no usable credentials: {error}",
        where=where,
        do="gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS"
        " to the file of a service account",
    )

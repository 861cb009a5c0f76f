"""Azure Blob Storage; keys come from the environment or by Azure's own credential chain."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from finops import __version__
from finops.config import Export
from finops.delivery import StoredObject
from finops.errors import AccessError, ConfigError, FinopsError
from finops.storage.remote import Checksum, RemoteStorage, missing, require

_BLOCK = 8 << 20
_ACCOUNT = "([a-z0-9]{3,24})"
_URL = rf"(?:az://{_ACCOUNT}|https://{_ACCOUNT}\.blob\.core\.windows\.net)/([$a-z0-9][a-z0-9-]{{2,62}})"
_CONNECTION = "AZURE_STORAGE_CONNECTION_STRING"


class AzureStorage(RemoteStorage):
    """A container of ``az://ACCOUNT/CONTAINER``, of block blobs or hierarchical."""

    noun = "container"
    to_find = "check account and container"
    to_read = (
        "the role Storage Blob Data Reader on the container is needed; az login, or check the"
        " AZURE_ variables"
    )
    to_write = (
        "the role Storage Blob Data Contributor is needed on the container that --out points to"
    )

    def __init__(self, url: str, export: Export) -> None:
        """Find credentials; of the container nothing is asked yet."""
        named = re.fullmatch(_URL, url)
        if not named:
            raise ConfigError(
                f"{url!r} is not a container",
                do="write az://ACCOUNT/CONTAINER, put what follows into prefix, and a SAS token"
                " into AZURE_STORAGE_SAS_TOKEN",
            )
        account, container = named[1] or named[2], named[3]
        super().__init__(f"az://{account}/{container}")
        require("azure", "azure.storage.blob", "azure.identity")
        self._container = self._translated("", lambda: _client(account, container, export))

    def _list(self, prefix: str) -> Iterator[StoredObject]:
        found = self._container.list_blobs(name_starts_with=prefix, include=["metadata"])
        yield from (_stored(blob) for blob in found if not _is_folder(blob))

    def _head(self, key: str) -> StoredObject:
        return _stored(self._blob(key).get_blob_properties())

    def _read(self, key: str, most: int) -> tuple[bytes, StoredObject]:
        answer = self._blob(key).download_blob(decompress=False)
        return answer.read(most), _stored(answer.properties)

    def _open(self, stored: StoredObject, begin: int) -> tuple[Iterable[bytes], Checksum | None]:
        from azure.core import MatchConditions

        blob = self._blob(stored.key)
        same = {"etag": f'"{stored.etag}"', "match_condition": MatchConditions.IfNotModified}
        if begin >= stored.size:
            return (), _md5(blob.get_blob_properties(**same))
        answer = blob.download_blob(begin, decompress=False, **same)
        return answer.chunks(), _md5(answer.properties)

    def _put(self, source: BinaryIO, key: str) -> None:
        self._blob(key).upload_blob(source, overwrite=True)

    def _delete(self, key: str) -> None:
        self._blob(key).delete_blob()

    def _blob(self, key: str) -> Any:
        """Name a blob; some names, which none can have, would lead to another container."""
        if not key or {".", ".."} & set(re.split(r"[/\\]", key)):
            raise missing(self._where(key))
        return self._container.get_blob_client(key)

    def _known(self, error: Exception, where: str) -> FinopsError | None:
        from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

        if isinstance(error, ClientAuthenticationError):
            return AccessError(
                f"no usable credentials: {_text(error)}", where=where, do=self.to_read
            )
        if isinstance(error, HttpResponseError) and error.response is not None:
            code = getattr(error, "error_code", None)
            codes = {str(getattr(code, "value", code or "")), str(error.status_code)}
            return self._answered(codes, _text(error), where)
        if isinstance(error, AzureError):
            return self._unreachable(error, where)
        return self._impossible(error, where) if isinstance(error, ValueError) else None


def _client(account: str, container: str, export: Export) -> Any:
    from azure.storage.blob import ContainerClient, ExponentialRetry

    connection = _connection(account)
    suffix = connection.get("endpointsuffix", "core.windows.net")
    url = export.endpoint or connection.get("blobendpoint") or f"https://{account}.blob.{suffix}"
    return ContainerClient(
        url,
        container,
        credential=_credential(account, url, connection),
        max_single_get_size=_BLOCK,
        max_chunk_get_size=_BLOCK,
        retry_policy=ExponentialRetry(
            initial_backoff=1, increment_base=2, retry_total=5, random_jitter_range=1
        ),
        user_agent=f"open-finops/{__version__}",
    )


def _connection(account: str) -> dict[str, str]:
    """Read the connection string of the environment, if there is one.

    Raises:
        ConfigError: it is another account's, or has no key.
    """
    parts = (part.partition("=") for part in os.environ.get(_CONNECTION, "").split(";"))
    connection = {name.strip().lower(): value for name, _, value in parts if value}
    if os.environ.get(_CONNECTION) and not connection.keys() & {
        "accountkey",
        "sharedaccesssignature",
    }:
        raise ConfigError(
            f"{_CONNECTION} has neither AccountKey nor SharedAccessSignature",
            do="copy it anew, or unset it",
        )
    if (other := connection.get("accountname", account)) != account:
        raise ConfigError(
            f"{_CONNECTION} is of the account {other!r}, the bucket of {account!r}",
            do="set that of the bucket's account, or unset it",
        )
    return connection


def _credential(account: str, url: str, connection: dict[str, str]) -> Any:
    """Return the first there is of key, SAS token and Azure's chain; that takes https."""
    from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
    from azure.identity import DefaultAzureCredential

    key, token = connection.get("accountkey"), connection.get("sharedaccesssignature")
    if not connection:
        key = os.environ.get("AZURE_STORAGE_KEY")
        token = os.environ.get("AZURE_STORAGE_SAS_TOKEN")
    if key:
        return AzureNamedKeyCredential(account, key)
    if token:
        return AzureSasCredential(token.lstrip("?"))
    return None if url.startswith("http://") else DefaultAzureCredential()


def _stored(blob: Any) -> StoredObject:
    return StoredObject(blob.name, blob.size, blob.etag.strip('"'), blob.last_modified)


def _is_folder(blob: Any) -> bool:
    """Tell whether a blob stands for a folder of a hierarchical account."""
    noted = {(name.lower(), text.lower()) for name, text in (blob.metadata or {}).items()}
    return not blob.size and ("hdi_isfolder", "true") in noted


def _md5(properties: Any) -> Checksum | None:
    md5 = properties.content_settings.content_md5
    return Checksum("MD5", bytes(md5).hex()) if md5 else None


def _text(error: Any) -> str:
    return str(error.message).partition("\n")[0]

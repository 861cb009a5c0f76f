"""Amazon S3 and what speaks its protocol, by boto3 with its whole credential chain."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from finops import __version__
from finops.config import Export
from finops.delivery import StoredObject
from finops.errors import AccessError, ConfigError, FinopsError, UnavailableError
from finops.storage.remote import Checksum, RemoteStorage, require

_BLOCK = 1 << 20


class S3Storage(RemoteStorage):
    """A bucket of ``s3://BUCKET``."""

    to_find = "check bucket and region"
    to_read = "s3:ListBucket and s3:GetObject are needed; check credentials, profile and region"
    to_write = "s3:PutObject, s3:DeleteObject and s3:GetObject are needed where --out points"

    def __init__(self, url: str, export: Export) -> None:
        """Make a client; nothing is asked of the network yet."""
        super().__init__(url)
        self.bucket = url.removeprefix("s3://")
        if "/" in self.bucket:
            raise ConfigError(
                f"{self.bucket!r} is not a bucket name", do="put what follows the / into prefix"
            )
        require("aws", "boto3")
        self._client = self._translated("", lambda: _client(export))

    def _list(self, prefix: str) -> Iterator[StoredObject]:
        paginator = self._client.get_paginator("list_objects_v2")
        for page in paginator.paginate(Bucket=self.bucket, Prefix=prefix):
            for item in page.get("Contents", ()):
                yield StoredObject(
                    item["Key"], item["Size"], item["ETag"].strip('"'), item["LastModified"]
                )

    def _head(self, key: str) -> StoredObject:
        return _stored(key, self._call("head_object", key))

    def _read(self, key: str, most: int) -> tuple[bytes, StoredObject]:
        answer = self._call("get_object", key)
        return answer["Body"].read(most), _stored(key, answer)

    def _open(self, stored: StoredObject, begin: int) -> tuple[Iterable[bytes], Checksum | None]:
        same = {"IfMatch": f'"{stored.etag}"'}
        if begin >= stored.size:
            return (), _md5(stored, self._call("head_object", stored.key, **same))
        wanted = {"Range": f"bytes={begin}-"} if begin else {}
        answer = self._call("get_object", stored.key, **same, **wanted)
        return answer["Body"].iter_chunks(_BLOCK), _md5(stored, answer)

    def _put(self, source: BinaryIO, key: str) -> None:
        self._client.upload_fileobj(source, self.bucket, key)

    def _delete(self, key: str) -> None:
        self._call("delete_object", key)

    def _call(self, operation: str, key: str, **arguments: str) -> Any:
        return getattr(self._client, operation)(Bucket=self.bucket, Key=key, **arguments)

    def _known(self, error: Exception, where: str) -> FinopsError | None:
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            ConnectionError,
            HTTPClientError,
        )
        from urllib3.exceptions import HTTPError

        if isinstance(error, ValueError):
            return self._impossible(error, where)
        if isinstance(error, ClientError):
            said = error.response.get("Error", {})
            code = str(said.get("Code", ""))
            return self._answered({code}, said.get("Message", code), where)
        if isinstance(error, (ConnectionError, HTTPClientError, HTTPError)):
            return self._unreachable(error, where)
        return _from_boto(error, where) if isinstance(error, BotoCoreError) else None


def _client(export: Export) -> Any:
    import boto3
    from botocore.config import Config

    session = boto3.Session(profile_name=export.profile or None, region_name=export.region or None)
    return session.client(
        "s3",
        endpoint_url=export.endpoint or None,
        region_name=session.region_name or "us-east-1",
        config=Config(
            retries={"mode": "standard", "max_attempts": 8},
            max_pool_connections=16,
            s3={"addressing_style": "path" if export.endpoint else "auto"},
            user_agent_extra=f"open-finops/{__version__}",
        ),
    )


def _stored(key: str, answer: Any) -> StoredObject:
    return StoredObject(
        key, answer["ContentLength"], answer["ETag"].strip('"'), answer["LastModified"]
    )


def _md5(stored: StoredObject, answer: Any) -> Checksum | None:
    """Return the ETag where it is an MD5: of one part, and without a key from elsewhere."""
    foreign_key = "SSECustomerAlgorithm" in answer or "kms" in answer.get(
        "ServerSideEncryption", ""
    )
    if foreign_key or not re.fullmatch("[0-9a-f]{32}", stored.etag):
        return None
    return Checksum("MD5", stored.etag)


def _from_boto(error: Exception, where: str) -> FinopsError:
    name = type(error).__name__
    if "Credential" in name or "Token" in name or "SSO" in name or "Profile" in name:
        return AccessError(
            f"no usable credentials: {error}",
            where=where,
            do="aws sso login, set profile, or export the usual AWS variables",
        )
    if "ParamValidation" in name or "Endpoint" in name or "Region" in name or "Bucket" in name:
        return ConfigError(f"{error}", where=where, do="check bucket, region and endpoint")
    return UnavailableError(f"{name}: {error}", where=where)

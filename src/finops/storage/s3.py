"""Amazon S3 and what speaks its protocol, by boto3 with its whole credential chain."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from finops import __version__
from finops.config import Export
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

_BLOCK = 1 << 20
_READ_ATTEMPTS = 4
_MISSING = {"404", "NoSuchKey", "NotFound"}
_CHANGED = {"412", "PreconditionFailed", "416", "InvalidRange"}
_BUSY = {"503", "429", "SlowDown", "Throttling", "RequestLimitExceeded", "RequestTimeTooSkewed"}
_FORBIDDEN = {
    *("401", "403", "AccessDenied", "ExpiredToken", "InvalidAccessKeyId"),
    *("SignatureDoesNotMatch", "InvalidToken", "AllAccessDisabled"),
}


class S3Storage:
    """A bucket. One client serves all threads."""

    live = True

    def __init__(self, bucket: str, export: Export) -> None:
        """Make a client; nothing is asked of the network yet."""
        if "/" in bucket:
            raise ConfigError(
                f"{bucket!r} is not a bucket name", do="put what follows the / into prefix"
            )
        self.bucket = bucket
        self.url = f"s3://{bucket}"
        _require_boto3()
        self._client = self._translated(self.url, lambda: _client(export))

    def list_objects(self, prefix: str) -> Iterator[StoredObject]:
        """Yield every object below ``prefix``, page by page."""
        paginator = self._client.get_paginator("list_objects_v2")
        pages = iter(paginator.paginate(Bucket=self.bucket, Prefix=prefix))
        while page := self._translated(f"{self.url}/{prefix}", lambda: next(pages, None)):
            for item in page.get("Contents", ()):
                yield StoredObject(
                    item["Key"], item["Size"], item["ETag"].strip('"'), item["LastModified"]
                )

    def head_object(self, key: str) -> StoredObject:
        """Ask for one object's size, ETag and time."""
        answer = self._call(key, "head_object")
        return _stored(key, answer)

    def read_object(self, key: str, limit: int) -> tuple[bytes, StoredObject]:
        """Get a small object in one request."""

        def read() -> tuple[bytes, StoredObject]:
            answer = self._client.get_object(Bucket=self.bucket, Key=key)
            return answer["Body"].read(limit + 1), _stored(key, answer)

        body, stored = self._translated(f"{self.url}/{key}", read)
        if len(body) > limit:
            raise BadDataError(
                f"{stored.size:,} bytes where at most {limit:,} are expected",
                code="too-large",
                where=f"{self.url}/{key}",
            )
        return body, stored

    def download(self, stored: StoredObject, to: Path, advance: Advance) -> None:
        """Get the bytes that ``to`` lacks, going on where a broken connection stopped.

        Every request carries ``If-Match``, so bytes of two versions never mix; the whole is
        compared with the ETag where that is its MD5.
        """
        for attempt in range(1, _READ_ATTEMPTS + 1):
            try:
                answer = self._append(stored, to, advance)
            except UnavailableError:
                if attempt == _READ_ATTEMPTS:
                    raise
                continue
            if to.stat().st_size >= stored.size:
                _check_md5(to, stored, answer, f"{self.url}/{stored.key}")
                return

    def upload(self, file: Path, key: str) -> None:
        """Put a file, in parts if it is large; S3 shows it once it is whole."""
        with file.open("rb") as source, _for_writing():
            self._translated(
                f"{self.url}/{key}",
                lambda: self._client.upload_fileobj(source, self.bucket, key),
            )

    def remove_object(self, key: str) -> None:
        """Delete an object; S3 does not mind if there is none."""
        with _for_writing():
            self._call(key, "delete_object")

    def _append(self, stored: StoredObject, to: Path, advance: Advance) -> Any:
        with to.open("ab") as target:
            begin = target.tell()
            if begin >= stored.size:
                return self._call(stored.key, "head_object", IfMatch=f'"{stored.etag}"')
            wanted = {"Range": f"bytes={begin}-"} if begin else {}
            answer = self._call(stored.key, "get_object", IfMatch=f'"{stored.etag}"', **wanted)
            blocks = answer["Body"].iter_chunks(_BLOCK)
            where = f"{self.url}/{stored.key}"
            while block := self._translated(where, lambda: next(blocks, None)):
                target.write(block)
                advance(len(block))
        return answer

    def _call(self, key: str, operation: str, **arguments: str) -> Any:
        call = getattr(self._client, operation)
        return self._translated(
            f"{self.url}/{key}", lambda: call(Bucket=self.bucket, Key=key, **arguments)
        )

    def _translated(self, where: str, call: Callable[[], Any]) -> Any:
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            ConnectionError,
            HTTPClientError,
        )
        from urllib3.exceptions import HTTPError

        try:
            return call()
        except ValueError as error:
            raise ConfigError(f"{error}", where=where, do="check the endpoint") from error
        except ClientError as error:
            raise _from_answer(error.response, where) from error
        except (ConnectionError, HTTPClientError, HTTPError) as error:
            raise UnavailableError(
                f"the storage does not answer: {error}",
                where=where,
                do="check network and endpoint",
            ) from error
        except BotoCoreError as error:
            raise _from_boto(error, where) from error


@contextmanager
def _for_writing() -> Iterator[None]:
    """Say which rights it takes to write."""
    try:
        yield
    except AccessError as error:
        error.do = "s3:PutObject, s3:DeleteObject and s3:GetObject are needed where --out points"
        raise


def _require_boto3() -> None:
    if find_spec("boto3") is None:
        raise LocalError(
            "reading from S3 needs boto3", code="missing-extra", do="pip install 'open-finops[aws]'"
        )


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


def _check_md5(path: Path, stored: StoredObject, answer: Any, where: str) -> None:
    """Compare a file with its ETag: of one part, and without a key from elsewhere, it is the MD5.

    Raises:
        BadDataError: they differ.
    """
    foreign_key = "SSECustomerAlgorithm" in answer or "kms" in answer.get(
        "ServerSideEncryption", ""
    )
    if foreign_key or not re.fullmatch("[0-9a-f]{32}", stored.etag):
        return
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if md5 != stored.etag:
        raise BadDataError(
            f"the bytes that came have the MD5 {md5}, the storage says {stored.etag}",
            code="damaged-file",
            where=where,
            do="run again: it is downloaded anew",
        )


def _from_answer(response: Any, where: str) -> FinopsError:
    """Translate an error answer once; an unknown one is never taken for "no data"."""
    code = str(response.get("Error", {}).get("Code", ""))
    text = response.get("Error", {}).get("Message", code)
    if code == "NoSuchBucket":
        return ConfigError("the bucket does not exist", where=where, do="check bucket and region")
    if code in _MISSING:
        return BadDataError(
            "the object is missing",
            code="missing-object",
            where=where,
            do="wait for the next delivery, or see what removed it",
        )
    if code in _CHANGED:
        return TemporaryError(
            "the object changed while it was read", code="source-changed", where=where
        )
    if code in _FORBIDDEN:
        return AccessError(
            f"the storage refuses: {text}",
            where=where,
            do="s3:ListBucket and s3:GetObject are needed; check credentials, profile and region",
        )
    if code in _BUSY:
        return TemporaryError(f"the storage is busy: {text}", code="throttled", where=where)
    return UnavailableError(f"the storage answers {code or 'an error'}: {text}", where=where)


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

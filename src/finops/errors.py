"""Every error a user can meet, with the exit code it ends the command with.

FinopsError               1   unexpected
├─ UsageError             2   the command line asks for something that cannot be
├─ PartialFailure         3   some billing periods failed, the others are loaded
├─ RefusedError           4   verification refused the new data; the old is kept
├─ BadDataError          65   the vendor delivered something that cannot be read
├─ UnavailableError      69   the remote side does not answer
├─ LocalError            74   local disk, state or database
│  └─ OutOfMemoryError   74   one delivery needs more memory than there is
├─ TemporaryError        75   locked, throttled, or the source changed: try again later
├─ AccessError           77   credentials or permissions
└─ ConfigError           78   a setting is missing or wrong; nothing was touched
"""

from __future__ import annotations

from typing import ClassVar


class FinopsError(Exception):
    """An error with an answer: what is wrong, where, what was kept, what to do.

    ``code`` is a stable word for documentation and monitoring.
    """

    exit_code: ClassVar[int] = 1
    code: str = "unexpected"

    def __init__(
        self,
        what: str,
        *,
        code: str | None = None,
        where: str | None = None,
        kept: str | None = None,
        do: str | None = None,
    ) -> None:
        """Say what is wrong; the other parts are shown when given."""
        super().__init__(what)
        self.what = what
        self.code = code or type(self).code
        self.where = where
        self.kept = kept
        self.do = do


class UsageError(FinopsError):
    """The command line asks for something that cannot be."""

    exit_code = 2
    code = "usage"


class PartialFailure(FinopsError):  # noqa: N818 - a failure of some is not an error of all
    """Some billing periods failed, the others are loaded."""

    exit_code = 3
    code = "partial"


class RefusedError(FinopsError):
    """Verification refused the new data; the old is kept."""

    exit_code = 4
    code = "refused"


class BadDataError(FinopsError):
    """The vendor delivered something that cannot be read."""

    exit_code = 65
    code = "bad-data"


class UnavailableError(FinopsError):
    """The remote side does not answer."""

    exit_code = 69
    code = "unavailable"


class LocalError(FinopsError):
    """Local disk, state or database."""

    exit_code = 74
    code = "local"


class OutOfMemoryError(LocalError):
    """One delivery needs more memory than the database may take; others may fit."""

    code = "out-of-memory"


class TemporaryError(FinopsError):
    """Locked, throttled, or the source changed: try again later."""

    exit_code = 75
    code = "try-later"


class AccessError(FinopsError):
    """Credentials or permissions."""

    exit_code = 77
    code = "access"


class ConfigError(FinopsError):
    """A setting is missing or wrong; nothing was touched."""

    exit_code = 78
    code = "config"

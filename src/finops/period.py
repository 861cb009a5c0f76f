"""The billing period: one invoice month, in UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

from finops.errors import ConfigError

_MONTH = re.compile(r"((?:19|2\d)\d\d)-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True, order=True)
class BillingPeriod:
    """An invoice month ``[start, end)``, written ``YYYY-MM``. Periods sort by time."""

    year: int
    month: int

    def __post_init__(self) -> None:
        """Refuse what no calendar has."""
        if not (1 <= self.month <= 12 and 1900 <= self.year <= 9998):
            raise ValueError(f"no such month: {self.year:04}-{self.month:02}")

    @classmethod
    def parse(cls, text: str) -> BillingPeriod:
        """Read ``YYYY-MM``.

        Raises:
            ConfigError: ``text`` is not a month, for example ``2024-13``.
        """
        match = _MONTH.fullmatch(text)
        if match is None:
            raise ConfigError(
                f"{text!r} is not a billing period",
                do="write it as YYYY-MM, for example 2024-01",
            )
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def containing(cls, moment: date) -> BillingPeriod:
        """Return the period that a date, or a time in UTC, falls into."""
        return cls(moment.year, moment.month)

    @property
    def start(self) -> datetime:
        """The first moment, UTC."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """The first moment after it, UTC."""
        years, month = divmod(self.year * 12 + self.month, 12)
        return datetime(years, month + 1, 1, tzinfo=UTC)

    def shift(self, months: int) -> BillingPeriod:
        """Return the period ``months`` later, or earlier when negative."""
        years, month = divmod(self.year * 12 + self.month - 1 + months, 12)
        return BillingPeriod(years, month + 1)

    def __str__(self) -> str:
        """Return ``YYYY-MM``."""
        return f"{self.year:04}-{self.month:02}"

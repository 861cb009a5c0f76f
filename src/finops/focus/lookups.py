"""Lookups that a mapping reads: service categories and account names.

The vendor brings categories; the user may overrule them, and name accounts, in two small CSV
files (``service_categories`` and ``account_names`` of the configuration).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path

from finops.errors import ConfigError

# The relations ``service`` (``is_own``: the user's) and ``account``. Keys come from dictionaries,
# so each is there once.
RELATIONS = """
service AS (
    SELECT unnest($services::VARCHAR[]) AS service, unnest($categories::VARCHAR[]) AS category,
        unnest($subcategories::VARCHAR[]) AS subcategory, unnest($own::BOOLEAN[]) AS is_own
),
account AS (
    SELECT unnest($account_ids::VARCHAR[]) AS id, unnest($account_names::VARCHAR[]) AS name
)"""

_SERVICE_TITLES = ("service", "ServiceCategory", "ServiceSubcategory")
_ACCOUNT_TITLES = ("account_id", "name")


@dataclass(frozen=True, slots=True)
class Lookups:
    """What the user's files say: categories by service code or name, names by account id."""

    services: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    accounts: Mapping[str, str] = field(default_factory=dict)

    def values(self, packaged: str) -> dict[str, Sequence[str | bool]]:
        """Return the values of ``RELATIONS``; ``packaged`` is the vendor's own lookup, as CSV."""
        services = {name: (category, sub) for name, category, sub in _rows(packaged.splitlines())}
        services |= self.services
        return {
            "services": list(services),
            "categories": [category for category, _ in services.values()],
            "subcategories": [subcategory for _, subcategory in services.values()],
            "own": [name in self.services for name in services],
            "account_ids": list(self.accounts),
            "account_names": list(self.accounts.values()),
        }


NO_LOOKUPS = Lookups()


def read_lookups(service_categories: Path | None, account_names: Path | None) -> Lookups:
    """Read the user's two files.

    Raises:
        ConfigError: a file is missing, lacks a column, or names no category of FOCUS.
    """
    services = {}
    for place, (name, *pair) in _checked(service_categories, _SERVICE_TITLES):
        if tuple(pair) not in subcategories():
            raise ConfigError(
                f"{' / '.join(pair)} is no category of FOCUS",
                where=place,
                do="docs/focus.md lists categories and subcategories",
            )
        services[name] = (pair[0], pair[1])
    return Lookups(
        services, {account: name for _, (account, name) in _checked(account_names, _ACCOUNT_TITLES)}
    )


@cache
def subcategories() -> frozenset[tuple[str, str]]:
    """Return the pairs of category and subcategory that FOCUS 1.2 allows."""
    text = files(__package__).joinpath("service_subcategories.csv").read_text("utf-8")
    return frozenset((row[0], row[1]) for row in _rows(text.splitlines()))


def _rows(lines: Sequence[str]) -> Iterator[list[str]]:
    rows = csv.reader(lines)
    next(rows)
    return rows


def _checked(file: Path | None, titles: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield place and cells of every row of a user's file."""
    if file is None:
        return
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}", where=str(file)) from error
    rows = csv.reader(lines)
    if tuple(next(rows, ())) != tuple(titles):
        raise ConfigError(
            f"the first line is not {','.join(titles)}",
            where=f"{file}, line 1",
            do="name the columns so",
        )
    for row in rows:
        cells = [cell.strip() for cell in row]
        if len(cells) != len(titles) or not all(cells):
            raise ConfigError(
                f"a row needs {len(titles)} cells",
                where=f"{file}, line {rows.line_num}",
                do="fill them",
            )
        yield f"{file}, line {rows.line_num}", cells

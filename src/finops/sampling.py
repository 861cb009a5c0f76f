"""What the sample exports of all vendors share: deliveries to write, data files, exact sums.

A folder plays the bucket. Nothing reads a clock: the same arguments give the same bytes. A
vendor brings SQL that makes the rows, and a ``Layout`` that spells them and names the keys.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import uuid
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import duckdb

from finops.period import BillingPeriod

_PACKINGS = {"gzip": ".gz", "zip": ".zip", "none": ""}
_TIMES = "TIMESTAMPFORMAT '%Y-%m-%dT%H:%M:%SZ'"
_FORMS = {
    ".csv": f"FORMAT csv, HEADER, COMPRESSION none, {_TIMES}",
    ".json": f"FORMAT json, COMPRESSION none, {_TIMES}",
    ".parquet": "FORMAT parquet, COMPRESSION snappy",
}


@dataclass(frozen=True, slots=True)
class SampleDelivery:
    """What one delivery holds. ``bytes`` are of the data files.

    ``totals`` are exact, per measure and currency: ``billed`` is what the bill adds up to,
    ``effective`` what it costs with commitments spread. ``kinds`` counts the rows of a kind.
    """

    period: BillingPeriod
    delivery_id: str
    manifest_keys: tuple[str, ...]
    data_keys: tuple[str, ...]
    rows: int
    bytes: int
    totals: dict[str, dict[str, Decimal]]
    kinds: dict[str, int]


@dataclass(frozen=True, slots=True)
class Order:
    """One delivery to write; ``first`` is the first period of the whole sample.

    ``refresh`` numbers the deliveries of a period. ``is_late`` holds in the later half of them.
    """

    period: BillingPeriod
    first: BillingPeriod
    rows: int
    seed: int
    refresh: int
    is_invoiced: bool
    is_late: bool

    @property
    def months(self) -> int:
        """Count the months since the first period."""
        years = self.period.year - self.first.year
        return years * 12 + self.period.month - self.first.month

    def variables(self) -> dict[str, object]:
        """Return what the scripts of every vendor may read."""
        days = (self.period.end - self.period.start).days
        return {
            "rows": self.rows,
            "seed": self.seed,
            "refresh": self.refresh,
            "period_start": self.period.start.replace(tzinfo=None),
            "period_end": self.period.end.replace(tzinfo=None),
            "days": days,
            "hours": days * 24,
            "months": self.months,
            "is_invoiced": self.is_invoiced,
            "is_late": self.is_late,
        }


@dataclass(frozen=True, slots=True)
class Keys:
    """Where a delivery went. The first manifest is the one that is kept up to date."""

    delivery_id: str
    data: Sequence[str]
    manifests: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one delivery, and the folder that they go to."""

    con: duckdb.DuckDBPyConnection
    out: Path
    order: Order

    def columns(self) -> set[str]:
        """Return the columns that the script has made."""
        return {str(row[0]) for row in self.con.execute("DESCRIBE line_item").fetchall()}

    def write(self, keys: Sequence[str], projection: str, table: str = "line_item") -> list[int]:
        """Write data files side by side, each an equal stretch; return their numbers of rows.

        The names of keys tell the form. One thread per connection keeps the order of rows.
        """
        ((count,),) = self.con.execute(f"SELECT count(*) FROM {table}").fetchall()
        stretches = list(pairwise(count * part // len(keys) for part in range(len(keys) + 1)))
        select = (
            f"SELECT {projection} FROM {table} WHERE line_number >= {{}} AND line_number < {{}}"
        )
        with ThreadPoolExecutor(os.cpu_count()) as writers:
            writing = [
                writers.submit(
                    _write_file, self.con.cursor(), self.out / key, select.format(*stretch)
                )
                for key, stretch in zip(keys, stretches, strict=True)
            ]
            for file in writing:
                file.result()
        return [stop - start for start, stop in stretches]

    def write_text(self, key: str, text: str) -> None:
        """Write a manifest, or what else lies beside the data."""
        path = self.out / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Layout(ABC):
    """How an export is configured at its vendor; a field that is a configuration key has its name.

    ``OFFERS`` are the values that a vendor has for a field; ``SCRIPTS`` lie beside the module.
    They make ``line_item`` (in the order of a ``line_number`` from 0), ``total`` (measure,
    currency, amount) and ``kind`` (kind, rows). Parquet has a ``compression`` of its own.
    """

    OFFERS: ClassVar[Mapping[str, Sequence[str]]] = {}
    SCRIPTS: ClassVar[Sequence[str]] = ("sample.sql",)

    prefix: str = ""
    export_name: str = ""
    export_format: str = "csv"
    compression: str = "gzip"
    versioning: str = "create_new"
    files: int = 2

    def __post_init__(self) -> None:
        """Refuse what the vendor does not offer."""
        for name, offered in self.OFFERS.items():
            if getattr(self, name) not in offered:
                raise ValueError(f"{name} is one of {', '.join(offered)}")
        if self.files < 1:
            raise ValueError("files is at least 1")

    @property
    def suffix(self) -> str:
        """How the names of data files end."""
        if self.export_format == "parquet":
            return ".snappy.parquet"
        return f".{self.export_format}{_PACKINGS[self.compression]}"

    @abstractmethod
    def variables(self, order: Order) -> Mapping[str, object]:
        """Return what the scripts read beside what every vendor's may."""

    @abstractmethod
    def write(self, rows: Rows) -> Keys:
        """Write the data files of one delivery and, after them, its manifests."""


def write_sample(  # noqa: PLR0913 - each is a choice of its own, and all have names
    out: Path,
    *,
    layout: Layout,
    periods: Sequence[BillingPeriod],
    rows: int,
    seed: int,
    refresh: int = 1,
    final: bool = False,
    only: Collection[BillingPeriod] | None = None,
) -> list[SampleDelivery]:
    """Write one delivery for every period into the folder ``out``, as into a bucket.

    ``rows`` is the approximate number of line items of a period, at least 200. Commitments
    are bought in the first of ``periods``; the last is still open, without invoice, unless
    ``final``. A higher ``refresh`` is a later delivery: a hundredth of the usage is other.
    ``only`` limits what is written to some of the periods, as a part of the same sample.
    """
    ordered = sorted(periods)
    orders = [
        Order(
            period=period,
            first=ordered[0],
            rows=rows,
            seed=seed,
            refresh=refresh,
            is_invoiced=final or period != ordered[-1],
            is_late=period >= ordered[len(ordered) // 2],
        )
        for period in ordered
    ]
    return [
        _deliver(out, layout, order) for order in orders if only is None or order.period in only
    ]


def digest(*parts: object) -> str:
    """Return 64 hex digits that stand for the parts."""
    return hashlib.sha256(repr([str(part) for part in parts]).encode()).hexdigest()


def make_uuid(*parts: object) -> str:
    """Return an id that no other parts have."""
    return str(uuid.UUID(digest(*parts)[:32], version=4))


def join_key(*parts: str) -> str:
    """Join the parts of a key; a folder cannot hold the empty ones that a bucket can."""
    return "/".join(part.strip("/") for part in parts if part.strip("/"))


def _deliver(out: Path, layout: Layout, order: Order) -> SampleDelivery:
    with _generate(layout, order) as con:
        keys = layout.write(Rows(con, out, order))
        totals: dict[str, dict[str, Decimal]] = {}
        for measure, currency, amount in con.execute("FROM total").fetchall():
            totals.setdefault(measure, {})[currency] = amount
        kinds = dict(con.execute("SELECT kind, rows FROM kind").fetchall())
    return SampleDelivery(
        period=order.period,
        delivery_id=keys.delivery_id,
        manifest_keys=tuple(keys.manifests),
        data_keys=tuple(keys.data),
        rows=sum(kinds.values()),
        bytes=sum((out / key).stat().st_size for key in keys.data),
        totals=totals,
        kinds=kinds,
    )


@contextmanager
def _generate(layout: Layout, order: Order) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database in memory that holds the rows of one delivery."""
    folder = files(type(layout).__module__.rpartition(".")[0])
    with duckdb.connect(":memory:") as con:
        con.execute("SET threads = 1").fetchall()
        for name, value in {**order.variables(), **layout.variables(order)}.items():
            con.execute(f"SET VARIABLE {name} = ?", [value]).fetchall()
        for script in layout.SCRIPTS:
            text = folder.joinpath(script).read_text(encoding="utf-8")
            for statement in con.extract_statements(text):
                con.execute(statement).fetchall()
        yield con


def _write_file(con: duckdb.DuckDBPyConnection, path: Path, select: str) -> None:
    """Write one data file, replacing it whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plain, packed = path.with_name(f"{path.name}.plain"), path.with_name(f"{path.name}.packed")
    form = _FORMS[Path(path.name.removesuffix(".gz").removesuffix(".zip")).suffix]
    con.execute(f"COPY ({select}) TO ? ({form})", [str(plain)]).fetchall()
    if path.suffix not in (".gz", ".zip"):
        plain.replace(path)
        return
    _compress(plain, packed, path.name)
    packed.replace(path)
    plain.unlink()


def _compress(plain: Path, packed: Path, name: str) -> None:
    """Compress a file with no time in the archive."""
    with plain.open("rb") as source, packed.open("wb") as target:
        if name.endswith(".gz"):
            with gzip.GzipFile("", "wb", 1, target, mtime=0) as archive:
                shutil.copyfileobj(source, archive, 1 << 20)
            return
        with (
            zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bundle,
            bundle.open(name.removesuffix(".zip"), "w", force_zip64=True) as entry,
        ):
            shutil.copyfileobj(source, entry, 1 << 20)

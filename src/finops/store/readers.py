"""Reading data files: headers by name, one strict dialect, every cell to its stored type.

Nothing is sniffed: DuckDB's CSV sniffer may skip rows or change the delimiter without a
word, and explicit columns bind by position, so the names come from the file's own header.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial, reduce
from pathlib import Path
from typing import IO, cast

import duckdb

from finops.columns import (
    MAX_COLUMNS,
    ColumnType,
    FileColumn,
    FoundCell,
    SourceColumn,
    StoredColumn,
)
from finops.errors import BadDataError
from finops.integrity import read_zip_entry
from finops.money import money_expression, rounded_count, widened_expression
from finops.sql import Connection, identifier, literal, query
from finops.store.json_lines import write_csv

_DO = "wait for the next delivery, or ask the vendor; nothing was guessed"
ROUNDED_COLUMN = "_finops_rounded"
REPAIRED_COLUMN = "_finops_repaired"

_FIELD_LIMIT = 16 << 20
_WIDEST = 38  # of wider decimals DuckDB makes DOUBLE
_HEADER_LIMIT = 4 << 20
_CSV = (
    "read_csv(?, columns = ?, auto_detect = false, header = true, delim = ',', quote = '\"',"
    f" escape = '\"', strict_mode = true, max_line_size = {_FIELD_LIMIT},"
    f" buffer_size = {2 * _FIELD_LIMIT}, compression = ?)"
)
_PARQUET = (
    "read_parquet(?, union_by_name = false, hive_partitioning = false, binary_as_string = true)"
)
_TIME = r"\d{4}-\d\d-\d\d([T ]\d\d:[\d:.]+ ?(Z|[-+]\d[\d:]*)?)?"
# What DuckDB's messages mean, without its advice to be less strict.
_REASONS = {
    "unterminated quote": "a quote does not end, or does not end its cell",
    "not utf-8 encoded": "the file is not UTF-8",
    "Maximum line size": f"a row is longer than {_FIELD_LIMIT:,} bytes",
    "state machine reached an invalid state": "a quote is misplaced, or line ends are mixed",
}
_BOMS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class DataFileSource:
    """A staged data file, readable by DuckDB, and the key it came from.

    ``flat`` tells that the fields of its records are columns, ``was_json`` that the CSV was
    made of JSON lines.
    """

    path: Path
    key: str
    file_format: str
    compression: str
    flat: bool = False
    was_json: bool = False

    @property
    def literal(self) -> str:
        """The path as DuckDB takes it for itself, and not for a pattern of others."""
        return re.sub(r"([*?[])", r"[\1]", str(self.path))


@dataclass(frozen=True, slots=True)
class SourceView:
    """A data file with the columns of its header, for its vendor to look at."""

    db: Connection
    source: DataFileSource
    columns: tuple[FileColumn, ...]
    label: str

    def find(
        self, columns: Sequence[FileColumn], patterns: Sequence[str]
    ) -> list[FoundCell | None]:
        """Return for each regular expression a cell of these columns that begins with it.

        The file is read once.

        Raises:
            BadDataError: it cannot be read.
        """
        described = [SourceColumn(each, each.name, ColumnType.TEXT) for each in self.columns]
        references = _references(self.source, described)
        cells = [
            f"any_value({reference}) FILTER (regexp_matches({reference}, {literal(f'^{pattern}')}))"
            for pattern in patterns
            for reference in (references[self.columns.index(column)] for column in columns)
        ]
        reader, values = _reader([self.source], described)
        try:
            (found,) = query(self.db, f"SELECT {', '.join(cells)} FROM {reader}", values)
        except duckdb.Error as error:
            raise _unreadable(self.source, error) from error
        hits = [
            FoundCell(column, text) if text is not None else None
            for (_, column), text in zip(itertools.product(patterns, columns), found, strict=True)
        ]
        each = len(columns)
        return [next(filter(None, hits[at : at + each]), None) for at in range(0, len(hits), each)]

    def place(self, cell: FoundCell) -> str:
        """Say where a cell stands: file and line, or row."""
        position = self.columns.index(cell.column)
        return f"{self.source.key}, {_place_of_cell(self.db, self.source, position, cell)}"


@contextmanager
def readable(source: DataFileSource, scratch: Path) -> Iterator[DataFileSource]:
    """Yield a file that DuckDB can read as it should be.

    A zip is unpacked into ``scratch`` meanwhile, and JSON lines become CSV there.

    Raises:
        BadDataError: it cannot be unpacked, or a line is no JSON object.
    """
    if source.compression != "zip" and source.file_format != "json":
        yield source
        return
    unpacked = scratch / f"{source.path.name}.csv"
    try:
        if source.file_format == "json":
            _write_lines(source, unpacked)
        else:
            with unpacked.open("wb") as target:
                target.writelines(read_zip_entry(source.path, source.key))
        was_json = source.file_format == "json"
        yield replace(
            source, path=unpacked, file_format="csv", compression="none", was_json=was_json
        )
    finally:
        unpacked.unlink(missing_ok=True)


def _write_lines(source: DataFileSource, to: Path) -> None:
    """Write the records under the names of the first; once more, if others have further ones."""
    names, is_whole = list[str](), False
    while not is_whole:
        with _text(source) as text:
            names, is_whole = write_csv(_lines(text), names, to, source.key, flat=source.flat)


def read_columns(db: Connection, source: DataFileSource) -> tuple[FileColumn, ...]:
    """Return the columns of a data file as its header or footer spells them.

    Raises:
        BadDataError: there is no header, it is not UTF-8, too long, or a name is empty or
            there twice.
    """
    try:
        if source.file_format == "csv":
            columns = tuple(FileColumn(name) for name in _read_header(source))
        else:
            described = query(db, f"DESCRIBE SELECT * FROM {_PARQUET}", [[source.literal]])
            columns = tuple(FileColumn(row[0], row[1]) for row in described)
            _check_parquet_names(db, source, [column.name for column in columns])
            if source.flat:
                columns = tuple(leaf for column in columns for leaf in _leaves(column))
    except (duckdb.Error, OSError, EOFError, ValueError, csv.Error) as error:
        raise _unreadable(source, error) from error
    _check_names([column.name for column in columns], source)
    return columns


def select_rows(
    sources: Sequence[DataFileSource],
    columns: Sequence[SourceColumn],
    targets: Sequence[StoredColumn],
) -> tuple[str, list[object]]:
    """Return SQL, with its values, that reads files with the same header.

    Every cell is read as the type its column has in this delivery, then widened to that of
    its target; ``ROUNDED_COLUMN`` is the number of money cells in the row that lose digits
    beyond the 24th decimal, ``REPAIRED_COLUMN`` lists what was mended, once for each cell.
    """
    references = _references(sources[0], columns)
    cells = [
        f"{widened_expression(_stored(reference, column), column.type, target.type)}"
        f" AS {identifier(target.name)}"
        for reference, column, target in zip(references, columns, targets, strict=True)
    ]
    money = [
        (reference, column.file_column.physical)
        for reference, column in zip(references, columns, strict=True)
        if column.type == ColumnType.MONEY and column.constant is None
    ]
    cells.append(f"{rounded_count(money)} AS {ROUNDED_COLUMN}")
    cells.append(f"{_repaired(references, columns)} AS {REPAIRED_COLUMN}")
    reader, values = _reader(sources, columns)
    return f"SELECT {', '.join(cells)} FROM {reader}", values


def explain_failure(
    db: Connection,
    sources: Sequence[DataFileSource],
    columns: Sequence[SourceColumn],
    error: duckdb.Error,
) -> BadDataError:
    """Find the file, line and cell that a failed read stopped at."""
    for source in sources:
        try:
            bad = _find_bad_cell(db, source, columns)
        except duckdb.Error as found:
            return _unreadable(source, found)
        if bad:
            return bad
    return _unreadable(sources[0], error)


def _reader(
    sources: Sequence[DataFileSource], columns: Sequence[SourceColumn]
) -> tuple[str, list[object]]:
    paths = [source.literal for source in sources]
    if sources[0].file_format == "parquet":
        return _PARQUET, [paths]
    in_file = [column for column in columns if column.constant is None]
    types = dict.fromkeys(_references(sources[0], in_file), "VARCHAR")
    return _CSV, [paths, types, sources[0].compression]


def _references(source: DataFileSource, columns: Sequence[SourceColumn]) -> list[str]:
    """Return how SQL names the file's columns; CSV headers may differ in case alone.

    Constants come after all columns of the file.
    """
    return [
        literal(column.constant)
        if column.constant is not None
        else _path(column.file_column)
        if source.file_format == "parquet"
        else f"c{position}"
        for position, column in enumerate(columns)
    ]


def _path(column: FileColumn) -> str:
    """Return how SQL names a Parquet column, or a field of a record in one."""
    first, *fields = column.path or (column.name,)
    return reduce(
        lambda record, name: f"struct_extract({record}, {literal(name)})", fields, identifier(first)
    )


def _leaves(column: FileColumn) -> Iterator[FileColumn]:
    """Yield a column, or of a record its fields."""
    kind, path = duckdb.sqltype(column.physical), column.path or (column.name,)
    if kind.id != "struct":
        if kind.id != "null":  # what nobody filled has no type of its own
            yield column
        return
    for name, field in kind.children:
        yield from _leaves(FileColumn(f"{column.name}.{name}", str(field), (*path, name)))


def _repaired(references: Sequence[str], columns: Sequence[SourceColumn]) -> str:
    said = [
        f"CASE WHEN {condition} THEN {literal(label)} END"
        for reference, column in zip(references, columns, strict=True)
        for label, condition in _repairs(reference, column)
    ]
    if not said:
        return "CAST(NULL AS VARCHAR[])"
    return f"list_filter([{', '.join(said)}], lambda _finops_label: _finops_label IS NOT NULL)"


def _repairs(reference: str, column: SourceColumn) -> Iterator[tuple[str, str]]:
    """Yield what may be mended in a column, and SQL that tells whether it was."""
    if column.null_word:
        word = literal(column.null_word)
        yield f"cells said {column.null_word}, and are empty", f"{reference} = {word}"
    for label, condition in column.repairs:
        yield label, condition.replace("{cell}", _given(reference, column))


def _given(reference: str, column: SourceColumn) -> str:
    """Return SQL for what a cell says; NULL if that is nothing."""
    if column.file_column.physical != "VARCHAR":
        return reference
    words = dict.fromkeys((column.null_word, ""))
    return reduce(lambda cell, word: f"nullif({cell}, {literal(word)})", words, reference)


def _stored(reference: str, column: SourceColumn) -> str:
    """Return SQL that turns a cell into its stored type; an empty cell becomes NULL."""
    physical, text = column.file_column.physical, _given(reference, column)
    if column.reading:
        return column.reading.replace("{cell}", text)
    match column.type:
        case ColumnType.MONEY:
            return money_expression(text if column.null_word else reference, physical)
        case ColumnType.TIMESTAMP if physical == "VARCHAR":
            # DuckDB would take words such as "infinity" and names of time zones, too.
            time = (
                f"CASE WHEN regexp_full_match({text}, '{_TIME}') THEN {text} ELSE '?' || {text} END"
            )
            return f"CAST(CAST({time} AS TIMESTAMPTZ) AS TIMESTAMP)"
        case ColumnType.TEXT if physical.startswith(("STRUCT", "MAP")) or physical.endswith("]"):
            return f"CAST(to_json({reference}) AS VARCHAR)"
        case ColumnType.TEXT_MAP | ColumnType.MONEY_MAP:
            return _stored_map(text, column)
    return f"CAST({text} AS {column.type})"


def _stored_map(text: str, column: SourceColumn) -> str:
    if column.file_column.physical == "VARCHAR":
        return f"CAST(CAST({text} AS JSON) AS {column.type})"
    if column.file_column.physical == column.type:
        # A map with a key twice can be read and stored, but never shown.
        twice = f"list_unique(map_keys({text})) <> cardinality({text})"
        return f"CASE WHEN {twice} THEN CAST('a key twice' AS {column.type}) ELSE {text} END"
    value = "CAST(_finops_entry.value AS VARCHAR)"
    if column.type == ColumnType.MONEY_MAP:
        value = money_expression("_finops_entry.value", _value_type(column))
    return (
        f"map_from_entries(list_transform(map_entries({text}), lambda _finops_entry: "
        f"{{'key': CAST(_finops_entry.key AS VARCHAR), 'value': {value}}}))"
    )


def _value_type(column: SourceColumn) -> str:
    return column.file_column.physical.removeprefix("MAP(VARCHAR, ").removesuffix(")")


def _read_header(source: DataFileSource) -> list[str]:
    with _open(source) as raw:
        if raw.read(2) in _BOMS:
            raise ValueError("it is UTF-16; bills are UTF-8")
    csv.field_size_limit(_FIELD_LIMIT)
    lines: list[str] = []
    with _text(source) as text:
        header = next(csv.reader(_noted(_lines(text), lines), strict=True), None)
    if not header:
        raise ValueError("there is no header")
    names = "".join(header)
    names.encode()
    # DuckDB takes the first line break it meets, even in a quoted name, for the file's own, and
    # where the two differ it finds no row at all, without a word.
    if "\r" in names or ("\n" in names and lines[-1].endswith("\r\n")):
        raise ValueError("a column name holds a line break other than the file's own")
    return header


def _noted(lines: Iterable[str], noted: list[str]) -> Iterator[str]:
    length = 0
    for line in lines:
        noted.append(line)
        length += len(line)
        if length > _HEADER_LIMIT:
            raise ValueError(f"the header is longer than {_HEADER_LIMIT:,} characters")
        yield line


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    """Yield lines, one that is too long for memory in pieces."""
    return iter(partial(text.readline, _FIELD_LIMIT), "")


def _open(source: DataFileSource) -> IO[bytes]:
    if source.compression == "gzip":
        return cast("IO[bytes]", gzip.open(source.path))
    return source.path.open("rb")


def _text(source: DataFileSource) -> io.TextIOWrapper:
    """Read as text; bytes that are no UTF-8 come through and are found where they stand."""
    return io.TextIOWrapper(
        _open(source), encoding="utf-8-sig", errors="surrogateescape", newline=""
    )


def _check_names(names: Sequence[str], source: DataFileSource) -> None:
    if len(names) > MAX_COLUMNS:
        raise BadDataError(
            f"the file has {len(names):,} columns, at most {MAX_COLUMNS:,} are read",
            code="too-large",
            where=source.key,
            do=_DO,
        )
    seen: set[str] = set()
    for position, name in enumerate(names, 1):
        if not name.strip() or name in seen or "\0" in name:
            what = f"is called {name!r} again" if name in seen else f"has no usable name ({name!r})"
            raise BadDataError(
                f"column {position} {what}",
                code="bad-header",
                where=f"{source.key}, line 1",
                do=_DO,
            )
        seen.add(name)


def _check_parquet_names(db: Connection, source: DataFileSource, shown: list[str]) -> None:
    """Compare with the footer: DuckDB renames columns that have the same name or none."""
    rows = query(
        db, "SELECT name, num_children, precision FROM parquet_schema(?)", [source.literal]
    )
    names: list[str] = []
    nested = 0
    for name, children, digits in rows[1:]:
        if (digits or 0) > _WIDEST:
            raise ValueError(f"{name} has {digits} digits; up to {_WIDEST} are read exactly")
        if nested == 0:
            names.append(name)
        nested += (children or 0) - (1 if nested else 0)
    if names != shown:
        raise ValueError("two columns have the same name, or one has none")


def _find_bad_cell(
    db: Connection, source: DataFileSource, columns: Sequence[SourceColumn]
) -> BadDataError | None:
    """Ask for one cell per column that its type refuses; then look up its line."""
    references = _references(source, columns)
    typed = [
        position
        for position, column in enumerate(columns)
        if column.type != ColumnType.TEXT or column.reading
    ]
    cells = [
        f"any_value(CAST({references[position]} AS VARCHAR)) FILTER ("
        f"nullif(CAST({references[position]} AS VARCHAR), '') <> {literal(nothing)}"
        f" AND TRY({_stored(references[position], columns[position])}) IS NULL)"
        for position in typed
        for nothing in [columns[position].null_word]
    ]
    reader, values = _reader([source], columns)
    (row,) = query(db, f"SELECT {', '.join([*cells, 'count(*)'])} FROM {reader}", values)
    for position, cell in zip(typed, row, strict=False):
        if cell is None:
            continue
        column = columns[position]
        place = _place_of_cell(db, source, position, FoundCell(column.file_column, cell))
        return BadDataError(
            f"{cell[:80]!r} in the column {column.file_column.name} is not {column.type}",
            code="bad-cell",
            where=f"{source.key}, {place}",
            do=_DO,
        )
    return None


def _place_of_cell(db: Connection, source: DataFileSource, position: int, cell: FoundCell) -> str:
    if source.file_format == "csv":
        return f"line {_line_of_cell(source, position, cell.text)}"
    return f"row {_row_of_cell(db, source, _path(cell.column), cell.text)}"


def _row_of_cell(db: Connection, source: DataFileSource, reference: str, cell: str) -> int:
    ((number,),) = query(
        db,
        "SELECT min(file_row_number) FROM read_parquet(?, file_row_number = true)"
        f" WHERE concat(CAST({reference} AS VARCHAR), '') = ?",
        [[source.literal], cell],
    )
    return int(number) + 1


def _line_of_cell(source: DataFileSource, position: int, cell: str) -> int:
    with _text(source) as text:
        rows = csv.reader(_lines(text))
        before = 0
        for number, row in enumerate(rows):
            if position < len(row) and row[position] == cell:
                return number if source.was_json else before + 1
            before = rows.line_num
    return 0


def _line_of_row(source: DataFileSource, number: int) -> int:
    """Return the line that a row begins in; DuckDB's "line" counts rows, the header included."""
    with _text(source) as text:
        rows = csv.reader(_lines(text))
        for _row in itertools.islice(rows, number - 1):
            pass
        return rows.line_num + 1


def _unreadable(source: DataFileSource, error: Exception) -> BadDataError:
    """Translate what DuckDB or a codec says about a file."""
    text = str(error)
    row = re.search(r"Line: (\d+)", text)
    return BadDataError(
        _reason(text),
        code="bad-file",
        where=f"{source.key}, line {_line_of_row(source, int(row[1]))}" if row else source.key,
        do=_DO,
    )


def _reason(text: str) -> str:
    counts = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text)
    if counts:
        return f"the row has {counts[2]} cells, the header has {counts[1]}"
    known = (reason for sign, reason in _REASONS.items() if sign in text)
    return next(known, f"the file cannot be read: {text.strip().splitlines()[0][:200]}")

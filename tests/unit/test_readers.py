"""Data files are read as they are: nothing sniffed or dropped, every refusal with its line."""

# ruff: noqa: DTZ001 - what is stored is naive, UTC by contract

import gzip
import zipfile
from datetime import datetime
from decimal import Decimal

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finops.columns import ColumnType, FileColumn, SourceColumn, StoredColumn
from finops.errors import BadDataError
from finops.sql import query, run_script
from finops.store.readers import (
    REPAIRED_COLUMN,
    ROUNDED_COLUMN,
    DataFileSource,
    explain_failure,
    read_columns,
    readable,
    select_rows,
)

T = ColumnType
KEY = "p/rep/20240101-20240201/rep-00001.csv.gz"


@pytest.fixture(scope="module")
def db():
    with duckdb.connect() as connection:
        query(connection, "SET TimeZone = 'UTC'")
        query(connection, "CREATE SCHEMA finops")
        run_script(connection, "money.sql")
        yield connection


class Files:
    """Writes data files into one folder."""

    def __init__(self, folder, db):
        self.folder = folder
        self.db = db
        self.count = 0

    def csv(self, text, compression="none"):
        body = text if isinstance(text, bytes) else text.encode()
        if compression == "gzip":
            body = gzip.compress(body)
        return self.raw(body, compression)

    def raw(self, body, compression="none"):
        self.count += 1
        path = self.folder / f"{self.count:04}.csv"
        path.write_bytes(body)
        return DataFileSource(path, KEY, "csv", compression)

    def parquet(self, select):
        self.count += 1
        path = self.folder / f"{self.count:04}.parquet"
        query(self.db, f"COPY ({select}) TO ? (FORMAT parquet)", [str(path)])
        return DataFileSource(path, KEY, "parquet", "none")


@pytest.fixture
def files(tmp_path, db):
    return Files(tmp_path, db)


def read(db, sources, types=None, stored=None):
    """Read files with the same header, as a load does; rows come as dictionaries.

    ``types`` are those of this delivery, ``stored`` the wider ones that the dataset has.
    """
    sources = sources if isinstance(sources, list) else [sources]
    types = types or {}
    columns = [
        SourceColumn(each, each.name, types.get(each.name, T.TEXT))
        for each in read_columns(db, sources[0])
    ]
    targets = [
        StoredColumn(each.original, f"n{position}", (stored or {}).get(each.original, each.type))
        for position, each in enumerate(columns)
    ]
    sql, values = select_rows(sources, columns, targets)
    try:
        rows = query(db, sql, values)
    except duckdb.Error as error:
        raise explain_failure(db, sources, columns, error) from error
    originals = [column.original for column in columns]
    return [
        dict(zip([*originals, ROUNDED_COLUMN, REPAIRED_COLUMN], row, strict=True)) for row in rows
    ]


def quoted(cell):
    """Return a cell as a CSV file quotes it."""
    return '"' + cell.replace('"', '""') + '"'


def cells(db, source, types=None):
    """Return the cells alone, row by row."""
    return [tuple(row.values())[:-2] for row in read(db, source, types)]


def refusal(db, source, types=None):
    with pytest.raises(BadDataError) as caught:
        read(db, source, types)
    assert caught.value.where.startswith(KEY)
    return caught.value


# What a CSV may look like


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("bom", ["", "\N{BYTE ORDER MARK}"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_rows_are_read_whatever_ends_and_begins_the_file(
    db, files, compression, bom, end, last
) -> None:
    text = bom + end.join(["id,cost", "a,1.5", "b,2.5"]) + (end if last else "")

    rows = cells(db, files.csv(text, compression), {"cost": T.MONEY})

    assert rows == [("a", Decimal("1.5")), ("b", Decimal("2.5"))]


def test_quoted_cells_hold_anything(db, files) -> None:
    text = 'id,text\n1,"a,b"\n2,"say ""hi"""\n3,"two\nlines"\n4,"crlf\r\nin it"\n'
    text += "5,\" spaces \"\n6,'x'\n"

    assert cells(db, files.csv(text)) == [
        ("1", "a,b"),
        ("2", 'say "hi"'),
        ("3", "two\nlines"),
        ("4", "crlf\r\nin it"),
        ("5", " spaces "),
        ("6", "'x'"),
    ]


def test_cells_that_look_like_something_stay_text(db, files) -> None:
    texts = [
        "012345678910",
        "1e5",
        "true",
        "2024-01-01",
        "NULL",
        "null",
        "NaN",
        "#",
        "\\N",
        "-",
        ";",
    ]

    rows = cells(db, files.csv("id,text\n" + "".join(f"1,{each}\n" for each in texts)))

    assert [text for _, text in rows] == texts


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 9).map(str), st.text(max_size=20), st.text('",\n\r\0 ', max_size=6)
        ),
        max_size=8,
    )
)
def test_text_comes_back_byte_for_byte(db, files, rows) -> None:
    lines = [("id", "one", "two"), *rows]
    text = "".join(",".join(map(quoted, row)) + "\n" for row in lines)

    read_back = cells(db, files.csv(text))

    expected = [tuple(cell or None for cell in row) for row in rows]
    assert sorted(read_back, key=repr) == sorted(expected, key=repr)


def test_a_nul_in_a_cell_is_kept(db, files) -> None:
    rows = cells(db, files.csv('id,text\n1,a\0b\n2,"\0"\n3,c\n'))

    assert rows == [("1", "a\0b"), ("2", "\0"), ("3", "c")]


def test_an_empty_cell_is_null_in_csv(db, files) -> None:
    types = {"cost": T.MONEY, "time": T.TIMESTAMP, "map": T.TEXT_MAP, "amounts": T.MONEY_MAP}
    text = 'id,text,cost,time,map,amounts\n1,,,,,\n2,"","","","",""\n'

    assert cells(db, files.csv(text), types) == [("1", *[None] * 5), ("2", *[None] * 5)]


def test_an_empty_cell_is_null_in_parquet(db, files) -> None:
    source = files.parquet(
        "SELECT unnest(['', NULL]) AS text, text AS cost, text AS time, text AS map"
    )

    types = {"cost": T.MONEY, "time": T.TIMESTAMP, "map": T.TEXT_MAP}

    assert cells(db, source, types) == [(None,) * 4] * 2


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize(
    "text", ["id,cost", "id,cost\n", "id,cost\r\n", "\N{BYTE ORDER MARK}id,cost\n"]
)
def test_a_header_alone_is_a_file_without_rows(db, files, text, compression) -> None:
    source = files.csv(text, compression)

    assert read_columns(db, source) == (FileColumn("id"), FileColumn("cost"))
    assert read(db, source, {"cost": T.MONEY}) == []


def test_all_members_of_a_gzip_are_read(db, files) -> None:
    body = gzip.compress(b"id,cost\na,1\n") + gzip.compress(b"b,2\n") + gzip.compress(b"c,3\n")

    rows = cells(db, files.raw(body, "gzip"), {"cost": T.MONEY})

    assert rows == [("a", 1), ("b", 2), ("c", 3)]


def test_members_that_part_in_the_middle_of_a_row_are_read(db, files) -> None:
    body = gzip.compress(b"id,co") + gzip.compress(b"st\na,1.") + gzip.compress(b"5\n")

    assert cells(db, files.raw(body, "gzip"), {"cost": T.MONEY}) == [("a", Decimal("1.5"))]


def test_a_zip_is_unpacked_for_as_long_as_it_is_read(db, tmp_path) -> None:
    path, scratch = tmp_path / "0001.csv.zip", tmp_path / "tmp"
    scratch.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.csv", "id,cost\na,1.5\n")

    with readable(DataFileSource(path, KEY, "csv", "zip"), scratch) as source:
        rows = cells(db, source, {"cost": T.MONEY})

    assert rows == [("a", Decimal("1.5"))]
    assert list(scratch.iterdir()) == []


def test_columns_are_bound_by_their_own_header(db, files) -> None:
    forth, back = files.csv("a,b\n1,2\n"), files.csv("b,a\n2,1\n")

    assert read(db, forth)[0]["a"] == read(db, back)[0]["a"] == "1"


def test_headers_that_differ_in_case_alone_are_two_columns(db, files) -> None:
    source = files.csv("user:Name,user:name,User:name\nA,b,C\n")

    assert cells(db, source) == [("A", "b", "C")]
    assert [column.name for column in read_columns(db, source)] == [
        "user:Name",
        "user:name",
        "User:name",
    ]


def test_a_header_may_hold_anything_quoted(db, files) -> None:
    source = files.csv('"a,b","say ""hi""","two\nlines","ü"\n1,2,3,4\n')

    assert [column.name for column in read_columns(db, source)] == [
        "a,b",
        'say "hi"',
        "two\nlines",
        "ü",
    ]
    assert cells(db, source) == [("1", "2", "3", "4")]


_NAMES = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0\r"), min_size=1, max_size=12
).filter(str.strip)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_NAMES, min_size=1, max_size=8, unique=True))
def test_any_header_comes_back_and_keeps_its_cells(db, files, names) -> None:
    values = [str(number) for number in range(len(names))]
    text = ",".join(map(quoted, names)) + "\n" + ",".join(values) + "\n"
    source = files.csv(text)

    assert [column.name for column in read_columns(db, source)] == names
    assert cells(db, source) == [tuple(values)]


@pytest.mark.parametrize(
    "text",
    [
        '"0\r"\n0\n',
        'a,"b\rc"\n0,1\n',
        '"a\r\nb",c\n0,1\n',
        '"a\nb",c\r\n0,1\r\n',
        '"a\r",b\r\n0,1\r\n',
    ],
)
def test_a_name_with_a_foreign_line_break_is_refused_before_rows_are_lost(db, files, text) -> None:
    with pytest.raises(BadDataError, match="line break") as refused:
        read_columns(db, files.csv(text))

    assert refused.value.where == KEY


def test_files_with_one_header_are_read_together(db, files) -> None:
    sources = [files.csv(f"id,cost\n{name},{name}\n", "gzip") for name in "123"]

    rows = cells(db, sources, {"cost": T.MONEY})

    assert sorted(rows) == [("1", 1), ("2", 2), ("3", 3)]


def test_a_long_file_is_read_whole_and_exactly(db, files) -> None:
    text = "id,cost\n" + "".join(f"line-{n},0.{n:012}\n" for n in range(50_000))

    rows = read(db, files.csv(text, "gzip"), {"cost": T.MONEY})

    assert len(rows) == 50_000
    assert sum(row["cost"] for row in rows) == Decimal(sum(range(50_000))).scaleb(-12)


# Types


def test_rounded_money_is_counted_row_by_row(db, files) -> None:
    whole, long = f"0.{'1' * 24}", f"0.{'1' * 25}"
    text = f"id,cost,price,text\n1,{whole},1,x\n2,{long},2e-30,{long}\n3,,{long},\n"

    rows = read(db, files.csv(text), {"cost": T.MONEY, "price": T.MONEY})

    assert [row[ROUNDED_COLUMN] for row in rows] == [0, 2, 1]


def test_money_of_parquet_is_the_shortest_text_of_its_double(db, files) -> None:
    source = files.parquet("SELECT unnest([0.1, 1.1, 0.30000000000000004, 1e-9]) AS cost")

    assert cells(db, source, {"cost": T.MONEY}) == [
        (Decimal(text),) for text in ("0.1", "1.1", "0.30000000000000004", "1E-9")
    ]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-01-31T23:00:00Z", datetime(2024, 1, 31, 23)),
        ("2024-01-31T23:00:00.123Z", datetime(2024, 1, 31, 23, 0, 0, 123_000)),
        ("2024-01-31T23:00:00.000Z", datetime(2024, 1, 31, 23)),
        ("2024-01-31T23:00Z", datetime(2024, 1, 31, 23)),
        ("2024-01-31T23:00:00+02:00", datetime(2024, 1, 31, 21)),
        ("2024-01-31T23:00:00.5-05:30", datetime(2024, 2, 1, 4, 30, 0, 500_000)),
        ("2024-01-31 23:00:00", datetime(2024, 1, 31, 23)),
        ("2024-01-31T23:00:00", datetime(2024, 1, 31, 23)),
        ("2024-01-31", datetime(2024, 1, 31)),
    ],
)
def test_times_are_utc(db, files, text, moment) -> None:
    from_csv = cells(db, files.csv(f"time\n{text}\n"), {"time": T.TIMESTAMP})
    from_parquet = cells(db, files.parquet(f"SELECT '{text}' AS time"), {"time": T.TIMESTAMP})

    assert from_csv == from_parquet == [(moment,)]


@pytest.mark.parametrize("kind", ["TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP_MS", "TIMESTAMP_NS"])
def test_times_of_parquet_are_utc(db, files, kind) -> None:
    source = files.parquet(f"SELECT '2024-01-31 23:00:00.123'::{kind} AS time")

    rows = cells(db, source, {"time": T.TIMESTAMP})

    assert rows == [(datetime(2024, 1, 31, 23, 0, 0, 123_000),)]


def test_maps_of_parquet_are_read(db, files) -> None:
    source = files.parquet(
        "SELECT MAP {'user_name': 'a', 'x': ''} AS tags, MAP {'edp': -0.1::DOUBLE} AS d"
    )

    rows = cells(db, source, {"tags": T.TEXT_MAP, "d": T.MONEY_MAP})

    assert rows == [({"user_name": "a", "x": ""}, {"edp": Decimal("-0.1")})]


def test_money_in_a_map_of_text_is_exact(db, files) -> None:
    source = files.parquet("SELECT MAP {'edp': '-0.123456789012345678901234'} AS d")

    rows = cells(db, source, {"d": T.MONEY_MAP})

    assert rows == [({"edp": Decimal("-0.123456789012345678901234")},)]


def test_maps_of_csv_are_json(db, files) -> None:
    tags = r'{"user_name": "a,b", "quote": "\"x\"", "ü": "\u00fc", "no": null}'

    rows = cells(db, files.csv(f"tags\n{quoted(tags)}\n{{}}\n"), {"tags": T.TEXT_MAP})

    assert rows == [({"user_name": "a,b", "quote": '"x"', "ü": "ü", "no": None},), ({},)]


@pytest.mark.parametrize(
    "number",
    ["-0.1", "0", "1e-9", "-2.5E-3", "0.123456789012345678901234", "12345678901234.123456789012"],
)
@pytest.mark.parametrize("quote", ["", '"'])
def test_money_maps_of_csv_are_exact(db, files, number, quote) -> None:
    discounts = quoted(f'{{"edp": {quote}{number}{quote}}}')

    rows = cells(db, files.csv(f"d\n{discounts}\n"), {"d": T.MONEY_MAP})

    assert rows == [({"edp": Decimal(number)},)]


@pytest.mark.parametrize(
    ("cell", "type_", "stored", "value"),
    [
        ("1.5", T.DOUBLE, T.MONEY, Decimal("1.5")),
        ("0.1", T.DOUBLE, T.MONEY, Decimal("0.1")),
        ("7", T.BIGINT, T.MONEY, Decimal(7)),
        ("7", T.BIGINT, T.DOUBLE, 7.0),
        ("2024-01-31", T.DATE, T.TIMESTAMP, datetime(2024, 1, 31)),
        ("", T.MONEY, T.TEXT, None),
        ("x", T.TEXT, T.TEXT, "x"),
    ],
)
def test_a_cell_is_widened_to_the_type_of_its_column(db, files, cell, type_, stored, value) -> None:
    ((read_cell, *_),) = [
        row.values()
        for row in read(db, files.csv(f"c\n{cell or chr(34) * 2}\n"), {"c": type_}, {"c": stored})
    ]

    assert read_cell == value


def test_money_widened_to_text_keeps_its_value(db, files) -> None:
    source = files.csv("c\n0.123456789012345678901234\n")

    (row,) = read(db, source, {"c": T.MONEY}, {"c": T.TEXT})

    assert Decimal(row["c"]) == Decimal("0.123456789012345678901234")


def test_nested_values_become_json_text(db, files) -> None:
    source = files.parquet("SELECT [{'a': 1}] AS list, {'b': 'x'} AS struct, MAP {'k': 'v'} AS map")

    assert cells(db, source) == [('[{"a":1}]', '{"b":"x"}', '{"k":"v"}')]


def test_numbers_of_parquet_become_text_where_text_is_stored(db, files) -> None:
    source = files.parquet(
        "SELECT 12345678901::BIGINT AS account, 1.5::DOUBLE AS rate, true AS flag"
    )

    assert cells(db, source) == [("12345678901", "1.5", "true")]


# Refusals


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize(
    ("rows", "line", "cell_count"),
    [
        ("1,2,3\n1,2\n", 3, 2),
        ("1,2\n", 2, 2),
        ("1,2,3\n1,2,3,4\n1,2,3\n", 3, 4),
        ('1,2,"a\nb\nc"\n1,2,3\n1,2\n', 6, 2),
        ('1,2,"a\nb\nc"\n1,2,3\n1,2,"x\ny",4\n', 6, 4),
        ("1,2,3\n1\n1,2,3\n", 3, 1),
    ],
)
def test_a_row_with_too_few_or_too_many_cells_is_refused(
    db, files, rows, line, cell_count, compression
) -> None:
    error = refusal(db, files.csv(f"a,b,c\n{rows}", compression))

    assert error.where == f"{KEY}, line {line}"
    assert f"{cell_count} cells" in error.what
    assert "3" in error.what


def test_a_surplus_cell_that_is_empty_takes_nothing_away(db, files) -> None:
    source = files.csv('a,b\n1,2\n3,4,""\n5,6\n')

    try:
        rows = cells(db, source)
    except BadDataError:
        return

    assert rows == [("1", "2"), ("3", "4"), ("5", "6")]


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ("1,x,abc\n", 2),
        ("1,x,1.0\n2,x,abc\n3,x,2\n", 3),
        ('1,"two\nlines",1.0\n2,x,abc\n', 4),
        ('1,"two\r\nlines",1.0\n2,x,"1,5"\n', 4),
        ('1,x,1\n2,"a\n\n\nb",abc\n', 3),
        ("1,x,\n2,x,100000000000000\n", 3),
        ("1,x,1\n2,x, 1\n", 3),
        ("1,x,1\n2,x,0x10\n", 3),
    ],
)
def test_text_in_a_money_column_is_refused_with_its_line(
    db, files, rows, line, compression
) -> None:
    error = refusal(db, files.csv(f"id,text,cost\n{rows}", compression), {"cost": T.MONEY})

    assert error.code == "bad-cell"
    assert error.where == f"{KEY}, line {line}"
    assert "cost" in error.what


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        (T.TIMESTAMP, "2024-13-01T00:00:00Z"),
        (T.TIMESTAMP, "yesterday"),
        (T.TEXT_MAP, "not json"),
        (T.TEXT_MAP, '"[1, 2]"'),
        (T.MONEY_MAP, '"{""edp"": ""lots""}"'),
        (T.MONEY_MAP, '"{""edp"": 100000000000000}"'),
        (T.BIGINT, "1.x"),
        (T.DOUBLE, "abc"),
        (T.BOOLEAN, "perhaps"),
        (T.DATE, "2024-02-30"),
    ],
)
def test_a_cell_that_is_not_of_its_type_is_refused_with_its_line(db, files, kind, cell) -> None:
    good = {T.TIMESTAMP: "2024-01-01", T.DATE: "2024-01-01", T.BOOLEAN: "true"}.get(kind, "1")
    good = '"{""a"": ""1""}"' if kind in (T.TEXT_MAP, T.MONEY_MAP) else good
    text = f'text,cell\n"a\nb",{good}\nx,{good}\nx,{cell}\nx,{good}\n'

    error = refusal(db, files.csv(text), {"cell": kind})

    assert error.where == f"{KEY}, line 5"
    assert "cell" in error.what


def test_a_bad_cell_of_parquet_is_refused_with_its_row(db, files) -> None:
    source = files.parquet("SELECT unnest(['1', '2', 'abc', '4']) AS cost")

    error = refusal(db, source, {"cost": T.MONEY})

    assert error.where == f"{KEY}, row 3"
    assert "'abc'" in error.what


@pytest.mark.parametrize("value", ["'nan'", "'inf'", "1e14", "-1e300"])
def test_a_double_that_money_cannot_hold_is_refused_with_its_row(db, files, value) -> None:
    source = files.parquet(f"SELECT unnest([1, {value}::DOUBLE]) AS cost")

    error = refusal(db, source, {"cost": T.MONEY})

    assert error.where == f"{KEY}, row 2"


def test_the_bad_one_of_several_files_is_named(db, files) -> None:
    good = files.csv("id,cost\na,1\n")
    bad = files.csv("id,cost\nb,2\nc,abc\n")
    bad = DataFileSource(bad.path, "second key", bad.file_format, bad.compression)

    with pytest.raises(BadDataError) as caught:
        read(db, [good, bad], {"cost": T.MONEY})

    assert caught.value.where == "second key, line 3"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('id,text\n1,"open\n2,x\n', 2),
        ('id,text\n1,"a\nb"\n2,x\n3,"open', 5),
        ('id,text\n1,"a"b\n', 2),
    ],
)
def test_a_quote_that_does_not_end_is_refused_with_its_line(db, files, text, line) -> None:
    assert refusal(db, files.csv(text)).where == f"{KEY}, line {line}"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_is_refused(db, files, encoding) -> None:
    refusal(db, files.csv("id,cost\na,1\n".encode(encoding)))


@pytest.mark.parametrize(("before", "line"), [(0, 2), (3, 5), (20_000, 20_002)])
def test_bytes_that_are_no_utf_8_are_refused_with_their_line(db, files, before, line) -> None:
    body = b"id,text\n" + b"1,fine\n" * before + b"2,caf\xe9\n"

    assert refusal(db, files.csv(body)).where == f"{KEY}, line {line}"


def test_a_header_that_is_no_utf_8_is_refused(db, files) -> None:
    refusal(db, files.csv(b"id,caf\xe9\n1,2\n"))


@pytest.mark.parametrize(
    ("header", "position"),
    [("a,,c", 2), ("a,b,", 3), (",b", 1), ("a, ,c", 2), ('a,"",c', 2), ("a\0,b", 1)],
)
def test_a_column_without_a_name_is_refused(db, files, header, position) -> None:
    error = refusal(db, files.csv(f"{header}\n1,2,3\n"))

    assert (error.code, error.where) == ("bad-header", f"{KEY}, line 1")
    assert f"column {position} " in error.what


def test_a_column_that_is_there_twice_is_refused(db, files) -> None:
    error = refusal(db, files.csv("a,b,a\n1,2,3\n"))

    assert error.code == "bad-header"
    assert "column 3 is called 'a' again" in error.what


@pytest.mark.parametrize("folder", ["d*", "d[1]", "d?", "**", "[!x]1"])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_path_that_looks_like_a_pattern_is_that_file_alone(db, tmp_path, folder, kind) -> None:
    for name, cost in (("d1", 5), (folder, 7)):
        (tmp_path / name).mkdir()
        into = Files(tmp_path / name, db)
        source = (
            into.csv(f"c\n{cost}\n") if kind == "csv" else into.parquet(f"SELECT '{cost}' AS c")
        )

    assert cells(db, source) == [("7",)]


def test_no_more_columns_are_read_than_a_table_can_bear(db, files) -> None:
    names = [f"c{position}" for position in range(5_001)]
    assert len(read_columns(db, files.csv(",".join(names[:5_000]) + "\n"))) == 5_000

    cells = ", ".join(f"1 AS {name}" for name in names)
    for source in (files.csv(",".join(names)), files.parquet(f"SELECT {cells}")):
        with pytest.raises(BadDataError, match="5,001 columns") as refused:
            read_columns(db, source)
        assert refused.value.code == "too-large"


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("text", ["", "\n", "\n\nid,cost\n1,2\n", "\N{BYTE ORDER MARK}"])
def test_a_file_without_a_header_is_refused(db, files, text, compression) -> None:
    refusal(db, files.csv(text, compression))


def test_what_is_no_parquet_file_is_refused(db, files) -> None:
    source = files.raw(b"PAR1 and so on PAR1")

    refusal(db, DataFileSource(source.path, KEY, "parquet", "none"))


def test_a_file_that_is_gone_is_refused_by_key(db, files) -> None:
    source = files.csv("a\n1\n")
    source.path.unlink()

    refusal(db, source)

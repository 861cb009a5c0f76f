"""Bad input is refused by name and line, and what was loaded before is kept."""

import gzip
import json
import zipfile

import pytest

from finops.vendors.aws.sample import SampleLayout, write_sample
from tests.driver import PERIODS, expected, over_folder


@pytest.fixture
def loaded(imported, tmp_path, seed):
    """Three loaded months, and a later delivery of each, not yet imported."""
    bucket = tmp_path / "bucket"
    finops, before = imported(tmp_path)
    after = write_sample(bucket, periods=PERIODS, rows=220, seed=seed, refresh=2)
    return finops, bucket, before, after


def _lines(path):
    return gzip.decompress(path.read_bytes()).split(b"\n")


def _rewrite(path, lines):
    path.write_bytes(gzip.compress(b"\n".join(lines)))


def _ragged(path):
    _rewrite(path, [_lines(path)[0], b"only,three,cells", b""])


def _text_in_money(path):
    lines = _lines(path)
    header = lines[0].decode().split(",")
    cells = [b""] * len(header)
    cells[header.index("lineItem/UnblendedCost")] = b"1,50".replace(b",", b"_")
    _rewrite(path, [lines[0], b",".join(cells), b""])


def _too_large(path):
    lines = _lines(path)
    header = lines[0].decode().split(",")
    cells = [b""] * len(header)
    cells[header.index("lineItem/UnblendedCost")] = b"100000000000000"
    _rewrite(path, [lines[0], b",".join(cells), b""])


def _bad_date(path):
    lines = _lines(path)
    header = lines[0].decode().split(",")
    cells = [b""] * len(header)
    cells[header.index("lineItem/UsageStartDate")] = b"01/02/2024"
    _rewrite(path, [lines[0], b",".join(cells), b""])


def _utf16(path):
    path.write_bytes(gzip.compress(b"\n".join(_lines(path)).decode().encode("utf-16")))


def _truncated(path):
    body = path.read_bytes()
    path.write_bytes(body[: len(body) // 2])


def _flipped(path):
    body = bytearray(path.read_bytes())
    body[-6] ^= 1
    path.write_bytes(body)


def _empty(path):
    path.write_bytes(b"")


def _empty_gzip(path):
    path.write_bytes(gzip.compress(b""))


def _not_gzip(path):
    path.write_bytes(b"identity/LineItemId\n1\n")


def _unterminated_quote(path):
    lines = _lines(path)
    _rewrite(path, [lines[0], b'"open,1,2'])


def _column_twice(path):
    lines = _lines(path)
    first = lines[0].split(b",")[0]
    _rewrite(path, [lines[0] + b"," + first, b""])


BROKEN = {
    _ragged: ("line 2", "the row has 3 cells"),
    _text_in_money: ("line 2", "'1_50' in the column lineItem/UnblendedCost is not DECIMAL(38,24)"),
    _too_large: ("line 2", "'100000000000000' in the column lineItem/UnblendedCost"),
    _bad_date: ("line 2", "'01/02/2024' in the column lineItem/UsageStartDate is not TIMESTAMP"),
    _utf16: ("", "UTF-16"),
    _truncated: ("", "gzip is damaged"),
    _flipped: ("", "gzip is damaged"),
    _empty: ("", "the file is empty"),
    _empty_gzip: ("", "the file is empty"),
    _not_gzip: ("", "gzip is damaged"),
    _unterminated_quote: ("line 2", "a quote does not end"),
    _column_twice: ("line 1", "is called 'identity/LineItemId' again"),
}


@pytest.mark.parametrize("damage", BROKEN, ids=lambda damage: damage.__name__)
def test_a_broken_file_fails_its_month_alone(loaded, damage):
    finops, bucket, before, after = loaded
    key = after[1].data_keys[1]
    damage(bucket / key)

    answer = finops.aws("import-cur")

    line, what = BROKEN[damage]
    assert answer.code == 3
    assert answer.outcomes == {"2024-03": "loaded", "2024-02": "failed", "2024-01": "loaded"}
    error = answer.results[1]["error"]
    assert what in error["what"]
    assert key in error["where"]
    assert line in error["where"]
    assert f"({before[1].rows:,} rows)" in error["kept"]
    assert error["do"]
    now = expected(after) | {"2024-02": expected(before)["2024-02"]}
    assert finops.loaded() == now


def test_a_mended_delivery_is_taken_at_the_next_run(loaded):
    finops, bucket, _, after = loaded
    path = bucket / after[1].data_keys[0]
    whole = path.read_bytes()
    _truncated(path)
    assert finops.aws("import-cur").code == 3

    path.write_bytes(whole)
    answer = finops.aws("import-cur")

    assert answer.code == 0
    assert finops.loaded() == expected(after)


def test_a_missing_file_is_named(loaded):
    finops, bucket, before, after = loaded
    (bucket / after[2].data_keys[0]).unlink()

    answer = finops.aws("import-cur")

    error = answer.results[0]["error"]
    assert (answer.code, error["code"]) == (3, "missing-object")
    assert after[2].data_keys[0] in error["where"]
    assert finops.loaded()["2024-03"] == expected(before)["2024-03"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "neither reportKeys nor dataFiles"),
        (b'{"reportKeys": "x"}', "not a list"),
        (b'{"reportKeys": [7]}', "has no key"),
        (b'{"reportKeys": ["/etc/passwd"]}', "'/etc/passwd'"),
        (b'{"reportKeys": ["cur-reports/monthly-cur/../../x.csv.gz"]}', "not below"),
        (b'{"reportKeys": ["cur-reports/other/x.csv.gz"]}', "not below"),
    ],
)
def test_a_bad_manifest_fails_its_month_alone(loaded, text, what):
    finops, bucket, before, after = loaded
    (bucket / after[0].manifest_keys[0]).write_bytes(text)

    answer = finops.aws("import-cur")

    failed = answer.results[-1]
    assert (answer.code, failed["period"], failed["outcome"]) == (3, "2024-01", "failed")
    assert what in failed["error"]["what"]
    assert after[0].manifest_keys[0] in failed["error"]["where"]
    assert finops.loaded() == expected(after) | {"2024-01": expected(before)["2024-01"]}


def test_a_zip_with_two_entries_is_refused(tmp_path, seed):
    bucket = tmp_path / "bucket"
    layout = SampleLayout(compression="zip")
    (delivery,) = write_sample(bucket, periods=PERIODS[:1], rows=200, seed=seed, layout=layout)
    path = bucket / delivery.data_keys[0]
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../escaped.csv", "a\n1\n")
    finops = over_folder(tmp_path / "data", bucket)

    answer = finops.aws("import-cur")

    assert answer.code == 65
    assert "2 entries" in answer.results[0]["error"]["what"]
    assert not list(tmp_path.rglob("escaped*"))


def test_odd_but_right_csv_loads_byte_for_byte(tmp_path):
    text = 'é, "quoted"\nand\r\nnewlined, \x00 NUL'
    header = ["lineItem/UnblendedCost", "resourceTags/user:Name", "resourceTags/user:name"]
    head = ",".join(header).encode()
    members = [
        b"\xef\xbb\xbf" + head + b"\r\n0.1,,\r\n",
        b'0.2,"' + text.replace('"', '""').encode() + b'",lower\r\n',
    ]
    bucket = tmp_path / "bucket"
    _deliver(bucket, header, b"".join(gzip.compress(member) for member in members))
    finops = over_folder(tmp_path / "data", bucket)

    answer = finops.aws("import-cur")

    assert answer.code == 0
    suffix = finops.query(
        "SELECT name FROM finops.column_registry WHERE original = 'resourceTags/user:name'"
    )[0][0]
    columns = f"lineitem_unblendedcost::VARCHAR, resourcetags_user_name, {suffix}"
    rows = finops.query(f"SELECT {columns} FROM aws_billing.billing ORDER BY 1")
    zeros = "0" * 23
    assert rows == [(f"0.1{zeros}", None, None), (f"0.2{zeros}", text, "lower")]


def test_header_only_file_is_an_empty_month(tmp_path):
    bucket = tmp_path / "bucket"
    _deliver(bucket, ["lineItem/UnblendedCost"], gzip.compress(b"lineItem/UnblendedCost\n"))
    finops = over_folder(tmp_path / "data", bucket)

    answer = finops.aws("import-cur")

    assert (answer.code, answer.results[0]["rows"]) == (0, 0)
    assert finops.query("SELECT lineitem_unblendedcost FROM aws_billing.billing") == []


def test_columns_are_bound_by_name_when_files_order_them_differently(tmp_path):
    bucket = tmp_path / "bucket"
    header = ["lineItem/UnblendedCost", "lineItem/BlendedCost"]
    _deliver(
        bucket,
        header,
        gzip.compress(b"lineItem/UnblendedCost,lineItem/BlendedCost\n1,2\n"),
        gzip.compress(b"lineItem/BlendedCost,lineItem/UnblendedCost\n20,10\n"),
    )
    finops = over_folder(tmp_path / "data", bucket)

    finops.aws("import-cur")

    rows = finops.query(
        "SELECT lineitem_unblendedcost::INT, lineitem_blendedcost::INT"
        " FROM aws_billing.billing ORDER BY 1"
    )
    assert rows == [(1, 2), (10, 20)]


def test_digits_beyond_the_24th_are_rounded_half_to_even_and_counted(tmp_path):
    bucket = tmp_path / "bucket"
    cells = ["0." + "0" * 23 + "25", "0." + "0" * 23 + "35", "1e-24", "0.1"]
    body = "\n".join(["lineItem/UnblendedCost", *cells, ""]).encode()
    _deliver(bucket, ["lineItem/UnblendedCost"], gzip.compress(body))
    finops = over_folder(tmp_path / "data", bucket)

    answer = finops.aws("import-cur")

    notice = "2 money cells had more than 24 decimals and were rounded"
    assert sum(notice in text for text in answer.document["notices"]) == 1
    rows = finops.query("SELECT lineitem_unblendedcost::VARCHAR FROM aws_billing.billing")
    assert sorted(row[0][-3:] for row in rows) == ["000", "001", "002", "004"]


def _deliver(bucket, header, *bodies):
    """Write one CUR v1 delivery of 2024-01 with these files."""
    folder = bucket / "cur-reports/monthly-cur/20240101-20240201"
    folder.mkdir(parents=True)
    names = [f"monthly-cur-{number:05}.csv.gz" for number in range(1, len(bodies) + 1)]
    for name, body in zip(names, bodies, strict=True):
        (folder / name).write_bytes(body)
    columns = [dict(zip(("category", "name"), each.split("/"), strict=True)) for each in header]
    keys = [f"cur-reports/monthly-cur/20240101-20240201/{name}" for name in names]
    manifest = {"assemblyId": "a1", "columns": columns, "reportKeys": keys}
    (folder / "monthly-cur-Manifest.json").write_text(json.dumps(manifest))


def test_a_first_delivery_that_is_refused_leaves_nothing_behind(tmp_path):
    bucket = tmp_path / "bucket"
    _deliver(bucket, [], gzip.compress(b"no,bill\n1,2\n"))
    finops = over_folder(tmp_path / "data", bucket)

    answer = finops.aws("import-cur")

    assert (answer.code, answer.results[0]["error"]["code"]) == (65, "bad-header")
    assert not finops.database.exists()
    assert not list(finops.data.glob("*next*"))


def test_a_refused_delivery_leaves_no_trace_beside_a_good_one(tmp_path, seed):
    bucket = tmp_path / "bucket"
    write_sample(bucket, periods=PERIODS[1:2], rows=200, seed=seed)
    header = b"lineItem/UnblendedCost,brand/New\n"
    _deliver(bucket, [], gzip.compress(header + b"1,x\n"), gzip.compress(b"no,bill\n1,2\n"))
    finops = over_folder(tmp_path / "data", bucket)

    answer = finops.aws("import-cur")

    assert answer.outcomes == {"2024-02": "loaded", "2024-01": "failed"}
    originals = {
        original for (original,) in finops.query("SELECT original FROM finops.column_registry")
    }
    assert "brand/New" not in originals
    tables = finops.query(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'aws_billing'"
    )
    assert tables == [("billing_2024_02",)]

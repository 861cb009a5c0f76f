"""Deliveries that are wrong on purpose are refused or read right, and harm no other month."""

import csv
import gzip
import io
import json
import os
import re
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finops.columns import clean_column_name
from finops.config import Export
from finops.datadir import DataDir
from finops.delivery import DataFile, Delivery
from finops.sql import identifier, query
from finops.store.database import writing
from finops.store.dataset import Dataset
from finops.store.ledger import LoadedFile
from finops.store.replace import Staged, replace_period
from finops.vendors import find_vendor
from finops.vendors.aws.sample import write_sample
from tests.driver import PERIODS, Finops, expected, over_folder

COST = "lineItem/UnblendedCost"


class Bucket:
    """Writes small CUR v1 deliveries into a folder."""

    def __init__(self, root):
        self.root = root

    def deliver(self, month, *bodies, keys=None, columns=(), **manifest):
        """Write a CSV delivery of 2024; ``keys`` replaces what the manifest lists."""
        folder = (
            f"cur-reports/monthly-cur/2024{month:02}01-{2024 + month // 12}{month % 12 + 1:02}01"
        )
        (self.root / folder).mkdir(parents=True, exist_ok=True)
        made = [f"{folder}/monthly-cur-{number}.csv.gz" for number in range(1, len(bodies) + 1)]
        for key, body in zip(made, bodies, strict=True):
            (self.root / key).write_bytes(gzip.compress(body.encode(), mtime=0))
        document = {
            "assemblyId": f"m{month}",
            "columns": [
                dict(zip(("category", "name", "type"), (*name.split("/"), kind), strict=True))
                for name, kind in columns
            ],
            "reportKeys": made if keys is None else keys(made),
        }
        path = self.root / folder / "monthly-cur-Manifest.json"
        path.write_text(json.dumps(document | manifest))
        return made

    def deliver_file(self, month, ending, body):
        """Write a delivery of one CSV file whose bytes are given."""
        return self.deliver(month, keys=lambda _made: [self._put(month, ending, body)])

    def _put(self, month, ending, body):
        (manifests,) = self.root.glob(f"cur-reports/monthly-cur/2024{month:02}01-*")
        path = manifests / f"monthly-cur-1{ending}"
        path.write_bytes(body)
        return path.relative_to(self.root).as_posix()

    def deliver_parquet(self, month, select):
        """Write a Parquet delivery of 2024 from a SELECT."""
        folder = f"cur-reports/monthly-cur/monthly-cur/year=2024/month={month}"
        (self.root / folder).mkdir(parents=True, exist_ok=True)
        file = self.root / folder / "monthly-cur-1.snappy.parquet"
        duckdb.execute(f"COPY ({select}) TO ? (FORMAT parquet)", [str(file)]).fetchall()
        return self.deliver(month, keys=lambda _made: [f"{folder}/{file.name}"])


@pytest.fixture
def bucket(tmp_path):
    return Bucket(tmp_path / "bucket")


@pytest.fixture
def finops(tmp_path, bucket):
    return over_folder(tmp_path / "data", bucket.root)


def _costs(finops):
    return {
        period: str(total.normalize()) if total is not None else None
        for period, (_, total) in finops.loaded().items()
    }


def _failed(answer):
    return {each["period"]: each["error"]["code"] for each in answer.results if each["error"]}


@pytest.mark.parametrize(
    "again",
    [
        lambda key: key,
        lambda key: f"/{key}",
        lambda key: key.replace("/", "//", 1),
        lambda key: f"./{key}",
        lambda key: f"s3://elsewhere/{key}",
    ],
)
def test_a_file_listed_twice_counts_once(finops, bucket, again):
    bucket.deliver(1, f"{COST}\n1\n", f"{COST}\n2\n", keys=lambda made: [*made, again(made[0])])

    answer = finops.aws("import-cur")

    assert answer.code == 0
    assert _costs(finops) == {"2024-01": "3"}
    assert "more than once" in answer.document["notices"][0]


def test_a_file_of_another_month_is_refused(finops, bucket):
    (february,) = bucket.deliver(2, f"{COST}\n2\n")
    bucket.deliver(1, f"{COST}\n1\n", keys=lambda made: [*made, february])

    answer = finops.aws("import-cur")

    assert (answer.code, _failed(answer)) == (3, {"2024-01": "foreign-key"})
    assert _costs(finops) == {"2024-02": "2"}


def test_a_folder_that_ends_another_day_is_no_billing_period(finops, bucket):
    bucket.deliver(1, f"{COST}\n1\n")
    real = bucket.root / "cur-reports/monthly-cur/20240101-20240201"
    for wrong in ("20240101-20240301", "20240101-20231201", "20240115-20240201"):
        (real.parent / wrong).mkdir()
        text = (real / "monthly-cur-Manifest.json").read_text().replace("m1", "other")
        (real.parent / wrong / "monthly-cur-Manifest.json").write_text(text)

    answer = finops.aws("import-cur")

    assert [(each["period"], each["delivery_id"]) for each in answer.results] == [("2024-01", "m1")]


@pytest.mark.parametrize(
    "body",
    [f"identity/LineItemId;{COST}\nx;1\n", "a,b\n1,2\n", f"#{COST}\n1\n"],
)
def test_a_file_that_is_no_bill_is_refused_and_the_month_kept(finops, bucket, body):
    bucket.deliver(1, f"{COST}\n5\n")
    finops.aws("import-cur")
    bucket.deliver(1, body, assemblyId="later")

    answer = finops.aws("import-cur")

    assert (answer.code, _failed(answer)) == (65, {"2024-01": "bad-header"})
    assert _costs(finops) == {"2024-01": "5"}


@pytest.mark.parametrize("strategy", ["separate", "single"])
def test_a_month_that_the_database_cannot_add_up_fails_alone(finops, bucket, strategy):
    bucket.deliver(1, f"{COST}\n1\n")
    bucket.deliver(2, f"{COST}\n90000000000000\n90000000000000\n")

    answer = finops.aws("import-cur", "--table-strategy", strategy)

    assert (answer.code, _failed(answer)) == (3, {"2024-02": "unloadable"})
    assert _costs(finops) == {"2024-01": "1"}


def _zip(*names, body=f"{COST}\n1\n"):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, body)
    return packed.getvalue()


def _link():
    entry = zipfile.ZipInfo("link.csv")
    entry.external_attr = 0o120777 << 16
    return entry


BOMBS = {
    "gzip": (".csv.gz", lambda: gzip.compress(b"0\n" * (32 << 20)) * 5, "too-large"),
    "zip": (".csv.zip", lambda: _zip("a", body=b"0\n" * (129 << 20)), "too-large"),
    "entries": (".csv.zip", lambda: _zip(*map(str, range(10_000))), "damaged-file"),
    "columns": (".csv", lambda: ",".join(map(str, range(5_001))).encode(), "too-large"),
    "header": (".csv", lambda: b"x" * (20 << 20), "bad-file"),
    "quoted header": (".csv", lambda: b'"' + b"x\n" * (3 << 20), "bad-file"),
    "field": (".csv", f"{COST},a\n1,{'x' * (17 << 20)}\n".encode, "bad-file"),
    "last line": (".csv", lambda: f"{COST}\n1\n".encode() + b"2" * (40 << 20), "bad-file"),
    "line": (
        ".csv.gz",
        lambda: gzip.compress(f"{COST}\n1".encode() + bytes(200 << 20)),
        "bad-file",
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_would_fill_disk_or_memory_is_refused_and_the_month_kept(finops, bucket, bomb):
    ending, body, code = BOMBS[bomb]
    bucket.deliver(1, f"{COST}\n5\n")
    bucket.deliver(2, f"{COST}\n7\n")
    assert finops.aws("import-cur").code == 0
    bucket.deliver_file(1, ending, body())

    answer = finops.aws("import-cur")

    assert (answer.code, _failed(answer)) == (3, {"2024-01": code})
    assert f"monthly-cur-1{ending}" in answer.results[1]["error"]["where"]
    assert _costs(finops) == {"2024-01": "5", "2024-02": "7"}
    assert sum(path.stat().st_size for path in finops.data.rglob("tmp/**/*")) == 0


def test_a_manifest_of_too_many_columns_is_refused(finops, bucket):
    columns = [(f"lineItem/c{position}", "String") for position in range(5_001)]
    bucket.deliver(1, f"{COST}\n1\n", columns=columns)

    assert _failed(finops.aws("import-cur")) == {"2024-01": "too-large"}


@pytest.mark.parametrize(
    "name",
    ["../../../../escape.csv", "/escape.csv", "C:\\escape.csv", "a/b/c.csv", _link()],
)
def test_the_name_in_a_zip_is_no_path(tmp_path, finops, bucket, name):
    bucket.deliver_file(1, ".csv.zip", _zip(name))
    before = set(tmp_path.rglob("*"))

    assert finops.aws("import-cur").code == 0

    assert _costs(finops) == {"2024-01": "1"}
    assert not [path for path in tmp_path.rglob("*") if path.is_symlink()]
    assert all(path.is_relative_to(finops.data) for path in set(tmp_path.rglob("*")) - before)
    assert not Path("/escape.csv").exists()


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e300", "1e14"])
def test_a_double_that_is_no_amount_fails_its_month_alone(finops, bucket, value):
    bucket.deliver(1, f"{COST}\n1\n")
    bucket.deliver_parquet(
        2, f"SELECT 1::DOUBLE AS line_item_unblended_cost UNION ALL SELECT '{value}'"
    )

    answer = finops.aws("import-cur")

    assert (answer.code, _failed(answer)) == (3, {"2024-02": "bad-cell"})
    assert "row 2" in answer.results[0]["error"]["where"]
    assert _costs(finops) == {"2024-01": "1"}


def test_a_map_with_a_key_twice_is_refused_before_it_can_break_the_view(finops, bucket):
    bucket.deliver_parquet(
        1, "SELECT 1::DOUBLE AS line_item_unblended_cost, MAP {'key-a': 1, 'key-b': 2} AS extra"
    )
    (file,) = bucket.root.rglob("*.parquet")
    body = file.read_bytes()
    assert body.count(b"key-b")
    file.write_bytes(body.replace(b"key-b", b"key-a"))

    answer = finops.aws("import-cur")

    assert _failed(answer) == {"2024-01": "bad-cell"}
    assert "row 1" in answer.results[0]["error"]["where"]


def test_text_that_parquet_calls_binary_is_text(finops, bucket):
    bucket.deliver_parquet(
        1,
        "SELECT encode('Zürich') AS product_city, ''::BLOB AS product_none,"
        " '1.50'::BLOB AS line_item_unblended_cost",
    )

    assert finops.aws("import-cur").code == 0

    columns = "product_city, product_none, lineitem_unblendedcost::VARCHAR"
    ((city, none, cost),) = finops.query(f"SELECT {columns} FROM aws_billing.billing")
    assert (city, none, cost.rstrip("0")) == ("Zürich", None, "1.5")


@pytest.mark.parametrize(
    "moment", ["infinity", "epoch", "0001-01-01 (BC)", "2024-01-01T00:00:00 Europe/Berlin", "noon"]
)
def test_words_are_no_times(finops, bucket, moment):
    bucket.deliver(1, f"{COST},lineItem/UsageStartDate\n1,{moment}\n")

    answer = finops.aws("import-cur")

    assert _failed(answer) == {"2024-01": "bad-cell"}
    assert repr(moment) in answer.results[0]["error"]["what"]


def test_a_map_that_becomes_text_is_json(finops, bucket):
    bucket.deliver_parquet(
        1, "SELECT 1::DOUBLE AS line_item_unblended_cost, MAP {'q,': 'w=}'} AS extra"
    )
    assert finops.aws("import-cur").code == 0
    bucket.deliver(2, f"{COST},extra\n1,x\n")
    assert finops.aws("import-cur").code == 0

    rows = finops.query("SELECT extra FROM aws_billing.billing ORDER BY billing_period")

    assert (json.loads(rows[0][0]), rows[1][0]) == ({"q,": "w=}"}, "x")


@pytest.mark.parametrize("shape", ["e", "n", "key"])
def test_a_column_may_be_called_anything_beside_a_map(tmp_path, shape):
    folder = tmp_path / "bucket/cur-reports/monthly-cur"
    data = folder / "data/BILLING_PERIOD=2024-01/monthly-cur-00001.snappy.parquet"
    manifest = folder / "metadata/BILLING_PERIOD=2024-01/monthly-cur-Manifest.json"
    for path in (data, manifest):
        path.parent.mkdir(parents=True)
    duckdb.execute(
        f"COPY (SELECT 0.5::DOUBLE AS line_item_unblended_cost, 'x' AS \"{shape}\","
        f" MAP {{'edp': 0.1::DOUBLE}} AS discount) TO '{data}' (FORMAT parquet)"
    ).fetchall()
    key = data.relative_to(tmp_path / "bucket").as_posix()
    manifest.write_text(json.dumps({"executionId": "e1", "dataFiles": [f"s3://b/{key}"]}))
    finops = over_folder(tmp_path / "data", tmp_path / "bucket")

    assert finops.aws("import-cur").code == 0

    rows = finops.query("SELECT discount['edp']::VARCHAR FROM aws_billing.billing")
    assert rows == [("0.100000000000000000000000",)]


def test_focus_is_told_by_its_columns_and_totalled_in_any_case(tmp_path):
    folder = tmp_path / "bucket/cur-reports/monthly-cur"
    data = folder / "data/BILLING_PERIOD=2024-01/monthly-cur-00001.csv.gz"
    manifest = folder / "metadata/BILLING_PERIOD=2024-01/monthly-cur-Manifest.json"
    for path in (data, manifest):
        path.parent.mkdir(parents=True)
    data.write_bytes(gzip.compress(b"billedcost,billingcurrency\n1.25,USD\n"))
    key = data.relative_to(tmp_path / "bucket").as_posix()
    manifest.write_text(json.dumps({"executionId": "e1", "dataFiles": [key]}))
    finops = over_folder(tmp_path / "data", tmp_path / "bucket")

    unsaid = finops.aws("import-cur")
    said = finops.aws("import-cur", "--cur-version", "focus")

    assert _failed(unsaid) == {"2024-01": "other-shape"}
    assert said.code == 0, said
    assert said.results[0]["totals"] == {"USD": "1.250000000000000000000000"}
    charge = "SELECT BilledCost::DOUBLE, BillingCurrency, x_SourceFocusVersion"
    assert finops.query(f"{charge} FROM focus.cost_and_usage") == [(1.25, "USD", "1.0")]


def test_what_was_staged_before_the_bucket_went_back_is_not_loaded(finops, bucket):
    bucket.deliver(1, f"{COST}\n5\n")
    finops.aws("import-cur")
    manifest = next(bucket.root.rglob("*Manifest.json"))
    file = next(bucket.root.rglob("*.csv.gz"))
    kept = [(path, path.read_bytes(), path.stat()) for path in (manifest, file)]
    bucket.deliver(1, f"{COST}\n77\n", assemblyId="later")
    for step in ("discover-manifests", "extract-manifests", "extract-billing"):
        finops.aws(step)

    for path, body, status in kept:
        path.write_bytes(body)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    answer = finops.aws("import-cur")

    assert answer.outcomes == {"2024-01": "unchanged"}
    assert _costs(finops) == {"2024-01": "5"}


def test_a_staged_file_that_was_edited_is_not_loaded(tmp_path, seed):
    deliveries = write_sample(tmp_path / "bucket", periods=PERIODS[:1], rows=200, seed=seed)
    finops = over_folder(tmp_path / "data", tmp_path / "bucket")
    for step in ("discover-manifests", "extract-manifests", "extract-billing"):
        finops.aws(step)
    staged = next(finops.data.rglob("0001-*.csv.gz"))
    lines = gzip.decompress(staged.read_bytes()).replace(b"0.", b"9.")
    staged.write_bytes(gzip.compress(lines)[: staged.stat().st_size])

    refused = finops.aws("load-billing-local")
    mended = finops.aws("import-cur")

    assert _failed(refused) == {"2024-01": "staging-lost"}
    assert mended.code == 0
    assert finops.loaded() == expected(deliveries)


@pytest.mark.parametrize("name", ["../../escape", "/abs", "a/b", ".hidden", "a b", ""])
def test_export_names_are_no_paths(tmp_path, name):
    file = tmp_path / "config.toml"
    file.write_text(f"[aws.exports.{json.dumps(name)}]\nbucket = './b'\n")

    answer = Finops(tmp_path / "data", "-c", str(file)).aws("import-cur")

    assert answer.code == 78
    assert list(tmp_path.iterdir()) == [file]


def test_nothing_typed_or_delivered_reaches_the_terminal_raw(tmp_path, finops, bucket):
    bucket.deliver(1, f"{COST},resourceTags/user:\x1b[31m\n1,\x1b]0;x\x07\n")
    (bucket.root / "cur-reports/evil\nerror[x]\x1b[2J/20240101-20240201").mkdir(parents=True)
    evil = bucket.root / "cur-reports/evil\nerror[x]\x1b[2J/20240101-20240201"
    (evil / "evil\nerror[x]\x1b[2J-Manifest.json").write_text("{}")
    finops.aws("import-cur")

    answers = [
        finops("aws", "import-cur", "--bucket", str(bucket.root), "--prefix", "cur-reports"),
        finops("aws", "import-cur", "--\x1b[31m", "q"),
        finops("sql", 'SELECT 1 AS "\x1b[31m"'),
        finops("sql", "SELECT * FROM aws_billing.billing"),
        finops("sql", "SELECT nothing\x1b[31m"),
        finops("aws", "show-state", "--export", "\x1b[31m"),
    ]

    for answer in answers:
        assert "\x1b" not in answer.out + answer.err
        assert "\nerror[x]" not in answer.err


HOSTILE = "a\x1b[2J\x9b31m\u202etxt.exe\u2066\u2028\x07\r\nerror[x]: b"


def test_every_command_shows_what_a_terminal_would_obey(tmp_path, monkeypatch):
    bucket = Bucket(tmp_path / f"bucket {HOSTILE}")
    bucket.deliver(1, f'{COST},"resourceTags/user:{HOSTILE}"\n1,"{HOSTILE}"\n'.replace("\r", ""))
    finops = over_folder(tmp_path / f"data {HOSTILE}", bucket.root)
    assert finops.aws("import-cur").code == 0
    bucket.deliver(2, f'{COST}\n"{HOSTILE}"\n', assemblyId=HOSTILE)
    (tmp_path / f"{HOSTILE}.toml").write_text(f"[aws]\n{json.dumps(HOSTILE)} = 1\n")
    typed = [
        ["aws", "import-cur", *finops.flags, "-v", "--debug"],
        ["aws", "list-manifests", *finops.flags],
        ["aws", "show-state"],
        ["aws", "import-cur", "--bucket", HOSTILE, "--prefix", HOSTILE],
        ["aws", "import-cur", *finops.flags, "--export-name", HOSTILE],
        ["aws", "import-cur", *finops.flags, "--start-date", HOSTILE],
        ["aws", "import-cur", "--export", HOSTILE],
        ["aws", "export-parquet", "--out", f"{HOSTILE}/{HOSTILE}"],
        ["config"],
        ["-c", str(tmp_path / f"{HOSTILE}.toml"), "config"],
        ["-c", HOSTILE, "config", "--debug"],
        ["sql", "SELECT * FROM aws_billing.billing"],
        ["sql", f"SELECT '{HOSTILE}' AS \"{HOSTILE}\", '{'x' * 300}' AS y"],
        ["sql", f"SELECT {HOSTILE}"],
        ["sql", "SELECT 1", "-o", f"{HOSTILE}/x.csv"],
        ["sql", "SELECT 1", "-o", f"{HOSTILE}.csv"],
        ["status"],
        ["history"],
        ["verify"],
        [HOSTILE],
        ["aws", HOSTILE],
        ["aws", "import-cur", f"--{HOSTILE}"],
        ["sample", "aws", "--out", str(tmp_path / "out"), "--rows", HOSTILE],
        [
            "sample",
            "aws",
            "--out",
            str(tmp_path / "out"),
            "--rows",
            "9",
            "--prefix",
            f"../{HOSTILE}",
        ],
    ]

    answers = {str(words): finops(*words) for words in typed}

    assert "Traceback" in answers[str(typed[0])].err
    for words, answer in answers.items():
        shown = answer.out + answer.err
        assert not [char for char in shown if not char.isprintable() and char != "\n"], words
        assert "\nerror[x]" not in shown, words
    assert sum("\\u202e" in answer.out + answer.err for answer in answers.values()) >= 15
    drawn = answers[str(typed[11])].out + answers[str(typed[12])].out
    assert drawn.count("\\u202etxt.exe\\u2066") == 3


SQL = "'); DROP TABLE canary; --"
NAMES = [
    SQL,
    f'"{SQL}',
    'a" VARCHAR); DROP TABLE canary; --',
    "a'b",
    "$1",
    "?",
    "%s",
    "{}",
    "*",
    "select",
    "rowid",
    "a.b",
    "a b",
    "COLUMNS(*)",
    "billing_period",
    "_finops_load_id",
    "lineItem/UnblendedCost ",
    "é",
    "e\u0301",
    "\u202eevil",
    "x" * 300,
]


@pytest.mark.parametrize("strategy", ["separate", "single"])
def test_names_and_paths_that_are_sql_are_names_and_paths(tmp_path, strategy):
    root = tmp_path / f"bucket [a]* {SQL}"
    bucket = Bucket(root)
    header, row = io.StringIO(), io.StringIO()
    csv.writer(header, lineterminator="\n").writerow([COST, *NAMES])
    csv.writer(row, lineterminator="\n").writerow(["1.5", *NAMES])
    bucket.deliver(1, header.getvalue() + row.getvalue(), assemblyId=SQL)
    bucket.deliver_parquet(
        2,
        "SELECT 1::DOUBLE AS line_item_unblended_cost, MAP {'" + SQL.replace("'", "''") + "':"
        ' \'x\'} AS "a""; DROP TABLE canary"',
    )
    finops = over_folder(tmp_path / f"data [a]* {SQL}", root, "--table-strategy", strategy)
    bucket.deliver(3, f"{COST}\n1\n")
    assert finops.aws("import-cur", "--start-date", "2024-03").code == 0
    with duckdb.connect(str(finops.database)) as db:
        db.execute("CREATE TABLE canary AS SELECT 42 AS n")

    answer = finops.aws("import-cur", "--export-name", "monthly-cur")
    out = tmp_path / f"out [a]* {SQL}"
    exported = finops.aws("export-parquet", "--out", str(out))

    assert (answer.code, exported.code) == (0, 0), answer
    assert finops.query("FROM canary") == [(42,)]
    assert _costs(finops) == {"2024-01": "1.5", "2024-02": "1", "2024-03": "1"}
    charges = "SELECT x_BillingPeriod, BilledCost::DOUBLE FROM focus.cost_and_usage ORDER BY 1"
    assert finops.query(charges) == [("2024-01", 1.5), ("2024-02", 1.0), ("2024-03", 1.0)]
    names = dict(finops.query("SELECT original, name FROM finops.column_registry"))
    for name in NAMES:
        sql = f"SELECT \"{names[name]}\" FROM aws_billing.billing WHERE billing_period = '2024-01'"
        assert finops.query(sql) == [(name,)]
        assert re.fullmatch("[a-z0-9_]+", names[name])
    assert finops.query(
        "SELECT delivery_id FROM finops.loads WHERE billing_period = '2024-01'"
    ) == [(SQL,)]
    assert len(list(out.rglob("*.parquet"))) == 3


_HEADERS = st.lists(
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r\n"), min_size=1)
    .filter(str.strip)
    .filter(lambda name: clean_column_name(name) != clean_column_name(COST)),
    max_size=8,
    unique=True,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_HEADERS)
def test_any_header_becomes_columns_and_touches_nothing_else(
    hostile_store, tmp_path, names
) -> None:
    dataset = hostile_store
    body = io.StringIO()
    csv.writer(body, lineterminator="\n").writerows([[COST, *names], ["1", *map(repr, names)]])
    path = tmp_path / "staged.csv"
    path.write_text(body.getvalue(), "utf-8", newline="")
    staged = Staged(_delivery(), ((path, LoadedFile("k", 1, "e", "s")),), tmp_path)

    replace_period(dataset, find_vendor("aws"), staged, "load")

    registry = dataset.registry()
    wanted = [registry[name].name for name in names]
    assert len({*wanted, "lineitem_unblendedcost"}) == len(names) + 1
    assert all(re.fullmatch("[a-z0-9_]+", name) for name in wanted)
    cells = query(
        dataset.db, f"SELECT {', '.join(['1', *map(identifier, wanted)])} FROM aws_billing.billing"
    )
    assert cells == [(1, *map(repr, names))]
    assert query(dataset.db, "FROM canary") == [(42,)]


@pytest.fixture
def hostile_store(tmp_path):
    (tmp_path / "store").mkdir()
    with writing(DataDir(tmp_path / "store")) as db:
        query(db, "CREATE TABLE canary AS SELECT 42 AS n")
        yield Dataset(db, Export("aws", "default", "aws", dataset="aws_billing"))


def _delivery():
    moment = datetime(2024, 2, 1, tzinfo=UTC)
    named = ("aws", "default", PERIODS[0], "id", "m", "e", moment, "v1", "csv", "none")
    return Delivery(*named, (DataFile("k", 1, "e"),))


def test_an_endpoint_that_is_no_url_is_a_setting(tmp_path):
    answer = Finops(tmp_path).aws("import-cur", "--bucket", "b", "--endpoint", "nonsense")

    assert answer.code == 78
    assert "nonsense" in answer.document["error"]["what"]


def test_parquet_columns_with_one_name_are_refused(finops, bucket):
    bucket.deliver_parquet(1, "SELECT 1::DOUBLE AS line_item_unblended_cost, 'a' AS xx, 'b' AS xy")
    (file,) = bucket.root.rglob("*.parquet")
    file.write_bytes(file.read_bytes().replace(b"xy", b"xx"))

    answer = finops.aws("import-cur")

    assert _failed(answer) == {"2024-01": "bad-file"}
    assert "same name" in answer.results[0]["error"]["what"]

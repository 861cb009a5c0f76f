"""What a person meets at the command line."""

import csv
import io
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from finops.answers.report import Report
from finops.cli import demo
from finops.config import VENDORS
from finops.vendors import find_sample
from finops.vendors.aws.sample import SampleLayout, write_sample
from tests.driver import PERIODS, Finops, expected, over_folder

ROOT = Path(__file__).parents[2]


@pytest.fixture
def january(imported, tmp_path):
    """A store of one period, and what was delivered."""
    return imported(tmp_path, periods=PERIODS[:1])


@pytest.fixture
def finops(january):
    return january[0]


@pytest.fixture
def deliveries(january):
    return january[1]


TOTAL = "SELECT count(*) AS rows, sum(lineitem_unblendedcost) AS cost FROM aws_billing.billing"


def test_sql_answers_exactly_in_every_format(finops, deliveries, tmp_path):
    rows, total = expected(deliveries)["2024-01"]

    as_csv = list(csv.DictReader(io.StringIO(finops("sql", TOTAL, "--format", "csv").out)))
    as_json = json.loads(finops("sql", TOTAL, "--format", "json").out)
    by_flag = json.loads(finops("--json", "sql", TOTAL).out)["rows"]
    file = tmp_path / "total.parquet"
    assert finops("sql", TOTAL, "--format", "parquet", "--output", str(file)).code == 0
    as_parquet = duckdb.execute(f"FROM '{file}'").fetchall()

    assert (int(as_csv[0]["rows"]), Decimal(as_csv[0]["cost"])) == (rows, total)
    assert (as_json[0]["rows"], Decimal(as_json[0]["cost"])) == (rows, total)
    assert by_flag == as_json
    assert as_parquet == [(rows, total)]
    assert f"{rows}" in finops("sql", TOTAL).out


def test_sql_reads_stdin_and_writes_files(finops, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("SELECT 'a,b' AS x"))
    answer = finops("sql", "-", "--format", "csv", "-o", str(tmp_path / "x.csv"))

    assert (answer.code, answer.out) == (0, "")
    assert (tmp_path / "x.csv").read_text() == 'x\n"a,b"\n'


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM aws_billing.billing_2024_01",
        "DROP SCHEMA aws_billing CASCADE",
        "CREATE TABLE aws_billing.x AS SELECT 1",
        "COPY (SELECT 1) TO '{tmp}/stolen.csv'",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM '{tmp}/bucket/secret.csv'",
        "ATTACH '{tmp}/other.duckdb'",
        "SET enable_external_access = true",
        "SELECT 1; SELECT 2",
        "",
        "SELECT nonsense FROM nowhere",
    ],
)
def test_sql_refuses_what_is_not_one_reading_statement(finops, deliveries, tmp_path, statement):
    (tmp_path / "bucket/secret.csv").write_text("a\n1\n")
    files = set(tmp_path.rglob("*"))

    answer = finops("sql", statement.format(tmp=tmp_path), "--format", "csv")

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error[sql]: ")
    assert set(tmp_path.rglob("*")) == files
    assert finops.loaded() == expected(deliveries)


def test_sql_without_a_database_says_what_to_do(tmp_path):
    answer = Finops(tmp_path / "none")("sql", "SELECT 1")

    assert answer.code == 74
    assert "there is no database" in answer.err
    assert "finops demo" in answer.err


def test_config_shows_every_value_with_its_source(tmp_path, monkeypatch):
    file = tmp_path / "config.toml"
    file.write_text('[aws]\nbucket = "from-file"\nendpoint = "https://me:hunter2@host"\n')
    monkeypatch.setenv("AWS_PREFIX", "from-environment")

    answer = Finops(tmp_path)("--json", "-c", str(file), "config")

    settings = {(each["section"], each["key"]): each for each in answer.document["settings"]}
    assert settings["aws", "bucket"]["value"] == "from-file"
    assert settings["aws", "bucket"]["source"] == f"{file}, line 2"
    assert settings["aws", "prefix"]["source"] == "environment AWS_PREFIX"
    assert settings["aws", "cur_version"]["source"] == "default"
    assert settings["project", "data_dir"]["source"] == "flag --data-dir"
    assert "hunter2" not in answer.out + answer.err


def test_wrong_configuration_is_exit_78_with_file_line_and_suggestion(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text('[aws]\nbuckett = "x"\n')

    answer = Finops(tmp_path)("-c", str(file), "aws", "import-cur")

    assert answer.code == 78
    assert "unknown key 'buckett' in [aws]" in answer.err
    assert f"{file}, line 2" in answer.err
    assert "did you mean 'bucket'?" in answer.err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--start-date", "2024-13"), "'2024-13' is not a billing period"),
        (("--start-date", "2024-05", "--end-date", "2024-04"), "lies after"),
        (("--export", "nobody"), "no aws export is called 'nobody'"),
    ],
)
def test_impossible_flags_are_refused_before_anything_is_touched(tmp_path, flags, said):
    finops = Finops(tmp_path / "data")

    answer = finops("aws", "import-cur", "--bucket", str(tmp_path), *flags)

    assert answer.code == 78
    assert said in answer.err
    assert not finops.data.exists()


@pytest.mark.parametrize("flags", [("--cur-version", "v2"), ("--export-format", "parquet")])
def test_a_form_that_does_not_lie_there_is_said_not_skipped(finops, flags):
    answer = finops.aws("import-cur", *flags)

    assert (answer.code, answer.document["error"]["code"]) == (78, "no-manifests")
    assert "there is v1 in csv" in answer.document["error"]["what"]


def test_an_impossible_value_names_its_source(tmp_path, monkeypatch):
    monkeypatch.setenv("FINOPS_PROJECT_KEEP_DELIVERIES", "0")

    answer = Finops(tmp_path).aws("import-cur")

    assert answer.document["error"]["where"] == "environment FINOPS_PROJECT_KEEP_DELIVERIES"


def test_no_bucket_is_explained(tmp_path):
    answer = Finops(tmp_path)("aws", "import-cur")

    assert answer.code == 78
    assert "no bucket is set" in answer.err
    assert "--bucket" in answer.err


def test_several_exports_are_imported_in_one_publication(tmp_path, seed):
    for number, name in enumerate(("one", "two")):
        write_sample(tmp_path / name, periods=PERIODS[:2], rows=200, seed=seed + number)
    file = tmp_path / "config.toml"
    file.write_text(
        '[aws]\nprefix = "cur-reports"\nexport_name = "monthly-cur"\nbucket = "./one"\n'
        '[aws.exports.second-payer]\nbucket = "./two"\n'
    )
    finops = Finops(tmp_path / "data", "-c", str(file))

    answer = finops.aws("import-cur")
    only = finops.aws("import-cur", "--export", "second-payer", "--force")

    assert [each["export"] for each in answer.results] == ["default"] * 2 + ["second-payer"] * 2
    assert {each["export"] for each in only.results} == {"second-payer"}
    for dataset in ("aws_billing", "aws_second_payer"):
        assert len(finops.loaded(dataset)) == 2


def test_one_broken_export_does_not_hold_the_others_back(tmp_path, seed):
    write_sample(tmp_path / "one", periods=PERIODS[:1], rows=200, seed=seed)
    file = tmp_path / "config.toml"
    file.write_text(
        '[aws]\nprefix = "cur-reports"\nexport_name = "monthly-cur"\nbucket = "./one"\n'
        '[aws.exports.gone]\nbucket = "./nothing"\n'
    )
    finops = Finops(tmp_path / "data", "-c", str(file))

    answer = finops.aws("import-cur")

    assert answer.code == 3
    assert [(each["export"], each["outcome"]) for each in answer.results] == [
        ("default", "loaded"),
        ("gone", "failed"),
    ]


def test_an_empty_bucket_is_said_to_be_one(tmp_path):
    (tmp_path / "bucket").mkdir()
    finops = over_folder(tmp_path / "data", tmp_path / "bucket")

    answer = finops("aws", "import-cur", *finops.flags)

    assert answer.code == 78
    assert "no manifest of monthly-cur lies under the prefix 'cur-reports'" in answer.err


def test_json_is_one_object_even_when_it_fails(tmp_path):
    answer = Finops(tmp_path).aws("import-cur", "--bucket", str(tmp_path / "nowhere"))

    assert answer.document["schema_version"] == 1
    assert answer.document["error"]["exit_code"] == answer.code == 74


def _process(*arguments, **options):
    environment = dict(os.environ, PYTHONPATH=str(ROOT / "src"))
    command = [sys.executable, "-m", "finops", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, **options
    )


def test_help_groups_the_commands():
    answer = _process("--help")

    assert answer.returncode == 0
    assert [word for word in ("Load:", "Look:", "Keep:") if word in answer.stdout] == [
        "Load:",
        "Look:",
        "Keep:",
    ]


@pytest.mark.parametrize("arguments", [[], ["aws"]])
def test_without_a_command_the_help_is_shown(arguments):
    answer = _process(*arguments)

    assert answer.returncode == 2
    assert "usage:" in answer.stdout


def test_a_closed_pipe_is_no_traceback(finops):
    script = f'"{sys.executable}" -m finops --data-dir "{finops.data}" sql --format csv'
    answer = subprocess.run(
        ["/bin/sh", "-c", f'{script} "SELECT range FROM range(200000)" | head -n 1'],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ, PYTHONPATH=str(ROOT / "src")),
    )

    assert answer.stdout == "range\n"
    assert "Traceback" not in answer.stderr


def test_a_plain_locale_is_no_crash(finops):
    environment = dict(os.environ, PYTHONPATH=str(ROOT / "src"), LC_ALL="C", PYTHONUTF8="0")
    answer = subprocess.run(
        [sys.executable, "-m", "finops", "--data-dir", str(finops.data), "sql", "SELECT 'é' AS x"],
        capture_output=True,
        check=False,
        env=environment,
    )

    assert answer.returncode == 0
    assert b"Traceback" not in answer.stderr


def test_data_files_are_for_their_owner_alone(finops):
    modes = {path: path.stat().st_mode & 0o077 for path in finops.data.rglob("*")}

    assert not any(modes.values())


def test_control_characters_from_bills_are_shown_not_obeyed(finops):
    answer = finops("sql", "SELECT chr(27) || ']52;c;x' || chr(7) AS tag")

    assert "\x1b" not in answer.out
    assert "\\x1b]52;c;x\\x07" in answer.out


def test_sample_reports_its_own_totals(tmp_path):
    flags = ("--rows", "300", "--periods", "2", "--end-date", "2024-02", "--seed", "5")
    answer = Finops(tmp_path)("sample", "aws", "--json", "--out", str(tmp_path / "b"), *flags)

    finops = over_folder(tmp_path / "data", tmp_path / "b")
    finops.aws("import-cur")

    reported = {
        each["period"]: (each["rows"], Decimal(each["totals"]["billed"]["USD"]))
        for each in answer.document["deliveries"]
    }
    assert reported == finops.loaded()


@pytest.mark.parametrize("flag", ["--rows", "--periods", "--files"])
def test_sample_refuses_less_than_one(tmp_path, flag):
    answer = Finops(tmp_path)("sample", "aws", "--out", str(tmp_path / "b"), flag, "0")

    assert answer.code == 2
    assert f"{flag} is at least 1" in answer.err


def test_demo_shows_what_it_loaded_and_what_comes_next(tmp_path):
    finops = Finops(tmp_path / "data")

    answer = finops("demo", "--rows", "300")

    assert answer.code == 0
    exports = [name for vendor in VENDORS for name in find_sample(vendor).DEMO_LAYOUTS]
    assert len(set(exports)) == len(exports)
    assert f"Loaded {3 * len(exports)} billing periods" in answer.out
    assert "Amazon Elastic Compute Cloud" in answer.out
    assert all(f"\n{vendor}/" in answer.out for vendor in VENDORS)
    assert "data/demo/data/open_finops.duckdb" in answer.out
    config = tmp_path / "data/demo/config.toml"
    again = Finops(tmp_path / "unused")("aws", "import-cur", "-c", str(config))
    assert "Nothing new" not in again.err  # --data-dir of this call is another one
    assert again.code == 0


def test_demo_answers_in_json_with_all_services_and_what_they_are_in(tmp_path):
    document = Finops(tmp_path / "data")("demo", "--rows", "300", "--json").document

    services = document["services"]
    loaded, reported = defaultdict(Decimal), defaultdict(Decimal)
    for each in document["results"]:
        for currency, total in each["totals"].items():
            loaded[currency] += Decimal(total)
    for row in services["rows"]:
        reported[row["BillingCurrency"]] += Decimal(row["BilledCost"])
    assert services["metric"] == "billed"
    assert reported == loaded
    assert {each["vendor"] for each in services["periods"]} == set(VENDORS)
    assert len({row["ProviderName"] for row in services["rows"]}) >= len(VENDORS)
    assert len({each["period"] for each in services["periods"]}) == 3
    assert services["overlaps"] == []


def test_demo_adds_up_each_provider_and_currency_alone():
    rows = [
        {"ProviderName": provider, "BillingCurrency": currency, "BilledCost": Decimal(cost)}
        for currency, provider, cost in [
            *(("EUR", "One", cost) for cost in (9, 8, 7, 6)),
            *(("USD", "Two", cost) for cost in (5, 4)),
            ("USD", "One", "0.1"),
        ]
    ]
    found = Report("services", "billed", (), rows, {}, ())

    totals = [("One", "EUR", 30), ("One", "USD", Decimal("0.1")), ("Two", "USD", 9)]
    assert demo._providers(found) == totals
    shown = [str(row["BilledCost"]) for row in demo._dearest(found).rows]
    assert shown == ["9", "8", "0.1", "5", "4"]


def test_demo_leaves_other_peoples_folders_alone(tmp_path):
    (tmp_path / "data/demo").mkdir(parents=True)
    (tmp_path / "data/demo/thesis.txt").write_text("years of work")

    answer = Finops(tmp_path / "data")("demo", "--rows", "300")

    assert answer.code == 74
    assert (tmp_path / "data/demo/thesis.txt").read_text() == "years of work"


def test_json_of_sql_hides_no_column_and_is_always_json(finops):
    statement = (
        "SELECT 1 AS a, 2 AS a, 'nan'::DOUBLE AS b, MAP {1: 'x'} AS c, 0.10::DECIMAL(9,2) AS d"
    )

    rows = finops("--json", "sql", statement).document["rows"]

    assert rows == [{"a": 1, "a_1": 2, "b": "nan", "c": "{1=x}", "d": "0.10"}]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--format", "parquet"), "needs a file"),
        (("--format", "table", "-o", "x.txt"), "is for the screen"),
        (("-o", "no/such/folder.csv"), "does not exist"),
    ],
)
def test_sql_formats_that_make_no_sense_are_refused(finops, flags, said):
    answer = finops("sql", "SELECT 1", *flags)

    assert answer.code in (2, 74)
    assert said in answer.err


def test_sql_output_follows_the_files_ending(finops, tmp_path):
    for ending in ("csv", "json", "parquet"):
        assert finops("sql", "SELECT 1 AS x", "-o", str(tmp_path / f"x.{ending}")).code == 0

    assert (tmp_path / "x.csv").read_text() == "x\n1\n"
    assert json.loads((tmp_path / "x.json").read_text()) == [{"x": 1}]
    assert duckdb.execute(f"FROM '{tmp_path}/x.parquet'").fetchall() == [(1,)]


def test_one_export_in_the_wrong_shape_does_not_hold_the_others_back(tmp_path, seed):
    v2 = SampleLayout(cur_version="v2")
    write_sample(tmp_path / "one", periods=PERIODS[:1], rows=200, seed=seed)
    write_sample(tmp_path / "two", periods=PERIODS[:1], rows=200, seed=seed)
    file = tmp_path / "config.toml"
    file.write_text(
        '[aws]\nprefix = "cur-reports"\nexport_name = "monthly-cur"\nbucket = "./one"\n'
        '[aws.exports.two]\nbucket = "./two"\n'
    )
    finops = Finops(tmp_path / "data", "-c", str(file))
    assert finops.aws("import-cur").code == 0
    write_sample(tmp_path / "one", periods=PERIODS[1:2], rows=200, seed=seed)
    write_sample(tmp_path / "three", periods=PERIODS[1:2], rows=200, seed=seed, layout=v2)
    file.write_text(file.read_text().replace("./two", "./three"))

    answer = finops.aws("import-cur")

    assert answer.code == 3
    assert [(each["export"], each["outcome"]) for each in answer.results] == [
        ("default", "loaded"),
        ("default", "unchanged"),
        ("two", "failed"),
    ]
    assert len(finops.loaded()) == 2


@pytest.mark.parametrize("form", ["csv", "json"])
def test_sql_writes_every_type_as_the_database_does(finops, form):
    statement = (
        "SELECT '2024-01-01 00:00:00+02'::TIMESTAMPTZ AS t, INTERVAL '1 month 2 days' AS i,"
        " 'a\\xFF'::BLOB AS b, 0.1::FLOAT AS f, [1, 2] AS l, 'infinity'::TIMESTAMP AS e -- end"
    )

    answer = finops("sql", statement, "--format", form)

    assert answer.code == 0
    for text in ("2023-12-31 22:00:00+00", "1 month 2 days", "xFF", "0.1", "[1, 2]"):
        assert text in answer.out


def test_sql_keeps_the_order_of_rows_when_it_has_to_wrap(finops):
    statement = "SELECT i, i AS i FROM range(5000) t(i) ORDER BY i DESC"

    rows = finops("--json", "sql", statement).document["rows"]

    assert [row["i"] for row in rows] == list(range(4999, -1, -1))


def test_a_wide_answer_shows_one_column_per_line_and_cuts_nothing(finops, deliveries):
    answer = finops("sql", "SELECT * FROM aws_billing.billing LIMIT 2")

    assert answer.out.count("─ row ") == 2
    ((identity,),) = finops.query("SELECT identity_lineitemid FROM aws_billing.billing LIMIT 1")
    assert identity in answer.out


def test_a_long_table_says_that_it_is_cut_and_how_to_get_all(finops):
    answer = finops("sql", "SELECT range AS number FROM range(300000000)")

    assert len(answer.out.splitlines()) == 1002
    assert "only the first 1,000 rows are shown" in answer.err


def test_amounts_are_whole_on_a_narrow_terminal(finops):
    primary, secondary = pty.openpty()
    environment = dict(os.environ, PYTHONPATH=str(ROOT / "src"), COLUMNS="60", TERM="xterm")
    command = ["-m", "finops", "--data-dir", str(finops.data), "aws", "list-manifests"]
    subprocess.run(
        [sys.executable, *command, *finops.flags], stdout=secondary, check=True, env=environment
    )
    os.close(secondary)
    shown = os.read(primary, 100_000).decode()

    ((total,),) = finops.query("SELECT sum(lineitem_unblendedcost) FROM aws_billing.billing")
    assert f"{total.normalize():,f} USD" in shown
    assert "delivery" not in shown


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_at_once_and_loses_nothing(tmp_path, seed, number, code):
    write_sample(tmp_path / "bucket", periods=PERIODS, rows=20_000, seed=seed)
    finops = over_folder(tmp_path / "data", tmp_path / "bucket")
    environment = dict(os.environ, PYTHONPATH=str(ROOT / "src"))
    command = [sys.executable, "-m", "finops", "--data-dir", str(finops.data), "aws", "import-cur"]
    with subprocess.Popen(
        [*command, *finops.flags], stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        while not (finops.data / "open_finops.next.duckdb").exists():
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(number)
        _, err = process.communicate()

    assert (process.returncode, err.count(b"Traceback")) == (code, 0)
    assert b"run again to go on" in err
    assert finops.aws("import-cur").code == 0
    assert finops.aws("show-state").document["runs"][1]["exit_code"] == 130


def test_sigterm_is_told_from_ctrl_c_even_inside_compiled_text(tmp_path):
    (tmp_path / "stopped.py").write_text(
        "import sys\nfrom finops.cli import keep, main\n"
        "keep.config = lambda *_: exec('import os; os.kill(os.getpid(), 15); list(range(10**6))')\n"
        "sys.exit(main(['config']))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-m", "stopped"],
        capture_output=True,
        check=False,
        env=dict(os.environ, PYTHONPATH=f"{ROOT / 'src'}:{tmp_path}"),
    )

    assert answer.returncode == 143


def test_a_full_disk_under_stdout_is_said_in_one_line():
    with Path("/dev/full").open("w") as full:
        answer = subprocess.run(
            [sys.executable, "-m", "finops", "--json", "config"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=dict(os.environ, PYTHONPATH=str(ROOT / "src")),
        )

    assert answer.returncode == 74
    assert answer.stderr.startswith("error[local]: stdout cannot be written")
    assert "Traceback" not in answer.stderr


def test_without_the_extra_the_line_that_installs_it_is_shown(tmp_path, monkeypatch):
    monkeypatch.setattr("finops.storage.remote.find_spec", lambda _name: None)

    answer = Finops(tmp_path).aws("import-cur", "--bucket", "my-bucket")

    assert answer.code == 74
    assert answer.document["error"]["code"] == "missing-extra"
    assert "pip install" in answer.document["error"]["do"]


def test_a_wrong_flag_is_json_too(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["finops", "--json", "bogus"])

    answer = Finops(Path("unused"))("--json", "bogus")

    assert (answer.code, answer.document["error"]["code"]) == (2, "usage")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("demo", "--rows", "300", "--data-dir", "/dev/null"), 74),
        (("sql", "SELECT 1", "-o", "/proc/x.csv"), 74),
        (("aws", "import-cur", "--bucket", "/etc/passwd"), 74),
        (("sample", "aws", "--out", "b", "--export-name", "../../evil"), 2),
        (("sample", "aws", "--out", "b", "--prefix", "../evil"), 2),
        (("aws", "show-state", "--export", "nope"), 78),
    ],
)
def test_impossible_places_are_no_crash(finops, arguments, code):
    answer = finops(*arguments)

    assert answer.code == code
    assert "error[unexpected]" not in answer.err


def test_dry_run_with_force_shows_what_would_be_loaded_again(finops):
    assert set(finops.aws("import-cur", "--dry-run").outcomes.values()) == {"unchanged"}

    answer = finops.aws("import-cur", "--dry-run", "--force")

    assert set(answer.outcomes.values()) == {"discovered"}


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ValueError("odd\x1b"), 1, "error[unexpected]: ValueError: odd\\x1b"),
        (OSError(28, "No space left on device", "/x"), 74, "error[local]: No space left"),
        (sqlite3.OperationalError("database or disk is full"), 74, "error[state]"),
        (duckdb.IOException("Async write failed"), 74, "error[database]"),
        (MemoryError(), 74, "error[local]: there is not enough memory"),
    ],
)
def test_what_others_raise_is_explained_without_a_traceback(
    tmp_path, monkeypatch, error, code, said
):
    def fail(*_arguments):
        raise error

    monkeypatch.setattr("finops.cli.keep.config", fail)

    answer = Finops(tmp_path)("config")
    debugged = Finops(tmp_path)("config", "--debug")

    assert answer.code == code
    assert said in answer.err
    assert "  do: " in answer.err
    assert "Traceback" not in answer.err
    assert "Traceback" in debugged.err


WIDE_AT = "\N{FULLWIDTH COMMERCIAL AT}"
FORMULAS = [
    "=1+1",
    "+cmd|'x'!A1",
    "-2+3",
    "@SUM(A1)",
    "\tx",
    "\r=x",
    "  =x",
    "\u00a0=x",
    "\ufeff=x",
    " \t x",
]
FORMULAS += [
    "\N{FULLWIDTH EQUALS SIGN}1+1",
    "\N{FULLWIDTH PLUS SIGN}1",
    "\N{FULLWIDTH HYPHEN-MINUS}1",
    "\N{FULLWIDTH COMMERCIAL AT}x",
    "-",
    "--1",
    "-1,000",
    "+1 2",
    "=",
    "-\u0663",
]
HARMLESS = [
    "-12.5",
    "+3",
    "-.5",
    "-1E-7",
    "1-2",
    "a=b",
    " x",
    "",
    "'=x",
    "x\t=1",
    "user@host",
    "\N{EN DASH}1",
]


@pytest.mark.parametrize("to_file", [False, True])
def test_no_cell_of_csv_is_a_formula_unless_asked_for(finops, tmp_path, to_file):
    def sql(*flags):
        into = ("-o", str(tmp_path / "x.csv")) if to_file else ("--format", "csv")
        answer = finops("sql", statement, *into, *flags)
        assert answer.code == 0, answer.err
        text = (tmp_path / "x.csv").read_bytes().decode() if to_file else answer.out
        return list(csv.reader(io.StringIO(text, newline="")))

    quoted = [f"'{text.replace(chr(39), 2 * chr(39))}'" for text in [*FORMULAS, *HARMLESS]]
    cells = ", ".join(f"{text} AS c{number}" for number, text in enumerate(quoted))
    statement = f'SELECT {cells}, -12.5 AS "=n", -1.5::DOUBLE AS "-1", 1 AS "{WIDE_AT}"'

    titles, cells = sql()
    raw_titles, raw_cells = sql("--raw")

    assert cells == [*(f"'{text}" for text in FORMULAS), *HARMLESS, "-12.5", "-1.5", "1"]
    assert raw_cells == [*FORMULAS, *HARMLESS, "-12.5", "-1.5", "1"]
    assert (titles[-3:], raw_titles[-3:]) == (["'=n", "-1", f"'{WIDE_AT}"], ["=n", "-1", WIDE_AT])


def test_formulas_are_left_alone_where_no_spreadsheet_guesses(finops, tmp_path):
    statement = "SELECT '=1' AS \"=t\", -1 AS n"
    file = tmp_path / "x.parquet"

    assert json.loads(finops("sql", statement, "--format", "json").out) == [{"=t": "=1", "n": -1}]
    assert finops("sql", statement, "-o", str(file)).code == 0
    with duckdb.connect() as db:
        assert db.execute(f"SELECT \"=t\", n FROM '{file}'").fetchall() == [("=1", -1)]
    assert finops("sql", statement, "--format", "json", "--raw").code == 2

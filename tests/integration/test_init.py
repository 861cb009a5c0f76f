"""``finops init``: the file that it writes means what was given, and replaces no other."""

import os
import pty
import stat
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.config import EXPORT_KEYS, VENDORS, check_flags, export_keys, load_config
from finops.errors import ConfigError
from finops.upkeep.init import config_text, write_config
from finops.vendors.aws.sample import write_sample
from tests.driver import PERIODS, Finops

ROOT = Path(__file__).parents[2]
TEXT_KEYS = ("prefix", "export_name", "region", "profile", "endpoint")
text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(TEXT_KEYS, text)))
def test_the_file_says_what_was_given_whatever_it_is(values):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "config.toml")
        write_config(file, values)
        (export,) = load_config(file, {}, {}).exports

        assert export == check_flags("aws", values)


@given(text)
def test_any_bucket_is_written_or_refused(bucket):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "config.toml")
        try:
            wanted = check_flags("aws", {"bucket": bucket}).bucket
        except ConfigError:
            return
        write_config(file, {"bucket": bucket})
        (export,) = load_config(file, {}, {}).exports

        is_folder = "/" in wanted and "://" not in wanted
        assert export.bucket == (str(Path.cwd() / wanted) if is_folder else wanted)


def test_the_example_is_what_init_writes():
    examples = {key.name: key.example for key in EXPORT_KEYS[:3]}

    assert (ROOT / "config.toml.example").read_text() == config_text(examples)


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_vendor_can_come_first_and_shows_all_its_keys(here, vendor):
    answer = Finops(here / "data")("init", vendor, "--prefix", "p", "--json")
    text = Path("config.toml").read_text()
    (export,) = load_config(None, {}, {}).exports

    assert (answer.code, export.vendor, export.prefix) == (0, vendor, "p")
    section = text.partition(f"\n[{vendor}]")[2].partition("\n\n")[0]
    assert [line.split()[line.startswith("#")] for line in section.splitlines()[1:]] == [
        key.name for key in export_keys(vendor)
    ]
    assert f'dataset = "{vendor}_billing"' in section
    assert [other for other in VENDORS if f"\n# [{other}]" in text] == [
        other for other in VENDORS if other != vendor
    ]


def test_a_flag_of_another_vendor_is_refused(here):
    answer = Finops(here / "data")("init", "azure", "--cur-version", "v1")

    assert (answer.code, list(here.iterdir())) == (2, [])
    assert "exports of azure have no --cur-version" in answer.err


def test_every_choice_and_date_is_written(here):
    flags = "--cur-version v2 --export-format parquet --table-strategy single"
    dates = "--start-date 2024-01 --end-date 2024-03"
    limits = "--keep-periods 13 --memory-limit 2GB --temp-dir spill"

    answer = Finops(here / "store")("init", *flags.split(), *dates.split(), *limits.split())
    config = load_config(None, {}, {})
    (export,) = config.exports

    assert answer.code == 0
    assert (export.cur_version, export.export_format, export.table_strategy) == (
        "v2",
        "parquet",
        "single",
    )
    assert (str(export.start_date), str(export.end_date)) == ("2024-01", "2024-03")
    assert (config.keep_periods, config.memory_limit) == (13, "2GB")
    assert config.data_dir.resolve() == here / "store"
    assert config.temp_dir == Path("spill")


def test_it_is_for_its_owner_alone_and_says_what_comes_next(here):
    answer = Finops(here / "data")("init", "-c", "my bills.toml", "--bucket", "b")

    assert stat.S_IMODE((here / "my bills.toml").stat().st_mode) == 0o600
    assert answer.out.index("doctor") < answer.out.index("aws import-cur")
    assert answer.out.count("finops -c 'my bills.toml' ") == 2
    assert Finops(here / "data")("init", "-c", "b.toml", "--json").document["written"] == "b.toml"


def test_import_works_with_what_init_wrote_in_another_folder(here, seed):
    (here / "etc").mkdir()
    deliveries = write_sample(here / "bucket", periods=PERIODS[:1], rows=200, seed=seed)
    file = here / "etc/finops.toml"
    where = ("--bucket", "./bucket", "--prefix", "cur-reports", "--export-name", "monthly-cur")

    Finops(Path("store"))("init", "-c", str(file), "--temp-dir", "spill", *where)
    written = tomllib.loads(file.read_text())
    answer = Finops(Path("store"))("aws", "import-cur", "-c", str(file), "--json")

    assert written["project"]["data_dir"] == str(here / "store")
    assert written["project"]["temp_dir"] == str(here / "spill")
    assert answer.results[0]["rows"] == deliveries[0].rows


def test_its_mode_does_not_hang_on_the_callers_umask(here):
    before = os.umask(0)
    try:
        write_config(Path("config.toml"), {})
    finally:
        os.umask(before)

    assert stat.S_IMODE((here / "config.toml").stat().st_mode) == 0o600


@pytest.mark.parametrize("link", [False, True])
def test_no_file_is_ever_replaced(here, link):
    file = here / "config.toml"
    file.symlink_to("nowhere") if link else file.write_text("mine = true")

    answer = Finops(here / "data")("init", "--json")

    assert (answer.code, answer.document["error"]["code"]) == (74, "exists")
    assert "-c FILE" in answer.document["error"]["do"]
    assert file.is_symlink() if link else file.read_text() == "mine = true"
    assert not (here / "nowhere").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--start-date", "2024-13"), 78, "'2024-13' is not a billing period"),
        (("--start-date", "2024-03", "--end-date", "2024-02"), 78, "lies after"),
        (("--data-dir", "~nobody-of-that-name/x"), 78, "nobody-of-that-name"),
        (("--prefix", "caf\udce9"), 2, "is not UTF-8"),
        (("-c", "no/such/folder.toml"), 74, "cannot be written: No such file"),
        (("-c", "/dev/null/x.toml"), 74, "cannot be written: Not a directory"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(here, arguments, code, said):
    answer = Finops(here / "data")("init", *arguments)

    assert answer.code == code
    assert said in answer.err
    assert not list(here.iterdir())


def _on_a_terminal(folder, typed, *arguments):
    primary, secondary = pty.openpty()
    os.write(primary, typed)
    answer = subprocess.run(
        [sys.executable, "-m", "finops", "init", *arguments],
        cwd=folder,
        stdin=secondary,
        stdout=subprocess.PIPE,
        stderr=secondary,
        env=dict(os.environ, PYTHONPATH=str(ROOT / "src")),
        check=False,
    )
    os.close(secondary)
    shown = os.read(primary, 100_000).decode()
    os.close(primary)
    return answer, shown


def test_on_a_terminal_it_asks_and_enter_keeps_the_default(here):
    typed = b'my "bucket"\n\nmonthly\\cur\nevery\n\n'

    answer, shown = _on_a_terminal(here, typed)
    (export,) = load_config(here / "config.toml", {}, {}).exports

    assert answer.returncode == 0
    assert (export.bucket, export.prefix) == ('my "bucket"', "")
    assert (export.export_name, export.table_strategy) == ("monthly\\cur", "separate")
    assert shown.count("(separate, single) [separate]: ") == 2
    assert b"bucket: " not in answer.stdout


def test_what_a_flag_says_is_not_asked(here):
    answer, shown = _on_a_terminal(here, b"p\nn\nsingle\n", "--bucket", "b")
    (export,) = load_config(here / "config.toml", {}, {}).exports

    assert (answer.returncode, "bucket: " in shown) == (0, False)
    assert (export.bucket, export.prefix, export.export_name) == ("b", "p", "n")
    assert export.table_strategy == "single"


def test_ctrl_d_writes_nothing(here):
    answer, _ = _on_a_terminal(here, b"b\n\x04")

    assert answer.returncode == 130
    assert not list(here.iterdir())

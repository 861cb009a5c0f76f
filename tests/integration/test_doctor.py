"""``finops doctor``: what it says is so, what fails says what to do, and nothing is touched."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections import namedtuple
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import boto3
import duckdb
import pytest

from finops.config import load_config
from finops.run import start_run
from finops.schema import schema_scripts
from finops.upkeep.doctor import examine
from finops.vendors.aws.sample import SampleLayout, write_sample
from tests.driver import PERIODS, Finops, over_folder, upload

ROOT = Path(__file__).parents[2]
ALL = ["versions", "configuration", "aws/default", "data folder", "database", "overlaps", "state"]
ALL += ["staging", "disk", "memory"]
V2 = SampleLayout(cur_version="v2", export_format="parquet", export_name="data-export")


@pytest.fixture
def deliveries(tmp_path, seed):
    return write_sample(tmp_path / "bucket", periods=PERIODS, rows=200, seed=seed)


@pytest.fixture
def finops(tmp_path, deliveries):
    return over_folder(tmp_path / "data", tmp_path / "bucket")


@pytest.fixture
def loaded(imported, tmp_path):
    return imported(tmp_path)[0]


def examined(finops, *flags):
    """Return the exit code and every check by its subject."""
    answer = finops("doctor", "--json", *(flags or finops.flags))
    assert answer.err == ""
    return answer.code, {check["subject"]: check for check in answer.document["checks"]}


def troubles(checks):
    return {name: check["verdict"] for name, check in checks.items() if check["verdict"] != "ok"}


def files(folder):
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def size(count):
    return f"{count / 1e6:,.1f} MB"


def test_before_the_first_import_it_says_what_there_is_to_load(finops, deliveries):
    code, checks = examined(finops)

    assert (code, list(checks), troubles(checks)) == (0, ALL, {})
    (line,) = checks["aws/default"]["lines"]
    assert line.startswith("monthly-cur under 'cur-reports': v1, csv, 2024-01 to 2024-03, deliv")
    assert duckdb.__version__ in checks["versions"]["detail"]
    assert "yet to be made" in checks["data folder"]["detail"]
    to_load = size(sum(each.bytes for each in deliveries))
    assert checks["disk"]["detail"].endswith(f"of it {to_load} to download")


def test_after_the_import_it_says_what_is_loaded(loaded):
    code, checks = examined(loaded)

    assert (code, troubles(checks)) == (0, {})
    store = loaded.database.stat().st_size
    schema = len(schema_scripts("store"))
    assert checks["database"]["detail"] == f"3 billing periods, {size(store)}, schema {schema}"
    assert checks["state"]["detail"] == "no run works now, the latest was finished, 3 loaded"
    staged = sum(path.stat().st_size for path in loaded.data.glob("staging/**/*.*"))
    assert checks["staging"]["detail"] == size(staged)
    assert f"needs up to {size(2 * store)}, of it 0.0 MB" in checks["disk"]["detail"]


@pytest.mark.parametrize(
    ("bucket", "packages"),
    [
        ("s3://bills", ["boto3"]),
        ("az://bills/bills", ["azure-storage-blob", "azure-identity"]),
        ("gs://bills", ["google-cloud-storage"]),
        ("./bills", []),
    ],
)
def test_it_tells_the_version_of_what_the_buckets_are_reached_with(tmp_path, bucket, packages):
    file = tmp_path / "config.toml"
    file.write_text(f'[azure]\nbucket = "{bucket}"\n')

    versions = next(examine(lambda: load_config(file, {}, {})))

    told = versions.detail.partition("duckdb ")[2].split(", ")[1:]
    assert [each.split()[0] for each in told] == packages


def test_the_limits_that_are_configured_are_shown(finops):
    _, checks = examined(finops, *finops.flags, "--memory-limit", "1GiB", "--threads", "3")

    assert checks["memory"]["detail"] == "duckdb takes up to 1.0 GiB and 3 threads"


def test_nothing_is_left_behind_and_nothing_made(finops, tmp_path):
    examined(finops)
    assert not finops.data.exists()
    finops.aws("import-cur")
    before = files(tmp_path)

    examined(finops)

    assert files(tmp_path) == before


def test_people_read_it_line_by_line(loaded):
    answer = loaded("doctor", *loaded.flags, "--export-name", "nope")

    assert answer.code == 78
    assert "failed   aws/default        no manifest of nope lies under" in answer.out
    assert "\n" + " " * 28 + "do: in [aws] set prefix = 'cur-reports', export_name" in answer.out
    assert answer.out.endswith("9 ok, 1 failed\n")


@pytest.mark.parametrize(
    ("flags", "code", "do"),
    [
        ("--prefix cur-reports --export-name nope", "no-manifests", "export_name = 'data-export'"),
        ("--export-name monthly-cur", "no-manifests", "prefix = 'cur-reports', export_name = 'mon"),
        ("--prefix cur-reports", "several-exports", "--export-name 'data-export'"),
        ("--prefix cur-reports --export-name monthly-cur --cur-version v2", "no-manifests", "auto"),
    ],
)
def test_it_says_which_exports_lie_there_and_which_to_choose(
    tmp_path, finops, seed, flags, code, do
):
    write_sample(tmp_path / "bucket", periods=PERIODS[1:], rows=200, seed=seed, layout=V2)

    exit_code, checks = examined(finops, "--bucket", str(tmp_path / "bucket"), *flags.split())
    check = checks["aws/default"]

    assert (exit_code, check["error"]["code"]) == (78, code)
    assert do in check["do"]
    assert [line.partition(", deliv")[0] for line in check["lines"]] == [
        "data-export under 'cur-reports': v2, parquet, 2024-02 to 2024-03",
        "monthly-cur under 'cur-reports': v1, csv, 2024-01 to 2024-03",
    ]


def test_an_unreadable_manifest_is_named_and_the_export_still_shown(finops, tmp_path):
    for manifest in (tmp_path / "bucket").rglob("20240301*/**/*Manifest.json"):
        manifest.write_text("{")

    code, checks = examined(finops)

    assert (code, checks["aws/default"]["error"]["code"]) == (65, "bad-manifest")
    assert "20240301-20240401" in checks["aws/default"]["error"]["where"]
    assert ": v1, unreadable, 2024-01 to 2024-03" in checks["aws/default"]["lines"][0]


def test_one_export_that_fails_keeps_nothing_from_being_looked_at(tmp_path, finops):
    file = tmp_path / "config.toml"
    file.write_text(
        '[aws]\nprefix = "cur-reports"\nexport_name = "monthly-cur"\nbucket = "./nothing"\n'
        '[aws.exports.second-payer]\nbucket = "./bucket"\n'
    )

    code, checks = examined(finops, "-c", str(file))
    only, of_one = examined(finops, "-c", str(file), "--export", "second-payer")

    assert (code, checks["aws/default"]["error"]["code"]) == (74, "no-folder")
    assert len(checks["aws/second-payer"]["lines"]) == 1
    assert troubles(checks) == {"aws/default": "failed"}
    assert (only, "aws/default" in of_one) == (0, False)


@pytest.mark.parametrize(
    ("text", "flags", "code", "do"),
    [
        ('[aws]\nbukcet = "x"\n', (), "unknown-key", "'bucket'"),
        ("", ("--export", "nope"), "config", "configured are: aws/default"),
    ],
)
def test_a_wrong_configuration_is_a_failed_check(tmp_path, text, flags, code, do):
    (tmp_path / "config.toml").write_text(text)

    exit_code, checks = examined(
        Finops(tmp_path / "data"), "-c", str(tmp_path / "config.toml"), *flags
    )

    assert (exit_code, checks["configuration"]["error"]["code"]) == (78, code)
    assert do in checks["configuration"]["do"]


def test_without_any_configuration_it_sends_to_init(tmp_path):
    code, checks = examined(Finops(tmp_path / "data"), "--region", "eu-central-1")

    assert (code, troubles(checks)) == (78, {"aws/default": "failed"})
    assert "finops init" in checks["aws/default"]["do"]
    assert checks["configuration"]["detail"] == "no file; exports: aws/default"


def test_of_several_failures_the_gravest_gives_the_exit_code(tmp_path):
    (tmp_path / "data").write_text("a file")
    (tmp_path / "empty").mkdir()
    file = tmp_path / "config.toml"
    file.write_text(
        '[aws]\nprefix = "p"\nbucket = "./nothing"\n[aws.exports.two]\nbucket = "./empty"\n'
    )

    code, checks = examined(Finops(tmp_path / "data"), "-c", str(file))

    codes = {name: check["error"]["exit_code"] for name, check in checks.items() if check["error"]}
    assert codes == {"aws/default": 74, "aws/two": 78, "data folder": 74}
    assert code == 78


def test_a_bucket_in_s3_is_listed_and_read(bucket, s3_endpoint, finops, tmp_path):
    upload(tmp_path / "bucket", bucket)
    before = bucket.client.list_objects_v2(Bucket=bucket.name)["Contents"]
    place = ("--endpoint", s3_endpoint, "--prefix", "cur-reports", "--bucket")

    code, checks = examined(finops, *place, bucket.name)
    nowhere, none = examined(finops, *place, "no-such-bucket")

    assert (code, checks["aws/default"]["detail"]) == (0, f"s3://{bucket.name}")
    assert checks["aws/default"]["lines"][0].startswith("monthly-cur under 'cur-reports': v1, csv")
    assert bucket.client.list_objects_v2(Bucket=bucket.name)["Contents"] == before
    assert (nowhere, none["aws/default"]["detail"]) == (78, "the bucket does not exist")


def test_no_credentials_are_said_to_be_missing(finops, s3_endpoint):
    code, checks = examined(finops, "--bucket", "some-bucket", "--endpoint", s3_endpoint)

    assert (code, checks["aws/default"]["error"]["code"]) == (77, "access")
    assert "aws sso login" in checks["aws/default"]["do"]


@pytest.fixture
def credentials_are_checked(s3_endpoint):
    """Let the S3 server look at who asks, as AWS does."""

    def allowed_without(requests):
        with closing(HTTPConnection(s3_endpoint.removeprefix("http://"))) as server:
            server.request("POST", "/moto-api/reset-auth", requests)
            assert server.getresponse().status == 200

    yield lambda: allowed_without("0")
    allowed_without("inf")


def test_wrong_credentials_are_said_to_be_refused(
    bucket, s3_endpoint, finops, tmp_path, credentials_are_checked
):
    upload(tmp_path / "bucket", bucket)
    credentials_are_checked()

    code, checks = examined(finops, "--bucket", bucket.name, "--endpoint", s3_endpoint)

    assert (code, troubles(checks)) == (77, {"aws/default": "failed"})
    assert "s3:ListBucket and s3:GetObject" in checks["aws/default"]["do"]
    assert checks["aws/default"]["error"]["where"] == f"s3://{bucket.name}/"


def test_who_may_list_but_not_read_is_refused(
    bucket, s3_endpoint, finops, tmp_path, credentials_are_checked, monkeypatch
):
    upload(tmp_path / "bucket", bucket)
    statement = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    with closing(boto3.client("iam", endpoint_url=s3_endpoint)) as iam:
        iam.create_user(UserName="lister")
        iam.put_user_policy(UserName="lister", PolicyName="list", PolicyDocument=policy)
        key = iam.create_access_key(UserName="lister")["AccessKey"]
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    credentials_are_checked()

    code, checks = examined(finops, "--bucket", bucket.name, "--endpoint", s3_endpoint)

    assert (code, troubles(checks)) == (77, {"aws/default": "failed"})
    assert checks["aws/default"]["error"]["where"].endswith("Manifest.json")


def test_a_profile_that_is_not_there_is_named(finops):
    code, checks = examined(finops, "--bucket", "some-bucket", "--profile", "nobodys")

    assert code == 77
    assert "nobodys" in checks["aws/default"]["detail"]


def test_a_storage_that_does_not_answer_stops_no_other_check_and_shows_no_secret(
    finops, monkeypatch
):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIASECRET")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://joe:pass-word@127.0.0.1:{taken.getsockname()[1]}"

        answer = finops("doctor", "--json", "--bucket", "some-bucket", "--endpoint", endpoint)
        shown = finops("doctor", "--bucket", "some-bucket", "--endpoint", endpoint)

    checks = {check["subject"]: check for check in answer.document["checks"]}
    assert (answer.code, troubles(checks)) == (69, {"aws/default": "failed"})
    for secret in ("AKIASECRET", "hush-hush", "pass-word"):
        assert secret not in answer.out + answer.err + shown.out + shown.err


def test_without_the_extra_the_line_that_installs_it_is_shown(finops, monkeypatch):
    monkeypatch.setattr("finops.storage.remote.find_spec", lambda _name: None)

    code, checks = examined(finops, "--bucket", "some-bucket")

    assert (code, checks["aws/default"]["error"]["code"]) == (74, "missing-extra")
    assert checks["aws/default"]["do"] == "pip install 'open-finops[aws]'"


@pytest.mark.parametrize("place", ["a-file", "a-file/below", "/proc/x"])
def test_a_data_folder_that_cannot_be_written_is_a_failure(tmp_path, finops, place):
    (tmp_path / "a-file").write_text("mine")
    impossible = over_folder(tmp_path / place, tmp_path / "bucket")

    code, checks = examined(impossible)

    assert (code, troubles(checks)["data folder"]) == (74, "failed")
    assert "rights" in checks["data folder"]["do"]
    assert (tmp_path / "a-file").read_text() == "mine"


def test_a_data_folder_that_others_may_read_is_a_warning(loaded):
    loaded.data.chmod(0o755)

    code, checks = examined(loaded)

    assert (code, troubles(checks)) == (0, {"data folder": "warning"})
    assert checks["data folder"]["do"].startswith(f"chmod go= '{loaded.data}'")


def test_a_network_file_system_is_a_warning(loaded, monkeypatch):
    df = [shutil.which("df") or "df", "--output=fstype", str(loaded.data)]
    told = subprocess.run(df, capture_output=True, text=True, check=False)
    if told.returncode or not Path("/proc/self/mounts").exists():
        pytest.skip("only Linux tells the type of a file system")
    kind = told.stdout.split()[-1]
    assert f", on {kind}" in examined(loaded)[1]["data folder"]["detail"]

    monkeypatch.setattr("finops.upkeep.doctor._NETWORKS", {kind})

    assert troubles(examined(loaded)[1]) == {"data folder": "warning"}


def test_a_store_that_cannot_be_opened_is_a_failure(loaded):
    loaded.database.write_bytes(b"no database" * 1000)

    code, checks = examined(loaded)

    assert (code, troubles(checks)) == (74, {"database": "failed"})
    assert "made anew" in checks["database"]["do"]


@pytest.mark.parametrize("strategy", ["separate", "single"])
def test_a_table_that_was_dropped_is_named_and_the_remedy_works(finops, strategy):
    finops.flags += ("--table-strategy", strategy)
    finops.aws("import-cur")
    table = "billing_2024_02" if strategy == "separate" else "billing_data"
    with duckdb.connect(str(finops.database)) as db:
        db.execute(f"DROP TABLE aws_billing.{table}")

    code, checks = examined(finops)

    assert (code, troubles(checks)) == (74, {"database": "failed"})
    assert checks["database"]["error"]["code"] == "missing-table"
    gone = ["default 2024-02"] if strategy == "separate" else [f"default {p}" for p in PERIODS]
    assert all(period in checks["database"]["detail"] for period in gone)
    assert "import-cur --force" in checks["database"]["do"]
    assert "rebuild" in checks["database"]["do"]
    assert finops.aws("import-cur", "--force").code == 0
    assert troubles(examined(finops)[1]) == {}


def test_a_state_that_cannot_be_opened_is_a_failure(loaded):
    (loaded.data / "state.db").write_bytes(b"no database" * 1000)

    code, checks = examined(loaded)

    assert (code, troubles(checks)) == (74, {"state": "failed"})
    assert "move state.db away" in checks["state"]["do"]


def test_too_little_disk_is_a_warning_and_then_a_failure(loaded, monkeypatch):
    store = loaded.database.stat().st_size
    usage = namedtuple("usage", "free")

    def verdicts(free):
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(free))
        code, checks = examined(loaded)
        return code, troubles(checks)

    assert verdicts(2 * store) == (0, {})
    assert verdicts(2 * store - 1) == (0, {"disk": "warning"})
    assert verdicts(store - 1) == (74, {"disk": "failed"})


def test_a_run_that_works_is_named_and_not_disturbed(loaded):
    config = load_config(None, {}, {"data_dir": str(loaded.data)})
    with start_run(config, "aws import-cur") as run:
        code, checks = examined(loaded)

        assert (code, troubles(checks)) == (0, {})
        assert checks["state"]["detail"] == (
            f"at work: process {os.getpid()}, run {run.run_id}, aws import-cur, 3 loaded"
        )
        run.state.finish_run(run.run_id, 0, "done")
    assert "no run works now" in examined(loaded)[1]["state"]["detail"]


def test_runs_and_doctors_are_in_nobodys_way(finops):
    environment = dict(os.environ, PYTHONPATH=str(ROOT / "src"))
    command = [sys.executable, "-m", "finops", "--data-dir", str(finops.data)]
    command += ["aws", "import-cur", "-q", "--force", *finops.flags]
    codes = []
    for _ in range(3):
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as importing:
            while importing.poll() is None:
                codes.append(examined(finops)[0])
        codes.append(importing.returncode)

    assert set(codes) == {0}


def test_a_killed_run_is_a_warning_until_the_next(finops):
    environment = dict(os.environ, PYTHONPATH=str(ROOT / "src"), FINOPS_FAULT="loading")
    command = [sys.executable, "-m", "finops", "--data-dir", str(finops.data)]
    killed = subprocess.run(
        [*command, "aws", "import-cur", *finops.flags], env=environment, check=False
    )
    assert killed.returncode == -signal.SIGKILL

    code, checks = examined(finops)

    assert (code, troubles(checks)) == (0, {"state": "warning"})
    assert checks["state"]["detail"] == (
        "no run works now, the latest was killed, 1 loading, 2 staged"
    )
    assert "import-cur" in checks["state"]["do"]
    assert finops.aws("import-cur").code == 0
    assert troubles(examined(finops)[1]) == {}


def test_a_lookup_that_an_import_would_refuse_fails_here_too(finops, tmp_path):
    (tmp_path / "accounts.csv").write_text("account,name\n", encoding="utf-8")

    code, checks = examined(
        finops, *finops.flags, "--account-names", str(tmp_path / "accounts.csv")
    )

    assert (code, troubles(checks)) == (78, {"configuration": "failed"})
    assert "account_id,name" in checks["configuration"]["detail"]

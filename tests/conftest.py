"""What every test may rely on: no network, nobody's own settings, servers on this machine."""

import contextlib
import os
import socket
import sys
import uuid
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import hypothesis
import pytest
from botocore.config import Config

from tests.servers import azurite, gcs, postgresql, process
from tests.servers import bigquery as emulator

SAMPLES = Path(__file__).parents[2] / "shared" / "samples"
PERSONAL = ("AWS_", "AZURE_", "BIGQUERY_", "CLOUDSDK_", "GOOGLE_", "PG", "FINOPS_", "STORAGE_")
PERSONAL += ("COLUMNS", "FORCE_COLOR", "NO_COLOR")
LOOPBACK = ("127.", "::1", "localhost")
INSTALLED_BY_FIRST_USE = {"azure", "postgres", "bigquery", "validator_python"}

# A busy machine is not a bug.
hypothesis.settings.register_profile("finops", deadline=None)
hypothesis.settings.load_profile("finops")


class Bucket(NamedTuple):
    """A boto3 client and the name of an empty bucket that only this test knows."""

    client: Any
    name: str


def pytest_addoption(parser):
    parser.addoption("--require-all", action="store_true", help="fail if a test is left out")


def pytest_collection_modifyitems(items):
    for item in items:
        if not INSTALLED_BY_FIRST_USE.isdisjoint(item.fixturenames):
            item.add_marker(pytest.mark.timeout(900))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
    if hasattr(session.config, "workerinput"):  # one of several processes: the first one judges
        return
    if session.config.option.require_all and _left_out(session.config) and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    if reasons := _left_out(config):
        verdict = ", and --require-all forbids it" if config.option.require_all else ""
        terminalreporter.section(f"left out{verdict}")
        for reason, tests in reasons.most_common():
            terminalreporter.line(f"{tests} x {reason}")


def _left_out(config):
    skipped = config.pluginmanager.getplugin("terminalreporter").stats.get("skipped", [])
    return Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)


@pytest.fixture(scope="session", autouse=True)
def _only_this_machine():
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def connect_here(self, address):
        if self.family != socket.AF_UNIX:
            _refuse_others(address[0])
        return connect(self, address)

    def resolve_here(host, *arguments, **options):
        _refuse_others(host)
        return resolve(host, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect_here)
        patch.setattr(socket, "getaddrinfo", resolve_here)
        yield


def _refuse_others(host):
    if host and not host.startswith(LOOPBACK):
        pytest.fail(f"a test tried to reach {host}")


@pytest.fixture(autouse=True)
def _nobodys_settings(monkeypatch, tmp_path_factory):
    for name in list(os.environ):
        if name.startswith(PERSONAL):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it remembers credentials
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)


@pytest.fixture(scope="session")
def seed():
    """The number that all generated data starts from; ``run_tests.py --seed`` chooses it."""
    return int(os.environ.get("FINOPS_TEST_SEED", "0"))


@pytest.fixture(scope="session")
def samples_dir():
    """Real bills that lie beside the checkout and never in it."""
    if not SAMPLES.is_dir():
        pytest.skip("no real bills in ../shared/samples")
    return SAMPLES


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory):
    """The URL of an S3 server that lives as long as the test run."""
    port, log = process.free_port(), tmp_path_factory.mktemp("moto") / "log"
    command = [sys.executable, "-m", "moto.server", "-H", process.HOST, "-p", port]
    with (
        process.folder_of() as folder,
        process.running(command, folder, log, lambda: process.listens(port)),
    ):
        yield f"http://{process.HOST}:{port}"


@pytest.fixture
def bucket(s3_endpoint, monkeypatch):
    """A new ``Bucket``; the environment holds credentials that its server accepts."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    path_style = Config(s3={"addressing_style": "path"})
    client = boto3.client("s3", endpoint_url=s3_endpoint, config=path_style)
    name = f"finops-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=name)
    yield Bucket(client, name)
    client.close()


@pytest.fixture(scope="session")
def azure(tmp_path_factory):
    """An ``Azurite`` that lives as long as the test run; the first use installs it."""
    with azurite.server(tmp_path_factory.mktemp("azurite") / "log") as server:
        yield server


@pytest.fixture
def container(azure, monkeypatch):
    """A client of a new container; the environment holds the key that its server accepts."""
    monkeypatch.setenv("AZURE_STORAGE_KEY", azurite.KEY)
    with azurite.container(azure) as client:
        yield client


@pytest.fixture(scope="session")
def gcs_endpoint(tmp_path_factory):
    """The URL of a Google Cloud Storage that lives as long as the test run."""
    with gcs.server(tmp_path_factory.mktemp("gcs") / "log") as url:
        yield url


@pytest.fixture
def gcs_bucket(gcs_endpoint):
    """Google's own idea of an empty bucket that only this test knows."""
    with gcs.bucket(gcs_endpoint) as bucket:
        yield bucket


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """A ``Postgres`` that lives as long as the test run; the first use may install it."""
    with postgresql.server(tmp_path_factory.mktemp("postgres") / "log") as server:
        yield server


@pytest.fixture
def postgres_database(postgres):
    """An empty ``Database`` that only this test knows."""
    with postgres.database() as database:
        yield database


@pytest.fixture(scope="session")
def bigquery(tmp_path_factory):
    """A ``BigQuery`` that lives as long as the test run; the first use makes its environment."""
    with emulator.server(tmp_path_factory.mktemp("bigquery") / "log") as server:
        yield server


@pytest.fixture
def bigquery_client(bigquery):
    """Google's own client, without credentials."""
    with contextlib.closing(bigquery.client()) as client:
        yield client


@pytest.fixture
def bigquery_dataset(bigquery_client):
    """The name of an empty dataset that only this test knows."""
    with emulator.dataset(bigquery_client) as name:
        yield name

"""What every test may rely on: no network, nobody's own settings, an S3 on this machine."""

import os
import socket
import subprocess
import sys
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import hypothesis
import pytest
from botocore.config import Config

SAMPLES = Path(__file__).parents[2] / "shared" / "samples"
PERSONAL = ("AWS_", "FINOPS_", "COLUMNS", "FORCE_COLOR", "NO_COLOR")
LOOPBACK = ("127.", "::1", "localhost")

# A busy machine is not a bug.
hypothesis.settings.register_profile("finops", deadline=None)
hypothesis.settings.load_profile("finops")


class Bucket(NamedTuple):
    """A boto3 client and the name of an empty bucket that only this test knows."""

    client: Any
    name: str


def pytest_addoption(parser):
    parser.addoption("--require-all", action="store_true", help="fail if a test is left out")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
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
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("moto") / "log"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as server:
        try:
            _wait_for(server, port, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def _wait_for(server, port, log, seconds=60):
    deadline = time.monotonic() + seconds
    while server.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"the S3 server did not start:\n{log.read_text()}")


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

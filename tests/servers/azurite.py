"""An Azure Blob Storage on this machine: Azurite 3.37.0, which needs node and npm.

Where it is not Azure, as found by trying: there are no hierarchical accounts, so a test makes their
folders by hand; roles and Entra ID are not checked.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path
from typing import NamedTuple

import pytest

from scripts.bootstrap import ROOT
from tests.servers.process import HOST, folder_of, free_port, listens, running

ACCOUNT = "devstoreaccount1"
# Azurite's own, published for everybody.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
LOCKED = ROOT / "requirements" / "azurite"
INSTALLED = ROOT / ".venv-azurite"
PROGRAM = "node_modules/azurite/dist/src/blob/main.js"
# Its install scripts are of packages that it does not need as we start it.
INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


class Azurite(NamedTuple):
    """A server on this machine, with one account."""

    url: str

    def container(self, name):
        """Return Microsoft's own client of a container, which the caller closes."""
        from azure.storage.blob import ContainerClient

        credential = {"account_name": ACCOUNT, "account_key": KEY}
        return ContainerClient(f"{self.url}/{ACCOUNT}", name, credential=credential)


@contextlib.contextmanager
def server(log):
    """Run an ``Azurite``; skip the test where there is no node, or it cannot be installed."""
    node, npm = (shutil.which(name) or pytest.skip(f"no {name} here") for name in ("node", "npm"))
    program = _installed(npm)
    with folder_of() as folder:
        port = free_port()
        place = ["--blobHost", HOST, "--blobPort", port, "--location", folder]
        quietly = ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        with running([node, program, *place, *quietly], folder, log, lambda: listens(port)):
            yield Azurite(f"http://{HOST}:{port}")


@contextlib.contextmanager
def container(azurite):
    """Make an empty container for as long as the block lasts."""
    with azurite.container(f"finops-{uuid.uuid4().hex}") as client:
        client.create_container()
        yield client
        client.delete_container()


def _installed(npm):
    """Return the program; its folder is named after what is locked, and appears complete."""
    locked = (LOCKED / "package-lock.json").read_bytes()
    folder = INSTALLED / hashlib.sha256(locked).hexdigest()[:12]
    if not folder.exists():
        INSTALLED.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=INSTALLED) as aside:
            _install(npm, Path(aside, "made"))
            with contextlib.suppress(OSError):  # another run was faster
                Path(aside, "made").rename(folder)
    return folder / PROGRAM


def _install(npm, folder):
    shutil.copytree(LOCKED, folder)
    done = subprocess.run(
        [npm, *INSTALL],
        check=False,
        cwd=folder,
        env=dict(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        pytest.skip(f"no Azurite: npm ci failed: {done.stdout.strip()[-300:]}")

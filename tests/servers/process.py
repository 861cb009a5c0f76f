"""Start a server on this machine, wait until it answers, and be sure that it ends."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

LEASH = Path(__file__).with_name("leash.py")
HOST = "127.0.0.1"


def free_port():
    """Return a port of this machine that nobody listened on a moment ago."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def folder_of(user=""):
    """Make a folder for a server that runs as ``user``, where '' is whoever we are.

    It is not one of pytest's: those are closed to other users.
    """
    with tempfile.TemporaryDirectory(prefix="finops-server-", ignore_cleanup_errors=True) as folder:
        if user:
            shutil.chown(folder, user)
        yield Path(folder)


@contextlib.contextmanager
def running(command, folder, log, answers, user="", seconds=120):
    """Run a server that sees nobody's settings, from when ``answers()`` is true.

    ``folder`` is its own, and is removed with it, even when this process is killed.
    """
    leash = [sys.executable, "-I", str(LEASH), str(folder), user, *map(str, command)]
    with (
        log.open("w") as output,
        subprocess.Popen(
            leash,
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for pytest, which then ends the server
        ) as server,
    ):
        deadline = time.monotonic() + seconds
        while not answers():
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{command[0]} did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield


def listens(port):
    """Return whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0

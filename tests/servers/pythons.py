"""Another Python of this machine, for packages that refuse the one that runs the tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ASK = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))


def find(purpose, *versions):
    """Return a Python of the first version that is here; skip the test where none is."""
    for version in versions:
        for python in _candidates(version):
            if _is(version, python):
                return python
    return pytest.skip(f"no Python {' or '.join(versions)} for {purpose}")


def _candidates(version):
    yield sys.executable
    for folder in os.get_exec_path():
        yield str(Path(folder, f"python{version}"))
    yield from map(str, sorted(PYENV.glob(f"versions/{version}.*/bin/python{version}")))


def _is(version, python):
    # A shim of pyenv may be there for a version that is not chosen, and then fails.
    try:
        asked = subprocess.run([python, "-I", "-c", ASK], check=False, capture_output=True)
    except OSError:
        return False
    return asked.stdout.decode().strip() == version

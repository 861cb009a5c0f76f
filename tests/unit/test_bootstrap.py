"""The environment that the launcher and the test runner make for themselves."""

import ast
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from scripts import bootstrap

ROOT = Path(__file__).parents[2]
ECHO = """
import json, os, sys
print(json.dumps([sys.argv[1:], sys.stdin.read(), os.getcwd(), sys.prefix]))
sys.exit(7)
"""


@pytest.fixture
def checkout(tmp_path):
    """A checkout that needs no package, and whose command tells how it was called."""
    checkout = tmp_path / "a checkout"
    for file in ("finops", "scripts/bootstrap.py"):
        (checkout / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, checkout / file)
    (checkout / "requirements").mkdir()
    (checkout / "requirements" / "run.txt").touch()
    (checkout / "src" / "finops").mkdir(parents=True)
    (checkout / "src" / "finops" / "__init__.py").touch()
    (checkout / "src" / "finops" / "__main__.py").write_text(ECHO)
    return checkout


def start(launcher, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, launcher, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def finish(process, stdin=""):
    stdout, stderr = process.communicate(stdin)
    return process.returncode, stdout, stderr


def start_and_interrupt(checkout, how):
    process = start(checkout / "finops")
    while not (checkout / ".venv" / "bin" / "python").exists():
        time.sleep(0.01)
    process.send_signal(how)
    return finish(process)


def named_python(file):
    """Write a Python that is this one and says that it is another."""
    file.write_text(f'#!/bin/sh\n[ "$2" = -c ] && exec echo {file}\nexec {sys.executable} "$@"\n')
    file.chmod(0o755)
    return str(file)


def wheel_that_asks_for_another(folder):
    """Write a wheel ``picky`` that needs a package which is nowhere."""
    file = folder / "picky-1-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr("picky.py", "")
        about = "Metadata-Version: 2.1\nName: picky\nVersion: 1\nRequires-Dist: nowhere\n"
        wheel.writestr("picky-1.dist-info/METADATA", about)
        kind = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr("picky-1.dist-info/WHEEL", kind)
        wheel.writestr("picky-1.dist-info/RECORD", "")
    return file


def test_two_first_uses_at_once_share_one_environment(checkout, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = elsewhere / "linked"
    link.symlink_to(checkout / "finops")

    both = [start(link, "sql", "-", cwd=elsewhere), start(link, "sql", "-", cwd=elsewhere)]

    told = [["sql", "-"], "SELECT 1", str(elsewhere), str(checkout / ".venv")]
    for process in both:
        code, stdout, stderr = finish(process, "SELECT 1")
        assert (code, json.loads(stdout)) == (7, told)
        assert stderr.count("\n") == 1
        assert "preparing .venv" in stderr


def test_only_changed_requirements_are_installed_again(checkout, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    requirements = checkout / "requirements" / "run.txt"
    installed_by_hand = checkout / ".venv" / "installed by hand"

    first = finish(start(checkout / "finops"))
    installed_by_hand.touch()
    second = finish(start(checkout / "finops"))
    kept = installed_by_hand.exists()
    requirements.write_text(f"nowhere==1 --hash=sha256:{64 * '0'}")
    code, stdout, stderr = finish(start(checkout / "finops"))

    assert first[0] == 7
    assert (second[0], second[2], kept) == (7, "", True)
    assert (code, stdout) == (os.EX_UNAVAILABLE, "")
    assert "No matching distribution found for nowhere" in stderr
    assert "run the same command again" in stderr
    assert not installed_by_hand.exists()


def test_another_python_can_make_the_environment_and_a_third_makes_it_again(checkout, tmp_path):
    venv, requirements = checkout / ".venv", checkout / "requirements" / "run.txt"
    made_by_hand = venv / "made by hand"
    first, other = named_python(tmp_path / "first"), named_python(tmp_path / "other")

    python = bootstrap.interpreter(venv, requirements, "", first)
    made_by_hand.touch()
    bootstrap.interpreter(venv, requirements, "", first)
    kept = made_by_hand.exists()
    bootstrap.interpreter(venv, requirements, "", other)

    assert python == str(venv / "bin" / "python")
    assert kept
    assert not made_by_hand.exists()


def test_a_package_can_be_installed_without_what_it_asks_for(checkout, tmp_path, monkeypatch):
    venv, requirements = checkout / ".venv", checkout / "requirements" / "run.txt"
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    digest = hashlib.sha256(wheel_that_asks_for_another(tmp_path).read_bytes()).hexdigest()
    requirements.write_text(f"picky==1 --hash=sha256:{digest}")

    with pytest.raises(SystemExit) as stop:
        bootstrap.interpreter(venv, requirements, "")
    python = bootstrap.interpreter(venv, requirements, "", resolve=False)

    assert stop.value.code == os.EX_UNAVAILABLE
    assert subprocess.run([python, "-c", "import picky"], check=False).returncode == 0


def test_a_python_that_does_not_run_makes_nothing(checkout, capsys):
    with pytest.raises(SystemExit) as stop:
        bootstrap.interpreter(
            checkout / ".venv", checkout / "requirements" / "run.txt", "", shutil.which("false")
        )

    assert stop.value.code == os.EX_CONFIG
    assert "does not run" in capsys.readouterr().err
    assert not (checkout / ".venv").exists()


def test_a_half_made_environment_is_made_again(checkout):
    interrupted = start_and_interrupt(checkout, signal.SIGKILL)
    code, *_ = finish(start(checkout / "finops"))

    assert interrupted[0] == -signal.SIGKILL
    assert code == 7


def test_ctrl_c_is_answered_in_one_line(checkout):
    code, stdout, stderr = start_and_interrupt(checkout, signal.SIGINT)

    assert (code, stdout) == (130, "")
    assert stderr.endswith("finops: interrupted; the next run prepares .venv again.\n")
    assert "Traceback" not in stderr


@pytest.mark.parametrize("file", ["finops", "run_tests.py", "scripts/bootstrap.py"])
def test_an_old_python_can_read_what_refuses_it(file):
    ast.parse((ROOT / file).read_text(), feature_version=(3, 7))


def test_an_old_python_is_told_which_one_is_needed(checkout, monkeypatch, capsys):
    monkeypatch.setattr(sys, "version_info", (3, 9, 18, "final", 0))

    with pytest.raises(SystemExit) as stop:
        bootstrap.interpreter(checkout / ".venv", checkout / "requirements" / "run.txt", "")

    assert stop.value.code == os.EX_CONFIG
    assert "Python 3.11 or newer is needed" in capsys.readouterr().err


def test_a_python_without_venv_names_the_package_that_has_it(checkout, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ensurepip", None)

    with pytest.raises(SystemExit) as stop:
        bootstrap.interpreter(checkout / ".venv", checkout / "requirements" / "run.txt", "")

    assert stop.value.code == os.EX_CONFIG
    assert "python3-venv" in capsys.readouterr().err


def test_a_checkout_that_cannot_be_written_is_an_error_in_one_line(checkout, capsys):
    (checkout / ".venv.lock").mkdir()

    with pytest.raises(SystemExit) as stop:
        bootstrap.interpreter(checkout / ".venv", checkout / "requirements" / "run.txt", "")

    assert stop.value.code == os.EX_IOERR
    assert "Use a checkout that you may write to" in capsys.readouterr().err


def test_a_personal_python_path_comes_after_the_checkout(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/mine")

    path = bootstrap.environment()["PYTHONPATH"]

    assert path == os.pathsep.join([str(ROOT / "src"), "/mine"])

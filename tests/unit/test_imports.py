"""Help is instant: nothing heavy is loaded before a command needs it; every module says why."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"
MODULES = sorted((SRC / "finops").rglob("*.py"))
HEAVY = ("duckdb", "boto3", "botocore", "rich", "numpy", "pandas", "pyarrow")
SHOW = f"""
import contextlib, io, runpy, sys
sys.argv = ["finops", *sys.argv[1:]]
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    runpy.run_module("finops", run_name="__main__")
print(*sorted(set({HEAVY!r}) & sys.modules.keys()))
"""


def run(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["aws", "--help"],
        ["aws", "import-cur", "--help"],
        ["demo", "-h"],
        [],
    ],
    ids=" ".join,
)
def test_help_loads_no_sdk_and_no_database(arguments) -> None:
    shown = run("-c", SHOW, *arguments)

    assert (shown.stdout.strip(), shown.returncode) == ("", 0), shown.stderr


def test_the_modules_that_are_looked_for_would_be_seen() -> None:
    shown = run("-c", "import duckdb\n" + SHOW, "--help")

    assert "duckdb" in shown.stdout.split()


def test_python_m_finops_shows_its_commands() -> None:
    shown = run("-m", "finops", "--help")

    assert shown.returncode == 0
    assert shown.stderr == ""
    for command in ("demo", "aws", "sql", "config"):
        assert command in shown.stdout


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_every_module_says_what_it_is_for(path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


def test_the_modules_were_found() -> None:
    assert len(MODULES) > 20

"""The command line: the only place that prints."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from finops.cli.parser import build_parser, parse
from finops.errors import FinopsError, LocalError

if TYPE_CHECKING:
    from finops.cli.output import Output

_BROKEN_PIPE = 141
_TERMINATED = 143


class _TerminatedError(KeyboardInterrupt):
    """A SIGTERM. Python itself would end as on Ctrl-C if it were a plain ``KeyboardInterrupt``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (``docs/errors.md`` lists them)."""
    os.umask(0o077)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that lacks a character shows its number; that is no reason to stop.
            stream.reconfigure(errors="backslashreplace")
    arguments = parse(build_parser(), sys.argv[1:] if argv is None else list(argv))
    from finops.cli.output import Output

    output = Output(arguments)
    try:
        with _stopped_by_sigterm() as stopped, output.listening():
            code = _run(arguments, output)
        if stopped:
            code = _TERMINATED
        sys.stdout.flush()
    except OSError as error:
        # Whoever read stdout has gone, or its disk is full; Python must not try again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return _BROKEN_PIPE
        output.error(LocalError(f"stdout cannot be written: {error.strerror}"))
        return LocalError.exit_code
    return code


@contextmanager
def _stopped_by_sigterm() -> Iterator[list[int]]:
    """Let SIGTERM end a command as Ctrl-C does; yield the signals that came."""
    came: list[int] = []

    def stop(number: int, _frame: object) -> None:
        came.append(number)
        raise _TerminatedError

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield came
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(arguments: argparse.Namespace, output: Output) -> int:
    module, _, function = arguments.handler.partition(":")
    try:
        code: int = getattr(import_module(f"finops.cli.{module}"), function)(arguments, output)
    except FinopsError as error:
        code = output.fail(error)
    except KeyboardInterrupt:
        code = output.interrupted()
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - the last resort, here only
        code = output.fail(_explained(error))
    return code


def _explained(error: Exception) -> FinopsError:
    """Say of what others raise whether disk, memory, state or database is at fault, or we."""
    family = type(error).__module__.partition(".")[0]
    if isinstance(error, OSError):
        explained = LocalError(f"{error.strerror or error}: {error.filename or 'disk'}")
    elif isinstance(error, MemoryError):
        explained = LocalError("there is not enough memory")
    elif family in ("sqlite3", "duckdb", "_duckdb"):
        code = "state" if family == "sqlite3" else "database"
        explained = LocalError(str(error).strip().splitlines()[0][:300], code=code)
    else:
        return _unexpected(error)
    explained.do = "check space, memory and rights, then run again: what was loaded before stays"
    explained.__cause__ = error
    return explained


def _unexpected(error: Exception) -> FinopsError:
    unexpected = FinopsError(
        f"{type(error).__name__}: {error}",
        do="run again with --debug and report it; running again is always safe",
    )
    unexpected.__cause__ = error
    return unexpected

"""The command line: the only place that prints."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from finops.cli.parser import build_parser, parse
from finops.errors import FinopsError, LocalError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (``docs/errors.md`` lists them)."""
    os.umask(0o077)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that lacks a character shows its number; that is no reason to stop.
            stream.reconfigure(errors="backslashreplace")
    parser = build_parser()
    arguments = parse(parser, sys.argv[1:] if argv is None else list(argv))
    from finops.cli.output import Output

    output = Output(arguments)
    module, _, function = arguments.handler.partition(":")
    try:
        code: int = getattr(import_module(f"finops.cli.{module}"), function)(arguments, output)
        sys.stdout.flush()
    except FinopsError as error:
        code = output.fail(error)
    except KeyboardInterrupt:
        code = output.interrupted()
    except BrokenPipeError:
        # The reader of stdout has gone; Python would complain again while closing it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except OSError as error:
        code = output.fail(LocalError(f"{error.strerror or error}: {error.filename or 'disk'}"))
    except Exception as error:  # noqa: BLE001 - the last resort, here only
        code = output.crash(error)
    return code

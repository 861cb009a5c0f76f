"""Commands that look after the installation."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

from finops.cli.load import configured
from finops.cli.output import Output, display_path
from finops.cli.parser import EXPORT_FLAGS
from finops.config import DEFAULT_FILE, EXPORT_KEYS, Key, mask_secrets
from finops.upkeep.init import refuse_existing, write_config

_ASKED = ("bucket", "prefix", "export_name", "table_strategy")


def init(arguments: argparse.Namespace, output: Output) -> int:
    """``init``: write ``config.toml`` from flags and, on a terminal, from answers."""
    file = Path(arguments.config) if arguments.config else DEFAULT_FILE
    refuse_existing(file)
    names = ["data_dir", *(key.name for key in EXPORT_FLAGS)]
    values = {name: getattr(arguments, name) for name in names if getattr(arguments, name)}
    if sys.stdin.isatty() and sys.stderr.isatty() and not output.json:
        questions = (key for key in EXPORT_KEYS if key.name in _ASKED and key.name not in values)
        values |= {key.name: answer for key in questions if (answer := _ask(key))}
    write_config(file, values)
    output.answer({"written": str(file)})
    output.line(f"Written: {display_path(file)}")
    output.line("Next:")
    program = shlex.quote(os.environ.get("FINOPS_PROGRAM", "finops"))
    if arguments.config:
        program += f" -c {shlex.quote(arguments.config)}"
    output.line(f"  {program} doctor           (does everything work?)")
    output.line(f"  {program} aws import-cur")
    return 0


def _ask(key: Key) -> str:
    """Ask for a value on stderr; an empty answer keeps the default."""
    while True:
        choices = f" ({', '.join(key.choices)})" if key.choices else ""
        default = f" [{key.default}]" if key.default else ""
        print(f"{key.name}: {key.help}{choices}{default}: ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            raise KeyboardInterrupt
        answer = line.strip()
        if not answer or not key.choices or answer in key.choices:
            return answer


def config(arguments: argparse.Namespace, output: Output) -> int:
    """``config``: every setting with its source, secrets masked."""
    settings = configured(arguments).settings
    rows = [
        (setting.section, setting.key, _shown(setting.value), setting.source)
        for setting in settings
    ]
    titles = ("section", "key", "value", "source")
    output.answer({"settings": [dict(zip(titles, row, strict=True)) for row in rows]})
    output.table(titles, rows)
    return 0


def _shown(value: object) -> str:
    return "" if value is None else mask_secrets(str(value))

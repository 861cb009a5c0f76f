"""Commands that look after the installation."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from finops.cli.load import configured
from finops.cli.output import Output, display_path, error_document
from finops.cli.parser import EXPORT_FLAGS, PROJECT_FLAGS
from finops.config import DEFAULT_FILE, Export, Key, check_flags, export_keys, mask_secrets
from finops.delivery import FoundExport
from finops.errors import FinopsError, UsageError
from finops.run import gravest
from finops.steps.list_manifests import list_exports
from finops.upkeep.doctor import Check, examine
from finops.upkeep.init import refuse_existing, write_config

_ASKED = ("bucket", "prefix", "export_name", "table_strategy")


def init(arguments: argparse.Namespace, output: Output) -> int:
    """``init``: write ``config.toml`` from flags, answers on a terminal, and what lies there."""
    file = Path(arguments.config) if arguments.config else DEFAULT_FILE
    refuse_existing(file)
    names = ["data_dir", *(key.name for key in (*PROJECT_FLAGS, *EXPORT_FLAGS))]
    values = {name: given for name in names if (given := getattr(arguments, name, None))}
    keys = {key.name: key for key in export_keys(arguments.vendor)}
    _refuse_foreign(values, keys, arguments.vendor)
    if sys.stdin.isatty() and sys.stderr.isatty() and not output.json:
        questions = (keys[name] for name in _ASKED if name not in values)
        values |= {key.name: answer for key in questions if (answer := _ask(key))}
    found = _look(check_flags(arguments.vendor, values), output)
    write_config(file, values, arguments.vendor, found)
    output.answer({"written": str(file), "exports": [each.settings for each in found]})
    output.line(f"Written: {display_path(file)}")
    for each in found:
        output.line(f"  with the export {each.name} under {each.prefix!r}")
    output.line("Next:")
    program = shlex.quote(os.environ.get("FINOPS_PROGRAM", "finops"))
    if arguments.config:
        program += f" -c {shlex.quote(arguments.config)}"
    output.line(f"  {program} doctor           (does everything work?)")
    output.line(f"  {program} {arguments.vendor} import-cur")
    return 0


def _refuse_foreign(values: Iterable[str], keys: Collection[str], vendor: str) -> None:
    foreign = {key.name for key in EXPORT_FLAGS} - set(keys)
    for name in values:
        if name in foreign:
            raise UsageError(f"exports of {vendor} have no --{name.replace('_', '-')}")


def _look(export: Export, output: Output) -> list[FoundExport]:
    """Find the exports in a bucket, unless one is named. What cannot be looked at is no error."""
    if not export.bucket or export.export_name:
        return []
    try:
        return list_exports(export)
    except FinopsError as error:
        output.say(f"note: nothing was looked for in {export.bucket}: {error.what}", "notice")
        return []


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


def doctor(arguments: argparse.Namespace, output: Output) -> int:
    """``doctor``: everything that a run needs, each as soon as it was looked at."""
    checks = []
    for check in examine(lambda: configured(arguments), arguments.export):
        checks.append(check)
        _show_check(check, output)
    output.answer({"checks": [_document(check) for check in checks]})
    counts = Counter(check.verdict for check in checks)
    output.line(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    error = gravest(check.error for check in checks if check.error)
    return error.exit_code if error else 0


def _show_check(check: Check, output: Output) -> None:
    output.line(mask_secrets(f"{check.verdict:<8} {check.subject:<18} {check.detail}"))
    where = [f"where: {check.error.where}"] if check.error and check.error.where else []
    do = f"do: {check.do}".splitlines() if check.do else []
    for line in (*check.lines, *where, *do):
        output.line(mask_secrets(f"{'':<27} {line}"))


def _document(check: Check) -> dict[str, Any]:
    return {
        "subject": check.subject,
        "verdict": check.verdict,
        "detail": mask_secrets(check.detail),
        "lines": [mask_secrets(line) for line in check.lines],
        "do": check.do and mask_secrets(check.do),
        "error": check.error and error_document(check.error),
    }


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

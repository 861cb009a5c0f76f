"""Commands that look after the installation."""

from __future__ import annotations

import argparse

from finops.cli.load import configured
from finops.cli.output import Output
from finops.config import mask_secrets


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

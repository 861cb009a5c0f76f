"""``init``: a commented ``config.toml``, made from the lists of keys in ``config``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from finops.config import (
    DEFAULT_VENDOR,
    PROJECT_KEYS,
    WAREHOUSE_KEYS,
    Key,
    check_flags,
    export_keys,
)
from finops.errors import LocalError, UsageError

_TEXT = """\
# A flag wins over the environment, the environment over this file. Paths start from this file's
# folder. What stands behind a # is the default, or an example.

[project]
{project}

[aws]  # the export "default"; its tables are in aws_billing
{export}

# A second payer inherits all above but dataset and overlaps; its tables are in aws_second_payer.
# [aws.exports.second-payer]
# bucket = "other-bucket"

# Where load-billing-remote publishes to; docs/warehouses.md tells how to set each up.
# [warehouse.company-bq]
{warehouse}
"""


def write_config(file: Path, values: Mapping[str, str]) -> None:
    """Write a configuration that sets ``values``, by key; for its owner alone.

    Relative paths in ``values`` start from the current folder.

    Raises:
        LocalError: the file exists, or cannot be written; what is there stays as it is.
        ConfigError: a value is impossible.
        UsageError: a value is no text.
    """
    refuse_existing(file)
    bucket = check_flags(DEFAULT_VENDOR, values).bucket
    paths = {key.name for key in PROJECT_KEYS if key.kind == "path"}
    if "/" in bucket and "://" not in bucket:
        paths.add("bucket")
    if file.parent.resolve() != Path.cwd():
        values = {**values, **{name: _absolute(values[name]) for name in paths & values.keys()}}
    _create(file, config_text(values))


def refuse_existing(file: Path) -> None:
    """Raise ``LocalError`` where a file could not be made without replacing another."""
    if os.path.lexists(file):
        raise LocalError(
            f"{file} exists",
            code="exists",
            kept="it is as it was",
            do="edit it, or name another file with -c FILE",
        )


def config_text(values: Mapping[str, str]) -> str:
    """Return a configuration with every key: those in ``values`` set, the others as comments."""
    project, export, warehouse = (
        "\n".join(_lines(keys, given))
        for keys, given in (
            (PROJECT_KEYS, values),
            (export_keys(DEFAULT_VENDOR), values),
            (WAREHOUSE_KEYS, {}),
        )
    )
    return _TEXT.format(project=project, export=export, warehouse=warehouse)


def _lines(keys: Iterable[Key], values: Mapping[str, str]) -> Iterable[str]:
    for key in keys:
        given = values.get(key.name)
        shown = key.example or key.default
        assigned = f"{'' if given else '# '}{key.name} = {_literal(key, given or shown)}"
        choices = f": {', '.join(key.choices)}" if key.choices else ""
        yield f"{assigned:<38}  # {key.help}{choices}"


def _literal(key: Key, value: str | int) -> str:
    """Write a value in TOML, whose text differs from JSON's only in that DEL is escaped."""
    if key.kind == "int":
        return str(int(value))
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _absolute(path: str) -> str:
    return str(Path.cwd() / Path(path.removeprefix("file://")).expanduser())


def _create(file: Path, text: str) -> None:
    try:
        content = text.encode()
        file.touch(0o600, exist_ok=False)
        try:
            file.write_bytes(content)
        except OSError:
            file.unlink()
            raise
    except UnicodeEncodeError as error:
        raise UsageError(f"{error.object[error.start]!r} in a value is not UTF-8 text") from error
    except OSError as error:
        raise LocalError(f"{file} cannot be written: {error.strerror}", do="check -c") from error

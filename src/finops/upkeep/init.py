"""``init``: a commented ``config.toml``, made from the lists of keys in ``config``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from finops.config import (
    DEFAULT_VENDOR,
    PROJECT_KEYS,
    VENDORS,
    WAREHOUSE_KEYS,
    Key,
    check_flags,
    export_keys,
)
from finops.delivery import FoundExport
from finops.errors import LocalError, UsageError
from finops.steps.found_exports import export_sections, name_exports, toml_text

_TEXT = """\
# A flag wins over the environment, the environment over this file. Paths start from this file's
# folder. What stands behind a # is the default, or an example.

[project]
{project}

[{vendor}]  # {meaning}
{export}

{exports}

{others}

# Where load-billing-remote publishes to; docs/warehouses.md tells how to set each up.
# [warehouse.company-bq]
{warehouse}
"""
_SECOND = """\
# It inherits all above but dataset and overlaps; its tables are in {vendor}_second_payer.
# [{vendor}.exports.second-payer]
# bucket = {bucket}"""


def write_config(
    file: Path,
    values: Mapping[str, str],
    vendor: str = DEFAULT_VENDOR,
    found: Sequence[FoundExport] = (),
) -> None:
    """Write a configuration that sets ``values``, by key; for its owner alone.

    Relative paths in ``values`` start from the current folder. Of several exports that were
    ``found`` each gets a section, and of one its place is that of the vendor.

    Raises:
        LocalError: the file exists, or cannot be written; what is there stays as it is.
        ConfigError: a value is impossible.
        UsageError: a value is no text.
    """
    refuse_existing(file)
    bucket = check_flags(vendor, values).bucket
    paths = {key.name for key in PROJECT_KEYS if key.kind == "path"}
    if "/" in bucket and "://" not in bucket:
        paths.add("bucket")
    if file.parent.resolve() != Path.cwd():
        values = {**values, **{name: _absolute(values[name]) for name in paths & values.keys()}}
    _create(file, config_text(values, vendor, found))


def refuse_existing(file: Path) -> None:
    """Raise ``LocalError`` where a file could not be made without replacing another."""
    if os.path.lexists(file):
        raise LocalError(
            f"{file} exists",
            code="exists",
            kept="it is as it was",
            do="edit it, or name another file with -c FILE",
        )


def config_text(
    values: Mapping[str, str], vendor: str = DEFAULT_VENDOR, found: Sequence[FoundExport] = ()
) -> str:
    """Return a configuration with every key: those in ``values`` set, the others as comments."""
    several, keys = len(found) > 1, export_keys(vendor)
    places = {name: text for each in found for name, text in each.settings.items()}
    own = {name: text for name, text in values.items() if name not in places}
    second = _SECOND.format(vendor=vendor, bucket=toml_text(_second_bucket(keys)))
    default = f'the export "default"; its tables are in {vendor}_billing'
    return _TEXT.format(
        project="\n".join(_lines(PROJECT_KEYS, values)),
        vendor=vendor,
        meaning="what the exports below have in common" if several else default,
        export="\n".join(_lines(keys, own if several else own | places)),
        exports=export_sections(vendor, name_exports(found)) if several else second,
        others="\n\n".join(_other(each, keys) for each in VENDORS if each != vendor),
        warehouse="\n".join(_lines(WAREHOUSE_KEYS, {})),
    )


def _second_bucket(keys: Iterable[Key]) -> str:
    example = next(key.example for key in keys if key.name == "bucket")
    return f"{example.rpartition('/')[0]}/other-bucket".lstrip("/")


def _other(vendor: str, shown: Sequence[Key]) -> str:
    """Show how another vendor is configured: by its bucket, and keys that are not shown yet."""
    own = [key.name for key in shown if key.vendor]
    but = f" but {', '.join(own)}" if own else ""
    lines = _lines((key for key in export_keys(vendor) if key not in shown), {})
    return "\n".join([f"# [{vendor}]  # has the keys above{but}, and these", *lines])


def _lines(keys: Iterable[Key], values: Mapping[str, str]) -> Iterable[str]:
    for key in keys:
        given = values.get(key.name)
        shown = key.example or key.default
        assigned = f"{'' if given else '# '}{key.name} = {_literal(key, given or shown)}"
        choices = f": {', '.join(key.choices)}" if key.choices else ""
        yield f"{assigned:<38}  # {key.help}{choices}"


def _literal(key: Key, value: str | int) -> str:
    return str(int(value)) if key.kind == "int" else toml_text(str(value))


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

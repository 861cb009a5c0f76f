"""Files that a command names: paths, patterns, folders or URLs, as an export of them alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from glob import glob
from pathlib import Path, PurePath

from finops.config import Export
from finops.errors import UsageError
from finops.storage import split_url


def of_files(export: Export, places: Sequence[str]) -> Export:
    """Return the export reading only what is named.

    Raises:
        UsageError: something named is not there, or lies in another bucket than the rest.
    """
    if any("://" in place for place in places):
        bucket, keys = _in_bucket(places)
    else:
        named = dict.fromkeys(path for place in places for path in _paths(place))
        bucket, keys = _in_folder(list(named))
    folders = [key for key in keys if not PurePath(key).suffix]
    if folders and len(keys) > 1:
        raise UsageError(
            f"{folders[0]} is a folder among other files", do="name one folder, or files"
        )
    files = () if folders else keys
    return replace(export, bucket=bucket, prefix="".join(folders), export_name="", files=files)


def _in_bucket(urls: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    found = {split_url(url) for url in urls}
    if len({bucket for bucket, _ in found}) > 1:
        raise UsageError(
            "the files lie in several buckets", do="import each bucket's by themselves"
        )
    return next(iter(found))[0], tuple(sorted(filter(None, (key for _, key in found))))


def _in_folder(paths: Sequence[Path]) -> tuple[str, tuple[str, ...]]:
    """Return the folder that holds all paths, and what they are called in it."""
    if len(paths) == 1 and paths[0].is_dir():
        return f"{paths[0]}", ()
    root = Path(os.path.commonpath([path.parent for path in paths]))
    return f"{root}", tuple(path.relative_to(root).as_posix() for path in paths)


def _paths(place: str) -> list[Path]:
    """Return what a path or a pattern names."""
    path = Path(place).expanduser()
    # Path.glob knows no absolute patterns.
    found = [path] if path.exists() else map(Path, sorted(glob(f"{path}")))  # noqa: PTH207
    paths = [each.resolve() for each in found]
    if not paths:
        raise UsageError(f"there is no {place}", do="name files, folders or patterns")
    return paths

"""Parquet files of loaded periods, each beside a manifest that says what it holds."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import duckdb

from finops.errors import BadDataError, FinopsError, LocalError
from finops.faults import crash_point
from finops.integrity import sha256_of
from finops.run import Outcome, PeriodResult, Run
from finops.steps.published import PeriodRows, fingerprint
from finops.storage import MANIFEST_LIMIT, Storage, open_output


def write_files(
    run: Run, periods: Iterable[PeriodRows], out: str, layout: str, *, force: bool = False
) -> list[PeriodResult]:
    """Write a Parquet file of every period below ``out``: a folder, or a bucket's URL.

    ``layout`` is a file's path with ``{dataset}`` and ``{period}`` in it. A file appears
    whole or not at all; then ``_NAME.manifest.json`` beside it has its rows, totals and
    SHA-256. What is there with the same content is left as it is.
    """
    results = []
    for each in periods:
        key = layout.format(dataset=each.export.dataset, period=each.load.period)
        try:
            storage, prefix = open_output(out, each.export)
            results.append(_write_file(run, storage, each, prefix + key, force=force))
        except FinopsError as error:
            results.append(each.failed(error))
        except (OSError, duckdb.IOException) as error:
            what = f"{key} cannot be written: {str(error).splitlines()[0]}"
            results.append(each.failed(LocalError(what, do="check space and rights")))
    return results


def _write_file(
    run: Run, storage: Storage, each: PeriodRows, key: str, *, force: bool
) -> PeriodResult:
    path = PurePosixPath(key)
    manifest_key = f"{path.with_name(f'_{path.stem}.manifest.json')}"
    content = fingerprint(each.content, each.rows.columns, each.rows.order)
    if not force and (size := _size_of_same(storage, key, manifest_key, content)):
        return each.result(Outcome.UNCHANGED, size)
    file, note = run.data.temporary / path.name, run.data.temporary / "manifest.json"
    try:
        each.check(each.rows.write_parquet(file))
        manifest = _manifest(each, file, content)
        note.write_text(json.dumps(manifest, indent=2), "utf-8")
        crash_point("file-written")
        # Without a manifest a file is being replaced: none ever tells of another file.
        storage.remove_object(manifest_key)
        storage.upload(file, key)
        crash_point("file-placed")
        storage.upload(note, manifest_key)
    finally:
        file.unlink(missing_ok=True)
    return each.result(Outcome.EXPORTED, manifest["bytes"])


def _size_of_same(storage: Storage, key: str, manifest_key: str, content: str) -> int:
    """Return the size of a file that is there whole with the same content, or 0."""
    try:
        manifest = json.loads(storage.read_object(manifest_key, MANIFEST_LIMIT)[0])
        size = storage.head_object(key).size
    except (BadDataError, ValueError):
        return 0
    same = isinstance(manifest, dict) and manifest.get("content") == content
    return size if same and manifest.get("bytes") == size else 0


def _manifest(each: PeriodRows, file: Path, content: str) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "file": file.name,
        "bytes": file.stat().st_size,
        "sha256": sha256_of(file),
        "vendor": each.export.vendor,
        "export": each.export.name,
        "billing_period": str(each.load.period),
        "delivery_id": each.load.delivery_id,
        "load_id": each.load.load_id,
        "content": content,
        "rows": each.count,
        "totals": {code: format(total, "f") for code, total in each.load.totals.items()},
        "columns": [
            {"name": column.name, "type": column.type, "original": column.original}
            for column in each.rows.columns
        ],
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }

"""The schemas of store and state, as numbered scripts: number n makes version n of n - 1."""

from __future__ import annotations

from importlib.resources import files


def schema_scripts(name: str) -> list[str]:
    """Return the scripts of ``store`` or ``state``, oldest first; their count is the version."""
    folder = files(__package__)
    scripts: list[str] = []
    while (script := folder.joinpath(f"{name}_{len(scripts) + 1}.sql")).is_file():
        scripts.append(script.read_text("utf-8"))
    return scripts

"""Text that came from elsewhere, made safe to print."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from finops.config import mask_secrets


def visible(text: str) -> str:
    """Show control characters instead of obeying them; bills hold other people's text."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def log_line(level: str, event: str, run_id: str, fields: Mapping[str, object]) -> str:
    """Return one event as a line of JSON, without secrets."""
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = {"ts": moment, "level": level, "event": event, "run_id": run_id, **fields}
    shown = {
        name: mask_secrets(value) if isinstance(value, str) else value
        for name, value in line.items()
    }
    return json.dumps(shown, default=str)

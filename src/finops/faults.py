"""Crash points: the moments between two durable changes, where tests end a run.

``FINOPS_FAULT=published`` kills the process there; ``FINOPS_FAULT=committed#2`` the second
time it comes by; ``FINOPS_FAULT=staged:disk-full`` fails there as a full disk does. Without
the variable a crash point does nothing.
"""

from __future__ import annotations

import errno
import os
import signal
from collections import Counter

CRASH_POINTS = (
    "locked",
    "reconciled",
    "discovered",
    "manifest-staged",
    "downloading",
    "file-complete",
    "file-verified",
    "file-noted",
    "source-checked",
    "delivery-noted",
    "staged",
    "cloned",
    "loading",
    "rows-read",
    "swapped",
    "ledger-written",
    "view-made",
    "charges-made",
    "committed",
    "checkpointed",
    "synced",
    "published",
    "marked-loaded",
    "pruned",
)
SURVEYING_POINTS = ("file-surveyed", "contents-noted")
EXPORTING_POINTS = ("file-written", "file-placed")
PUBLISHING_POINTS = ("rows-sent", "rows-compared", "period-published")
_passed: Counter[str] = Counter()


def crash_point(name: str) -> None:
    """End the run here, if ``FINOPS_FAULT`` says so."""
    fault = os.environ.get("FINOPS_FAULT")
    if not fault:
        return
    place, _, action = fault.partition(":")
    point, _, time = place.partition("#")
    _passed[name] += 1
    if name != point or _passed[name] != int(time or 1):
        return
    if action == "disk-full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.kill(os.getpid(), signal.SIGKILL)

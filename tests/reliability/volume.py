"""A small disk: a tmpfs in a mount namespace of its own, which goes when its holder ends."""

import contextlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

_HOLD = """
mount -t tmpfs -o size="$1" tmpfs "$2" || exit 1
echo mounted
while read -r size; do mount -o remount,size="$size" "$2" && echo resized; done
"""


@dataclass(frozen=True)
class Volume:
    """A mounted tmpfs: ``inside`` is its path for ``enter``, ``path`` for everybody else."""

    holder: subprocess.Popen
    inside: Path
    path: Path
    enter: tuple[str, ...]

    def resize(self, size):
        self.holder.stdin.write(f"{size}\n")
        self.holder.stdin.flush()
        assert self.holder.stdout.readline() == "resized\n"


@contextlib.contextmanager
def small_disk(folder: Path, size):
    """Yield a ``Volume`` of ``size`` bytes, or None where nothing may be mounted."""
    folder.mkdir()
    is_root = os.geteuid() == 0
    command = ["unshare", "-m" if is_root else "-Urm", "sh", "-c", _HOLD, "sh"]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    try:
        holder = subprocess.Popen([*command, str(size), str(folder)], text=True, **pipes)
    except FileNotFoundError:
        yield None
        return
    with holder:
        if holder.stdout.readline() != "mounted\n":
            yield None
        else:
            user = () if is_root else ("-U", "--preserve-credentials")
            enter = ("nsenter", "-t", str(holder.pid), *user, "-m")
            yield Volume(holder, folder, Path(f"/proc/{holder.pid}/root{folder}"), enter)
        holder.stdin.close()

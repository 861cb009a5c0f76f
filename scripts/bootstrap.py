"""Keep a virtual environment beside the checkout true to a requirements file.

The launcher and the test runner share this. It needs nothing but Python's own library, and
Python 3.6 can read it: an old interpreter meets a sentence, not a syntax error. Everything is
said on stderr, and stdin is left to the command that follows.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List, NoReturn

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
INTERRUPTED = 130

# Says what a finished environment was made from. Removed first and written last, so whatever
# was interrupted is made again.
STAMP = "made-from"


def interpreter(
    venv: Path,
    requirements: Path,
    usually: str,
    base: str = sys.executable,
    *,
    resolve: bool = True,
) -> str:
    """Return the Python of ``venv``, which is made or renewed first where that is needed.

    ``usually`` tells the person who waits how long the making takes. ``base`` is the Python to
    make it with: this one, unless the packages need another. Without ``resolve`` pip does not
    look at what the packages ask for, where the requirements name another version than that.
    """
    _refuse_unfit_python()
    try:
        wanted = _fingerprint(requirements, base)
        if _read(venv / STAMP) != wanted:
            _say(f"preparing {venv.name}, once; this usually takes {usually} ...")
            _make(venv, _install(requirements, resolve=resolve), wanted, base)
    except OSError as error:
        _stop(
            os.EX_IOERR,
            f"cannot prepare {venv}: {error.strerror}. Use a checkout that you may write to.",
        )
    except KeyboardInterrupt:
        _stop(INTERRUPTED, f"interrupted; the next run prepares {venv.name} again.")
    return _python(venv)


def environment(**extra: str) -> Dict[str, str]:
    """Return this process's environment, in which ``import finops`` finds the checkout."""
    path = [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    return dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, path)), **extra)


def _refuse_unfit_python() -> None:
    if sys.version_info < OLDEST_PYTHON:
        needed, found = (".".join(map(str, v[:3])) for v in (OLDEST_PYTHON, sys.version_info))
        _stop(
            os.EX_CONFIG,
            f"Python {needed} or newer is needed, and {sys.executable} is {found}. "
            f"Name a newer one, for example: python{needed} {sys.argv[0]}",
        )
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            _stop(
                os.EX_CONFIG,
                f"this Python has no {module} module. Install it (on Debian and Ubuntu: "
                "apt install python3-venv), then run the same command again.",
            )


def _fingerprint(requirements: Path, base: str) -> str:
    return hashlib.sha256(requirements.read_bytes() + _identity(base).encode()).hexdigest()


def _identity(base: str) -> str:
    if base == sys.executable:
        return f"{sys.version} {sys.base_prefix}"
    ask = "import sys; print(sys.version, sys.base_prefix)"
    asked = subprocess.run([base, "-I", "-c", ask], check=False, stdout=subprocess.PIPE, text=True)
    if asked.returncode:
        _stop(os.EX_CONFIG, f"{base} does not run. Name another Python.")
    return asked.stdout.strip()


def _python(venv: Path) -> str:
    return str(venv / "bin" / "python")


def _read(stamp: Path) -> str:
    try:
        return stamp.read_text()
    except FileNotFoundError:
        return ""


@contextlib.contextmanager
def _lock(file: Path) -> Iterator[int]:
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def _install(requirements: Path, *, resolve: bool) -> List[str]:
    quietly = ["--quiet", "--no-input", "--disable-pip-version-check"]
    pinned = ["--require-hashes", "--requirement", str(requirements)]
    return ["install", *quietly, *([] if resolve else ["--no-deps"]), *pinned]


def _make(venv: Path, install: List[str], wanted: str, base: str) -> None:
    with _lock(venv.with_name(venv.name + ".lock")) as lock:
        if _read(venv / STAMP) == wanted:
            return  # by another run, while this one waited
        (venv / STAMP).unlink(missing_ok=True)
        _run(
            [base, "-I", "-m", "venv", "--clear", str(venv)],
            lock,
            f"Python could not make {venv}. Mend what it says, then run the same command again.",
        )
        _run(
            [_python(venv), "-I", "-m", "pip", *install],
            lock,
            f"pip could not install {install[-1]}. Check the network and pip's settings, "
            "then run the same command again.",
        )
        (venv / STAMP).write_text(wanted)


def _run(command: List[str], lock: int, failure: str) -> None:
    # The child inherits the lock: if this process is killed, nobody builds beside the orphan.
    done = subprocess.run(
        command,
        check=False,
        env=dict(os.environ, PIP_USER="0"),
        pass_fds=[lock],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        print(*done.stdout.splitlines()[-5:], sep="\n", file=sys.stderr)
        _stop(os.EX_UNAVAILABLE, failure)


def _say(message: str) -> None:
    print(f"{Path(sys.argv[0]).name}: {message}", file=sys.stderr, flush=True)


def _stop(code: int, message: str) -> NoReturn:
    _say(message)
    sys.exit(code)

#!/usr/bin/env python3
"""Run the tests, in an environment of their own that the first use makes (``.venv-test``).

For example:
    python3 run_tests.py                   everything that can run on this machine
    python3 run_tests.py --quality         and before that format, lint, types and layers
    python3 run_tests.py --coverage        with branch coverage
    python3 run_tests.py --seed 7          the same data and order as the run that said 7
    python3 run_tests.py --reliability     only what harms it, thousands of times; an hour or more
    python3 run_tests.py -x -k period      what is not known here goes to pytest
"""

import argparse
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Tuple

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "scripts"))

from bootstrap import environment, interpreter  # noqa: E402 (found through the line above)

VENV = ROOT / ".venv-test"
CHECKS = {
    "format": ["-m", "ruff", "format", "--check"],
    "lint": ["-m", "ruff", "check"],
    "types": ["-m", "mypy", "--strict", "src"],
    "layers": [str(VENV / "bin" / "lint-imports")],
}


def main() -> int:
    """Return 0 only when everything that was asked for ran and passed."""
    options, for_pytest = parse(sys.argv[1:])
    python = interpreter(VENV, ROOT / "requirements" / "test.txt", "about a minute")
    env = environment(FINOPS_TEST_SEED=str(options.seed), **reliability(options))
    print(f"seed: {options.seed}", flush=True)

    checks = CHECKS if options.quality else {}
    failed = [name for name, check in checks.items() if not passes(name, [python, *check], env)]
    # Ctrl-C is for pytest to answer: it stops the servers that it started.
    signal.signal(signal.SIGINT, lambda *_: None)
    tests = subprocess.run([python, "-m", "pytest", *for_pytest], check=False, cwd=ROOT, env=env)

    if failed:
        print(f"failed before the tests: {', '.join(failed)}")
    mode = "--reliability " if options.reliability else ""
    print(f"to replay: python3 run_tests.py {mode}--seed {options.seed}")
    return tests.returncode or bool(failed)


def parse(arguments: List[str]) -> Tuple[argparse.Namespace, List[str]]:
    """Split the command line into our own options and the arguments of pytest."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quality", action="store_true", help="check format, lint, types, layers")
    parser.add_argument("--coverage", action="store_true", help="measure branch coverage")
    parser.add_argument("--require-all", action="store_true", help="fail if a test is left out")
    parser.add_argument("--reliability", action="store_true", help="run all of tests/reliability")
    parser.add_argument("--table", metavar="PAGE", help="write the reliability table into a page")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="replay a run")
    options, rest = parser.parse_known_args(arguments)

    for_pytest = [f"--hypothesis-seed={options.seed}", f"--randomly-seed={options.seed}"]
    if options.coverage:
        for_pytest.append("--cov=src")
    if options.require_all:
        for_pytest.append("--require-all")
    if options.reliability:
        for_pytest.append("tests/reliability")
    elif not {"-x", "--pdb"} & {*rest}:
        # Fixtures that a file shares are made once: its tests stay together.
        for_pytest += ["--numprocesses=auto", "--maxprocesses=4", "--dist=loadfile"]
    return options, [*for_pytest, *(argument for argument in rest if argument != "--")]


def reliability(options: argparse.Namespace) -> Dict[str, str]:
    """Return what tells the reliability tests how much to try and where to write it down."""
    chosen = {"FINOPS_RELIABILITY": "1" if options.reliability else ""}
    if options.table:
        chosen["FINOPS_RELIABILITY_PAGE"] = options.table
    return chosen


def passes(name: str, command: List[str], env: Dict[str, str]) -> bool:
    """Run one check, say how it went in one line, and show its output only if it failed."""
    done = subprocess.run(
        command,
        check=False,
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(f"{name}: {'failed' if done.returncode else 'ok'}", flush=True)
    if done.returncode:
        print(done.stdout, flush=True)
    return not done.returncode


if __name__ == "__main__":
    sys.exit(main())

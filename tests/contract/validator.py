"""The official FOCUS validator, in an environment of its own, and what counts as passing.

It exits with 0 whatever it finds, so its output is read. Some of its rules are not what
FOCUS says: ``validator_allowlist.csv`` names them, why, and what our rows must keep instead.
What it cannot see is left to ``finops/focus``: sums, and a wrong value among right ones.
"""

import csv
import json
import re
import subprocess
from collections import Counter
from pathlib import Path

import duckdb

from scripts.bootstrap import ROOT, interpreter
from tests.servers import pythons

VENV = ROOT / ".venv-validator"
# Older ones are refused by it; newer ones by the numpy that it insists on.
PYTHON = "3.12"
SECONDS = 240

TOTAL = re.compile(r"^Total: (\d+) \| Pass: (\d+) \| Fail: (\d+) \| Skipped: (\d+)$", re.M)
RESULT = re.compile(r"^\S+ ([A-Za-z]+-[A-Z]-\d+-[A-Z]): (PASS|FAIL|SKIPPED)(.*)$", re.M)


def environment():
    """Return the Python that has the validator; skip the test where none can have it."""
    base = pythons.find("the FOCUS validator", PYTHON)
    requirements = ROOT / "requirements" / "validator.txt"
    return interpreter(VENV, requirements, "a minute", base)


def validate(python, file, folder, without=()):
    """Return what the validator printed of a Parquet file; ``folder`` is empty and ours.

    ``without`` names what the vendor's export does not support, in the words of the validator.
    """
    # It opens its list of currencies relative to where it is, and writes its log there.
    (package,) = VENV.glob("lib/python*/site-packages/focus_validator")
    (folder / package.name).symlink_to(package)
    command = ["-I", "-X", "utf8", str(VENV / "bin" / "focus-validator"), "--data-file", str(file)]
    asked = ["--validate-version", "1.2", "--focus-dataset", "CostAndUsage", "--block-download"]
    supported = ["--applicability-criteria", ",".join(_criteria(package) - {*without})]
    done = subprocess.run(
        [python, *command, *asked, *supported],
        check=False,
        capture_output=True,
        cwd=folder,
        encoding="utf-8",
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def failed_rules(output):
    """Return what was said of each rule that failed.

    Raises:
        ValueError: the output is not that of a whole run.
    """
    results = RESULT.findall(output)
    count = Counter(status for _, status, _ in results)
    told = [tuple(map(int, total)) for total in TOTAL.findall(output)]
    found = (len(results), *(count[status] for status in ("PASS", "FAIL", "SKIPPED")))
    if told != [found] or not count["PASS"]:
        raise ValueError(f"the validator says {told}, its lines {found}:\n{output[-2000:]}")
    return {rule: said.strip() for rule, status, said in results if status == "FAIL"}


def complaints(failed, file):
    """Return a line for each failed rule that the list does not excuse for these rows."""
    excused = allowlist()
    unknown = [f"{rule}: {said}" for rule, said in failed.items() if rule not in excused]
    with duckdb.connect() as db:
        charges = db.from_parquet(str(file))
        broken = {
            rule: charges.filter(f"({excused[rule]}) IS NOT TRUE").shape[0]
            for rule in failed
            if excused.get(rule)
        }
    return unknown + [
        f"{rule} is excused where {excused[rule]}, and {rows} charges are not so"
        for rule, rows in broken.items()
        if rows
    ]


def allowlist():
    """Return the condition under which each rule may fail; it is empty for sets of rules.

    Such a set fails with a rule in it, and that rule is judged by itself.
    """
    with Path(__file__).with_name("validator_allowlist.csv").open(newline="") as lines:
        return {line["rule"]: line["condition"] for line in csv.DictReader(lines)}


def _criteria(package):
    (model,) = package.glob("rules/model-1.2.*.json")
    return set(json.loads(model.read_text())["ApplicabilityCriteria"])

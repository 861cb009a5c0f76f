"""Commands of the warehouses."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from finops.cli.load import configured
from finops.cli.output import Output
from finops.warehouses import connect


def check(arguments: argparse.Namespace, output: Output) -> int:
    """``warehouse check``: what publishing needs, one after the other, until something fails."""
    config = configured(arguments).select_warehouse(arguments.name)
    findings = []
    with TemporaryDirectory() as scratch, connect(config, Path(scratch)) as warehouse:
        for finding in warehouse.check():
            findings.append(finding)
            output.line(f"ok  {finding.subject}: {finding.detail}")
    output.answer({"warehouse": config.name, "checks": [asdict(each) for each in findings]})
    return 0

"""Trying the product: the demo, and sample exports."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from finops.cli.load import configured, show_results
from finops.cli.output import Output, display_path, money, plain_json, size
from finops.demo import run_demo
from finops.errors import UsageError
from finops.period import BillingPeriod
from finops.run import PeriodResult
from finops.vendors.aws.sample import SampleLayout, write_sample


def demo(arguments: argparse.Namespace, output: Output) -> int:
    """``demo``: sample bills of two payers through the whole pipeline."""
    _at_least(arguments.rows, 1, "--rows")
    folder = configured(arguments).data_dir / "demo"
    again = ", in place of the earlier demo" if folder.exists() else ""
    output.say(f"Writing sample bills of two AWS payers to {display_path(folder)}{again} …")
    done = run_demo(folder, rows=arguments.rows, seed=arguments.seed, track=output.track)
    services = [(each.service, each.billed_cost, each.currency) for each in done.services]
    config_file = shlex.quote(display_path(folder / "config.toml"))
    show_results(
        output,
        done.results,
        [],
        database=str(done.database),
        services=[asdict(each) for each in done.services],
    )
    output.line()
    output.line(_summary(done.results))
    output.line()
    output.line("Top services, all periods and both payers:")
    output.table(("service", "billed cost", "currency"), services, right=("billed cost",))
    output.line()
    output.line(f"The database: {display_path(done.database)}")
    program = shlex.quote(os.environ.get("FINOPS_PROGRAM", "finops"))
    output.line("Next:")
    output.line(f'  {program} -c {config_file} sql "SELECT * FROM aws_billing.billing LIMIT 5"')
    output.line(f"  {program} -c {config_file} aws import-cur      (again: nothing new to load)")
    output.line(f"  {program} aws list-manifests --bucket YOUR-BUCKET --prefix YOUR-PREFIX")
    return 0


def _summary(results: Sequence[PeriodResult]) -> str:
    totals: dict[str, Decimal] = {}
    for result in results:
        for currency, total in result.totals.items():
            totals[currency] = totals.get(currency, Decimal()) + total
    files, rows = sum(each.files for each in results), sum(each.rows or 0 for each in results)
    return (
        f"Loaded {len(results)} billing periods, {files} files, {rows:,} line items: "
        f"billed cost {money(totals)}."
    )


def sample(arguments: argparse.Namespace, output: Output) -> int:
    """``sample``: bucket trees with the layout of the real ones."""
    _at_least(arguments.rows, 1, "--rows")
    _at_least(arguments.periods, 1, "--periods")
    _at_least(arguments.files, 1, "--files")
    for flag in ("prefix", "export_name"):
        if ".." in getattr(arguments, flag).split("/"):
            raise UsageError(f"--{flag.replace('_', '-')} may not lead out of --out")
    if not arguments.export_name.strip("/") or "/" in arguments.export_name:
        raise UsageError("--export-name is a name without /")
    newest = (
        BillingPeriod.parse(arguments.end_date)
        if arguments.end_date
        else BillingPeriod.containing(datetime.now(UTC))
    )
    deliveries = write_sample(
        Path(arguments.out),
        periods=[newest.shift(-back) for back in reversed(range(arguments.periods))],
        rows=arguments.rows,
        seed=arguments.seed,
        refresh=arguments.refresh,
        layout=SampleLayout(
            cur_version=arguments.cur_version,
            export_format=arguments.export_format,
            compression=arguments.compression,
            versioning=arguments.versioning,
            prefix=arguments.prefix,
            export_name=arguments.export_name,
            files=arguments.files,
        ),
    )
    rows = [
        (
            each.period,
            each.delivery_id,
            len(each.data_keys),
            size(each.bytes),
            f"{each.rows:,}",
            money(each.unblended),
        )
        for each in deliveries
    ]
    titles = ("period", "delivery", "files", "size", "rows", "unblended cost")
    documents = [
        {
            "period": str(each.period),
            "delivery_id": each.delivery_id,
            "manifest_key": each.manifest_key,
            "data_keys": each.data_keys,
            "rows": each.rows,
            "bytes": each.bytes,
            "unblended": {code: plain_json(total) for code, total in each.unblended.items()},
            "amortized": {code: plain_json(total) for code, total in each.amortized.items()},
            "line_item_types": each.line_item_types,
        }
        for each in deliveries
    ]
    output.answer({"bucket": arguments.out, "deliveries": documents})
    output.table(titles, rows, right=titles[2:])
    return 0


def _at_least(number: int, least: int, flag: str) -> None:
    if number < least:
        raise UsageError(f"{flag} is at least {least}, not {number}")

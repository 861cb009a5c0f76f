"""Trying the product: the demo, and sample exports."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

from finops.answers.report import Question, Report, report
from finops.cli.load import configured, show_results
from finops.cli.output import Output, display_path, plain_json, size
from finops.cli.report import document, show
from finops.config import DEFAULT_VENDOR, VENDORS
from finops.demo import Demo, run_demo
from finops.errors import UsageError
from finops.money import EXACT, added, money
from finops.period import BillingPeriod
from finops.run import PeriodResult
from finops.sampling import SampleDelivery
from finops.store.database import reading
from finops.vendors import find_sample

_MOST = 2


def demo(arguments: argparse.Namespace, output: Output) -> int:
    """``demo``: sample bills of all vendors through the whole pipeline."""
    _at_least(arguments.rows, 1, "--rows")
    folder = configured(arguments).data_dir / "demo"
    again = ", in place of the earlier demo" if folder.exists() else ""
    output.say(f"Writing sample bills of {', '.join(VENDORS)} to {display_path(folder)}{again} …")
    done = run_demo(
        folder,
        rows=arguments.rows,
        seed=arguments.seed,
        track=output.track,
        run_id=output.run_id,
    )
    found = _services(done)
    config_file = shlex.quote(display_path(folder / "config.toml"))
    show_results(
        output,
        done.results,
        [],
        database=str(done.data.database),
        services=document(found),
    )
    output.line()
    output.line(_summary(done.results))
    output.line()
    output.line("All clouds together:")
    titles = ("ProviderName", "BillingCurrency", "BilledCost")
    output.table(titles, _providers(found), right=titles[2:])
    output.line()
    output.line(f"The {_MOST} dearest services of each:")
    show(_dearest(found), output)
    output.line()
    output.line(f"The database: {display_path(done.data.database)}")
    program = shlex.quote(os.environ.get("FINOPS_PROGRAM", "finops"))
    output.line("Next:")
    output.line(f"  {program} -c {config_file} report months --by ProviderName")
    output.line(f'  {program} -c {config_file} sql "SELECT * FROM focus.cost_and_usage LIMIT 5"')
    output.line(
        f"  {program} -c {config_file} {DEFAULT_VENDOR} import-cur      (nothing new to load)"
    )
    output.line(
        f"  {program} {DEFAULT_VENDOR} list-manifests --bucket YOUR-BUCKET --prefix YOUR-PREFIX"
    )
    return 0


def _services(done: Demo) -> Report:
    periods = [each.period for each in done.results if each.period]
    with reading(done.data) as db:
        question = Question("services", f"{min(periods)}:{max(periods)}", by="ProviderName")
        return report(db, question)


def _providers(found: Report) -> list[tuple[str, str, Decimal]]:
    """Add up what each provider billed, per currency."""
    totals: dict[tuple[str, str], Decimal] = {}
    for row in found.rows:
        key = row["ProviderName"], row["BillingCurrency"]
        totals[key] = EXACT.add(totals.get(key, Decimal()), row["BilledCost"])
    return [(*key, total) for key, total in sorted(totals.items())]


def _dearest(found: Report) -> Report:
    """Keep the dearest services of each provider, per currency."""
    rows = sorted(found.rows, key=itemgetter("ProviderName"))
    kept = [
        row
        for _, of_one in groupby(rows, itemgetter("ProviderName", "BillingCurrency"))
        for row in islice(of_one, _MOST)
    ]
    return replace(found, rows=kept)


def _summary(results: Sequence[PeriodResult]) -> str:
    totals = added(item for result in results for item in result.totals.items())
    files, rows = sum(each.files for each in results), sum(each.rows or 0 for each in results)
    return (
        f"Loaded {len(results)} billing periods, {files} files, {rows:,} line items: "
        f"billed cost {money(totals)}."
    )


def sample(arguments: argparse.Namespace, output: Output) -> int:
    """``sample``: bucket trees with the layout of the real ones."""
    for flag in ("rows", "periods", "files"):
        _at_least(getattr(arguments, flag), 1, f"--{flag}")
    generator = find_sample(arguments.vendor)
    deliveries = generator.write_sample(
        Path(arguments.out),
        periods=_periods(arguments),
        rows=arguments.rows,
        seed=arguments.seed,
        refresh=arguments.refresh,
        layout=_layout(arguments, generator.SampleLayout),
    )
    output.answer({"bucket": arguments.out, "deliveries": [_document(each) for each in deliveries]})
    titles = ("period", "delivery", "files", "size", "rows", "billed cost")
    output.table(titles, [_row(each) for each in deliveries], right=titles[2:])
    return 0


def _periods(arguments: argparse.Namespace) -> list[BillingPeriod]:
    newest = BillingPeriod.containing(datetime.now(UTC))
    if arguments.end_date:
        newest = BillingPeriod.parse(arguments.end_date)
    return [newest.shift(-back) for back in reversed(range(arguments.periods))]


def _layout(arguments: argparse.Namespace, layout: Callable[..., Any]) -> Any:
    """Read the layout's flags; they have the names of its fields.

    Raises:
        UsageError: keys would lead out of the folder, or the vendor does not offer that.
    """
    if ".." in (arguments.prefix or "").split("/"):
        raise UsageError("--prefix may not lead out of --out")
    for flag, name in (
        ("--export-name", arguments.export_name),
        ("--amortized-name", arguments.amortized_name or None),
    ):
        if name is not None and (not name or "/" in name or name == ".."):
            raise UsageError(f"{flag} is a name without /")
    given = {each.name: getattr(arguments, each.name, None) for each in fields(layout())}
    try:
        return layout(**{name: value for name, value in given.items() if value is not None})
    except ValueError as error:
        raise UsageError(f"of {arguments.vendor}, {error}") from error


def _row(delivery: SampleDelivery) -> list[Any]:
    return [
        delivery.period,
        delivery.delivery_id,
        len(delivery.data_keys),
        size(delivery.bytes),
        f"{delivery.rows:,}",
        money(delivery.totals["billed"]),
    ]


def _document(delivery: SampleDelivery) -> dict[str, Any]:
    totals = {
        measure: {code: plain_json(total) for code, total in amounts.items()}
        for measure, amounts in delivery.totals.items()
    }
    return asdict(delivery) | {"period": str(delivery.period), "totals": totals}


def _at_least(number: int, least: int, flag: str) -> None:
    if number < least:
        raise UsageError(f"{flag} is at least {least}, not {number}")

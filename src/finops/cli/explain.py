"""``explain``: what a charge was made of, by which rules, and where it came from."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from finops.answers.explain import Charge, Explanation
from finops.answers.explain import explain as find
from finops.cli.load import configured
from finops.cli.output import Output, file_document, size

_SHOWN_FILES = 5
# What tells a charge apart; --json has every column.
_TELLING = re.compile(
    "Charge|Commitment|InvoiceId|RegionId|Resource|ServiceCategory|ServiceName|SubAccountId"
    "|PricingCategory|PricingQuantity|PricingUnit|ListUnit|ContractedUnit|x_BillingEntity|x_NetBasis"
)


def explain(arguments: argparse.Namespace, output: Output) -> int:
    """``explain``: the line item, its charges, the rules behind their costs, the files."""
    found, of_all = find(configured(arguments).data, arguments.source_row_id, arguments.export)
    output.answer({"matches": of_all, "rows": [_document(each) for each in found]})
    for each in found:
        _show(each, output)
    if of_all > len(found):
        output.say(f"{of_all:,} source rows begin so, {len(found)} are shown; write more of the id")
    return 0


def _show(each: Explanation, output: Output) -> None:
    load, kinds = each.load, [charge.columns["x_RowKind"] for charge in each.charges]
    output.line(f"{each.export.source} {load.period}: {each.source_row_id}")
    for record in each.line_items:
        output.line()
        output.table(("line item", "value"), list(record.items()))
    output.line()
    output.table(("charge", *kinds), _described(each.charges))
    output.line()
    titles = ("cost", "of", "amount", "currency", "rule", "source")
    output.table(titles, list(_costs(each.charges)), right=("amount",), spare=("source",))
    output.line()
    output.line(f"load {load.load_id} of delivery {load.delivery_id}")
    files = [(file.key, size(file.size), file.sha256) for file in load.files[:_SHOWN_FILES]]
    output.table(("data file", "size", "SHA-256"), files, right=("size",))
    if len(load.files) > _SHOWN_FILES:
        output.line(f"and {len(load.files) - _SHOWN_FILES:,} more; --json names all")
    output.line()


def _described(charges: list[Charge]) -> list[list[Any]]:
    names = {name: None for charge in charges for name in charge.columns if _TELLING.match(name)}
    return [[name, *(charge.columns.get(name) for charge in charges)] for name in sorted(names)]


def _costs(charges: list[Charge]) -> Iterator[list[Any]]:
    for charge in charges:
        record = charge.columns
        for name, rule in charge.rules.items():
            place = [name, record["x_RowKind"], record.get(name), record.get("BillingCurrency")]
            yield [*place, rule.says, rule.source]


def _document(each: Explanation) -> dict[str, Any]:
    load = each.load
    return {
        "source_row_id": each.source_row_id,
        "vendor": each.export.vendor,
        "export": each.export.name,
        "period": str(load.period),
        "line_items": each.line_items,
        "charges": [asdict(charge) for charge in each.charges],
        "load_id": load.load_id,
        "delivery_id": load.delivery_id,
        "delivered_at": load.delivered_at,
        "loaded_at": load.loaded_at,
        "files": [file_document(file) for file in load.files],
    }

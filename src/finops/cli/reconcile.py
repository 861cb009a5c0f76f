"""``reconcile``: bill, invoices and charges side by side, and what the difference may be."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from finops.answers.invoices import read_invoices
from finops.answers.reconcile import Balance, Suspect, reconcile_bills, reconcile_invoices
from finops.cli.load import configured
from finops.cli.output import Output
from finops.errors import RefusedError
from finops.money import amount
from finops.period import BillingPeriod

_PLACE = ("export", "period", "invoice", "billing entity", "charge category")
_REMEDIES = {
    "bill": "finops verify tells more; finops rebuild makes the charges anew",
    "invoice": "docs/reconcile.md tells what an invoice may leave out",
}


def reconcile(arguments: argparse.Namespace, output: Output) -> int:
    """``reconcile``: the bill against the charges, or with ``--invoice`` the stated totals."""
    period = BillingPeriod.parse(arguments.period) if arguments.period else None
    against = "invoice" if arguments.invoice else "bill"
    place = (configured(arguments).data, arguments.export, period)
    if arguments.invoice:
        balances = reconcile_invoices(read_invoices(Path(arguments.invoice)), *place)
    else:
        balances = reconcile_bills(*place)
    output.answer({"against": against, "lines": [_document(each) for each in balances]})
    numbers = (against, "loaded", "residual")
    rows = [row for each in balances for row in _rows(each)]
    output.table((*_PLACE, *numbers, "currency"), rows, right=numbers)
    for each in balances:
        for remark in _remarks(each, against):
            output.line(f"{_name(each)}: {remark}")
    wrong = [each for each in balances if not each.ok]
    if not wrong:
        return 0
    error = RefusedError(
        f"{len(wrong)} of {len(balances)} lines differ from what is loaded",
        code="not-reconciled",
        kept="nothing was changed",
        do=_REMEDIES[against],
    )
    output.error(error)
    return error.exit_code


def _rows(balance: Balance) -> Iterator[list[Any]]:
    periods = ", ".join(map(str, balance.periods))
    place = [balance.export and balance.export.source, periods, balance.invoice_id or "(none yet)"]
    sums = [balance.stated, balance.loaded, balance.residual, balance.currency]
    yield [*place, balance.billing_entity, "", *sums]
    for category, billed in balance.categories.items():
        yield [None, None, None, None, category, None, billed, None, balance.currency]


def _name(balance: Balance) -> str:
    words = (balance.invoice_id or "without invoice id", balance.billing_entity, balance.currency)
    return " ".join(filter(None, words))


def _remarks(balance: Balance, against: str) -> Iterator[str]:
    """Say what is missing on one side, and what the residual may be."""
    if not balance.categories:
        yield "not loaded"
    if balance.stated is None and balance.invoice_id:
        yield "not in the file"
    suspects = [_words(each) for each in balance.suspects]
    if suspects and balance.suspects[0].explains:
        yield f"the {against} {', or '.join(suspects)}"
    elif suspects:
        yield f"nothing explains the residual; perhaps the {against} {', or '.join(suspects)}"


def _words(suspect: Suspect) -> str:
    words = [f"includes {name}" for name in suspect.within]
    words += [f"does not include {name}" for name in suspect.without]
    shown = suspect.amount if suspect.within else suspect.amount.copy_negate()
    return f"{' and '.join(words)} ({amount(shown)})"


def _document(balance: Balance) -> dict[str, Any]:
    return {
        "vendor": balance.export and balance.export.vendor,
        "export": balance.export and balance.export.name,
        "periods": [str(period) for period in balance.periods],
        "invoice_id": balance.invoice_id,
        "billing_entity": balance.billing_entity,
        "currency": balance.currency,
        "stated": balance.stated,
        "loaded": balance.loaded,
        "residual": balance.residual,
        "reconciled": balance.ok if balance.stated is not None else None,
        "categories": balance.categories,
        "suspects": [asdict(each) for each in balance.suspects],
    }

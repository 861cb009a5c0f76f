"""Where bills come from. A vendor is a folder here; it is found by listing this one.

Each vendor module offers the same names:

``list_deliveries(storage, export, survey)``
    the newest delivery of every billing period, newest period first. ``survey`` reads files
    that no manifest describes; ``listed_files`` is this function for vendors that write none.
``list_exports(storage, export, survey)``
    every export under the prefix, whatever is configured as its name.
``find_shape(columns, key)``
    what a surveyed file is, by its columns; only vendors that survey have it.
``check_columns(delivery, columns, key)``
    refuses a file that cannot be of this export.
``describe_columns(delivery, columns, known_originals, file)``
    what each column of a data file is called at the vendor, its type, and how it is read.
``flattens_records()``
    whether records come as columns, one for each field, or as one column of JSON.
``row_period(shape, columns)``
    SQL over stored columns for the billing period of a row, ``YYYY-MM``; empty where all rows
    of a delivery are of its own. Rows of other periods are left out.
``clustering(shape)``
    the columns that published rows are sorted by, so that like rows lie together.
``charges(shape, columns, table)``
    SQL that makes FOCUS charges of the line items in a table, one rule per column.
``brings_columns(shape)``
    whether those charges have columns beside the ones of ``finops.focus.columns``.
``source_row_id(shape, columns)``
    SQL for what a row of those line items is called in ``x_SourceRowId``.
``source_totals(shape, columns, table)``
    SQL for what those line items add up to per invoice, apart from the mapping: what was
    billed, and where the vendor amortizes by itself, the effective cost.
``mapping()``
    the SQL of ``charges`` as it is written, its comments being what people are told.
``services()``
    the vendor's lookup of service categories, as CSV.
``charge_rules()``
    everything that decides what the charges are, to tell when it changes.

Its module ``sample`` has a ``SampleLayout`` (see ``finops.sampling``), which writes a bucket
tree like the real one from the rows of ``sample.sql``; ``write_sample``, which is that of
``finops.sampling`` with this layout; and ``DEMO_LAYOUTS``, by the names of the demo's exports.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from finops.config import VENDORS
from finops.errors import UsageError


def find_vendor(name: str) -> ModuleType:
    """Import the vendor called ``name``, and no other."""
    if name not in VENDORS:
        raise UsageError(f"no vendor is called {name!r}", do=f"known are: {', '.join(VENDORS)}")
    return import_module(f"finops.vendors.{name}")


def find_sample(name: str) -> ModuleType:
    """Import the generator of a vendor's sample exports."""
    return import_module(f"{find_vendor(name).__name__}.sample")

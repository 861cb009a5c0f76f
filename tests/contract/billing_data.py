"""Deliver hand-written line items as Google Cloud's billing tables are exported to CSV.

Line items are dicts of dotted names and texts. What one does not name is filled in, so that a
case says what it is about and no more.
"""

import csv
import io

PLACE = ("--prefix", "billing")
DEFAULTS = {
    "billing_account_id": "010101-F0FFF0-61C528",
    "invoice.month": "202608",
    "cost_type": "regular",
    "service.id": "6F81-5844-456A",
    "service.description": "Compute Engine",
    "sku.id": "CF4E-A0C7-E3BF",
    "sku.description": "E2 Instance Core running in Belgium",
    "usage_start_time": "2026-08-05 10:00:00 UTC",
    "usage_end_time": "2026-08-05 11:00:00 UTC",
    "project.id": "shop-prod",
    "credits": "[]",
    "currency": "USD",
    "currency_conversion_rate": "1",
    "export_time": "2026-08-05 13:00:00 UTC",
}


def deliver(bucket, line_items, name="usage.csv", without=()):
    """Write one file of line items; return it."""
    items = [DEFAULTS | item for item in line_items]
    columns = dict.fromkeys(column for item in items for column in item if column not in without)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(items)
    return put(bucket, text.getvalue(), name)


def put(bucket, text, name="usage.csv"):
    """Write a file of the delivery as it is."""
    file = bucket / "billing" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
    return file

"""Deliver hand-written line items as Azure would: the files of two exports, and their manifests.

Line items are dicts of EA names and texts. What one does not name is filled in, so that a case
says what it is about and no more.
"""

import csv
import io
import json

PLACE = ("--prefix", "costs", "--export-name", "actual", "--amortized-name", "amortized")
DATASETS = {"actual": "ActualCost", "amortized": "AmortizedCost"}
_MONTH = "20230901-20230930"
_DEFAULTS = {
    "BillingAccountId": "8611537",
    "BillingAccountName": "Contoso",
    "BillingCurrency": "USD",
    "BillingPeriodStartDate": "09/01/2023",
    "BillingPeriodEndDate": "09/30/2023",
    "BenefitId": "",
    "ChargeType": "Usage",
    "ConsumedService": "Microsoft.Compute",
    "Date": "09/05/2023",
    "Frequency": "UsageBased",
    "MeterCategory": "Virtual Machines",
    "MeterId": "f31064a2-ed95-4e11-8b69-270f2fc4fbdd",
    "PricingModel": "OnDemand",
    "PublisherName": "Microsoft",
    "PublisherType": "Azure",
    "Quantity": "1",
    "SubscriptionId": "1caaa5a3-2b66-438e-8ab4-bce37d518c5d",
    "SubscriptionName": "Production",
    "UnitOfMeasure": "1 Hour",
}


def deliver(container, case, datasets=("actual", "amortized")):
    """Write one run of each dataset, of September 2023."""
    columns = [name for name in _columns(case) if name not in case.get("without", ())]
    for name in case.get("datasets", datasets):
        items = [each for each in case["line_item"] if dataset_of(each) == name]
        rows = [[(_DEFAULTS | item).get(column, "") for column in columns] for item in items]
        put_run(container, name, columns, rows)


def dataset_of(line_item):
    return line_item.get("dataset", "actual")


def put_run(container, name, columns, rows, run="0b1c2d3e-1111-2222-3333-444455556666"):
    """Write a run of one file and its manifest; return the file."""
    folder = container / "costs" / name / _MONTH / run
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "part_0_0001.csv"
    text = io.StringIO()
    csv.writer(text).writerows([columns, *rows])
    file.write_text(text.getvalue(), "utf-8")
    put_manifest(container, name, [(file, len(rows))], run)
    return file


def put_manifest(container, name, files, run, **more):
    folder = container / "costs" / name / _MONTH / run
    folder.mkdir(parents=True, exist_ok=True)
    blobs = [
        {
            "blobName": file.relative_to(container).as_posix(),
            "byteCount": file.stat().st_size,
            "dataRowCount": rows,
        }
        for file, rows in files
    ]
    manifest = {
        "manifestVersion": "2024-04-01",
        "blobCount": len(blobs),
        "dataRowCount": sum(rows for _, rows in files),
        "exportConfig": {"exportName": name, "type": DATASETS.get(name, name)},
        "deliveryConfig": {"fileFormat": "Csv", "compressionMode": "None"},
        "runInfo": {
            "runId": run,
            "startDate": "2023-09-01T00:00:00",
            "submittedTime": "2023-10-02T04:27:12.5234447Z",
        },
        "blobs": blobs,
    } | more
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _columns(case):
    return list(
        _DEFAULTS | {name: "" for item in case["line_item"] for name in item if name != "dataset"}
    )

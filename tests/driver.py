"""Drive the command line in this process, and put sample trees into buckets."""

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

import duckdb

from finops.cli import main
from finops.period import BillingPeriod

PERIODS = [BillingPeriod(2024, month) for month in (1, 2, 3)]


@dataclass
class Answer:
    """What a command said; ``document`` is its JSON."""

    code: int
    out: str
    err: str

    @property
    def document(self):
        return json.loads(self.out)

    @property
    def results(self):
        return self.document["results"]

    @property
    def outcomes(self):
        return {result["period"]: result["outcome"] for result in self.results}


class Finops:
    """The command line over one data folder and one bucket."""

    def __init__(self, data: Path, *flags: str) -> None:
        self.data = data
        self.flags = flags

    def __call__(self, *arguments: str) -> Answer:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main(["--data-dir", str(self.data), *arguments])
            except SystemExit as stop:
                code = stop.code
        return Answer(code, out.getvalue(), err.getvalue())

    def aws(self, command: str, *arguments: str) -> Answer:
        """Run a step over the bucket and answer with JSON."""
        return self("aws", command, "--json", *self.flags, *arguments)

    @property
    def database(self) -> Path:
        return self.data / "open_finops.duckdb"

    def query(self, sql: str):
        """Ask the published store, as any reader would."""
        with duckdb.connect(str(self.database), read_only=True) as db:
            return db.execute(sql).fetchall()

    def loaded(self, dataset: str = "aws_billing", cost: str = "lineitem_unblendedcost"):
        """Return rows and billed cost by period, from the rows themselves."""
        rows = self.query(
            f"SELECT billing_period, count(*), sum({cost}) FROM {dataset}.billing GROUP BY 1"
        )
        return {period: (count, total) for period, count, total in rows}


def over_folder(data: Path, bucket: Path, *flags: str) -> Finops:
    """Read a folder as the bucket, at the sample's usual place."""
    place = ("--prefix", "cur-reports", "--export-name", "monthly-cur")
    return Finops(data, "--bucket", str(bucket), *place, *flags)


def upload(folder: Path, bucket) -> None:
    """Put a folder's files into an S3 bucket, manifests last; keys are the relative paths."""
    for path in sorted(folder.rglob("*"), key=lambda path: ("Manifest" in path.name, path)):
        if path.is_file():
            key = path.relative_to(folder).as_posix()
            bucket.client.put_object(Bucket=bucket.name, Key=key, Body=path.read_bytes())


def upload_manifests_again(bucket) -> None:
    """Write a bucket's manifests once more, as AWS does when all files are there."""
    place = {"Bucket": bucket.name}
    for listed in bucket.client.list_objects_v2(**place)["Contents"]:
        if listed["Key"].endswith("Manifest.json"):
            body = bucket.client.get_object(**place, Key=listed["Key"])["Body"].read()
            bucket.client.put_object(**place, Key=listed["Key"], Body=body)


def expected(deliveries):
    """Return rows and billed cost by period, as the generator reports them."""
    return {
        str(each.period): (each.rows, sum(each.totals["billed"].values())) for each in deliveries
    }

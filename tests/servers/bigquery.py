"""A BigQuery on this machine: local-bigquery 0.4.0, in an environment of its own.

Where it is not BigQuery, as found by trying; what depends on these is not proven by a test here:

- Of partition decorators it knows what ``bigquery_program.py`` adds: a load job replaces, or
  appends to, a month of an existing table that is partitioned by the months of a column. To copy to
  ``table$202401`` still makes another table of that name, and nothing is said; to read it, to
  delete it and ``Client.list_partitions`` answer 404.
- A job that names other partitioning or clustering than the table has changes what the table says
  of itself; BigQuery refuses the job.
- A load job into a partition of a table that does not exist answers 404, and makes none.
- A column that a load adds has no description. A query job that replaces a table keeps those of
  the columns; BigQuery may not.
- A query job that makes text of a record leaves the record's fields in what the API says of it.
- ``Client.update_table`` of a view notes its new query, and the view answers the old one.
  ``CREATE OR REPLACE VIEW`` does both.
- ``Table.num_rows`` and ``INFORMATION_SCHEMA.PARTITIONS`` still count deleted rows.
- ``BIGNUMERIC`` is ``DECIMAL(38, 24)``, which ``bigquery_program.py`` asks for; by itself it
  rounds to 18 decimals and says nothing. So 10^14 and more are refused, which BigQuery takes.
- A load without a schema makes ``DECIMAL(38, 24)`` of a Parquet file ``BIGNUMERIC``. BigQuery
  takes it for ``NUMERIC`` unless ``decimal_target_types`` names ``BIGNUMERIC`` too.
- A list in a Parquet file is a repeated field without ``enable_list_inference`` too; BigQuery
  then makes records ``list.element`` of it.
- A load leaves out, in silence, the columns of a file that its schema does not name.
- A column that a load's schema calls ``REQUIRED`` comes out ``NULLABLE``.
- Names of columns, labels, job ids, and the number and types of clustering columns are not
  checked.
- ``UNNEST(tags) WHERE key = 'x'`` is refused; ``UNNEST(tags) AS tag WHERE tag.key = 'x'`` is not.
- No geography, no credentials, no quotas; locations are written down and mean nothing.
"""

import contextlib
import uuid
from pathlib import Path
from typing import NamedTuple

from scripts.bootstrap import ROOT, interpreter
from tests.servers import pythons
from tests.servers.process import HOST, folder_of, free_port, listens, running

VENV = ROOT / ".venv-bigquery"
PYTHONS = ("3.13", "3.14", "3.15")
PROGRAM = Path(__file__).with_name("bigquery_program.py")
PROJECT = "finops-tests"


class BigQuery(NamedTuple):
    """A server on this machine, and the project that it has."""

    endpoint: str
    project: str

    def client(self):
        """Return Google's own client, which the caller closes."""
        from google.api_core.client_options import ClientOptions
        from google.auth.credentials import AnonymousCredentials
        from google.cloud.bigquery import Client

        return Client(
            project=self.project,
            credentials=AnonymousCredentials(),
            client_options=ClientOptions(api_endpoint=self.endpoint),
        )


@contextlib.contextmanager
def server(log):
    """Run a ``BigQuery``; skip the test where no Python for it is found."""
    base = pythons.find("the BigQuery emulator", *PYTHONS)
    requirements = ROOT / "requirements" / "bigquery.txt"
    python = interpreter(VENV, requirements, "a minute", base, resolve=False)
    with folder_of() as folder:
        port = free_port()
        command = [python, "-I", PROGRAM, "--host", HOST, "--port", port, "--grpc-port", 0]
        place = ["--project", PROJECT, "--data-dir", folder / "data"]
        with running([*command, *place], folder, log, lambda: listens(port)):
            yield BigQuery(f"http://{HOST}:{port}", PROJECT)


@contextlib.contextmanager
def dataset(client):
    """Make an empty dataset for as long as the block lasts, and give its name."""
    name = f"finops_{uuid.uuid4().hex}"
    client.create_dataset(name)
    yield name
    client.delete_dataset(name, delete_contents=True, not_found_ok=True)

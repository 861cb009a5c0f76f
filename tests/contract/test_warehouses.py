"""Whatever the warehouse: it has what the store has, and a reader never sees half of a period."""

import contextlib
import io
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

import duckdb
import pytest
from google.api_core.exceptions import ServiceUnavailable
from google.cloud.bigquery import Client

from finops import config
from finops.faults import PUBLISHING_POINTS
from finops.focus.columns import VERSIONS
from finops.period import BillingPeriod
from finops.rows import Rows
from finops.sql import identifier, literal
from finops.steps.published import PeriodRows
from tests import memory_warehouse
from tests.contract.places import PLACES, STRATEGIES, in_order, plain
from tests.driver import Answer, Finops
from tests.servers import process

pytestmark = pytest.mark.timeout(900)

SOURCE = Path(__file__).parents[2] / "src"
EACH_PLACE = [(kind, strategy) for kind in PLACES for strategy in STRATEGIES]
DECEMBER = BillingPeriod(2023, 12)
JANUARY, FEBRUARY, MARCH = (BillingPeriod(2024, month) for month in (1, 2, 3))
EXPORTS = {"default": "aws_billing", "second": "second"}
LAST = 10**24 - 1
MONEY = [
    "0.000000000000000000000001",
    "-0.1",
    f"99999999999999.{LAST}",
    f"-99999999999999.{LAST}",
    "1234.5",
]
TEXTS = [
    'it\'s "quoted" `here`',
    "two\nlines\r\nand\ttab",
    r"back\slash \N \x41 \\",
    "\U0001f4b8 ünï \u202e code",
    '=HYPERLINK("x")',
    "+1",
    "@SUM(1)",
    "-2",
    "",
    " spaces ",
    "NULL",
    "$1 {0} %s",
    "{not json",
    "x" * 5_000,
]
# Columns that change their type from the first months to March.
DRIFT = {
    "big_to_money": ("7::BIGINT + n", "0.5::DECIMAL(38, 24)"),
    "big_to_double": ("n::BIGINT", "0.1::DOUBLE"),
    "big_to_text": ("9007199254740993::BIGINT", "'one'"),
    "double_to_money": ("n + 0.1::DOUBLE", "0.3::DECIMAL(38, 24)"),
    "double_to_text": ("n::DOUBLE / 2", "'half'"),
    "long_double_to_text": (
        "CAST([1e22, 1e-7, 0.1, 123456789.125, -3][n + 1] AS DOUBLE)",
        "'long'",
    ),
    "money_to_text": ("(n / 4)::DECIMAL(38, 24)", "'much'"),
    "date_to_time": ("'2024-01-02'::DATE", "'2024-03-02 10:11:12'::TIMESTAMP"),
    "date_to_text": ("'2024-01-02'::DATE", "'a day'"),
    "time_to_text": ("'2024-01-02 03:04:05.678'::TIMESTAMP", "'noon'"),
    "flag_to_text": ("n = 1", "'maybe'"),
    "map_to_text": ("MAP {'a': 'b'}", "'flat'"),
    "money_map_to_map": (f"MAP {{'a': 1.{10**24 // 7}::DECIMAL(38, 24)}}", "MAP {'a': 'b'}"),
    "text_to_big": ("'one'", "1::BIGINT"),
    "comes": (None, "'late'"),
    "goes": ("'early'", None),
}
NAMES = {
    "user:Name": ("'first'", None),
    "user:name": (None, "'second'"),
    "select": ("'reserved'", "'reserved'"),
    "xmin": (None, "'system'"),
    "_TABLE_x": (None, "'prefix'"),
    "_PARTITIONDATE": (None, "'pseudo'"),
    "1st": ("'digit'", "'digit'"),
    'größe/"quoted"\'': (None, "'unicode'"),
    f"tag/{'long' * 60}": (None, "'long'"),
    f"tag/{'long' * 60}er": (None, "'longer'"),
}
MONEY_COLUMNS = ["line_item_unblended_cost", "big_to_money", "big_to_double", "double_to_money"]
FASTER = [each for each in EACH_PLACE if each != ("bigquery", "separate")]
SERVERS = [each for each in FASTER if each[0] != "memory"]
LASTING = [each for each in EACH_PLACE if each[0] != "memory"]
FEBRUARY_ROWS = (
    "aws_billing.billing WHERE billing_period = '2024-02' ORDER BY identity_line_item_id"
)
QUERY = (
    "SELECT ServiceCategory, ChargeCategory, COUNT(*) AS Charges, SUM(BilledCost) AS Billed,"
    " SUM(EffectiveCost) AS Effective FROM {focus}.{view} WHERE BillingCurrency = 'USD'"
    " GROUP BY ServiceCategory, ChargeCategory"
)


@pytest.fixture(scope="session", autouse=True)
def _memory_is_a_warehouse():
    kind, *others = config.WAREHOUSE_KEYS
    chosen = [*kind.choices, "memory"]
    with pytest.MonkeyPatch.context() as patch:
        keys = (config.Key(kind.name, kind.help, choices=tuple(chosen)), *others)
        patch.setattr(config, "WAREHOUSE_KEYS", keys)
        patch.setitem(sys.modules, "finops.warehouses.memory", memory_warehouse)
        yield


def test_every_warehouse_is_tested_here():
    assert set(PLACES) == {*config.WAREHOUSES, "memory"}


def deliver(bucket, period, version, rows, now=0):
    """Write a CUR 2.0 delivery in Parquet; ``now`` chooses between the two forms of a column."""
    cells = {
        "identity_line_item_id": f"'{period}-' || n",
        "line_item_unblended_cost": f"CAST({MONEY} AS DECIMAL(38, 24)[])[n % {len(MONEY)} + 1]",
        "line_item_usage_type": f"[{', '.join(map(literal, TEXTS))}][n % {len(TEXTS)} + 1]",
        "line_item_usage_start_date": f"'{period}-01'::TIMESTAMP + to_hours(n)",
        "line_item_currency_code": "'USD'",
        "line_item_line_item_type": "'Usage'",
        "bill_payer_account_id": "'123456789012'",
    } | {name: forms[now] for name, forms in (DRIFT | NAMES).items() if forms[now]}
    select = ", ".join(f"{cell} AS {identifier(name)}" for name, cell in cells.items())
    place = "cur-reports/monthly-cur/{}/BILLING_PERIOD=" + str(period)
    key = f"{place.format('data')}/{version}.snappy.parquet"
    manifest = bucket / place.format("metadata") / "monthly-cur-Manifest.json"
    for folder in ((bucket / key).parent, manifest.parent):
        folder.mkdir(parents=True, exist_ok=True)
    sql = f"COPY (SELECT {select} FROM range({rows}) AS t(n)) TO '{bucket / key}' (FORMAT parquet)"
    duckdb.execute(sql).fetchall()
    document = {"executionId": version, "columns": [], "dataFiles": [f"s3://any/{key}"]}
    manifest.write_text(json.dumps(document))


class Publisher(Finops):
    """The command line over two exports and the warehouses that config.toml names."""

    def __init__(self, folder, *places):
        super().__init__(folder / "data")
        self.folder = folder
        self.configure(*(place.section() for place in places))

    def configure(self, *sections, since=DECEMBER, until=MARCH):
        exports = [
            f'[aws{"" if name == "default" else ".exports." + name}]\ndataset = "{dataset}"\n'
            f'bucket = "{self.folder / name}"\nstart_date = "{since}"\nend_date = "{until}"\n'
            for name, dataset in EXPORTS.items()
        ]
        place = 'prefix = "cur-reports"\nexport_name = "monthly-cur"\n'
        text = "\n".join([exports[0] + place, *exports[1:], *sections])
        (self.folder / "config.toml").write_text(text)

    def __call__(self, *arguments):
        return super().__call__("-c", str(self.folder / "config.toml"), *arguments)

    def publish(self, *flags):
        return self("aws", "load-billing-remote", "--json", *flags)

    def rows(self, sql):
        """Return rows of the store, as plain as a warehouse's."""
        with duckdb.connect(str(self.database), read_only=True) as db:
            found = db.execute(sql)
            names = [column[0].lower() for column in found.description]
            return [dict(zip(names, map(plain, row), strict=True)) for row in found.fetchall()]

    def stored(self, relation):
        return self.rows(f"FROM {relation}")

    def line_items(self, place, export):
        """Return the line items of an export as a warehouse shows them, by its own names."""
        dataset = EXPORTS[export]
        registered = self.query(
            f"SELECT original, name FROM finops.column_registry WHERE dataset = '{dataset}'"
        )
        renamed = {}
        for entry in place.ledger():
            renamed |= entry["renamed"] or {} if entry["export"] == export else {}
        own = {name: renamed.get(original, name).lower() for original, name in registered}
        rows = self.stored(f"{dataset}.billing")
        for row in rows:
            row["billing_period_start"] = f"{row['billing_period']}-01"
        return in_order({own.get(name, name): cell for name, cell in row.items()} for row in rows)

    def charges(self, view, since):
        since = f"BillingPeriodStart >= '{since}-01'"
        return in_order(self.stored(f"focus.{view} WHERE {since}"))


@dataclass
class Told:
    """What two runs said, for line items and for charges, and what there was afterwards."""

    answers: list[Answer]
    ledgers: list[list[dict]]
    found: dict[str, list[str]]
    stored: dict[str, list[str]]
    jobs: list[str]

    @property
    def outcomes(self):
        return [
            {(each["export"], each["period"]): each["outcome"] for each in answer.results}
            for answer in self.answers
        ]

    @property
    def differences(self):
        """Return a cell of each column that is not what the store has: there, and in the store."""
        return {
            f"{where}.{name}": (there.get(name), here.get(name))
            for where, rows in self.stored.items()
            for there, here in zip_longest(self.found[where], rows, fillvalue={})
            for name in there | here
            if there.get(name, "nothing") != here.get(name, "nothing")
        }


def tell(finops, place, since, *views):
    """Publish everything, and read the warehouse and the store."""
    finops.configure(place.section())
    answers = [finops.publish()]
    if since:
        finops.configure(place.section(), since=since)
        answers.append(finops.publish("--focus"))
    assert [answer.err for answer in answers if answer.code] == []
    tables = {"default": "aws_data", "second": "aws_data_second"}
    found = {
        export: in_order(place.rows(f"SELECT * FROM {place.billing}.{table}"))
        for export, table in tables.items()
    }
    stored = {export: finops.line_items(place, export) for export in tables}
    for view in views if since else ():
        found[view] = in_order(place.rows(f"SELECT * FROM {place.focus}.{view}"))
        stored[view] = finops.charges(view, since)
    datasets = (place.billing, place.focus) if since else (place.billing,)
    ledgers = [place.ledger(dataset) for dataset in datasets]
    return Told(answers, ledgers, found, stored, place.jobs())


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Two data folders: as first loaded, and with a month restated, one emptied and one new."""
    first, changed = (tmp_path_factory.mktemp("stores") / name for name in ("first", "changed"))
    for period, rows in {DECEMBER: 3, JANUARY: 6, FEBRUARY: len(TEXTS)}.items():
        deliver(first / "default", period, "one", rows)
    deliver(first / "second", MARCH, "one", 4)
    assert Publisher(first)("aws", "import-cur").code == 0
    shutil.copytree(first, changed)
    deliver(changed / "default", DECEMBER, "two", 0)
    deliver(changed / "default", FEBRUARY, "two", 5)
    deliver(changed / "default", MARCH, "one", 10, now=1)
    assert Publisher(changed)("aws", "import-cur").code == 0
    return Publisher(first), Publisher(changed)


@pytest.fixture(scope="module", params=EACH_PLACE, ids="-".join)
def told(request, stores):
    """What was told of the first store, of the same again, and of the changed one."""
    kind, strategy = request.param
    first, changed = stores
    with PLACES[kind](request, strategy) as place:
        since, views = DECEMBER, ("cost_and_usage", "v1_4")
        if kind == "bigquery":  # the tests' own is slow with wide tables
            since = None
        yield (
            place,
            tell(first, place, since, *views[:1]),
            tell(first, place, since),
            tell(changed, place, since or (MARCH if strategy == "single" else None), *views),
        )


def test_the_warehouse_has_every_row_and_value_of_the_store(told):
    _, first, *_ = told

    assert first.differences == {}
    assert {outcome for each in first.outcomes for outcome in each.values()} == {"published"}


def test_a_second_run_does_nothing(told):
    _, first, again, _ = told

    assert {outcome for each in again.outcomes for outcome in each.values()} == {"unchanged"}
    assert again.found | first.found == first.found
    assert (again.ledgers, again.jobs) == (first.ledgers, first.jobs)


def test_what_changed_is_replaced_and_nothing_else(told):
    _, first, _, changed = told
    published = [("default", period) for period in ("2023-12", "2024-02", "2024-03")]
    kept = [("default", "2024-01"), ("second", "2024-03")]
    outcomes = dict.fromkeys(published, "published") | dict.fromkeys(kept, "unchanged")

    assert changed.outcomes[0] == outcomes
    if len(first.outcomes) == 2:
        assert changed.outcomes[1] == outcomes
    assert changed.differences == {}
    assert changed.found["second"] == first.found["second"]


def test_an_emptied_month_is_published_as_empty(told):
    _, first, _, changed = told

    assert "2023-12" in {row["billing_period"] for row in first.found["default"]}
    assert "2023-12" not in {row["billing_period"] for row in changed.found["default"]}
    entries = [each for each in changed.ledgers[0] if each["billing_period"] == "2023-12"]
    assert [each["row_count"] for each in entries] == [3, 0]


def test_all_money_adds_up_to_the_same(told, stores):
    place, *_, changed = told
    names = [name for name in changed.found["default"][0] if name in MONEY_COLUMNS]
    sums = ", ".join(f"SUM({name}) AS {name}" for name in names)
    sql = f"SELECT billing_period, COUNT(*) AS n, {sums} FROM {{}} GROUP BY 1 ORDER BY 1"

    found = place.rows(sql.format(f"{place.billing}.aws_data"))

    assert len(names) == len(MONEY_COLUMNS)
    assert found == stores[1].rows(sql.format("aws_billing.billing"))


def test_every_column_is_found_by_the_name_that_the_ledger_tells(told, stores):
    *_, changed = told
    registered = stores[1].query("SELECT original, name FROM finops.column_registry")
    (entry,) = [
        each
        for each in changed.ledgers[0]
        if (each["billing_period"], each["export"]) == ("2024-03", "default")
    ]
    own = dict(registered) | (entry["renamed"] or {})
    assert {*entry["renamed"]} <= {*NAMES}

    for name, (early, late) in NAMES.items():
        cells = {row["billing_period"]: row[own[name].lower()] for row in changed.found["default"]}
        expected = [form and form.strip("'") for form in (early, early, late)]
        assert [cells[period] for period in sorted(cells)] == expected, name


def test_one_query_has_the_same_answer_everywhere(told, stores):
    place, *_, changed = told
    if len(changed.outcomes) == 1:
        return
    finops = stores[1]
    since = "AND BillingPeriodStart >= TIMESTAMP '2024-03-01 00:00:00' GROUP BY"
    for version in VERSIONS:
        view = f"v{version.replace('.', '_')}"
        sql = QUERY.replace("GROUP BY", since)
        found = in_order(place.rows(sql.format(focus=place.focus, view=view)))
        assert found == in_order(finops.rows(sql.format(focus="focus", view=view))) != []


@pytest.fixture(params=FASTER, ids="-".join)
def place(request):
    """A warehouse with nothing in it."""
    kind, strategy = request.param
    with PLACES[kind](request, strategy) as place:
        yield place


@pytest.fixture
def months(stores, place):
    """Two stores that hold other versions of one month, about to be published."""
    for finops in stores:
        finops.configure(place.section(), since=FEBRUARY, until=FEBRUARY)
    return stores


@pytest.fixture(scope="module")
def versions(stores, tmp_path_factory):
    """Two stores with the same columns and other rows in a month."""
    _, changed = stores
    folder = shutil.copytree(changed.folder, tmp_path_factory.mktemp("stores") / "restated")
    deliver(folder / "default", FEBRUARY, "three", 7)
    restated = Publisher(folder)
    assert restated("aws", "import-cur").code == 0
    return changed, restated


def here(finops):
    return [row["identity_line_item_id"] for row in finops.stored(FEBRUARY_ROWS)]


def there(place):
    ids = f"SELECT identity_line_item_id FROM {place.billing}.aws_data"
    return sorted(row["identity_line_item_id"] for row in place.rows(ids))


def killed(finops, point):
    """Publish in a process of its own and let it be killed."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "finops", "-c", finops.folder / "config.toml"),
            *("--data-dir", finops.data, "aws", "load-billing-remote", "--export", "default"),
        ],
        check=False,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "FINOPS_FAULT": point},
    )
    assert done.returncode == -9, done.stderr


@pytest.mark.parametrize("place", LASTING, indirect=True, ids="-".join)
def test_a_killed_run_leaves_a_month_old_or_new_and_the_next_makes_it_new(place, versions):
    old, new = versions
    for finops in versions:
        finops.configure(place.section(), since=FEBRUARY, until=FEBRUARY)
    assert old.publish().code == 0
    points = PUBLISHING_POINTS
    if place.sends_jobs:
        points = (*points, "rows-sent#2") if place.strategy == "single" else points[:1]
    for point in points:
        before = place.jobs()
        killed(new, point)
        assert there(place) in (here(old), here(new)), point
        assert new.publish().code == 0
        assert there(place) == here(new), point
        sent = [job for job in place.jobs() if job not in before and "ledger" not in job]
        assert len(sent) == place.sends_jobs, point
        old, new = new, old


def test_what_is_not_equal_is_refused(place, months, monkeypatch):
    old, new = months
    assert old.publish().code == 0
    before = place.ledger()
    measure = Rows.measure

    def wrong(rows):
        measures = measure(rows)
        cost = measures.sums["line_item_unblended_cost"]
        return replace(measures, sums={"line_item_unblended_cost": cost + 1})

    with monkeypatch.context() as patch:
        patch.setattr(Rows, "measure", wrong)
        answer = new.publish()

    (error,) = [result["error"] for result in answer.results]
    assert (answer.code, error["code"]) == (4, "not-equal")
    assert "1235.4" in error["what"]
    assert "1234.4" in error["what"]
    assert place.ledger() == before
    if not place.sends_jobs:
        assert there(place) == here(old)
    assert new.publish().code == 0
    assert there(place) == here(new)


def test_the_table_of_another_export_is_left_alone(place, stores):
    finops, _ = stores
    finops.configure(place.section(table="aws_data_second"), since=FEBRUARY, until=FEBRUARY)
    assert finops.publish("--export", "default").code == 0
    before = place.rows(f"SELECT * FROM {place.billing}.aws_data_second")
    finops.configure(place.section(), since=MARCH)

    answer = finops.publish("--export", "second")

    assert (answer.code, answer.document["error"]["code"]) == (78, "other-export")
    assert place.rows(f"SELECT * FROM {place.billing}.aws_data_second") == before


def test_a_table_of_the_other_strategy_is_left_alone(place, months):
    finops, _ = months
    assert finops.publish().code == 0
    (other,) = set(STRATEGIES) - {place.strategy}
    finops.configure(place.section(table_strategy=other), since=FEBRUARY, until=FEBRUARY)

    answer = finops.publish()

    codes = {result["error"]["code"] for result in answer.results}
    assert (answer.code, codes) == (78, {"other-strategy"})
    assert there(place) == here(finops)


def test_the_bill_of_another_account_is_left_alone(place, months, monkeypatch):
    finops, _ = months
    assert finops.publish("--export", "default").code == 0

    with monkeypatch.context() as patch:
        patch.setattr(PeriodRows, "accounts", ["210987654321"])
        answer = finops.publish("--export", "default", "--force")

    assert (answer.code, answer.document["error"]["code"]) == (78, "other-export")
    assert "123456789012" in answer.document["error"]["what"]
    assert there(place) == here(finops)


@pytest.mark.parametrize("place", [("bigquery", "single")], indirect=True, ids="-".join)
def test_a_dataset_that_was_dropped_is_made_again_with_its_ledger(place, months):
    finops, _ = months
    assert finops.publish("--export", "default").code == 0
    place.client.delete_table(f"{place.billing}.finops_loads")
    assert finops.publish("--export", "default").code == 0
    assert len(place.ledger()) == 1
    place.client.delete_dataset(place.billing, delete_contents=True)

    assert finops.publish("--export", "default").code == 0
    assert there(place) == here(finops)
    assert len(place.ledger()) == 1


@pytest.mark.parametrize("place", [("postgres", "single")], indirect=True, ids="-".join)
def test_a_lost_connection_fails_its_month_and_nothing_else(place, months, monkeypatch):
    finops, _ = months
    assert finops.publish("--export", "default").code == 0
    arrow = Rows.arrow

    def cut(rows):
        place.ask(
            "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return arrow(rows)

    with monkeypatch.context() as patch:
        patch.setattr(Rows, "arrow", cut)
        answer = finops.publish("--force", "--export", "default")

    assert answer.code == 69
    assert there(place) == here(finops)
    assert finops.publish("--force", "--export", "default").code == 0


def test_a_check_leaves_nothing_behind(place, months):
    finops, _ = months

    answer = finops("warehouse", "check", "there", "--json")

    assert answer.code == 0
    assert answer.document["checks"]
    assert place.datasets() == set()


SECRET = "canary-password"  # noqa: S105 - of nobody


@contextlib.contextmanager
def listening(*answers):
    """Answer each message of a client, whatever it says; give the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            client, _ = server.accept()
            with client:
                for answer in answers:
                    client.recv(65536)
                    client.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)


WANTED = b"R" + struct.pack("!ii", 8, 3)
FIELDS = b'SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user "finops"\0\0'
REFUSED = b"E" + struct.pack("!i", 4 + len(FIELDS)) + FIELDS


@pytest.mark.parametrize("flags", [(), ("--debug",), ("--json",)])
@pytest.mark.parametrize(
    ("answers", "code"), [((WANTED, REFUSED), 77), (None, 69)], ids=["wrong password", "no server"]
)
def test_a_postgres_that_lets_nobody_in_is_explained_without_secrets(stores, answers, code, flags):
    finops, _ = stores
    with listening(*answers) if answers else contextlib.nullcontext(process.free_port()) as port:
        uri = f"postgresql://finops:{SECRET}@127.0.0.1:{port}/bills?sslmode=disable"
        finops.configure(f'[warehouse.there]\ntype = "postgres"\nuri = "{uri}"\n')
        answer = finops(*flags, "warehouse", "check")

    assert answer.code == code
    assert SECRET not in answer.out + answer.err
    assert "check " in answer.out + answer.err


@pytest.fixture
def bigquery_place(request):
    with PLACES["bigquery"](request, "single") as place:
        yield place


def test_bigquery_is_sent_one_job_that_replaces_a_partition(bigquery_place, stores, monkeypatch):
    place, (finops, _) = bigquery_place, stores
    finops.configure(place.section(), since=FEBRUARY, until=FEBRUARY)
    send = Client.load_table_from_file

    def send_nonsense(client, _file, *arguments, **options):
        return send(client, io.BytesIO(b"no parquet"), *arguments, **options)

    def lose_the_answer(*arguments, **options):
        send(*arguments, **options)
        raise ServiceUnavailable("503")

    with monkeypatch.context() as patch:
        patch.setattr(Client, "load_table_from_file", send_nonsense)
        assert finops.publish().code == 65
    with monkeypatch.context() as patch:
        patch.setattr(Client, "load_table_from_file", lose_the_answer)
        assert finops.publish().code == 0

    assert there(place) == here(finops)
    failed, sent = (job for job in place.jobs() if "ledger" not in job)
    assert re.fullmatch(r"finops-aws_data-2024-02-1-[0-9a-f]{12}-0", failed)
    assert sent == f"{failed[:-1]}1"
    job = place.client.get_job(sent)
    assert job.destination.table_id == "aws_data$202402"
    assert job.write_disposition == "WRITE_TRUNCATE"
    assert job.schema_update_options == ["ALLOW_FIELD_ADDITION"]
    table = place.client.get_table(f"{place.billing}.aws_data")
    assert table.time_partitioning.type_ == "MONTH"
    assert table.time_partitioning.field == "billing_period_start"


def test_which_warehouse_is_meant_has_to_be_said(stores):
    finops, _ = stores
    finops.configure('[warehouse.one]\ntype = "memory"\n', '[warehouse.two]\ntype = "memory"\n')

    answers = [finops.publish(), finops.publish("--to", "three")]

    assert [answer.code for answer in answers] == [78, 78]


def test_grants_on_a_view_outlive_a_column_that_widens(request, stores):
    first, changed = stores
    with PLACES["postgres"](request, "separate") as place:
        for finops in stores:
            finops.configure(place.section())
        assert first.publish("--export", "default").code == 0
        place.ask(f"GRANT SELECT ON {place.billing}.aws_data TO PUBLIC")
        assert changed.publish("--export", "default").code == 0

        grantees = place.ask(
            "SELECT grantee::text AS name FROM information_schema.role_table_grants"
            f" WHERE table_schema = '{place.billing}' AND table_name = 'aws_data'"
        )
        texts = place.rows(f"SELECT money_to_text FROM {place.billing}.aws_data")
        assert {"name": "PUBLIC"} in grantees
        assert "much" in [row["money_to_text"] for row in texts]


@pytest.mark.parametrize("place", SERVERS, indirect=True, ids="-".join)
def test_a_table_that_finops_did_not_make_is_left_alone(place, months):
    finops, _ = months
    place.ask(f"CREATE SCHEMA IF NOT EXISTS {place.billing}")
    name = "aws_data" if place.strategy == "single" else "aws_data_2024_02"
    place.ask(f"CREATE TABLE {place.billing}.{name} AS SELECT 'mine' AS billing_period")

    answer = finops.publish()

    assert place.rows(f"SELECT billing_period FROM {place.billing}.{name}") == [
        {"billing_period": "mine"}
    ]
    (error,) = [result["error"] for result in answer.results]
    assert (answer.code, error["code"]) == (78, "not-ours")

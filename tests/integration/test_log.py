"""The log: one JSON object per line on stderr, with the id that state and ledger know."""

import json
import logging
import os
import subprocess
import sys
import warnings
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from finops.vendors.aws.sample import SampleLayout, write_sample
from tests.driver import PERIODS, Finops, over_folder

ROOT = Path(__file__).parents[2]
STEPS = ["discovered", "downloaded", "staged", "loading", "loaded", "published"]


def lines(answer):
    """Return the log, every line of which must be a whole event."""
    events = [json.loads(line) for line in answer.err.splitlines()]
    for event in events:
        assert {"ts", "level", "event", "run_id"} <= event.keys()
        assert datetime.fromisoformat(event["ts"]).utcoffset() == timedelta()
    assert len({event["run_id"] for event in events}) <= 1
    return events


@pytest.fixture
def delivery(tmp_path, seed):
    layout = SampleLayout(files=2)
    (delivery,) = write_sample(
        tmp_path / "bucket", periods=PERIODS[:1], rows=200, seed=seed, layout=layout
    )
    return delivery


@pytest.fixture
def finops(tmp_path):
    return over_folder(tmp_path / "data", tmp_path / "bucket")


def test_every_step_of_a_delivery_is_logged_with_its_figures(tmp_path, delivery, finops):
    events = lines(finops.aws("import-cur", "--log-format", "json"))

    assert [event["event"] for event in events] == [*STEPS[:2], *STEPS[1:]]
    for event in events:
        assert (event["export"], event["period"]) == ("default", "2024-01")
        assert event["delivery"] == delivery.delivery_id
    downloads = {event["file"]: event["bytes"] for event in events if "file" in event}
    assert downloads == {
        key: (tmp_path / "bucket" / key).stat().st_size for key in delivery.data_keys
    }
    loaded = events[STEPS.index("loaded") + 1]
    assert loaded["rows"] == delivery.rows
    totals = {code: Decimal(total) for code, total in loaded["totals"].items()}
    assert totals == delivery.totals["billed"]


def test_the_runs_id_is_that_of_state_and_ledger(delivery, finops):
    (run_id,) = {event["run_id"] for event in lines(finops.aws("import-cur", "--log-format=json"))}

    (run,) = finops.aws("show-state").document["runs"]
    ((load_id,),) = finops.query("SELECT load_id FROM finops.loads")
    assert run["run_id"] == run_id
    assert load_id.rpartition("-")[0] == run_id


def test_errors_notices_and_messages_are_lines_too(delivery, finops, tmp_path):
    (tmp_path / "bucket" / delivery.data_keys[0]).write_bytes(b"no gzip at all")
    failed = finops.aws("import-cur", "--log-format", "json", "--debug")
    events = {event["event"]: event for event in lines(failed)}

    assert failed.code == 65
    assert events["failed"]["code"] == "damaged-file"
    assert (events["failed"]["level"], events["error"]["level"]) == ("warning", "error")
    document = failed.results[0]["error"]
    assert {name: events["error"][name] for name in document} == document
    assert events["error"]["traceback"].startswith("Traceback")
    again = lines(finops("--log-format", "json", "aws", "import-cur", *finops.flags, "--force"))
    assert again[-1]["subject"] == "default 2024-01"


def test_a_command_that_ends_at_once_logs_its_error(tmp_path, delivery, finops, monkeypatch):
    (error,) = lines(Finops(tmp_path)("--log-format", "json", "aws", "import-cur", "-c", "none"))
    assert (error["event"], error["code"], error["exit_code"]) == ("error", "config", 78)

    finops.aws("import-cur")
    (nothing,) = lines(finops("--log-format", "json", "aws", "import-cur", *finops.flags))
    assert (nothing["event"], nothing["level"]) == ("message", "info")
    assert "Nothing new" in nothing["text"]

    monkeypatch.setattr(sys, "argv", ["finops", "--log-format", "json", "--nonsense"])
    (usage,) = lines(finops("--log-format", "json", "--nonsense"))
    assert (usage["code"], usage["exit_code"]) == ("usage", 2)


def test_quiet_leaves_only_errors(delivery, finops, tmp_path):
    assert finops("-q", "--log-format", "json", "aws", "import-cur", *finops.flags).err == ""
    (error,) = lines(Finops(tmp_path)("-q", "--log-format", "json", "aws", "import-cur"))
    assert error["level"] == "error"


def test_as_text_the_steps_are_shown_only_on_request(delivery, finops):
    assert finops.aws("discover-manifests").err == ""
    shown = finops("aws", "import-cur", "-v", *finops.flags).err.splitlines()

    assert [line.partition(":")[0] for line in shown] == [*STEPS[:2], *STEPS[1:]]
    assert "export default, period 2024-01" in shown[0]


def test_of_libraries_no_more_than_warnings_is_shown(
    bucket, s3_endpoint, tmp_path, seed, monkeypatch
):
    from finops.steps import discover_manifests

    found = discover_manifests.list_manifests

    def noisy(*export):
        logging.getLogger("botocore").warning("odd \x1b[31m https://me:hush@host/")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old Python", stacklevel=1)
        return found(*export)

    monkeypatch.setattr(discover_manifests, "list_manifests", noisy)
    monkeypatch.setattr(logging.getLogger(), "level", logging.DEBUG)
    place = ("--bucket", bucket.name, "--endpoint", s3_endpoint, "--log-format")
    finops = Finops(tmp_path / "data", *place)

    as_json = lines(finops.aws("import-cur", "json", "-v"))
    as_text = finops.aws("import-cur", "text", "-v").err

    assert [event["event"] for event in as_json] == ["warning", "warning", "error"]
    assert as_json[0]["text"] == "odd \x1b[31m https://********@host/"
    assert as_text.startswith("odd \\x1b[31m https://********@host/\n")
    assert "old Python" in as_text.splitlines()[1]
    assert not [each for each in logging.getLogger().handlers if "finops" in type(each).__module__]


def test_an_interrupted_or_unheard_command_logs_json_too(delivery, finops):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "finops", "--data-dir", str(finops.data)]
    command += ["--log-format", "json", "aws", "import-cur", *finops.flags]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert (done.returncode, events[-1]["code"]) == (74, "local")
    assert len({event["run_id"] for event in events}) == 1

"""Buckets that hold several exports, as the Cloud Intelligence Dashboards of AWS leave them."""

import shutil
import tomllib
from dataclasses import replace

import pytest

from finops.config import load_config
from finops.vendors.aws.sample import SampleLayout, write_sample
from finops.vendors.azure.sample import SampleLayout as AzureLayout
from finops.vendors.azure.sample import write_sample as write_azure
from tests.driver import PERIODS, Finops, expected, upload

ONE, TWO, THREE = "111111111111", "222222222222", "333333333333"
CUR2 = SampleLayout(
    cur_version="v2", export_format="parquet", versioning="overwrite", export_name="cid-cur2"
)
LEGACY = replace(CUR2, cur_version="v1", export_name="cid")
COSTS = {"cur2": "line_item_unblended_cost", "cur": "lineitem_unblendedcost"}


@pytest.fixture
def finops(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Finops(tmp_path / "data")


def write_payer(tmp_path, seed, payer, layout=CUR2, folder="cur2", rows=200):
    """Write what a payer's bucket replicates into the one of all, and return its deliveries."""
    place = {"prefix": f"{folder}/{payer}", "bucket": f"cid-{payer}-data-local"}
    layout = replace(layout, payer_account=payer, **place)
    return write_sample(
        tmp_path / "bucket", periods=PERIODS[:2], rows=rows, seed=seed, layout=layout
    )


def remove_manifests(tmp_path):
    for folder in list((tmp_path / "bucket").rglob("metadata")):
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("folder", "layout", "with_manifests"),
    [("cur2", CUR2, True), ("cur2", CUR2, False), ("cur", LEGACY, True)],
)
def test_each_payer_is_found_and_loaded_into_a_dataset_of_its_own(
    tmp_path, finops, seed, folder, layout, with_manifests
):
    payers = {
        payer: write_payer(tmp_path, seed, payer, layout, folder, rows)
        for payer, rows in ((ONE, 200), (TWO, 300))
    }
    if not with_manifests:
        remove_manifests(tmp_path)

    written = finops("init", "--bucket", "./bucket", "--json").document
    looked = finops("doctor", "--json")
    loaded = finops("aws", "import-cur", "--json")
    again = finops("aws", "import-cur", "--json")

    assert [each["prefix"] for each in written["exports"]] == [f"{folder}/{ONE}", f"{folder}/{TWO}"]
    assert (looked.code, loaded.code, again.code) == (0, 0, 0)
    for payer, deliveries in payers.items():
        assert finops.loaded(f"aws_{payer}", COSTS[folder]) == expected(deliveries)
    subjects = [check["subject"] for check in looked.document["checks"]]
    assert subjects[2:5] == [f"aws/{ONE}", f"aws/{TWO}", "data folder"]
    accounts = finops.query("SELECT DISTINCT BillingAccountId FROM focus.cost_and_usage ORDER BY 1")
    assert accounts == [(ONE,), (TWO,)]
    notes = [note for note in loaded.document["notices"] if "no manifest" in note]
    assert bool(notes) != with_manifests
    assert set(again.outcomes.values()) == {"unchanged"}


def test_of_copies_without_manifests_one_that_changed_is_loaded_again(tmp_path, finops, seed):
    write_payer(tmp_path, seed, ONE)
    remove_manifests(tmp_path)
    finops("init", "--bucket", "bucket/")
    finops("aws", "import-cur")

    later = write_payer(tmp_path, seed + 1, ONE, rows=400)
    remove_manifests(tmp_path)
    answer = finops("aws", "import-cur", "--json")

    assert set(answer.outcomes.values()) == {"loaded"}
    assert finops.loaded(cost=COSTS["cur2"]) == expected(later)


def test_a_copy_without_manifests_waits_until_it_has_come_to_rest(
    tmp_path, finops, seed, bucket, s3_endpoint
):
    write_payer(tmp_path, seed, ONE)
    remove_manifests(tmp_path)
    upload(tmp_path / "bucket", bucket)

    answer = finops(
        "aws", "import-cur", "--json", "--bucket", bucket.name, "--endpoint", s3_endpoint
    )

    assert answer.code == 75
    assert {each["error"]["code"] for each in answer.results} == {"in-progress"}


def test_a_manifest_that_was_replicated_names_its_first_bucket(
    tmp_path, finops, seed, bucket, s3_endpoint
):
    deliveries = write_payer(tmp_path, seed, ONE)
    write_payer(tmp_path, seed, TWO)
    upload(tmp_path / "bucket", bucket)

    finops("init", "--bucket", f"s3://{bucket.name}", "--endpoint", s3_endpoint)
    answer = finops("aws", "import-cur", "--json", "--export", ONE)

    assert finops.loaded(f"aws_{ONE}", COSTS["cur2"]) == expected(deliveries)
    assert any(f"cid-{ONE}-data-local" in note for note in answer.document["notices"])


def test_a_payer_that_comes_later_is_told_as_not_configured(tmp_path, finops, seed):
    write_payer(tmp_path, seed, ONE)
    write_payer(tmp_path, seed, TWO)
    finops("init", "--bucket", "./bucket")
    assert "not configured" not in finops("doctor").out

    write_payer(tmp_path, seed, THREE)
    answer, listed = finops("doctor", "--json"), finops("aws", "list-manifests")
    (stray,) = [each for each in answer.document["checks"] if each["subject"] == "aws/…"]
    text = (tmp_path / "config.toml").read_text()
    (tmp_path / "config.toml").write_text(text + stray["do"].partition("\n")[2])

    assert (answer.code, stray["verdict"]) == (0, "warning")
    assert stray["lines"][0].startswith(f"cid-cur2 under 'cur2/{THREE}': v2, parquet, 2024-01 to")
    assert listed.err == f"note: not configured in ./bucket: {THREE}\n"
    assert [each.name for each in load_config(None, {}, {}).exports] == [ONE, TWO, THREE]
    assert "not configured" not in finops("doctor").out


def test_the_error_over_several_exports_shows_the_sections_to_write(tmp_path, finops, seed):
    file, payers = tmp_path / "config.toml", {}
    for payer in (ONE, TWO):
        payers[payer] = write_payer(tmp_path, seed, payer)
    file.write_text('[aws]\nbucket = "./bucket"\nprefix = "cur2"\n')

    error = finops("aws", "import-cur", "--json").document["error"]
    head, _, sections = error["do"].partition("\n")
    shown = finops("doctor").out
    file.write_text(f'[aws]\nbucket = "./bucket"\n{sections}')

    assert (error["code"], "finops init" in head) == ("several-exports", True)
    assert tomllib.loads(sections)["aws"]["exports"] == {
        payer: {"prefix": f"cur2/{payer}", "export_name": "cid-cur2"} for payer in (ONE, TWO)
    }
    assert [line.strip() for line in sections.splitlines()] == [
        line.strip() for line in shown.partition("do: choose")[2].splitlines()[1:7]
    ]
    assert finops("aws", "import-cur", "--json").code == 0
    for payer, deliveries in payers.items():
        assert finops.loaded(f"aws_{payer}", COSTS["cur2"]) == expected(deliveries)


def test_a_single_export_that_lies_there_is_written_as_the_vendors_own(tmp_path, finops, seed):
    deliveries = write_payer(tmp_path, seed, ONE)

    answer = finops("init", "aws", "--bucket", "./bucket", "--prefix", "cur2")
    (export,) = load_config(None, {}, {}).exports

    assert f"with the export cid-cur2 under 'cur2/{ONE}'" in answer.out
    assert (export.name, export.prefix, export.export_name) == (
        "default",
        f"cur2/{ONE}",
        "cid-cur2",
    )
    finops("aws", "import-cur")
    assert finops.loaded(cost=COSTS["cur2"]) == expected(deliveries)


def test_two_datasets_of_one_scope_are_one_export(tmp_path, finops, seed):
    deliveries = write_azure(tmp_path / "bucket", periods=PERIODS[:1], rows=200, seed=seed)
    write_azure(
        tmp_path / "bucket",
        periods=PERIODS[:1],
        rows=300,
        seed=seed,
        layout=AzureLayout(prefix="other/costs", agreement="mca"),
    )

    finops("init", "azure", "--bucket", "./bucket")
    one, two = load_config(None, {}, {}).exports
    answer = finops("azure", "import-cur", "--json")

    assert (one.prefix, one.export_name, one.amortized_name) == (
        "costs",
        "daily-actual",
        "daily-amortized",
    )
    assert (two.prefix, two.dataset) == ("other/costs", "azure_other")
    assert answer.results[0]["rows"] == deliveries[0].rows


def test_what_cannot_be_looked_at_is_written_all_the_same(tmp_path, finops):
    answer = finops("init", "--bucket", "./nowhere")

    assert answer.code == 0
    assert "note: nothing was looked for in ./nowhere" in answer.err
    assert load_config(None, {}, {}).exports[0].bucket == "./nowhere"

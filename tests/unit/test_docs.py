"""The documentation knows every command, flag, key and error code, and no others."""

import argparse
import fnmatch
import json
import re
import tomllib
from pathlib import Path

import pytest

from finops import errors
from finops.cli.parser import STEPS, build_parser
from finops.config import (
    EXPORT_KEYS,
    PROJECT_KEYS,
    VENDORS,
    WAREHOUSE_KEYS,
    Export,
    environment_names,
    export_keys,
    load_config,
)
from finops.vendors.aws.manifests import _key_prefixes

ROOT = Path(__file__).parents[2]
COMMANDS = (ROOT / "docs/commands.md").read_text()
CONFIGURATION = (ROOT / "docs/configuration.md").read_text()
ERRORS = (ROOT / "docs/errors.md").read_text()
SOURCES = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))


def _parsers(parser):
    if parser.complete:
        parser.complete(parser)
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from _parsers(child)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_every_step_is_documented_with_its_aliases(step):
    for name in (step.name, *step.aliases):
        assert f"`{name}" in COMMANDS or f"`aws {name}" in COMMANDS
    assert step.help


def test_every_command_is_documented():
    (commands,) = [
        action.choices
        for action in build_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    ]
    for command in commands:
        assert re.search(rf"`{command}\b", COMMANDS), command


def test_every_flag_is_documented_and_has_help():
    for parser in _parsers(build_parser()):
        for action in parser._actions:
            assert action.help or action.choices, (parser.prog, action.dest)
            for flag in action.option_strings:
                assert f"`{flag}" in COMMANDS or flag in ("-h", "--help"), flag


def test_no_flag_is_documented_that_is_not_there():
    known = {
        flag
        for parser in _parsers(build_parser())
        for action in parser._actions
        for flag in action.option_strings
    }
    for page in ("README.md", "docs/commands.md", "docs/configuration.md", "docs/aws.md"):
        text = (ROOT / page).read_text()
        own = re.sub(r"(?m)^(aws |\$ pip|.*run_tests\.py).*$", "", text)
        flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", own))
        flags -= {"--quality", "--coverage", "--require-all"}
        assert flags <= known, page


@pytest.mark.parametrize("key", [*PROJECT_KEYS, *EXPORT_KEYS, *WAREHOUSE_KEYS], ids=str)
def test_every_key_is_documented_with_its_default(key):
    (row,) = re.findall(rf"(?m)^\| `{key.name}` .*$", CONFIGURATION)[:1]
    assert all(f"`{choice}`" in row for choice in key.choices)
    if key.default and key.kind != "path":
        assert f"`{key.default}`" in CONFIGURATION


@pytest.mark.parametrize("key", export_keys("aws"), ids=lambda key: key.name)
def test_documented_short_forms_are_the_real_ones(key):
    documented = f"`AWS_{key.name.upper()}`" in CONFIGURATION
    assert documented == (f"AWS_{key.name.upper()}" in environment_names("aws", key))


def test_example_configuration_is_valid_and_names_every_key(tmp_path):
    text = (ROOT / "config.toml.example").read_text()
    everything = re.sub(r"(?m)^# (\[|\w+ = )", r"\1", text)
    (tmp_path / "config.toml").write_text(everything)

    config = load_config(tmp_path / "config.toml", {}, {})

    named = {(export.vendor, export.name) for export in config.exports}
    assert named == {("aws", "second-payer"), *((vendor, "default") for vendor in VENDORS)}
    document = tomllib.loads(everything)
    for vendor in VENDORS:
        own = {key.name for key in export_keys(vendor) if key.vendor} | {"bucket"}
        assert own <= set(document[vendor]), vendor
    assert set(document["project"]) == {key.name for key in PROJECT_KEYS}
    assert set(document["aws"]) - {"exports"} == {key.name for key in export_keys("aws")}
    assert set(document["warehouse"]["company-bq"]) == {key.name for key in WAREHOUSE_KEYS}
    load_config(ROOT / "config.toml.example", {}, {})


def test_every_error_code_is_documented_with_its_exit_code():
    rows = dict(re.findall(r"(?m)^\| `([a-z-]+)` \| (\d+) \|", ERRORS))
    used = set(re.findall(r'code="([a-z-]+)"', SOURCES))
    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    used |= {each.code for each in classes if issubclass(each, errors.FinopsError)}
    assert used == set(rows)
    codes = {str(each.exit_code) for each in classes if hasattr(each, "exit_code")}
    assert codes <= set(re.findall(r"(?m)^\| (\d+) \|", ERRORS))


def test_readme_is_short_and_its_links_lead_somewhere():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 150
    for page in [ROOT / "README.md", *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), (page, target)


def test_architecture_names_only_files_that_exist():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    for name in re.findall(r"`((?:\w+/)*\w+\.(?:py|sql|csv))`", text):
        assert (ROOT / name).exists() or list((ROOT / "src").rglob(name)), name


def test_the_documented_policy_allows_every_listing_and_no_writing():
    text = (ROOT / "docs/aws.md").read_text().partition("## Permissions")[2]
    policy, key = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL))
    listing, reading = policy["Statement"]
    actions = [statement["Action"] for statement in (listing, reading, key)]
    assert actions == ["s3:ListBucket", "s3:GetObject", "kms:Decrypt"]
    listed = listing["Condition"]["StringLike"]["s3:prefix"]
    for given in ("cur-reports", "/cur-reports", "cur-reports/"):
        for name in ("", "monthly-cur"):
            asked = _key_prefixes(Export("aws", "d", "aws", prefix=given, export_name=name))
            assert all(any(fnmatch.fnmatchcase(each, form) for form in listed) for each in asked)
            arns = [f"arn:aws:s3:::my-cur-bucket/{each}key" for each in asked]
            assert all(any(fnmatch.fnmatchcase(a, b) for b in reading["Resource"]) for a in arns)

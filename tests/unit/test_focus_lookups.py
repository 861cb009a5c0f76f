"""The user's own lookups overrule the vendor's, and wrong files are told by line."""

import pytest

from finops.errors import ConfigError
from finops.focus.lookups import NO_LOOKUPS, Lookups, read_lookups, subcategories
from finops.vendors.aws import services

SERVICES = "service,ServiceCategory,ServiceSubcategory\n"
ACCOUNTS = "account_id,name\n"


def written(folder, text):
    (folder / "lookup.csv").write_text(text, encoding="utf-8")
    return folder / "lookup.csv"


def test_without_files_there_is_the_vendors_lookup_alone():
    assert read_lookups(None, None) == NO_LOOKUPS
    values = NO_LOOKUPS.values(services())
    pairs = dict(
        zip(
            values["services"],
            zip(values["categories"], values["subcategories"], strict=True),
            strict=True,
        )
    )
    assert pairs["AmazonS3"] == ("Storage", "Object Storage")
    assert set(pairs.values()) <= subcategories()
    assert len(pairs) == len(services().splitlines()) - 1


def test_the_users_category_wins_and_a_service_stays_once(tmp_path):
    file = written(tmp_path, SERVICES + "AmazonS3,Other,Other (Other)\nTool,Web,Other (Web)\n")

    values = read_lookups(file, None).values(services())

    assert values["services"].count("AmazonS3") == 1
    assert values["categories"][values["services"].index("AmazonS3")] == "Other"
    assert values["subcategories"][values["services"].index("Tool")] == "Other (Web)"


def test_accounts_keep_their_zeros_and_a_spreadsheets_mark_is_no_title(tmp_path):
    file = written(tmp_path, "\ufeff" + ACCOUNTS + "000000000012,Büro\n")

    assert read_lookups(None, file) == Lookups({}, {"000000000012": "Büro"})


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", "line 1", "first line is not"),
        ("service,category\n", "line 1", "first line is not"),
        (SERVICES + "AmazonS3,Storage\n", "line 2", "needs 3 cells"),
        (SERVICES + "A,Web,Other (Web)\n,Storage,Object Storage\n", "line 3", "needs 3 cells"),
        (SERVICES + "AmazonS3,Storage,Containers\n", "line 2", "is no category of FOCUS"),
    ],
)
def test_a_wrong_file_is_told_by_line(tmp_path, text, line, said):
    with pytest.raises(ConfigError, match=said) as refused:
        read_lookups(written(tmp_path, text), None)

    assert line in refused.value.where
    assert refused.value.do


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_lookups(tmp_path / "none.csv", None)

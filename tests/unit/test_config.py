"""Flags over environment over config.toml over defaults, for every key; mistakes are named."""

from pathlib import Path

import pytest

from finops.columns import clean_column_name
from finops.config import (
    PROJECT_KEYS,
    environment_names,
    export_keys,
    load_config,
    mask_secrets,
)
from finops.errors import ConfigError
from finops.period import BillingPeriod

# For every kind of key two values that differ from the default and from each other.
SAMPLES = {
    "bucket": ("bucket-one", "bucket-two", "bucket-three"),
    "cur_version": ("v1", "v2", "focus"),
    "export_format": ("csv", "parquet", "csv"),
    "table_strategy": ("single", "separate", "single"),
    "overlaps": ("count", "leave-out", "count"),
    "start_date": ("2024-01", "2024-02", "2024-03"),
    "end_date": ("2024-11", "2024-12", "2025-01"),
    "keep_deliveries": ("3", "4", "5"),
    "keep_periods": ("13", "14", "15"),
    "memory_limit": ("1GB", "2.5 GiB", "512MB"),
    "threads": ("2", "3", "4"),
    "temp_dir": ("/one", "/two", "/three"),
    "service_categories": ("/one", "/two", "/three"),
    "account_names": ("/one", "/two", "/three"),
    "data_dir": ("/one", "/two", "/three"),
}
AWS_KEYS = export_keys("aws")
PLACES = [("project", key) for key in PROJECT_KEYS] + [("aws", key) for key in AWS_KEYS]


def samples(key):
    return SAMPLES.get(key.name, ("one", "two", "three"))


def write(folder, text, name="config.toml"):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
    return file


def read(tmp_path, text="", environment=None, **flags):
    return load_config(write(tmp_path, text), environment or {}, flags)


def refusal(tmp_path, text="", environment=None, **flags):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text, environment, **flags)
    return caught.value


def value_of(config, section, key):
    (setting,) = [each for each in config.settings if (each.section, each.key) == (section, key)]
    return setting


def quoted(key, text):
    return text if key.kind == "int" else f'"{text}"'


@pytest.mark.parametrize(("section", "key"), PLACES, ids=lambda part: getattr(part, "name", part))
def test_flag_over_environment_over_file_over_default(tmp_path, section, key) -> None:
    in_file, in_environment, in_flag = samples(key)
    text = f"[{section}]\n{key.name} = {quoted(key, in_file)}\n"
    variable = environment_names(section, key)[0]
    environment = {variable: in_environment}

    default = value_of(read(tmp_path), section, key.name)
    from_file = value_of(read(tmp_path, text), section, key.name)
    from_environment = value_of(read(tmp_path, text, environment), section, key.name)
    from_flag = value_of(
        read(tmp_path, text, environment, **{key.name: in_flag}), section, key.name
    )

    assert default.source == "default"
    assert (str(from_file.value), from_file.source) == (
        in_file,
        f"{tmp_path / 'config.toml'}, line 2",
    )
    assert (str(from_environment.value), from_environment.source) == (
        in_environment,
        f"environment {variable}",
    )
    assert (str(from_flag.value), from_flag.source) == (
        in_flag,
        f"flag --{key.name.replace('_', '-')}",
    )


def test_the_defaults_are_the_documented_ones(tmp_path) -> None:
    config = read(tmp_path)
    (export,) = config.exports

    assert config.keep_deliveries == 2
    assert config.data_dir == tmp_path / "data"
    assert (export.vendor, export.name, export.dataset) == ("aws", "default", "aws_billing")
    assert (export.cur_version, export.export_format) == ("auto", "auto")
    assert export.table_strategy == "separate"
    assert (export.bucket, export.prefix, export.start_date, export.end_date) == (
        "",
        "",
        None,
        None,
    )


@pytest.mark.parametrize(
    ("variable", "key", "text"),
    [
        ("AWS_BUCKET", "bucket", "b"),
        ("AWS_PREFIX", "prefix", "p"),
        ("AWS_EXPORT_NAME", "export_name", "n"),
        ("AWS_CUR_VERSION", "cur_version", "v2"),
        ("AWS_EXPORT_FORMAT", "export_format", "parquet"),
        ("AWS_TABLE_STRATEGY", "table_strategy", "single"),
        ("AWS_START_DATE", "start_date", "2024-01"),
        ("AWS_END_DATE", "end_date", "2024-02"),
        ("AWS_DATASET", "dataset", "mine"),
    ],
)
def test_the_seeds_short_variables_set_the_aws_section(tmp_path, variable, key, text) -> None:
    config = read(tmp_path, environment={variable: text})

    assert str(getattr(config.exports[0], key)) == text
    assert value_of(config, "aws", key).source == f"environment {variable}"


@pytest.mark.parametrize("key", ["region", "profile", "endpoint"])
def test_the_clouds_own_variables_stay_with_the_cloud(tmp_path, key) -> None:
    config = read(tmp_path, environment={f"AWS_{key.upper()}": "theirs"})

    assert getattr(config.exports[0], key) == ""


def test_credentials_are_no_configuration(tmp_path) -> None:
    secrets = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_REGION": "eu"}

    config = read(tmp_path, environment=secrets)

    assert not [each for each in config.settings if each.source.startswith("environment")]


def test_the_long_variable_wins_over_the_short_one(tmp_path) -> None:
    both = {"AWS_BUCKET": "short", "FINOPS_AWS_BUCKET": "long"}

    assert read(tmp_path, environment=both).exports[0].bucket == "long"


@pytest.mark.parametrize("variable", ["FINOPS_DATA_DIR", "FINOPS_PROJECT_DATA_DIR"])
def test_project_keys_have_a_short_variable_too(tmp_path, variable) -> None:
    assert read(tmp_path, environment={variable: "/elsewhere"}).data_dir == Path("/elsewhere")


def test_an_empty_variable_is_an_unset_one(tmp_path) -> None:
    text = '[aws]\nbucket = "from-file"\n'

    config = read(tmp_path, text, {"FINOPS_AWS_BUCKET": "", "AWS_BUCKET": ""})

    assert config.exports[0].bucket == "from-file"


TWO_EXPORTS = """
[aws]
bucket = "first"
prefix = "bills"
export_name = "monthly"
start_date = "2024-01"
dataset = "payer_one"
[aws.exports.second-payer]
bucket = "second"
[aws.exports.third]
table_strategy = "single"
"""


def test_named_exports_inherit_everything_but_the_dataset(tmp_path) -> None:
    first, second, third = read(tmp_path, TWO_EXPORTS).exports

    assert (first.name, first.bucket, first.dataset) == ("default", "first", "payer_one")
    assert (second.name, second.bucket, second.dataset) == (
        "second-payer",
        "second",
        "aws_second_payer",
    )
    assert (third.name, third.bucket, third.dataset) == ("third", "first", "aws_third")
    assert second.prefix == third.prefix == "bills"
    assert second.start_date == third.start_date == BillingPeriod(2024, 1)
    assert (second.table_strategy, third.table_strategy) == ("separate", "single")


def test_aws_alone_is_an_export_only_when_it_names_one(tmp_path) -> None:
    text = '[aws]\nbucket = "b"\n[aws.exports.one]\nexport_name = "x"\n'

    assert [export.name for export in read(tmp_path, text).exports] == ["one"]


@pytest.mark.parametrize("key", AWS_KEYS, ids=lambda key: key.name)
def test_a_named_export_has_variables_of_its_own(tmp_path, key) -> None:
    value = samples(key)[1]
    variable = f"FINOPS_AWS_EXPORTS_SECOND_PAYER_{key.name.upper()}"

    first, second, _ = read(tmp_path, TWO_EXPORTS, {variable: value}).exports

    assert str(getattr(second, key.name)) == value
    assert str(getattr(first, key.name)) != value or key.name == "table_strategy"


def test_the_environment_of_aws_reaches_named_exports_that_say_nothing(tmp_path) -> None:
    _, second, third = read(tmp_path, TWO_EXPORTS, {"AWS_BUCKET": "everywhere"}).exports

    assert (second.bucket, third.bucket) == ("second", "everywhere")


def test_what_an_export_says_of_overlaps_it_says_for_itself(tmp_path) -> None:
    text = TWO_EXPORTS.replace("[aws]\n", '[aws]\noverlaps = "leave-out"\n', 1)
    text += 'overlaps = "count"\n'

    config = read(tmp_path, text)

    names = [f"aws/{export.name}" for export in config.exports]
    assert config.overlaps == dict(zip(names, ("leave-out", "report", "count"), strict=True))


def test_a_flag_for_all_exports_reaches_all(tmp_path) -> None:
    config = read(tmp_path, TWO_EXPORTS, region="eu-central-1")

    assert [export.region for export in config.exports] == ["eu-central-1"] * 3


@pytest.mark.parametrize("flag", ["bucket", "prefix", "export_name"])
def test_a_flag_that_names_a_place_must_say_whose_it_is(tmp_path, flag) -> None:
    error = refusal(tmp_path, TWO_EXPORTS, **{flag: "x"})

    assert f"--{flag.replace('_', '-')}" in error.what
    assert "--export" in error.do
    assert "second-payer" in error.do


@pytest.mark.parametrize("flag", ["bucket", "prefix", "export_name", "region", "start_date"])
def test_a_flag_with_export_reaches_that_export_alone(tmp_path, flag) -> None:
    value = "2024-05" if flag == "start_date" else "aimed"

    config = read(tmp_path, TWO_EXPORTS, **{flag: value, "export": "second-payer"})

    hit = [export.name for export in config.exports if str(getattr(export, flag)) == value]
    assert hit == ["second-payer"]


@pytest.mark.parametrize("export", [None, "default", "second-payer"])
def test_the_data_dir_flag_holds_whichever_export_is_chosen(tmp_path, export) -> None:
    flags = {"data_dir": "/chosen", "export": export}

    assert read(tmp_path, TWO_EXPORTS, **flags).data_dir == Path("/chosen")


def test_a_single_export_needs_no_export_flag(tmp_path) -> None:
    assert read(tmp_path, '[aws]\nprefix = "p"\n', bucket="b").exports[0].bucket == "b"


def test_exports_are_chosen_by_name(tmp_path) -> None:
    config = read(tmp_path, TWO_EXPORTS)

    assert [each.name for each in config.select_exports("aws", "third")] == ["third"]
    assert len(config.select_exports("aws")) == 3
    with pytest.raises(ConfigError) as caught:
        config.select_exports("aws", "fourth")
    assert "'fourth'" in caught.value.what
    assert "default, second-payer, third" in caught.value.do


@pytest.mark.parametrize(
    ("text", "line", "wrong", "near"),
    [
        ('[aws]\nbukcet = "b"\n', 2, "bukcet", "bucket"),
        ("[aws]\n\n# so\n  'export-name' = \"b\"\n", 4, "export-name", "export_name"),
        ('[projekt]\nname = "x"\n', 1, "projekt", "project"),
        ('# ours\n[awz]\nbucket = "b"\n', 2, "awz", "aws"),
        ('[project]\ndatadir = "d"\n', 2, "datadir", "data_dir"),
        ('[aws.exports.two]\nprefx = "d"\n', 2, "prefx", "prefix"),
        ('[aws.exports."two.1"]\nprefx = "d"\n', 2, "prefx", "prefix"),
        ('[aws]\nbucket = "b"\n[aws.exprots.two]\nprefix = "d"\n', 3, "exprots", "exports"),
        ('[warehouse.main]\ntipe = "bigquery"\n', 2, "tipe", "type"),
        ('[warehouse."main.eu"]\ntipe = "bigquery"\n', 2, "tipe", "type"),
        ('projekt = "x"\n[aws]\n', 1, "projekt", "project"),
        ('aws.bukcet = "b"\n', 1, "bukcet", "bucket"),
    ],
)
def test_an_unknown_name_is_refused_with_line_and_nearest_name(
    tmp_path, text, line, wrong, near
) -> None:
    error = refusal(tmp_path, text)

    assert wrong in error.what
    assert repr(near) in error.do
    assert error.where == f"{tmp_path / 'config.toml'}, line {line}"


@pytest.mark.parametrize(
    ("keys", "wrong"),
    [
        ("", "has no type"),
        ('type = "bigqery"', "type cannot be 'bigqery'"),
        ('type = "postgres"\ndataset = "No Way"', "dataset cannot be 'No Way'"),
        ('type = "postgres"\ntable = "x; DROP"', "table cannot be 'x; DROP'"),
        ('type = "postgres"\ntable_strategy = "both"', "table_strategy cannot be 'both'"),
    ],
)
def test_an_impossible_warehouse_is_refused_with_its_place(tmp_path, keys, wrong) -> None:
    error = refusal(tmp_path, f"[warehouse.main]\n{keys}\n")

    assert wrong in error.what
    assert "config.toml, line" in error.where


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://us:pa%ss-word@h/d",
        "postgresql://us:pa ss-word@h/d",
        "postgresql://us:pa@ss-word@h/d",
        "postgresql://us:pa/ss-word@h/d",
        "postgresql://h/d?user=us&password=pass-word",
        "host=h password=pass-word",
        "postgresql://us:pass-word@h:99999/d",
    ],
)
def test_an_address_that_could_give_its_password_away_is_not_even_shown(tmp_path, uri) -> None:
    error = refusal(tmp_path, f'[warehouse.main]\ntype = "postgres"\nuri = "{uri}"\n')

    assert "ss-word" not in f"{error} {error.what} {error.where} {error.do}"


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "postgresql://us:p%40ss@db.example.com:5432/billing?sslmode=require",
        "postgres://h1:1,h2:2/d",
        "postgresql:///d?host=/var/run/postgresql",
        "postgresql://[::1]:5432/d",
    ],
)
def test_an_address_of_postgresql_is_taken(tmp_path, uri) -> None:
    text = f'[warehouse.main]\ntype = "postgres"\nuri = "{uri}"\n'

    assert read(tmp_path, text).select_warehouse().uri == uri


@pytest.mark.parametrize(
    ("names", "asked", "said"),
    [
        ((), None, "no warehouse is configured"),
        (("one", "two"), None, "several warehouses are configured"),
        (("one", "two"), "three", "no warehouse is called 'three'"),
    ],
)
def test_which_warehouse_is_meant_must_be_clear(tmp_path, names, asked, said) -> None:
    text = "".join(f'[warehouse.{name}]\ntype = "postgres"\n' for name in names)
    config = read(tmp_path, text)

    with pytest.raises(ConfigError, match=said):
        config.select_warehouse(asked)


def test_a_warehouse_has_the_keys_of_its_section_and_its_environment(tmp_path) -> None:
    text = '[warehouse.db]\ntype = "postgres"\ndataset = "bills"\n'
    config = read(tmp_path, text, {"FINOPS_WAREHOUSE_DB_URI": "postgresql://somewhere"})

    chosen = config.select_warehouse()

    assert (chosen.name, chosen.dataset, chosen.focus_dataset) == ("db", "bills", "focus")
    assert (chosen.uri, chosen.table_strategy) == ("postgresql://somewhere", "single")


def test_a_name_like_no_other_is_refused_with_those_there_are(tmp_path) -> None:
    error = refusal(tmp_path, "[aws]\nzzz = 1\n")

    assert all(key.name in error.do for key in AWS_KEYS)


@pytest.mark.parametrize(
    ("text", "line", "wanted"),
    [
        ("[aws]\nbucket = 3\n", 2, "text"),
        ("[aws]\nstart_date = 2024-01-01\n", 2, "text"),
        ('[aws]\nprefix = ["a"]\n', 2, "text"),
        ("[project]\nname = true\n", 2, "text"),
        ("[project]\nkeep_deliveries = true\n", 2, "whole number"),
        ("[project]\n\nkeep_deliveries = 2.5\n", 3, "whole number"),
        ('[project]\nkeep_deliveries = "two"\n', 2, "whole number"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_its_line(tmp_path, text, line, wanted) -> None:
    error = refusal(tmp_path, text)

    assert wanted in error.what
    assert error.where == f"{tmp_path / 'config.toml'}, line {line}"


@pytest.mark.parametrize(
    "text",
    [
        *("keep_deliveries = 0", "keep_deliveries = -1", "keep_periods = -1"),
        *("threads = -1", "threads = 99999"),
    ],
)
def test_a_number_out_of_bounds_is_refused(tmp_path, text) -> None:
    error = refusal(tmp_path, f"[project]\n{text}\n")

    assert error.what.startswith(text.split()[0])
    assert error.where.endswith("line 2")


@pytest.mark.parametrize(
    ("key", "value", "near"),
    [
        ("cur_version", "v3", "v"),
        ("cur_version", "zzz", "focus"),
        ("export_format", "parket", "parquet"),
        ("table_strategy", "seperate", "separate"),
    ],
)
def test_a_choice_that_is_none_is_refused_with_the_near_ones(tmp_path, key, value, near) -> None:
    error = refusal(tmp_path, f'[aws]\n{key} = "{value}"\n')

    assert repr(value) in error.what
    assert near in error.do
    assert error.where == f"{tmp_path / 'config.toml'}, line 2"


@pytest.mark.parametrize("key", [key for key in AWS_KEYS if key.choices], ids=lambda key: key.name)
def test_an_empty_choice_never_stays_empty(tmp_path, key) -> None:
    try:
        config = read(tmp_path, f'[aws]\n{key.name} = ""\n')
    except ConfigError:
        return

    assert getattr(config.exports[0], key.name) == key.default


@pytest.mark.parametrize(
    "text",
    ["aws = 3", 'project = "x"', "aws.exports = 1", "aws.exports.two = 1", 'warehouse.type = "x"'],
)
def test_a_value_where_a_section_belongs_is_refused(tmp_path, text) -> None:
    assert "is not a section" in refusal(tmp_path, text).what


def test_a_named_file_that_is_missing_is_an_error(tmp_path) -> None:
    missing = tmp_path / "none.toml"

    with pytest.raises(ConfigError) as caught:
        load_config(missing, {}, {})

    assert str(missing) in caught.value.what


def test_without_config_toml_the_defaults_hold(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)

    config = load_config(None, {}, {})

    assert config.file is None
    assert config.data_dir.resolve() == tmp_path / "data"


def test_config_toml_of_this_folder_is_found(tmp_path, monkeypatch) -> None:
    write(tmp_path, '[aws]\nbucket = "here"\n')
    monkeypatch.chdir(tmp_path)

    assert load_config(None, {}, {}).exports[0].bucket == "here"


@pytest.mark.parametrize("body", [b"[aws\n", b"x = \n", b"\xff\xfe", b'[aws]\na="\xff"\n', b"=1"])
def test_a_file_that_is_not_toml_is_refused_by_name(tmp_path, body) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(body)

    with pytest.raises(ConfigError) as caught:
        load_config(file, {}, {})

    assert str(file) in caught.value.what


def test_a_folder_is_no_configuration_file(tmp_path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path, {}, {})


def test_the_first_month_may_not_lie_after_the_last(tmp_path) -> None:
    error = refusal(tmp_path, '[aws]\nstart_date = "2024-03"\nend_date = "2024-02"\n')

    assert "2024-03" in error.what
    assert "2024-02" in error.what


def test_one_month_may_be_first_and_last(tmp_path) -> None:
    text = '[aws]\nstart_date = "2024-03"\nend_date = "2024-03"\n'

    export = read(tmp_path, text).exports[0]

    march = BillingPeriod(2024, 3)
    covered = [march.shift(by) for by in (-1, 0, 1) if export.covers(march.shift(by))]
    assert covered == [march]


@pytest.mark.parametrize("text", ["2024-13", "2024", "2024-1"])
def test_a_bad_month_is_refused_with_its_line_and_the_right_form(tmp_path, text) -> None:
    error = refusal(tmp_path, f'[aws]\nend_date = "{text}"\n')

    assert f"end_date: '{text}'" in error.what
    assert error.where == f"{tmp_path / 'config.toml'}, line 2"
    assert "YYYY-MM" in error.do


def test_a_bad_month_in_a_flag_names_the_flag(tmp_path) -> None:
    assert refusal(tmp_path, start_date="2024-13").where == "flag --start-date"


def test_two_exports_may_not_share_a_dataset(tmp_path) -> None:
    error = refusal(tmp_path, TWO_EXPORTS + '[aws.exports.four]\ndataset = "payer_one"\n')

    assert "'default'" in error.what
    assert "'four'" in error.what
    assert "'payer_one'" in error.what


def test_names_that_meet_as_datasets_are_refused(tmp_path) -> None:
    text = '[aws.exports.a-b]\nprefix = "1"\n[aws.exports.a_b]\nprefix = "2"\n'

    assert "aws_a_b" in refusal(tmp_path, text).what


def test_the_name_default_is_taken(tmp_path) -> None:
    assert "default" in refusal(tmp_path, '[aws.exports.default]\nprefix = "1"\n').what


@pytest.mark.parametrize(
    "dataset", ["focus", "finops", "main", "Upper", "1st", "a-b", "a b", 'a"b', "", "x" * 64]
)
def test_a_dataset_needs_a_usable_name(tmp_path, dataset) -> None:
    error = refusal(tmp_path, f"[aws]\ndataset = '{dataset}'\n")

    assert repr(dataset) in error.what
    assert error.where == f"{tmp_path / 'config.toml'}, line 2"


def test_paths_in_the_file_start_from_the_file(tmp_path, monkeypatch) -> None:
    file = write(
        tmp_path, '[project]\ndata_dir = "store"\n[aws]\nbucket = "./copy"\n', "conf/x.toml"
    )
    monkeypatch.chdir(tmp_path)

    config = load_config(Path("conf/x.toml"), {}, {})

    assert config.data_dir.resolve() == file.parent / "store"
    assert Path(config.exports[0].bucket).resolve() == file.parent / "copy"


@pytest.mark.parametrize("how", ["flag", "environment"])
def test_paths_typed_here_start_from_here(tmp_path, monkeypatch, how) -> None:
    write(tmp_path, '[project]\ndata_dir = "store"\n', "conf/config.toml")
    monkeypatch.chdir(tmp_path)
    typed = {"data_dir": "mine", "bucket": "sub/copy"}
    environment = {"FINOPS_DATA_DIR": "mine", "AWS_BUCKET": "sub/copy"}

    config = load_config(
        Path("conf/config.toml"),
        environment if how == "environment" else {},
        typed if how == "flag" else {},
    )

    assert config.data_dir.resolve() == tmp_path / "mine"
    assert Path(config.exports[0].bucket).resolve() == tmp_path / "sub" / "copy"


@pytest.mark.parametrize(
    ("typed", "bucket"),
    [
        ("my-bucket", "my-bucket"),
        ("my.bucket", "my.bucket"),
        ("s3://my-bucket", "s3://my-bucket"),
        ("s3://my-bucket/", "s3://my-bucket"),
        ("gs://b", "gs://b"),
        ("az://account/container", "az://account/container"),
        ("/absolute/copy", "/absolute/copy"),
        ("file:///absolute/copy", "/absolute/copy"),
        ("", ""),
    ],
)
def test_a_bucket_is_a_name_a_url_or_a_folder(tmp_path, typed, bucket) -> None:
    config = read(tmp_path, f'[aws]\nbucket = "{typed}"\n')

    assert config.exports[0].bucket == bucket


@pytest.mark.parametrize("typed", ["./copy", "copy/", ".", "..", "a b/ü", "./x/../copy"])
def test_a_folder_is_told_from_a_bucket_name_by_its_slash(tmp_path, typed) -> None:
    config = read(tmp_path, f'[aws]\nbucket = "{typed}"\n')

    assert "/" in config.exports[0].bucket
    assert Path(config.exports[0].bucket).resolve() == (tmp_path / typed).resolve()


@pytest.mark.parametrize("typed", [".", "./copy", "copy/"])
def test_a_folder_typed_here_is_not_taken_for_a_bucket_name(tmp_path, monkeypatch, typed) -> None:
    monkeypatch.chdir(tmp_path)

    bucket = load_config(None, {}, {"bucket": typed}).exports[0].bucket

    assert "/" in bucket
    assert Path(bucket).resolve() == (tmp_path / typed).resolve()


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))

    config = read(tmp_path, '[project]\ndata_dir = "~/d"\n[aws]\nbucket = "~/bills"\n')

    assert config.data_dir == tmp_path / "me" / "d"
    assert config.exports[0].bucket == str(tmp_path / "me" / "bills")


@pytest.mark.parametrize("text", ["[project]\ndata_dir", "[aws]\nbucket"])
def test_the_home_of_nobody_is_a_setting_that_is_wrong(tmp_path, text) -> None:
    error = refusal(tmp_path, f'{text} = "~nobody-of-this-name/x"\n')

    assert "~nobody-of-this-name" in error.what


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://me:hush@host:9000/x?y=1", "https://********@host:9000/x?y=1"),
        ("s3://me:hush@bucket", "s3://********@bucket"),
        ("https://me:hu@sh@host/x", "https://********@host/x"),
        ("https://host/x", "https://host/x"),
        ("me@example.com", "me@example.com"),
        ("resourceTags/user:a://b", "resourceTags/user:a://b"),
        (
            "no answer from https://me:hush@host/x, try again",
            "no answer from https://********@host/x, try again",
        ),
        ("  where: http://me:hush@host", "  where: http://********@host"),
        ("Invalid endpoint: me:hush@host", "Invalid endpoint: ********@host"),
        ("http://me:hu/sh@host/x", "http://********@host/x"),
        ("http://host:9000/b/a@b.csv", "http://host:9000/b/a@b.csv"),
        (
            "s3://b/user:a@b.csv, resourceTags/user:a@b",
            "s3://b/user:a@b.csv, resourceTags/user:a@b",
        ),
        (
            "https://h/k?X-Amz-Credential=AK%2F2024&X-Amz-Signature=ab12&x=1",
            "https://h/k?X-Amz-Credential=********&X-Amz-Signature=********&x=1",
        ),
        ("?x-amz-security-token=FwoG//x%3D&y=1", "?x-amz-security-token=********&y=1"),
        ("https://h/c?sv=2024&sig=a%2Bb%3D", "https://h/c?sv=2024&sig=********"),
        ("AccountName=n;AccountKey=ab+/==;x", "AccountName=n;AccountKey=********;x"),
        (
            "SharedAccessKeyName=root;SharedAccessKey=ab==",
            "SharedAccessKeyName=root;SharedAccessKey=********",
        ),
        ("Credential=AK/1/s3, Signature=ff", "Credential=********, Signature=********"),
        ("the key AKIAIOSFODNN7EXAMPLE is", "the key ******** is"),
        ("Invalid header value b'tok\\n'", "Invalid header value ********"),
        ("Authorization: Bearer ya29.a0-b_c~d+e/f==", "Authorization: Bearer ********"),
        ("the bearer of the news", "the bearer of the news"),
        ("config=1, design=2", "config=1, design=2"),
    ],
)
def test_the_password_of_a_url_is_masked(text, masked) -> None:
    assert mask_secrets(text) == masked


def test_what_the_environment_calls_secret_is_masked_wherever_it_stands(monkeypatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-long-token\n")
    monkeypatch.setenv("AZURE_STORAGE_KEY", "key+of/an-account==")
    monkeypatch.setenv("DB_PASSWORD", "short")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token")

    shown = mask_secrets("b'a-long-token\\n' is short, key+of/an-account==, see /var/run/token")

    assert shown == "b'********\\n' is short, ********, see /var/run/token"


@pytest.mark.parametrize("text", ["http://a@[b", "http://a:b@host:port/x", "://@"])
def test_text_that_is_hardly_a_url_is_masked_without_an_error(text) -> None:
    assert isinstance(mask_secrets(text), str)


def test_variables_are_named_after_their_keys() -> None:
    for key in AWS_KEYS:
        names = environment_names("aws.exports.Second-Payer", key)
        assert names == [f"FINOPS_AWS_EXPORTS_SECOND_PAYER_{clean_column_name(key.name).upper()}"]

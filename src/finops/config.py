"""Configuration: flags over environment over ``config.toml`` over defaults, for every key.

The keys are data (``PROJECT_KEYS``, ``EXPORT_KEYS``, ``WAREHOUSE_KEYS``); the command
line, the environment and the docs check are made from the same lists.
"""

from __future__ import annotations

import difflib
import os
import pkgutil
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from finops.columns import clean_column_name
from finops.datadir import DataDir
from finops.errors import ConfigError
from finops.period import BillingPeriod

_MASK = "********"
_SHORTEST_SECRET = 8
_SECRET_VARIABLE = re.compile(
    "(SECRET|TOKEN|PASSWORD|ACCESS_KEY|STORAGE_KEY|CONNECTION_STRING)(?!.*_FILE$)"
)
_SECRETS = tuple(
    re.compile(rf"(?P<before>{before})(?:{secret})(?P<after>{after})")
    for before, secret, after in (
        # Users and passwords of URLs; the second has a / in the password, the third no scheme.
        (r"\w[\w+.-]*://", r"[^/\s\"']*", "@"),
        (r"\w[\w+.-]*://", r"[^/\s\"':@]+:(?!\d+/)[^\s\"'@]+", "@"),
        (r"(?<![^\s\"'(=])", r"[^\s/:@\"']+:[^\s/@\"']+", "@"),
        # Signed URLs and headers, keys in connection strings, ids of access keys.
        (
            r"(?i:\b(?:X-Amz-Security-Token|(?:X-Amz-)?(?:Credential|Signature)|sig"
            r"|AWSAccessKeyId|AccountKey|SharedAccess(?:Key|Signature))=)",
            r"[^&\s\"';,]+",
            "",
        ),
        (r"(?i:\bBearer )", r"[\w.~+/=-]{16,}", ""),
        (r"\b", "(?:AKIA|ASIA)[A-Z0-9]{12,}", ""),
        # What http.client says of a token that holds a line break.
        ("Invalid header value ", ".+", ""),
    )
)
DEFAULT_FILE = Path("config.toml")
_HERE = Path(__file__).parent
VENDORS = tuple(
    sorted(each.name for each in pkgutil.iter_modules([str(_HERE / "vendors")]) if each.ispkg)
)
DEFAULT_VENDOR = "aws"  # whom commands mean that name none
WAREHOUSES = tuple(
    sorted(found.name for found in pkgutil.iter_modules([str(_HERE / "warehouses")]))
)
_TABLE_NAME = "[a-z][a-z0-9_]{0,49}"
_URI = "postgresql://finops@db.example.com/billing"
_ENDPOINT = "https://bigquery.example.com"


@dataclass(frozen=True, slots=True)
class Key:
    """One configuration key. ``kind`` is str, int, size, path, place, period, name or uri.

    ``example`` is what documentation shows of a key that has no default; ``limits`` are the
    smallest and the largest number. ``vendor`` is the only one whose exports have the key;
    ``examples`` are those of vendors where they differ.
    """

    name: str
    help: str
    default: Any = ""
    kind: str = "str"
    choices: tuple[str, ...] = ()
    short_environment: bool = True
    example: str = ""
    limits: tuple[int, int] = (0, 0)
    vendor: str = ""
    examples: tuple[tuple[str, str], ...] = ()


PROJECT_KEYS = (
    Key("name", "name of the project", "open-finops"),
    Key("data_dir", "folder of the database, state and staging", "./data", "path"),
    Key("keep_deliveries", "deliveries per period that stay in staging", 2, "int", limits=(1, 999)),
    Key(
        "keep_periods",
        "newest billing periods that stay in the database; 0: all",
        0,
        "int",
        limits=(0, 999),
    ),
    Key("memory_limit", "memory the database may take, for example 4GB", "", "size", example="4GB"),
    Key(
        "threads",
        "threads of the database; 0: all of machine or container",
        0,
        "int",
        limits=(0, 256),
    ),
    Key("temp_dir", "folder for what a run spills and unpacks", "", "path", example="./spill"),
    Key(
        "service_categories",
        "CSV file that overrules which category a service is in",
        "",
        "path",
        example="services.csv",
    ),
    Key(
        "account_names",
        "CSV file that names accounts where the bill has no names",
        "",
        "path",
        example="accounts.csv",
    ),
)

EXPORT_KEYS = (
    Key(
        "bucket",
        "a bucket's name or URL, or a folder that holds a copy",
        kind="place",
        example="my-cur-bucket",
        examples=(
            ("azure", "az://mybills/bills"),
            ("focus", "./focus-files"),
            ("gcp", "gs://my-billing-bucket"),
        ),
    ),
    Key("prefix", "what stands before the export's name in every key", example="cur-reports"),
    Key("export_name", "name of the report or data export", example="monthly-cur"),
    Key(
        "amortized_name",
        "name of the AmortizedCost export beside export_name",
        example="daily-amortized",
        vendor="azure",
    ),
    Key(
        "cur_version",
        "form of the export",
        "auto",
        choices=("auto", "v1", "v2", "focus"),
        vendor="aws",
    ),
    Key(
        "export_format",
        "form of the data files",
        "auto",
        choices=("auto", "csv", "parquet", "json"),
    ),
    Key(
        "table_strategy",
        "a table per period, or one for all",
        "separate",
        choices=("separate", "single"),
    ),
    Key("start_date", "first billing period, YYYY-MM", "", "period", example="2024-01"),
    Key("end_date", "last billing period, YYYY-MM", "", "period", example="2024-12"),
    Key("dataset", "schema in the database; default: the vendor's own", example="VENDOR_billing"),
    Key(
        "overlaps",
        "what totals do with accounts that another export has, too",
        "report",
        choices=("report", "count", "leave-out"),
        short_environment=False,
    ),
    Key(
        "region",
        "region of the bucket",
        short_environment=False,
        example="eu-central-1",
        vendor="aws",
    ),
    Key(
        "profile",
        "profile of the cloud's own configuration",
        short_environment=False,
        example="billing",
        vendor="aws",
    ),
    Key(
        "endpoint",
        "another address of the storage",
        short_environment=False,
        example="https://s3.example.com",
    ),
)

# What says something of one export among others: it is not inherited, and no flag sets it.
OWN_KEYS = ("dataset", "overlaps")

WAREHOUSE_KEYS = (
    Key("type", "kind of warehouse", choices=WAREHOUSES, example="bigquery"),
    Key("dataset", "dataset or schema of the published line items", "billing", "name"),
    Key("focus_dataset", "dataset or schema of the published charges", "focus", "name"),
    Key("table", "table of line items; default: VENDOR_data", "", "name", example="aws_data"),
    Key(
        "table_strategy",
        "one table in monthly partitions, or one per period",
        "single",
        choices=("single", "separate"),
    ),
    Key("project_id", "BigQuery: project; default: the credentials' own", example="my-project"),
    Key("location", "BigQuery: where the datasets are made and jobs run", example="EU"),
    Key("labels", "BigQuery: labels of tables and jobs", example="team=finops,env=prod"),
    Key(
        "uri",
        "PostgreSQL: address; what it lacks comes from PG… variables",
        "",
        "uri",
        example=_URI,
    ),
    Key("endpoint", "BigQuery: another address; over http without credentials", example=_ENDPOINT),
)


@dataclass(frozen=True, slots=True)
class Setting:
    """One value and where it came from, for ``finops config``."""

    section: str
    key: str
    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class Export:
    """One configured feed at a vendor; ``start`` and ``end`` are inclusive.

    ``files`` are the only keys that count, where a command named them.
    """

    vendor: str
    name: str
    section: str
    bucket: str = ""
    prefix: str = ""
    export_name: str = ""
    amortized_name: str = ""
    cur_version: str = "auto"
    export_format: str = "auto"
    table_strategy: str = "separate"
    start_date: BillingPeriod | None = None
    end_date: BillingPeriod | None = None
    dataset: str = ""
    overlaps: str = "report"
    region: str = ""
    profile: str = ""
    endpoint: str = ""
    files: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """Vendor and name, as users see them: two vendors may have exports of one name."""
        return f"{self.vendor}/{self.name}"

    def is_called(self, name: str | None) -> bool:
        """Tell whether ``name`` means this export, with its vendor or without; None means all."""
        return name in (None, self.name, self.source)

    def covers(self, period: BillingPeriod) -> bool:
        """Tell whether the date filters let ``period`` through."""
        after_start = self.start_date is None or self.start_date <= period
        return after_start and (self.end_date is None or period <= self.end_date)


@dataclass(frozen=True, slots=True)
class WarehouseConfig:
    """One place to publish to; which keys count depends on its ``type``."""

    name: str
    section: str
    type: str
    dataset: str
    focus_dataset: str
    table: str
    table_strategy: str
    project_id: str = ""
    location: str = ""
    labels: str = ""
    uri: str = ""
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that was configured, resolved."""

    file: Path | None
    data_dir: Path
    keep_deliveries: int
    keep_periods: int
    memory_limit: str
    threads: int
    temp_dir: Path | None
    service_categories: Path | None
    account_names: Path | None
    exports: tuple[Export, ...]
    warehouses: tuple[WarehouseConfig, ...]
    settings: tuple[Setting, ...]

    @property
    def data(self) -> DataDir:
        """The data folder, with what the database may take of the machine."""
        return DataDir(self.data_dir, self.temp_dir, self.memory_limit, self.threads)

    @property
    def overlaps(self) -> dict[str, str]:
        """What each ``VENDOR/EXPORT`` says of accounts that another export has, too."""
        return {each.source: each.overlaps for each in self.exports}

    def keeps(self, period: BillingPeriod, newest: BillingPeriod) -> bool:
        """Tell whether a period is among the ``keep_periods`` months up to the newest."""
        return not self.keep_periods or period > newest.shift(-self.keep_periods)

    def select_exports(self, vendor: str, name: str | None = None) -> list[Export]:
        """Return the vendor's exports, or the one called ``name``."""
        exports = [export for export in self.exports if export.vendor == vendor]
        if name is None:
            return exports
        chosen = [export for export in exports if export.is_called(name)]
        if not chosen:
            known = ", ".join(export.name for export in exports) or "none"
            raise ConfigError(
                f"no {vendor} export is called {name!r}", do=f"configured are: {known}"
            )
        return chosen

    def select_warehouse(self, name: str | None = None) -> WarehouseConfig:
        """Return the warehouse called ``name``, or the only one there is.

        Raises:
            ConfigError: there is none, or which one is meant is not said.
        """
        chosen = [each for each in self.warehouses if name in (None, each.name)]
        if len(chosen) == 1:
            return chosen[0]
        known = ", ".join(each.name for each in self.warehouses) or "none"
        if chosen:
            raise ConfigError("several warehouses are configured", do=f"name one of them: {known}")
        what = f"no warehouse is called {name!r}" if name else "no warehouse is configured"
        do = f"configured are: {known}; add [warehouse.NAME] with a type to config.toml"
        raise ConfigError(what, do=do)


@dataclass(slots=True)
class _Sources:
    """The layers a value may come from; the first that has it wins."""

    file: Path | None
    text: str
    document: Mapping[str, Any]
    environment: Mapping[str, str]
    flags: Mapping[str, Any]
    settings: list[Setting] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """The folder that relative paths in the file, and defaults, start from."""
        return self.file.parent if self.file else Path()

    def where(self, section: str, key: str = "") -> str:
        line = _line_of(self.text, section, key)
        return f"{self.file}, line {line}" if line else f"{self.file}"

    def source(self, section: str, key: str) -> str:
        """Return where a value that was resolved came from."""
        return next(
            setting.source
            for setting in reversed(self.settings)
            if (setting.section, setting.key) == (section, key)
        )

    def table(self, section: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.document
        for part in _parts(section):
            inner = found.get(part, {})
            if not isinstance(inner, Mapping):
                raise ConfigError(
                    f"{section} is not a section",
                    where=self.where(section),
                    do=f"write [{section}]",
                )
            found = inner
        return found


def load_config(
    file: Path | None, environment: Mapping[str, str], flags: Mapping[str, Any]
) -> Config:
    """Read and check the whole configuration.

    ``file`` is the one named by the user, or None for ``./config.toml`` if it is there.
    ``flags`` holds what was given on the command line, by key name, and ``vendor`` and
    ``export`` for the export that they are meant for.

    Raises:
        ConfigError: a file is missing, a key is unknown, a value has the wrong type.
    """
    sources = _read_sources(file, environment, flags)
    _refuse_unknown(sources)
    project = {key.name: _resolve(sources, "project", key) for key in PROJECT_KEYS}
    exports = [export for vendor in _vendors(sources) for export in _exports(sources, vendor)]
    warehouses = [_warehouse(sources, name) for name in sources.table("warehouse")]
    _refuse_shared_datasets(exports)
    return Config(
        file=sources.file,
        **{name: value for name, value in project.items() if name != "name"},
        exports=tuple(exports),
        warehouses=tuple(warehouses),
        settings=tuple(sources.settings),
    )


def export_keys(vendor: str) -> tuple[Key, ...]:
    """Return the keys of a vendor's exports: those of all vendors, and its own."""
    return tuple(
        replace(key, example=dict(key.examples).get(vendor, key.example.replace("VENDOR", vendor)))
        for key in EXPORT_KEYS
        if key.vendor in ("", vendor)
    )


def check_flags(vendor: str, flags: Mapping[str, Any]) -> Export:
    """Check flags as ``load_config`` would, and return the export that they alone describe.

    Raises:
        ConfigError: a value is impossible.
    """
    sources = _Sources(None, "", {}, {}, {**flags, "vendor": vendor})
    for key in PROJECT_KEYS:
        _resolve(sources, "project", key)
    return _export(sources, vendor, "default")


def unconfigured(vendor: str) -> Export:
    """Return the export that a vendor has without any setting."""
    return _export(_Sources(None, "", {}, {}, {}), vendor, "default")


def environment_names(section: str, key: Key) -> list[str]:
    """Return the variables that set a key, the one that wins first."""
    words = [clean_column_name(part).upper() for part in [*_parts(section), key.name]]
    names = ["_".join(["FINOPS", *words])]
    if section == "project":
        names.append(f"FINOPS_{key.name.upper()}")
    if section == DEFAULT_VENDOR and key.short_environment:
        names.append("_".join(words))
    return names


def mask_secrets(text: str) -> str:
    """Hide passwords, keys and signatures in a text, and what the environment calls secret."""
    for name, value in os.environ.items():
        if _SECRET_VARIABLE.search(name) and len(value.strip()) >= _SHORTEST_SECRET:
            text = text.replace(value.strip(), _MASK)
    for pattern in _SECRETS:
        text = pattern.sub(lambda found: f"{found['before']}{_MASK}{found['after']}", text)
    return text


def _read_sources(
    file: Path | None, environment: Mapping[str, str], flags: Mapping[str, Any]
) -> _Sources:
    chosen = file or DEFAULT_FILE
    try:
        text = chosen.read_text("utf-8")
    except FileNotFoundError as error:
        if file is None:
            return _Sources(None, "", {}, environment, flags)
        raise ConfigError(
            f"the configuration file {file} does not exist", do="check -c, or leave it out"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{chosen} cannot be read: {error}") from error
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{chosen} is not valid TOML: {error}") from error
    return _Sources(chosen, text, document, environment, flags)


def _refuse_unknown(sources: _Sources) -> None:
    _refuse_names(sources, "", sources.document, ["project", "warehouse", *VENDORS])
    _refuse_names(sources, "project", sources.table("project"), [k.name for k in PROJECT_KEYS])
    for vendor in VENDORS:
        names = [key.name for key in export_keys(vendor)]
        _refuse_names(sources, vendor, sources.table(vendor), [*names, "exports"])
        for name in sources.table(f"{vendor}.exports"):
            section = f"{vendor}.exports.{name}"
            _refuse_names(sources, section, sources.table(section), names)
    for name in sources.table("warehouse"):
        section = f"warehouse.{name}"
        _refuse_names(sources, section, sources.table(section), [k.name for k in WAREHOUSE_KEYS])


def _refuse_names(
    sources: _Sources, section: str, table: Mapping[str, Any], known: list[str]
) -> None:
    for name in table:
        if name in known:
            continue
        near = difflib.get_close_matches(name, known, n=1)
        raise ConfigError(
            f"unknown key {name!r} in [{section}]" if section else f"unknown section [{name}]",
            code="unknown-key",
            where=sources.where(section, name),
            do=f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known)}",
        )


def _vendors(sources: _Sources) -> list[str]:
    """Return the vendors that are configured or named by the command; if none is, the usual one."""
    named = sources.flags.get("vendor")
    found = [vendor for vendor in VENDORS if vendor == named or _is_configured(sources, vendor)]
    return found or [DEFAULT_VENDOR]


def _is_configured(sources: _Sources, vendor: str) -> bool:
    found = (_lookup(sources, vendor, key) for key in export_keys(vendor))
    return vendor in sources.document or any(found)


def _exports(sources: _Sources, vendor: str) -> Iterator[Export]:
    named = sources.table(f"{vendor}.exports")
    _refuse_unaimed_flags(sources, vendor, named)
    if not named or _names_an_export(sources, vendor):
        yield _export(sources, vendor, "default")
    for name in dict.fromkeys([*named, *_new_names(sources, vendor)]):
        if name == "default" or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,40}", name):
            raise ConfigError(
                f"{name!r} cannot be the name of an export",
                where=sources.where(f"{vendor}.exports.{name}"),
                do=f"use letters, digits, - and _; 'default' is [{vendor}] itself",
            )
        yield _export(sources, vendor, name)


def _new_names(sources: _Sources, vendor: str) -> list[str]:
    """Return the name that a command gives to the files it names; it need not be configured."""
    name = sources.flags.get("export")
    is_new = sources.flags.get("files") and _aims_at(sources, vendor) and name != "default"
    return [name] if name and is_new else []


def _names_an_export(sources: _Sources, vendor: str) -> bool:
    """Tell whether ``[vendor]`` is an export of its own, not only defaults for others."""
    place = [key for key in EXPORT_KEYS if key.name in ("prefix", "export_name")]
    flagged = _aims_at(sources, vendor) and sources.flags.get("export") == "default"
    return flagged or any(_lookup(sources, vendor, key) for key in place)


def _aims_at(sources: _Sources, vendor: str) -> bool:
    """Tell whether the flags of this command are meant for a vendor's exports."""
    return vendor == (sources.flags.get("vendor") or DEFAULT_VENDOR)


def _refuse_unaimed_flags(sources: _Sources, vendor: str, named: Mapping[str, Any]) -> None:
    """With several exports, a flag that names a place must say whose it is."""
    given = [name for name in ("bucket", "prefix", "export_name") if sources.flags.get(name)]
    if named and given and _aims_at(sources, vendor) and not sources.flags.get("export"):
        flag = given[0].replace("_", "-")
        raise ConfigError(
            f"--{flag} with several configured exports could mean any of them",
            do=f"add --export NAME: one of {', '.join(['default', *named])}",
        )


def _export(sources: _Sources, vendor: str, name: str) -> Export:
    section = vendor if name == "default" else f"{vendor}.exports.{name}"
    own_dataset = (
        f"{vendor}_billing" if name == "default" else f"{vendor}_{clean_column_name(name)}"
    )
    values = {
        key.name: _resolve(sources, section, key, own_dataset if key.name == "dataset" else None)
        for key in export_keys(vendor)
    }
    _check_dataset(values["dataset"], section, sources)
    start, end = values["start_date"], values["end_date"]
    if start and end and end < start:
        raise ConfigError(
            f"start_date {start} lies after end_date {end}",
            where=sources.source(section, "start_date"),
            do="both months are included",
        )
    return Export(vendor=vendor, name=name, section=section, **values)


def _warehouse(sources: _Sources, name: str) -> WarehouseConfig:
    section = f"warehouse.{name}"
    values = {key.name: _resolve(sources, section, key) for key in WAREHOUSE_KEYS}
    if not values["type"]:
        raise ConfigError(
            f"the warehouse {name!r} has no type",
            where=sources.where(section),
            do=f"set type to one of {', '.join(WAREHOUSES)}",
        )
    return WarehouseConfig(name=name, section=section, **values)


def _check_dataset(dataset: str, section: str, sources: _Sources) -> None:
    reserved = {"focus", "finops", "open_finops", "main", "temp", "system"}
    reserved |= {"information_schema", "pg_catalog"}
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", dataset) or dataset in reserved:
        raise ConfigError(
            f"{dataset!r} cannot be the name of a dataset",
            where=sources.source(section, "dataset"),
            do="use lower case letters, digits and _, and none of the database's own names",
        )


def _refuse_shared_datasets(exports: list[Export]) -> None:
    owners: dict[str, Export] = {}
    for export in exports:
        other = owners.setdefault(export.dataset, export)
        if other is not export:
            raise ConfigError(
                f"the exports {other.name!r} and {export.name!r} share the dataset "
                f"{export.dataset!r}",
                do="set dataset in one of them: each export has tables of its own",
            )


def _resolve(sources: _Sources, section: str, key: Key, default: Any = None) -> Any:
    value, source, base = _lookup(sources, section, key) or (
        key.default if default is None else default,
        "default",
        sources.folder,
    )
    checked = _checked(value, key, source, base)
    sources.settings.append(Setting(section, key.name, checked, source))
    return checked


def _lookup(sources: _Sources, section: str, key: Key) -> tuple[Any, str, Path] | None:
    """Find a value, its source and the folder that relative paths in it start from."""
    vendor, _, rest = section.partition(".exports.")
    flagged = sources.flags.get(key.name)
    its_export = sources.flags.get("export") in (None, rest or "default")
    if flagged is not None and (section == "project" or (_aims_at(sources, vendor) and its_export)):
        return flagged, f"flag --{key.name.replace('_', '-')}", Path()
    for name in environment_names(section, key):
        if sources.environment.get(name):
            return sources.environment[name], f"environment {name}", Path()
    table = sources.table(section)
    if key.name in table:
        return table[key.name], sources.where(section, key.name), sources.folder
    if rest and key.name not in OWN_KEYS:
        return _lookup(sources, vendor, key)
    return None


def _checked(value: Any, key: Key, source: str, base: Path) -> Any:
    if key.kind == "int":
        return _integer(value, key, source)
    if not isinstance(value, str):
        raise _wrong_type(key, value, "text in quotes", source)
    if key.choices and value not in (*key.choices, key.default):
        near = difflib.get_close_matches(value, key.choices, n=1)
        raise ConfigError(
            f"{key.name} cannot be {value!r}",
            where=source,
            do=f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(key.choices)}",
        )
    if key.kind == "size":
        return _size(value, key, source)
    if key.kind == "path":
        place = value or key.default
        return base / _expanded(place, source) if place else None
    if key.kind == "place":
        return _place(value, base, source)
    if key.kind == "period":
        return _period(value, key, source)
    if key.kind == "uri" and value and not _is_address(value):
        # It may hold a password, so nothing of it is shown.
        raise ConfigError(
            f"{key.name} is no address of the form {key.example}",
            where=source,
            do="write what is special in it as %XX, and a password rather into PGPASSWORD",
        )
    if key.kind == "name" and value and not re.fullmatch(_TABLE_NAME, value):
        raise ConfigError(
            f"{key.name} cannot be {value!r}",
            where=source,
            do="use lower case letters, digits and _, at most 50, beginning with a letter",
        )
    return value


def _is_address(uri: str) -> bool:
    """Tell whether a PostgreSQL address can be read without a doubt, and hides no password.

    An unescaped ``@``, ``/``, ``%`` or space in a password would end up in messages.
    """
    parts = re.fullmatch(r"postgres(?:ql)?://([^/?\s]*)(?:/([^?\s]*))?(?:\?(\S*))?", uri)
    if not parts or re.search("%(?![0-9A-Fa-f]{2})|#|password=", uri.lower()):
        return False
    user, _, hosts = parts[1].rpartition("@")
    ports = re.findall(r":(\d*)(?=,|$)", re.sub(r"\[[^\]]*\]", "", hosts))
    fits = all(port.isdigit() and int(port) < 65536 for port in ports)
    return fits and "@" not in user + (parts[2] or "") + (parts[3] or "")


def _integer(value: Any, key: Key, source: str) -> int:
    number = int(value) if isinstance(value, str) and re.fullmatch(r"-?\d+", value) else value
    if isinstance(number, bool) or not isinstance(number, int):
        raise _wrong_type(key, value, "a whole number", source)
    least, most = key.limits
    if not least <= number <= most:
        raise ConfigError(
            f"{key.name} is {number}; it can be {least} to {most}",
            where=source,
            do=f"write for example {key.name} = {key.default}, or leave it out",
        )
    return number


def _size(value: str, key: Key, source: str) -> str:
    if value and not re.fullmatch(r"\d+(\.\d+)? ?[KMGT]i?B", value, re.IGNORECASE):
        raise ConfigError(
            f"{key.name} cannot be {value!r}", where=source, do="write a size, for example 4GB"
        )
    return value


def _expanded(value: str, source: str) -> Path:
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{value}: {error}", where=source) from error


def _place(value: str, base: Path, source: str) -> str:
    """Return a bucket as it stands, or a folder with a ``/`` in it."""
    if "://" in value and not value.startswith("file://"):
        return value.rstrip("/")
    path = _expanded(value.removeprefix("file://"), source)
    if "/" not in value and value not in (".", ".."):
        return value
    folder = path if path.is_absolute() else base / path
    return f"{folder}" if "/" in f"{folder}" else f"./{folder}"


def _period(value: str, key: Key, source: str) -> BillingPeriod | None:
    try:
        return BillingPeriod.parse(value) if value else None
    except ConfigError as error:
        raise ConfigError(f"{key.name}: {error.what}", where=source, do=error.do) from error


def _wrong_type(key: Key, value: Any, wanted: str, source: str) -> ConfigError:
    return ConfigError(
        f"{key.name} is {value!r}, which is not {wanted}",
        code="wrong-type",
        where=source,
        do=f"write for example {key.name} = {'text' if key.default == '' else key.default!r}",
    )


def _parts(section: str) -> list[str]:
    """Split a section's name; a warehouse or an export may have dots in its own."""
    return section.split(".", 1 if section.startswith("warehouse.") else 2)


def _line_of(text: str, section: str, key: str) -> int | None:
    """Find the line of a section or key in TOML text (tomllib does not tell)."""
    wanted = ".".join(filter(None, (section, key)))
    here = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+\s*(.+?)\s*\]+\s*(#.*)?$", line)
        assigned = re.match(r"\s*([^=#\[]+?)\s*=", line)
        if header:
            here = found = _unquoted(header[1])
        elif assigned:
            found = ".".join(filter(None, (here, _unquoted(assigned[1]))))
        else:
            continue
        if found == wanted or found.startswith(f"{wanted}."):
            return number
    return None


def _unquoted(name: str) -> str:
    return name.replace('"', "").replace("'", "")

"""The commands and their flags. Nothing heavy is imported here: ``--help`` is instant."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, NoReturn

from finops import __version__
from finops.cli.text import log_line, visible
from finops.config import (
    DEFAULT_VENDOR,
    EXPORT_KEYS,
    OWN_KEYS,
    PROJECT_KEYS,
    VENDORS,
    Key,
    export_keys,
    mask_secrets,
)
from finops.focus.columns import VERSIONS

EXPORT_FLAGS = [key for key in EXPORT_KEYS if key.name not in OWN_KEYS]
PROJECT_FLAGS = [key for key in PROJECT_KEYS if key.name not in ("name", "data_dir")]
_METAVARS = {"period": "YYYY-MM", "int": "N", "size": "SIZE", "path": "PATH"}


@dataclass(frozen=True, slots=True)
class Step:
    """A command of every vendor; ``flags`` are those beside the shared ones."""

    name: str
    aliases: tuple[str, ...]
    help: str
    handler: str
    flags: tuple[str, ...] = ()


STEPS = (
    Step(
        "import-cur",
        ("import-billing",),
        "all steps: from the bucket into the database",
        "load:import_billing",
        ("force", "dry_run", "allow_shrink", "strict"),
    ),
    Step("list-manifests", (), "show what lies in the bucket", "load:list_manifests"),
    Step(
        "discover-manifests",
        (),
        "find new deliveries and queue them",
        "load:discover_manifests",
        ("force",),
    ),
    Step(
        "extract-manifests",
        (),
        "copy the manifests of queued deliveries to staging",
        "load:extract_manifests",
    ),
    Step(
        "extract-billing",
        (),
        "download and verify the files of queued deliveries",
        "load:extract_billing",
    ),
    Step(
        "load-billing-local",
        ("load-billing",),
        "load staged deliveries into the database",
        "load:load_billing_local",
        ("allow_shrink", "strict"),
    ),
    Step(
        "export-parquet",
        (),
        "write one Parquet file per loaded billing period",
        "load:export_parquet",
        ("out", "force"),
    ),
    Step(
        "load-billing-remote",
        (),
        "publish loaded billing periods to a warehouse",
        "load:load_billing_remote",
        ("to", "focus", "force"),
    ),
    Step("show-state", (), "show deliveries in work and previous runs", "load:show_state"),
)

_IMPORT_FILES = Step(
    "import",
    (),
    "all steps, with the FOCUS files named: CSV, Parquet or JSON lines",
    "load:import_billing",
    ("force", "dry_run", "allow_shrink", "strict"),
)

UPKEEP = (
    Step("status", (), "show what is loaded and how old it is", "upkeep:status", ("max_age",)),
    Step(
        "verify", (), "prove that database and staging are whole", "upkeep:verify", ("any_period",)
    ),
    Step(
        "history",
        (),
        "show every delivery loaded of a period, and what it changed",
        "upkeep:history",
        ("period",),
    ),
    Step(
        "rollback",
        (),
        "load the previous delivery of a period again",
        "upkeep:rollback",
        ("period", "lock_timeout"),
    ),
    Step(
        "forget",
        (),
        "take a period out of the database on purpose",
        "upkeep:forget",
        ("period", "lock_timeout"),
    ),
    Step(
        "rebuild",
        (),
        "make the database again from the staged deliveries",
        "upkeep:rebuild",
        ("lock_timeout",),
    ),
)

_GROUPS = (
    ("Load", ("demo", *VENDORS, "sample")),
    ("Look", ("report", "reconcile", "explain", "sql")),
    ("Keep", ("init", "doctor", "config", *(step.name for step in UPKEEP))),
    ("Connect", ("warehouse",)),
)
REPORTS = ("services", "accounts", "months")
METRICS = ("billed", "effective", "list", "contracted")


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints obey no control character of what was typed.

    ``complete`` adds flags when the parser is used, and not before.
    """

    complete: Callable[[argparse.ArgumentParser], None] | None = None

    def parse_known_args(self, *given: Any, **more: Any) -> Any:
        if self.complete:
            self.complete(self)
            self.complete = None
        return super().parse_known_args(*given, **more)

    def error(self, message: str) -> NoReturn:
        typed = " ".join(sys.argv[1:])
        error = {"code": "usage", "what": mask_secrets(message), "exit_code": 2}
        if "--json" in sys.argv[1:]:
            print(json.dumps({"schema_version": 1, "error": error}))
        if "--log-format json" in typed or "--log-format=json" in typed:
            from finops.run import new_run_id

            self.exit(2, log_line("error", "error", new_run_id(), error) + "\n")
        super().error(visible(mask_secrets(message)))


def build_parser() -> argparse.ArgumentParser:
    """Return the whole command line."""
    parser = _Parser(
        prog="finops",
        description="Cloud bills in databases you own.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="finops [options] COMMAND …",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"finops {__version__}")
    _add_shared(parser, default=None)
    commands = parser.add_subparsers(prog="finops", metavar="COMMAND", help=argparse.SUPPRESS)
    helps = {
        "demo": _add_demo(commands),
        "sample": _add_sample(commands),
        "report": _add_report(commands),
        "reconcile": _add_reconcile(commands),
        "explain": _add_explain(commands),
        "sql": _add_sql(commands),
        "focus": _add_focus(commands),
        "warehouse": _add_warehouse(commands),
        "init": _add_init(commands),
        "doctor": _add_doctor(commands),
        "config": _add_config(commands),
        **{step.name: _add_upkeep(commands, step) for step in UPKEEP},
        **{vendor: _add_vendor(commands, vendor) for vendor in VENDORS if vendor != "focus"},
    }
    parser.epilog = _grouped_help(helps)
    parser.set_defaults(handler=None, parser=parser)
    return parser


def parse(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; without a command, show the help of what was named."""
    arguments = parser.parse_args(argv)
    if arguments.handler is None:
        arguments.parser.print_help()
        parser.exit(2)
    return arguments


def _grouped_help(helps: dict[str, str]) -> str:
    lines = []
    for group, names in _GROUPS:
        lines.append(f"{group}:")
        lines += [f"  {name:<10}{helps[name]}" for name in names]
    return "\n".join([*lines, "", "finops COMMAND --help tells more of each."])


def _add_shared(parser: argparse.ArgumentParser, default: object = argparse.SUPPRESS) -> None:
    """Add the flags that stand before a command or after it."""
    shared = parser.add_argument_group("shared options")
    shared.add_argument(
        "-c", "--config", metavar="FILE", default=default, help="default: ./config.toml, if there"
    )
    shared.add_argument(
        "--data-dir", metavar="DIR", default=default, help="folder of database, state and staging"
    )
    shared.add_argument("--json", action="store_true", default=default, help="answer as JSON")
    amount = shared.add_mutually_exclusive_group()
    amount.add_argument("-q", "--quiet", action="store_true", default=default, help="errors only")
    amount.add_argument("-v", "--verbose", action="store_true", default=default, help="say more")
    shared.add_argument(
        "--debug", action="store_true", default=default, help="show tracebacks of errors"
    )
    shared.add_argument(
        "--log-format",
        choices=("text", "json"),
        default=default,
        help="json: each line on stderr is one object",
    )


def _subparser(
    commands: argparse._SubParsersAction[_Parser],
    name: str,
    text: str,
    handler: str | None,
    aliases: Sequence[str] = (),
) -> _Parser:
    parser = commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        aliases=aliases,
        allow_abbrev=False,
    )
    parser.set_defaults(handler=handler, parser=parser, command=name)
    _add_shared(parser)
    return parser


def _add_vendor(commands: argparse._SubParsersAction[_Parser], vendor: str) -> str:
    source = files("finops.vendors").joinpath(vendor, "__init__.py").read_text("utf-8")
    whose, _, _ = source.removeprefix('"""').partition(":")  # importing it would load much
    text = f"bills of {whose}"
    parser = _subparser(commands, vendor, text, None)
    steps = parser.add_subparsers(metavar="COMMAND", title="commands")
    for step in STEPS:
        _add_step(steps, vendor, step)
    return text


def _add_step(steps: argparse._SubParsersAction[_Parser], vendor: str, step: Step) -> _Parser:
    parser = _subparser(steps, step.name, step.help, step.handler, step.aliases)
    parser.set_defaults(vendor=vendor)
    _add_export_flags(parser, vendor)
    _add_lock_timeout(parser)
    _add_step_flags(parser, step)
    return parser


def _add_export_flags(parser: argparse.ArgumentParser, vendor: str = DEFAULT_VENDOR) -> None:
    group = parser.add_argument_group("which export (flags over environment over config.toml)")
    group.add_argument(
        "--export", metavar="NAME", help="one of the configured exports; default all"
    )
    _add_key_flags(parser, group, vendor)


def _add_key_flags(
    parser: argparse.ArgumentParser, group: argparse._ArgumentGroup, vendor: str = DEFAULT_VENDOR
) -> None:
    flags = {key.name for key in EXPORT_FLAGS}
    for key in export_keys(vendor) if vendor else EXPORT_KEYS:
        if key.name in flags:
            _add_key_flag(group, key, "" if vendor else key.vendor)
    group = parser.add_argument_group("what to keep, and what of the machine to take")
    for key in PROJECT_FLAGS:
        _add_key_flag(group, key)


def _add_lock_timeout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lock-timeout",
        type=_seconds,
        default=0,
        metavar="SECONDS",
        help="wait this long for another run in the data folder; default %(default)s",
    )


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return float(text)


def _add_upkeep(commands: argparse._SubParsersAction[_Parser], step: Step) -> str:
    parser = _subparser(commands, step.name, step.help, step.handler)
    if step.name != "rebuild":
        parser.add_argument("--export", metavar="NAME", help="one of the loaded exports")
    if "period" in step.flags:
        parser.add_argument("period", metavar="YYYY-MM", help="the billing period")
    if "any_period" in step.flags:
        parser.add_argument("period", nargs="?", metavar="YYYY-MM", help="default: every period")
    if "max_age" in step.flags:
        parser.add_argument(
            "--max-age", metavar="AGE", help="end with 1 if the newest delivery is older: 36h, 2d"
        )
    if "lock_timeout" in step.flags:
        _add_lock_timeout(parser)
    return step.help


def _add_key_flag(group: argparse._ArgumentGroup, key: Key, whose: str = "") -> None:
    group.add_argument(
        f"--{key.name.replace('_', '-')}",
        dest=key.name,
        choices=key.choices or None,
        metavar=None if key.choices else _METAVARS.get(key.kind, "TEXT"),
        help=f"{whose}: {key.help}" if whose else key.help,
    )


def _add_step_flags(parser: argparse.ArgumentParser, step: Step) -> None:
    if "force" in step.flags:
        parser.add_argument("--force", action="store_true", help="do again what is unchanged")
    if "allow_shrink" in step.flags:
        parser.add_argument(
            "--allow-shrink", action="store_true", help="let a period lose most of its rows"
        )
    if "strict" in step.flags:
        parser.add_argument(
            "--strict",
            action="store_true",
            help="refuse a period if any check of its charges fails",
        )
    if "dry_run" in step.flags:
        parser.add_argument("--dry-run", action="store_true", help="show what would be loaded")
    if "out" in step.flags:
        _add_out(parser)
    if "to" in step.flags:
        parser.add_argument(
            "--to", metavar="NAME", help="which [warehouse.NAME]; default: the only one"
        )
    if "focus" in step.flags:
        parser.add_argument(
            "--focus", action="store_true", help="publish the charges, not the line items"
        )


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        metavar="DIR",
        required=True,
        help="folder to write into, or a URL like s3://BUCKET/PREFIX",
    )


def _add_demo(commands: argparse._SubParsersAction[_Parser]) -> str:
    text = "realistic sample bills through the whole pipeline, in a minute"
    parser = _subparser(commands, "demo", text, "demo:demo")
    parser.add_argument(
        "--rows",
        type=int,
        default=30_000,
        metavar="N",
        help="line items per period, of all exports together; default %(default)s",
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="same seed, same bills")
    return text


def _add_sample(commands: argparse._SubParsersAction[_Parser]) -> str:
    text = "write sample exports with the layout of the real ones"
    parser = _subparser(commands, "sample", text, "demo:sample")
    parser.add_argument("vendor", choices=VENDORS, help="whose layout")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder used as bucket root")
    parser.add_argument(
        "--rows",
        type=int,
        default=10_000,
        metavar="N",
        help="line items a period; default %(default)s",
    )
    parser.add_argument(
        "--periods", type=int, default=3, metavar="N", help="billing periods; default %(default)s"
    )
    parser.add_argument("--end-date", metavar="YYYY-MM", help="last period; default: this month")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="same seed, same files")
    parser.add_argument("--refresh", type=int, default=1, metavar="N", help="a later delivery")
    parser.add_argument("--prefix", metavar="TEXT", help="key prefix; default: the vendor's own")
    parser.add_argument("--export-name", metavar="TEXT", help="export name; likewise")
    parser.add_argument(
        "--amortized-name", metavar="TEXT", help="azure: AmortizedCost export; '' writes none"
    )
    parser.add_argument("--files", type=int, default=2, metavar="N", help="data files a delivery")
    parser.complete = _add_layout_flags
    return text


def _add_layout_flags(parser: argparse.ArgumentParser) -> None:
    """Add what the vendors' samples offer, once it is asked for: help must load no database."""
    from finops.vendors import find_sample

    vendors: dict[str, list[str]] = {}
    choices: dict[str, dict[str, None]] = {}
    for vendor in VENDORS:
        for name, offered in find_sample(vendor).SampleLayout.OFFERS.items():
            vendors.setdefault(name, []).append(vendor)
            choices.setdefault(name, {}).update(dict.fromkeys(offered))
    for name, known in choices.items():
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, choices=list(known), help=f"of {', '.join(vendors[name])}")


def _add_report(commands: argparse._SubParsersAction[_Parser]) -> str:
    text = "what was spent on what: services, accounts or months"
    parser = _subparser(commands, "report", text, "report:report")
    parser.add_argument("name", choices=REPORTS, metavar="|".join(REPORTS), help="what is added up")
    parser.add_argument(
        "--period",
        metavar="YYYY-MM",
        help="one billing period, or FIRST:LAST; default: the newest (months: all)",
    )
    parser.add_argument(
        "--metric", choices=METRICS, default="billed", help="which cost; default %(default)s"
    )
    parser.add_argument(
        "--by", metavar="COLUMN", help="split further, by any column of focus.daily"
    )
    parser.add_argument("--export", metavar="NAME", help="one of the loaded exports; default all")
    parser.add_argument(
        "--format", choices=("table", "csv", "json"), help="default: a table, or JSON with --json"
    )
    return text


def _add_reconcile(commands: argparse._SubParsersAction[_Parser]) -> str:
    text = "compare what is loaded with the bill and its invoices"
    parser = _subparser(commands, "reconcile", text, "reconcile:reconcile")
    parser.add_argument("period", nargs="?", metavar="YYYY-MM", help="default: every period")
    parser.add_argument(
        "--invoice", metavar="FILE", help="CSV or TOML with invoice ids, totals and currencies"
    )
    parser.add_argument("--export", metavar="NAME", help="one of the loaded exports; default all")
    return text


def _add_explain(commands: argparse._SubParsersAction[_Parser]) -> str:
    text = "show a line item, the rules that apply to it, and its charges"
    parser = _subparser(commands, "explain", text, "explain:explain")
    parser.add_argument(
        "source_row_id", metavar="SOURCE_ROW_ID", help="x_SourceRowId of a charge, or its beginning"
    )
    parser.add_argument("--export", metavar="NAME", help="one of the loaded exports; default all")
    return text


def _add_focus(commands: argparse._SubParsersAction[_Parser]) -> str:
    text = "FOCUS files of anyone; and the FOCUS dataset: check it, write it for other tools"
    parser = _subparser(commands, "focus", text, None)
    steps = parser.add_subparsers(metavar="COMMAND", title="commands")
    importing = _add_step(steps, "focus", _IMPORT_FILES)
    importing.add_argument("files", nargs="+", metavar="FILE", help="or a folder, pattern or URL")
    importing.set_defaults(export="default")
    for step in STEPS:
        if step.name != "export-parquet":  # here it writes the whole FOCUS dataset
            _add_step(steps, "focus", step)
    validate = _subparser(
        steps, "validate", "check the charges against the rules of FOCUS 1.2", "focus:validate"
    )
    export = _subparser(
        steps, "export-parquet", "write the charges as FOCUS Parquet files", "focus:export_parquet"
    )
    export.add_argument("--version", choices=VERSIONS, default="1.2", help="default %(default)s")
    _add_out(export)
    export.add_argument("--force", action="store_true", help="write again what is unchanged")
    for date in ("--start-date", "--end-date"):
        export.add_argument(date, metavar="YYYY-MM", help="default: every period")
    _add_lock_timeout(export)
    validate.add_argument("--period", metavar="YYYY-MM", help="default: every period")
    for child in (validate, export):
        child.add_argument("--export", metavar="NAME", help="one of the loaded exports")
    return text


def _add_warehouse(commands: argparse._SubParsersAction[_Parser]) -> str:
    text = "the warehouses that bills are published to"
    parser = _subparser(commands, "warehouse", text, None)
    steps = parser.add_subparsers(metavar="COMMAND", title="commands")
    check = _subparser(
        steps, "check", "try everything that publishing needs: rights, a write", "warehouse:check"
    )
    check.add_argument("name", nargs="?", metavar="NAME", help="of [warehouse.NAME]")
    return text


def _add_sql(commands: argparse._SubParsersAction[_Parser]) -> str:
    text = "ask the database; read-only"
    parser = _subparser(commands, "sql", text, "look:sql")
    parser.add_argument("statement", help="one SQL statement, or - to read it from stdin")
    parser.add_argument(
        "--format",
        choices=("table", "csv", "json", "parquet"),
        help="default: a table, or what FILE's ending says",
    )
    parser.add_argument("--output", "-o", metavar="FILE", help="write to a file instead of stdout")
    parser.add_argument(
        "--raw", action="store_true", help="CSV without ' before what a spreadsheet would run"
    )
    return text


def _add_init(commands: argparse._SubParsersAction[_Parser]) -> str:
    text = "write a commented config.toml; on a terminal it asks"
    parser = _subparser(commands, "init", text, "keep:init")
    parser.add_argument(
        "vendor",
        nargs="?",
        choices=VENDORS,
        default=DEFAULT_VENDOR,
        help="whose bills; default %(default)s",
    )
    _add_key_flags(parser, parser.add_argument_group("which export"), "")
    return text


def _add_doctor(commands: argparse._SubParsersAction[_Parser]) -> str:
    text = "check everything that a run needs, and say what to do"
    _add_export_flags(_subparser(commands, "doctor", text, "keep:doctor"))
    return text


def _add_config(commands: argparse._SubParsersAction[_Parser]) -> str:
    text = "show every setting and where it comes from"
    _subparser(commands, "config", text, "keep:config")
    return text

"""What is printed is shown, not obeyed, and money keeps every digit."""

import argparse
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.cli.output import Output, plain_json, show, size
from finops.cli.text import visible
from finops.errors import BadDataError
from finops.money import amount, money
from finops.period import BillingPeriod

EVIL = "\x1b[31mred\x1b]0;title\x07\r\x08\x9b2J\u202etxt\u2028\x7f"
OBEYED = ("\x1b", "\x07", "\r", "\x08", "\x9b", "\u202e", "\u2028", "\x7f")

amounts = st.decimals(
    min_value=Decimal("-99999999999999"),
    max_value=Decimal("99999999999999"),
    places=24,
    allow_nan=False,
)


def output(**flags):
    shared = {"json": False, "quiet": False, "verbose": False, "debug": False, "log_format": None}
    return Output(argparse.Namespace(**shared | flags))


def assert_harmless(text):
    assert not [char for char in OBEYED if char in text]


@given(st.text())
def test_whatever_text_is_printed_moves_no_cursor(text) -> None:
    shown = visible(text)

    assert all(char.isprintable() or char == "\n" for char in shown)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"], codec="utf-8")))
def test_text_that_people_write_is_shown_as_it_is(text) -> None:
    printable = "".join(char for char in text if char.isprintable())

    assert visible(printable) == printable


def test_escapes_are_shown() -> None:
    assert visible("\x1b[31mred\x07 ü\ud800") == "\\x1b[31mred\\x07 ü\\ud800"


def test_no_table_line_or_message_obeys_what_a_bill_says(capsys) -> None:
    printer = output()

    printer.table(["tag"], [[EVIL]])
    printer.line(EVIL)
    printer.say(EVIL)
    printer.error(BadDataError(EVIL, where=EVIL, kept=EVIL, do=EVIL), EVIL)

    shown = capsys.readouterr()
    assert_harmless(shown.out)
    assert_harmless(shown.err)
    assert shown.out.count("\\x1b[31mred") == 2
    assert shown.err.count("\\x1b[31mred") == 6


def test_titles_of_a_table_are_shown_too(capsys) -> None:
    output().table([EVIL, "[bold]b[/bold]"], [["1", "2"]])

    shown = capsys.readouterr().out
    assert_harmless(shown)
    assert "[bold]b[/bold]" in shown


def test_markup_in_a_bill_is_text(capsys) -> None:
    output().table(["tag"], [["[bold red]x[/bold red]"], ["[link=file:///]y[/link]"], [":smile:"]])

    shown = capsys.readouterr().out
    assert "[bold red]x[/bold red]" in shown
    assert "[link=file:///]y[/link]" in shown
    assert ":smile:" in shown


def test_json_holds_evil_text_as_escapes(capsys) -> None:
    output(json=True).answer({"tag": EVIL})

    shown = capsys.readouterr().out
    assert_harmless(shown)
    assert json.loads(shown)["tag"] == EVIL


@given(amounts)
def test_an_amount_keeps_every_digit(value) -> None:
    text = amount(value)

    assert Decimal(text.replace(",", "")) == value
    assert "E" not in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("4064.483131537900000000000000", "4,064.4831315379"),
        ("1234567.5", "1,234,567.50"),
        ("0E-24", "0.00"),
        ("1E-24", "0.000000000000000000000001"),
        ("-0.10", "-0.10"),
        ("1E+3", "1,000"),
        ("100", "100"),
        ("99999999999999.999999999999999999999999", "99,999,999,999,999.999999999999999999999999"),
    ],
)
def test_an_amount_reads_like_this(value, text) -> None:
    assert amount(Decimal(value)) == text


def test_two_currencies_are_never_added() -> None:
    assert money({"EUR": Decimal("1.5"), "USD": Decimal(2), "": Decimal("0.1")}) == (
        "1.50 EUR, 2 USD, 0.10"
    )


@given(amounts)
def test_json_has_money_as_text_with_every_digit(value) -> None:
    written = json.loads(json.dumps({"cost": value}, default=plain_json))

    assert isinstance(written["cost"], str)
    assert "E" not in written["cost"]
    assert Decimal(written["cost"]) == value


def test_an_answer_is_one_json_object_with_a_schema_version(capsys) -> None:
    document = {
        "cost": Decimal("1E-24"),
        "period": BillingPeriod(2024, 1),
        "at": datetime(2024, 1, 5, tzinfo=UTC),
        "day": date(2024, 1, 5),
        "nested": [{"total": Decimal("0.10")}],
    }

    output(json=True).answer(document)

    assert json.loads(capsys.readouterr().out) == {
        "schema_version": 1,
        "cost": "0.000000000000000000000001",
        "period": "2024-01",
        "at": "2024-01-05T00:00:00+00:00",
        "day": "2024-01-05",
        "nested": [{"total": "0.10"}],
    }


def test_with_json_nothing_else_is_on_stdout(capsys) -> None:
    printer = output(json=True)

    printer.table(["a"], [["b"]])
    printer.line("c")
    printer.say("d")

    assert capsys.readouterr() == ("", "d\n")


def test_without_json_no_json_is_printed(capsys) -> None:
    output().answer({"a": 1})

    assert capsys.readouterr().out == ""


def test_quiet_silences_messages_and_not_errors(capsys) -> None:
    printer = output(quiet=True)

    printer.say("progress")
    printer.error(BadDataError("broken"))

    assert capsys.readouterr().err == "error[bad-data]: broken\n"


def test_an_error_says_what_where_what_was_kept_and_what_to_do(capsys) -> None:
    error = BadDataError(
        "the gzip is damaged", code="damaged-file", where="k", kept="all", do="again"
    )

    code = output(json=True).fail(error)

    shown = capsys.readouterr()
    assert code == 65
    assert shown.err.splitlines() == [
        "error[damaged-file]: the gzip is damaged",
        "  where: k",
        "  kept: all",
        "  do: again",
    ]
    assert json.loads(shown.out)["error"] == {
        "code": "damaged-file",
        "what": "the gzip is damaged",
        "where": "k",
        "kept": "all",
        "do": "again",
        "exit_code": 65,
    }


def test_no_error_shows_the_password_of_a_url(capsys) -> None:
    url = "https://me:hush@host/x"
    printer = output(json=True)

    printer.fail(BadDataError(f"no answer from {url}", where=url, do=f"check {url}"))

    shown = capsys.readouterr()
    assert "hush" not in shown.err
    assert "hush" not in shown.out


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (Decimal("1.10"), "1.10"),
        (datetime(2024, 1, 5, 1, 2, 3, 4), "2024-01-05 01:02:03.000004"),  # noqa: DTZ001 - as stored
        (BillingPeriod(2024, 1), "2024-01"),
    ],
)
def test_cells_read_like_this(value, text) -> None:
    assert show(value) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_500_000, "1.5 MB"),
        (2 * 10**15, "2000.0 TB"),
    ],
)
def test_sizes_read_like_this(count, text) -> None:
    assert size(count) == text

"""Billing periods: how they are written, how they follow each other."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.errors import ConfigError
from finops.period import BillingPeriod

periods = st.builds(BillingPeriod, st.integers(1900, 2999), st.integers(1, 12))
usual_periods = st.builds(BillingPeriod, st.integers(2000, 2099), st.integers(1, 12))


@given(periods)
def test_a_period_reads_back_as_it_is_written(period) -> None:
    assert BillingPeriod.parse(str(period)) == period


@given(periods, periods)
def test_periods_their_texts_and_their_starts_sort_alike(one, other) -> None:
    assert (one < other) == (str(one) < str(other)) == (one.start < other.start)


@given(usual_periods)
def test_neighbours_touch_without_gap_or_overlap(period) -> None:
    following = period.shift(1)

    assert following.start == period.end
    assert following > period


@given(periods)
def test_every_period_that_can_be_written_has_an_end(period) -> None:
    assert period.start < period.end
    assert period.end.day == 1


@given(usual_periods, st.integers(-600, 600), st.integers(-600, 600))
def test_shifts_add_up_and_can_be_taken_back(period, one, other) -> None:
    assert period.shift(one).shift(other) == period.shift(one + other)
    assert period.shift(one).shift(-one) == period
    assert period.shift(0) == period


@given(st.datetimes(datetime(1900, 1, 1), datetime(9998, 12, 31)))  # noqa: DTZ001 - made aware below
def test_a_moment_lies_in_the_period_that_contains_it(moment) -> None:
    moment = moment.replace(tzinfo=UTC)

    period = BillingPeriod.containing(moment)

    assert period.start <= moment
    assert (moment.year, moment.month) == (period.year, period.month)


def test_a_period_runs_from_the_first_to_the_first_in_utc() -> None:
    period = BillingPeriod.parse("2024-12")

    assert period.start == datetime(2024, 12, 1, tzinfo=UTC)
    assert period.end == datetime(2025, 1, 1, tzinfo=UTC)
    assert BillingPeriod.containing(date(2024, 12, 31)) == period


@pytest.mark.parametrize(
    "text",
    [
        *("2024-13", "2024", "24-01", "2024-1", "", "2024-00", "2024/01", "2024-01-01", "202401"),
        *(" 2024-01", "2024-01\n", "1899-12", "9999-01", "-024-01"),
    ],
)
def test_a_bad_period_says_what_to_write_instead(text) -> None:
    with pytest.raises(ConfigError) as caught:
        BillingPeriod.parse(text)

    assert repr(text) in caught.value.what
    assert "YYYY-MM" in caught.value.do


@pytest.mark.parametrize(("year", "month"), [(2024, 0), (2024, 13), (1899, 1), (9999, 1)])
def test_no_calendar_no_period(year, month) -> None:
    with pytest.raises(ValueError, match="no such month"):
        BillingPeriod(year, month)

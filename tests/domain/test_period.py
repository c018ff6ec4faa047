"""Periods: one spelling each, no day in two, and round trips."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.period import Period, PeriodKind

LABELS = [
    ("2026-27-Q1", PeriodKind.QUARTER, date(2026, 4, 1), date(2026, 6, 30)),
    ("2026-27-Q2", PeriodKind.QUARTER, date(2026, 7, 1), date(2026, 9, 30)),
    ("2026-27-Q3", PeriodKind.QUARTER, date(2026, 10, 1), date(2026, 12, 31)),
    ("2026-27-Q4", PeriodKind.QUARTER, date(2027, 1, 1), date(2027, 3, 31)),
    ("2026-27", PeriodKind.YEAR, date(2026, 4, 1), date(2027, 3, 31)),
    ("2099-00", PeriodKind.YEAR, date(2099, 4, 1), date(2100, 3, 31)),
    ("2026-09", PeriodKind.MONTH, date(2026, 9, 1), date(2026, 9, 30)),
    ("2026-12", PeriodKind.MONTH, date(2026, 12, 1), date(2026, 12, 31)),
    ("2027-02", PeriodKind.MONTH, date(2027, 2, 1), date(2027, 2, 28)),
    ("2028-02", PeriodKind.MONTH, date(2028, 2, 1), date(2028, 2, 29)),
    ("2026-27-autumn", PeriodKind.TERM, date(2026, 9, 1), date(2026, 12, 31)),
    ("2026-27-spring", PeriodKind.TERM, date(2027, 1, 1), date(2027, 3, 31)),
    ("2026-27-summer", PeriodKind.TERM, date(2027, 4, 1), date(2027, 7, 31)),
    ("2026", PeriodKind.CALENDAR_YEAR, date(2026, 1, 1), date(2026, 12, 31)),
]

INVALID = [
    "", " ", "26-27", "2026-28", "2026-26", "2026-2027", "2026/27", "2026-27-Q0", "2026-27-Q5", "2026-27-q2",
    "2026-27 Q2", "Q2 2026-27", "2026-Q2", "2026-27-Q2 ", " 2026-27-Q2", "2026-27-Q2\n", "2026\n", "2026-09\n",
    "2026-00", "2026-13", "2026-9", "1926-27", "3026", "2026-27-Autumn", "2026-27-winter", "2026-27-Q2-Q3",
    "\u0662\u0660\u0662\u0666", "\uff12026-27", "2026\u201327", "20262", "20\uff12\uff16", "2026-2\u0667",
    "../2026-27", "2026-27-Q2\0",
]  # fmt: skip
"""What a sender might write and we must not guess at."""

KINDS = list(PeriodKind)
DAYS = st.dates(date(2013, 4, 1), date(2097, 12, 31))
"""From 2012-13 on: until ``2011-12`` a financial year is spelt like a month, and read as one."""


@pytest.mark.parametrize(("label", "kind", "start", "end"), LABELS)
def test_a_label_says_its_first_and_last_day(label, kind, start, end):
    period = Period.parse(label)
    assert (period.kind, period.start, period.end, str(period)) == (kind, start, end, label)


@pytest.mark.parametrize("label", INVALID)
def test_what_is_not_exactly_a_label_is_refused_with_the_forms_that_are(label):
    with pytest.raises(ValueError, match="Write 2026-27-Q2, 2026-27, 2026-09, 2026-27-autumn or 2026"):
        Period.parse(label)


def test_a_long_label_is_not_repeated_whole():
    with pytest.raises(ValueError) as told:
        Period.parse("x" * 10_000)
    assert len(str(told.value)) < 200


@given(day=DAYS, kind=st.sampled_from(KINDS))
def test_the_period_of_a_day_parses_back_and_holds_the_day(day, kind):
    period = Period.containing(day, kind)
    assert Period.parse(period.label) == period
    assert period.start <= day
    between_terms = kind is PeriodKind.TERM and day.month == 8
    assert day <= period.end or between_terms


@given(day=DAYS, kind=st.sampled_from(KINDS))
def test_next_and_previous_are_each_others_opposite(day, kind):
    period = Period.containing(day, kind)
    assert period.next().previous() == period
    assert period.previous().next() == period
    assert period.previous().end < period.start <= period.end < period.next().start


@given(day=DAYS, kind=st.sampled_from([kind for kind in KINDS if kind is not PeriodKind.TERM]))
def test_no_day_falls_between_two_periods(day, kind):
    period = Period.containing(day, kind)
    assert period.next().start == period.end + timedelta(days=1)


def test_february_29_is_the_last_day_of_its_month_and_inside_its_quarter():
    leap = date(2028, 2, 29)
    assert Period.containing(leap, PeriodKind.MONTH).end == leap
    assert Period.containing(leap, PeriodKind.QUARTER).label == "2027-28-Q4"
    assert Period.containing(leap, PeriodKind.YEAR).label == "2027-28"
    assert Period.parse("2027-28").end - Period.parse("2027-28").start == timedelta(days=365)
    assert Period.parse("2096-02").end.day == 29


def test_a_label_that_could_be_an_old_financial_year_is_a_month():
    assert Period.parse("2011-12").kind is PeriodKind.MONTH
    assert Period.parse("2012-13").kind is PeriodKind.YEAR


@pytest.mark.parametrize(
    ("day", "label"),
    [(date(2027, 3, 31), "2026-27"), (date(2027, 4, 1), "2027-28"), (date(2027, 1, 1), "2026-27")],
)
def test_a_financial_year_turns_on_the_first_of_april(day, label):
    assert Period.containing(day, PeriodKind.YEAR).label == label


def test_a_day_in_august_belongs_to_the_summer_term_before_it():
    august = Period.containing(date(2027, 8, 15), PeriodKind.TERM)
    assert august.label == "2026-27-summer"
    assert august.next().label == "2027-28-autumn"


def test_periods_sort_by_time():
    labels = ["2027-28-Q1", "2026-27-Q4", "2026-27-Q1"]
    assert [one.label for one in sorted(map(Period.parse, labels))] == labels[::-1]

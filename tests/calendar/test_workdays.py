from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.calendar.workdays import ENGLAND, BankHolidays
from gateway.errors import SettingsError

DAYS = st.dates(min_value=date(2010, 1, 1), max_value=date(2039, 12, 31))


def test_weekends_and_bank_holidays_are_no_working_days():
    assert not ENGLAND.is_working_day(date(2026, 12, 25))
    assert not ENGLAND.is_working_day(date(2026, 12, 28))  # Boxing Day falls on a Saturday
    assert not ENGLAND.is_working_day(date(2026, 11, 28))  # a Saturday
    assert ENGLAND.is_working_day(date(2026, 11, 30))  # St Andrew's Day is Scotland's


def test_christmas_is_stepped_over():
    assert ENGLAND.working_days_after(date(2026, 12, 24), 1) == date(2026, 12, 29)


def test_local_days_are_added_and_removed_as_data():
    local = BankHolidays.from_toml('[added]\n2027-06-14 = "Celebration"\n[removed]\n2027-05-03 = "moved"\n')
    assert local.name(date(2027, 6, 14)) == "Celebration"
    assert local.is_working_day(date(2027, 5, 3))
    assert not ENGLAND.is_working_day(date(2027, 5, 3))


@pytest.mark.parametrize("text", ["[added", "[extra]\n", '[added]\nsoon = "x"\n', "added = 3\n"])
def test_local_days_that_cannot_be_read_are_refused_with_the_form(text):
    with pytest.raises(SettingsError, match="2027-06-14"):
        BankHolidays.from_toml(text)


@given(DAYS)
def test_the_nearest_working_days_are_the_day_itself_or_about_it(day):
    before, after = ENGLAND.same_or_previous(day), ENGLAND.same_or_next(day)
    assert before <= day <= after
    assert (before == day) == (after == day) == ENGLAND.is_working_day(day)


@given(DAYS, st.integers(0, 40), st.integers(0, 40))
def test_counting_on_is_the_same_as_counting_at_once(day, first, second):
    in_two = ENGLAND.working_days_after(ENGLAND.working_days_after(day, first), second)
    assert in_two == ENGLAND.working_days_after(day, first + second)

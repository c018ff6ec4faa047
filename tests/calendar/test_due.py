from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.calendar.due import FORMS, due_date, due_instant, parse_rule
from gateway.calendar.workdays import ENGLAND, BankHolidays
from gateway.domain.london import LONDON, end_of_day, moment
from gateway.domain.period import Period, PeriodKind
from gateway.errors import SettingsError

DAYS = st.dates(min_value=date(2010, 1, 1), max_value=date(2039, 12, 31))
PERIODS = st.builds(Period.containing, DAYS, st.sampled_from(PeriodKind))


@pytest.mark.parametrize(
    ("rule", "period", "day"),
    [
        ("20 working days after the period ends", "2026-27-Q2", date(2026, 10, 28)),
        ("20 working days after the period ends", "2026-27-Q3", date(2027, 1, 29)),  # New Year's Day
        ("10 working days after the period ends", "2026-27-Q4", date(2027, 4, 14)),
        ("31 May after the period ends", "2026-27", date(2027, 5, 31)),
        ("1 April after the period ends", "2026-27", date(2027, 4, 1)),
        ("31 March after the period ends", "2026-27", date(2028, 3, 31)),
        ("third Friday of May", "2026-27", date(2027, 5, 21)),
        ("the third  friday of MAY after the period ends", "2026-27", date(2027, 5, 21)),
        ("last Friday of May after the period ends", "2026-27", date(2027, 5, 28)),
        ("10 days after the period ends", "2026-09", date(2026, 10, 10)),
        ("1 day after the period ends", "2026-09", date(2026, 10, 1)),
        ("the day after the period ends", "2026-27-Q2", date(2026, 10, 1)),
        ("the day the period ends", "2026-27-Q2", date(2026, 9, 30)),
        ("third Thursday of January after the period starts", "2026-27-spring", date(2027, 1, 21)),
    ],
)
def test_a_rule_means_the_day_it_says(rule, period, day):
    assert due_date(rule, Period.parse(period), ENGLAND) == day


def test_a_due_date_on_a_bank_holiday_stays_where_the_rule_puts_it():
    assert ENGLAND.name(date(2027, 5, 31)) == "Spring Bank Holiday"
    assert due_date("31 May after the period ends", Period.parse("2026-27"), ENGLAND) == date(2027, 5, 31)


def test_a_due_date_on_a_bank_holiday_moves_where_the_rule_says_so():
    period = Period.parse("2026-27")
    assert due_date("31 May after the period ends, or the next working day", period, ENGLAND) == date(2027, 6, 1)
    assert due_date("31 May after the period ends or the working day before", period, ENGLAND) == date(2027, 5, 28)


def test_a_bank_holiday_added_late_moves_the_due_date():
    late = BankHolidays(added={date(2026, 10, 14): "Day of national celebration"})
    period = Period.parse("2026-27-Q2")
    assert due_date("20 working days after the period ends", period, late) == date(2026, 10, 29)


def test_the_29th_of_february_is_the_28th_where_there_is_none():
    rule = "29 February after the period ends"
    assert due_date(rule, Period.parse("2026"), ENGLAND) == date(2027, 2, 28)
    assert due_date(rule, Period.parse("2027"), ENGLAND) == date(2028, 2, 29)
    assert due_date(rule, Period.parse("2027-02"), ENGLAND) == date(2028, 2, 29)


def test_days_are_counted_over_the_29th_of_february():
    assert due_date("29 days after the period ends", Period.parse("2028-01"), ENGLAND) == date(2028, 2, 29)
    assert due_date("30 days after the period ends", Period.parse("2028-01"), ENGLAND) == date(2028, 3, 1)


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "soon",
        "20 work days after the period ends",
        "0 days after the period ends",
        "9999 days after the period ends",
        "31 February after the period ends",
        "30 February after the period ends",
        "0 May after the period ends",
        "fifth Friday of May",
        "31 May",
        "31 May after the period ends, perhaps",
    ],
)
def test_any_other_text_is_refused_and_the_refusal_lists_the_forms(rule):
    with pytest.raises(SettingsError) as refused:
        parse_rule(rule)
    assert all(form in str(refused.value) for form in FORMS)


def test_every_listed_form_is_understood():
    assert [parse_rule(form).text for form in FORMS] == list(FORMS)


@given(PERIODS, st.integers(1, 60))
def test_so_many_working_days_lie_between_the_end_of_the_period_and_the_due_date(period, count):
    due = due_date(f"{count} working days after the period ends", period, ENGLAND)
    between = [period.end + timedelta(days=n) for n in range(1, (due - period.end).days + 1)]
    assert ENGLAND.is_working_day(due)
    assert sum(map(ENGLAND.is_working_day, between)) == count


@given(PERIODS, DAYS)
def test_a_dated_rule_is_the_first_such_day_after_the_period(period, day):
    due = due_date(f"{day.day} {day:%B} after the period ends", period, ENGLAND)
    assert period.end < due <= period.end + timedelta(days=366)
    assert due.month == day.month
    assert due.day in {day.day, 28}


@given(PERIODS, st.sampled_from(["first", "second", "third", "fourth", "last"]), DAYS)
def test_a_weekday_rule_is_that_weekday_of_that_month_after_the_period(period, nth, day):
    due = due_date(f"{nth} {day:%A} of {day:%B} after the period ends", period, ENGLAND)
    assert due > period.end
    assert (due.weekday(), due.month) == (day.weekday(), day.month)
    week = (due.day - 1) // 7
    assert week in {3, 4} if nth == "last" else week == ["first", "second", "third", "fourth"].index(nth)


@given(PERIODS, st.sampled_from(FORMS))
def test_the_next_working_day_is_a_working_day_and_never_earlier(period, form):
    plain, moved = due_date(form, period, ENGLAND), due_date(f"{form}, or the next working day", period, ENGLAND)
    assert ENGLAND.is_working_day(moved)
    assert plain <= moved <= plain + timedelta(days=6)


@given(DAYS)
def test_a_day_is_due_until_its_last_second_in_london(day):
    instant = due_instant(day)
    assert f"{instant.astimezone(LONDON):%Y-%m-%d %H:%M:%S}" == f"{day} 23:59:59"
    assert end_of_day(day) - instant == timedelta(seconds=1)


def test_a_summer_day_ends_an_hour_earlier_in_utc():
    assert due_instant(date(2027, 6, 1)) == datetime(2027, 6, 1, 22, 59, 59, tzinfo=UTC)
    assert due_instant(date(2027, 1, 29)) == datetime(2027, 1, 29, 23, 59, 59, tzinfo=UTC)


def test_the_day_the_clocks_go_forward_has_23_hours_and_the_day_they_go_back_25():
    forward, back = date(2027, 3, 28), date(2027, 10, 31)
    assert due_instant(forward) - due_instant(forward - timedelta(days=1)) == timedelta(hours=23)
    assert due_instant(back) - due_instant(back - timedelta(days=1)) == timedelta(hours=25)


def test_an_hour_the_spring_change_leaves_out_is_the_hour_that_comes_instead():
    assert moment(date(2027, 3, 28), 1) == datetime(2027, 3, 28, 1, tzinfo=UTC)  # shown as 02:00 in London


def test_an_hour_the_autumn_change_repeats_is_the_first_of_the_two():
    assert moment(date(2027, 10, 31), 1) == datetime(2027, 10, 31, 0, tzinfo=UTC)

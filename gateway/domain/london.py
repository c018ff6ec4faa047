"""London's clock, for people: when a day ends, what date it is there, and how a date reads.

* Instants stay aware UTC everywhere else; only these functions know of summer time.
* A day ends at the next midnight in London, which exists once on every day, clock changes included.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

LONDON = ZoneInfo("Europe/London")


def start_of_day(day: date) -> datetime:
    """Return the instant a London day begins, in UTC."""
    return moment(day, 0)


def end_of_day(day: date) -> datetime:
    """Return the first instant after a London day, in UTC."""
    return start_of_day(day + timedelta(days=1))


def moment(day: date, hour: int) -> datetime:
    """Return ``hour`` o'clock in London on a day, in UTC.

    An hour that the spring change leaves out is the hour that comes instead of it; one that the autumn change
    repeats is the first of the two. So every hour of every day is exactly one instant.
    """
    return datetime.combine(day, time(hour), tzinfo=LONDON).astimezone(UTC)


def london_date(at: datetime) -> date:
    """Return the date in London at an instant."""
    return at.astimezone(LONDON).date()


def day_in_words(day: date) -> str:
    """Return a date as people write it.

    >>> day_in_words(date(2027, 5, 31))
    'Monday 31 May 2027'
    """
    return f"{day:%A} {day.day} {day:%B %Y}"


def instant_in_words(at: datetime) -> str:
    """Return an instant as people in London write it.

    >>> instant_in_words(datetime(2027, 5, 31, 12, 5, tzinfo=UTC))
    '13:05 on Monday 31 May 2027'
    """
    return f"{at.astimezone(LONDON):%H:%M} on {day_in_words(london_date(at))}"

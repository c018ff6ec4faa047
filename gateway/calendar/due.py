"""Reads a due rule, as a person writes it in ``collection.toml``, and says which day it means for a period.

* Forms: see ``FORMS``. Anything else is refused, and the refusal lists the forms.
* A rule means exactly the day it names, holiday or not, unless it ends in ``, or the next working day`` or
  ``, or the working day before``.
* "After" is strict: ``31 March after the period ends`` is next year's where the period ends on 31 March.
* 29 February is the 28th in a year that has no 29th.
* A day ends at midnight in London, so a due instant is 23:59:59 there.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeAlias

from gateway.calendar.workdays import BankHolidays
from gateway.domain.london import end_of_day
from gateway.domain.period import Period
from gateway.errors import SettingsError

FORMS = (
    "20 working days after the period ends",
    "10 days after the period ends",
    "the day after the period ends",
    "the day the period ends",
    "31 May after the period ends",
    "third Friday of May after the period ends",
    "last Friday of May after the period ends",
)
"""One example of each form. ``starts`` may stand for ``ends``; a weekday may go without ``after the period ends``."""

_MOST_DAYS = 1000
"""More days than this is a slip of the keyboard."""

_ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3, "last": -1}
_WEEKDAYS = {name.lower(): number for number, name in enumerate(calendar.day_name)}
_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
_LEAP_YEAR = 2000

_ANCHOR = r"(?: after the period (?P<anchor>ends|starts))"
_COUNTED = re.compile(rf"(?P<count>\d{{1,4}}) (?P<unit>working days?|days?){_ANCHOR}")
_DAY = re.compile(r"the day (?P<after>after )?the period (?P<anchor>ends|starts)")
_DATED = re.compile(rf"(?P<day>\d{{1,2}}) (?P<month>{'|'.join(_MONTHS)}){_ANCHOR}")
_WEEKDAY = re.compile(
    rf"(?:the )?(?P<nth>{'|'.join(_ORDINALS)}) (?P<weekday>{'|'.join(_WEEKDAYS)}) of (?P<month>{'|'.join(_MONTHS)})"
    rf"{_ANCHOR}?"
)
_ENDING = re.compile(r",? or (?P<which>the next working day|the working day before)$")

_InYear: TypeAlias = Callable[[int], date]


@dataclass(frozen=True, kw_only=True, slots=True)
class DueRule:
    """A rule that was understood."""

    text: str
    anchor: str
    """``ends`` or ``starts``: from which end of the period it counts."""
    find: Callable[[date, BankHolidays], date]
    """From the anchor day to the day meant."""
    settle: Callable[[date, BankHolidays], date]
    """What to do with a day that is no working day."""

    def day(self, period: Period, bank_holidays: BankHolidays) -> date:
        """Return the day it means for a period."""
        anchor = period.end if self.anchor == "ends" else period.start
        return self.settle(self.find(anchor, bank_holidays), bank_holidays)


def parse_rule(rule: str) -> DueRule:
    """Read a rule.

    Raises:
        SettingsError: it is none of the forms, or names a day that does not exist.
    """
    text = " ".join(rule.split()).lower()
    ending = _ENDING.search(text)
    body = text[: ending.start()] if ending else text
    settle = _settle(ending["which"] if ending else "")
    for form, read in _READERS:
        if found := form.fullmatch(body):
            anchor = found["anchor"] or "ends"
            return DueRule(text=rule, anchor=anchor, find=read(found, rule), settle=settle)
    raise _refuse(rule, "is not a due rule")


def due_date(rule: str, period: Period, bank_holidays: BankHolidays) -> date:
    """Return the day a rule means for a period.

    Raises:
        SettingsError: the rule is none of the forms.
    """
    return parse_rule(rule).day(period, bank_holidays)


def due_instant(day: date) -> datetime:
    """Return the last second of a day in London, in UTC."""
    return end_of_day(day) - timedelta(seconds=1)


def _refuse(rule: str, why: str) -> SettingsError:
    forms = "; ".join(FORMS)
    return SettingsError(
        f'"{rule[:80]}" {why}.',
        did="The collection cannot be used.",
        remedy=f"Write one of these forms: {forms}. Any of them may end in: or the next working day.",
    )


def _settle(ending: str) -> Callable[[date, BankHolidays], date]:
    match ending:
        case "the next working day":
            return lambda day, bank_holidays: bank_holidays.same_or_next(day)
        case "the working day before":
            return lambda day, bank_holidays: bank_holidays.same_or_previous(day)
        case _:
            return lambda day, _: day


def _read_counted(found: re.Match[str], rule: str) -> Callable[[date, BankHolidays], date]:
    count = int(found["count"])
    if not 1 <= count <= _MOST_DAYS:
        raise _refuse(rule, f"counts {count} days; 1 to {_MOST_DAYS} can be counted")
    if found["unit"].startswith("working"):
        return lambda anchor, bank_holidays: bank_holidays.working_days_after(anchor, count)
    return lambda anchor, _: anchor + timedelta(days=count)


def _read_day(found: re.Match[str], _rule: str) -> Callable[[date, BankHolidays], date]:
    days = timedelta(days=1 if found["after"] else 0)
    return lambda anchor, _: anchor + days


def _read_dated(found: re.Match[str], rule: str) -> Callable[[date, BankHolidays], date]:
    day, month = int(found["day"]), _MONTHS[found["month"]]
    if not 1 <= day <= calendar.monthrange(_LEAP_YEAR, month)[1]:
        raise _refuse(rule, "names a day that no year has")
    return lambda anchor, _: _first_after(anchor, lambda year: _dated(year, month, day))


def _read_weekday(found: re.Match[str], _rule: str) -> Callable[[date, BankHolidays], date]:
    nth, weekday, month = _ORDINALS[found["nth"]], _WEEKDAYS[found["weekday"]], _MONTHS[found["month"]]
    return lambda anchor, _: _first_after(anchor, lambda year: _nth_weekday(year, month, weekday, nth))


_READERS = ((_COUNTED, _read_counted), (_DAY, _read_day), (_DATED, _read_dated), (_WEEKDAY, _read_weekday))


def _first_after(anchor: date, in_year: _InYear) -> date:
    this_year = in_year(anchor.year)
    return this_year if this_year > anchor else in_year(anchor.year + 1)


def _dated(year: int, month: int, day: int) -> date:
    return date(year, month, min(day, calendar.monthrange(year, month)[1]))


def _nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    weeks = calendar.Calendar().monthdatescalendar(year, month)
    return [week[weekday] for week in weeks if week[weekday].month == month][nth]

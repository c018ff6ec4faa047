"""What a return is about: a quarter, a year, a month or a term, written one way only.

* Financial-year quarter ``2026-27-Q2`` (Q1 = April to June), financial year ``2026-27`` (1 April to 31 March),
  month ``2026-09``, school term ``2026-27-autumn``, calendar year ``2026``.
* A period is declared by the sender and never guessed; ``Period.parse`` refuses what is not exactly one of these.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Self

_FINANCIAL = re.compile(r"^(20\d\d)-(\d\d)(?:-(Q[1-4]|autumn|spring|summer))?\Z", re.ASCII)
_MONTH = re.compile(r"^(20\d\d)-(0[1-9]|1[0-2])\Z", re.ASCII)
_CALENDAR_YEAR = re.compile(r"^(20\d\d)\Z", re.ASCII)
_TERM_MONTHS = {"autumn": (0, 9, 12), "spring": (1, 1, 3), "summer": (1, 4, 7)}
_MONTHS_A_QUARTER = 3
_DECEMBER = 12


class PeriodKind(StrEnum):
    """How long a period is and how it is counted."""

    QUARTER = "quarter"
    YEAR = "year"
    MONTH = "month"
    TERM = "term"
    CALENDAR_YEAR = "calendar-year"


@dataclass(frozen=True, order=True, slots=True)
class Period:
    """One period, first and last day included. Make one with ``Period.parse``."""

    start: date
    end: date
    label: str
    kind: PeriodKind

    @classmethod
    def parse(cls, label: str) -> Self:
        """Read a label.

        Raises:
            ValueError: the label is not a period; the message says which forms are.
        """
        if found := _MONTH.match(label):
            # "2011-12" and earlier could be a financial year as well; no live collection reaches back so far.
            return cls._months(label, int(found[1]), int(found[2]), 1, PeriodKind.MONTH)
        if found := _CALENDAR_YEAR.match(label):
            return cls._months(label, int(found[1]), 1, 12, PeriodKind.CALENDAR_YEAR)
        found = _FINANCIAL.match(label)
        if found is None or (int(found[1]) + 1) % 100 != int(found[2]):
            message = f"not a period: {label[:40]!r}. Write 2026-27-Q2, 2026-27, 2026-09, 2026-27-autumn or 2026."
            raise ValueError(message)
        year, part = int(found[1]), found[3]
        if part is None:
            return cls._months(label, year, 4, 12, PeriodKind.YEAR)
        if part in _TERM_MONTHS:
            later, first, last = _TERM_MONTHS[part]
            return cls._months(label, year + later, first, last - first + 1, PeriodKind.TERM)
        first_month = 4 + _MONTHS_A_QUARTER * (int(part[1]) - 1)
        if first_month > _DECEMBER:
            year, first_month = year + 1, first_month - _DECEMBER
        return cls._months(label, year, first_month, _MONTHS_A_QUARTER, PeriodKind.QUARTER)

    @classmethod
    def _months(cls, label: str, year: int, month: int, count: int, kind: PeriodKind) -> Self:
        last_index = month - 1 + count - 1
        last_year, last_month = year + last_index // 12, last_index % 12 + 1
        last_day = calendar.monthrange(last_year, last_month)[1]
        return cls(date(year, month, 1), date(last_year, last_month, last_day), label, kind)

    @classmethod
    def containing(cls, day: date, kind: PeriodKind) -> Self:
        """Return the period of ``kind`` that ``day`` is in. A day between two terms belongs to the one before it."""
        financial = day.year if day.month >= 4 else day.year - 1  # noqa: PLR2004 (April)
        years = f"{financial}-{(financial + 1) % 100:02d}"
        match kind:
            case PeriodKind.MONTH:
                return cls.parse(f"{day:%Y-%m}")
            case PeriodKind.CALENDAR_YEAR:
                return cls.parse(f"{day:%Y}")
            case PeriodKind.YEAR:
                return cls.parse(years)
            case PeriodKind.QUARTER:
                return cls.parse(f"{years}-Q{(day.month - 4) % 12 // _MONTHS_A_QUARTER + 1}")
            case PeriodKind.TERM:
                school = day.year if day.month >= 9 else day.year - 1  # noqa: PLR2004 (September)
                term = "autumn" if day.month >= 9 else "spring" if day.month < 4 else "summer"  # noqa: PLR2004
                return cls.parse(f"{school}-{(school + 1) % 100:02d}-{term}")

    def previous(self) -> Self:
        """Return the period of the same kind before this one."""
        return type(self).containing(self.start - timedelta(days=1), self.kind)

    def next(self) -> Self:
        """Return the period of the same kind after this one."""
        day = self.end + timedelta(days=1)
        if self.kind is PeriodKind.TERM and day.month == 8:  # noqa: PLR2004 (August: between summer and autumn terms)
            day = date(day.year, 9, 1)
        return type(self).containing(day, self.kind)

    def __str__(self) -> str:
        """Return the label."""
        return self.label

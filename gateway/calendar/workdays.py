"""Which days people in England work: not Saturdays, not Sundays, not bank holidays.

* Bank holidays of England come from the ``holidays`` library (its only home here).
* LIIA adds or removes days as data (a holiday announced late, a local day), in TOML::

      [added]
      2027-06-14 = "Day of national celebration"

      [removed]
      2027-05-03 = "moved to 10 May"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import holidays

from gateway.errors import SettingsError

_SATURDAY = 5
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class BankHolidays:
    """England's bank holidays with LIIA's local changes.

    Attributes:
        added: days that are holidays here and not in the library, with their names.
        removed: days that are holidays in the library and not here, with the reason.
    """

    added: Mapping[date, str] = field(default_factory=dict)
    removed: Mapping[date, str] = field(default_factory=dict)

    @classmethod
    def from_toml(cls, text: str) -> BankHolidays:
        """Read local changes from TOML (see the module's caption).

        Raises:
            SettingsError: not TOML, an unknown table, or a key that is not a date.
        """
        try:
            tables = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(f"The local bank holidays are not valid TOML: {error}.", remedy=_FORM) from error
        unknown = sorted(set(tables) - {"added", "removed"})
        if unknown:
            raise SettingsError(f"The local bank holidays have an unknown table [{unknown[0]}].", remedy=_FORM)
        return cls(added=_days(tables.get("added", {})), removed=_days(tables.get("removed", {})))

    def name(self, day: date) -> str | None:
        """Return the holiday's name, or None where the day is none."""
        if day in self.added:
            return self.added[day]
        return None if day in self.removed else _england(day.year).get(day)

    def is_working_day(self, day: date) -> bool:
        """Say whether people work on a day."""
        return day.weekday() < _SATURDAY and self.name(day) is None

    def working_days_after(self, day: date, count: int) -> date:
        """Return the ``count``-th working day after a day; the day itself is not counted. 0 is the day itself."""
        while count > 0:
            day += _ONE_DAY
            count -= self.is_working_day(day)
        return day

    def same_or_next(self, day: date) -> date:
        """Return the day, or the next working day where it is none."""
        while not self.is_working_day(day):
            day += _ONE_DAY
        return day

    def same_or_previous(self, day: date) -> date:
        """Return the day, or the working day before where it is none."""
        while not self.is_working_day(day):
            day -= _ONE_DAY
        return day


ENGLAND = BankHolidays()
"""England's bank holidays without local changes."""

_FORM = 'Write [added] and [removed] tables with lines like 2027-06-14 = "its name".'


@lru_cache(maxsize=256)
def _england(year: int) -> Mapping[date, str]:
    return dict(holidays.country_holidays("GB", subdiv="ENG", years=year))


def _days(table: Mapping[str, Any]) -> dict[date, str]:
    try:
        return {date.fromisoformat(day): str(name) for day, name in table.items()}
    except (ValueError, AttributeError) as error:
        raise SettingsError(
            "The local bank holidays have a line that does not begin with a date.", remedy=_FORM
        ) from error

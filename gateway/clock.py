"""What time is it? Asked of one object, handed to whoever needs it, so that tests never wait.

* Every instant in the program is an aware UTC datetime.
* London time exists only at the calendar's edge (see ``gateway.calendar``).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the present instant."""

    def now(self) -> datetime:
        """Return the present as an aware UTC datetime."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present as an aware UTC datetime."""
        return datetime.now(UTC)


class FixedClock:
    """A clock that stands still until it is told to move: for rehearsals, the demo and tests."""

    def __init__(self, at: datetime) -> None:
        if at.tzinfo is None:
            message = "a clock needs an aware datetime"
            raise ValueError(message)
        self._at = at.astimezone(UTC)

    def now(self) -> datetime:
        """Return the instant it was set to."""
        return self._at

    def advance(self, by: timedelta) -> None:
        """Move forward (or back) by ``by``."""
        self._at += by

"""Which notice is due for an expectation now: a reminder, the day itself, or that it is late. Pure.

* One notice an expectation at most: the newest whose moment has come. After a week of downtime an authority gets
  that one, not every one that was missed.
* Before the return opens, once it is accepted, excused or not expected: none.
* The due date is part of the key, so that a date that was moved has its own reminders.
* A late notice counts from the last day that is on time, grace included.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from gateway.domain.expectation import Expectation, Standing
from gateway.domain.london import london_date, moment
from gateway.domain.names import authority_owner
from gateway.domain.notice import NoticeKey, NoticeKind
from gateway.domain.states import ExpectationState

_UNANSWERED = frozenset({ExpectationState.EXPECTED, ExpectationState.LATE, ExpectationState.MISSING})


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """When people are told.

    Attributes:
        reminder_days: days before the due day; 0 is the day itself.
        late_days: days after the last day that is on time, 1 or more.
        hour: o'clock in London, 0 to 23; nothing is said earlier in the day.
    """

    reminder_days: tuple[int, ...] = (10, 3, 0)
    late_days: tuple[int, ...] = (1,)
    hour: int = 8

    def __post_init__(self) -> None:
        if any(days < 0 for days in self.reminder_days) or any(days < 1 for days in self.late_days):
            message = "reminder_days are 0 or more, late_days are 1 or more"
            raise ValueError(message)


def due_notices(standings: Iterable[Standing], schedule: Schedule, at: datetime) -> list[NoticeKey]:
    """Return the key of every notice that should have been raised by now, at most one for each expectation."""
    keys = (due_notice(standing, schedule, at) for standing in standings)
    return [key for key in keys if key is not None]


def due_notice(standing: Standing, schedule: Schedule, at: datetime) -> NoticeKey | None:
    """Return the key of the newest notice whose moment has come for one expectation, or None."""
    owed = standing.expectation
    if standing.state not in _UNANSWERED or london_date(at) < owed.opens:
        return None
    if standing.state is ExpectationState.EXPECTED and london_date(at) > owed.due:
        return None  # days of grace: too late to remind, too early to call it late
    wanted = _late(owed, schedule) if standing.state is not ExpectationState.EXPECTED else _reminders(owed, schedule)
    come = [occasion for occasion in wanted if moment(occasion.on, schedule.hour) <= at]
    if not come:
        return None
    newest = max(come, key=lambda occasion: occasion.on)
    return NoticeKey(
        kind=newest.kind,
        owner=authority_owner(owed.authority),
        collection=owed.collection,
        period=owed.period.label,
        occasion=f"{owed.due.isoformat()}/{newest.name}",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Occasion:
    kind: NoticeKind
    on: date
    name: str


def _reminders(owed: Expectation, schedule: Schedule) -> Iterator[_Occasion]:
    for days in schedule.reminder_days:
        kind, name = (NoticeKind.REMINDER, f"T-{days}") if days else (NoticeKind.DUE_TODAY, "T")
        yield _Occasion(kind=kind, on=owed.due - timedelta(days=days), name=name)


def _late(owed: Expectation, schedule: Schedule) -> Iterator[_Occasion]:
    for days in schedule.late_days:
        yield _Occasion(kind=NoticeKind.LATE, on=owed.on_time_until + timedelta(days=days), name=f"T+{days}")

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notice_world import CAMDEN, RIIA

from gateway.domain.expectation import Expectation, Standing
from gateway.domain.london import end_of_day
from gateway.domain.notice import NoticeKind
from gateway.domain.period import Period
from gateway.domain.states import ExpectationState as State
from gateway.notices.occasions import Schedule, due_notice

SCHEDULE = Schedule()
DUE = date(2026, 10, 28)


def standing(state: State = State.EXPECTED, **changed: object) -> Standing:
    one = {
        "authority": CAMDEN,
        "collection": RIIA,
        "period": Period.parse("2026-27-Q2"),
        "opens": date(2026, 10, 1),
        "due": DUE,
        "original_due": DUE,
        "on_time_until": changed.get("due", DUE),
        **changed,
    }
    return Standing(expectation=Expectation(**one), state=state)


def told(standing_: Standing, at: datetime, schedule: Schedule = SCHEDULE) -> str | None:
    key = due_notice(standing_, schedule, at)
    return key and f"{key.kind} {key.occasion}"


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (datetime(2026, 10, 18, 6, 59, tzinfo=UTC), None),
        (datetime(2026, 10, 18, 7, 0, tzinfo=UTC), "reminder 2026-10-28/T-10"),  # 08:00 in summer time
        (datetime(2026, 10, 25, 7, 59, tzinfo=UTC), "reminder 2026-10-28/T-10"),
        (datetime(2026, 10, 25, 8, 0, tzinfo=UTC), "reminder 2026-10-28/T-3"),  # the clocks went back this night
        (datetime(2026, 10, 28, 8, 0, tzinfo=UTC), "due-today 2026-10-28/T"),
    ],
)
def test_reminders_come_at_eight_in_london_whatever_the_clocks_do(at, words):
    assert told(standing(), at) == words


def test_a_late_notice_comes_the_morning_after_and_not_in_the_night():
    late = standing(State.LATE)
    assert told(late, datetime(2026, 10, 29, 7, 59, tzinfo=UTC)) is None
    assert told(late, datetime(2026, 10, 29, 8, 0, tzinfo=UTC)) == "late 2026-10-28/T+1"


def test_after_downtime_only_the_newest_one_is_told():
    assert told(standing(State.LATE), datetime(2026, 12, 24, 12, tzinfo=UTC)) == "late 2026-10-28/T+1"
    schedule = Schedule(late_days=(1, 5, 10))
    assert told(standing(State.LATE), datetime(2026, 11, 3, 12, tzinfo=UTC), schedule) == "late 2026-10-28/T+5"


def test_nobody_is_reminded_before_the_return_opens():
    early = standing(opens=date(2026, 10, 20))
    assert told(early, datetime(2026, 10, 19, 12, tzinfo=UTC)) is None
    assert told(early, datetime(2026, 10, 20, 12, tzinfo=UTC)) == "reminder 2026-10-28/T-10"


@pytest.mark.parametrize("state", [State.ACCEPTED_ON_TIME, State.ACCEPTED_LATE, State.EXCUSED, State.NOT_EXPECTED])
def test_who_owes_nothing_is_told_nothing(state):
    assert told(standing(state), datetime(2026, 10, 30, 12, tzinfo=UTC)) is None


def test_days_of_grace_are_silent():
    graced = standing(on_time_until=date(2026, 10, 30))
    assert told(graced, datetime(2026, 10, 29, 12, tzinfo=UTC)) is None
    late = standing(State.LATE, on_time_until=date(2026, 10, 30))
    assert told(late, datetime(2026, 10, 31, 12, tzinfo=UTC)) == "late 2026-10-28/T+1"


def test_a_moved_due_date_has_its_own_reminders():
    moved = standing(due=date(2026, 11, 11))
    assert told(moved, datetime(2026, 11, 8, 12, tzinfo=UTC)) == "reminder 2026-11-11/T-3"


def test_a_schedule_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="late_days"):
        Schedule(late_days=(0,))


@given(st.dates(date(2015, 1, 1), date(2044, 12, 31)), st.integers(0, 23))
def test_over_30_years_every_day_of_looking_hourly_tells_each_occasion_once_in_order(due, hour):
    schedule = Schedule(hour=hour)
    start = datetime(due.year, due.month, due.day, tzinfo=UTC) - timedelta(days=11)
    heard: list[tuple[NoticeKind, str]] = []
    for hours in range(24 * 13):
        at = start + timedelta(hours=hours)
        state = State.LATE if at >= end_of_day(due) else State.EXPECTED
        key = due_notice(standing(state, due=due, original_due=due, opens=due - timedelta(days=30)), schedule, at)
        if key is not None and (key.kind, key.occasion) not in heard:
            heard.append((key.kind, key.occasion))
    names = [occasion.partition("/")[2] for _, occasion in heard]
    assert names == ["T-10", "T-3", "T", "T+1"]

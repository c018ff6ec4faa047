from datetime import UTC, date, datetime

from calendar_builders import SSDA903, expectation

from gateway.calendar.deadlines import deadline_lines, render_deadlines
from gateway.domain.expectation import Standing
from gateway.domain.period import Period
from gateway.domain.states import ExpectationState as State

NOW = datetime(2027, 6, 3, 9, tzinfo=UTC)
TITLES = {SSDA903: "Looked-after children (SSDA903)"}


def test_deadlines_are_a_page_one_can_read():
    shown = [
        Standing(expectation=expectation(due=date(2027, 6, 14), on_time_until=date(2027, 6, 14)), state=State.EXPECTED),
        Standing(expectation=expectation(period=Period.parse("2025-26")), state=State.LATE),
        Standing(
            expectation=expectation(
                period=Period.parse("2024-25"), due=date(2025, 6, 2), original_due=date(2025, 6, 2)
            ),
            state=State.ACCEPTED_LATE,
            accepted_at=datetime(2025, 6, 4, 23, 30, tzinfo=UTC),
        ),
        Standing(expectation=expectation(period=Period.parse("2023-24")), state=State.NOT_EXPECTED),
    ]
    assert render_deadlines("Camden", shown, TITLES, NOW).splitlines() == [
        "Returns due from Camden",
        "As we have it at 10:00 on Thursday 3 June 2027, London time.",
        "",
        "RETURN                            PERIOD    DUE BY THE END OF                                 WHAT WE HAVE",
        (
            "Looked-after children (SSDA903)   2024-25   Monday 2 June 2025                                "
            "accepted, received 5 June 2025, after the due date"
        ),
        (
            "Looked-after children (SSDA903)   2025-26   Tuesday 1 June 2027                               "
            "nothing accepted yet, 2 days after the due date"
        ),
        (
            "Looked-after children (SSDA903)   2026-27   Monday 14 June 2027 (extended from 1 June 2027)   "
            "nothing accepted yet"
        ),
    ]


def test_an_authority_that_owes_nothing_is_told_so():
    none = [Standing(expectation=expectation(), state=State.NOT_EXPECTED)]
    assert deadline_lines(none, TITLES, NOW) == ["Nothing is expected from you at the moment."]


def test_a_return_that_is_not_open_yet_says_when_it_opens():
    lines = deadline_lines(
        [Standing(expectation=expectation(), state=State.EXPECTED)], TITLES, datetime(2027, 3, 1, tzinfo=UTC)
    )
    assert lines[1].endswith("opens 1 April 2027")

"""Writes an authority's DEADLINES.txt: what is due, when, and what we have. Plain text, read in any viewer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from gateway.domain.expectation import Expectation, Standing
from gateway.domain.london import day_in_words, instant_in_words, london_date
from gateway.domain.names import CollectionId
from gateway.domain.states import ExpectationState

_HEADINGS = ("RETURN", "PERIOD", "DUE BY THE END OF", "WHAT WE HAVE")
_GAP = "   "


def deadline_lines(standings: Iterable[Standing], titles: Mapping[CollectionId, str], at: datetime) -> list[str]:
    """Return aligned lines, a heading first: the nearest due date on top, what is not expected left out.

    Args:
        standings: how one authority's expectations stand at ``at``.
        titles: the collections' titles.
        at: the instant they were looked at.
    """
    shown = [one for one in standings if one.state is not ExpectationState.NOT_EXPECTED]
    shown.sort(key=lambda one: (one.expectation.due, one.expectation.collection, one.expectation.period))
    if not shown:
        return ["Nothing is expected from you at the moment."]
    rows = [_HEADINGS, *(_row(one, titles, at) for one in shown)]
    return _aligned(rows)


def render_deadlines(
    authority_name: str, standings: Iterable[Standing], titles: Mapping[CollectionId, str], at: datetime
) -> str:
    """Return the whole text of an authority's DEADLINES.txt."""
    head = [f"Returns due from {authority_name}", f"As we have it at {instant_in_words(at)}, London time.", ""]
    return "\n".join([*head, *deadline_lines(standings, titles, at), ""])


def _row(one: Standing, titles: Mapping[CollectionId, str], at: datetime) -> tuple[str, ...]:
    owed = one.expectation
    title = titles.get(owed.collection, owed.collection)
    return (title, owed.period.label, _due(owed), what_we_have(one, at))


def _due(owed: Expectation) -> str:
    if owed.due == owed.original_due:
        return day_in_words(owed.due)
    return f"{day_in_words(owed.due)} (extended from {owed.original_due.day} {owed.original_due:%B %Y})"


def what_we_have(one: Standing, at: datetime) -> str:
    """Return how an expectation stands, in a few neutral words."""
    owed, received = one.expectation, one.accepted_at
    match one.state:
        case ExpectationState.ACCEPTED_ON_TIME | ExpectationState.ACCEPTED_LATE if received is not None:
            late = ", after the due date" if one.state is ExpectationState.ACCEPTED_LATE else ""
            day = london_date(received)
            return f"accepted, received {day.day} {day:%B %Y}{late}"
        case ExpectationState.EXCUSED:
            return "excused"
        case ExpectationState.LATE:
            days = (london_date(at) - owed.due).days
            return f"nothing accepted yet, {days} day{'' if days == 1 else 's'} after the due date"
        case ExpectationState.MISSING:
            return "nothing accepted, closed"
        case _ if london_date(at) < owed.opens:
            return f"opens {owed.opens.day} {owed.opens:%B %Y}"
        case _:
            return "nothing accepted yet"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [_GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]

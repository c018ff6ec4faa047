"""Small values that must not leak, must not lie and must not change."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from datetime import UTC, datetime, timedelta, timezone

import pytest

from gateway.domain.events import Event
from gateway.domain.finding import Cell, Finding, Report, Severity
from gateway.domain.merkle import full_subtrees, root
from gateway.domain.names import SLUG
from gateway.errors import KeyMissingError, StorageError

CANARY = "Zoë Example 31/02/2026"
AT = datetime(2026, 10, 20, 21, 58, 30, 120000, tzinfo=UTC)


def finding(severity: Severity = Severity.ERROR, code: str = "type-error") -> Finding:
    return Finding(code=code, severity=severity, message="Not a date.", remedy="Write dd/mm/yyyy.", value=Cell(CANARY))


def test_a_cell_cannot_be_printed():
    cell = Cell(CANARY)
    for text in (repr(cell), str(cell), f"{cell}", f"{cell!r}", "%s" % cell, repr([cell]), repr({"a": cell})):  # noqa: UP031 (each way of printing)
        assert CANARY not in text
    assert cell.reveal() == CANARY


def test_what_holds_a_cell_cannot_be_printed():
    report = Report(findings=(finding(),), rows={"episodes": 1})
    for one in (finding(), report, report.summary()):
        assert CANARY not in repr(one)


def test_a_cell_is_never_stored_or_sent():
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="never stored"):
            pickle.dumps(Cell(CANARY), protocol)
    for copier in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="never stored"):
            copier(Cell(CANARY))
    with pytest.raises(TypeError):
        json.dumps(Cell(CANARY))
    with pytest.raises(TypeError, match="never stored"):
        dataclasses.asdict(finding())
    with pytest.raises(TypeError):
        vars(Cell(CANARY))


def test_an_error_rejects_and_a_query_asks():
    assert Report(findings=(), rows={}).accepted
    assert Report(findings=(finding(Severity.QUERY),), rows={}).accepted
    assert not Report(findings=(finding(Severity.QUERY), finding()), rows={}).accepted


def test_a_summary_counts_what_was_found_also_where_the_list_was_capped():
    mixed = Report(findings=(finding(), finding(Severity.QUERY, "late")), rows={"episodes": 9}).summary()
    assert (mixed.accepted, mixed.errors, mixed.queries) == (False, 1, 1)
    assert (mixed.by_code, mixed.rows) == ({"type-error": 1, "late": 1}, {"episodes": 9})
    capped = Report(findings=(finding(),), rows={}, counts={"type-error": 5000}).summary()
    assert (capped.errors, capped.queries) == (5000, 0)


def test_an_event_is_hashed_the_same_wherever_it_is_written():
    event = Event(action="received", subject="submission:1", at=AT, facts={"b": "é", "a": 1, "n": None, "l": ["x"]})
    assert (
        event.canonical()
        == (
            '{"action":"received","actor":"gateway","at":"2026-10-20T21:58:30.120000+00:00",'
            '"facts":{"a":1,"b":"é","l":["x"],"n":null},"key":"submission:1/received","subject":"submission:1"}'
        ).encode()
    )
    summer = dataclasses.replace(event, at=AT.astimezone(timezone(timedelta(hours=1))))
    assert summer.canonical() == event.canonical()
    assert Event.from_canonical(event.canonical()) == event


def test_an_events_key_is_its_subject_and_action_unless_said_otherwise():
    assert Event(action="sealed", subject="submission:1", at=AT).key == "submission:1/sealed"
    assert Event(action="received", subject="submission:1", at=AT, key="file:2/received").key == "file:2/received"


def test_a_failure_says_what_happened_what_was_done_and_what_to_do_also_after_a_journey():
    failure = StorageError("Storage is away.", did="Kept.", remedy="Wait.", passing=True)
    assert str(failure) == "Storage is away. Kept. Wait."
    back = pickle.loads(pickle.dumps(failure))
    assert (type(back), str(back), back.passing) == (StorageError, str(failure), True)
    assert str(KeyMissingError("There is no key.")) == "There is no key."


@pytest.mark.parametrize("name", ["camden", "hammersmith-and-fulham", "d2i", "annex-a", "a"])
def test_a_slug_is_a_slug(name):
    assert SLUG.match(name)


@pytest.mark.parametrize("name", ["", "Camden", "camden\n", "-a", "a-", "a--b", "2a", "a_b", "a/b", "..", "caf\u00e9"])
def test_what_is_no_slug_is_none(name):
    assert not SLUG.match(name)


def test_a_tree_is_made_of_the_full_subtrees_its_size_has_ones():
    assert full_subtrees(0) == []
    assert full_subtrees(13) == [(3, 0), (2, 2), (0, 12)]
    for size in range(1, 200):
        covered = [leaf for level, at in full_subtrees(size) for leaf in range(at << level, (at + 1) << level)]
        assert covered == list(range(size))


def test_a_tree_of_one_leaf_is_that_leaf():
    assert root(1, lambda _level, _at: b"leaf") == b"leaf"

"""Every pair of states, walked: in the table, and in the database that must keep to it."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.db import submissions as rows
from gateway.db.core import Database
from gateway.domain.names import AuthorityCode, Channel, CollectionId, SubmissionId
from gateway.domain.period import Period
from gateway.domain.states import ACCEPTED_STATES, DELIVERY_MAY_FOLLOW, MAY_FOLLOW, DeliveryState, State, may_follow
from gateway.domain.submission import Submission

ARROWS = """
received -> scanned quarantined duplicated
scanned -> accepted rejected quarantined
accepted -> sealed superseded withdrawn
sealed -> stored superseded withdrawn
stored -> routed superseded withdrawn
routed -> receipted superseded withdrawn
receipted -> superseded withdrawn
"""
"""The picture of DESIGN section 6, written once more by hand: a change of the table must be meant."""

DRAWN = {
    (State(earlier), State(later))
    for earlier, _, others in (line.partition(" -> ") for line in ARROWS.split("\n") if line)
    for later in others.split()
}
PAIRS = list(itertools.product(State, State))
AT = datetime(2026, 10, 20, 21, tzinfo=UTC)


def reached(start: State) -> set[State]:
    found: set[State] = set()
    ahead = {start}
    while ahead:
        found |= ahead
        ahead = {later for one in ahead for later in MAY_FOLLOW[one]} - found
    return found


@pytest.mark.parametrize(("earlier", "later"), PAIRS)
def test_a_pair_is_allowed_exactly_where_the_picture_has_an_arrow(earlier, later):
    assert may_follow(earlier, later) is ((earlier, later) in DRAWN)


def test_every_state_is_reached_and_none_comes_back():
    assert set(MAY_FOLLOW) == set(State)
    assert reached(State.RECEIVED) == set(State)
    for one in State:
        assert all(one not in reached(later) for later in MAY_FOLLOW[one]), one


def test_what_was_not_accepted_is_never_sealed_stored_or_routed():
    for one in (State.QUARANTINED, State.DUPLICATED, State.REJECTED):
        assert reached(one) == {one}
    assert all(State.ACCEPTED in reached(before) for before in State if State.SEALED in reached(before) and before
               not in ACCEPTED_STATES)  # fmt: skip


def test_an_accepted_return_can_be_superseded_or_withdrawn_at_any_time():
    for one in ACCEPTED_STATES:
        assert {State.SUPERSEDED, State.WITHDRAWN} <= MAY_FOLLOW[one]


def test_every_delivery_state_is_in_the_table_and_nothing_follows_collection_but_acknowledgement():
    assert set(DELIVERY_MAY_FOLLOW) == set(DeliveryState)
    assert DELIVERY_MAY_FOLLOW[DeliveryState.COLLECTED] == {DeliveryState.ACKNOWLEDGED}
    for final in (DeliveryState.ACKNOWLEDGED, DeliveryState.WITHDRAWN):
        assert not DELIVERY_MAY_FOLLOW[final]
    handed_over = {DeliveryState.COLLECTED, DeliveryState.ACKNOWLEDGED}
    assert all(DeliveryState.WITHDRAWN not in DELIVERY_MAY_FOLLOW[one] for one in handed_over)


def a_submission(number: int, state: State) -> Submission:
    return Submission(
        id=SubmissionId(f"0199-{number}"),
        authority=AuthorityCode("camden"),
        collection=CollectionId("riia-quarterly"),
        period=Period.parse("2026-27-Q2"),
        version=number,
        state=state,
        channel=Channel.CLI,
        sent_by="a test",
        received_at=AT,
        last_file_at=AT,
        files=(),
    )


def test_the_database_keeps_to_the_table_for_every_pair(tmp_path: Path):
    database = Database(f"sqlite:///{tmp_path / 'pairs.sqlite'}")
    database.create_all()
    with database.write() as tx:
        for number, (earlier, later) in enumerate(PAIRS):
            one = a_submission(number, earlier)
            values = {name: getattr(one, name) for name in ("id", "authority", "collection", "version", "sent_by")}
            values |= {"period": "2026-27-Q2", "state": earlier.value, "channel": "cli"}
            tx.connection.execute(rows.submissions.insert().values(**values, received_at=AT, last_file_at=AT))
            before = earlier in {State.SUPERSEDED, State.WITHDRAWN}
            if may_follow(earlier, later) or before:
                assert rows.record(tx, one, later, AT)
                kept = earlier if before else later
            else:
                with pytest.raises(ValueError, match="cannot become"):
                    rows.record(tx, one, later, AT)
                kept = earlier
            assert tx.connection.execute(
                rows.submissions.select().where(rows.submissions.c.id == one.id)
            ).one().state == kept.value  # fmt: skip
            assert not rows.record(tx, one, later, AT), "the same event a second time changes nothing"
    database.close()

"""The whole record in a real database, and everything one might do to it afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from ledger_world import LEDGER, START, checkpoint_of, event

from gateway.db import ledger as rows
from gateway.db.core import Database, ledger_events, ledger_nodes
from gateway.domain.merkle import leaf_hash
from gateway.ledger.checkpoint import Checkpoint, read_checkpoint
from gateway.ledger.verify import LedgerVerdict, verify_ledger, verify_since

COUNT = 37


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A ledger of 37 events with checkpoints kept at 1, 20 and 37."""
    found = Database(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    found.create_all()
    with found.write() as tx:
        for number in range(COUNT):
            assert tx.append(event(number)) == number
            if number + 1 in {1, 20, COUNT}:
                made = checkpoint_of([leaf_hash(event(one).canonical()) for one in range(number + 1)])
                rows.keep_checkpoint(tx, made.size, made.text, START)
    yield found
    found.close()


def verify(database: Database, *held: Checkpoint) -> LedgerVerdict:
    with database.read() as connection:
        kept = [read_checkpoint(text, LEDGER.public_bytes()) for text in rows.kept_checkpoints(connection)]
        return verify_ledger(
            rows.iterate_events(connection),
            rows.kept_root(connection),
            [*kept, *held],
            lambda level: rows.read_level(connection, level),
        )


def do(database: Database, *statements: sa.Executable) -> None:
    with database.write() as tx:
        for one in statements:
            tx.connection.execute(one)


def test_a_sound_ledger_verifies(database):
    verdict = verify(database)
    assert verdict.ok, verdict.problems
    assert (verdict.events, verdict.checkpoints) == (COUNT, 3)
    with database.read() as connection:
        assert verdict.root == rows.kept_root(connection)


def test_an_empty_ledger_verifies(tmp_path):
    empty = Database(f"sqlite:///{tmp_path / 'empty.sqlite'}")
    empty.create_all()
    assert verify(empty).ok


def test_an_altered_body_is_named(database):
    body = event(11).canonical().replace(b'"size_bytes":11', b'"size_bytes":12')
    do(database, ledger_events.update().where(ledger_events.c.seq == 11).values(body=body))
    assert verify(database).problems == (
        "The kept tree does not agree with event 11: one of the two was altered.",
        "The first 20 events are not those of the signed checkpoint: one was altered.",
        "The first 37 events are not those of the signed checkpoint: one was altered.",
        "The kept tree does not agree with the events: one of the two was altered.",
    )


def test_an_altered_body_with_its_whole_tree_made_anew_is_told_by_the_checkpoint_alone(database, tmp_path):
    forged = Database(f"sqlite:///{tmp_path / 'forged.sqlite'}")
    forged.create_all()
    with forged.write() as tx:
        for number in range(COUNT):
            tx.append(event(number if number != 11 else 1011))
    with database.read() as connection:
        held = read_checkpoint(rows.kept_checkpoints(connection)[1], LEDGER.public_bytes())
    assert verify(forged).ok
    assert verify(forged, held).problems == (
        "The first 20 events are not those of the signed checkpoint: one was altered.",
    )


def test_an_altered_key_is_named(database):
    do(database, ledger_events.update().where(ledger_events.c.seq == 3).values(key="another"))
    assert verify(database).problems == ("Event 3 is not what its row says.",)


def test_a_key_that_stands_twice_is_named():
    body = event(0).canonical()
    verdict = verify_ledger([(0, event(0).key, body), (1, event(0).key, body)], None, [])
    assert verdict.problems == ("Event 1 repeats the key of an earlier one.",)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"action":1}', b"\xff"])
def test_a_body_that_is_none_is_named(database, body):
    do(database, ledger_events.update().where(ledger_events.c.seq == 36).values(body=body))
    assert "Event 36 cannot be read." in verify(database).problems


def test_a_body_written_another_way_is_named(database):
    body = event(36).canonical().replace(b":", b": ", 1)
    do(database, ledger_events.update().where(ledger_events.c.seq == 36).values(body=body))
    assert "Event 36 is not what its row says." in verify(database).problems


def test_a_removed_event_is_named(database):
    do(database, ledger_events.delete().where(ledger_events.c.seq == 11))
    assert verify(database).problems == ("Event 11 is missing; the next on record is 12.",)


def test_a_ledger_cut_short_is_told_by_its_checkpoint_and_its_tree(database):
    do(database, ledger_events.delete().where(ledger_events.c.seq >= 30))
    assert verify(database).problems == (
        "The kept tree goes on where the events end: the ledger was cut short.",
        "A signed checkpoint knows 37 events; only 30 are here: the ledger was cut short.",
    )


def test_a_ledger_cut_short_with_its_tree_and_checkpoints_is_told_by_the_checkpoint_an_authority_holds(database):
    with database.read() as connection:
        held = read_checkpoint(rows.kept_checkpoints(connection)[-1], LEDGER.public_bytes())
    do(
        database,
        ledger_events.delete().where(ledger_events.c.seq >= 30),
        ledger_nodes.delete().where(((ledger_nodes.c.position + 1) * sa.func.power(2, ledger_nodes.c.level)) > 30),
        rows.ledger_checkpoints.delete().where(rows.ledger_checkpoints.c.size > 30),
    )
    assert verify(database).ok
    assert verify(database, held).problems == (
        "A signed checkpoint knows 37 events; only 30 are here: the ledger was cut short.",
    )


def test_a_forked_ledger_is_told(database):
    fork = checkpoint_of([leaf_hash(b"x")] * 20)
    problems = verify(database, fork).problems
    assert "Two signed checkpoints of 20 events differ: the ledger was forked." in problems


@pytest.mark.parametrize(("level", "position"), [(0, 0), (0, 36), (1, 3), (3, 1), (5, 0)])
def test_an_altered_or_missing_node_is_told_wherever_it_is(database, level, position):
    at = (ledger_nodes.c.level == level) & (ledger_nodes.c.position == position)
    first, last = position << level, ((position + 1) << level) - 1
    events = f"events {first} to {last}:" if level else f"event {first}:"
    do(database, ledger_nodes.update().where(at).values(hash=bytes(32)))
    assert events in verify(database).problems[0]
    do(database, ledger_nodes.delete().where(at))
    assert events in verify(database).problems[0]


def test_problems_stop_at_twenty():
    broken = [(number, "x", b"") for number in range(1000)]
    assert len(verify_ledger(broken, None, []).problems) == 20


def since(database: Database, trusted: Checkpoint) -> LedgerVerdict:
    with database.read() as connection:
        return verify_since(
            trusted,
            rows.node_reader(connection),
            rows.iterate_events(connection, trusted.size),
            rows.kept_root(connection),
            [read_checkpoint(text, LEDGER.public_bytes()) for text in rows.kept_checkpoints(connection)],
        )


def test_verification_goes_on_from_a_checkpoint(database):
    trusted = checkpoint_of([leaf_hash(event(one).canonical()) for one in range(20)])
    verdict = since(database, trusted)
    assert verdict.ok, verdict.problems
    assert verdict.events == COUNT
    assert not since(database, checkpoint_of([leaf_hash(b"x")] * 20)).ok
    do(database, ledger_events.update().where(ledger_events.c.seq == 25).values(body=event(1025).canonical()))
    assert "Event 25 is not what its row says." in since(database, trusted).problems


def test_the_first_checkpoint_of_a_size_stays_and_an_event_is_found_by_its_key(database):
    with database.write() as tx:
        rows.keep_checkpoint(tx, 20, "another", START)
    with database.read() as connection:
        assert "another" not in rows.kept_checkpoints(connection)
        assert rows.by_key(connection, "submission:5/received") == (5, event(5).canonical())
        assert rows.by_key(connection, "nothing") is None
        assert rows.event_count(connection) == COUNT
        assert rows.tail(connection, 2) == [(35, event(35)), (36, event(36))]
        assert rows.tail(connection, 9, subject="submission:5") == [(5, event(5))]

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from notice_world import CAMDEN, RIIA, database_at

from gateway.db.calendar import (
    end_participation,
    grant_excuse,
    grant_extension,
    lift_excuse,
    read_agreed,
    read_extensions,
    set_due,
    set_participation,
)
from gateway.db.core import Database, ledger_events
from gateway.domain.expectation import DueOverride, Excuse, Extension, Owed
from gateway.domain.sharing import Participation
from gateway.errors import NotAllowedError, NotFoundError

NOW = datetime(2026, 10, 20, 9, tzinfo=UTC)
OWED = Owed(CAMDEN, RIIA, "2026-27-Q2")
PART = Participation(authority=CAMDEN, collection=RIIA, since=date(2026, 1, 1), agreement="DSA 7", note="first wave")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = database_at(tmp_path / "gateway.sqlite")
    yield database
    database.close()


def events(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(sa.select(ledger_events.c.action).order_by(ledger_events.c.seq)).scalars())


def extension(new_due: date, at: datetime = NOW) -> Extension:
    return Extension(
        owed=OWED, new_due=new_due, reason="The worker Jo Bloggs is ill.", granted_by="person:alice", granted_at=at
    )


def test_taking_part_is_recorded_once_with_its_event(database):
    with database.write() as tx:
        assert set_participation(tx, PART, by="person:alice", at=NOW)
        assert not set_participation(tx, PART, by="person:alice", at=NOW + timedelta(hours=1))
    with database.read() as connection:
        assert read_agreed(connection).participations == (PART,)
    assert events(database) == ["participation_changed"]


def test_opting_out_and_in_again_each_leave_an_event(database):
    with database.write() as tx:
        set_participation(tx, PART, by="person:alice", at=NOW)
        ended = end_participation(
            tx, CAMDEN, RIIA, until=date(2026, 12, 31), note="by agreement", by="person:alice", at=NOW
        )
        assert ended.until == date(2026, 12, 31)
        assert ended.agreement == "DSA 7"
    with database.write() as tx:
        set_participation(tx, PART, by="person:alice", at=NOW + timedelta(days=1))
    assert events(database) == ["participation_changed"] * 3


def test_nobody_opts_out_of_what_they_are_not_in(database):
    with pytest.raises(NotFoundError), database.write() as tx:
        end_participation(tx, CAMDEN, RIIA, until=date(2026, 12, 31), note="", by="person:alice", at=NOW)


def test_taking_part_cannot_end_before_it_began(database):
    with pytest.raises(NotAllowedError), database.write() as tx:
        set_participation(
            tx,
            Participation(authority=CAMDEN, collection=RIIA, since=date(2026, 2, 1), until=date(2026, 1, 1)),
            by="person:alice",
            at=NOW,
        )


def test_the_newest_extension_is_in_force_and_the_older_ones_stay(database):
    with database.write() as tx:
        assert grant_extension(tx, extension(date(2026, 11, 4)))
        assert not grant_extension(tx, extension(date(2026, 11, 4)))
        assert grant_extension(tx, extension(date(2026, 11, 11)))
        assert grant_extension(tx, extension(date(2026, 11, 4)))
    with database.read() as connection:
        assert [one.new_due for one in read_agreed(connection).extensions] == [date(2026, 11, 4)]
        assert len(read_extensions(connection)) == 3
    assert events(database) == ["extended"] * 3


def test_an_excuse_can_be_granted_lifted_and_granted_again(database):
    excuse = Excuse(owed=OWED, reason="cyber-attack", granted_by="person:alice", granted_at=NOW)
    with database.write() as tx:
        assert grant_excuse(tx, excuse)
        assert not grant_excuse(tx, excuse)
        assert lift_excuse(tx, OWED, by="person:alice", at=NOW)
        assert not lift_excuse(tx, OWED, by="person:alice", at=NOW)
        assert read_agreed(tx.connection).excuses == ()
        assert grant_excuse(tx, excuse)
        assert read_agreed(tx.connection).excuses == (excuse,)
    assert events(database) == ["excused", "excuse_lifted", "excused"]


def test_a_due_date_is_set_and_changed_for_a_period(database):
    def override(day: date) -> DueOverride:
        return DueOverride(
            collection=RIIA, period="2026-27-Q2", due_on=day, reason="late guidance", set_by="person:alice"
        )

    with database.write() as tx:
        assert set_due(tx, override(date(2026, 11, 4)), at=NOW)
        assert not set_due(tx, override(date(2026, 11, 4)), at=NOW)
        assert set_due(tx, override(date(2026, 11, 6)), at=NOW)
    with database.read() as connection:
        assert read_agreed(connection).overrides == (override(date(2026, 11, 6)),)
    assert events(database) == ["due_changed"] * 2


def test_reasons_never_reach_the_ledger(database):
    with database.write() as tx:
        grant_extension(tx, extension(date(2026, 11, 4)))
    with database.read() as connection:
        bodies = connection.execute(sa.select(ledger_events.c.body)).scalars().all()
    assert bodies
    assert not any(b"Bloggs" in body for body in bodies)

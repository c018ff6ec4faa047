"""Authorities and keys as the tables keep them, and the events that tell of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sftp_world import CAMDEN, HACKNEY, NOON

from gateway.db import accounts as rows
from gateway.db.core import Database
from gateway.domain.names import SLUG
from gateway.errors import AlreadyExistsError, NotFoundError

KEY = rows.AccountKey(
    owner=CAMDEN, name="nightly", kind="ssh-ed25519", public_key="ssh-ed25519 A", fingerprint="SHA256:x", added_at=NOON
)  # fmt: skip


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'gateway.sqlite'}")
    made.create_all()
    yield made
    made.close()


def told(database: Database) -> list[str]:
    with database.read() as connection:
        return [row.action for row in connection.exec_driver_sql("SELECT action FROM ledger_events ORDER BY seq")]


def test_the_thirty_three_are_added_once(database: Database) -> None:
    for expected in (33, 0):
        with database.write() as tx:
            assert rows.seed_authorities(tx, NOON) == expected
    with database.read() as connection:
        found = rows.list_authorities(connection)
    assert len(found) == 33
    assert all(SLUG.match(one.code) for one in found)
    assert all(re.fullmatch(r"E0900\d{4}", one.gss_code) for one in found)
    assert all(re.fullmatch(r"[23]\d\d", one.dfe_number) for one in found)
    assert {one.name for one in found} >= {"Camden", "City of London", "Westminster"}
    for facts in ("gss_code", "dfe_number", "liia_code", "name"):
        assert len({getattr(one, facts) for one in found}) == 33
    assert told(database) == ["registered"] * 33


def test_a_key_is_let_in_once_and_shut_out_for_good(database: Database) -> None:
    with database.write() as tx:
        assert rows.add_key(tx, KEY, by="person:ann")
        assert not rows.add_key(tx, KEY, by="person:ann")
    with database.write() as tx, pytest.raises(NotFoundError):
        rows.revoke_key(tx, HACKNEY, KEY.fingerprint, by="person:ann", at=NOON)
    with database.write() as tx:
        rows.revoke_key(tx, CAMDEN, KEY.fingerprint, by="person:ann", at=NOON)
    with database.write() as tx, pytest.raises(AlreadyExistsError):
        rows.add_key(tx, KEY, by="person:ann")
    with database.read() as connection:
        (kept,) = rows.list_keys(connection, CAMDEN)
        assert rows.list_keys(connection, HACKNEY) == []
    assert not kept.opens(NOON)
    assert told(database) == ["key_added", "key_revoked"]


def test_a_key_that_ended_is_renewed(database: Database) -> None:
    until, later = NOON + timedelta(days=1), NOON + timedelta(days=100)
    with database.write() as tx:
        assert rows.add_key(tx, replace(KEY, expires_at=until), by="person:ann")
        assert rows.add_key(tx, replace(KEY, expires_at=later, added_at=until), by="person:ann")
    with database.read() as connection:
        (kept,) = rows.list_keys(connection, CAMDEN)
    assert kept.opens(until)
    assert not kept.opens(later)
    assert told(database) == ["key_added", "key_renewed"]

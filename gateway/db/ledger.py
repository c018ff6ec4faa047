"""Reads the ledger's rows, and keeps the checkpoints that were signed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import NoResultFound

from gateway.db.core import Instant, Transaction, ledger_events, ledger_nodes, metadata
from gateway.domain.events import Event
from gateway.domain.merkle import ReadNode, root

ledger_checkpoints = sa.Table(
    "ledger_checkpoints",
    metadata,
    sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("made_at", Instant, nullable=False),
)

_PAGE = 10_000


def event_count(connection: Connection) -> int:
    """Return how many events there are."""
    newest = connection.execute(sa.select(sa.func.max(ledger_events.c.seq))).scalar_one_or_none()
    return 0 if newest is None else int(newest) + 1


def node_reader(connection: Connection) -> ReadNode:
    """Return a reader of kept nodes."""

    def read(level: int, position: int) -> bytes:
        found = connection.execute(
            sa.select(ledger_nodes.c.hash).where(ledger_nodes.c.level == level, ledger_nodes.c.position == position)
        ).scalar_one()
        return bytes(found)

    return read


def read_level(connection: Connection, level: int) -> Iterator[tuple[int, bytes]]:
    """Yield position and hash of every kept node of a level, in order, a page at a time."""
    start = 0
    while True:
        page = connection.execute(
            sa.select(ledger_nodes.c.position, ledger_nodes.c.hash)
            .where(ledger_nodes.c.level == level, ledger_nodes.c.position >= start)
            .order_by(ledger_nodes.c.position)
            .limit(_PAGE)
        ).all()
        for row in page:
            yield int(row.position), bytes(row.hash)
        if len(page) < _PAGE:
            return
        start = int(page[-1].position) + 1


def kept_root(connection: Connection) -> bytes:
    """Return the root that the kept nodes give for all events; nothing, which is no root, where a node is missing."""
    try:
        return root(event_count(connection), node_reader(connection))
    except NoResultFound:
        return b""


def iterate_events(connection: Connection, start: int = 0) -> Iterator[tuple[int, str, bytes]]:
    """Yield number, key and body of every event from ``start``, in order, a page at a time."""
    while True:
        page = connection.execute(
            sa.select(ledger_events.c.seq, ledger_events.c.key, ledger_events.c.body)
            .where(ledger_events.c.seq >= start)
            .order_by(ledger_events.c.seq)
            .limit(_PAGE)
        ).all()
        for row in page:
            yield int(row.seq), str(row.key), bytes(row.body)
        if len(page) < _PAGE:
            return
        start = int(page[-1].seq) + 1


def by_key(connection: Connection, key: str) -> tuple[int, bytes] | None:
    """Return number and body of the event with a natural key."""
    row = connection.execute(
        sa.select(ledger_events.c.seq, ledger_events.c.body).where(ledger_events.c.key == key)
    ).one_or_none()
    return (int(row.seq), bytes(row.body)) if row else None


def tail(connection: Connection, count: int, *, subject: str | None = None) -> list[tuple[int, Event]]:
    """Return the newest events, oldest of them first."""
    query = sa.select(ledger_events.c.seq, ledger_events.c.body).order_by(ledger_events.c.seq.desc()).limit(count)
    if subject is not None:
        query = query.where(ledger_events.c.subject == subject)
    rows = connection.execute(query).all()
    return [(int(row.seq), Event.from_canonical(bytes(row.body))) for row in reversed(rows)]


def keep_checkpoint(tx: Transaction, size: int, text: str, at: datetime) -> None:
    """Keep a signed checkpoint; the first one of a size stays."""
    there = tx.connection.execute(
        sa.select(ledger_checkpoints.c.size).where(ledger_checkpoints.c.size == size)
    ).scalar_one_or_none()
    if there is None:
        tx.connection.execute(ledger_checkpoints.insert().values(size=size, text=text, made_at=at))


def kept_checkpoints(connection: Connection) -> list[str]:
    """Return every signed checkpoint."""
    return list(connection.execute(sa.select(ledger_checkpoints.c.text).order_by(ledger_checkpoints.c.size)).scalars())

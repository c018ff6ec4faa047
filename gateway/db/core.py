"""One database, SQLite or PostgreSQL, and one transaction at a time that keeps a change and its event together.

* ``Database.write()`` begins a writing transaction (SQLite: ``BEGIN IMMEDIATE``, ``synchronous=FULL``), commits at
  the end, rolls back on any exception.
* ``Database.read()`` gives a connection for reading.
* ``Transaction.append`` adds a ledger event in the same transaction. An event whose key is there already is not
  added again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import ConnectionPoolEntry

from gateway.domain.events import Event
from gateway.domain.merkle import completed_nodes, leaf_hash
from gateway.errors import DatabaseUnavailableError

metadata = sa.MetaData()


class Instant(sa.types.TypeDecorator[datetime]):
    """An aware UTC datetime in every database (SQLite forgets time zones; this remembers)."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002 (SQLAlchemy calls it so)
        """Refuse a naive datetime, store UTC."""
        if value is not None and value.tzinfo is None:
            message = "an instant needs a time zone"
            raise ValueError(message)
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002 (SQLAlchemy calls it so)
        """Return UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


ledger_events = sa.Table(
    "ledger_events",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False, index=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

ledger_nodes = sa.Table(
    "ledger_nodes",
    metadata,
    sa.Column("level", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
)

_APPEND_LOCK = 0x6C6564676572
"""PostgreSQL advisory lock that keeps appends in one line ("ledger" in ASCII)."""


class Transaction:
    """A change under way. ``connection`` runs statements; ``append`` records what they mean."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def take_turns(self) -> None:
        """Wait until no other transaction appends; from here to the commit, what is read stays true.

        SQLite's writers take turns from their beginning.
        """
        if self.connection.dialect.name == "postgresql":
            self.connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _APPEND_LOCK})

    def append(self, event: Event) -> int:
        """Append an event and return its number; the number it has already where its key is on record."""
        return self.append_once(event)[0]

    def append_once(self, event: Event) -> tuple[int, bool]:
        """Append an event; return its number and whether this call added it."""
        self.take_turns()
        connection = self.connection
        there = connection.execute(
            sa.select(ledger_events.c.seq).where(ledger_events.c.key == event.key)
        ).scalar_one_or_none()
        if there is not None:
            return int(there), False
        size = connection.execute(sa.select(sa.func.max(ledger_events.c.seq))).scalar_one_or_none()
        seq = 0 if size is None else int(size) + 1
        body = event.canonical()
        connection.execute(
            ledger_events.insert().values(
                seq=seq, key=event.key, action=event.action, subject=event.subject, at=event.at, body=body
            )
        )
        nodes = list(completed_nodes(seq, leaf_hash(body), self.node))
        connection.execute(
            ledger_nodes.insert(), [{"level": lv, "position": at, "hash": hashed} for lv, at, hashed in nodes]
        )
        return seq, True

    def node(self, level: int, position: int) -> bytes:
        """Return a kept node of the ledger's tree."""
        found = self.connection.execute(
            sa.select(ledger_nodes.c.hash).where(ledger_nodes.c.level == level, ledger_nodes.c.position == position)
        ).scalar_one()
        return bytes(found)


class Database:
    """Opens connections lazily, so that a forked worker gets its own. Call ``forget_connections`` after a fork."""

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """Return the engine, made on first use."""
        if self._engine is None:
            self._engine = _make_engine(self.url)
        return self._engine

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Transaction]:
        """Begin a change; commit at the end, roll back on an exception.

        Args:
            durable: the commit waits for the disk. False is for bookkeeping that acknowledges nothing: killing the
                process loses none of it, a power cut may lose the last moments (never parts of a change).

        Raises:
            DatabaseUnavailableError: it is full, locked or away; nothing was changed.
        """
        with _in_words(), self.engine.connect() as connection:
            # SQLite sets this for a connection and outside of transactions, PostgreSQL within one.
            raw: Any = connection.connection.driver_connection
            relaxed = not durable and connection.dialect.name == "sqlite"
            if relaxed:
                raw.execute("PRAGMA synchronous=NORMAL")
            writing = connection.execution_options(gateway_writes=True)
            try:
                with writing.begin():
                    if not durable and connection.dialect.name == "postgresql":
                        writing.execute(sa.text("SET LOCAL synchronous_commit = off"))
                    yield Transaction(writing)
            finally:
                if relaxed:
                    raw.execute("PRAGMA synchronous=FULL")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection for reading.

        Raises:
            DatabaseUnavailableError: it is locked or away.
        """
        with _in_words(), self.engine.connect() as connection:
            yield connection

    def create_all(self) -> None:
        """Make every table that is missing (tests and rehearsals; a real installation migrates)."""
        metadata.create_all(self.engine)

    def forget_connections(self) -> None:
        """Drop pooled connections without closing them: for a child process after a fork."""
        if self._engine is not None:
            self._engine.dispose(close=False)
            self._engine = None

    def close(self) -> None:
        """Close every connection."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None


@contextmanager
def _in_words() -> Iterator[None]:
    """Turn the database's own failure, which quotes statements and values, into one of ours that quotes neither."""
    try:
        yield
    except sa.exc.OperationalError as error:
        reason = str(error.orig).partition("\n")[0][:120]  # its first line names no value
        raise DatabaseUnavailableError(
            f"The database cannot do that now: {reason}.",
            did="Nothing was changed.",
            remedy="Look at the free disk space, or at the database server. It is tried again by itself.",
            passing=True,
        ) from None


def _make_engine(url: sa.URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, hide_parameters=True, pool_pre_ping=True, pool_size=10, max_overflow=20)
    engine = sa.create_engine(
        url,
        hide_parameters=True,
        connect_args={"timeout": 30, "check_same_thread": False},
        pool_size=10,
        max_overflow=50,
    )

    @sa.event.listens_for(engine, "connect")
    def _settle(connection: Any, _entry: ConnectionPoolEntry) -> None:
        # pysqlite's own BEGIN is switched off: Database.write says BEGIN IMMEDIATE itself.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A writer takes its lock at once, so that two of them wait for each other instead of failing half-way.
        writes = connection.get_execution_options().get("gateway_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine

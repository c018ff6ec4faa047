"""What lies in each home: receipts, reports, notices and the outbox. The bytes are sealed, in storage.

An entry's place (owner, area, folder, name) is its natural key: the first one put there stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.db.core import Instant, Transaction, metadata
from gateway.domain.names import Owner

shelf_entries = sa.Table(
    "shelf_entries",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("area", sa.Text, nullable=False),
    sa.Column("folder", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("object_key", sa.Text, nullable=False),
    sa.Column("hidden", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("collected_at", Instant),
    sa.UniqueConstraint("owner", "area", "folder", "name", name="shelf_place"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ShelfRow:
    """One thing in a home."""

    id: str
    owner: Owner
    area: str
    folder: str
    name: str
    size_bytes: int
    at: datetime
    object_key: str
    hidden: bool
    collected_at: datetime | None


def place(tx: Transaction, row: ShelfRow) -> None:
    """Add an entry."""
    tx.connection.execute(
        shelf_entries.insert().values(
            id=row.id,
            owner=row.owner,
            area=row.area,
            folder=row.folder,
            name=row.name,
            size_bytes=row.size_bytes,
            at=row.at,
            object_key=row.object_key,
        )
    )


def at_place(connection: Connection, owner: Owner, area: str, folder: str, name: str) -> ShelfRow | None:
    """Return what lies at a place, hidden or not."""
    row = connection.execute(
        sa.select(shelf_entries).where(
            shelf_entries.c.owner == owner,
            shelf_entries.c.area == area,
            shelf_entries.c.folder == folder,
            shelf_entries.c.name == name,
        )
    ).one_or_none()
    return ShelfRow(**row._mapping) if row else None  # noqa: SLF001 (SQLAlchemy's public mapping)


def by_id(connection: Connection, entry: str) -> ShelfRow | None:
    """Return an entry by its id."""
    row = connection.execute(sa.select(shelf_entries).where(shelf_entries.c.id == entry)).one_or_none()
    return ShelfRow(**row._mapping) if row else None  # noqa: SLF001 (SQLAlchemy's public mapping)


def folders(connection: Connection, owner: Owner, area: str) -> list[str]:
    """Return the folders of an area that hold something; the empty name stands for the area itself."""
    return sorted(
        connection.execute(
            sa.select(shelf_entries.c.folder)
            .where(shelf_entries.c.owner == owner, shelf_entries.c.area == area, shelf_entries.c.hidden.is_(False))
            .distinct()
        ).scalars()
    )


def entries(connection: Connection, owner: Owner, area: str, folder: str) -> list[ShelfRow]:
    """Return what lies in a folder, by name."""
    rows = connection.execute(
        sa.select(shelf_entries)
        .where(
            shelf_entries.c.owner == owner,
            shelf_entries.c.area == area,
            shelf_entries.c.folder == folder,
            shelf_entries.c.hidden.is_(False),
        )
        .order_by(shelf_entries.c.name)
    ).all()
    return [ShelfRow(**row._mapping) for row in rows]  # noqa: SLF001 (SQLAlchemy's public mapping)


def hide(tx: Transaction, entry: str) -> None:
    """Take an entry out of sight; its bytes stay until retention says otherwise."""
    tx.connection.execute(shelf_entries.update().where(shelf_entries.c.id == entry).values(hidden=True))


def mark_collected(tx: Transaction, entry: str, at: datetime) -> bool:
    """Remember the first time an entry was read to its end.

    Returns:
        True the first time.
    """
    done = tx.connection.execute(
        shelf_entries.update()
        .where(shelf_entries.c.id == entry, shelf_entries.c.collected_at.is_(None))
        .values(collected_at=at)
    )
    return bool(done.rowcount)

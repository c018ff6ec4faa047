"""What each owner finds in their home: receipts, reports, notices, the outbox. Sealed bytes in, opened bytes out.

* Everything put on a shelf is sealed before it touches a disk: reports hold what a child's record says.
* A place is taken once: putting something there again changes nothing.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import BinaryIO

import uuid_utils

from gateway.clock import Clock
from gateway.db import shelf as rows
from gateway.db.core import Database
from gateway.domain.events import Event
from gateway.domain.names import Owner
from gateway.errors import NotFoundError
from gateway.sealing.container import open_sealed, seal_bytes
from gateway.sealing.keys import Keyring
from gateway.storage.port import Storage


class Area(StrEnum):
    """The parts of a home that the gateway fills."""

    RECEIPTS = "receipts"
    REPORTS = "reports"
    NOTICES = "notices"
    OUTBOX = "outbox"


@dataclass(frozen=True, kw_only=True, slots=True)
class ShelfEntry:
    """One thing lying in a home, as a listing shows it."""

    name: str
    size_bytes: int
    at: datetime
    id: str


class Shelf:
    """Puts things into homes and reads them back."""

    def __init__(
        self,
        database: Database,
        storage: Storage,
        keyring: Keyring,
        clock: Clock,
        *,
        on_collected: Callable[[Owner, str, str], None],
    ) -> None:
        self._database = database
        self._storage = storage
        self._keyring = keyring
        self._clock = clock
        self._on_collected = on_collected

    def put(self, owner: Owner, area: str, folder: str, name: str, content: bytes) -> str:
        """Seal and place something; return its id, also where the place was taken before.

        Raises:
            StorageError: storage does not answer.
        """
        with self._database.read() as connection:
            there = rows.at_place(connection, owner, area, folder, name)
        if there is not None:
            return there.id
        entry = str(uuid_utils.uuid7())
        kind, _, code = owner.partition(":")
        key = f"homes/{kind}/{code}/{area}/{entry}"
        sealed = seal_bytes(content, recipients=[self._keyring.public("home")], context=key.encode())
        self._storage.put(key, io.BytesIO(sealed), size=len(sealed), sha256=sha256(sealed).hexdigest())
        row = rows.ShelfRow(
            id=entry,
            owner=owner,
            area=area,
            folder=folder,
            name=name,
            size_bytes=len(content),
            at=self._clock.now(),
            object_key=key,
            hidden=False,
            collected_at=None,
        )
        with self._database.write() as tx:
            there = rows.at_place(tx.connection, owner, area, folder, name)
            if there is not None:
                return there.id
            rows.place(tx, row)
        return entry

    def put_all(self, owner: Owner, area: str, folder: str, contents: Mapping[str, bytes]) -> None:
        """Place several things side by side."""
        for name, content in contents.items():
            self.put(owner, area, folder, name, content)

    def folders(self, owner: Owner, area: str) -> list[str]:
        """Return the folders of an area that hold something."""
        with self._database.read() as connection:
            return [name for name in rows.folders(connection, owner, area) if name]

    def entries(self, owner: Owner, area: str, folder: str) -> list[ShelfEntry]:
        """Return what lies in a folder."""
        with self._database.read() as connection:
            found = rows.entries(connection, owner, area, folder)
        return [ShelfEntry(name=one.name, size_bytes=one.size_bytes, at=one.at, id=one.id) for one in found]

    def open(self, entry: str) -> BinaryIO:
        """Open an entry for reading; the stream can seek.

        Raises:
            NotFoundError: there is no such entry.
        """
        with self._database.read() as connection:
            row = rows.by_id(connection, entry)
        if row is None:
            raise NotFoundError(f"There is no entry {entry}.", remedy="List the folder again.")
        return open_sealed(self._storage.get(row.object_key), keys=[self._keyring.private("home")])

    def read(self, owner: Owner, area: str, folder: str, name: str) -> bytes | None:
        """Return the bytes at a place, or None where nothing is there."""
        with self._database.read() as connection:
            row = rows.at_place(connection, owner, area, folder, name)
        if row is None:
            return None
        with self.open(row.id) as stream:
            return stream.read()

    def collected(self, entry: str) -> None:
        """Say that the owner read something of their outbox to its end. The first time is an event."""
        at = self._clock.now()
        with self._database.write() as tx:
            row = rows.by_id(tx.connection, entry)
            if row is None or row.area != Area.OUTBOX or not rows.mark_collected(tx, entry, at):
                return
            tx.append(
                Event(action="collected", subject=f"outbox:{entry}", at=at, actor=row.owner, facts={"name": row.name})
            )
        self._on_collected(row.owner, row.folder, row.name)

    def recall(self, owner: Owner, area: str, folder: str, name: str) -> bool:
        """Take something back that nobody collected yet.

        Returns:
            True where it was there and not yet collected.
        """
        with self._database.write() as tx:
            row = rows.at_place(tx.connection, owner, area, folder, name)
            if row is None or row.collected_at is not None:
                return False
            rows.hide(tx, row.id)
            return True

"""What the SFTP front needs of others, each as a small promise that ``gateway.desk`` keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import BinaryIO, Protocol

from gateway.db.core import Transaction
from gateway.domain.names import Owner
from gateway.domain.submission import Drop


class Reception(Protocol):
    """Takes drops."""

    def receive(self, drop: Drop, *, also: Callable[[Transaction], None] | None = None) -> object:
        """Commit one drop. Only after it returns may the client be told that its file is in.

        Args:
            drop: a file that lies whole and synced in the spool.
            also: what changes in the same transaction.

        Raises:
            GatewayError: it could not be committed; the client is told, and may send again.
        """


class Entry(Protocol):
    """One thing lying in a home."""

    @property
    def name(self) -> str:
        """Return its name."""

    @property
    def size_bytes(self) -> int:
        """Return its length."""

    @property
    def at(self) -> datetime:
        """Return when it was put there."""

    @property
    def id(self) -> str:
        """Return what it is opened by."""


class Shelf(Protocol):
    """What the gateway put into homes."""

    def folders(self, owner: Owner, area: str) -> Sequence[str]:
        """Return the folders of an area that hold something."""

    def entries(self, owner: Owner, area: str, folder: str) -> Sequence[Entry]:
        """Return what lies in a folder; the empty name is the area itself."""

    def open(self, entry: str) -> BinaryIO:
        """Open an entry for reading."""

    def collected(self, entry: str) -> None:
        """Say that its owner has read an entry to the end."""


class Pages(Protocol):
    """Texts that are made when they are read."""

    def render(self, owner: Owner, name: str) -> bytes | None:
        """Return ``README.txt`` or ``DEADLINES.txt`` for an owner; None where it has none of this name."""


class Folders(Protocol):
    """Which folders an inbox shows."""

    def inbox(self, owner: Owner) -> Sequence[str]:
        """Return the collections that may be dropped."""

    def is_period(self, collection: str, name: str) -> bool:
        """Say whether a name is a period of a collection."""

    def in_work_bytes(self, owner: Owner) -> int:
        """Return the bytes received and not finished, for the quota."""

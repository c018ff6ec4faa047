"""What every storage promises. ``tests/storage/test_contract.py`` holds each of them to it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol

from gateway.errors import AlreadyExistsError, NotFoundError, StorageError

BLOCK_BYTES = 1024 * 1024
MAX_KEY_BYTES = 900
"""S3 allows 1024; the rest is for the bucket's prefix."""
_MAX_PART_BYTES = 255
_PART = re.compile(r"^[^./\\\0][^/\\\0]*$")


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredObject:
    """One object that is there."""

    key: str
    size_bytes: int
    stored_at: datetime


class Storage(Protocol):
    """Keeps sealed objects."""

    def put(self, key: str, source: BinaryIO, *, size: int, sha256: str) -> None:
        """Create an object; return once it is durable. The same bytes under the same key again change nothing.

        Args:
            key: where, for example ``returns/ssda903/2026-27/camden/1-0198.../episodes.csv.sealed``.
            source: read to its end.
            size: how many bytes it must give.
            sha256: their digest, 64 hexadecimal digits.

        Raises:
            AlreadyExistsError: other bytes are there; they stay.
            StorageError: storage failed, or ``source`` gave other bytes than announced. Nothing was created.
        """

    def get(self, key: str) -> BinaryIO:
        """Open an object for reading; the stream can seek. Close it.

        Raises:
            NotFoundError: there is none of this key.
            StorageError: storage failed, here or on a later read.
        """

    def head(self, key: str) -> StoredObject | None:
        """Return what is known of an object without reading it, or None where there is none.

        Raises:
            StorageError: storage failed.
        """

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects whose keys begin with ``prefix``, in no promised order.

        Raises:
            StorageError: storage failed.
        """

    def delete(self, key: str) -> None:
        """Remove an object for good, with all its versions. One that is not there changes nothing.

        Raises:
            StorageError: storage failed, or holds it locked.
        """


def check_key(key: str) -> str:
    """Return the key.

    Raises:
        ValueError: it is not one; a key is made by the gateway, never by a sender, so this is our own mistake.
    """
    parts = key.split("/")
    if len(key.encode()) > MAX_KEY_BYTES or not all(
        _PART.match(part) and len(part.encode()) <= _MAX_PART_BYTES for part in parts
    ):
        message = f"not a storage key: {key[:100]!r}"
        raise ValueError(message)
    return key


class Measured:
    """Reads a source and finds out whether it is what was announced."""

    def __init__(self, source: BinaryIO, *, key: str, size: int, sha256: str) -> None:
        self._source = source
        self._key = key
        self._size = size
        self._sha256 = sha256
        self._hash = hashlib.sha256()
        self._count = 0

    def read(self, size: int) -> bytes:
        """Return exactly ``size`` bytes, fewer only at the end."""
        parts: list[bytes] = []
        wanted = size
        while wanted and (block := self._source.read(min(wanted, BLOCK_BYTES))):
            parts.append(block)
            wanted -= len(block)
        block = b"".join(parts)
        self._hash.update(block)
        self._count += len(block)
        return block

    def check(self) -> None:
        """Say whether all of it came.

        Raises:
            StorageError: it was other bytes than announced.
        """
        if self._count != self._size or self._hash.hexdigest() != self._sha256:
            raise StorageError(
                f"The bytes for {self._key} are not the ones announced: {self._count} of {self._size} bytes came.",
                did="Nothing was created.",
                remedy="Look at the disk the sealed bytes waited on; then release the submission to seal it again.",
            )


def already_there(key: str) -> AlreadyExistsError:
    """Return the failure of a second, different object under one key."""
    return AlreadyExistsError(
        f"Storage holds other bytes under {key}.",
        did="They were left as they are.",
        remedy="Compare the ledger with storage (`gateway ledger show`): an object is never replaced.",
    )


def not_there(key: str) -> NotFoundError:
    """Return the failure of a missing object."""
    return NotFoundError(
        f"Storage has no object {key}.",
        remedy="Check that storage is the one the gateway wrote to (`gateway doctor`); restore it from its backup.",
    )

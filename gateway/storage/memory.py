"""Storage in memory, gone with the process: for rehearsals and tests."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import BinaryIO

from gateway.storage.port import Measured, StoredObject, already_there, check_key, not_there


class MemoryStorage:
    """Keeps objects in a dictionary."""

    def __init__(self) -> None:
        self._objects: dict[str, tuple[bytes, datetime]] = {}
        self._lock = threading.Lock()

    def put(self, key: str, source: BinaryIO, *, size: int, sha256: str) -> None:
        """Create an object; see ``Storage.put``."""
        check_key(key)
        measured = Measured(source, key=key, size=size, sha256=sha256)
        # One byte more than announced, so that a source that is too long is noticed.
        content = measured.read(size + 1)
        measured.check()
        with self._lock:
            there = self._objects.setdefault(key, (content, datetime.now(UTC)))
        if there[0] != content:
            raise already_there(key)

    def get(self, key: str) -> BinaryIO:
        """Open an object; see ``Storage.get``."""
        there = self._objects.get(check_key(key))
        if there is None:
            raise not_there(key)
        return io.BytesIO(there[0])

    def head(self, key: str) -> StoredObject | None:
        """Look at an object; see ``Storage.head``."""
        there = self._objects.get(check_key(key))
        return None if there is None else StoredObject(key=key, size_bytes=len(there[0]), stored_at=there[1])

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield objects; see ``Storage.list``."""
        with self._lock:
            found = {key: there for key, there in self._objects.items() if key.startswith(prefix)}
        for key, (content, at) in found.items():
            yield StoredObject(key=key, size_bytes=len(content), stored_at=at)

    def delete(self, key: str) -> None:
        """Remove an object; see ``Storage.delete``."""
        with self._lock:
            self._objects.pop(check_key(key), None)

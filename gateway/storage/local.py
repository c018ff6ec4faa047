"""Storage in a folder of this machine.

* Written beside its place under another name, synced, then linked to its place: whole or absent, never replaced.
* The folder and every new folder in it are synced as well, so that a power cut forgets nothing.
* Folders have mode 0700, files 0600. Symbolic links are not followed to an object.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

from gateway.errors import StorageError
from gateway.storage.port import BLOCK_BYTES, Measured, StoredObject, already_there, check_key, not_there

_PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ESTALE})
_TEMPORARY = ".new-"


class LocalStorage:
    """Keeps objects in a folder.

    Args:
        root: the folder; made where it is missing.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, key: str, source: BinaryIO, *, size: int, sha256: str) -> None:
        """Create an object; see ``Storage.put``."""
        place = self._place(key)
        measured = Measured(source, key=key, size=size, sha256=sha256)
        with _said(key):
            self._make_folders(place.parent)
            handle, name = tempfile.mkstemp(dir=place.parent, prefix=_TEMPORARY)
            try:
                with os.fdopen(handle, "wb", buffering=0) as file:
                    while block := measured.read(BLOCK_BYTES):
                        _write_all(file.fileno(), block)
                    measured.check()
                    os.fdatasync(file.fileno())
                # link, not rename: it fails where something is there already.
                os.link(name, place)
            except FileExistsError:
                if self._digest(place) != sha256:
                    raise already_there(key) from None
            finally:
                with suppress(FileNotFoundError):
                    Path(name).unlink()
            _sync(place.parent)

    def get(self, key: str) -> BinaryIO:
        """Open an object; see ``Storage.get``."""
        place = self._place(key)
        with _said(key):
            try:
                return os.fdopen(_open(place), "rb")
            except (FileNotFoundError, NotADirectoryError):
                raise not_there(key) from None

    def head(self, key: str) -> StoredObject | None:
        """Look at an object; see ``Storage.head``."""
        place = self._place(key)
        with _said(key):
            try:
                found = place.lstat()
            except (FileNotFoundError, NotADirectoryError):
                return None
        return _stored(key, found) if S_ISREG(found.st_mode) else None

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield objects; see ``Storage.list``."""
        folder = prefix.rpartition("/")[0]
        start = self._place(folder) if folder else self._root
        with _said(prefix):
            for directory, _folders, names in os.walk(start, onerror=_raise_unless_missing):
                for name in names:
                    path = Path(directory, name)
                    key = path.relative_to(self._root).as_posix()
                    if name.startswith(_TEMPORARY) or not key.startswith(prefix):
                        continue
                    with suppress(FileNotFoundError):
                        found = path.lstat()
                        if S_ISREG(found.st_mode):
                            yield _stored(key, found)

    def delete(self, key: str) -> None:
        """Remove an object; see ``Storage.delete``."""
        place = self._place(key)
        with _said(key):
            try:
                place.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return
            _sync(place.parent)

    def _place(self, key: str) -> Path:
        return self._root.joinpath(*check_key(key).split("/"))

    def _make_folders(self, folder: Path) -> None:
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        for one in reversed(missing):
            with suppress(FileExistsError):
                one.mkdir(mode=0o700)
            _sync(one.parent)

    def _digest(self, place: Path) -> str:
        with os.fdopen(_open(place), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def _open(place: Path) -> int:
    return os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _stored(key: str, found: os.stat_result) -> StoredObject:
    return StoredObject(key=key, size_bytes=found.st_size, stored_at=datetime.fromtimestamp(found.st_mtime, UTC))


def _write_all(handle: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(handle, view) :]


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


@contextmanager
def _said(key: str) -> Iterator[None]:
    """Turn the operating system's trouble into words."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "Make room on the disk." if full else "Look at the disk and at who owns the storage folder."
        raise StorageError(
            f"The storage folder failed on {key}: {error.strerror or type(error).__name__}.",
            did="Nothing was created.",
            remedy=remedy,
            passing=error.errno in _PASSING,
        ) from error

"""The spool: what is being received, encrypted from the first byte. Written in any order, resumed after a cut.

* A file is a header and slots of 64 KiB of content: nonce, ciphertext, tag (AES-256-GCM). A slot that is written again
  gets a fresh nonce. The file's key is derived from the spool key and the file's own random salt.
* A slot's associated data binds it to its file and its place, so that slots cannot be swapped or moved.
* A small authenticated sidecar keeps the length and, once finished, the digest; a finished file that was cut short or
  whose sidecar is gone does not open.
* Only ``finish`` makes a file count: it returns after file and folder are synced.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import threading
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.domain.names import Digest, FileId
from gateway.errors import NotFoundError, SpoolFullError, TamperedError

SLOT_BYTES = 64 * 1024
_NONCE_BYTES = 12
_TAG_BYTES = 16
_SEALED_SLOT_BYTES = _NONCE_BYTES + SLOT_BYTES + _TAG_BYTES
_SALT_BYTES = 16
_MAGIC = b"LCGSPOOL"
_HEADER_BYTES = len(_MAGIC) + _SALT_BYTES
_ROOM_LOOK_BYTES = 4 * 1024 * 1024
"""Free room is looked at again after so many bytes."""


class _Slots:
    """Reads and writes the slots of one open file."""

    def __init__(self, handle: int, key: bytes, salt: bytes) -> None:
        self.handle = handle
        self._salt = salt
        derived = HKDF(SHA256(), 32, salt=salt, info=b"gateway spool file 1").derive(key)
        self._cipher = AESGCM(derived)

    def read(self, number: int) -> bytearray:
        """Return a slot's content."""
        sealed = os.pread(self.handle, _SEALED_SLOT_BYTES, self._place(number))
        try:
            return bytearray(self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self._bound(number)))
        except (InvalidTag, ValueError) as error:
            raise TamperedError(
                "A file in the spool was altered.", remedy="Ask the authority to send it again."
            ) from error

    def write(self, number: int, content: bytes | bytearray | memoryview) -> None:
        """Write a slot."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, bytes(content), self._bound(number))
        os.pwritev(self.handle, [nonce, sealed], self._place(number))

    def seal_note(self, text: bytes) -> bytes:
        """Return the sidecar's bytes."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text, self._salt + b"note")

    def open_note(self, sealed: bytes) -> bytes:
        """Return the sidecar's text."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self._salt + b"note")
        except InvalidTag as error:
            raise TamperedError(
                "A file in the spool was altered.", remedy="Ask the authority to send it again."
            ) from error

    def _bound(self, number: int) -> bytes:
        return self._salt + number.to_bytes(8, "big")

    @staticmethod
    def _place(number: int) -> int:
        return _HEADER_BYTES + number * _SEALED_SLOT_BYTES


class Spool:
    """The files being received, below one directory.

    Args:
        directory: made with mode 0700.
        key: 32 bytes.
        reserve_bytes: room on the disk that is left for others; below it nothing more is received.
    """

    def __init__(self, directory: Path, key: bytes, *, reserve_bytes: int) -> None:
        self._directory = directory
        self._key = key
        self._reserve = reserve_bytes
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def create(self, file: FileId) -> SpoolWriter:
        """Begin a file.

        Raises:
            SpoolFullError: there is no room.
        """
        self.check_room()
        salt = os.urandom(_SALT_BYTES)
        try:
            handle = os.open(self._path(file), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            os.pwrite(handle, _MAGIC + salt, 0)
        except OSError as error:
            raise full_or_broken(error) from error
        return SpoolWriter(self, file, _Slots(handle, self._key, salt), 0)

    def resume(self, file: FileId) -> SpoolWriter:
        """Go on with a file that was cut off, or write more into a closed one that was not taken yet.

        Raises:
            NotFoundError: there is no such file.
        """
        handle, slots = self._open(file, os.O_RDWR)
        size, _ = self._note(file, slots)
        return SpoolWriter(self, file, slots, size if size is not None else self._proved(handle, slots))

    def open(self, file: FileId) -> BinaryIO:
        """Open a file for reading; the stream can seek.

        Raises:
            NotFoundError: there is no such file.
            TamperedError: it was altered or cut short; also raised later, by a read.
        """
        handle, slots = self._open(file, os.O_RDONLY)
        size, finished = self._note(file, slots)
        if size is None:
            size = self._proved(handle, slots)
        elif finished and self._proved(handle, slots) != size:
            os.close(handle)
            raise TamperedError("A file in the spool was cut short.", remedy="Ask the authority to send it again.")
        return io.BufferedReader(_Reader(slots, size), SLOT_BYTES)

    def size(self, file: FileId) -> int:
        """Return the length of a file's content."""
        handle, slots = self._open(file, os.O_RDONLY)
        try:
            size, _ = self._note(file, slots)
            return size if size is not None else self._proved(handle, slots)
        finally:
            os.close(handle)

    def discard(self, file: FileId) -> None:
        """Remove a file. One that is not there changes nothing."""
        self._path(file).unlink(missing_ok=True)
        self._note_path(file).unlink(missing_ok=True)

    def files(self) -> list[FileId]:
        """Return every file that is there."""
        return [FileId(path.name) for path in sorted(self._directory.iterdir()) if not path.suffix]

    def check_room(self) -> None:
        """Make sure there is room for more.

        Raises:
            SpoolFullError: there is not.
        """
        free = shutil.disk_usage(self._directory).free
        if free < self._reserve:
            raise SpoolFullError(
                "There is no room to receive more.",
                did="Nothing of this file counts as received.",
                remedy="Free disk space below the data directory, or lower sftp.reserve_bytes.",
                passing=True,
            )

    def write_note(self, file: FileId, slots: _Slots, size: int, digest: str | None) -> None:
        """Keep a file's length, durably together with the file itself."""
        path = self._note_path(file)
        fresh = path.with_suffix(".new")
        text = json.dumps({"size": size, "sha256": digest}).encode()
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(handle, slots.seal_note(text))
            os.fdatasync(handle)
        finally:
            os.close(handle)
        fresh.replace(path)

    def sync_folder(self) -> None:
        """Make names durable."""
        handle = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def _open(self, file: FileId, flags: int) -> tuple[int, _Slots]:
        try:
            handle = os.open(self._path(file), flags)
        except FileNotFoundError as error:
            raise NotFoundError(
                f"File {file} is not in the spool.", remedy="It may be stored and discarded already."
            ) from error
        head = os.pread(handle, _HEADER_BYTES, 0)
        if len(head) != _HEADER_BYTES or not head.startswith(_MAGIC):
            os.close(handle)
            raise TamperedError("A file in the spool is none of ours.", remedy="Look who writes into the spool.")
        return handle, _Slots(handle, self._key, head[len(_MAGIC) :])

    def _note(self, file: FileId, slots: _Slots) -> tuple[int | None, bool]:
        try:
            note = json.loads(slots.open_note(self._note_path(file).read_bytes()))
        except FileNotFoundError:
            return None, False
        return int(note["size"]), note["sha256"] is not None

    @staticmethod
    def _proved(handle: int, slots: _Slots) -> int:
        """Return the length that the slots themselves show: after a kill, or to compare with the sidecar."""
        body = os.fstat(handle).st_size - _HEADER_BYTES
        if body <= 0:
            return 0
        last = (body - 1) // _SEALED_SLOT_BYTES
        try:
            return last * SLOT_BYTES + len(slots.read(last))
        except TamperedError:
            return last * SLOT_BYTES

    def _path(self, file: FileId) -> Path:
        if not file or not all(letter.isalnum() or letter == "-" for letter in file):
            message = "not a file's id"
            raise ValueError(message)
        return self._directory / file

    def _note_path(self, file: FileId) -> Path:
        return self._path(file).with_suffix(".note")


class SpoolWriter:
    """Writes one file, in any order; safe to use from several threads."""

    def __init__(self, spool: Spool, file: FileId, slots: _Slots, size: int) -> None:
        self._spool = spool
        self._file = file
        self._slots = slots
        self._size = size
        self._lock = threading.Lock()
        self._number = -1
        self._slot = bytearray()
        self._dirty = False
        self._hash = sha256()
        self._hashed = 0 if size == 0 else -1
        self._since_look = 0
        self._closed = False

    @property
    def size(self) -> int:
        """Return the length so far."""
        return self._size

    def write_at(self, offset: int, data: bytes) -> None:
        """Write bytes at a place; what lies between is zeros.

        Raises:
            SpoolFullError: there is no room; what was written before stays and can be resumed.
        """
        with self._lock:
            self._look_for_room(len(data))
            if offset == self._hashed:
                self._hash.update(data)
                self._hashed += len(data)
            elif data:
                self._hashed = -1
            try:
                self._grow(offset)
                self._put(offset, memoryview(data))
            except OSError as error:
                raise full_or_broken(error) from error

    def truncate(self, size: int) -> None:
        """Cut the file off, or lengthen it with zeros."""
        with self._lock:
            if size == self._size:
                return
            self._hashed = 0 if size == 0 else -1
            self._hash = sha256()
            if size < self._size:
                number, inside = divmod(size, SLOT_BYTES)
                if inside:
                    self._turn_to(number)
                    del self._slot[inside:]
                    self._dirty = True
                    self._store()
                self._number, self._slot, self._dirty = -1, bytearray(), False
                keep = number if inside == 0 else number + 1
                end = _HEADER_BYTES + keep * _SEALED_SLOT_BYTES
                if inside:
                    end = _HEADER_BYTES + number * _SEALED_SLOT_BYTES + _NONCE_BYTES + inside + _TAG_BYTES
                os.ftruncate(self._slots.handle, end)
                self._size = size
                return
            try:
                self._grow(size)
            except OSError as error:
                raise full_or_broken(error) from error

    def flush(self) -> None:
        """Write what is held in memory and remember the length."""
        with self._lock:
            try:
                self._store()
                self._spool.write_note(self._file, self._slots, self._size, None)
            except OSError as error:
                raise full_or_broken(error) from error

    def finish(self) -> tuple[Digest, int]:
        """Make the file durable and return its SHA-256 and length.

        Raises:
            SpoolFullError: there is no room; it can be resumed.
        """
        with self._lock:
            try:
                self._store()
                digest = self._hash.hexdigest() if self._hashed == self._size else self._digest()
                os.fdatasync(self._slots.handle)
                self._spool.write_note(self._file, self._slots, self._size, digest)
                self._spool.sync_folder()
            except OSError as error:
                raise full_or_broken(error) from error
            self._close()
            return Digest(digest), self._size

    def suspend(self) -> None:
        """Keep what came, to be resumed: the connection was cut."""
        try:
            self.flush()
        finally:
            self._close()

    def abandon(self) -> None:
        """Throw the file away."""
        self._close()
        self._spool.discard(self._file)

    def _digest(self) -> str:
        hashed = sha256()
        for number in range(-(-self._size // SLOT_BYTES)):
            length = min(SLOT_BYTES, self._size - number * SLOT_BYTES)
            hashed.update(memoryview(self._slots.read(number))[:length])
        return hashed.hexdigest()

    def _put(self, offset: int, view: memoryview) -> None:
        """Write without a hole: ``offset`` is at most the length so far."""
        while view:
            number, inside = divmod(offset, SLOT_BYTES)
            part = view[: SLOT_BYTES - inside]
            self._turn_to(number)
            self._slot[inside : inside + len(part)] = part
            self._dirty = True
            offset += len(part)
            view = view[len(part) :]
            self._size = max(self._size, offset)

    def _grow(self, size: int) -> None:
        """Fill up with zeros: every slot before the last is whole, so that none can be emptied unnoticed."""
        while self._size < size:
            self._put(self._size, memoryview(bytes(min(SLOT_BYTES, size - self._size))))

    def _turn_to(self, number: int) -> None:
        if number != self._number:
            self._store()
            exists = number * SLOT_BYTES < self._size
            self._slot = self._slots.read(number) if exists else bytearray()
            self._number = number

    def _store(self) -> None:
        if self._dirty:
            self._slots.write(self._number, self._slot)
            self._dirty = False

    def _look_for_room(self, more: int) -> None:
        self._since_look += more
        if self._since_look >= _ROOM_LOOK_BYTES:
            self._since_look = 0
            self._spool.check_room()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            os.close(self._slots.handle)


class _Reader(io.RawIOBase):
    """Reads a file of the spool, slot by slot."""

    def __init__(self, slots: _Slots, size: int) -> None:
        super().__init__()
        self._slots = slots
        self._size = size
        self._at = 0
        self._held: tuple[int, bytes] = (-1, b"")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._at = max(0, {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence] + offset)
        return self._at

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        if self._at >= self._size:
            return 0
        number, inside = divmod(self._at, SLOT_BYTES)
        if self._held[0] != number:
            length = min(SLOT_BYTES, self._size - number * SLOT_BYTES)
            self._held = number, bytes(self._slots.read(number)[:length])
        part = self._held[1][inside : inside + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def close(self) -> None:
        if not self.closed:
            os.close(self._slots.handle)
        super().close()


def full_or_broken(error: OSError) -> SpoolFullError:
    """Return a disk's failure in words."""
    return SpoolFullError(
        f"The spool cannot be written: {error.strerror}.",
        did="Nothing of this file counts as received.",
        remedy="Free disk space below the data directory.",
        passing=True,
    )

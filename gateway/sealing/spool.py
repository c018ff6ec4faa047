"""The spool: what is being received, encrypted from the first byte. Written in any order, resumed after a cut.

* A file is a header and slots of 64 KiB of content: nonce, ciphertext, tag (AES-256-GCM). A slot that is written again
  gets a fresh nonce. The file's key is derived from the spool key, the file's own random salt and its id, so that two
  files cannot change names.
* A slot's associated data binds it to its file and its place, so that slots cannot be swapped or moved.
* A small authenticated sidecar keeps a finished file's length and digest; a finished file that was cut short or whose
  sidecar is gone does not open. An unfinished file has none: how long it is, its slots themselves show.
* Only ``finish`` makes a file count: it returns after file and folder are synced.
* One writer at a time: who resumes a file takes it over, and the writer before may write no more.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import threading
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO
from weakref import WeakValueDictionary

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.domain.names import Digest, FileId
from gateway.errors import NotFoundError, OvertakenError, SpoolFullError, TamperedError

SLOT_BYTES = 64 * 1024
_NONCE_BYTES = 12
_TAG_BYTES = 16
_SEALED_SLOT_BYTES = _NONCE_BYTES + SLOT_BYTES + _TAG_BYTES
_SALT_BYTES = 16
_MAGIC = b"LCGSPOOL"
_HEADER_BYTES = len(_MAGIC) + _SALT_BYTES
_ROOM_LOOK_BYTES = 4 * 1024 * 1024
"""Free room is looked at again after so many bytes."""
_SIZES_KEPT = 4096
_ZEROS = bytes(SLOT_BYTES)


class _Slots:
    """Reads and writes the slots of one open file."""

    def __init__(self, handle: int, key: bytes, salt: bytes, file: FileId) -> None:
        self.handle = handle
        self._salt = salt
        derived = HKDF(SHA256(), 32, salt=salt, info=b"gateway spool file 2 " + file.encode()).derive(key)
        self._cipher = AESGCM(derived)

    def read(self, number: int, length: int | None = None) -> bytearray:
        """Return a slot's content.

        Args:
            number: which slot.
            length: how much there must be; None takes what is there.

        Raises:
            TamperedError: it does not open, or holds more or less.
        """
        sealed = os.pread(self.handle, _SEALED_SLOT_BYTES, self.place(number))
        try:
            content = bytearray(self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self._bound(number)))
        except (InvalidTag, ValueError) as error:
            raise _altered() from error
        if length is not None and len(content) != length:
            raise _altered()
        return content

    def write(self, number: int, content: bytes | bytearray | memoryview) -> None:
        """Write a slot, all of it or an error: a disk that fills up takes a part without complaint."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, content, self._bound(number))
        write_all(self.handle, [nonce, sealed], self.place(number))

    def seal_note(self, text: bytes) -> bytes:
        """Return the sidecar's bytes."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text, self._salt + b"note")

    def open_note(self, sealed: bytes) -> bytes:
        """Return the sidecar's text."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self._salt + b"note")
        except (InvalidTag, ValueError) as error:
            raise _altered() from error

    def _bound(self, number: int) -> bytes:
        return self._salt + number.to_bytes(8, "big")

    @staticmethod
    def place(number: int) -> int:
        """Return where a slot begins on disk."""
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
        self._guard = threading.Lock()
        self._writers: WeakValueDictionary[FileId, SpoolWriter] = WeakValueDictionary()
        self._sizes: dict[FileId, tuple[int, int, int]] = {}
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
        except OSError as error:
            raise full_or_broken(error) from error
        try:
            write_all(handle, [_MAGIC + salt], 0)
        except OSError as error:
            os.close(handle)
            self.discard(file)
            raise full_or_broken(error) from error
        writer = SpoolWriter(self, file, _Slots(handle, self._key, salt, file), 0)
        with self._guard:
            self._writers[file] = writer
        return writer

    def resume(self, file: FileId) -> SpoolWriter:
        """Go on with a file that was cut off, or write more into a finished one that was not taken yet.

        Whoever is still writing it is overtaken: what it wrote is kept, and it may write no more.

        Raises:
            NotFoundError: there is no such file.
        """
        while True:
            with self._guard:
                earlier = self._writers.get(file)
            if earlier is not None:
                earlier.overtake()
            handle, slots = self._open(file, os.O_RDWR)
            size = self._proved(handle, slots)
            writer = SpoolWriter(self, file, slots, size)
            with self._guard:
                if self._writers.get(file) is earlier:
                    self._writers[file] = writer
                    return writer
            writer.drop()

    def open(self, file: FileId) -> BinaryIO:
        """Open a finished file for reading; the stream can seek.

        Raises:
            NotFoundError: there is no such file.
            TamperedError: it was altered or cut short, or never finished; also raised later, by a read.
        """
        handle, slots = self._open(file, os.O_RDONLY)
        try:
            _, size = self._whole(file, handle, slots)
        except BaseException:
            os.close(handle)
            raise
        return io.BufferedReader(_Reader(slots, size), SLOT_BYTES)

    def open_part(self, file: FileId) -> BinaryIO:
        """Open what there is of a file that is still on its way.

        Raises:
            NotFoundError: there is no such file.
        """
        handle, slots = self._open(file, os.O_RDONLY)
        return io.BufferedReader(_Reader(slots, self._proved(handle, slots)), SLOT_BYTES)

    def finished(self, file: FileId) -> tuple[Digest, int] | None:
        """Return digest and length of a file that was finished; None for one that is still on its way.

        Raises:
            NotFoundError: there is no such file.
            TamperedError: it was altered or cut short.
        """
        handle, slots = self._open(file, os.O_RDONLY)
        try:
            return self._whole(file, handle, slots) if self._note_path(file).exists() else None
        finally:
            os.close(handle)

    def size(self, file: FileId) -> int:
        """Return the length of a file's content: exactly where ``resume`` would go on.

        Raises:
            NotFoundError: there is no such file.
        """
        with self._guard:
            writer = self._writers.get(file)
            known = self._sizes.get(file)
        if writer is not None and not writer.closed:
            return writer.size
        try:
            there = self._path(file).stat()
        except FileNotFoundError as error:
            raise _not_here(file) from error
        if known is not None and known[:2] == (there.st_size, there.st_mtime_ns):
            return known[2]
        handle, slots = self._open(file, os.O_RDONLY)
        try:
            size = self._proved(handle, slots)
        finally:
            os.close(handle)
        with self._guard:
            if len(self._sizes) >= _SIZES_KEPT:
                self._sizes.clear()
            self._sizes[file] = there.st_size, there.st_mtime_ns, size
        return size

    def writer(self, file: FileId) -> SpoolWriter | None:
        """Return who is writing a file now, if somebody is."""
        with self._guard:
            writer = self._writers.get(file)
        return writer if writer is not None and not writer.closed else None

    def attended(self, file: FileId) -> bool:
        """Say whether somebody has a file in hand: writes it, or has just finished it and is about to commit it."""
        with self._guard:
            return file in self._writers

    def discard(self, file: FileId) -> None:
        """Remove a file; whoever is writing it may write no more. One that is not there changes nothing."""
        with self._guard:
            writer = self._writers.pop(file, None)
            self._sizes.pop(file, None)
        if writer is not None:
            writer.drop()
        path = self._path(file)
        for one in (path, self._note_path(file), path.with_suffix(".new")):
            one.unlink(missing_ok=True)

    def files(self, *, older_than_seconds: float = 0) -> list[FileId]:
        """Return every file that is there and was not written to for so long."""
        found = []
        for path in sorted(self._directory.iterdir()):
            if path.suffix:
                continue
            try:
                old = time.time() - path.stat().st_mtime >= older_than_seconds
            except FileNotFoundError:
                continue
            if old:
                found.append(FileId(path.name))
        return found

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

    def write_note(self, file: FileId, slots: _Slots, size: int, digest: str) -> None:
        """Keep a finished file's length and digest, durably once the folder is synced."""
        path = self._note_path(file)
        fresh = path.with_suffix(".new")
        text = json.dumps({"size": size, "sha256": digest}).encode()
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            write_all(handle, [slots.seal_note(text)], 0)
            os.fdatasync(handle)
        finally:
            os.close(handle)
        fresh.replace(path)

    def forget_note(self, file: FileId) -> None:
        """Say that a file is no longer finished: more is written into it."""
        self._note_path(file).unlink(missing_ok=True)

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
            raise _not_here(file) from error
        head = os.pread(handle, _HEADER_BYTES, 0)
        if len(head) != _HEADER_BYTES or not head.startswith(_MAGIC):
            os.close(handle)
            raise TamperedError("A file in the spool is none of ours.", remedy="Look who writes into the spool.")
        return handle, _Slots(handle, self._key, head[len(_MAGIC) :], file)

    def _noted(self, file: FileId, slots: _Slots) -> tuple[Digest, int]:
        try:
            note = json.loads(slots.open_note(self._note_path(file).read_bytes()))
        except FileNotFoundError as error:
            raise TamperedError(
                "A file in the spool was never finished, or its note is gone.",
                remedy="Ask the authority to send it again.",
            ) from error
        return Digest(note["sha256"]), int(note["size"])

    def _whole(self, file: FileId, handle: int, slots: _Slots) -> tuple[Digest, int]:
        digest, size = self._noted(file, slots)
        if self._proved(handle, slots) != size:
            raise TamperedError("A file in the spool was cut short.", remedy="Ask the authority to send it again.")
        return digest, size

    @staticmethod
    def _proved(handle: int, slots: _Slots) -> int:
        """Return the length that the slots themselves show; a last slot that a kill left half-written is none."""
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
    """Writes one file, in any order; safe to use from several threads.

    Every method that writes raises ``OvertakenError`` once somebody else resumed or discarded the file.
    """

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
        self._untouched = True
        self._closed = False
        self._overtaken = False

    @property
    def size(self) -> int:
        """Return the length so far."""
        return self._size

    @property
    def closed(self) -> bool:
        """Say whether nothing more can be written."""
        return self._closed

    @property
    def overtaken(self) -> bool:
        """Say whether the file is somebody else's now, or gone."""
        return self._overtaken

    def write_at(self, offset: int, data: bytes) -> None:
        """Write bytes at a place; what lies between is zeros.

        Raises:
            SpoolFullError: there is no room; what was written before stays and can be resumed.
        """
        with self._lock:
            self._begin_change()
            if not data:
                return
            self._look_for_room(len(data))
            running = offset == self._hashed == self._size
            self._hashed, before = -1, self._hashed
            try:
                self._grow(offset)
                self._put(offset, memoryview(data))
            except OSError as error:
                raise full_or_broken(error) from error
            if running:
                # Counted only now: a write that failed half-way must not be part of the digest.
                self._hash.update(data)
                self._hashed = before + len(data)

    def read_at(self, offset: int, length: int) -> bytes:
        """Read back at most so much; nothing at the end.

        Raises:
            TamperedError: what was written earlier does not read back.
        """
        with self._lock:
            self._usable()
            end, parts = min(offset + length, self._size), []
            while offset < end:
                number, inside = divmod(offset, SLOT_BYTES)
                slot = self._slot if number == self._number else self._slots.read(number)
                part = bytes(slot[inside : inside + end - offset])
                if not part:
                    raise _altered()
                parts.append(part)
                offset += len(part)
            return b"".join(parts)

    def truncate(self, size: int) -> None:
        """Cut the file off, or lengthen it with zeros.

        Raises:
            SpoolFullError: there is no room for the zeros.
        """
        with self._lock:
            if size == self._size:
                return
            self._begin_change()
            self._hashed = 0 if size == 0 else -1
            self._hash = sha256()
            try:
                if size < self._size:
                    self._cut(size)
                else:
                    self._grow(size)
            except OSError as error:
                raise full_or_broken(error) from error

    def flush(self) -> None:
        """Write what is held in memory."""
        with self._lock:
            self._usable()
            self._flush()

    def finish(self) -> tuple[Digest, int]:
        """Make the file durable and return its SHA-256 and length.

        Raises:
            SpoolFullError: there is no room; it can be resumed.
            TamperedError: what was written earlier does not read back.
        """
        with self._lock:
            self._usable()
            try:
                self._store()
                # What a kill left half-written after the last whole slot goes, or the file would not open.
                os.ftruncate(self._slots.handle, _stored_bytes(self._size))
                digest = self._hash.hexdigest() if self._hashed == self._size else self._digest()
                os.fdatasync(self._slots.handle)
                self._spool.write_note(self._file, self._slots, self._size, digest)
                self._spool.sync_folder()
            except OSError as error:
                raise full_or_broken(error) from error
            self._close()
            return Digest(digest), self._size

    def suspend(self) -> None:
        """Keep what came, to be resumed: the connection was cut. Once closed it changes nothing.

        Raises:
            SpoolFullError: what was held in memory could not be kept.
        """
        with self._lock:
            try:
                if not self._closed:
                    self._flush()
            finally:
                self._close()

    def overtake(self) -> None:
        """Keep what came and let nothing more be written: somebody else goes on with the file."""
        with self._lock:
            self._overtaken = True
            try:
                if not self._closed:
                    self._flush()
            except SpoolFullError:
                # The whole slots are there; whoever goes on is told where they end.
                return
            finally:
                self._close()

    def drop(self) -> None:
        """Let nothing more be written, and keep nothing that is not on disk yet."""
        with self._lock:
            self._overtaken = True
            self._close()

    def abandon(self) -> None:
        """Throw the file away, unless it is somebody else's now."""
        with self._lock:
            overtaken = self._overtaken
            self._close()
        if not overtaken:
            self._spool.discard(self._file)

    def _usable(self) -> None:
        if self._overtaken:
            raise OvertakenError(
                "The file was opened anew, renamed or removed meanwhile.",
                did="Nothing more is written to it through this handle.",
                remedy="Send it again.",
            )
        if self._closed:
            message = "the file is closed"
            raise ValueError(message)

    def _begin_change(self) -> None:
        self._usable()
        if self._untouched:
            # A file that was finished and is written again is unfinished from here.
            self._spool.forget_note(self._file)
            os.ftruncate(self._slots.handle, _stored_bytes(self._size))
            self._untouched = False

    def _digest(self) -> str:
        hashed = sha256()
        for number in range(-(-self._size // SLOT_BYTES)):
            hashed.update(self._slots.read(number, min(SLOT_BYTES, self._size - number * SLOT_BYTES)))
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
            self._look_for_room(SLOT_BYTES)
            self._put(self._size, memoryview(_ZEROS)[: size - self._size])

    def _cut(self, size: int) -> None:
        """Cut off. The slot that is cut inside is taken off before it is written shorter: a kill leaves a prefix."""
        number, inside = divmod(size, SLOT_BYTES)
        if inside:
            self._turn_to(number)
            del self._slot[inside:]
            self._dirty = True
        elif self._number >= number:
            self._number, self._slot, self._dirty = -1, bytearray(), False
        os.ftruncate(self._slots.handle, self._slots.place(number))
        self._size = size
        self._store()

    def _turn_to(self, number: int) -> None:
        if number != self._number:
            self._store()
            held = min(SLOT_BYTES, self._size - number * SLOT_BYTES)
            self._slot = self._slots.read(number, held) if held > 0 else bytearray()
            self._number = number

    def _flush(self) -> None:
        try:
            self._store()
        except OSError as error:
            raise full_or_broken(error) from error

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
            self._held = number, bytes(self._slots.read(number, length))
        part = self._held[1][inside : inside + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def close(self) -> None:
        if not self.closed:
            os.close(self._slots.handle)
        super().close()


def write_all(handle: int, parts: Sequence[bytes], offset: int) -> None:
    """Write every byte at a place. The kernel may take only a part, most of all on a disk that is nearly full.

    Raises:
        OSError: not all could be written.
    """
    written = os.pwritev(handle, parts, offset)
    left = memoryview(b"".join(parts))[written:] if written < sum(map(len, parts)) else memoryview(b"")
    offset += written
    while left:
        written = os.pwrite(handle, left, offset)
        offset, left = offset + written, left[written:]


def _stored_bytes(size: int) -> int:
    """Return how long a file on disk is whose content has a length."""
    whole, rest = divmod(size, SLOT_BYTES)
    return _HEADER_BYTES + whole * _SEALED_SLOT_BYTES + (_NONCE_BYTES + rest + _TAG_BYTES if rest else 0)


def _altered() -> TamperedError:
    return TamperedError("A file in the spool was altered.", remedy="Ask the authority to send it again.")


def _not_here(file: FileId) -> NotFoundError:
    return NotFoundError(f"File {file} is not in the spool.", remedy="It may be stored and discarded already.")


def full_or_broken(error: OSError) -> SpoolFullError:
    """Return a disk's failure in words."""
    return SpoolFullError(
        f"The spool cannot be written: {error.strerror}.",
        did="Nothing of this file counts as received.",
        remedy="Free disk space below the data directory.",
        passing=True,
    )

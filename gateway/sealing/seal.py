"""Seals an accepted return, table by table, and is the only maker of a ``Sealed``.

* Sealed bytes wait in the holding (``<holding>/<submission>/<resource>.sealed``) until storage has them.
* Safe to repeat: a whole sealed table of the same content that waits already is kept, so that a repeat after a crash
  offers storage the same bytes; what storage has on record is not sealed again.
* A half-written file has another name and is never taken for a sealed one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from gateway.domain.names import Digest, SubmissionId
from gateway.domain.submission import Return, Sealed, SealedObject
from gateway.errors import TamperedError
from gateway.sealing.container import Readable, seal_stream, unseal_stream
from gateway.sealing.hpke import PublicKey
from gateway.sealing.keys import Keyring, collection_key

_BLOCK = 1024 * 1024


class Table(Protocol):
    """One table of a return, as validation left it."""

    @property
    def resource(self) -> str:
        """Return the table's name."""

    def open(self) -> BinaryIO:
        """Open its content from the beginning, as often as asked."""


class OnRecord(Protocol):
    """Which sealed objects of a submission storage has, by the rows."""

    def __call__(self, submission: SubmissionId) -> Sequence[SealedObject]:
        """Return them; none where it was not stored."""


def _nothing(submission: SubmissionId) -> Sequence[SealedObject]:  # noqa: ARG001 (the port names it)
    return ()


class Sealer:
    """Seals returns.

    Args:
        keyring: where the collections' keys are.
        holding: a directory of the gateway's own; made with mode 0700.
        on_record: what was stored before, so that an attempt after it does not seal again.
    """

    def __init__(self, keyring: Keyring, holding: Path, on_record: OnRecord = _nothing) -> None:
        self._keyring = keyring
        self._holding = holding
        self._on_record = on_record

    def seal(self, accepted: Return, tables: Sequence[Table]) -> Sealed:
        """Seal every table to the key of its collection and year.

        Raises:
            KeyMissingError: the key cannot be had.
            OSError: the holding is full or broken.
        """
        submission = accepted.submission
        name = collection_key(accepted.collection, accepted.period.start.year)
        recipient = self._keyring.public(name)
        objects = tuple(self._on_record(submission.id))
        if not objects:
            folder = self._folder(submission.id)
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            objects = tuple(self._seal_one(accepted, table, folder, recipient) for table in tables)
            _sync_folder(folder)
        return Sealed(accepted=accepted, objects=objects, recipient_key=recipient.id)

    def let_go(self, sealed: Sealed) -> None:
        """Remove from the holding what storage has. Doing so again changes nothing."""
        shutil.rmtree(self._folder(sealed.accepted.submission.id), ignore_errors=True)

    def _folder(self, submission: SubmissionId) -> Path:
        return self._holding / submission

    def _seal_one(self, accepted: Return, table: Table, folder: Path, recipient: PublicKey) -> SealedObject:
        submission = accepted.submission
        place = f"{accepted.collection}/{accepted.period.label}"
        context = f"{submission.authority}/{place}/{submission.id}/{table.resource}".encode()
        path = folder / f"{table.resource}.sealed"
        kept = self._kept(path, table, context, recipient.name)
        size, digest, plain = kept or self._write(path, table, context, recipient)
        return SealedObject(
            resource=table.resource,
            holding=str(path),
            key=(
                f"returns/{place}/{submission.authority}/{submission.version}-{submission.id}/{table.resource}.csv.sealed"
            ),
            size_bytes=size,
            digest=digest,
            plain_digest=plain,
        )

    def _write(self, path: Path, table: Table, context: bytes, recipient: PublicKey) -> tuple[int, Digest, Digest]:
        temporary = path.with_suffix(".sealing")
        with _private_file(temporary) as sink, table.open() as source:
            made = seal_stream(source, sink, recipients=[recipient], context=context)
            sink.flush()
            os.fdatasync(sink.fileno())
        temporary.replace(path)
        return made.bytes, made.digest, made.plain_digest

    def _kept(self, path: Path, table: Table, context: bytes, key: str) -> tuple[int, Digest, Digest] | None:
        """Return size and digests of what waits already, where it is whole and holds just this table."""
        if not path.exists():
            return None
        with path.open("rb") as source, table.open() as fresh:
            hashing = _Hashing(source)
            try:
                opened = unseal_stream(hashing, _Nowhere(), keys=[self._keyring.private(key)], context=context)
            except TamperedError:
                return None
            same = opened.plain_digest == _digest(fresh)
        return (hashing.count, Digest(hashing.hash.hexdigest()), opened.plain_digest) if same else None


class _Hashing:
    """Passes bytes through and remembers their digest and count."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self.hash = hashlib.sha256()
        self.count = 0

    def read(self, size: int = -1, /) -> bytes:
        block = self._source.read(size)
        self.hash.update(block)
        self.count += len(block)
        return block


class _Nowhere:
    """Takes bytes and keeps none."""

    def write(self, data: bytes, /) -> int:
        return len(data)


def _digest(source: Readable) -> Digest:
    read: Callable[[], bytes] = lambda: source.read(_BLOCK)  # noqa: E731 (iter wants a callable)
    hashed = hashlib.sha256()
    for block in iter(read, b""):
        hashed.update(block)
    return Digest(hashed.hexdigest())


def _private_file(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _sync_folder(folder: Path) -> None:
    for directory in (folder, folder.parent):
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

"""The sealed container: one envelope that chosen keys open, then chunks that no one can alter, cut short or swap.

``docs/format.md`` is the specification; this is the only code that writes it. In short:

* ``core | envelope | chunk, chunk, ...``. The core says what was sealed and is never changed again; the envelope
  holds one stanza for each recipient and can be written anew (rotation) without touching a chunk.
* A fresh data key for each object. HKDF with the core's hash makes two keys of it: one for the chunks, one for the
  envelope's MAC. So nothing of one object fits into another.
* A chunk's nonce is its number and whether it is the last. Reordering, dropping, doubling and cutting short all fail.
* No byte of a chunk is released before that chunk is verified. Only a reader that met the last chunk has the whole:
  whoever writes to a file writes to a temporary name first.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.domain.names import Digest
from gateway.errors import KeyMissingError, TamperedError
from gateway.sealing.hpke import PrivateKey, PublicKey

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAGIC = b"gwsealed"
VERSION = 1
SUITE = 1
"""HPKE with MLKEM768-X25519, HKDF-SHA256 and AES-256-GCM to wrap; AES-256-GCM for chunks."""
CHUNK_BYTES = 64 * 1024
TAG_BYTES = 16
MAX_CONTEXT_BYTES = 4096
MAX_STANZAS = 64
"""Enough for every recipient of an object and its escrow keys; a bound on what a forged header makes us read."""

_CORE = struct.Struct(">8sBBI16sH")
_CHUNK_LIMITS = (4 * 1024, 4 * 1024 * 1024)
"""What a reader accepts, so that a forged header cannot make it take more memory."""
_STANZA = struct.Struct(">B16sH")
_HPKE_STANZA = 1
_MAC_BYTES = 32
_KEY_BYTES = 32
_MAX_CHUNKS = 2**64 - 1


class Readable(Protocol):
    """As much of a stream as sealing reads."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to ``size`` bytes; none at the end."""


class Writable(Protocol):
    """As much of a stream as sealing writes."""

    def write(self, data: bytes, /) -> object:
        """Take bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SealedSize:
    """What sealing made."""

    bytes: int
    """Length of the sealed object."""
    digest: Digest
    """SHA-256 of the sealed object."""
    plain_bytes: int
    plain_digest: Digest
    """SHA-256 of what was sealed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """What unsealing found: all of it verified, to the last chunk."""

    context: bytes
    plain_bytes: int
    plain_digest: Digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Stanza:
    """The data key wrapped for one recipient. Kinds a reader does not know are skipped."""

    kind: int
    key_id: bytes
    wrapped: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Core:
    """What was sealed, and how. Fixed for the life of the object."""

    chunk_bytes: int
    object_id: bytes
    context: bytes

    def encode(self) -> bytes:
        """Return the bytes as they stand in the object."""
        fixed = _CORE.pack(MAGIC, VERSION, SUITE, self.chunk_bytes, self.object_id, len(self.context))
        return fixed + self.context


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """A core and an envelope as read; believed only once the envelope's MAC agrees."""

    core: Core
    stanzas: tuple[Stanza, ...]
    mac: bytes
    length: int
    """Bytes before the first chunk."""

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Return the ids of the keys that open the object."""
        return tuple(stanza.key_id.hex() for stanza in self.stanzas)


def seal_stream(source: Readable, sink: Writable, *, recipients: Sequence[PublicKey], context: bytes) -> SealedSize:
    """Seal a stream to one or more keys, any of which opens it.

    Args:
        source: read to its end.
        sink: receives the container; memory stays at two chunks however long the source is.
        recipients: who can open it, at least one.
        context: what it is and where it belongs, for example ``camden/ssda903/2026-27/0198.../episodes``. Readable
            by anyone, alterable by no one. At most 4096 bytes.
    """
    core = Core(chunk_bytes=CHUNK_BYTES, object_id=os.urandom(16), context=context)
    if len(context) > MAX_CONTEXT_BYTES:
        message = f"a context has at most {MAX_CONTEXT_BYTES} bytes"
        raise ValueError(message)
    data_key = os.urandom(_KEY_BYTES)
    head = core.encode() + make_envelope(core, data_key, recipients)
    cipher = AESGCM(_derive(core, data_key, b"chunks"))
    sealed, plain = hashlib.sha256(head), hashlib.sha256()
    sink.write(head)
    sealed_bytes, plain_bytes = len(head), 0
    for number, (chunk, last) in enumerate(_chunks(source, CHUNK_BYTES)):
        box = cipher.encrypt(_nonce(number, last=last), chunk, None)
        plain.update(chunk)
        sealed.update(box)
        sink.write(box)
        sealed_bytes += len(box)
        plain_bytes += len(chunk)
    return SealedSize(
        bytes=sealed_bytes,
        digest=Digest(sealed.hexdigest()),
        plain_bytes=plain_bytes,
        plain_digest=Digest(plain.hexdigest()),
    )


def unseal_stream(
    source: Readable, sink: Writable, *, keys: Sequence[PrivateKey], context: bytes | None = None
) -> Opened:
    """Open a sealed stream.

    Args:
        source: the container, read to its end.
        sink: receives each chunk after it was verified. If this raises, what was written so far is genuine but not
            the whole: throw it away.
        keys: one of them must be a recipient.
        context: what the caller expects to open; None where any will do.

    Raises:
        KeyMissingError: none of the keys is a recipient.
        TamperedError: it was altered, cut short, reordered, or is not what ``context`` says.
    """
    header = read_header(source)
    cipher = _cipher(header, keys, context)
    plain, plain_bytes = hashlib.sha256(), 0
    for number, (box, last) in enumerate(_chunks(source, header.core.chunk_bytes + TAG_BYTES)):
        chunk = _open_chunk(cipher, number, box, last=last)
        plain.update(chunk)
        plain_bytes += len(chunk)
        sink.write(chunk)
    return Opened(context=header.core.context, plain_bytes=plain_bytes, plain_digest=Digest(plain.hexdigest()))


def open_sealed(source: BinaryIO, keys: Sequence[PrivateKey], context: bytes | None = None) -> BinaryIO:
    """Open a sealed object for reading at any place, without opening what is not read.

    The last chunk is verified before this returns, so that a shortened object is refused at once; every other chunk
    when it is read. Closing the result closes ``source``; a refusal closes it too.

    Args:
        source: a stream that can seek, at any position; it belongs to the result from now on.
        keys: one of them must be a recipient.
        context: what the caller expects to open; None where any will do.

    Raises:
        KeyMissingError: none of the keys is a recipient.
        TamperedError: on opening or on a later read, where something was altered.
    """
    try:
        raw = _SealedReader(source, keys, context)
    except BaseException:
        source.close()
        raise
    return io.BufferedReader(raw, CHUNK_BYTES)


def seal_bytes(content: bytes, *, recipients: Sequence[PublicKey], context: bytes) -> bytes:
    """Seal something small."""
    sink = io.BytesIO()
    seal_stream(io.BytesIO(content), sink, recipients=recipients, context=context)
    return sink.getvalue()


def unseal_bytes(sealed: bytes, *, keys: Sequence[PrivateKey], context: bytes | None = None) -> bytes:
    """Open something small.

    Raises:
        KeyMissingError: none of the keys is a recipient.
        TamperedError: it was altered, cut short, or is not what ``context`` says.
    """
    sink = io.BytesIO()
    unseal_stream(io.BytesIO(sealed), sink, keys=keys, context=context)
    return sink.getvalue()


def make_envelope(core: Core, data_key: bytes, recipients: Sequence[PublicKey]) -> bytes:
    """Wrap a data key for its recipients. Rotation writes a new one; the chunks stay.

    Raises:
        ValueError: no recipient, or more than 64.
    """
    if not 0 < len(recipients) <= MAX_STANZAS:
        message = f"an object is sealed to at least one key and at most {MAX_STANZAS}"
        raise ValueError(message)
    parts = [struct.pack(">B", len(recipients))]
    for recipient in recipients:
        wrapped = recipient.wrap(data_key, info=_wrap_info(core))
        parts += [_STANZA.pack(_HPKE_STANZA, bytes.fromhex(recipient.id), len(wrapped)), wrapped]
    body = b"".join(parts)
    return body + _mac(core, data_key, body)


def read_header(source: Readable) -> Header:
    """Read a header, leaving ``source`` at the first chunk. Nothing in it is believed yet.

    Raises:
        TamperedError: it is not a sealed object, or of a version this program does not read.
    """
    magic, version, suite, chunk_bytes, object_id, context_bytes = _CORE.unpack(_exactly(source, _CORE.size))
    if magic != MAGIC:
        raise TamperedError("These bytes are not a sealed object.", remedy="Check which file or object it is.")
    if (version, suite) != (VERSION, SUITE):
        raise TamperedError(
            f"The object says it is sealed in version {version}, suite {suite}; this program reads version 1, suite 1.",
            remedy="If it was sealed by a newer gateway, open it with that one; else fetch the object again.",
        )
    if not _CHUNK_LIMITS[0] <= chunk_bytes <= _CHUNK_LIMITS[1] or context_bytes > MAX_CONTEXT_BYTES:
        raise _tampered("Its header holds impossible sizes.")
    core = Core(chunk_bytes=chunk_bytes, object_id=object_id, context=_exactly(source, context_bytes))
    count = _exactly(source, 1)[0]
    if not 0 < count <= MAX_STANZAS:
        raise _tampered("Its header names no key, or too many.")
    stanzas = tuple(_read_stanza(source) for _ in range(count))
    mac = _exactly(source, _MAC_BYTES)
    length = len(core.encode()) + 1 + sum(_STANZA.size + len(one.wrapped) for one in stanzas) + _MAC_BYTES
    return Header(core=core, stanzas=stanzas, mac=mac, length=length)


def data_key_of(header: Header, keys: Sequence[PrivateKey]) -> bytes:
    """Return an object's data key and, with it, the proof that the header is genuine.

    Raises:
        KeyMissingError: none of the keys is a recipient.
        TamperedError: the header was altered.
    """
    mine = {key.id: key for key in keys}
    for stanza in header.stanzas:
        key = mine.get(stanza.key_id.hex())
        if key is None or stanza.kind != _HPKE_STANZA:
            continue
        try:
            data_key = key.unwrap(stanza.wrapped, info=_wrap_info(header.core))
        except InvalidTag:
            raise _tampered("Its wrapped key does not open.") from None
        if len(data_key) != _KEY_BYTES or not hmac.compare_digest(
            _mac(header.core, data_key, _envelope_body(header)), header.mac
        ):
            raise _tampered("Its header was altered.")
        return data_key
    raise KeyMissingError(
        f"The object is sealed to {', '.join(header.key_ids)}; the keys at hand are {', '.join(mine) or 'none'}.",
        did="Nothing was opened.",
        remedy="Use the key file with one of those ids (`gateway key list` shows the gateway's own).",
    )


class _SealedReader(io.RawIOBase):
    """Reads plaintext at any place. Holds one opened chunk."""

    def __init__(self, source: BinaryIO, keys: Sequence[PrivateKey], context: bytes | None) -> None:
        super().__init__()
        end = source.seek(0, io.SEEK_END)
        source.seek(0)
        header = read_header(source)
        self._source = source
        self._cipher = _cipher(header, keys, context)
        self._first = header.length
        self._chunk_bytes = header.core.chunk_bytes
        box_bytes = self._chunk_bytes + TAG_BYTES
        payload = end - header.length
        self._count = max(1, -(-payload // box_bytes))
        self._size = payload - self._count * TAG_BYTES
        self._place = 0
        self._number = -1
        self._chunk = b""
        self._load(self._count - 1)

    def _load(self, number: int) -> None:
        if number == self._number:
            return
        box_bytes = self._chunk_bytes + TAG_BYTES
        start = self._first + number * box_bytes
        if self._source.tell() != start:
            self._source.seek(start)
        box = _fill(self._source, box_bytes)
        self._chunk = _open_chunk(self._cipher, number, box, last=number == self._count - 1)
        self._number = number

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            message = "cannot seek before the beginning"
            raise ValueError(message)
        self._place = base + offset
        return self._place

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        if self._place >= self._size or not view:
            return 0
        number, within = divmod(self._place, self._chunk_bytes)
        self._load(number)
        part = self._chunk[within : within + len(view)]
        view[: len(part)] = part
        self._place += len(part)
        return len(part)

    def close(self) -> None:
        if not self.closed:
            self._chunk = b""
            self._source.close()
        super().close()


def _cipher(header: Header, keys: Sequence[PrivateKey], context: bytes | None) -> AESGCM:
    data_key = data_key_of(header, keys)
    if context is not None and not hmac.compare_digest(context, header.core.context):
        raise TamperedError(
            "The sealed object is genuine, but it is another one than was asked for.",
            did="Nothing was opened.",
            remedy="Objects were swapped or misnamed in storage: compare with the ledger before going on.",
        )
    return AESGCM(_derive(header.core, data_key, b"chunks"))


def _open_chunk(cipher: AESGCM, number: int, box: bytes, *, last: bool) -> bytes:
    if last and number and len(box) <= TAG_BYTES:
        raise _tampered("It ends where no object ends.")
    try:
        return cipher.decrypt(_nonce(number, last=last), box, None)
    except (InvalidTag, ValueError):
        raise _tampered(f"Chunk {number} does not open.") from None


def _nonce(number: int, *, last: bool) -> bytes:
    """Twelve bytes: three of zero, eight of the chunk's number, one that says whether it is the last."""
    if number > _MAX_CHUNKS:
        message = "an object has at most 2**64 chunks"
        raise OverflowError(message)
    return b"\0\0\0" + number.to_bytes(8, "big") + (b"\1" if last else b"\0")


def _derive(core: Core, data_key: bytes, purpose: bytes) -> bytes:
    salt = hashlib.sha256(core.encode()).digest()
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=salt, info=b"gateway sealed 1 " + purpose).derive(data_key)


def _mac(core: Core, data_key: bytes, envelope_body: bytes) -> bytes:
    return hmac.digest(_derive(core, data_key, b"envelope"), envelope_body, "sha256")


def _wrap_info(core: Core) -> bytes:
    return b"gateway sealed 1 wrap " + hashlib.sha256(core.encode()).digest()


def _envelope_body(header: Header) -> bytes:
    parts = [struct.pack(">B", len(header.stanzas))]
    for one in header.stanzas:
        parts += [_STANZA.pack(one.kind, one.key_id, len(one.wrapped)), one.wrapped]
    return b"".join(parts)


def _read_stanza(source: Readable) -> Stanza:
    kind, key_id, length = _STANZA.unpack(_exactly(source, _STANZA.size))
    return Stanza(kind=kind, key_id=key_id, wrapped=_exactly(source, length))


def _chunks(source: Readable, size: int) -> Iterator[tuple[bytes, bool]]:
    """Yield full chunks and whether each is the last: one ahead is read to know. An empty source is one empty chunk."""
    chunk = _fill(source, size)
    while True:
        following = _fill(source, size) if len(chunk) == size else b""
        yield chunk, not following
        if not following:
            return
        chunk = following


def _fill(source: Readable, size: int) -> bytes:
    """Read until ``size`` bytes are here or the source ends: sockets and pipes give less at a time."""
    block = source.read(size)
    if len(block) == size or not block:
        return block
    parts, have = [block], len(block)
    while have < size and (block := source.read(size - have)):
        parts.append(block)
        have += len(block)
    return b"".join(parts)


def _exactly(source: Readable, size: int) -> bytes:
    block = _fill(source, size)
    if len(block) != size:
        raise _tampered("It ends within its header.")
    return block


def _tampered(why: str) -> TamperedError:
    return TamperedError(
        f"A sealed object does not open. {why}",
        did="Nothing that could not be verified was released.",
        remedy="Fetch it again; if it stays so, restore it from a backup and look at who can write to storage.",
    )

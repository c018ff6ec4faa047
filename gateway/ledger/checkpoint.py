"""Signed checkpoints of the ledger, in the form of C2SP tlog-checkpoint and signed-note.

* Three lines (origin, size, root), an empty line, and a signature line. Anyone with the public key can check it.
* Every receipt carries one: 33 authorities hold witnesses of what the record was.
* Two checkpoints of one size with different roots are a fork; a size below one already seen is a rollback.
* Read strictly: one way to write a number, one way to write bytes, so that one statement is one text.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.domain.merkle import EMPTY_ROOT
from gateway.errors import RecordAlteredError
from gateway.ledger.proofs import verify_consistency

ORIGIN = "gateway.london/ledger"
"""Names the log; part of what is signed."""

_ED25519 = b"\x01"
_KEY_HASH_BYTES = 4
_BODY_LINES = 3
_ROOT_BYTES = 32
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_TELL = "Treat it as tampering: keep both checkpoints and tell the auditor."


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """The ledger at one moment."""

    size: int
    root: bytes
    text: str
    """The whole signed note."""


def key_hash(public: bytes) -> bytes:
    """Return the four bytes that name a key in a note (signed-note: hash of name and key)."""
    return sha256(ORIGIN.encode() + b"\n" + _ED25519 + public).digest()[:_KEY_HASH_BYTES]


def verifier_key(public: bytes) -> str:
    """Return the key as signed-note tools read it (``origin+hash+key``)."""
    return f"{ORIGIN}+{key_hash(public).hex()}+{b64encode(_ED25519 + public).decode()}"


def make_checkpoint(size: int, root: bytes, public: bytes, sign: Callable[[bytes], bytes]) -> Checkpoint:
    """Sign the ledger's size and root.

    Args:
        size: number of events.
        root: 32 bytes.
        public: raw Ed25519 public key.
        sign: returns the 64 bytes of a plain Ed25519 signature.
    """
    body = f"{ORIGIN}\n{size}\n{b64encode(root).decode()}\n"
    signature = b64encode(key_hash(public) + sign(body.encode())).decode()
    return Checkpoint(size=size, root=root, text=f"{body}\n\u2014 {ORIGIN} {signature}\n")


def read_checkpoint(text: str, public: bytes, *former: bytes) -> Checkpoint:
    """Read a note and check its signature.

    Args:
        text: the note.
        public: raw Ed25519 key of the ledger.
        former: keys it was signed with before.

    Raises:
        RecordAlteredError: it is not a checkpoint of this ledger signed by one of these keys.
    """
    body, _, signatures = text.partition("\n\n")
    try:
        size, root = _size_and_root(body.split("\n"))
        _check_signature(f"{body}\n", signatures, (public, *former))
    except (ValueError, InvalidSignature) as error:
        raise RecordAlteredError(
            "This is not a checkpoint signed by the ledger's key.", remedy="Compare the key with the published one."
        ) from error
    return Checkpoint(size=size, root=root, text=text)


def follow(seen: Checkpoint, offered: Checkpoint, proof: Sequence[bytes]) -> Checkpoint:
    """Take a newer checkpoint in place of one seen before, as a witness does.

    Args:
        seen: the newest one known.
        offered: the one to take; its signature was checked when it was read.
        proof: the consistency proof between the two; empty where the sizes are the same.

    Raises:
        RecordAlteredError: the ledger was forked, cut back or rewritten since.
    """
    if offered.size < seen.size:
        raise RecordAlteredError(
            f"The ledger went back from {seen.size} events to {offered.size}: it was cut short.", remedy=_TELL
        )
    if offered.size == seen.size and offered.root != seen.root:
        raise RecordAlteredError(
            f"Two signed checkpoints of {seen.size} events differ: the ledger was forked.", remedy=_TELL
        )
    if seen.size == 0 and seen.root == EMPTY_ROOT:
        return offered
    verify_consistency(seen.size, offered.size, seen.root, offered.root, proof)
    return offered


def _size_and_root(lines: Sequence[str]) -> tuple[int, bytes]:
    if len(lines) != _BODY_LINES or lines[0] != ORIGIN or not _NUMBER.fullmatch(lines[1]):
        message = "not origin, size and root"
        raise ValueError(message)
    root = _bytes_of(lines[2])
    if len(root) != _ROOT_BYTES:
        message = "not a root"
        raise ValueError(message)
    return int(lines[1]), root


def _check_signature(body: str, signatures: str, publics: Sequence[bytes]) -> None:
    start = f"\u2014 {ORIGIN} "
    for line in signatures.split("\n"):
        if not line.startswith(start):
            continue
        blob = _bytes_of(line.removeprefix(start))
        for public in publics:
            if blob[:_KEY_HASH_BYTES] == key_hash(public):
                Ed25519PublicKey.from_public_bytes(public).verify(blob[_KEY_HASH_BYTES:], body.encode())
                return
    message = "no signature of these keys"
    raise ValueError(message)


def _bytes_of(text: str) -> bytes:
    found = b64decode(text, validate=True)
    if b64encode(found).decode() != text:
        message = "not written the one way"
        raise ValueError(message)
    return found

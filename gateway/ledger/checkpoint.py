"""Signed checkpoints of the ledger, in the form of C2SP tlog-checkpoint and signed-note.

* Three lines (origin, size, root), an empty line, and a signature line. Anyone with the public key can check it.
* Every receipt carries one: 33 authorities hold witnesses of what the record was.
* Two checkpoints of one size with different roots are a fork; a size below one already seen is a rollback.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.errors import RecordAlteredError

ORIGIN = "gateway.london/ledger"
"""Names the log; part of what is signed."""

_ED25519 = b"\x01"
_KEY_HASH_BYTES = 4
_BODY_LINES = 3


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


def read_checkpoint(text: str, public: bytes) -> Checkpoint:
    """Read a note and check its signature.

    Raises:
        RecordAlteredError: it is not a checkpoint of this ledger signed by this key.
    """
    body, _, signatures = text.partition("\n\n")
    lines = body.split("\n")
    try:
        if len(lines) != _BODY_LINES or lines[0] != ORIGIN:
            raise ValueError
        size, root = int(lines[1]), b64decode(lines[2], validate=True)
        _check_signature(f"{body}\n", signatures, public)
    except (ValueError, InvalidSignature) as error:
        raise RecordAlteredError(
            "This is not a checkpoint signed by the ledger's key.", remedy="Compare the key with the published one."
        ) from error
    return Checkpoint(size=size, root=root, text=text)


def _check_signature(body: str, signatures: str, public: bytes) -> None:
    start = f"\u2014 {ORIGIN} "
    for line in signatures.splitlines():
        if not line.startswith(start):
            continue
        blob = b64decode(line.removeprefix(start), validate=True)
        if blob[:_KEY_HASH_BYTES] == key_hash(public):
            Ed25519PublicKey.from_public_bytes(public).verify(blob[_KEY_HASH_BYTES:], body.encode())
            return
    message = "no signature of this key"
    raise ValueError(message)

"""Signs in OpenSSH's own signature format, so that an authority checks a receipt with the ``ssh-keygen`` it has.

* Ed25519 over SHA-512, as OpenSSH's PROTOCOL.sshsig describes.
* The namespace says what a signature is for, so that one made for a receipt is worth nothing elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
import textwrap

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.errors import TamperedError

_MAGIC = b"SSHSIG"
_VERSION = 1
_KEY_TYPE = b"ssh-ed25519"
_HASH = b"sha512"
_BEGIN = "-----BEGIN SSH SIGNATURE-----"
_END = "-----END SSH SIGNATURE-----"
_LINE = 70
"""Characters a line, as ssh-keygen writes it."""


class Signer:
    """Signs with one Ed25519 key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._public = _public_blob(key.public_key())

    def sign(self, message: bytes, namespace: str) -> str:
        """Return an armoured signature over ``message``. The same message gives the same signature."""
        raw = self._key.sign(_signed(message, namespace))
        blob = _MAGIC + struct.pack(">I", _VERSION) + _strings(self._public, namespace.encode(), b"", _HASH)
        blob += _strings(_strings(_KEY_TYPE, raw))
        lines = textwrap.wrap(base64.b64encode(blob).decode(), _LINE)
        return "\n".join([_BEGIN, *lines, _END]) + "\n"

    def sign_raw(self, message: bytes) -> bytes:
        """Return the bare 64-byte Ed25519 signature over ``message``, for formats of their own (checkpoints)."""
        return self._key.sign(message)

    def public_bytes(self) -> bytes:
        """Return the bare 32-byte public key."""
        return self._key.public_key().public_bytes_raw()

    def public_line(self, comment: str) -> str:
        """Return the public key as one line, for an ``authorized_keys`` file or for people. No line end."""
        return f"{_KEY_TYPE.decode()} {base64.b64encode(self._public).decode()} {comment}".rstrip()

    def allowed_signers_line(self, identity: str, *namespaces: str) -> str:
        """Return the line that lets ``ssh-keygen -Y verify -I IDENTITY`` accept this key. No line end.

        Args:
            identity: who signs, for example ``gateway``.
            namespaces: what the key may sign; any where none is given.
        """
        only = f'namespaces="{",".join(namespaces)}" ' if namespaces else ""
        return f"{identity} {only}{self.public_line('')}"


def verify(message: bytes, signature: str, namespace: str, public_line: str) -> None:
    """Check a signature against a public key.

    Args:
        message: what was signed.
        signature: armoured, as ``Signer.sign`` or ``ssh-keygen -Y sign`` writes it.
        namespace: what it must have been signed for.
        public_line: ``ssh-ed25519 AAAA... comment``.

    Raises:
        TamperedError: it is not a signature of these bytes, for this namespace, by this key.
    """
    try:
        expected = base64.b64decode(public_line.split()[1], validate=True)
        public, found_namespace, hashed_with, raw = _parse(signature)
        fits = public == expected and found_namespace == namespace.encode() and hashed_with == _HASH
        _key_of(public if fits else b"").verify(raw, _signed(message, namespace))
    except (InvalidSignature, ValueError, IndexError, struct.error, binascii.Error):
        raise TamperedError(
            "The signature does not fit.",
            did="What it was to prove is not proven.",
            remedy="Fetch the document and its signature again, and check that the key is the gateway's.",
        ) from None


def _parse(signature: str) -> tuple[bytes, bytes, bytes, bytes]:
    """Return public key blob, namespace, hash name and raw signature."""
    lines = signature.strip().splitlines()
    if len(lines) < 3 or lines[0].strip() != _BEGIN or lines[-1].strip() != _END:  # noqa: PLR2004 (begin, body, end)
        raise ValueError
    blob = base64.b64decode("".join(line.strip() for line in lines[1:-1]), validate=True)
    head = _MAGIC + struct.pack(">I", _VERSION)
    if not blob.startswith(head):
        raise ValueError
    public, rest = _string(blob[len(head) :])
    namespace, rest = _string(rest)
    _reserved, rest = _string(rest)
    hashed_with, rest = _string(rest)
    inner, rest = _string(rest)
    kind, tail = _string(inner)
    raw, tail = _string(tail)
    if rest or tail or kind != _KEY_TYPE:
        raise ValueError
    return public, namespace, hashed_with, raw


def _signed(message: bytes, namespace: str) -> bytes:
    if not namespace:
        message_ = "a signature needs a namespace"
        raise ValueError(message_)
    return _MAGIC + _strings(namespace.encode(), b"", _HASH, hashlib.sha512(message).digest())


def _key_of(blob: bytes) -> Ed25519PublicKey:
    kind, rest = _string(blob)
    key, rest = _string(rest)
    if kind != _KEY_TYPE or rest:
        raise ValueError
    return Ed25519PublicKey.from_public_bytes(key)


def _public_blob(key: Ed25519PublicKey) -> bytes:
    return _strings(_KEY_TYPE, key.public_bytes_raw())


def _strings(*parts: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def _string(data: bytes) -> tuple[bytes, bytes]:
    (length,) = struct.unpack(">I", data[:4])
    if len(data) < 4 + length:
        raise ValueError
    return data[4 : 4 + length], data[4 + length :]

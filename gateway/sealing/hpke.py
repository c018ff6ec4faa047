"""The pair of keys that things are sealed to: ML-KEM-768 with X25519 (post-quantum and classical together), by HPKE.

* A key's id is the first 16 bytes of the SHA-256 of its public bytes, in hexadecimal: it tells nothing and names it.
* A key file is one line of text, so that it can be printed, read out and put into a safe:
  ``gateway-public-1 NAME BASE64`` and ``GATEWAY-PRIVATE-1 NAME BASE64`` (see ``docs/format.md``).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from functools import cached_property

from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from gateway.errors import KeyMissingError

PUBLIC_WORD = "gateway-public-1"
PRIVATE_WORD = "GATEWAY-PRIVATE-1"

_SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_MLKEM_PUBLIC_BYTES = 1184
_MLKEM_SEED_BYTES = 64
_X25519_BYTES = 32
_CHECK_BYTES = 4
_NAME = re.compile(r"^[a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*)*$")


def valid_name(name: str) -> bool:
    """Tell whether something can be a key's name, for example ``ssda903/2026`` or ``home``."""
    return bool(_NAME.match(name)) and ".." not in name


@dataclass(frozen=True)
class PublicKey:
    """A key to seal to."""

    name: str
    raw: bytes = field(repr=False)
    """ML-KEM-768 encapsulation key (1184 bytes), then X25519 (32 bytes)."""

    def __post_init__(self) -> None:
        if len(self.raw) != _MLKEM_PUBLIC_BYTES + _X25519_BYTES:
            message = "a public key has 1216 bytes"
            raise ValueError(message)

    @cached_property
    def id(self) -> str:
        """Return the key's id, 32 hexadecimal digits."""
        return hashlib.sha256(self.raw).digest()[:16].hex()

    @cached_property
    def _key(self) -> hpke.MLKEM768X25519PublicKey:
        return hpke.MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(self.raw[:_MLKEM_PUBLIC_BYTES]),
            X25519PublicKey.from_public_bytes(self.raw[_MLKEM_PUBLIC_BYTES:]),
        )

    def wrap(self, secret: bytes, *, info: bytes) -> bytes:
        """Return ``secret`` so that only the private key opens it, for this ``info`` alone."""
        return _SUITE.encrypt(secret, self._key, info=info)

    def text(self) -> str:
        """Return the one line of a public key file."""
        return f"{PUBLIC_WORD} {self.name} {_armour(self.raw)}\n"


@dataclass(frozen=True)
class PrivateKey:
    """A key that opens what was sealed to it. It has no ``repr`` of its secret."""

    name: str
    raw: bytes = field(repr=False)
    """ML-KEM-768 seed (64 bytes), then X25519 (32 bytes)."""

    def __post_init__(self) -> None:
        if len(self.raw) != _MLKEM_SEED_BYTES + _X25519_BYTES:
            message = "a private key has 96 bytes"
            raise ValueError(message)

    @classmethod
    def generate(cls, name: str) -> PrivateKey:
        """Make a new key."""
        seed = MLKEM768PrivateKey.generate().private_bytes_raw()
        return cls(name, seed + X25519PrivateKey.generate().private_bytes_raw())

    @property
    def id(self) -> str:
        """Return the key's id, the same as its public half's."""
        return self.public.id

    @cached_property
    def public(self) -> PublicKey:
        """Return the half to seal to."""
        mlkem = self._mlkem.public_key().public_bytes_raw()
        return PublicKey(self.name, mlkem + self._x25519.public_key().public_bytes_raw())

    @cached_property
    def _mlkem(self) -> MLKEM768PrivateKey:
        return MLKEM768PrivateKey.from_seed_bytes(self.raw[:_MLKEM_SEED_BYTES])

    @cached_property
    def _x25519(self) -> X25519PrivateKey:
        return X25519PrivateKey.from_private_bytes(self.raw[_MLKEM_SEED_BYTES:])

    def unwrap(self, wrapped: bytes, *, info: bytes) -> bytes:
        """Return what ``PublicKey.wrap`` wrapped.

        Raises:
            cryptography.exceptions.InvalidTag: it was altered, or is for another key or another ``info``.
        """
        return _SUITE.decrypt(wrapped, hpke.MLKEM768X25519PrivateKey(self._mlkem, self._x25519), info=info)

    def text(self) -> str:
        """Return the one line of a private key file."""
        return f"{PRIVATE_WORD} {self.name} {_armour(self.raw)}\n"


def load_private(text: str) -> PrivateKey:
    """Read a private key file. Empty lines and lines that begin with ``#`` are passed over.

    Raises:
        KeyMissingError: it is not one, or a character was lost.
    """
    name, raw = _read(text, PRIVATE_WORD, "private")
    try:
        return PrivateKey(name, raw)
    except ValueError as error:
        raise _not_a_key("private", str(error)) from error


def load_public(text: str) -> PublicKey:
    """Read a public key file.

    Raises:
        KeyMissingError: it is not one, or a character was lost.
    """
    name, raw = _read(text, PUBLIC_WORD, "public")
    try:
        return PublicKey(name, raw)
    except ValueError as error:
        raise _not_a_key("public", str(error)) from error


def _armour(raw: bytes) -> str:
    """Base64 of the bytes and the first four of their SHA-256, so that a lost character is noticed."""
    return base64.b64encode(raw + hashlib.sha256(raw).digest()[:_CHECK_BYTES]).decode()


def _read(text: str, word: str, kind: str) -> tuple[str, bytes]:
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if len(lines) != 1 or len(lines[0]) != 3 or lines[0][0] != word:  # noqa: PLR2004 (word, name, bytes)
        raise _not_a_key(kind, f"it should be one line that begins with {word}")
    _, name, armoured = lines[0]
    try:
        raw = base64.b64decode(armoured, validate=True)
    except binascii.Error as error:
        raise _not_a_key(kind, "its text is damaged") from error
    body, check = raw[:-_CHECK_BYTES], raw[-_CHECK_BYTES:]
    if hashlib.sha256(body).digest()[:_CHECK_BYTES] != check or not valid_name(name):
        raise _not_a_key(kind, "its text is damaged")
    return name, body


def _not_a_key(kind: str, why: str) -> KeyMissingError:
    return KeyMissingError(
        f"This is not a {kind} key file of the gateway: {why}.",
        did="Nothing was opened.",
        remedy=f"Use a file written by `gateway key export-{kind}`.",
    )

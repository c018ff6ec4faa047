"""The gateway's own keys, each in a file of its own, wrapped under one root key.

* The root key is 32 random bytes in a file with mode 0600: ``root.key`` here, or wherever the operator keeps it.
* Every other key is made the first time it is needed and lies wrapped by AES-256-GCM with its kind and name as
  associated data, so that a file renamed to stand for another key does not open.
* Two processes that need a new key at the same instant get the same one: the file is linked into place, never
  overwritten.
* Lose the root key and everything sealed is lost: back it up apart from the data.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import KeyMissingError
from gateway.sealing.hpke import PrivateKey, PublicKey, load_private, load_public, valid_name

__all__ = ["HOME", "Keyring", "PrivateKey", "PublicKey", "collection_key", "load_private", "load_public"]

HOME = "home"
"""The key that papers in homes are sealed to."""

_MAGIC = b"gwkey\x01"
_KEY_BYTES = 32
_NONCE_BYTES = 12

T = TypeVar("T")


def collection_key(collection: str, year: int) -> str:
    """Return the name of the key that a collection's returns of a year are sealed to, for example ``ssda903/2026``.

    Args:
        collection: the collection's id.
        year: the year the period began in.
    """
    return f"{collection}/{year}"


class Keyring:
    """Makes keys when they are first needed and hands them out. Safe to share between threads and processes.

    Args:
        directory: where wrapped keys lie; made with mode 0700.
        root_key_file: where the root key is kept; ``root.key`` in ``directory`` if None.
    """

    def __init__(self, directory: Path, root_key_file: Path | None = None) -> None:
        self._directory = directory
        self._root_file = root_key_file or directory / "root.key"
        self._opened: dict[tuple[str, str], bytes] = {}

    def ensure(self) -> None:
        """Make the directory and, where there is none yet and nothing was wrapped, the root key.

        Raises:
            KeyMissingError: wrapped keys are here, but the root key is gone.
        """
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory.chmod(0o700)
        if not self._root_file.exists():
            if any(self._directory.rglob("*.wrapped")):
                raise self._root_gone()
            self._root_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _place(self._root_file, os.urandom(_KEY_BYTES))
        self._root()

    def public(self, name: str) -> PublicKey:
        """Return the key to seal to, made on first use.

        Raises:
            KeyMissingError: the root key is missing or is another one.
        """
        return self.private(name).public

    def private(self, name: str) -> PrivateKey:
        """Return the key that opens what was sealed to ``public(name)``, made on first use.

        Raises:
            KeyMissingError: the root key is missing or is another one.
        """
        return PrivateKey(name, self._secret("sealing", name, lambda: PrivateKey.generate(name).raw))

    def signing(self, name: str) -> Ed25519PrivateKey:
        """Return a key to sign with (``receipts``, ``ledger``), made on first use.

        Raises:
            KeyMissingError: the root key is missing or is another one.
        """
        raw = self._secret("signing", name, lambda: Ed25519PrivateKey.generate().private_bytes_raw())
        return Ed25519PrivateKey.from_private_bytes(raw)

    def spool_key(self) -> bytes:
        """Return the 32 bytes that the spool is encrypted with, made on first use.

        Raises:
            KeyMissingError: the root key is missing or is another one.
        """
        return self._secret("secret", "spool", lambda: os.urandom(_KEY_BYTES))

    def names(self) -> list[str]:
        """Return the names of the sealing keys made so far."""
        base = self._directory / "sealing"
        return sorted(path.relative_to(base).as_posix().removesuffix(".wrapped") for path in base.rglob("*.wrapped"))

    def by_id(self, key_id: str) -> PrivateKey:
        """Return the key of an id, as a sealed object's header names it.

        Raises:
            KeyMissingError: it is not one of ours.
        """
        for name in self.names():
            key = self.private(name)
            if key.id == key_id:
                return key
        raise KeyMissingError(
            f"This keyring has no key {key_id}.", remedy="Open it where it was made, or with an exported key file."
        )

    def export_private(self, name: str) -> str:
        """Return a key as the text of a key file, for ``gateway unseal --key FILE``.

        Raises:
            KeyMissingError: there is no key of that name; exporting never makes one.
        """
        self._must_exist(name)
        return self.private(name).text()

    def export_public(self, name: str) -> str:
        """Return a public key as the text of a key file.

        Raises:
            KeyMissingError: there is no key of that name; exporting never makes one.
        """
        self._must_exist(name)
        return self.public(name).text()

    def _must_exist(self, name: str) -> None:
        if name not in self.names():
            known = ", ".join(self.names()) or "none yet"
            raise KeyMissingError(f"There is no key {name!r}.", remedy=f"Name one of these: {known}.")

    def _secret(self, kind: str, name: str, make: Callable[[], bytes]) -> bytes:
        opened = self._opened.get((kind, name))
        if opened is not None:
            return opened
        if not valid_name(name):
            message = f"not a key's name: {name[:80]!r}"
            raise ValueError(message)
        path = self._directory / kind / f"{name}.wrapped"
        label = f"{kind}/{name}".encode()
        if not path.exists():
            cipher, nonce = AESGCM(self._root()), os.urandom(_NONCE_BYTES)
            _make_private_dirs(self._directory, path.parent)
            _place(path, _MAGIC + nonce + cipher.encrypt(nonce, make(), _MAGIC + label))
        # Read back also what was just made: where two made it at once, both take the one that is there.
        secret = self._unwrap(path, label)
        self._opened[kind, name] = secret
        return secret

    def _unwrap(self, path: Path, label: bytes) -> bytes:
        wrapped = path.read_bytes()
        start = len(_MAGIC)
        nonce, box = wrapped[start : start + _NONCE_BYTES], wrapped[start + _NONCE_BYTES :]
        try:
            # The file's own first bytes are in the associated data: a file of another kind does not open.
            return AESGCM(self._root()).decrypt(nonce, box, wrapped[:start] + label)
        except (InvalidTag, ValueError):
            raise KeyMissingError(
                f"The key {label.decode()} does not open under the root key in {self._root_file}.",
                did="Nothing was opened and nothing was changed.",
                remedy="Put back the root key it was wrapped under (GATEWAY_ROOT_KEY_FILE), or restore the key files.",
            ) from None

    def _root(self) -> bytes:
        try:
            root = self._root_file.read_bytes()
        except FileNotFoundError:
            raise self._root_gone() from None
        except PermissionError:
            raise KeyMissingError(
                f"The root key in {self._root_file} may not be read by this user.",
                remedy="Start the gateway as the user that owns it.",
            ) from None
        mode = self._root_file.stat().st_mode & 0o777
        if mode & 0o077:
            raise KeyMissingError(
                f"The root key in {self._root_file} has mode {mode:04o}: others can read it.",
                did="It was not used.",
                remedy=f"Run `chmod 0600 {self._root_file}`; if others did read it, rotate the keys.",
            )
        if len(root) != _KEY_BYTES:
            raise KeyMissingError(
                f"The root key in {self._root_file} has {len(root)} bytes instead of {_KEY_BYTES}.",
                remedy="Restore it from its backup.",
            )
        return root

    def _root_gone(self) -> KeyMissingError:
        return KeyMissingError(
            f"There is no root key at {self._root_file}.",
            did="No key was opened; no new root key was made.",
            remedy="Restore it from its backup, or point GATEWAY_ROOT_KEY_FILE at it; the first time: `gateway init`.",
        )


def _make_private_dirs(base: Path, directory: Path) -> None:
    made = base
    for part in directory.relative_to(base).parts:
        made /= part
        made.mkdir(exist_ok=True, mode=0o700)


def _place(path: Path, content: bytes) -> None:
    """Put a whole, synced file at ``path``, unless one is there already: that one stays."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # A link is the exclusive create of a whole file: it never replaces, and no reader sees half of it.
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        Path(temporary).unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

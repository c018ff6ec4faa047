"""Seals extracts to recipients in the age format, which they open with stock ``age``. The only home of pyrage.

* A recipient is an ``age1...`` key (also the post-quantum and tag ones), or an SSH public key: ``ssh-ed25519`` or
  ``ssh-rsa``.
* Every recipient given can open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import pyrage

from gateway.errors import KeyMissingError, StorageError

_KINDS: tuple[tuple[str, Callable[[str], Any]], ...] = (
    ("age1tagpq1", pyrage.tagpq.Recipient.from_str),
    ("age1tag1", pyrage.tag.Recipient.from_str),
    ("age1", pyrage.x25519.Recipient.from_str),
    ("ssh-ed25519 ", pyrage.ssh.Recipient.from_str),
    ("ssh-rsa ", pyrage.ssh.Recipient.from_str),
)
"""How a recipient begins, and who reads it. The first that fits decides."""


def parse_recipient(text: str) -> str:
    """Check a recipient's key and return it on one line without its comment.

    Raises:
        KeyMissingError: it is not a key that can be sealed to, or it is a private one.
    """
    line = text.strip()
    if line.upper().startswith("AGE-SECRET-KEY-") or "PRIVATE KEY" in line:
        raise KeyMissingError(
            "This is a private key.",
            did="It was not kept.",
            remedy="Ask for the public one (`age-keygen -y FILE`); the private one was exposed: have it replaced.",
        )
    line = " ".join(line.split()[:2]) if line.startswith("ssh-") else line
    _read(line)
    return line


def seal_to_age(source: BinaryIO, sink: BinaryIO, recipients: Sequence[str]) -> None:
    """Seal a stream in the age format.

    Raises:
        KeyMissingError: there is no recipient, or one is not a key.
        StorageError: reading or writing failed.
    """
    if not recipients:
        raise KeyMissingError(
            "There is no key to seal to.",
            did="Nothing was sealed.",
            remedy="Add one: `gateway recipient add CODE --age-key age1...`.",
        )
    readers = [_read(parse_recipient(recipient)) for recipient in recipients]
    try:
        pyrage.encrypt_io(source, sink, readers)
    except (pyrage.EncryptError, OSError) as error:
        raise StorageError("Sealing to age failed.", did="Nothing was handed over.", passing=True) from error


def _read(line: str) -> Any:
    for beginning, reader in _KINDS:
        if line.startswith(beginning):
            try:
                return reader(line)
            except (pyrage.RecipientError, ValueError) as error:
                raise _not_a_key() from error
    raise _not_a_key()


def _not_a_key() -> KeyMissingError:
    return KeyMissingError(
        "This is not a key that an extract can be sealed to.",
        did="It was not used.",
        remedy="Give the whole line of an age public key (age1...), or of an ssh-ed25519 or ssh-rsa public key.",
    )

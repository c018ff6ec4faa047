"""The file that says whose signature counts: OpenSSH's ``allowed_signers``, as ``ssh-keygen -Y verify`` reads it.

* One line a key: who, for what (namespace), from when and until when, and the key.
* The ledger's key stands in it too, under a name and namespace of its own, so that one file is all an authority keeps.
* A retired key stays in the file with its last day: what it signed before then stays valid.
* A key without dates gets no dates in the file: older OpenSSH reads it as well.
"""

from __future__ import annotations

import re
import struct
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

IDENTITY = "gateway"
"""Who signs receipts (``ssh-keygen -Y verify -I``)."""

RECEIPT_NAMESPACE = "receipt@gateway.london"
"""What a receipt's signature is for (``ssh-keygen -Y verify -n``)."""

LEDGER_IDENTITY = "ledger"
"""Under which name the key of the ledger's checkpoints stands in the file."""

CHECKPOINT_NAMESPACE = "checkpoint@gateway.london"
"""What the ledger's key is for. Nothing else is ever signed with it."""

_KEY_TYPE = "ssh-ed25519"
_KEY_BYTES = 32
_ONE = r'(namespaces|valid-after|valid-before)="([^"]*)"'
_OPTION = re.compile(_ONE)
_LINE = re.compile(rf"(?P<names>\S+) (?P<options>{_ONE}(?:,{_ONE})*) {_KEY_TYPE} (?P<key>\S+)(?: .*)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class AllowedSigner:
    """One line of the file."""

    identity: str
    namespace: str
    public: bytes
    """Raw Ed25519 key, 32 bytes."""
    valid_after: datetime | None = None
    valid_before: datetime | None = None

    def valid_at(self, at: datetime | None) -> bool:
        """Say whether the key counts for what was signed at an instant. Where the instant is not known: no dates."""
        if at is None:
            return self.valid_after is None and self.valid_before is None
        return (self.valid_after is None or self.valid_after <= at) and (
            self.valid_before is None or at < self.valid_before
        )

    @property
    def public_line(self) -> str:
        """The key as OpenSSH writes it."""
        blob = b"".join(struct.pack(">I", len(part)) + part for part in (_KEY_TYPE.encode(), self.public))
        return f"{_KEY_TYPE} {b64encode(blob).decode()}"

    def line(self) -> str:
        """Return the line of the file, without its end."""
        options = [f'namespaces="{self.namespace}"']
        options += [f'valid-after="{_stamp(self.valid_after)}"'] if self.valid_after else []
        options += [f'valid-before="{_stamp(self.valid_before)}"'] if self.valid_before else []
        return f"{self.identity} {','.join(options)} {self.public_line}"


def receipt_signer(
    public: bytes, valid_after: datetime | None = None, valid_before: datetime | None = None
) -> AllowedSigner:
    """Return the line of a key that signs receipts."""
    return AllowedSigner(
        identity=IDENTITY,
        namespace=RECEIPT_NAMESPACE,
        public=public,
        valid_after=valid_after,
        valid_before=valid_before,
    )


def ledger_signer(
    public: bytes, valid_after: datetime | None = None, valid_before: datetime | None = None
) -> AllowedSigner:
    """Return the line of a key that signs the ledger's checkpoints."""
    return AllowedSigner(
        identity=LEDGER_IDENTITY,
        namespace=CHECKPOINT_NAMESPACE,
        public=public,
        valid_after=valid_after,
        valid_before=valid_before,
    )


def allowed_signers_text(signers: Iterable[AllowedSigner]) -> str:
    """Return the whole file."""
    return "".join(f"{one.line()}\n" for one in signers)


def read_allowed_signers(text: str) -> list[AllowedSigner]:
    """Read the file. A line without a namespace, with other options or another kind of key is passed over.

    Raises:
        ValueError: a line of ours is broken.
    """
    found: list[AllowedSigner] = []
    for line in text.splitlines():
        matched = _LINE.fullmatch(line.strip())
        if matched is None:
            continue
        options = dict(_OPTION.findall(matched["options"]))
        found += [
            AllowedSigner(
                identity=name,
                namespace=namespace,
                public=_public(matched["key"]),
                valid_after=_instant(options.get("valid-after")),
                valid_before=_instant(options.get("valid-before")),
            )
            for name in matched["names"].split(",")
            for namespace in options.get("namespaces", "").split(",")
            if namespace
        ]
    return found


def _public(text: str) -> bytes:
    blob = b64decode(text, validate=True)
    head = struct.pack(">I", len(_KEY_TYPE)) + _KEY_TYPE.encode() + struct.pack(">I", _KEY_BYTES)
    if not blob.startswith(head) or len(blob) != len(head) + _KEY_BYTES:
        message = "not an Ed25519 key"
        raise ValueError(message)
    return blob[len(head) :]


def _stamp(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%d%H%M%SZ}"


def _instant(stamp: str | None) -> datetime | None:
    """Read a time as OpenSSH writes it; where it names no zone, it is read as UTC."""
    if stamp is None:
        return None
    digits = stamp.removesuffix("Z")
    form = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}.get(len(digits))
    if form is None or not digits.isdecimal():
        message = f"not a time of OpenSSH: {stamp[:20]!r}"
        raise ValueError(message)
    return datetime.strptime(digits, form).replace(tzinfo=UTC)

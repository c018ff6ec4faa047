"""Who may come in: public keys only, looked up at each connection, so that revoking acts at once."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

import paramiko
import structlog

from gateway.clock import Clock
from gateway.db import accounts as rows
from gateway.db.core import Database
from gateway.domain.names import AuthorityCode, Owner, RecipientCode, authority_owner, recipient_owner
from gateway.errors import DatabaseUnavailableError, KeyMissingError

log = structlog.get_logger()

ALLOWED_KINDS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
)
"""Kinds of key; RSA keys sign with SHA-2 only (the listener offers nothing else)."""

_SHORTEST_RSA_BITS = 2048


@dataclass(frozen=True, kw_only=True, slots=True)
class Admitted:
    """Who came in, with which key."""

    owner: Owner
    key_name: str
    fingerprint: str


@dataclass(frozen=True, kw_only=True, slots=True)
class NotAdmitted:
    """Why somebody did not come in: for our log. The client hears the same whatever it was."""

    why: str


def fingerprint(blob: bytes) -> str:
    """Return a key's fingerprint as OpenSSH shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def read_public_key(text: str) -> tuple[str, str, str]:
    """Read an OpenSSH public key line; return its kind, the line without its comment, and its fingerprint.

    Raises:
        KeyMissingError: it is no public key, or of a kind that is not let in.
    """
    words = text.split()
    try:
        kind, blob = words[0], base64.b64decode(words[1], validate=True)
    except (IndexError, ValueError) as error:
        raise KeyMissingError(
            "This is not an OpenSSH public key.", remedy="Give the .pub file, for example id_ed25519.pub."
        ) from error
    if kind not in ALLOWED_KINDS:
        raise KeyMissingError(
            f"Keys of the kind {kind[:40]} are not let in.", remedy="Make one with: ssh-keygen -t ed25519"
        )
    try:
        key = paramiko.PKey.from_type_string(kind, blob)
    except (paramiko.SSHException, ValueError, TypeError) as error:
        raise KeyMissingError("This public key is damaged.", remedy="Copy the .pub file again.") from error
    if kind == "ssh-rsa" and key.get_bits() < _SHORTEST_RSA_BITS:
        raise KeyMissingError("This RSA key is too short.", remedy="Make one with: ssh-keygen -t ed25519")
    return kind, f"{kind} {words[1]}", fingerprint(blob)


class Accounts:
    """Looks keys up."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def admit(self, user: str, blob: bytes) -> Admitted | NotAdmitted:
        """Say who a user with a key is, or why the key does not open that home. The reason is for the log only."""
        wanted = fingerprint(blob)
        now = self._clock.now()
        known = False
        with self._database.read() as connection:
            for owner in (authority_owner(AuthorityCode(user)), recipient_owner(RecipientCode(user))):
                for key in rows.list_keys(connection, owner):
                    known = True
                    if key.fingerprint == wanted:
                        if key.opens(now):
                            return Admitted(owner=owner, key_name=key.name, fingerprint=wanted)
                        return NotAdmitted(why="expired key" if key.revoked_at is None else "revoked key")
        return NotAdmitted(why="unknown key" if known else "unknown user")

    def used(self, admitted: Admitted) -> None:
        """Remember that a key was used; a full disk keeps nobody from their receipts."""
        try:
            with self._database.write() as tx:
                rows.key_used(tx, admitted.owner, admitted.fingerprint, self._clock.now())
        except DatabaseUnavailableError as error:
            log.warning("a key's use could not be noted", action="key_used", trouble=error.happened)

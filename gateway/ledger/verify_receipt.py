"""Checks a receipt offline, as a court or an auditor would: without the gateway and without its database.

1. The signature fits the receipt, byte for byte, and was made for receipts.
2. The checkpoint in it was signed by the ledger's key.
3. The event in it lies in the ledger of that checkpoint (inclusion proof).
4. The event is about what the receipt says: this submission, this outcome, this file.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.domain.merkle import leaf_hash
from gateway.domain.states import State
from gateway.errors import KeyMissingError, RecordAlteredError, TamperedError
from gateway.ledger.checkpoint import read_checkpoint
from gateway.ledger.proofs import verify_inclusion
from gateway.ledger.signers import (
    CHECKPOINT_NAMESPACE,
    IDENTITY,
    LEDGER_IDENTITY,
    RECEIPT_NAMESPACE,
    AllowedSigner,
    read_allowed_signers,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceiptVerdict:
    """What a verified receipt says."""

    kind: str
    submission: str
    authority: str
    outcome: str
    event: int
    ledger_size: int


def verify_receipt(
    receipt: bytes, verify_signature: Callable[[bytes], None], ledger_public: bytes, *former: bytes
) -> ReceiptVerdict:
    """Check a receipt offline: its signature, its checkpoint, and its event's place in the ledger.

    Args:
        receipt: the JSON file, byte for byte.
        verify_signature: raises ``TamperedError`` where the signature does not fit the bytes.
        ledger_public: raw Ed25519 key of the ledger.
        former: keys the ledger was signed with before.

    Raises:
        TamperedError: the signature does not fit.
        RecordAlteredError: the proof does not hold, or the event is about something else.
    """
    verify_signature(receipt)
    try:
        read = json.loads(receipt)
        ledger = read["ledger"]
        body, seq = str(ledger["body"]).encode(), int(ledger["event"])
        event = json.loads(body)
        verdict = ReceiptVerdict(
            kind=read["kind"],
            submission=read["submission"],
            authority=read["authority"]["code"],
            outcome=read.get("outcome", "received"),
            event=seq,
            ledger_size=int(ledger["size"]),
        )
        checkpoint = read_checkpoint(ledger["checkpoint"], ledger_public, *former)
        proof = [b64decode(one, validate=True) for one in ledger["proof"]]
        told = (ledger["leaf"], ledger["size"], ledger["root"])
        about = _about_the_same(event, read)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TamperedError("This is not a receipt of the gateway.", remedy="Fetch it again from receipts/.") from error
    leaf = leaf_hash(body)
    verify_inclusion(leaf, seq, checkpoint.size, proof, checkpoint.root)
    if told != (b64encode(leaf).decode(), checkpoint.size, b64encode(checkpoint.root).decode()):
        raise RecordAlteredError("The receipt says another thing of the ledger than its checkpoint does.")
    if not about:
        raise RecordAlteredError("The proof in this receipt is about something else.", remedy="Fetch it again.")
    return verdict


def check_receipt(
    receipt: bytes,
    signature: str,
    allowed_signers: str,
    verify: Callable[[bytes, str, str, str], None],
) -> ReceiptVerdict:
    """Check a receipt with nothing but the three files an authority keeps.

    A retired key counts for what was issued while it was valid.

    Args:
        receipt: the JSON file, byte for byte.
        signature: the text of its ``.sig``.
        allowed_signers: the text of ``allowed_signers``.
        verify: checks an SSH signature given message, signature, namespace and public key line; raises
            ``TamperedError`` (``gateway.sealing.sshsig.verify``).

    Raises:
        KeyMissingError: the file names no key for receipts, or none for the ledger, that was valid then.
        TamperedError: the signature does not fit, or a line of ``allowed_signers`` is broken.
        RecordAlteredError: the proof does not hold.
    """
    try:
        signers, at = read_allowed_signers(allowed_signers), _issued_at(receipt)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TamperedError(
            "This is not a receipt of the gateway, or not its allowed_signers.", remedy="Fetch both again."
        ) from error
    for_receipts = _valid(signers, IDENTITY, RECEIPT_NAMESPACE, at)
    ledger = [one.public for one in _valid(signers, LEDGER_IDENTITY, CHECKPOINT_NAMESPACE, at)]

    def fits(message: bytes) -> None:
        *others, last = for_receipts
        for one in others:
            try:
                return verify(message, signature, RECEIPT_NAMESPACE, one.public_line)
            except TamperedError:
                continue
        return verify(message, signature, RECEIPT_NAMESPACE, last.public_line)

    return verify_receipt(receipt, fits, *ledger)


def _issued_at(receipt: bytes) -> datetime | None:
    told = json.loads(receipt).get("issued_at")
    # A time without a zone is read as UTC, as it says; so that a forged one cannot make a comparison fail.
    return datetime.fromisoformat(told["utc"]).replace(tzinfo=UTC) if told else None


def _valid(
    signers: Sequence[AllowedSigner], identity: str, namespace: str, at: datetime | None
) -> Sequence[AllowedSigner]:
    found = [one for one in signers if one.identity == identity and one.namespace == namespace and one.valid_at(at)]
    if not found:
        raise KeyMissingError(
            f"allowed_signers names no key of {identity!r} for {namespace} that was valid when this was issued.",
            remedy="Fetch allowed_signers again from receipts/.",
        )
    return found


def _about_the_same(event: Mapping[str, Any], receipt: Mapping[str, Any]) -> bool:
    """Say whether an event is the one a receipt speaks of."""
    if event["subject"] != f"submission:{receipt['submission']}":
        return False
    if receipt["kind"] == "arrival":
        (file,) = receipt["files"]
        return bool(event["action"] == "received" and event["facts"]["sha256"] == file["sha256"])
    outcome = receipt["outcome"]
    # What was superseded in the meantime was accepted first, and that is the event.
    return bool(event["action"] == (State.ACCEPTED.value if outcome == State.SUPERSEDED.value else outcome))

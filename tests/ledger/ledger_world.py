"""A ledger in memory, keys that never change, and receipts made of them."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.domain.events import Event
from gateway.domain.finding import ReportSummary
from gateway.domain.merkle import ReadNode, completed_nodes, leaf_hash, root
from gateway.domain.names import AuthorityCode, Channel, CollectionId, Digest, FileId, SubmissionId
from gateway.domain.period import Period
from gateway.domain.states import State
from gateway.domain.submission import ReceivedFile, Submission
from gateway.ledger.checkpoint import Checkpoint, make_checkpoint
from gateway.ledger.receipts import Timeliness, arrival_receipt, canonical, evidence, outcome_receipt
from gateway.ledger.signers import RECEIPT_NAMESPACE, allowed_signers_text, ledger_signer, receipt_signer
from gateway.sealing.sshsig import Signer

START = datetime(2026, 10, 20, 21, 58, 30, tzinfo=UTC)
SUBMISSION = SubmissionId("01999c0a-7d1e-7c3a-9a51-5f3a1c0f9a7e")
FILE = FileId("01999c0a-7d1e-7c3a-9a51-0000000000aa")


def signer(name: str) -> Signer:
    """Return the same signer for the same name, always."""
    return Signer(Ed25519PrivateKey.from_private_bytes(sha256(f"a test's key: {name}".encode()).digest()))


RECEIPTS, LEDGER, STRANGER = signer("receipts"), signer("ledger"), signer("stranger")
ALLOWED = allowed_signers_text([receipt_signer(RECEIPTS.public_bytes()), ledger_signer(LEDGER.public_bytes())])


def read_from(leaves: Sequence[bytes]) -> ReadNode:
    """Return a reader of the nodes that a ledger of these leaves keeps."""
    nodes: dict[tuple[int, int], bytes] = {}
    for index, leaf in enumerate(leaves):
        for level, position, hashed in completed_nodes(index, leaf, lambda level, at: nodes[level, at]):
            nodes[level, position] = hashed
    return lambda level, position: nodes[level, position]


def leaves_of(count: int) -> list[bytes]:
    """Return leaves that differ."""
    return [leaf_hash(number.to_bytes(4, "big")) for number in range(count)]


def checkpoint_of(leaves: Sequence[bytes], by: Signer = LEDGER) -> Checkpoint:
    """Return a signed checkpoint of a ledger of these leaves."""
    return make_checkpoint(len(leaves), root(len(leaves), read_from(leaves)), by.public_bytes(), by.sign_raw)


def event(number: int) -> Event:
    """Return one of many events."""
    at = START + timedelta(seconds=number)
    return Event(action="received", subject=f"submission:{number}", at=at, facts={"size_bytes": number})


def submission(state: State = State.ACCEPTED) -> Submission:
    """Return a return of Camden."""
    name = "Camden RIIA Q2 (final) naïve £.csv"
    digest = Digest(sha256(b"synthetic").hexdigest())
    at = START + timedelta(microseconds=123456)
    file = ReceivedFile(id=FILE, name=name, resource="riia", digest=digest, size_bytes=12345, received_at=at)
    return Submission(
        id=SUBMISSION,
        authority=AuthorityCode("camden"),
        collection=CollectionId("riia-quarterly"),
        period=Period.parse("2026-27-Q2"),
        version=2,
        state=state,
        channel=Channel.SFTP,
        sent_by="laptop SHA256:q83vEjRWeJA",
        received_at=at,
        last_file_at=at,
        files=(file,),
    )


def accepted_event() -> Event:
    """Return the event of acceptance."""
    at = START + timedelta(seconds=2)
    return Event(action="accepted", subject=f"submission:{SUBMISSION}", at=at, facts={"version": 2})


def received_event() -> Event:
    """Return the event of the file's arrival."""
    facts = {"file": FILE, "sha256": submission().files[0].digest, "size_bytes": 12345}
    return Event(
        action="received", subject=f"submission:{SUBMISSION}", at=START, key=f"file:{FILE}/received", facts=facts
    )


def proof_of(about: Event, seq: int = 5, size: int = 11, by: Signer = LEDGER) -> dict[str, Any]:
    """Return the evidence that an event is number ``seq`` of a ledger of ``size``."""
    bodies = [about.canonical() if at == seq else event(at).canonical() for at in range(size)]
    leaves = [leaf_hash(body) for body in bodies]
    return evidence(seq, bodies[seq], checkpoint_of(leaves, by), read_from(leaves))


def arrival(**changes: Any) -> dict[str, Any]:
    """Return an arrival receipt."""
    return (
        arrival_receipt(
            submission(),
            submission().files[0],
            name="riia-quarterly-000000aa.arrival.json",
            authority_name="Camden",
            missing=("episodes",),
            issued_at=START + timedelta(seconds=1),
            ledger=proof_of(received_event()),
        )
        | changes
    )


def outcome(state: State = State.ACCEPTED, **changes: Any) -> dict[str, Any]:
    """Return an outcome receipt."""
    report = ReportSummary(accepted=True, errors=0, queries=1, by_code={"riia-subset": 1}, rows={"riia": 31})
    about = Event(action=state.value, subject=f"submission:{SUBMISSION}", at=START)
    return (
        outcome_receipt(
            submission(),
            state,
            name="riia-quarterly-v2-5f3a1c0f.outcome.json",
            authority_name="Camden",
            reason="",
            report=report,
            timeliness=Timeliness(due=date(2026, 10, 28), in_time=True),
            duplicate_of=None,
            issued_at=START + timedelta(seconds=3),
            ledger=proof_of(accepted_event() if state is State.ACCEPTED else about),
        )
        | changes
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Papers:
    """The three files an authority keeps."""

    receipt: bytes
    signature: str
    allowed: str


def papers(receipt: dict[str, Any], by: Signer = RECEIPTS, allowed: str = ALLOWED) -> Papers:
    """Sign a receipt."""
    content = canonical(receipt)
    return Papers(receipt=content, signature=by.sign(content, RECEIPT_NAMESPACE), allowed=allowed)


@functools.cache
def good() -> Papers:
    """Return papers that are good."""
    return papers(outcome())


def altered(receipt: dict[str, Any], **ledger: Any) -> dict[str, Any]:
    """Return a receipt that says other things of the ledger."""
    copy: dict[str, Any] = json.loads(canonical(receipt))
    copy["ledger"] |= ledger
    return copy

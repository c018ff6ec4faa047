"""What an authority gets back: signed receipts, placed in its home.

* An arrival receipt says "this file is here, whole, and this is its digest"; it is given for every file.
* An outcome receipt says what became of the submission. Both carry the ledger's signed checkpoint and a proof.
* A receipt's place in the home is its natural key: given twice, it is one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Any, Protocol

from gateway.clock import Clock
from gateway.db import ledger as ledger_rows
from gateway.db import submissions as rows
from gateway.db.core import Database, Transaction
from gateway.domain import merkle
from gateway.domain.events import Event, Fact
from gateway.domain.finding import ReportSummary
from gateway.domain.names import AuthorityCode, Digest, FileId, Owner, SubmissionId, authority_owner
from gateway.domain.states import State
from gateway.domain.submission import Receipt, ReceivedFile, Submission
from gateway.homes import Area, Shelf
from gateway.ledger.checkpoint import make_checkpoint
from gateway.ledger.receipts import (
    RECEIPT_NAMESPACE,
    Timeliness,
    arrival_receipt,
    canonical,
    evidence,
    outcome_receipt,
    receipt_page,
)


class Signs(Protocol):
    """Signs receipts."""

    def sign(self, message: bytes, namespace: str) -> str:
        """Return an armoured SSH signature."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """When a return was due, and whether it came in time."""

    on: str
    in_time: bool


def stem(submission: Submission) -> str:
    """Return what a submission's papers are called, for example ``ssda903-v2-1f0c9a7e``."""
    return f"{submission.collection or 'unrecognised'}-v{submission.version}-{submission.id[-8:]}"


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Makes receipts and places them.

    Attributes:
        ledger_public: raw Ed25519 key of the ledger's checkpoints.
        ledger_sign: signs with it.
        due: when a submission's return was due; None where nothing is expected.
    """

    database: Database
    shelf: Shelf
    signer: Signs
    ledger_public: bytes
    ledger_sign: Callable[[bytes], bytes]
    name: Callable[[AuthorityCode], str]
    due: Callable[[Submission], Due | None]
    clock: Clock

    def home(self, submission: Submission) -> Owner:
        """Return whose home the papers go to."""
        return authority_owner(submission.authority)

    def arrival(self, submission: Submission, file: FileId, missing: tuple[str, ...]) -> None:
        """Give the arrival receipt of one file."""
        found = [one for one in submission.files if one.id == file]
        about = found[0] if found else self._replaced(file)
        name = f"{submission.collection or 'unrecognised'}-{file[-8:]}.arrival"
        receipt = arrival_receipt(
            submission,
            about,
            name=f"{name}.json",
            authority_name=self.name(submission.authority),
            missing=missing,
            issued_at=self.clock.now(),
            ledger=self._evidence(f"file:{file}/received"),
        )
        self._place(submission, name, receipt)

    def outcome(
        self,
        submission: Submission,
        outcome: State,
        reason: str,
        report: ReportSummary | None,
        duplicate_of: SubmissionId | None,
    ) -> Receipt:
        """Give the outcome receipt of a submission."""
        due = self.due(submission)
        action = outcome if outcome is not State.SUPERSEDED else State.ACCEPTED
        name = f"{stem(submission)}.outcome"
        receipt = outcome_receipt(
            submission,
            outcome,
            name=f"{name}.json",
            authority_name=self.name(submission.authority),
            reason=reason,
            report=report,
            timeliness=Timeliness(due=date.fromisoformat(due.on), in_time=due.in_time) if due else None,
            duplicate_of=duplicate_of,
            issued_at=self.clock.now(),
            ledger=self._evidence(f"submission:{submission.id}/{action.value}"),
        )
        path, digest = self._place(submission, name, receipt)
        return Receipt(submission=submission.id, outcome=outcome, path=path, digest=digest)

    def record(self, tx: Transaction, submission: Submission, receipt: Receipt, at: datetime) -> None:
        """Put on the ledger that the receipt was given."""
        facts: dict[str, Fact] = {"outcome": receipt.outcome.value, "sha256": receipt.digest}
        if receipt.outcome is State.ACCEPTED:
            rows.record(tx, submission, State.RECEIPTED, at, facts)
        else:
            tx.append(Event(action="receipted", subject=f"submission:{submission.id}", at=at, facts=facts))

    def _evidence(self, key: str) -> dict[str, Any]:
        with self.database.read() as connection:
            found = ledger_rows.by_key(connection, key)
            if found is None:
                message = f"no event {key}"
                raise LookupError(message)
            size, read = ledger_rows.event_count(connection), ledger_rows.node_reader(connection)
            checkpoint = make_checkpoint(size, merkle.root(size, read), self.ledger_public, self.ledger_sign)
            proof = evidence(found[0], found[1], checkpoint, read)
        with self.database.write() as tx:
            ledger_rows.keep_checkpoint(tx, checkpoint.size, checkpoint.text, self.clock.now())
        return proof

    def _place(self, submission: Submission, name: str, receipt: dict[str, Any]) -> tuple[str, Digest]:
        """Sign and place a receipt; where one lies already, that one stands."""
        home, folder = self.home(submission), submission.folder
        there = self.shelf.read(home, Area.RECEIPTS, folder, f"{name}.json")
        content = there or canonical(receipt)
        if there is None:
            self.shelf.put(home, Area.RECEIPTS, folder, f"{name}.json", content)
            content = self.shelf.read(home, Area.RECEIPTS, folder, f"{name}.json") or content
        # The page shows what lies there, also where a crash came between the two.
        page = receipt_page(json.loads(content), f"{name}.json").encode()
        self.shelf.put(home, Area.RECEIPTS, folder, f"{name}.html", page)
        # Signed last and over what lies there: an Ed25519 signature of the same bytes is the same.
        signature = self.signer.sign(content, RECEIPT_NAMESPACE).encode()
        self.shelf.put(home, Area.RECEIPTS, folder, f"{name}.json.sig", signature)
        return f"{Area.RECEIPTS}/{folder}/{name}.json", Digest(sha256(content).hexdigest())

    def _replaced(self, file: FileId) -> ReceivedFile:
        with self.database.read() as connection:
            return rows.load_file(connection, file)

"""The story of one submission: received, scanned, validated, sealed, stored, routed, receipted.

Read ``carry`` first: it is the whole of it. Everything below is a footnote to one of its words.

* Each word is a durable step (``once``): after a crash a finished step's small result is handed back, and an
  unfinished one is done again. So every step is safe to repeat: same key, same place, same event.
* What is wrong with *their* data is a ``Refusal`` and is answered; what is wrong with *us* is a ``GatewayError`` and is
  never caught here: the engine tries again, and at last a person is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import structlog

from gateway.answers import Answers, stem
from gateway.clock import Clock
from gateway.db import submissions as rows
from gateway.db.core import Database, Transaction
from gateway.domain.collection import Collection
from gateway.domain.events import Fact
from gateway.domain.finding import ReportSummary
from gateway.domain.names import AuthorityCode, CollectionId, FileId, SubmissionId
from gateway.domain.states import State
from gateway.domain.submission import (
    Checked,
    Receipt,
    ReceivedFile,
    Refusal,
    Return,
    Routed,
    Sealed,
    Stored,
    Submission,
)
from gateway.engine import Once
from gateway.errors import StorageError
from gateway.homes import Area, Shelf
from gateway.sealing.seal import Sealer
from gateway.storage.port import Storage
from gateway.validation.report import ReportHeading, render_csv, render_html, render_json
from gateway.validation.scanner import Scanner
from gateway.validation.validate import AuthorityNumbers, normalised_tables, validate

log = structlog.get_logger()


def carry(submission: SubmissionId, once: Once, steps: Steps) -> Receipt:
    """Take one submission to its receipt. Safe to call again after a crash."""
    received = once("received", steps.take_up, submission)
    checked = once("scanned", steps.scan, received)
    if isinstance(checked, Refusal):
        return once("receipted", steps.answer, checked)
    accepted = once("validated", steps.validate, checked)
    if isinstance(accepted, Refusal):
        return once("receipted", steps.answer, accepted)
    sealed = once("sealed", steps.seal, accepted)
    stored = once("stored", steps.store, sealed)
    routed = once("routed", steps.route, stored)
    return once("receipted", steps.receipt, routed)


class Holding(Protocol):
    """The spool: what was received, encrypted."""

    def open(self, file: FileId) -> BinaryIO:
        """Open a received file for reading."""


class Route(Protocol):
    """Decides and delivers, for every recipe of a collection."""

    def __call__(self, collection: CollectionId, period: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the deliveries made and the refusals, each in words."""


class Directory(Protocol):
    """Who the authorities are."""

    def name(self, authority: AuthorityCode) -> str:
        """Return an authority's full name."""

    def numbers(self, authority: AuthorityCode) -> AuthorityNumbers:
        """Return the numbers that an authority's files must carry."""


class Announce(Protocol):
    """Raises a notice to an authority, in the transaction that records what it is about."""

    def __call__(self, tx: Transaction, outcome: State, submission: Submission, report: ReportSummary | None) -> None:
        """Raise it once."""


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The steps, and the hands they need."""

    database: Database
    holding: Holding
    catalogue: Mapping[CollectionId, Collection]
    directory: Directory
    scanner: Scanner
    sealer: Sealer
    storage: Storage
    shelf: Shelf
    route_all: Route
    answers: Answers
    announce: Announce
    clock: Clock

    def take_up(self, submission: SubmissionId) -> Submission:
        """*Received*: read what is to be carried."""
        with self.database.read() as connection:
            return rows.load(connection, submission).submission

    def scan(self, submission: Submission) -> Checked | Refusal:
        """*Scanned*: is it new, is it recognised, is it free of known malware?"""
        with self.database.read() as connection:
            first = rows.load(connection, submission.id).duplicate_of
        if first is not None:
            reason = f"The same bytes were received before, as submission {first}. That one stands."
            return self._refuse(submission, State.DUPLICATED, reason, duplicate_of=first)
        if submission.collection is None or submission.period is None:
            return self._refuse(submission, State.QUARANTINED, submission.trouble)
        for file in submission.files:
            signature = self.scanner.scan(self._opener(file))
            if signature is not None:
                reason = f"The malware scanner found {signature} in file {file.id}. Clean it and send it again."
                return self._refuse(submission, State.QUARANTINED, reason)
        self._record(submission, State.SCANNED, {"scanner": self.scanner.name})
        return Checked(
            submission=submission,
            collection=submission.collection,
            period=submission.period,
            scanner=self.scanner.name,
        )

    def validate(self, checked: Checked) -> Return | Refusal:
        """*Validated*: every rule of the collection's data package; the report goes to the authority's own home."""
        submission = checked.submission
        verdict = validate(
            checked,
            self._contents(submission),
            self.catalogue[checked.collection],
            self.directory.numbers(submission.authority),
        )
        heading = ReportHeading(
            submission=submission.id,
            authority=self.directory.name(submission.authority),
            collection=self.catalogue[checked.collection].title,
            period=checked.period.label,
            version=submission.version,
            received_at=submission.received_at,
            files=tuple(file.name for file in submission.files),
        )
        report, name = verdict.report, stem(submission)
        self.shelf.put_all(
            self.answers.home(submission),
            Area.REPORTS,
            submission.folder,
            {
                f"{name}.report.html": render_html(report, heading).encode(),
                f"{name}.report.csv": render_csv(report),
                f"{name}.report.json": render_json(report),
            },
        )
        summary = report.summary()
        if verdict.accepted is None:
            errors = summary.errors
            reason = f"Validation found {errors} {'error' if errors == 1 else 'errors'}; see {name}.report.html."
            return self._refuse(submission, State.REJECTED, reason, report=summary)
        return self._accept(verdict.accepted)

    def seal(self, accepted: Return) -> Sealed:
        """*Sealed*: ciphertext to the collection's own key."""
        submission = accepted.submission
        tables = normalised_tables(accepted, self._contents(submission), self.catalogue[accepted.collection])
        sealed = self.sealer.seal(accepted, tables)
        self._record(submission, State.SEALED, {"objects": len(sealed.objects), "key": sealed.recipient_key})
        return sealed

    def store(self, sealed: Sealed) -> Stored:
        """*Stored*: in LIIA's storage, never over something that is there."""
        submission = sealed.accepted.submission
        for one in sealed.objects:
            waiting = Path(one.holding)
            if not one.holding or not waiting.exists():
                if self.storage.head(one.key) is None:
                    raise StorageError(
                        f"The sealed bytes of {one.resource} of submission {submission.id} are gone from the holding.",
                        did="The submission waits.",
                        remedy=f"Run `gateway held release {submission.id}` to seal it again.",
                    )
                continue
            with waiting.open("rb") as source:
                self.storage.put(one.key, source, size=one.size_bytes, sha256=one.digest)
        with self.database.write() as tx:
            rows.add_stored(tx, sealed)
            facts = {one.resource: one.digest for one in sealed.objects}
            rows.record(tx, submission, State.STORED, self.clock.now(), {"sha256": _lines(facts)})
        self.sealer.let_go(sealed)
        return Stored(sealed=sealed)

    def route(self, stored: Stored) -> Routed:
        """*Routed*: every extract of the collection is decided; nothing leaves without an authorisation in force."""
        accepted = stored.sealed.accepted
        deliveries, refusals = self.route_all(accepted.collection, accepted.period.label)
        self._record(accepted.submission, State.ROUTED, {"deliveries": list(deliveries), "refusals": list(refusals)})
        return Routed(stored=stored, deliveries=deliveries, refusals=refusals)

    def receipt(self, routed: Routed) -> Receipt:
        """*Receipted*: signed evidence of acceptance."""
        accepted = routed.stored.sealed.accepted
        return self._finish(accepted.submission, State.ACCEPTED, "", accepted.report, None)

    def answer(self, refusal: Refusal) -> Receipt:
        """*Receipted*: signed evidence of a rejection, a quarantine, a duplicate, with the reason in words."""
        return self._finish(refusal.submission, refusal.state, refusal.reason, refusal.report, refusal.duplicate_of)

    def _accept(self, accepted: Return) -> Return | Refusal:
        submission, at = accepted.submission, self.clock.now()
        with self.database.write() as tx:
            facts: dict[str, Fact] = {
                "rows": dict(accepted.report.rows),
                "queries": accepted.report.queries,
                "version": submission.version,
            }
            rows.record(tx, submission, State.ACCEPTED, at, facts)
            stands = rows.supersede_older(tx, submission, at)
        log.info("accepted", action="accepted", submission=submission.id)
        if stands:
            return accepted
        reason = "It passed, and a newer version was accepted in the meantime; the newer one stands."
        return Refusal(submission=submission, state=State.SUPERSEDED, reason=reason, report=accepted.report)

    def _refuse(
        self,
        submission: Submission,
        state: State,
        reason: str,
        *,
        report: ReportSummary | None = None,
        duplicate_of: SubmissionId | None = None,
    ) -> Refusal:
        facts: dict[str, Fact] = {"by_code": dict(report.by_code)} if report else {}
        if duplicate_of is not None:
            facts["duplicate_of"] = duplicate_of
        self._record(submission, state, facts)
        return Refusal(submission=submission, state=state, reason=reason, report=report, duplicate_of=duplicate_of)

    def _finish(
        self,
        submission: Submission,
        outcome: State,
        reason: str,
        report: ReportSummary | None,
        duplicate_of: SubmissionId | None,
    ) -> Receipt:
        receipt = self.answers.outcome(submission, outcome, reason, report, duplicate_of)
        at = self.clock.now()
        with self.database.write() as tx:
            self.answers.record(tx, submission, receipt, at)
            self.announce(tx, outcome, submission, report)
            rows.finish(tx, submission.id, at)
        log.info("receipted", action="receipted", submission=submission.id, outcome=outcome.value)
        return receipt

    def _record(self, submission: Submission, state: State, facts: Mapping[str, Fact]) -> None:
        with self.database.write() as tx:
            rows.record(tx, submission, state, self.clock.now(), facts)
        log.info(state.value, action=state.value, submission=submission.id)

    def _opener(self, file: ReceivedFile) -> Callable[[], BinaryIO]:
        return lambda: self.holding.open(file.id)

    def _contents(self, submission: Submission) -> Sequence[tuple[ReceivedFile, Callable[[], BinaryIO]]]:
        return [(file, self._opener(file)) for file in submission.files]


def _lines(facts: Mapping[str, str]) -> list[str]:
    return [f"{name} {digest}" for name, digest in sorted(facts.items())]


def story(steps: Steps) -> Callable[[SubmissionId, Once], Receipt]:
    """Bind the story to its hands, for the engine."""
    return lambda submission, once: carry(submission, once, steps)


__all__ = ["Announce", "Directory", "Holding", "Route", "Steps", "carry", "story"]

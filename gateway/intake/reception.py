"""Where every drop comes in, whichever way: recognised, given its place in a submission, committed, acknowledged.

* Nothing is acknowledged before its bytes are on disk and its row and ledger event are committed (promise 1).
* A drop that is not recognised is kept and becomes a submission of its own, to be answered with what was expected.
* A file of a set joins the set that is still open for its return; a zip, a workbook or a manifest is a whole at once.
* What could not be committed is said to be so. A copy that reception itself made is then thrown away: its source is
  still there and comes again, and a disk must not fill up with one copy an attempt.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO, Protocol

import structlog
import uuid_utils

from gateway.clock import Clock
from gateway.db import submissions as rows
from gateway.db.core import Database, Transaction
from gateway.domain import collection as kinds
from gateway.domain.names import AuthorityCode, Channel, CollectionId, Digest, FileId, SubmissionId
from gateway.domain.period import Period
from gateway.domain.states import State
from gateway.domain.submission import Drop, ReceivedFile, Submission
from gateway.errors import DatabaseUnavailableError, GatewayError
from gateway.intake.drops import what_broke
from gateway.validation.catalogue import Catalogue
from gateway.validation.recognise import Recognised, Refused, Unrecognised, recognise, sniff

log = structlog.get_logger()

COPY_BYTES = 1024 * 1024


class SpoolPort(Protocol):
    """As much of the spool as reception needs."""

    def open(self, file: FileId) -> BinaryIO:
        """Open a whole file for reading."""

    def create(self, file: FileId) -> SpoolWriterPort:
        """Begin a file."""

    def discard(self, file: FileId) -> None:
        """Remove a file."""


class SpoolWriterPort(Protocol):
    """As much of a file being written as reception needs."""

    def write_at(self, offset: int, data: bytes) -> None:
        """Write bytes."""

    def finish(self) -> tuple[str, int]:
        """Make it durable; return digest and size."""

    def abandon(self) -> None:
        """Throw it away."""


NOT_RECOGNISED = Unrecognised(
    trouble="The file could not be read well enough to tell what it is.",
    remedy="Open it, save it again as CSV or XLSX, and send it again.",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Received:
    """What the gateway says back when a drop is in."""

    submission: SubmissionId
    file: FileId
    missing: tuple[str, ...] = ()
    """Tables a set still waits for."""


class Doorbell:
    """Tells the one who looks for work that there is some."""

    def __init__(self) -> None:
        self._rung = threading.Event()

    def ring(self) -> None:
        """Say that something came in."""
        self._rung.set()

    def wait(self, seconds: float) -> None:
        """Wait until it rings, at most so long."""
        self._rung.wait(seconds)
        self._rung.clear()


class Reception:
    """Turns drops into submissions."""

    def __init__(
        self, *, database: Database, spool: SpoolPort, catalogue: Catalogue, clock: Clock, doorbell: Doorbell
    ) -> None:
        self._database = database
        self._spool = spool
        self._catalogue = catalogue
        self._clock = clock
        self._doorbell = doorbell

    def receive(
        self, drop: Drop, *, delivery_key: str = "", also: Callable[[Transaction], None] | None = None
    ) -> Received:
        """Commit one drop.

        Args:
            drop: a file that lies whole and synced in the spool.
            delivery_key: natural key of the source (a bucket version, a folder's file); the file's own id if empty.
            also: what the way in changes in the same transaction, so that no crash can come between.

        Raises:
            GatewayError: it could not be committed; nothing is acknowledged, the bytes stay in the spool.
        """
        found = self._recognise(drop)
        received = self._commit(drop, found, delivery_key or f"file:{drop.file}", also)
        log.info("received", action="received", submission=received.submission, file=drop.file, bytes=drop.size_bytes)
        self._doorbell.ring()
        return received

    def _commit(
        self,
        drop: Drop,
        found: Recognised | Refused | Unrecognised,
        key: str,
        also: Callable[[Transaction], None] | None,
    ) -> Received:
        with self._database.write() as tx:
            # Two files of one set that come at once must find each other, or each opens a set of its own.
            tx.take_turns()
            if also is not None:
                also(tx)
            taken = rows.find_delivery(tx.connection, key)
            if taken is not None:
                return Received(submission=taken, file=drop.file)
            submission, whole = self._place_for(tx, drop, found)
            resource = found.resource if isinstance(found, Recognised) else None
            rows.add_file(
                tx,
                submission.id,
                ReceivedFile(
                    id=drop.file,
                    name=drop.name,
                    resource=resource,
                    digest=drop.digest,
                    size_bytes=drop.size_bytes,
                    received_at=drop.received_at,
                ),
                actor=f"authority:{drop.authority}",
                facts=_facts(submission, drop.channel),
                delivery_key=key,
            )
            missing = self.missing(rows.load(tx.connection, submission.id).submission)
            if whole:
                rows.complete(tx, submission.id, drop.received_at)
            return Received(submission=submission.id, file=drop.file, missing=() if whole else missing)

    def deliver(
        self,
        authority: AuthorityCode,
        folder: tuple[str, ...],
        name: str,
        source: BinaryIO,
        *,
        channel: Channel,
        sent_by: str,
        delivery_key: str = "",
    ) -> Received:
        """Take a readable stream into the spool and commit it: folder, bucket and command line come in here.

        Raises:
            SpoolFullError: there is no room.
            GatewayError: it could not be committed.
        """
        if delivery_key:
            with self._database.read() as connection:
                taken = rows.find_delivery(connection, delivery_key)
            if taken is not None:
                return Received(submission=taken, file=FileId(""))
        file = FileId(str(uuid_utils.uuid7()))
        writer = self._spool.create(file)
        try:
            offset = 0
            while block := source.read(COPY_BYTES):
                writer.write_at(offset, block)
                offset += len(block)
            digest, size = writer.finish()
        except BaseException:
            writer.abandon()
            raise
        drop = Drop(
            file=file,
            authority=authority,
            folder=folder,
            name=name,
            digest=Digest(digest),
            size_bytes=size,
            channel=channel,
            sent_by=sent_by,
            received_at=self._clock.now(),
        )
        try:
            return self.receive(drop, delivery_key=delivery_key)
        finally:
            self._throw_away_unless_received(file)

    def _throw_away_unless_received(self, file: FileId) -> None:
        """Remove a copy that is no submission's: its commit failed, or the same delivery was taken meanwhile."""
        try:
            with self._database.read() as connection:
                received = rows.is_received(connection, file)
        except DatabaseUnavailableError:
            # Whether the commit went through cannot be told now, so the copy stays.
            return
        if not received:
            self._spool.discard(file)

    def settle(self, gather: timedelta) -> int:
        """Complete sets that are whole and quiet, and those that waited ``gather`` in vain.

        Returns:
            How many were completed.
        """
        now = self._clock.now()
        with self._database.read() as connection:
            waiting = rows.still_gathering(connection)
        done = sum(
            self._complete_if_still_quiet(standing.submission.id, now, gather)
            for standing, _ in waiting
            if self._waited_enough(standing.submission, now, gather)
        )
        if done:
            self._doorbell.ring()
        return done

    def _waited_enough(self, submission: Submission, now: datetime, gather: timedelta) -> bool:
        kind = self._catalogue.get(submission.collection) if submission.collection is not None else None
        # A collection that was taken away meanwhile is no reason to wait: what came is answered.
        quiet = timedelta(seconds=kind.settle_seconds) if kind is not None else timedelta(0)
        return now - submission.last_file_at >= (gather if self.missing(submission) else quiet)

    def _complete_if_still_quiet(self, waiting: SubmissionId, now: datetime, gather: timedelta) -> bool:
        with self._database.write() as tx:
            tx.take_turns()
            standing = rows.load(tx.connection, waiting)
            # A file may have come since it was looked at; then the set waits on.
            if standing.completed_at is not None or not self._waited_enough(standing.submission, now, gather):
                return False
            rows.complete(tx, waiting, now)
            return True

    def _recognise(self, drop: Drop) -> Recognised | Refused | Unrecognised:
        """Tell what a drop is. Content that breaks the looking is kept and answered like any that is not known."""
        try:
            sniffed = sniff(lambda: self._spool.open(drop.file), drop.name)
            return recognise(self._catalogue, drop.folder, drop.name, sniffed)
        except (GatewayError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 (a file that no client can ever get rid of would be sent for ever)
            log.error("a file broke recognition", action="received", file=drop.file, trouble=what_broke(error))  # noqa: TRY400 (a trace could hold content)
            return NOT_RECOGNISED

    def _place_for(
        self, tx: Transaction, drop: Drop, found: Recognised | Refused | Unrecognised
    ) -> tuple[Submission, bool]:
        """Return the submission a drop belongs to, and whether it is whole with it."""
        is_part = False
        if isinstance(found, Recognised):
            kind = self._catalogue[found.collection]
            is_part = kind.shape is kinds.Shape.FILES and found.resource is not None
            open_one = rows.gathering(tx.connection, drop.authority, found.collection, found.period.label)
            if is_part and open_one is not None:
                return rows.load(tx.connection, open_one).submission, False
        submission = _new_submission(drop, found)
        rows.open_submission(tx, submission)
        return submission, not is_part

    def missing(self, submission: Submission) -> tuple[str, ...]:
        """Return the required tables that a set still waits for; none for a whole."""
        if submission.collection is None or submission.period is None or submission.collection not in self._catalogue:
            return ()
        package = self._catalogue[submission.collection].package_for(submission.period)
        here = {file.resource for file in submission.files}
        if package is None or None in here:
            return ()
        return tuple(one.name for one in package.resources if one.required and one.name not in here)


def _new_submission(drop: Drop, found: Recognised | Refused | Unrecognised) -> Submission:
    collection: CollectionId | None = None
    period: Period | None = None
    trouble = ""
    match found:
        case Recognised():
            collection, period = found.collection, found.period
        case Refused():
            trouble = found.reason
        case Unrecognised():
            trouble = f"{found.trouble} {found.remedy}".strip()
    return Submission(
        id=SubmissionId(str(uuid_utils.uuid7())),
        authority=drop.authority,
        collection=collection,
        period=period,
        version=0,
        state=State.RECEIVED,
        channel=drop.channel,
        sent_by=drop.sent_by,
        received_at=drop.received_at,
        last_file_at=drop.received_at,
        files=(),
        trouble=trouble,
    )


def _facts(submission: Submission, channel: Channel) -> Mapping[str, str]:
    return {
        "authority": submission.authority,
        "collection": submission.collection or "unrecognised",
        "period": submission.folder,
        "channel": channel.value,
    }

"""What was received and where it is: submissions, their files and their stored objects.

* A file's ``delivery_key`` is its natural key: the same folder or bucket version is taken once.
* A set of files is *gathering* until it is whole; then it gets its version, in the same transaction.
* ``record`` is the only way to change a state: it follows the transition table and appends the event of the same name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from gateway.db.core import Instant, Transaction, metadata
from gateway.domain.events import Event, Fact
from gateway.domain.expectation import Owed
from gateway.domain.names import AuthorityCode, Channel, CollectionId, Digest, FileId, SubmissionId
from gateway.domain.period import Period
from gateway.domain.states import ACCEPTED_STATES, State, may_follow
from gateway.domain.submission import ReceivedFile, Sealed, SealedObject, Submission
from gateway.errors import NotFoundError

submissions = sa.Table(
    "submissions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("authority", sa.Text, nullable=False),
    sa.Column("collection", sa.Text),
    sa.Column("period", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("sent_by", sa.Text, nullable=False),
    sa.Column("received_at", Instant, nullable=False),
    sa.Column("last_file_at", Instant, nullable=False),
    sa.Column("completed_at", Instant),
    sa.Column("accepted_at", Instant),
    sa.Column("finished_at", Instant),
    sa.Column("digest", sa.Text),
    sa.Column("duplicate_of", sa.Text),
    sa.Column("trouble", sa.Text, nullable=False, server_default=""),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    sa.Column("held", sa.Text, nullable=False, server_default=""),
    sa.Index("submissions_by_return", "authority", "collection", "period", "version"),
    sa.Index("submissions_in_work", "finished_at", "completed_at"),
)

submission_files = sa.Table(
    "submission_files",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("submission", sa.Text, sa.ForeignKey("submissions.id"), nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("resource", sa.Text),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("received_at", Instant, nullable=False),
    sa.Column("delivery_key", sa.Text, unique=True),
    sa.Column("replaced", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("acknowledged_at", Instant, index=True),
    sa.Column("discarded_at", Instant),
)

stored_objects = sa.Table(
    "stored_objects",
    metadata,
    sa.Column("submission", sa.Text, sa.ForeignKey("submissions.id"), primary_key=True),
    sa.Column("resource", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("plain_digest", sa.Text, nullable=False),
    sa.Column("recipient_key", sa.Text, nullable=False),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """A submission and the bookkeeping around it."""

    submission: Submission
    completed_at: datetime | None
    accepted_at: datetime | None
    finished_at: datetime | None
    duplicate_of: SubmissionId | None
    attempt: int
    held: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Unacknowledged:
    """A file that still wants its arrival receipt."""

    file: FileId
    submission: SubmissionId


def find_delivery(connection: Connection, delivery_key: str) -> SubmissionId | None:
    """Return the submission a natural key was taken into, if it was."""
    found = connection.execute(
        sa.select(submission_files.c.submission).where(submission_files.c.delivery_key == delivery_key)
    ).scalar_one_or_none()
    return SubmissionId(found) if found else None


def is_received(connection: Connection, file: FileId) -> bool:
    """Say whether a file of the spool is a submission's."""
    return connection.execute(sa.select(submission_files.c.id).where(submission_files.c.id == file)).first() is not None


def gathering(connection: Connection, authority: str, collection: str, period: str) -> SubmissionId | None:
    """Return the set of files still open for this return, if there is one."""
    found = connection.execute(
        sa.select(submissions.c.id).where(
            submissions.c.authority == authority,
            submissions.c.collection == collection,
            submissions.c.period == period,
            submissions.c.completed_at.is_(None),
        )
    ).scalar_one_or_none()
    return SubmissionId(found) if found else None


def open_submission(tx: Transaction, submission: Submission) -> None:
    """Add a submission without files; ``add_file`` follows in the same transaction."""
    tx.connection.execute(
        submissions.insert().values(
            id=submission.id,
            authority=submission.authority,
            collection=submission.collection,
            period=submission.period.label if submission.period else None,
            state=State.RECEIVED,
            version=0,
            channel=submission.channel,
            sent_by=submission.sent_by,
            received_at=submission.received_at,
            last_file_at=submission.received_at,
            trouble=submission.trouble,
        )
    )


def add_file(
    tx: Transaction,
    submission: SubmissionId,
    file: ReceivedFile,
    *,
    actor: str,
    facts: Mapping[str, Fact],
    delivery_key: str,
) -> None:
    """Add one file and its ``received`` event. An earlier file for the same table is kept and marked as replaced."""
    connection = tx.connection
    if file.resource is not None:
        connection.execute(
            submission_files.update()
            .where(submission_files.c.submission == submission, submission_files.c.resource == file.resource)
            .values(replaced=True)
        )
    connection.execute(
        submission_files.insert().values(
            id=file.id,
            submission=submission,
            name=file.name,
            resource=file.resource,
            digest=file.digest,
            size_bytes=file.size_bytes,
            received_at=file.received_at,
            delivery_key=delivery_key,
            replaced=False,
        )
    )
    connection.execute(submissions.update().where(submissions.c.id == submission).values(last_file_at=file.received_at))
    tx.append(
        Event(
            action="received",
            subject=f"submission:{submission}",
            at=file.received_at,
            actor=actor,
            key=f"file:{file.id}/received",
            facts={"file": file.id, "sha256": file.digest, "size_bytes": file.size_bytes, **facts},
        )
    )


def complete(tx: Transaction, submission: SubmissionId, at: datetime) -> None:
    """Say that a return is whole: from now on it is immutable, has a version, and may be taken up.

    The same bytes as the newest version of the same return are marked as its duplicate and get no version of their own.
    """
    row = _row(tx.connection, submission)
    if row.completed_at is not None:
        return
    digest = _digest_of(tx.connection, submission)
    version, duplicate_of = 1, None
    if row.collection is not None:
        newest = tx.connection.execute(
            sa.select(submissions.c.id, submissions.c.version, submissions.c.digest)
            .where(
                submissions.c.authority == row.authority,
                submissions.c.collection == row.collection,
                submissions.c.period == row.period,
                submissions.c.completed_at.is_not(None),
                submissions.c.duplicate_of.is_(None),
            )
            .order_by(submissions.c.version.desc())
            .limit(1)
        ).one_or_none()
        if newest is not None:
            same = newest.digest == digest
            duplicate_of = newest.id if same else None
            version = newest.version if same else newest.version + 1
    tx.connection.execute(
        submissions.update()
        .where(submissions.c.id == submission)
        .values(completed_at=at, version=version, digest=digest, duplicate_of=duplicate_of)
    )


def _digest_of(connection: Connection, submission: SubmissionId) -> Digest:
    rows = connection.execute(
        sa.select(submission_files.c.resource, submission_files.c.digest).where(
            submission_files.c.submission == submission, submission_files.c.replaced.is_(False)
        )
    ).all()
    lines = sorted(f"{row.resource or ''} {row.digest}" for row in rows)
    return Digest(sha256("\n".join(lines).encode()).hexdigest())


def record(
    tx: Transaction, submission: Submission, state: State, at: datetime, facts: Mapping[str, Fact] | None = None
) -> bool:
    """Move a submission to ``state`` and append the event; do nothing where that event is on record.

    A submission that was superseded or withdrawn meanwhile keeps that state; what happened is still recorded.

    Returns:
        True where this call recorded it.
    """
    event = Event(action=state.value, subject=f"submission:{submission.id}", at=at, facts=dict(facts or {}))
    _, fresh = tx.append_once(event)
    if not fresh:
        return False
    current = State(_row(tx.connection, submission.id).state)
    if may_follow(current, state):
        values: dict[str, object] = {"state": state.value}
        if state is State.ACCEPTED:
            values["accepted_at"] = at
        tx.connection.execute(submissions.update().where(submissions.c.id == submission.id).values(**values))
    elif current not in {State.SUPERSEDED, State.WITHDRAWN}:
        message = f"a submission in state {current} cannot become {state}"
        raise ValueError(message)
    return True


def supersede_older(tx: Transaction, submission: Submission, at: datetime) -> bool:
    """After an acceptance: older accepted versions are superseded; so is this one where a newer is accepted already.

    Returns:
        True where this submission is the one that stands.
    """
    rows = tx.connection.execute(
        sa.select(submissions.c.id, submissions.c.version).where(
            submissions.c.authority == submission.authority,
            submissions.c.collection == submission.collection,
            submissions.c.period == (submission.period.label if submission.period else None),
            submissions.c.state.in_([state.value for state in ACCEPTED_STATES]),
        )
    ).all()
    newest = max(rows, key=lambda row: row.version, default=None)
    for row in rows:
        if newest is not None and row.version < newest.version:
            older = load(tx.connection, SubmissionId(row.id)).submission
            record(tx, older, State.SUPERSEDED, at, {"by": newest.id, "version": row.version})
    return newest is None or newest.id == submission.id


def add_stored(tx: Transaction, sealed: Sealed) -> None:
    """Remember where a return's sealed objects lie. Rows that are there already stay as they are."""
    submission = sealed.accepted.submission.id
    there = set(
        tx.connection.execute(
            sa.select(stored_objects.c.resource).where(stored_objects.c.submission == submission)
        ).scalars()
    )
    for one in sealed.objects:
        if one.resource not in there:
            tx.connection.execute(
                stored_objects.insert().values(
                    submission=submission,
                    resource=one.resource,
                    key=one.key,
                    size_bytes=one.size_bytes,
                    digest=one.digest,
                    plain_digest=one.plain_digest,
                    recipient_key=sealed.recipient_key,
                )
            )


def stored_keys(connection: Connection, submission: SubmissionId) -> Mapping[str, str]:
    """Return storage keys by resource."""
    rows = connection.execute(
        sa.select(stored_objects.c.resource, stored_objects.c.key).where(stored_objects.c.submission == submission)
    )
    return {row.resource: row.key for row in rows}


def stored(connection: Connection, submission: SubmissionId) -> list[SealedObject]:
    """Return a submission's stored objects; none where it was not stored."""
    rows = connection.execute(
        sa.select(stored_objects).where(stored_objects.c.submission == submission).order_by(stored_objects.c.resource)
    )
    return [
        SealedObject(
            resource=row.resource,
            holding="",
            key=row.key,
            size_bytes=row.size_bytes,
            digest=Digest(row.digest),
            plain_digest=Digest(row.plain_digest),
        )
        for row in rows
    ]


def load(connection: Connection, submission: SubmissionId) -> Standing:
    """Read one submission.

    Raises:
        NotFoundError: there is none of this id.
    """
    return _standing(connection, _row(connection, submission))


def find(
    connection: Connection,
    *,
    authority: str | None = None,
    collection: str | None = None,
    period: str | None = None,
    limit: int = 1000,
) -> list[Standing]:
    """Read submissions, newest first."""
    query = sa.select(submissions).order_by(submissions.c.received_at.desc()).limit(limit)
    for column, wanted in (("authority", authority), ("collection", collection), ("period", period)):
        if wanted is not None:
            query = query.where(submissions.c[column] == wanted)
    return [_standing(connection, row) for row in connection.execute(query).all()]


def resolve(connection: Connection, start: str) -> SubmissionId:
    """Turn the beginning or the end of an id, as a person types it, into the id.

    Raises:
        NotFoundError: none or several fit.
    """
    fitting = (
        connection.execute(
            sa.select(submissions.c.id)
            .where(
                sa.or_(
                    submissions.c.id.startswith(start, autoescape=True),
                    submissions.c.id.endswith(start, autoescape=True),
                )
            )
            .limit(2)
        )
        .scalars()
        .all()
    )
    if len(fitting) != 1:
        raise NotFoundError(
            f"{'No submission' if not fitting else 'More than one submission'} fits {start[:40]!r}.",
            remedy="Run `gateway status --submissions` and copy the id.",
        )
    return SubmissionId(fitting[0])


def ready(connection: Connection, limit: int) -> list[tuple[SubmissionId, int]]:
    """Return whole submissions that are not finished and not held, with the number of their attempt, oldest first."""
    rows = connection.execute(
        sa.select(submissions.c.id, submissions.c.attempt)
        .where(submissions.c.completed_at.is_not(None), submissions.c.finished_at.is_(None), submissions.c.held == "")
        .order_by(submissions.c.received_at)
        .limit(limit)
    ).all()
    return [(SubmissionId(row.id), row.attempt) for row in rows]


def still_gathering(connection: Connection) -> list[tuple[Standing, datetime]]:
    """Return sets that are not whole yet, each with the instant its last file came."""
    rows = connection.execute(sa.select(submissions).where(submissions.c.completed_at.is_(None))).all()
    return [(_standing(connection, row), row.last_file_at) for row in rows]


def unacknowledged(connection: Connection, limit: int = 200) -> list[Unacknowledged]:
    """Return files that want an arrival receipt, oldest first."""
    rows = connection.execute(
        sa.select(submission_files.c.id, submission_files.c.submission)
        .where(submission_files.c.acknowledged_at.is_(None))
        .order_by(submission_files.c.received_at)
        .limit(limit)
    )
    return [Unacknowledged(file=FileId(row.id), submission=SubmissionId(row.submission)) for row in rows]


def load_file(connection: Connection, file: FileId) -> ReceivedFile:
    """Read one file, also one that a later file replaced."""
    row = connection.execute(sa.select(submission_files).where(submission_files.c.id == file)).one()
    return next(_files([row]))


def acknowledge(tx: Transaction, file: FileId, at: datetime) -> None:
    """Remember that a file has its arrival receipt."""
    tx.connection.execute(submission_files.update().where(submission_files.c.id == file).values(acknowledged_at=at))


def finish(tx: Transaction, submission: SubmissionId, at: datetime) -> None:
    """Say that nothing is left to do for a submission."""
    tx.connection.execute(
        submissions.update()
        .where(submissions.c.id == submission, submissions.c.finished_at.is_(None))
        .values(finished_at=at)
    )


def hold(tx: Transaction, submission: SubmissionId, reason: str) -> None:
    """Put a submission aside for a person. ``release`` takes it up again."""
    tx.connection.execute(submissions.update().where(submissions.c.id == submission).values(held=reason))


def release(tx: Transaction, submission: SubmissionId) -> None:
    """Begin a new attempt."""
    tx.connection.execute(
        submissions.update().where(submissions.c.id == submission).values(held="", attempt=submissions.c.attempt + 1)
    )


def held_with(connection: Connection, prefix: str) -> list[SubmissionId]:
    """Return the submissions whose reason for being held begins so."""
    rows = connection.execute(sa.select(submissions.c.id).where(submissions.c.held.startswith(prefix))).scalars()
    return [SubmissionId(one) for one in rows]


def spool_files_of_finished(connection: Connection) -> list[FileId]:
    """Return files whose submission is finished and whose spool bytes are still there."""
    rows = connection.execute(
        sa.select(submission_files.c.id)
        .join(submissions, submissions.c.id == submission_files.c.submission)
        .where(submissions.c.finished_at.is_not(None), submission_files.c.discarded_at.is_(None))
        .limit(500)
    ).scalars()
    return [FileId(one) for one in rows]


def discarded(tx: Transaction, files: Sequence[FileId], at: datetime) -> None:
    """Remember that spool bytes are gone."""
    tx.connection.execute(submission_files.update().where(submission_files.c.id.in_(files)).values(discarded_at=at))


def current(connection: Connection, collection: CollectionId, period: str) -> list[Standing]:
    """Return the accepted submission that stands for each authority, for one collection and period."""
    rows = connection.execute(
        sa.select(submissions)
        .where(
            submissions.c.collection == collection,
            submissions.c.period == period,
            submissions.c.state.in_([State.STORED, State.ROUTED, State.RECEIPTED]),
        )
        .order_by(submissions.c.authority, submissions.c.version)
    ).all()
    newest = {row.authority: row for row in rows}
    return [_standing(connection, row) for row in newest.values()]


def accepted_facts(connection: Connection) -> dict[Owed, datetime]:
    """Return, for each return that was ever accepted and not withdrawn, when the first accepted version was received.

    A return is on time when it came in on time, however long checking it took.
    """
    rows = connection.execute(
        sa.select(
            submissions.c.authority,
            submissions.c.collection,
            submissions.c.period,
            sa.func.min(submissions.c.last_file_at, type_=Instant).label("came"),
        )
        .where(submissions.c.accepted_at.is_not(None), submissions.c.state != State.WITHDRAWN)
        .group_by(submissions.c.authority, submissions.c.collection, submissions.c.period)
    )
    return {Owed(AuthorityCode(row.authority), CollectionId(row.collection), row.period): row.came for row in rows}


def in_work_bytes(connection: Connection, authority: str) -> int:
    """Return the bytes of an authority's files whose submission is not finished."""
    return int(
        connection.execute(
            sa.select(sa.func.coalesce(sa.func.sum(submission_files.c.size_bytes), 0))
            .join(submissions, submissions.c.id == submission_files.c.submission)
            .where(submissions.c.authority == authority, submissions.c.finished_at.is_(None))
        ).scalar_one()
    )


def _row(connection: Connection, submission: SubmissionId) -> Row[tuple[object, ...]]:
    row = connection.execute(sa.select(submissions).where(submissions.c.id == submission)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no submission {submission}.", remedy="Run `gateway status --submissions`.")
    return row


def _standing(connection: Connection, row: Row[tuple[object, ...]]) -> Standing:
    files = connection.execute(
        sa.select(submission_files)
        .where(submission_files.c.submission == row.id, submission_files.c.replaced.is_(False))
        .order_by(submission_files.c.received_at, submission_files.c.id)
    ).all()
    return Standing(
        submission=Submission(
            id=SubmissionId(row.id),
            authority=AuthorityCode(row.authority),
            collection=CollectionId(row.collection) if row.collection else None,
            period=Period.parse(row.period) if row.period else None,
            version=row.version,
            state=State(row.state),
            channel=Channel(row.channel),
            sent_by=row.sent_by,
            received_at=row.received_at,
            last_file_at=row.last_file_at,
            files=tuple(_files(files)),
            trouble=row.trouble,
        ),
        completed_at=row.completed_at,
        accepted_at=row.accepted_at,
        finished_at=row.finished_at,
        duplicate_of=SubmissionId(row.duplicate_of) if row.duplicate_of else None,
        attempt=row.attempt,
        held=row.held,
    )


def _files(rows: Sequence[Row[tuple[object, ...]]]) -> Iterator[ReceivedFile]:
    for row in rows:
        yield ReceivedFile(
            id=FileId(row.id),
            name=row.name,
            resource=row.resource,
            digest=Digest(row.digest),
            size_bytes=row.size_bytes,
            received_at=row.received_at,
        )

"""What people agreed about the calendar: who takes part, due dates set, extensions and excuses granted.

* Every change is written with its event (``participation_changed``, ``due_changed``, ``extended``, ``excused``,
  ``excuse_lifted``) in one transaction. The same change made twice is one change.
* Extensions and excuses are added, never overwritten: the newest is in force, the older ones stay to be read.
* Reasons stay in these tables. A reason is free text and may name a person, so the ledger holds dates and names of
  authorities and collections only.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from gateway.db.core import Instant, Transaction, ledger_events, metadata
from gateway.domain.events import Event
from gateway.domain.expectation import Agreed, DueOverride, Excuse, Extension, Owed
from gateway.domain.names import AuthorityCode, CollectionId
from gateway.domain.sharing import Participation
from gateway.errors import NotAllowedError, NotFoundError

participations = sa.Table(
    "participations",
    metadata,
    sa.Column("authority", sa.Text, primary_key=True),
    sa.Column("collection", sa.Text, primary_key=True),
    sa.Column("since", sa.Date, primary_key=True),
    sa.Column("until", sa.Date),
    sa.Column("agreement", sa.Text),
    sa.Column("impact_assessment", sa.Text),
    sa.Column("note", sa.Text, nullable=False, server_default=""),
)

due_overrides = sa.Table(
    "due_overrides",
    metadata,
    sa.Column("collection", sa.Text, primary_key=True),
    sa.Column("period", sa.Text, primary_key=True),
    sa.Column("due_on", sa.Date, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("set_by", sa.Text, nullable=False),
    sa.Column("set_at", Instant, nullable=False),
)

extensions = sa.Table(
    "extensions",
    metadata,
    sa.Column("authority", sa.Text, primary_key=True),
    sa.Column("collection", sa.Text, primary_key=True),
    sa.Column("period", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("new_due", sa.Date, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("granted_by", sa.Text, nullable=False),
    sa.Column("granted_at", Instant, nullable=False),
)

excuses = sa.Table(
    "excuses",
    metadata,
    sa.Column("authority", sa.Text, primary_key=True),
    sa.Column("collection", sa.Text, primary_key=True),
    sa.Column("period", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("granted_by", sa.Text, nullable=False),
    sa.Column("granted_at", Instant, nullable=False),
    sa.Column("lifted_by", sa.Text),
    sa.Column("lifted_at", Instant),
)


def set_participation(tx: Transaction, participation: Participation, *, by: str, at: datetime) -> bool:
    """Record that an authority takes part, or change the record that begins on the same day.

    To opt out, set the record again with ``until`` (``end_participation`` does).

    Args:
        tx: the change under way.
        participation: who, what, between which days, with which papers.
        by: who agreed it, for example ``person:alice``.
        at: now.

    Returns:
        False where it is on record already, exactly so.
    """
    if participation.until is not None and participation.until < participation.since:
        raise NotAllowedError(
            f"{participation.authority} cannot stop taking part in {participation.collection} before it began.",
            remedy="Give a last day on or after the first.",
        )
    key = sa.and_(
        participations.c.authority == participation.authority,
        participations.c.collection == participation.collection,
        participations.c.since == participation.since,
    )
    values = {
        "until": participation.until,
        "agreement": participation.agreement,
        "impact_assessment": participation.impact_assessment,
        "note": participation.note,
    }
    row = tx.connection.execute(sa.select(participations).where(key)).one_or_none()
    if row is not None and _participation(row) == participation:
        return False
    if row is not None:
        tx.connection.execute(participations.update().where(key).values(**values))
    else:
        tx.connection.execute(
            participations.insert().values(
                authority=participation.authority,
                collection=participation.collection,
                since=participation.since,
                **values,
            )
        )
    subject = f"participation:{participation.authority}/{participation.collection}"
    tx.append(
        Event(
            action="participation_changed",
            subject=subject,
            at=at,
            actor=by,
            facts={
                "since": participation.since.isoformat(),
                "until": participation.until.isoformat() if participation.until else None,
                "agreement": participation.agreement,
                "impact_assessment": participation.impact_assessment,
            },
            key=_numbered(tx, subject, "participation_changed"),
        )
    )
    return True


def end_participation(
    tx: Transaction,
    authority: AuthorityCode,
    collection: CollectionId,
    *,
    until: date,
    note: str,
    by: str,
    at: datetime,
) -> Participation:
    """Opt an authority out of a collection after a last day, and return the record as it now is.

    Raises:
        NotFoundError: the authority does not take part on that day.
    """
    spans = [one for one in read_participations(tx.connection, collection) if one.authority == authority]
    running = [one for one in spans if one.since <= until and (one.until is None or one.until >= until)]
    if not running:
        raise NotFoundError(
            f"{authority} does not take part in {collection} on {until}.",
            remedy="Run `gateway status` to see who does.",
        )
    ended = replace(running[-1], until=until, note=note)
    set_participation(tx, ended, by=by, at=at)
    return ended


def set_due(tx: Transaction, override: DueOverride, *, at: datetime) -> bool:
    """Set the due date of one period for every authority, instead of the rule's. False where it is set so already."""
    key = sa.and_(due_overrides.c.collection == override.collection, due_overrides.c.period == override.period)
    row = tx.connection.execute(sa.select(due_overrides).where(key)).one_or_none()
    if row is not None and row.due_on == override.due_on:
        return False
    tx.connection.execute(due_overrides.delete().where(key))
    tx.connection.execute(
        due_overrides.insert().values(
            collection=override.collection,
            period=override.period,
            due_on=override.due_on,
            reason=override.reason,
            set_by=override.set_by,
            set_at=at,
        )
    )
    subject = f"period:{override.collection}/{override.period}"
    tx.append(
        Event(
            action="due_changed",
            subject=subject,
            at=at,
            actor=override.set_by,
            facts={"due_on": override.due_on.isoformat(), "before": row.due_on.isoformat() if row else None},
            key=_numbered(tx, subject, "due_changed"),
        )
    )
    return True


def grant_extension(tx: Transaction, extension: Extension) -> bool:
    """Move one authority's due date. False where the newest extension says so already.

    Whether the new date is later than the due date is for the caller to see (``gateway.lookout`` knows both).
    """
    rows = tx.connection.execute(_of(extensions, extension.owed)).all()
    if rows and rows[-1].new_due == extension.new_due:
        return False
    number = len(rows) + 1
    tx.connection.execute(
        extensions.insert().values(
            **_names(extension.owed),
            number=number,
            new_due=extension.new_due,
            reason=extension.reason,
            granted_by=extension.granted_by,
            granted_at=extension.granted_at,
        )
    )
    subject = f"expectation:{extension.owed}"
    tx.append(
        Event(
            action="extended",
            subject=subject,
            at=extension.granted_at,
            actor=extension.granted_by,
            facts={"new_due": extension.new_due.isoformat(), "number": number},
            key=f"{subject}/extended/{number}",
        )
    )
    return True


def grant_excuse(tx: Transaction, excuse: Excuse) -> bool:
    """Record that one return cannot be sent. False where it is excused already."""
    rows = tx.connection.execute(_of(excuses, excuse.owed)).all()
    if rows and rows[-1].lifted_at is None:
        return False
    number = len(rows) + 1
    tx.connection.execute(
        excuses.insert().values(
            **_names(excuse.owed),
            number=number,
            reason=excuse.reason,
            granted_by=excuse.granted_by,
            granted_at=excuse.granted_at,
        )
    )
    _append_excuse_event(tx, "excused", excuse.owed, number, by=excuse.granted_by, at=excuse.granted_at)
    return True


def lift_excuse(tx: Transaction, owed: Owed, *, by: str, at: datetime) -> bool:
    """Expect the return again. False where it is not excused."""
    rows = tx.connection.execute(_of(excuses, owed)).all()
    if not rows or rows[-1].lifted_at is not None:
        return False
    number = int(rows[-1].number)
    tx.connection.execute(
        excuses.update()
        .where(*(excuses.c[name] == value for name, value in _names(owed).items()), excuses.c.number == number)
        .values(lifted_by=by, lifted_at=at)
    )
    _append_excuse_event(tx, "excuse_lifted", owed, number, by=by, at=at)
    return True


def read_agreed(connection: Connection) -> Agreed:
    """Return everything agreed that is in force."""
    return Agreed(
        participations=read_participations(connection),
        overrides=read_overrides(connection),
        extensions=tuple({one.owed: one for one in read_extensions(connection)}.values()),
        excuses=read_excuses(connection),
    )


def read_participations(connection: Connection, collection: CollectionId | None = None) -> tuple[Participation, ...]:
    """Return who takes part in what, by authority, collection and first day; ended ones too."""
    asked = sa.select(participations).order_by(
        participations.c.authority, participations.c.collection, participations.c.since
    )
    if collection is not None:
        asked = asked.where(participations.c.collection == collection)
    return tuple(map(_participation, connection.execute(asked)))


def read_overrides(connection: Connection) -> tuple[DueOverride, ...]:
    """Return the due dates that were set."""
    rows = connection.execute(sa.select(due_overrides).order_by(due_overrides.c.collection, due_overrides.c.period))
    return tuple(
        DueOverride(
            collection=CollectionId(row.collection),
            period=row.period,
            due_on=row.due_on,
            reason=row.reason,
            set_by=row.set_by,
        )
        for row in rows
    )


def read_extensions(connection: Connection) -> tuple[Extension, ...]:
    """Return every extension ever granted, oldest first for each expectation."""
    rows = connection.execute(sa.select(extensions).order_by(*_order(extensions)))
    return tuple(
        Extension(
            owed=_owed(row),
            new_due=row.new_due,
            reason=row.reason,
            granted_by=row.granted_by,
            granted_at=row.granted_at,
        )
        for row in rows
    )


def read_excuses(connection: Connection) -> tuple[Excuse, ...]:
    """Return the excuses in force."""
    rows = connection.execute(sa.select(excuses).where(excuses.c.lifted_at.is_(None)).order_by(*_order(excuses)))
    return tuple(
        Excuse(owed=_owed(row), reason=row.reason, granted_by=row.granted_by, granted_at=row.granted_at) for row in rows
    )


def _numbered(tx: Transaction, subject: str, action: str) -> str:
    """Return the key of the next event of this kind: what changes to and fro in one instant leaves every event."""
    before = tx.connection.execute(
        sa.select(sa.func.count())
        .select_from(ledger_events)
        .where(ledger_events.c.subject == subject, ledger_events.c.action == action)
    ).scalar_one()
    return f"{subject}/{action}/{int(before) + 1}"


def _append_excuse_event(tx: Transaction, action: str, owed: Owed, number: int, *, by: str, at: datetime) -> None:
    subject = f"expectation:{owed}"
    key = f"{subject}/{action}/{number}"
    tx.append(Event(action=action, subject=subject, at=at, actor=by, facts={"number": number}, key=key))


def _names(owed: Owed) -> dict[str, str]:
    return {"authority": owed.authority, "collection": owed.collection, "period": owed.period}


def _order(table: sa.Table) -> list[sa.Column[object]]:
    return [table.c.authority, table.c.collection, table.c.period, table.c.number]


def _of(table: sa.Table, owed: Owed) -> sa.Select[tuple[object, ...]]:
    named = (table.c[name] == value for name, value in _names(owed).items())
    return sa.select(table).where(*named).order_by(table.c.number)


def _owed(row: Row[tuple[object, ...]]) -> Owed:
    return Owed(AuthorityCode(row.authority), CollectionId(row.collection), row.period)


def _participation(row: Row[tuple[object, ...]]) -> Participation:
    return Participation(
        authority=AuthorityCode(row.authority),
        collection=CollectionId(row.collection),
        since=row.since,
        until=row.until,
        agreement=row.agreement,
        impact_assessment=row.impact_assessment,
        note=row.note,
    )

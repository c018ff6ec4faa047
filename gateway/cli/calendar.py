"""``gateway calendar``, ``due``, ``extend``, ``excuse``: what is due when, and what LIIA agreed about it."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer

from gateway.cli.context import desk, operator
from gateway.cli.output import JsonFlag, out, plainly, rows_or_json
from gateway.db.calendar import grant_excuse, set_due
from gateway.domain.expectation import DueOverride, Excuse, Extension, Owed
from gateway.domain.names import AuthorityCode, CollectionId

Reason = Annotated[str, typer.Option("--reason", help="Why; kept, not put on the ledger.")]
Day = Annotated[str, typer.Option("--day", help="The new date, for example 2026-11-30.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(help="What is due when, extensions and excuses.", no_args_is_help=True)
    group.command("show")(show)
    group.command("due")(due)
    group.command("extend")(extend)
    group.command("excuse")(excuse)
    app.add_typer(group, name="calendar")


@plainly
def show(
    authority: Annotated[str | None, typer.Option(help="One authority's slug.")] = None, *, as_json: JsonFlag = False
) -> None:
    """Show what each authority owes and how it stands."""
    found = desk().lookout.matrix(authority=AuthorityCode(authority) if authority else None)
    rows = [
        {
            "authority": one.expectation.authority,
            "collection": one.expectation.collection,
            "period": one.expectation.period.label,
            "opens": one.expectation.opens,
            "due": one.expectation.due,
            "original_due": one.expectation.original_due,
            "state": one.state.value,
        }
        for one in found
        if as_json or one.expectation.participates
    ]
    rows_or_json("Due", rows, as_json=as_json)


@plainly
def due(collection: str, period: str, *, day: Day, reason: Reason) -> None:
    """Set the due date of one period of a collection, for every authority."""
    table = desk()
    override = DueOverride(
        collection=CollectionId(collection), period=period, due_on=_day(day), reason=reason, set_by=operator()
    )
    with table.database.write() as tx:
        changed = set_due(tx, override, at=table.clock.now())
    out.print(f"{collection} {period} is due on {day}." if changed else "It was so already.")


@plainly
def extend(authority: str, collection: str, period: str, *, day: Day, reason: Reason) -> None:
    """Grant one authority a later date; the original one stays on record."""
    table = desk()
    granted = table.lookout.extend(
        Extension(
            owed=Owed(AuthorityCode(authority), CollectionId(collection), period),
            new_due=_day(day),
            reason=reason,
            granted_by=operator(),
            granted_at=table.clock.now(),
        )
    )
    out.print(f"{authority} may send {collection} {period} until {day}." if granted else "It was granted already.")


@plainly
def excuse(authority: str, collection: str, period: str, *, reason: Reason) -> None:
    """Agree that an authority cannot send a return: neither late nor missing."""
    table = desk()
    agreed = Excuse(
        owed=Owed(AuthorityCode(authority), CollectionId(collection), period),
        reason=reason,
        granted_by=operator(),
        granted_at=table.clock.now(),
    )
    with table.database.write() as tx:
        changed = grant_excuse(tx, agreed)
    out.print(f"{authority} is excused from {collection} {period}." if changed else "It was agreed already.")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a date; write 2026-11-30") from error

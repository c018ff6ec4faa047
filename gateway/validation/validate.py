"""Checks a submission against its collection's data package and says everything that is wrong, in one pass.

1. Read every file safely (``reading``).
2. Form: columns missing, extra, twice; rows too long, too short, blank; other spellings put right (``structure``).
3. Types, constraints, keys within and across tables (an ``Engine``; ``words`` says what it finds).
4. Ownership and period: a column that names the authority or the period must name this one.

* A ``Return`` is made here and nowhere else.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from gateway.domain.collection import Collection, Package
from gateway.domain.finding import Cell, Finding, Report
from gateway.domain.period import Period, PeriodKind
from gateway.domain.submission import Checked, ReceivedFile, Return
from gateway.validation.engine import Engine
from gateway.validation.frictionless_engine import FrictionlessEngine
from gateway.validation.reading import Read, column_letter, read_files
from gateway.validation.structure import Prepared, for_engine, prepare
from gateway.validation.words import say

MAX_FAULTS = 200_000
"""Faults of cells and keys in one return after which checking stops: it is refused anyhow, and others wait."""

Contents = Sequence[tuple[ReceivedFile, Callable[[], BinaryIO]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class AuthorityNumbers:
    """The numbers an authority's files must carry."""

    dfe_number: str
    gss_code: str
    liia_code: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """One table, checked and in its canonical form: UTF-8 CSV, labels of the data package, CRLF."""

    resource: str
    content: bytes

    def open(self) -> BinaryIO:
        """Open it from the beginning."""
        return io.BytesIO(self.content)

    def __repr__(self) -> str:
        """Return its name and size; its content is never printed."""
        return f"<table {self.resource}, {len(self.content)} bytes>"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What validation came to."""

    report: Report
    accepted: Return | None


def validate(
    checked: Checked,
    files: Contents,
    collection: Collection,
    numbers: AuthorityNumbers,
    engine: Engine | None = None,
) -> Verdict:
    """Validate a submission.

    Args:
        checked: the submission, scanned and recognised.
        files: its files, each with an opener.
        collection: its kind.
        numbers: what the authority's files must say of themselves.
        engine: what checks types, constraints and keys; frictionless where none is given.

    Raises:
        LookupError: the collection has no package for the period; recognition lets no such submission in.
    """
    package = _package(collection, checked.period)
    read = read_files(files, collection, package)
    prepared = prepare(read, package)
    _missing_tables(read, package, prepared)
    _check(read, prepared, engine or FrictionlessEngine())
    for one in prepared:
        _ownership(read, one, checked.period, numbers)
    report = _report(read, prepared)
    if not report.accepted:
        return Verdict(report=report, accepted=None)
    accepted = Return(
        submission=checked.submission,
        collection=checked.collection,
        period=checked.period,
        report=report.summary(),
    )
    return Verdict(report=report, accepted=accepted)


def normalised_tables(accepted: Return, files: Contents, collection: Collection) -> Sequence[Table]:
    """Return the tables of an accepted return in canonical form. The same files give the same bytes."""
    package = _package(collection, accepted.period)
    tables = []
    for one in prepare(read_files(files, collection, package), package):
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(one.labels)
        writer.writerows(one.rows)
        tables.append(Table(resource=one.resource, content=text.getvalue().encode()))
    return sorted(tables, key=lambda table: table.resource)


def _package(collection: Collection, period: Period) -> Package:
    package = collection.package_for(period)
    if package is None:
        message = f"{collection.id} has no package for {period}"
        raise LookupError(message)
    return package


def _missing_tables(read: Read, package: Package, prepared: Sequence[Prepared]) -> None:
    """Report required tables that are not there; where no file could be read, that has been said."""
    here = {one.resource for one in prepared} | read.findings.resources
    if not prepared and here:
        return
    for outline in package.resources:
        if outline.required and outline.name not in here:
            read.findings.add(
                Finding(
                    code="missing-table",
                    resource=outline.name,
                    message=f"The table {outline.sheet or outline.name} is missing from the return.",
                    remedy="Send the whole return again with this table, or all tables as one zip file.",
                    rule="every required table",
                )
            )


def _check(read: Read, prepared: Sequence[Prepared], engine: Engine) -> None:
    by_name = {one.resource: one for one in prepared}
    tables = for_engine(prepared)
    for told, fault in enumerate(engine.check(tables) if tables else ()):
        if told == MAX_FAULTS:
            read.notes.append(f"Checking stopped after {MAX_FAULTS:,} faults: mend what is listed and send it again.")
            break
        one = by_name[fault.resource]
        if fault.row in one.ragged:
            continue
        if read.findings.full(fault.kind):
            read.findings.count(fault.kind)
        else:
            read.findings.add(say(one, fault))


# -- ownership ---------------------------------------------------------------------------------------------------------


def _ownership(read: Read, one: Prepared, period: Period, numbers: AuthorityNumbers) -> None:
    """Check columns that name the authority or the period: a return of somebody else's is refused."""
    parts = _period_parts(period)
    for at, field in enumerate(one.fields):
        owner, part = field.get("x-owner"), field.get("x-period")
        if owner is not None:
            wanted = str(getattr(numbers, owner))
            code, message = "wrong-authority", "This row is about another authority than the one that sent it."
            remedy, rule = f"Your number is {wanted}. Send only your own rows.", "your own authority"
        elif part is not None:
            wanted = parts.get(part, "")
            code, message = "wrong-period", "This row is about another period than the one it was sent for."
            remedy, rule = f"This return is about {period}. Put other periods in their own folder.", f"period {period}"
        else:
            continue
        for index, row in enumerate(one.rows):
            if row[at] and row[at].strip() != wanted and index not in one.ragged:
                read.findings.add(_cell(one, index, at, (code, message, remedy, rule)))


def _cell(one: Prepared, index: int, at: int, words: tuple[str, str, str, str]) -> Finding:
    code, message, remedy, rule = words
    place = one.places[at]
    field: Any = one.fields[at]
    return Finding(
        code=code,
        file=one.file,
        resource=one.resource,
        row=one.numbers[index],
        label=str(field["name"]),
        column=column_letter(place) if place is not None else None,
        message=message,
        remedy=remedy,
        rule=rule,
        value=Cell(one.rows[index][at]),
    )


def _period_parts(period: Period) -> dict[str, str]:
    """Return what each ``x-period`` column must say."""
    match period.kind:
        case PeriodKind.QUARTER | PeriodKind.TERM:
            year, _, part = period.label.rpartition("-")
            return {"year": year, period.kind.value: part}
        case PeriodKind.MONTH:
            return {"year": period.label[:4], "month": period.label[5:]}
        case _:
            return {"year": period.label}


def _report(read: Read, prepared: Sequence[Prepared]) -> Report:
    notes = list(read.notes)
    unlisted = read.findings.unlisted()
    if unlisted:
        notes.append(f"{unlisted:,} more findings of the same kinds were counted and are not listed.")
    return Report(
        findings=read.findings.kept(),
        rows={one.resource: len(one.rows) for one in prepared},
        counts=read.findings.counts(),
        notes=tuple(notes),
    )

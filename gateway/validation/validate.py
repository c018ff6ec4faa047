"""Checks a submission against its collection's data package and says everything that is wrong, in one pass.

1. Read every file safely (``reading``).
2. Structure: columns missing, extra, twice; rows too long, too short, blank.
3. Spelling: known other spellings of codes are put right and counted.
4. Types, constraints, keys within and across tables: frictionless.
5. Ownership and period: a column that names the authority or the period must name this one.

* A ``Return`` is made here and nowhere else.
* Frictionless's own sentences quote the cell and carry the row: only its error's type and place are used.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from frictionless import Package as FrictionlessPackage
from frictionless import Resource, Schema, system

from gateway.domain.collection import Collection, Package
from gateway.domain.finding import Finding, Report, Severity
from gateway.domain.period import Period
from gateway.domain.submission import Checked, ReceivedFile, Return
from gateway.validation.reading import RawTable, Read, cell_finding, iterate, pad, read_files

MAX_FINDINGS_A_CODE = 10_000
"""Findings kept for each code; beyond it they are counted and not listed."""

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What validation came to."""

    report: Report
    accepted: Return | None


@dataclass(kw_only=True)
class _Prepared:
    """A table in the order and under the labels of its data package."""

    table: RawTable
    descriptor: Mapping[str, Any]
    labels: list[str]
    places: list[int | None]
    """Where each label stands in the file; None where an optional column is not there."""
    rows: list[list[str]]


def validate(checked: Checked, files: Contents, collection: Collection, numbers: AuthorityNumbers) -> Verdict:
    """Validate a submission.

    Args:
        checked: the submission, scanned and recognised.
        files: its files, each with an opener.
        collection: its kind.
        numbers: what the authority's files must say of themselves.
    """
    package = _package(collection, checked.period)
    read = read_files(files, collection, package)
    prepared = _prepare(read, package)
    _missing_tables(read, package, prepared)
    if prepared:
        _frictionless(read, prepared)
        for one in prepared:
            _plain_numbers(read, one)
            _ownership(read, one, checked.period, numbers)
    report = _report(read)
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
    for one in _prepare(read_files(files, collection, package), package):
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(one.labels)
        writer.writerows(one.rows)
        tables.append(Table(resource=one.table.resource, content=text.getvalue().encode()))
    return sorted(tables, key=lambda table: table.resource)


def _package(collection: Collection, period: Period) -> Package:
    package = collection.package_for(period)
    if package is None:
        message = f"{collection.id} has no package for {period}"
        raise LookupError(message)
    return package


# -- structure ---------------------------------------------------------------------------------------------------------


def _prepare(read: Read, package: Package) -> list[_Prepared]:
    described = {one["name"]: one for one in package.descriptor["resources"]}
    prepared: dict[str, _Prepared] = {}
    for table in read.tables:
        if table.resource in prepared:
            read.findings.append(
                Finding(
                    code="duplicate-table",
                    file=table.file,
                    resource=table.resource,
                    message="This table was sent twice in one return.",
                    remedy="Send it once.",
                )
            )
            continue
        one = _arrange(read, table, described[table.resource])
        if one is not None:
            prepared[table.resource] = one
    return list(prepared.values())


def _arrange(read: Read, table: RawTable, descriptor: Mapping[str, Any]) -> _Prepared | None:
    fields = descriptor["schema"]["fields"]
    places = _labels(read, table, fields)
    if places is None:
        return None
    one = _Prepared(
        table=table,
        descriptor=descriptor,
        labels=[field["name"] for field in fields],
        places=places,
        rows=[],
    )
    _rows(read, one)
    if not one.rows:
        read.findings.append(
            Finding(
                code="no-rows",
                severity=Severity.QUERY if not descriptor.get("x-required") else Severity.ERROR,
                file=table.file,
                resource=table.resource,
                message="The table has a header and no rows.",
                remedy="Export it again with its rows, or leave an optional table out.",
            )
        )
    return one


def _squeezed(label: str) -> str:
    return " ".join(label.split()).casefold()


_LABEL_TROUBLE = {
    "blank": ("blank-label", "A column has no name.", "Name it or take it out.", "every column has a name"),
    "extra": (
        "extra-label",
        "This column is not asked for.",
        "Take the column out: send only what is asked for.",
        "only the columns of the data package",
    ),
    "duplicate": ("duplicate-label", "This column is there twice.", "Keep one of them.", "each column once"),
}


def _labels(read: Read, table: RawTable, fields: Sequence[Mapping[str, Any]]) -> list[int | None] | None:
    """Find each column; report those missing, extra, blank and twice. None where the rows cannot be read."""
    known = {
        _squeezed(alias): field["name"]
        for field in fields
        for alias in (field["name"], *field.get("x-label-aliases", []))
    }
    found: dict[str, int] = {}
    trouble: list[Finding] = []
    for at, label in enumerate(table.labels):
        name = known.get(_squeezed(label))
        if name is not None and name not in found:
            found[name] = at
            continue
        code, message, remedy, rule = _LABEL_TROUBLE[
            "blank" if not label.strip() else "extra" if name is None else "duplicate"
        ]
        # A name that is not known may be a cell of data in the wrong place, so it is hidden like one.
        unlabelled = replace(cell_finding(table, table.top, at, code, message, remedy, rule, label), label=name)
        trouble.append(unlabelled)
    if not found:
        read.findings.append(
            Finding(
                code="missing-header",
                file=table.file,
                resource=table.resource,
                row=table.top,
                message="None of this table's column names stands in the first row.",
                remedy="Put the column names of the data package into the first row.",
                rule="a row of column names",
            )
        )
        return None
    missing = [field["name"] for field in fields if field["name"] not in found and not field.get("x-optional")]
    for name in missing:
        trouble.append(
            Finding(
                code="missing-label",
                file=table.file,
                resource=table.resource,
                row=table.top,
                label=name,
                message=f"The column {name} is missing.",
                remedy="Add the column, spelled just so; its cells may be empty where the data package allows.",
                rule="every column of the data package",
            )
        )
    read.findings += trouble
    if missing:
        return None
    return [found.get(field["name"]) for field in fields]


def _rows(read: Read, one: _Prepared) -> None:
    table, width = one.table, len(one.table.labels)
    aliases = [field.get("x-aliases", {}) for field in one.descriptor["schema"]["fields"]]
    corrected = 0
    numbers: list[int] = []
    empty = _without_empty_end(table)
    if empty:
        read.notes.append(f"{empty} empty rows at the end of {table.resource} were passed over.")
    for number, cells in iterate(table):
        if not any(cell.strip() for cell in cells):
            read.findings.append(_row_finding(table, number, "blank-row", "The row is empty.", "Take the row out."))
            continue
        if len(cells) > width:
            read.findings.append(
                _row_finding(
                    table,
                    number,
                    "extra-cell",
                    f"The row has {len(cells)} cells; the header has {width}.",
                    "Look for a comma inside a cell: put such cells in quotation marks.",
                )
            )
        elif len(cells) < width:
            read.findings.append(
                _row_finding(
                    table,
                    number,
                    "missing-cell",
                    f"The row has {len(cells)} cells; the header has {width}.",
                    "Look for a cell that was lost, or add the commas for empty ones.",
                )
            )
        padded = pad(cells, width)
        # A cell of nothing but spaces looks empty and is empty; other cells stay as they are.
        arranged = [padded[at] if at is not None and padded[at].strip() else "" for at in one.places]
        for at, known in enumerate(aliases):
            meant = known.get(arranged[at].strip().casefold()) if known else None
            if meant is not None and meant != arranged[at]:
                arranged[at] = meant
                corrected += 1
        one.rows.append(arranged)
        numbers.append(number)
    table.numbers = numbers
    table.rows = []
    if corrected:
        read.notes.append(f"{corrected} known other spellings of codes in {table.resource} were put right.")


def _without_empty_end(table: RawTable) -> int:
    """Take empty rows off the end, as spreadsheets leave them there; return how many."""
    kept = len(table.rows)
    while kept and not any(cell.strip() for cell in table.rows[kept - 1]):
        kept -= 1
    taken = len(table.rows) - kept
    del table.rows[kept:], table.numbers[kept:]
    return taken


def _row_finding(table: RawTable, number: int, code: str, message: str, remedy: str) -> Finding:
    return cell_finding(table, number, None, code, message, remedy, "every row as wide as the header", None)


def _missing_tables(read: Read, package: Package, prepared: Sequence[_Prepared]) -> None:
    here = {one.table.resource for one in prepared} | {one.resource for one in read.findings}
    for outline in package.resources:
        if outline.required and outline.name not in here:
            read.findings.append(
                Finding(
                    code="missing-table",
                    resource=outline.name,
                    message=f"The table {outline.sheet or outline.name} is missing from the return.",
                    remedy="Send the whole return again with this table, or all tables as one zip file.",
                    rule="every required table",
                )
            )


# -- frictionless ------------------------------------------------------------------------------------------------------


def _frictionless(read: Read, prepared: Sequence[_Prepared]) -> None:
    here = {one.table.resource for one in prepared}
    resources = [
        Resource(
            name=one.table.resource, data=[one.labels, *one.rows], schema=Schema.from_descriptor(_schema(one, here))
        )
        for one in prepared
    ]
    by_name = {one.table.resource: one for one in prepared}
    with system.use_context(trusted=False):
        report = FrictionlessPackage(name="return", resources=resources).validate(limit_errors=1_000_000_000)
    for task in report.tasks:
        for error in task.errors:
            read.findings.append(_rewritten(by_name[task.name], error))


def _schema(one: _Prepared, here: set[str]) -> dict[str, Any]:
    """Return the plain Table Schema: our own keys left out, and references to tables that were not sent."""
    schema = one.descriptor["schema"]
    fields = [{key: value for key, value in field.items() if not key.startswith("x-")} for field in schema["fields"]]
    plain: dict[str, Any] = {"fields": fields}
    if "primaryKey" in schema:
        plain["primaryKey"] = schema["primaryKey"]
    keys = [key for key in schema.get("foreignKeys", []) if key["reference"]["resource"] in here]
    if keys:
        plain["foreignKeys"] = keys
    return plain


_PLAIN_NUMBER = re.compile(r"\s*[+-]?[0-9]+(\.[0-9]*)?\s*", re.ASCII)


def _plain_numbers(read: Read, one: _Prepared) -> None:
    """Refuse what a program takes for a number and nobody means as one: ``NaN``, ``INF``, ``1e9``, ``1_000``."""
    known = {(found.row, found.label) for found in read.findings if found.resource == one.table.resource}
    for at, field in enumerate(one.descriptor["schema"]["fields"]):
        place = one.places[at]
        if field["type"] not in {"number", "integer"} or place is None:
            continue
        for number, row in zip(one.table.numbers, one.rows, strict=True):
            if row[at] and not _PLAIN_NUMBER.fullmatch(row[at]):
                found = cell_finding(one.table, number, place, "type-error", *_TYPES[field["type"]], row[at])
                if (found.row, found.label) not in known:
                    read.findings.append(found)


_CONSTRAINT = re.compile(r'constraint "(\w+)"')


def _rewritten(one: _Prepared, error: Any) -> Finding:
    """Turn frictionless's error into a finding: its type and place, our words, the cell hidden."""
    table, schema = one.table, one.descriptor["schema"]
    row = error.row_number - 2 if getattr(error, "row_number", None) else None
    number = table.numbers[row] if row is not None and 0 <= row < len(table.numbers) else None
    name = getattr(error, "field_name", None)
    keys = getattr(error, "field_names", None)
    if name is None and error.type == "foreign-key" and keys:
        name = keys[0]
    at = one.labels.index(name) if name in one.labels else None
    place = one.places[at] if at is not None else None
    value = one.rows[row][at] if number is not None and row is not None and at is not None else None
    field = schema["fields"][at] if at is not None else {}
    constraint = _CONSTRAINT.search(error.note or "")
    message, remedy, rule = _words(error.type, constraint[1] if constraint else "", field, schema)
    found = cell_finding(table, number, place, error.type, message, remedy, rule, value)
    return found if place is not None or name is None else replace(found, label=name)


_TYPES = {
    "date": (
        "This is not a date written as dd/mm/yyyy.",
        "Write day, month and year, for example 31/03/2026.",
        "date as dd/mm/yyyy",
    ),
    "integer": ("This is not a whole number.", "Write digits only, without a point, comma or words.", "whole number"),
    "number": (
        "This is not a number.",
        "Write digits, with a point for decimals; leave the cell empty where there is none.",
        "number",
    ),
}


def _words(kind: str, constraint: str, field: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[str, str, str]:
    constraints = field.get("constraints", {})
    if kind == "type-error":
        return _TYPES.get(
            field.get("type", ""), ("The value is not of the right kind.", "Check it.", str(field.get("type", "")))
        )
    if kind == "primary-key":
        key = schema.get("primaryKey", [])
        names = ", ".join([key] if isinstance(key, str) else key)
        return f"Two rows have the same {names}.", "Keep one of them, or mend the one that is wrong.", f"{names} once"
    if kind == "foreign-key":
        return _reference_words(field, schema)
    if kind == "blank-row":
        return "The row is empty in every column that is asked for.", "Take the row out.", "no empty rows"
    match constraint:
        case "required":
            return "The cell is empty and may not be.", "Fill it in.", "required"
        case "enum":
            codes = [str(code) for code in constraints.get("enum", [])]
            few = ", ".join(codes[:12]) + (", ..." if len(codes) > 12 else "")  # noqa: PLR2004 (a line's worth)
            return "This is not one of the allowed codes.", f"Use one of: {few}.", "allowed codes"
        case "minimum" | "maximum":
            side = "least" if constraint == "minimum" else "most"
            return (
                f"The value must be at {side} {constraints.get(constraint)}.",
                "Check the value.",
                f"{constraint} {constraints.get(constraint)}",
            )
        case "pattern":
            return (
                "The value is not written as it must be.",
                "Check its length and characters against the data package.",
                "pattern",
            )
        case "unique":
            return "The value is there twice.", "Keep one of them.", "unique"
    return "The value breaks a rule of the data package.", "Check it against the data package.", constraint or kind


def _reference_words(field: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[str, str, str]:
    """Say which table and column a cell should be found in."""
    name = field.get("name", "")
    for key in schema.get("foreignKeys", []):
        names = [key["fields"]] if isinstance(key["fields"], str) else key["fields"]
        if name in names:
            there = key["reference"]["fields"]
            other = there if isinstance(there, str) else ", ".join(there)
            table = key["reference"]["resource"]
            return (
                f"This {name} is not in the table {table}.",
                f"Add it to the table {table}, or mend it here.",
                f"{name} is in {table} ({other})",
            )
    return "The table this refers to has no such row.", "Add the row there, or mend the cell.", "foreign key"


# -- ownership ---------------------------------------------------------------------------------------------------------


def _ownership(read: Read, one: _Prepared, period: Period, numbers: AuthorityNumbers) -> None:
    """Check columns that name the authority or the period: a return of somebody else's is refused."""
    parts = _period_parts(period)
    for at, field in enumerate(one.descriptor["schema"]["fields"]):
        owner, part = field.get("x-owner"), field.get("x-period")
        if owner is None and part is None:
            continue
        wanted = getattr(numbers, owner) if owner else parts.get(part, "")
        if owner:
            code, message = "wrong-authority", "This row is about another authority than the one that sent it."
            remedy, rule = f"Your number is {wanted}. Send only your own rows.", "your own authority"
        else:
            code, message = "wrong-period", "This row is about another period than the one it was sent for."
            remedy, rule = f"This return is about {period}. Put other periods in their own folder.", f"period {period}"
        for number, row in zip(one.table.numbers, one.rows, strict=True):
            if row[at].strip() and row[at].strip() != wanted:
                read.findings.append(
                    cell_finding(one.table, number, one.places[at], code, message, remedy, rule, row[at])
                )


def _period_parts(period: Period) -> dict[str, str]:
    year, _, quarter = period.label.rpartition("-")
    return {"year": year or period.label, "quarter": quarter} if quarter.startswith("Q") else {"year": period.label}


def _report(read: Read) -> Report:
    counts = Counter(found.code for found in read.findings)
    seen: Counter[str] = Counter()
    kept: list[Finding] = []
    for found in sorted(read.findings, key=lambda one: (one.file, one.row or 0, one.label or "")):
        seen[found.code] += 1
        if seen[found.code] <= MAX_FINDINGS_A_CODE:
            kept.append(found)
    return Report(
        findings=kept,
        rows={one.resource: len(one.numbers) for one in read.tables},
        counts=dict(counts),
        notes=tuple(read.notes),
    )

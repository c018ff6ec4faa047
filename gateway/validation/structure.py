"""Brings a table as sent into the order and spelling of its data package, and says where its form is wrong.

* Columns are found by label, whatever their order, case and spacing, and by known other spellings.
* A wrong form in one place does not hide what is wrong elsewhere: what can be checked further is.
* Known other spellings of codes are put right and counted. A cell of nothing but spaces looks empty and is empty;
  other cells stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.domain.collection import Package
from gateway.domain.finding import Cell, Finding, Severity
from gateway.validation.descriptor import names_of
from gateway.validation.engine import EngineTable
from gateway.validation.findings import Findings
from gateway.validation.reading import RawTable, Read, column_letter


@dataclass(kw_only=True)
class Prepared:
    """A table under the labels of its data package.

    Attributes:
        resource: its name.
        file: where it came from.
        schema: its Table Schema, our ``x-`` keys included.
        fields: descriptors of the columns that can be checked, in the data package's order.
        places: where each stands in the file; None where an optional column is not there.
        rows: the cells of these columns, spellings put right.
        numbers: the number of each row as a spreadsheet shows it.
        ragged: rows whose cells cannot be told apart; already reported.
        whole: no column is missing.
    """

    resource: str
    file: str
    schema: Mapping[str, Any]
    required: bool
    fields: list[Mapping[str, Any]]
    places: list[int | None]
    rows: list[list[str]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    ragged: set[int] = field(default_factory=set)
    whole: bool = True

    @property
    def labels(self) -> list[str]:
        """Return the labels of ``fields``."""
        return [str(one["name"]) for one in self.fields]


def prepare(read: Read, package: Package) -> list[Prepared]:
    """Arrange every table that was read; findings and notes are added to ``read``."""
    described = {one["name"]: one for one in package.descriptor["resources"]}
    prepared: dict[str, Prepared] = {}
    for table in read.tables:
        if table.resource in prepared:
            read.findings.add(
                Finding(
                    code="duplicate-table",
                    file=table.file,
                    resource=table.resource,
                    message="This table was sent twice in one return.",
                    remedy="Send it once.",
                    rule="each table once",
                )
            )
            continue
        one = _arrange(read, table, described[table.resource])
        if one is not None:
            prepared[table.resource] = one
    return list(prepared.values())


def for_engine(prepared: Sequence[Prepared]) -> list[EngineTable]:
    """Return the tables with plain schemas: our own keys left out, and keys whose columns or tables are not here."""
    columns = {one.resource: set(one.labels) for one in prepared}
    return [EngineTable(resource=one.resource, schema=_plain_schema(one, columns), rows=one.rows) for one in prepared]


def _plain_schema(one: Prepared, columns: Mapping[str, set[str]]) -> dict[str, Any]:
    here = columns[one.resource]
    plain: dict[str, Any] = {
        "fields": [{key: value for key, value in about.items() if not key.startswith("x-")} for about in one.fields]
    }
    key = names_of(one.schema.get("primaryKey", []))
    if key and set(key) <= here:
        plain["primaryKey"] = key
    links: list[dict[str, Any]] = [
        {
            "fields": names_of(link["fields"]),
            "reference": {
                "resource": link["reference"]["resource"],
                "fields": names_of(link["reference"]["fields"]),
            },
        }
        for link in one.schema.get("foreignKeys", [])
    ]
    kept = [
        link
        for link in links
        if set(link["fields"]) <= here
        and set(link["reference"]["fields"]) <= columns.get(link["reference"]["resource"], set())
    ]
    if kept:
        plain["foreignKeys"] = kept
    return plain


def _squeezed(label: str) -> str:
    return " ".join(label.split()).casefold()


def _arrange(read: Read, table: RawTable, descriptor: Mapping[str, Any]) -> Prepared | None:
    fields = descriptor["schema"]["fields"]
    _drop_blank_columns(read, table)
    found = _find_labels(read.findings, table, fields)
    if not found:
        return None
    present = [one for one in fields if one["name"] in found or one.get("x-optional")]
    prepared = Prepared(
        resource=table.resource,
        file=table.file,
        schema=descriptor["schema"],
        required=bool(descriptor.get("x-required")),
        fields=present,
        places=[found.get(one["name"]) for one in present],
        whole=len(present) == len(fields),
    )
    _take_rows(read, table, prepared)
    if not prepared.rows:
        read.findings.add(
            Finding(
                code="no-rows",
                severity=Severity.ERROR if prepared.required else Severity.QUERY,
                file=table.file,
                resource=table.resource,
                message="The table has a header and no rows.",
                remedy="Export it again with its rows, or leave an optional table out.",
                rule="at least one row",
            )
        )
    return prepared


# -- columns -----------------------------------------------------------------------------------------------------------


def _drop_blank_columns(read: Read, table: RawTable) -> None:
    """Take off nameless columns at the end that are empty throughout, as spreadsheets leave them."""
    width = len(table.labels)
    while width and not table.labels[width - 1].strip():
        width -= 1
    if width in (0, len(table.labels)):
        return
    if any(cell.strip() for cells in table.rows for cell in cells[width:]):
        return
    table.labels = table.labels[:width]
    table.rows = [cells[:width] for cells in table.rows]
    read.notes.append(f"Empty columns without a name at the end of {table.resource} were passed over.")


def _find_labels(findings: Findings, table: RawTable, fields: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return where each known column stands; report those missing, extra, nameless and twice."""
    known = {
        _squeezed(alias): str(one["name"]) for one in fields for alias in (one["name"], *one.get("x-label-aliases", []))
    }
    found: dict[str, int] = {}
    trouble: list[Finding] = []
    for at, label in enumerate(table.labels):
        name = known.get(_squeezed(label))
        if name is not None and name not in found:
            found[name] = at
        elif len(trouble) <= len(fields) + 1000:  # a line of commas is not a million findings
            trouble.append(_label_trouble(table, at, name, label))
    if not found:
        findings.add(
            Finding(
                code="missing-header",
                file=table.file,
                resource=table.resource,
                row=table.top,
                message="None of this table's column names stands in the first row.",
                remedy=f"Put the column names into the first row: {_few([str(one['name']) for one in fields])}.",
                rule="a row of column names",
            )
        )
        return found
    findings.extend(trouble)
    findings.extend(
        Finding(
            code="missing-label",
            file=table.file,
            resource=table.resource,
            row=table.top,
            label=str(one["name"]),
            message=f"The column {one['name']} is missing.",
            remedy="Add the column, spelled just so; its cells may be empty where the data package allows.",
            rule="every column of the data package",
        )
        for one in fields
        if one["name"] not in found and not one.get("x-optional")
    )
    return found


def _label_trouble(table: RawTable, at: int, name: str | None, label: str) -> Finding:
    """Say what is wrong with a column. A name that is not known may be a child's: it is hidden like a cell."""
    if not label.strip():
        code, message, remedy = "blank-label", "A column has no name.", "Name it or take it out."
        rule = "every column has a name"
    elif name is None:
        code, message = "extra-label", "This column is not asked for."
        remedy, rule = "Take the column out: send only what is asked for.", "only the columns of the data package"
    else:
        code, message = "duplicate-label", "This column is there twice."
        remedy, rule = "Keep one of them.", "each column once"
    return Finding(
        code=code,
        file=table.file,
        resource=table.resource,
        row=table.top,
        label=name,
        column=column_letter(at),
        message=message,
        remedy=remedy,
        rule=rule,
        value=Cell(label),
    )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")  # noqa: PLR2004 (a line's worth)


# -- rows --------------------------------------------------------------------------------------------------------------


def _take_rows(read: Read, table: RawTable, one: Prepared) -> None:
    width = len(table.labels)
    aliases = [about.get("x-aliases", {}) for about in one.fields]
    corrected = 0
    for number, cells in _without_blank_end(read, table):
        if not any(cell.strip() for cell in cells):
            read.findings.add(_row_finding(table, number, "blank-row", "The row is empty.", "Take the row out."))
            continue
        if len(cells) != width and (len(cells) < width or any(cell.strip() for cell in cells[width:])):
            one.ragged.add(len(one.rows))
            read.findings.add(_ragged(table, number, len(cells), width))
        arranged = [cells[at] if at is not None and at < len(cells) else "" for at in one.places]
        for at, cell in enumerate(arranged):
            bare = cell.strip()
            meant = aliases[at].get(bare.casefold()) if aliases[at] else None
            if meant is not None and meant != cell:
                corrected += 1
                arranged[at] = meant
            elif not bare:
                arranged[at] = ""
        one.rows.append(arranged)
        one.numbers.append(number)
    table.rows = []
    if corrected:
        read.notes.append(f"{corrected:,} known other spellings of codes in {table.resource} were put right.")


def _without_blank_end(read: Read, table: RawTable) -> Iterator[tuple[int, list[str]]]:
    """Yield rows without the empty ones at the end, which spreadsheets leave and nobody sees."""
    end = len(table.rows)
    while end and not any(cell.strip() for cell in table.rows[end - 1]):
        end -= 1
    if end < len(table.rows):
        read.notes.append(f"{len(table.rows) - end:,} empty rows at the end of {table.resource} were passed over.")
    yield from zip(table.numbers[:end], table.rows[:end], strict=True)


def _ragged(table: RawTable, number: int, cells: int, width: int) -> Finding:
    message = f"The row has {cells} cells; the header has {width}."
    if cells > width:
        remedy = "Look for a comma inside a cell: put such cells in quotation marks."
        return _row_finding(table, number, "extra-cell", message, remedy)
    remedy = "Look for a cell that was lost, or add the commas for empty ones."
    return _row_finding(table, number, "missing-cell", message, remedy)


def _row_finding(table: RawTable, number: int, code: str, message: str, remedy: str) -> Finding:
    return Finding(
        code=code,
        file=table.file,
        resource=table.resource,
        row=number,
        message=message,
        remedy=remedy,
        rule="every row as wide as the header",
    )

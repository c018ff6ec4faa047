"""Checks through frictionless: the reference that any faster engine must agree with.

* It is handed rows in memory and never a path or an address.
* Its sentences quote the cell and its errors carry the row: only the error's type and place leave this file.
* Rows are streamed, so that a table with a mistake in every cell does not fill memory with errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

from frictionless import Package, Schema, system
from frictionless.resources import TableResource

from gateway.validation.engine import PLAIN, EngineTable, Fault

_CONSTRAINT = re.compile(r'constraint "(\w+)"')
_FIRST_ROW = 2
"""Frictionless counts the header as row 1."""


class FrictionlessEngine:
    """The engine that is frictionless."""

    def check(self, tables: Sequence[EngineTable]) -> Iterator[Fault]:
        """Yield every fault, table by table, row by row."""
        package = Package(name="return", resources=[_resource(one) for one in tables])
        for table in tables:
            # Only while opening is anything looked up; no trust means no path outside what is handed in.
            with system.use_context(trusted=False):
                resource = cast("TableResource", package.get_resource(table.resource))
                resource.open()  # type: ignore[no-untyped-call]
            try:
                for row in resource.row_stream:
                    yield from _faults(table, row.row_number - _FIRST_ROW, row.errors)
            finally:
                resource.close()


def _resource(table: EngineTable) -> TableResource:
    labels = [field["name"] for field in table.schema["fields"]]
    return TableResource(
        name=table.resource, data=[labels, *table.rows], schema=Schema.from_descriptor(dict(table.schema))
    )


def _faults(table: EngineTable, row: int, errors: Sequence[Any]) -> Iterator[Fault]:
    cells = table.rows[row]
    if not any(cells):
        yield Fault(resource=table.resource, row=row, kind="blank-row", fields=())
        return
    loose: set[tuple[str, ...]] = set()
    for at, field in enumerate(table.schema["fields"]):
        plain = PLAIN.get(field["type"])
        if plain is not None and cells[at] and not plain.fullmatch(cells[at]):
            loose.add((field["name"],))
            yield Fault(resource=table.resource, row=row, kind="type-error", fields=(field["name"],))
    for error in errors:
        fault = _fault(table, row, error)
        if fault is not None and fault.fields not in loose:
            yield fault


def _fault(table: EngineTable, row: int, error: Any) -> Fault | None:
    if error.type == "primary-key":
        names = tuple(table.schema["primaryKey"])
        labels = [field["name"] for field in table.schema["fields"]]
        if not any(table.rows[row][labels.index(name)] for name in names):
            return None  # an empty key is said once, by "required"
        return Fault(resource=table.resource, row=row, kind=error.type, fields=names)
    if error.type == "foreign-key":
        return Fault(resource=table.resource, row=row, kind=error.type, fields=tuple(error.field_names))
    found = _CONSTRAINT.match(error.note or "")
    return Fault(
        resource=table.resource,
        row=row,
        kind=error.type,
        constraint=found[1] if found else "",
        fields=(error.field_name,),
    )

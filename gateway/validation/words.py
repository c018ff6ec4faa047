"""Says a fault in words for the authority: what is wrong, what to do, which rule. No sentence quotes a cell.

A field's ``x-remedy`` in the data package stands before the remedy given here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.domain.finding import Cell, Finding
from gateway.validation.descriptor import names_of
from gateway.validation.engine import Fault
from gateway.validation.reading import column_letter
from gateway.validation.structure import Prepared

_CODES_NAMED = 12

_TYPES = {
    "date": (
        "This is not a date of the calendar written as dd/mm/yyyy.",
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


def say(one: Prepared, fault: Fault) -> Finding:
    """Turn a fault of a table into a finding."""
    at = one.labels.index(fault.fields[0]) if fault.fields else None
    about = one.fields[at] if at is not None else {}
    place = one.places[at] if at is not None else None
    message, remedy, rule = _words(one, fault, about)
    return Finding(
        code=fault.kind,
        file=one.file,
        resource=one.resource,
        row=one.numbers[fault.row],
        label=fault.fields[0] if fault.fields and fault.kind != "primary-key" else None,
        column=column_letter(place) if place is not None and fault.kind != "primary-key" else None,
        message=message,
        remedy=str(about.get("x-remedy") or remedy),
        rule=rule,
        value=Cell(one.rows[fault.row][at] if at is not None and fault.kind != "primary-key" else None),
    )


def _words(one: Prepared, fault: Fault, about: Mapping[str, Any]) -> tuple[str, str, str]:
    names = ", ".join(fault.fields)
    match fault.kind:
        case "type-error":
            kind = str(about["type"])
            return _TYPES.get(kind, ("The value is not of the right kind.", "Check the value.", kind))
        case "primary-key":
            return (
                f"Two rows have the same {names}.",
                "Keep one of them, or mend the one that is wrong.",
                f"{names} once",
            )
        case "unique-error":
            return "The value is there twice.", "Keep one of them.", "unique"
        case "foreign-key":
            return _reference(one, fault)
        case "blank-row":
            return "The row is empty in every column that is asked for.", "Take the row out.", "no empty rows"
    return _constraint(fault.constraint, about.get("constraints", {}))


def _reference(one: Prepared, fault: Fault) -> tuple[str, str, str]:
    """Say which table and column a cell should be found in."""
    for link in one.schema.get("foreignKeys", []):
        if tuple(names_of(link["fields"])) == fault.fields:
            table, there = link["reference"]["resource"], ", ".join(names_of(link["reference"]["fields"]))
            name = ", ".join(fault.fields)
            return (
                f"This {name} is not in the table {table}.",
                f"Add it to the table {table}, or mend it here.",
                f"{name} is in {table} ({there})",
            )
    return "The table this refers to has no such row.", "Add the row there, or mend the cell.", "foreign key"


def _constraint(constraint: str, constraints: Mapping[str, Any]) -> tuple[str, str, str]:
    bound = constraints.get(constraint)
    match constraint:
        case "required":
            return "The cell is empty and may not be.", "Fill it in.", "required"
        case "enum":
            codes = [str(code) for code in constraints["enum"]]
            few = ", ".join(codes[:_CODES_NAMED])
            few += f" and {len(codes) - _CODES_NAMED} more" if len(codes) > _CODES_NAMED else ""
            return "This is not one of the allowed codes.", f"Use one of: {few}.", "allowed codes"
        case "minimum" | "maximum":
            side = "least" if constraint == "minimum" else "most"
            return f"The value must be at {side} {bound}.", "Check the value.", f"{constraint} {bound}"
        case "pattern":
            return (
                "The value is not written as it must be.",
                "Check its length and characters: spaces, hyphens and letters in the right places.",
                f"written as {bound}",
            )
    return "The value breaks a rule of the data package.", "Check the value.", f"{constraint} {bound}"

"""What an engine does: holds the rows of a return against types, constraints and keys, and says where they break.

* An engine knows nothing of sentences, files or spreadsheets: it yields faults, ``words`` says them.
* One engine can stand for another: the same tables give the same faults, in whatever order.
* A cell is text; an empty cell is a missing value. Types are strict (``PLAIN``): a number is written in digits, never
  as ``NaN`` or ``1e5``, which looser readers take.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

PLAIN: Mapping[str, re.Pattern[str]] = {
    "integer": re.compile(r"\s*[+-]?[0-9]+\s*", re.ASCII),
    "number": re.compile(r"\s*[+-]?[0-9]+(?:\.[0-9]*)?\s*", re.ASCII),
    "date": re.compile(r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}", re.ASCII),
}
"""How a value of a type is written, whole. A date also has to be in the calendar."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineTable:
    """One table for an engine.

    Attributes:
        resource: its name.
        schema: a plain Frictionless Table Schema: ``fields`` in the order of the cells, ``primaryKey`` and
            ``foreignKeys`` as lists of names; only keys whose columns and tables are all there.
        rows: cells as text, each row as wide as ``fields``.
    """

    resource: str
    schema: Mapping[str, Any]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One place where a rule is broken.

    Attributes:
        resource: the table.
        row: index into the table's rows.
        kind: ``type-error``, ``constraint-error``, ``unique-error``, ``primary-key``, ``foreign-key``, or ``blank-row``
            for a row in which every column of the schema is empty; such a row has no other fault.
        constraint: for a ``constraint-error`` the constraint's name in Table Schema.
        fields: the columns concerned: one, those of the key, or none for a blank row.
    """

    resource: str
    row: int
    kind: str
    constraint: str = ""
    fields: tuple[str, ...]


class Engine(Protocol):
    """Holds tables against their schemas."""

    def check(self, tables: Sequence[EngineTable]) -> Iterator[Fault]:
        """Yield every fault of every table; keys are checked within and across tables."""

"""What validation found in a submission: where, which rule, what is wrong and how to mend it.

* A finding is about *their* data and goes to the authority that sent it, nowhere else.
* Its sentence never quotes a cell. The cell's value is a separate field without a ``repr``, shown only in the
  report placed in that authority's own home.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """Whether a finding rejects the return or only asks about it."""

    ERROR = "error"
    QUERY = "query"


class Cell:
    """A cell's value as it was sent. It has no ``repr``, no ``str`` and no pickle: it can only be asked for.

    >>> print(Cell("31/02/2026"))
    <cell>
    """

    __slots__ = ("_value",)

    def __init__(self, value: str | None) -> None:
        self._value = value

    def reveal(self) -> str | None:
        """Return the value. Only the report for its own authority may call this."""
        return self._value

    def __repr__(self) -> str:
        return "<cell>"

    def __reduce__(self) -> tuple[object, ...]:
        message = "a cell's value is never stored or sent"
        raise TypeError(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing found.

    Attributes:
        code: frictionless's error type (``type-error``, ``blank-row``), or a rule's id (``riia-subset``).
        severity: an error rejects; a query asks.
        file: the dropped file's name, as the sender named it.
        resource: the table it was read as, empty where it could not be told.
        row: as a spreadsheet shows it (the header row is 1); None where the finding is about a whole file.
        label: the column's name.
        column: the column's letter as a spreadsheet shows it, for example ``C``.
        message: one sentence on what is wrong, without any value of the data.
        remedy: one sentence on what to do.
        rule: what was broken, for example ``date as dd/mm/yyyy``.
        value: the cell, hidden.
    """

    code: str
    severity: Severity = Severity.ERROR
    file: str = ""
    resource: str = ""
    row: int | None = None
    label: str | None = None
    column: str | None = None
    message: str
    remedy: str
    rule: str = ""
    value: Cell = field(default_factory=lambda: Cell(None))


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Everything validation found. Holds cells, so it stays in memory until it is rendered and sealed."""

    findings: Sequence[Finding]
    rows: Mapping[str, int]
    """Rows read by resource, header not counted."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """True numbers of findings by code, where ``findings`` was capped; empty where it was not."""
    notes: Sequence[str] = ()
    """Facts worth saying that are no finding: assumptions, aliases normalised, encodings converted."""

    @property
    def accepted(self) -> bool:
        """True where no finding is an error."""
        return not any(found.severity is Severity.ERROR for found in self.findings)

    def summary(self) -> ReportSummary:
        """Return the numbers only: safe to store, log and sign."""
        counted = dict(self.counts) or dict(Counter(found.code for found in self.findings))
        errors = sum(1 for found in self.findings if found.severity is Severity.ERROR)
        queries = len(self.findings) - errors
        hidden = sum(counted.values()) - len(self.findings)
        return ReportSummary(
            accepted=self.accepted,
            errors=errors + (hidden if errors else 0),
            queries=queries + (0 if errors else hidden),
            by_code=counted,
            rows=dict(self.rows),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportSummary:
    """A report's numbers: no names, no cells."""

    accepted: bool
    errors: int
    queries: int
    by_code: Mapping[str, int]
    rows: Mapping[str, int]

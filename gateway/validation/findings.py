"""Gathers findings while a submission is read and checked: all are counted, so many of each code are kept.

A file with one mistake in every row must not fill memory, and nobody mends ten thousand cells by hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from gateway.domain.finding import Finding, Severity

MAX_FINDINGS_A_CODE = 10_000
"""Findings kept for each code; beyond it they are counted and not listed."""


class Findings:
    """All that was found so far."""

    def __init__(self) -> None:
        self._kept: list[Finding] = []
        self._counts: Counter[tuple[str, Severity]] = Counter()
        self._resources: set[str] = set()

    def add(self, found: Finding) -> None:
        """Count a finding, and keep it unless its code has enough."""
        key = (found.code, found.severity)
        self._counts[key] += 1
        self._resources.add(found.resource)
        if self._counts[key] <= MAX_FINDINGS_A_CODE:
            self._kept.append(found)

    def extend(self, found: Iterable[Finding]) -> None:
        """Add several."""
        for one in found:
            self.add(one)

    def full(self, code: str) -> bool:
        """Say whether further errors of a code are only counted: the caller may spare itself the words."""
        return self._counts[code, Severity.ERROR] >= MAX_FINDINGS_A_CODE

    def count(self, code: str) -> None:
        """Count an error of a code that is full, without its words."""
        self._counts[code, Severity.ERROR] += 1

    @property
    def resources(self) -> set[str]:
        """Return the tables that anything was found in; an empty name stands for a file that is no table."""
        return self._resources

    def kept(self) -> tuple[Finding, ...]:
        """Return the findings kept, by file, row and column."""
        return tuple(
            sorted(self._kept, key=lambda one: (one.file, one.row or 0, len(one.column or ""), one.column or ""))
        )

    def counts(self) -> Mapping[str, int]:
        """Return the true numbers by code."""
        total: Counter[str] = Counter()
        for (code, _), number in self._counts.items():
            total[code] += number
        return dict(total)

    def unlisted(self) -> int:
        """Return how many were counted and not kept."""
        return sum(self._counts.values()) - len(self._kept)

"""What one authority owes for one collection and period, what was agreed about it, and how it stands.

* How it stands is computed from facts and the time (``gateway.calendar.standing``), never stored.
* What was agreed is kept: an extension moves the due date and the original date stays on record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from gateway.domain.names import AuthorityCode, CollectionId
from gateway.domain.period import Period
from gateway.domain.sharing import Participation
from gateway.domain.states import ExpectationState


@dataclass(frozen=True, order=True, slots=True)
class Owed:
    """Names one expectation: who, which collection, which period (its label)."""

    authority: AuthorityCode
    collection: CollectionId
    period: str

    def __str__(self) -> str:
        """Return it as the ledger names it."""
        return f"{self.authority}/{self.collection}/{self.period}"


@dataclass(frozen=True, kw_only=True, slots=True)
class DueOverride:
    """A due date that LIIA set for one period of a collection, for every authority, instead of the rule's."""

    collection: CollectionId
    period: str
    due_on: date
    reason: str
    set_by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Extension:
    """A later due date that LIIA granted to one authority."""

    owed: Owed
    new_due: date
    reason: str
    granted_by: str
    granted_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Excuse:
    """One authority cannot send one return (for example after a cyber-attack): neither late nor missing."""

    owed: Owed
    reason: str
    granted_by: str
    granted_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreed:
    """Everything people agreed that moves an expectation, as it is in force."""

    participations: Sequence[Participation] = ()
    overrides: Sequence[DueOverride] = ()
    extensions: Sequence[Extension] = ()
    """The latest for each expectation."""
    excuses: Sequence[Excuse] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Expectation:
    """One authority owes one collection for one period.

    Attributes:
        opens: first day a return is looked for.
        due: last day, extension included; ends at midnight in London.
        original_due: the due day before any extension.
        on_time_until: last day that counts as on time: ``due`` and the grace days.
        load_due: first of two milestones, where there are two.
        closes: last day for a new version without LIIA's leave; None where it does not close.
        extension_reason: why ``due`` was moved; empty where it was not.
        participates: False where the authority does not take part on the day it is due.
        excused: True where LIIA agreed that it cannot be sent.
    """

    authority: AuthorityCode
    collection: CollectionId
    period: Period
    opens: date
    due: date
    original_due: date
    on_time_until: date
    load_due: date | None = None
    closes: date | None = None
    extension_reason: str = ""
    participates: bool = True
    excused: bool = False
    excuse_reason: str = ""

    @property
    def owed(self) -> Owed:
        """Return its name."""
        return Owed(self.authority, self.collection, self.period.label)


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How an expectation stands at an instant."""

    expectation: Expectation
    state: ExpectationState
    accepted_at: datetime | None = None
    """When the accepted return was received; None where there is none."""

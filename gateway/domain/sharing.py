"""Who may have what, under which decision: recipients, LCIIB authorisations, participation, deliveries.

Sources: the MoU (2.1, 3.1, Appendix A and B) as told in the project's domain notes, section 5.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from gateway.domain.names import AuthorityCode, CollectionId, Digest, RecipientCode
from gateway.domain.states import AuthorisationState, DeliveryState


class Purpose(StrEnum):
    """The closed list of purposes (MoU 1 and 2.1)."""

    BENCHMARKING = "benchmarking"
    LIIA_PROJECT = "liia-project"
    IMPROVEMENT = "improvement"
    BENEFIT_OF_CHILDREN = "benefit-of-children"


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipient:
    """A body that may receive."""

    code: RecipientCode
    name: str
    basis: str
    """Where the MoU names it, for example ``Appendix A``."""
    seal_keys: tuple[str, ...] = ()
    """age recipients (``age1...`` or ``ssh-ed25519 ...``), every one of which can open."""
    label_accepted_at: datetime | None = None
    """When it accepted the limited-use label and the onward conditions; None: not yet, so nothing goes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Authorisation:
    """One decision of the LCIIB. ``fields`` and ``authorities`` empty mean none, ``*`` alone means all."""

    id: str
    lciib_reference: str
    decided_on: date
    purpose: Purpose
    recipient: RecipientCode
    collection: CollectionId
    fields: tuple[str, ...]
    """``resource.column`` names, or for long tables ``resource.column`` plus ``measures``."""
    measures: tuple[str, ...] = ("*",)
    """For long-form indicator tables: measure ids allowed."""
    authorities: tuple[str, ...]
    periods_from: str
    """Label of the first period covered."""
    periods_until: str | None
    """Label of the last period covered; None: until it ends."""
    valid_from: date
    valid_until: date
    state: AuthorisationState
    proposed_by: str
    approved_by: str | None = None
    revoked_at: datetime | None = None
    conditions: tuple[str, ...] = ()
    document_digest: Digest | None = None
    """SHA-256 of the minute."""
    proposed_at: datetime | None = None
    approved_at: datetime | None = None
    revoked_by: str | None = None
    revoked_reason: str = ""
    """Free text, which may name a person: kept in the register, never in the ledger."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Participation:
    """One authority's part in one collection: dates and papers."""

    authority: AuthorityCode
    collection: CollectionId
    since: date
    until: date | None = None
    agreement: str | None = None
    """Reference of the data-protection agreement."""
    impact_assessment: str | None = None
    """Reference of the data-protection impact assessment."""
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseRequest:
    """What an extract asks for."""

    recipient: RecipientCode
    collection: CollectionId
    child_level: bool
    period: str
    fields: tuple[str, ...]
    authorities: tuple[AuthorityCode, ...]
    purpose: Purpose
    measures: tuple[str, ...] = ("*",)


@dataclass(frozen=True, kw_only=True, slots=True)
class Permit:
    """Allowed: exactly this and no more."""

    authorisation: str
    lciib_reference: str
    fields: tuple[str, ...]
    measures: tuple[str, ...]
    authorities: tuple[AuthorityCode, ...]
    left_out: tuple[str, ...] = ()
    """Authorities not in it and why, for example ``barnet: does not take part``."""
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Deny:
    """Not allowed. Each reason begins with the gate that failed: ``authorisation:``, ``participation:``, ``label:``."""

    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One extract handed to one recipient."""

    id: str
    key: str
    """Natural key: extract, recipient, authorisation, period and the submissions in it."""
    recipe: str
    recipient: RecipientCode
    authorisation: str
    collection: CollectionId
    period: str
    submissions: tuple[str, ...]
    state: DeliveryState
    name: str
    """File name in the recipient's outbox."""
    digest: Digest | None
    planned_at: datetime
    attempts: int = 0
    trouble: str = ""
    authorities: tuple[str, ...] = field(default=())
    fields: tuple[str, ...] = ()
    """``resource.column`` names that were in it."""
    measures: tuple[str, ...] = ("*",)
    lciib_reference: str = ""
    recipe_digest: Digest | None = None
    """SHA-256 of the recipe as it was: a changed recipe makes another delivery."""
    edition: int = 1
    """Counts the deliveries of one extract for one period."""
    changed_at: datetime | None = None
    """When it came into its state."""
    sealed_digest: Digest | None = None
    """SHA-256 of what lies in the outbox; ``digest`` is of the extract before sealing."""
    recalled: bool = False
    """For a withdrawn one: it is certain that nothing of it is left with the recipient's channel."""

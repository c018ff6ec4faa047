"""The states of each thing, and the one table of which may follow which.

The state, the ledger event and the log action share one participle (DESIGN.md section 6).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """Where a submission is on its way from drop to receipt."""

    RECEIVED = "received"
    SCANNED = "scanned"
    QUARANTINED = "quarantined"
    DUPLICATED = "duplicated"
    REJECTED = "rejected"
    ACCEPTED = "accepted"
    SEALED = "sealed"
    STORED = "stored"
    ROUTED = "routed"
    RECEIPTED = "receipted"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"


class AuthorisationState(StrEnum):
    """Where an LCIIB decision is."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    IN_FORCE = "in_force"
    EXPIRED = "expired"
    REVOKED = "revoked"


class DeliveryState(StrEnum):
    """Where one extract is on its way to one recipient."""

    PLANNED = "planned"
    SEALED = "sealed"
    OFFERED = "offered"
    SENT = "sent"
    COLLECTED = "collected"
    ACKNOWLEDGED = "acknowledged"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


class ExpectationState(StrEnum):
    """How an expectation stands; always computed from facts and the time, never stored."""

    NOT_EXPECTED = "not_expected"
    EXPECTED = "expected"
    ACCEPTED_ON_TIME = "accepted_on_time"
    ACCEPTED_LATE = "accepted_late"
    LATE = "late"
    MISSING = "missing"
    EXCUSED = "excused"


_FINISHED = frozenset[State]()
_AFTER_ACCEPTANCE = frozenset({State.SUPERSEDED, State.WITHDRAWN})

MAY_FOLLOW: Mapping[State, frozenset[State]] = {
    State.RECEIVED: frozenset({State.SCANNED, State.QUARANTINED, State.DUPLICATED}),
    State.SCANNED: frozenset({State.ACCEPTED, State.REJECTED, State.QUARANTINED}),
    State.ACCEPTED: frozenset({State.SEALED}) | _AFTER_ACCEPTANCE,
    State.SEALED: frozenset({State.STORED}) | _AFTER_ACCEPTANCE,
    State.STORED: frozenset({State.ROUTED}) | _AFTER_ACCEPTANCE,
    State.ROUTED: frozenset({State.RECEIPTED}) | _AFTER_ACCEPTANCE,
    State.RECEIPTED: _AFTER_ACCEPTANCE,
    State.QUARANTINED: _FINISHED,
    State.DUPLICATED: _FINISHED,
    State.REJECTED: _FINISHED,
    State.SUPERSEDED: _FINISHED,
    State.WITHDRAWN: _FINISHED,
}
"""Which state may follow which for a submission. A state that leads nowhere is final."""

ACCEPTED_STATES = frozenset({State.ACCEPTED, State.SEALED, State.STORED, State.ROUTED, State.RECEIPTED})
"""States in which the submission is the authority's good answer for its period."""

DELIVERY_MAY_FOLLOW: Mapping[DeliveryState, frozenset[DeliveryState]] = {
    DeliveryState.PLANNED: frozenset({DeliveryState.SEALED, DeliveryState.FAILED, DeliveryState.WITHDRAWN}),
    DeliveryState.SEALED: frozenset(
        {DeliveryState.OFFERED, DeliveryState.SENT, DeliveryState.FAILED, DeliveryState.WITHDRAWN}
    ),
    DeliveryState.OFFERED: frozenset({DeliveryState.COLLECTED, DeliveryState.WITHDRAWN}),
    DeliveryState.SENT: frozenset({DeliveryState.ACKNOWLEDGED, DeliveryState.FAILED}),
    DeliveryState.COLLECTED: frozenset({DeliveryState.ACKNOWLEDGED}),
    DeliveryState.ACKNOWLEDGED: frozenset(),
    DeliveryState.FAILED: frozenset({DeliveryState.PLANNED, DeliveryState.SEALED, DeliveryState.WITHDRAWN}),
    DeliveryState.WITHDRAWN: frozenset(),
}


def may_follow(earlier: State, later: State) -> bool:
    """Say whether a submission in ``earlier`` may go to ``later``."""
    return later in MAY_FOLLOW[earlier]

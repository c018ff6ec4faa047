"""May this recipient have this? Pure: values in, ``Permit`` or ``Deny`` out, and deny is the default.

Three gates, each of which must open (DESIGN.md promise 9, MoU 2.1 and Appendix B):

* **authorisation**: one decision of the LCIIB, in force on the day, covers the recipient, the purpose, the collection,
  the period, every field and every measure. Two decisions that cover a half each cover nothing.
* **participation**: an authority that does not take part on the day, and for child-level data one without an agreement
  and an impact assessment on record, is left out with the reason. Nobody left: denied.
* **label**: the recipient is on the register and accepted the limited-use label and the onward conditions.

A day is a day in London. What was revoked is out for good, whatever the clock says: a node whose clock is behind must
not let out what another node stopped. A reason never holds a date of today, so the same refusal reads the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime

from gateway.domain.london import london_date
from gateway.domain.names import AuthorityCode
from gateway.domain.period import Period
from gateway.domain.sharing import Authorisation, Deny, Participation, Permit, Recipient, ReleaseRequest
from gateway.domain.states import AuthorisationState

ALL = ("*",)
"""All, where it stands alone."""

_STANDS = frozenset({AuthorisationState.APPROVED, AuthorisationState.IN_FORCE})


def decide(
    request: ReleaseRequest,
    *,
    authorisations: Sequence[Authorisation],
    recipient: Recipient | None,
    participation: Sequence[Participation],
    at: datetime,
) -> Permit | Deny:
    """Decide one request.

    Args:
        request: what an extract asks for.
        authorisations: the register, whole or in part; what does not fit is not looked at.
        recipient: the register's entry of the recipient; None where there is none.
        participation: who takes part, whole or in part.
        at: the instant to decide for, aware.

    Returns:
        What is allowed, exactly; or every reason why nothing is, each beginning with the gate that stayed shut.

    Raises:
        ValueError: ``at`` has no time zone.
    """
    if at.tzinfo is None:
        message = "a decision needs an aware datetime"
        raise ValueError(message)
    day = london_date(at)
    covering, authorisation_reasons = _authorisation_gate(request, authorisations, day)
    taking_part, left_out = _participation_gate(request, participation, day)
    reasons = [*authorisation_reasons, *_label_gate(request, recipient, at)]
    if not taking_part:
        reasons += [f"participation: {reason}" for reason in left_out or ("the request names no authority",)]
    if reasons:
        return Deny(reasons=tuple(reasons))
    permits = [_permit(request, one, taking_part, left_out) for one in covering]
    fullest = max(permits, key=lambda permit: len(permit.authorities))  # the first of equals: see _authorisation_gate
    if not fullest.authorities:
        names = ", ".join(permit.lciib_reference for permit in permits)
        return Deny(reasons=(f"authorisation: {names} names none of {', '.join(taking_part)}",))
    return fullest


def standing(authorisation: Authorisation, at: datetime) -> AuthorisationState:
    """Return how a decision stands at an instant, from what was done with it and its dates."""
    return _standing(authorisation, london_date(at))


def explain(request: ReleaseRequest, decision: Permit | Deny) -> str:
    """Tell a decision in words, for people."""
    asked = (
        f"{request.recipient} asks for {request.collection}, {request.period}, for {request.purpose.value}: "
        f"{_many(request.fields, 'field')}, {_many(request.measures, 'measure')}, "
        f"{_many(request.authorities, 'authority', 'authorities')}"
        f"{', about single children' if request.child_level else ''}."
    )
    if isinstance(decision, Deny):
        return "\n".join([asked, "DENIED: nothing leaves.", *(f"  - {reason}" for reason in decision.reasons)])
    lines = [
        asked,
        f"PERMITTED under {decision.lciib_reference} (authorisation {decision.authorisation}).",
        f"  fields: {', '.join(decision.fields)}",
        f"  measures: {'all' if decision.measures == ALL else ', '.join(decision.measures)}",
        f"  authorities: {', '.join(decision.authorities)}",
        *(f"  left out: {reason}" for reason in decision.left_out),
        *(f"  condition: {condition}" for condition in decision.conditions),
    ]
    return "\n".join(lines)


def same_person(one: str, other: str) -> bool:
    """Say whether two names, as people type them, are one person's: ``alice``, ``Alice ``, ``person:alice``."""
    return _bare(one) == _bare(other)


def _bare(name: str) -> str:
    return name.strip().casefold().removeprefix("person:").strip()


def _many(names: Sequence[str], one: str, several: str = "") -> str:
    if tuple(names) == ALL:
        return f"every {one}"
    return f"{len(names)} {one if len(names) == 1 else several or one + 's'}"


def _authorisation_gate(
    request: ReleaseRequest, authorisations: Iterable[Authorisation], day: date
) -> tuple[list[Authorisation], list[str]]:
    """Return the decisions that cover the request, newest first (then by id), or why none does."""
    named = sorted(
        (one for one in authorisations if (one.recipient, one.collection) == (request.recipient, request.collection)),
        key=lambda one: (-one.decided_on.toordinal(), one.id),
    )
    if not named:
        return [], [f"authorisation: no decision of the LCIIB lets {request.recipient} have {request.collection}"]
    shortfalls = [(one, _shortfalls(request, one, day)) for one in named]
    covering = [one for one, short in shortfalls if not short]
    if covering:
        return covering, []
    return [], [f"authorisation: {one.lciib_reference} ({one.id}) {', '.join(short)}" for one, short in shortfalls]


def _shortfalls(request: ReleaseRequest, authorisation: Authorisation, day: date) -> list[str]:
    """Return in words what a decision lacks for a request; nothing where it covers it."""
    short = []
    state = _standing(authorisation, day)
    if state is not AuthorisationState.IN_FORCE:
        short.append(_NOT_IN_FORCE[state])
    elif authorisation.approved_by is None or same_person(authorisation.approved_by, authorisation.proposed_by):
        short.append("was not approved by another person than its proposer")
    elif authorisation.decided_on > day:
        short.append("is dated in the future")
    if authorisation.purpose is not request.purpose:
        short.append(f"is for {authorisation.purpose.value}, not {request.purpose.value}")
    if not _period_covered(authorisation, request.period):
        short.append(f"does not cover {request.period}")
    short += _missing("field", authorisation.fields, request.fields)
    short += _missing("measure", authorisation.measures, request.measures)
    return short


_NOT_IN_FORCE = {
    AuthorisationState.PROPOSED: "is only proposed",
    AuthorisationState.APPROVED: "is approved and not in force yet",
    AuthorisationState.EXPIRED: "has expired",
    AuthorisationState.REVOKED: "was revoked",
}


def _standing(authorisation: Authorisation, day: date) -> AuthorisationState:
    if authorisation.revoked_at is not None or authorisation.state is AuthorisationState.REVOKED:
        return AuthorisationState.REVOKED
    if authorisation.state not in _STANDS:
        return authorisation.state
    if day > authorisation.valid_until:
        return AuthorisationState.EXPIRED
    return AuthorisationState.APPROVED if day < authorisation.valid_from else AuthorisationState.IN_FORCE


def _period_covered(authorisation: Authorisation, label: str) -> bool:
    try:
        asked, first = Period.parse(label), Period.parse(authorisation.periods_from)
        last = Period.parse(authorisation.periods_until) if authorisation.periods_until is not None else None
    except ValueError:
        return False  # what cannot be read covers nothing
    return first.start <= asked.start and (last is None or asked.end <= last.end)


def _missing(kind: str, allowed: tuple[str, ...], asked: tuple[str, ...]) -> list[str]:
    if not asked:
        return [f"is asked for no {kind}"]
    if allowed == ALL:
        return []
    outside = sorted(set(asked) - (set(allowed) - {"*"}))
    return [f"does not cover {kind} {', '.join(outside)}"] if outside else []


def _participation_gate(
    request: ReleaseRequest, participation: Iterable[Participation], day: date
) -> tuple[tuple[AuthorityCode, ...], tuple[str, ...]]:
    """Return who takes part, and who is left out and why."""
    begun: dict[AuthorityCode, Participation] = {}
    for record in sorted(participation, key=lambda one: (one.since, one.until is not None)):
        if record.collection == request.collection and record.since <= day:
            begun[record.authority] = record  # the latest record speaks: an older one does not outlive a withdrawal
    taking_part, left_out = [], []
    for authority in sorted(set(request.authorities)):
        trouble = _absence(begun.get(authority), request, day)
        if trouble:
            left_out.append(f"{authority}: {trouble}")
        else:
            taking_part.append(authority)
    return tuple(taking_part), tuple(left_out)


def _absence(record: Participation | None, request: ReleaseRequest, day: date) -> str:
    if record is None:
        return f"does not take part in {request.collection}"
    if record.until is not None and record.until < day:
        return f"no longer takes part in {request.collection}"
    papers = [
        name
        for name, reference in (("agreement", record.agreement), ("impact assessment", record.impact_assessment))
        if not (reference or "").strip()
    ]
    if request.child_level and papers:
        return f"has no {' and no '.join(papers)} on record, which child-level data need"
    return ""


def _label_gate(request: ReleaseRequest, recipient: Recipient | None, at: datetime) -> list[str]:
    if recipient is None or recipient.code != request.recipient:
        return [f"label: {request.recipient} is not on the register of recipients"]
    if recipient.label_accepted_at is None or recipient.label_accepted_at > at:
        return [f"label: {request.recipient} has not accepted the limited-use label and the onward conditions"]
    return []


def _permit(
    request: ReleaseRequest,
    authorisation: Authorisation,
    taking_part: tuple[AuthorityCode, ...],
    left_out: tuple[str, ...],
) -> Permit:
    named = [one for one in taking_part if authorisation.authorities == ALL or one in authorisation.authorities]
    unnamed = [f"{one}: {authorisation.lciib_reference} does not name it" for one in taking_part if one not in named]
    return Permit(
        authorisation=authorisation.id,
        lciib_reference=authorisation.lciib_reference,
        fields=tuple(dict.fromkeys(request.fields)),
        measures=tuple(dict.fromkeys(request.measures)),
        authorities=tuple(named),
        left_out=tuple(sorted([*left_out, *unnamed])),
        conditions=authorisation.conditions,
    )

"""The register of recipients and of LCIIB decisions: who proposed, who approved, what was revoked.

* A decision comes into force only when another person than its proposer approved it, and within its dates.
* Whether it is in force is told from what was done and the date (``policy.standing``); it is never stored.
* Every change has its event: ``recipient_added``, ``recipient_changed``, ``label_accepted``, ``proposed``,
  ``approved``, ``revoked``. Doing the same again changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from gateway.domain.events import Event, Fact
from gateway.domain.names import SLUG, RecipientCode
from gateway.domain.period import Period
from gateway.domain.sharing import Authorisation, Recipient
from gateway.domain.states import AuthorisationState
from routing.errors import NotAllowedError, NotFoundError, ProposalError
from routing.policy import ALL, same_person, standing
from routing.ports import RegisterStore

_MAX_CODE = 64


class Register:
    """Reads and changes the register."""

    def __init__(self, store: RegisterStore) -> None:
        self._store = store

    def recipients(self) -> Sequence[Recipient]:
        """Return every recipient, by code."""
        return self._store.recipients()

    def recipient(self, code: RecipientCode) -> Recipient | None:
        """Return one recipient, or None."""
        return self._store.recipient(code)

    def add_recipient(self, recipient: Recipient, *, by: str, at: datetime) -> Recipient:
        """Register a recipient, or change its name, basis and keys. An accepted label stays accepted.

        Raises:
            ProposalError: its code is not a code, or its name is empty.
        """
        if not SLUG.match(recipient.code) or len(recipient.code) > _MAX_CODE:
            raise ProposalError(
                f"{recipient.code[:40]!r} is not a recipient's code.",
                did="Nothing was changed.",
                remedy="Write lower-case letters, digits and single hyphens, for example met-police.",
            )
        if not recipient.name.strip():
            raise ProposalError(f"Recipient {recipient.code} has no name.", remedy="Give its full name.")
        before = self._store.recipient(recipient.code)
        label = recipient.label_accepted_at or (before.label_accepted_at if before else None)
        wanted = replace(recipient, label_accepted_at=label)
        if before == wanted:
            return wanted
        action = "recipient_changed" if before else "recipient_added"
        facts: dict[str, Fact] = {"name": wanted.name, "basis": wanted.basis, "keys": list(wanted.seal_keys)}
        subject = f"recipient:{wanted.code}"
        key = f"{subject}/{action}/{at.isoformat()}" if before else f"{subject}/{action}"
        self._store.save_recipient(
            wanted, Event(action=action, subject=subject, at=at, actor=_actor(by), facts=facts, key=key)
        )
        return wanted

    def accept_label(self, code: RecipientCode, *, by: str, at: datetime) -> Recipient:
        """Record that a recipient accepted the limited-use label and the onward conditions.

        Raises:
            NotFoundError: there is no such recipient.
        """
        recipient = self._known_recipient(code)
        if recipient.label_accepted_at is not None:
            return recipient
        accepted = replace(recipient, label_accepted_at=at)
        self._store.save_recipient(
            accepted, Event(action="label_accepted", subject=f"recipient:{code}", at=at, actor=_actor(by))
        )
        return accepted

    def authorisations(self, *, at: datetime) -> Sequence[Authorisation]:
        """Return every decision with the state it is in at an instant, by id."""
        return [replace(one, state=standing(one, at)) for one in self._store.authorisations()]

    def authorisation(self, authorisation: str, *, at: datetime) -> Authorisation:
        """Return one decision with the state it is in at an instant.

        Raises:
            NotFoundError: there is no such decision.
        """
        found = self._known(authorisation)
        return replace(found, state=standing(found, at))

    def propose(self, authorisation: Authorisation, *, at: datetime) -> Authorisation:
        """Put a decision before a second person. It lets nothing out yet.

        Raises:
            ProposalError: it contradicts itself, names an unknown recipient, or its id is taken by another.
        """
        if troubles := [*_troubles(authorisation), *self._unknown_recipient(authorisation)]:
            raise ProposalError(
                f"The decision {authorisation.lciib_reference or authorisation.id!r} cannot be proposed:"
                f" {'; '.join(troubles)}.",
                did="Nothing was changed.",
                remedy="Mend it and propose it again.",
            )
        proposed = replace(
            authorisation,
            state=AuthorisationState.PROPOSED,
            proposed_at=at,
            approved_by=None,
            approved_at=None,
            revoked_at=None,
        )
        event = _event("proposed", proposed, proposed.proposed_by, at, _terms(proposed))
        if not self._store.add_authorisation(proposed, event):
            there = self._known(proposed.id)
            if replace(there, proposed_at=at) != proposed:
                raise ProposalError(
                    f"There is another decision with the id {proposed.id}.",
                    did="Nothing was changed.",
                    remedy="Give it an id of its own.",
                )
            return there
        return proposed

    def approve(self, authorisation: str, *, by: str, at: datetime) -> Authorisation:
        """Approve a proposal, as another person than its proposer. It is in force within its dates.

        Raises:
            NotFoundError: there is no such decision.
            NotAllowedError: it was proposed by the same person, or it is not waiting for approval.
        """
        found = self._known(authorisation)
        if not by.strip():
            raise NotAllowedError("Nobody approves nothing.", remedy="Say who approves: --by NAME.")
        if same_person(by, found.proposed_by):
            raise NotAllowedError(
                f"{by} proposed the decision {authorisation} and cannot approve it as well.",
                did="It stays proposed; nothing leaves under it.",
                remedy="Let another person approve it.",
            )
        if found.state is AuthorisationState.APPROVED:
            return found
        if found.state is not AuthorisationState.PROPOSED:
            raise NotAllowedError(
                f"The decision {authorisation} is {found.state.value} and cannot be approved.",
                remedy="Propose it anew.",
            )
        approved = replace(found, state=AuthorisationState.APPROVED, approved_by=by, approved_at=at)
        event = _event("approved", approved, by, at, {"proposed_by": found.proposed_by})
        if not self._store.change_authorisation(approved, event, was=AuthorisationState.PROPOSED):
            return self.approve(authorisation, by=by, at=at)  # somebody was quicker: judge what is there now
        return approved

    def revoke(self, authorisation: str, *, by: str, reason: str, at: datetime) -> Authorisation:
        """Revoke a decision for good. From this moment nothing leaves under it; ``Router.tend`` stops what is queued.

        Raises:
            NotFoundError: there is no such decision.
            NotAllowedError: no person or no reason is given.
        """
        found = self._known(authorisation)
        if found.state is AuthorisationState.REVOKED:
            return found
        if not by.strip() or not reason.strip():
            raise NotAllowedError("A revocation needs a person and a reason.", remedy="Give --by NAME --reason TEXT.")
        revoked = replace(
            found, state=AuthorisationState.REVOKED, revoked_at=at, revoked_by=by, revoked_reason=reason.strip()
        )
        event = _event("revoked", revoked, by, at, {"was": found.state.value})
        if not self._store.change_authorisation(revoked, event, was=found.state):
            return self.revoke(authorisation, by=by, reason=reason, at=at)
        return revoked

    def _known(self, authorisation: str) -> Authorisation:
        found = self._store.authorisation(authorisation)
        if found is None:
            raise NotFoundError(
                f"There is no authorisation {authorisation[:80]!r}.", remedy="Run `gateway authorisation list`."
            )
        return found

    def _known_recipient(self, code: RecipientCode) -> Recipient:
        found = self._store.recipient(code)
        if found is None:
            raise NotFoundError(f"There is no recipient {code[:80]!r}.", remedy="Run `gateway recipient list`.")
        return found

    def _unknown_recipient(self, authorisation: Authorisation) -> list[str]:
        if self._store.recipient(authorisation.recipient) is not None:
            return []
        return [f"there is no recipient {authorisation.recipient!r}; add it first with `gateway recipient add`"]


def _troubles(proposal: Authorisation) -> list[str]:
    """Return what makes a proposal impossible, in words."""
    troubles = [
        f"it does not say {what}"
        for what, value in (
            ("its id", proposal.id),
            ("its LCIIB reference", proposal.lciib_reference),
            ("who proposes it", proposal.proposed_by),
        )
        if not value.strip()
    ]
    if proposal.valid_until < proposal.valid_from:
        troubles.append("it ends before it begins")
    for what, names in (
        ("fields", proposal.fields),
        ("measures", proposal.measures),
        ("authorities", proposal.authorities),
    ):
        if not names:
            troubles.append(f"it names no {what}")
        elif "*" in names and names != ALL:
            troubles.append(f"it names all {what} and some as well")
    if wrong := sorted(one for one in proposal.fields if one != "*" and "." not in one):
        troubles.append(f"write fields as resource.column, not {', '.join(wrong)}")
    return [*troubles, *_period_troubles(proposal)]


def _period_troubles(proposal: Authorisation) -> list[str]:
    try:
        first = Period.parse(proposal.periods_from)
        last = Period.parse(proposal.periods_until) if proposal.periods_until is not None else None
    except ValueError as error:
        return [str(error).rstrip(".")]
    return ["its last period ends before its first begins"] if last is not None and last.end < first.start else []


def _terms(proposal: Authorisation) -> dict[str, Fact]:
    return {
        "lciib_reference": proposal.lciib_reference,
        "decided_on": proposal.decided_on.isoformat(),
        "purpose": proposal.purpose.value,
        "recipient": proposal.recipient,
        "collection": proposal.collection,
        "fields": list(proposal.fields),
        "measures": list(proposal.measures),
        "authorities": list(proposal.authorities),
        "periods_from": proposal.periods_from,
        "periods_until": proposal.periods_until,
        "valid_from": proposal.valid_from.isoformat(),
        "valid_until": proposal.valid_until.isoformat(),
        "conditions": list(proposal.conditions),
        "document_sha256": proposal.document_digest,
    }


def _event(action: str, about: Authorisation, by: str, at: datetime, facts: dict[str, Fact]) -> Event:
    told = {"lciib_reference": about.lciib_reference, **facts}
    return Event(action=action, subject=f"authorisation:{about.id}", at=at, actor=_actor(by), facts=told)


def _actor(by: str) -> str:
    return by if ":" in by else f"person:{by.strip()}"

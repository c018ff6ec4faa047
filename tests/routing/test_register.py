"""The register: two people, and every change on record. Each test runs over memory and over a database."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from routing_world import D2I, DFE, NOON, World, decision, dfe

from gateway.domain.names import RecipientCode
from gateway.domain.states import AuthorisationState
from routing.errors import NotAllowedError, NotFoundError, ProposalError


def state(world: World, days: int = 0) -> AuthorisationState:
    return world.register.authorisation("a1", at=NOON + timedelta(days=days)).state


def test_a_decision_goes_from_proposed_to_expired(world: World) -> None:
    world.register.propose(decision(valid_from=date(2026, 10, 25), valid_until=date(2026, 10, 30)), at=NOON)
    assert state(world) is AuthorisationState.PROPOSED
    approved = world.register.approve("a1", by="bob", at=NOON)
    assert (approved.approved_by, approved.approved_at) == ("bob", NOON)
    assert [state(world, days) for days in (0, 5, 10, 11)] == ["approved", "in_force", "in_force", "expired"]
    revoked = world.register.revoke("a1", by="carol", reason="the board said so", at=NOON)
    assert revoked.revoked_reason == "the board said so"
    assert state(world, 5) is AuthorisationState.REVOKED
    (listed,) = world.register.authorisations(at=NOON)
    assert listed.state is AuthorisationState.REVOKED
    assert world.actions()[-3:] == ["proposed", "approved", "revoked"]
    assert not [one for one in world.read_events() if "the board said so" in str(one.facts)]


@pytest.mark.parametrize("by", ["alice", " Alice", "person:alice"])
def test_who_proposed_cannot_approve(world: World, by: str) -> None:
    world.register.propose(decision(), at=NOON)
    with pytest.raises(NotAllowedError, match="another person"):
        world.register.approve("a1", by=by, at=NOON)
    assert state(world) is AuthorisationState.PROPOSED


def test_the_same_again_changes_nothing(world: World) -> None:
    for _ in range(2):
        world.register.propose(decision(), at=NOON)
    for _ in range(2):
        world.register.approve("a1", by="bob", at=NOON)
    for _ in range(2):
        world.register.revoke("a1", by="bob", reason="enough", at=NOON)
    for _ in range(2):
        world.register.add_recipient(dfe(), by="alice", at=NOON)
        world.register.accept_label(DFE, by="alice", at=NOON)
    assert sorted(world.actions()) == [
        "approved",
        "label_accepted",
        "proposed",
        "recipient_added",
        "recipient_changed",
        "revoked",
    ]


def test_what_is_revoked_cannot_be_approved(world: World) -> None:
    world.register.propose(decision(), at=NOON)
    world.register.revoke("a1", by="alice", reason="a mistake", at=NOON)
    with pytest.raises(NotAllowedError, match="is revoked"):
        world.register.approve("a1", by="bob", at=NOON)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"valid_until": date(2026, 3, 31)}, "ends before it begins"),
        ({"fields": ()}, "names no fields"),
        ({"authorities": ("*", "camden")}, "all authorities and some as well"),
        ({"fields": ("measure_id",)}, "resource.column"),
        ({"periods_from": "Q2"}, "not a period"),
        ({"periods_until": "2025-26-Q1"}, "last period ends before"),
        ({"recipient": D2I}, "no recipient 'd2i'"),
        ({"lciib_reference": " "}, "LCIIB reference"),
        ({"proposed_by": ""}, "who proposes"),
    ],
)
def test_a_proposal_that_contradicts_itself_is_refused(world: World, changed: dict[str, object], words: str) -> None:
    with pytest.raises(ProposalError, match=words):
        world.register.propose(decision(**changed), at=NOON)
    assert not world.register.authorisations(at=NOON)


def test_another_decision_under_the_same_id_is_refused(world: World) -> None:
    world.register.propose(decision(), at=NOON)
    with pytest.raises(ProposalError, match="another decision"):
        world.register.propose(decision(authorities=("camden",)), at=NOON)


def test_what_does_not_exist_is_said(world: World) -> None:
    with pytest.raises(NotFoundError):
        world.register.approve("a9", by="bob", at=NOON)
    with pytest.raises(NotFoundError):
        world.register.accept_label(RecipientCode("nobody"), by="bob", at=NOON)
    with pytest.raises(ProposalError, match="not a recipient's code"):
        world.register.add_recipient(dfe(code=RecipientCode("../dfe")), by="bob", at=NOON)
    world.authorise()
    with pytest.raises(NotAllowedError):
        world.register.revoke("a1", by="bob", reason=" ", at=NOON)


def test_a_recipient_may_get_new_keys_and_its_label_stays_accepted(world: World) -> None:
    changed = world.register.add_recipient(
        dfe(seal_keys=("age1new",), label_accepted_at=None), by="bob", at=NOON + timedelta(days=1)
    )
    assert changed.label_accepted_at == NOON
    assert world.register.recipient(DFE) == changed
    assert list(world.register.recipients()) == [changed]
    assert world.actions()[-1] == "recipient_changed"

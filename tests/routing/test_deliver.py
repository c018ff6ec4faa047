"""Delivery: once, exactly what is allowed, and nothing when in doubt. Each test runs over memory and a database."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from routing_world import (
    BARNET,
    CAMDEN,
    DFE,
    HACKNEY,
    NOON,
    OUTBOX,
    PERIOD,
    RIIA,
    World,
    database_world,
    dfe,
    peopled,
    takes_part,
)

from gateway.domain.failure import GatewayError
from gateway.domain.states import DeliveryState
from routing.deliver import RoutingOutcome

FIRST = f"{PERIOD}/RIIA_London_{PERIOD}.csv.age"
SECOND = f"{PERIOD}/RIIA_London_{PERIOD}_edition2.csv.age"
NOTE = f"{PERIOD}/RIIA_London_{PERIOD}.README.txt"


class PowerCutError(Exception):
    """What a crash looks like from inside."""


def route(world: World) -> RoutingOutcome:
    return world.router.route(RIIA, PERIOD)


def states(world: World) -> list[DeliveryState]:
    return [one.state for one in world.router.deliveries()]


def test_a_permitted_extract_is_offered_sealed_with_its_note_and_on_record(world: World) -> None:
    world.authorise(conditions=("internal and limited use",))
    outcome = route(world)
    (delivery,) = outcome.deliveries
    assert outcome.refusals == ()
    assert set(world.shelf.visible(OUTBOX)) == {FIRST, NOTE}
    assert "202,2026-27,Q2,A01,417," in world.extracts()[FIRST]
    assert "A24" not in world.extracts()[FIRST]
    note = world.shelf.visible(OUTBOX)[NOTE].decode()
    for words in ("LCIIB 2026-04/7", "a1", "Limited use", "camden, hackney", "internal and limited use"):
        assert words in note
    (offered,) = world.events("offered")
    assert offered.subject == f"delivery:{delivery}"
    assert offered.facts["authorisation"] == "a1"
    assert offered.facts["lciib_reference"] == "LCIIB 2026-04/7"
    assert offered.facts["authorities"] == ["camden", "hackney"]
    assert offered.facts["submissions"] == ["camden-v1", "hackney-v1"]
    assert "indicators.measure_value" in offered.facts["fields"]  # type: ignore[operator]
    assert offered.facts["extract_sha256"] != offered.facts["sealed_sha256"]
    assert world.actions()[-2:] == ["planned", "offered"]


def test_routing_again_changes_nothing(world: World) -> None:
    world.authorise()
    first, before = route(world), world.read_events()
    assert [route(world), route(world)] == [first, first]
    assert world.read_events() == before


def test_without_a_decision_nothing_is_made_and_the_ledger_says_why_once(world: World) -> None:
    for _ in range(2):
        outcome = route(world)
    assert outcome.deliveries == ()
    assert outcome.refusals[0].startswith("dfe-riia-quarterly: dfe: authorisation: no decision")
    assert world.shelf.visible(OUTBOX) == {}
    (event,) = world.events("not_routed")
    assert event.subject == f"extract:dfe-riia-quarterly/{PERIOD}"
    assert "authorisation:" in str(event.facts["reasons"])
    world.accept(BARNET, 9)
    route(world)
    assert len(world.events("not_routed")) == 2
    assert states(world) == []


def test_a_recipient_without_a_key_gets_nothing_and_the_remedy_is_said(world: World) -> None:
    world.authorise()
    world.register.add_recipient(dfe(seal_keys=()), by="alice", at=NOON)
    (refusal,) = route(world).refusals
    assert "gateway recipient add dfe --age-key" in refusal
    assert world.shelf.visible(OUTBOX) == {}
    assert states(world) == []
    world.register.add_recipient(dfe(), by="alice", at=NOON)
    assert len(route(world).deliveries) == 1


def test_a_key_that_cannot_be_sealed_to_fails_the_delivery_until_it_is_mended(world: World) -> None:
    world.authorise()

    def bad_key(call: str) -> None:
        if call == "seal":
            raise GatewayError("This is not a key.", remedy="Give another.")

    world.before = bad_key
    assert "This is not a key. Give another." in route(world).refusals[0]
    assert states(world) == [DeliveryState.FAILED]
    assert world.shelf.visible(OUTBOX) == {}
    world.before = lambda _: None
    assert len(route(world).deliveries) == 1
    assert states(world) == [DeliveryState.OFFERED]


def test_trouble_that_passes_is_raised_and_the_next_call_finishes_it(world: World) -> None:
    world.authorise()

    def down(call: str) -> None:
        if call == "shelf.put":
            raise GatewayError("Storage is down.", passing=True)

    world.before = down
    with pytest.raises(GatewayError, match="Storage is down"):
        route(world)
    (delivery,) = world.router.deliveries()
    assert (delivery.attempts, delivery.state) == (1, DeliveryState.SEALED)
    world.before = lambda _: None
    assert route(world).deliveries == (delivery.id,)
    assert len(world.extracts()) == 1


def test_a_later_return_supersedes_what_was_not_collected(world: World) -> None:
    world.authorise()
    route(world)
    world.accept(BARNET, 9)
    route(world)
    assert list(world.extracts()) == [SECOND]
    assert "302," in world.extracts()[SECOND]
    assert states(world) == [DeliveryState.WITHDRAWN, DeliveryState.OFFERED]
    assert "superseded" in str(world.events("withdrawn")[0].facts["reason"])


def test_what_was_collected_stays_and_a_new_edition_follows(world: World) -> None:
    world.authorise()
    route(world)
    name = FIRST.split("/")[1]
    world.shelf.collect(OUTBOX, "outbox", PERIOD, name)
    assert world.router.collected(DFE, PERIOD, name)
    assert not world.router.collected(DFE, PERIOD, name)
    assert world.events("collected")[0].actor == "recipient:dfe"
    world.accept(CAMDEN, 418, version=2)
    route(world)
    assert set(world.extracts()) == {FIRST, SECOND}
    assert states(world) == [DeliveryState.COLLECTED, DeliveryState.OFFERED]


def test_a_collection_that_was_not_told_is_found_when_it_is_taken_back(world: World) -> None:
    world.authorise()
    route(world)
    world.shelf.collect(OUTBOX, "outbox", PERIOD, FIRST.split("/")[1])
    world.register.revoke("a1", by="bob", reason="enough", at=NOON)
    world.router.tend()
    assert states(world) == [DeliveryState.COLLECTED]
    assert NOTE in world.shelf.visible(OUTBOX)


def test_a_revocation_takes_back_what_was_not_collected(world: World) -> None:
    world.authorise()
    route(world)
    world.register.revoke("a1", by="bob", reason="enough", at=NOON)
    world.router.tend()
    assert world.shelf.visible(OUTBOX) == {}
    assert states(world) == [DeliveryState.WITHDRAWN]
    assert "revoked" in str(world.events("withdrawn")[0].facts["reason"])
    before = world.read_events()
    world.router.tend()
    assert world.read_events() == before


def test_routing_after_a_revocation_takes_it_back_as_well(world: World) -> None:
    world.authorise()
    route(world)
    world.register.revoke("a1", by="bob", reason="enough", at=NOON)
    assert route(world).deliveries == ()
    assert world.shelf.visible(OUTBOX) == {}


def test_an_expiry_takes_back_what_was_not_collected(world: World) -> None:
    world.authorise()
    route(world)
    world.clock.advance(timedelta(days=400))
    world.router.tend()
    assert world.shelf.visible(OUTBOX) == {}


def test_an_authority_that_withdraws_is_out_at_once_and_may_come_back(world: World) -> None:
    world.authorise()
    route(world)
    world.records[1] = takes_part(HACKNEY, until=NOON.date() - timedelta(days=1))
    world.router.tend()
    assert world.extracts() == {}
    route(world)
    ((name, text),) = world.extracts().items()
    assert name == SECOND
    assert "204," not in text
    assert "hackney" not in world.shelf.visible(OUTBOX)[f"{PERIOD}/RIIA_London_{PERIOD}_edition2.README.txt"].decode()
    world.records[1] = takes_part(HACKNEY)
    route(world)
    ((_, again),) = world.extracts().items()
    assert "204," in again
    assert states(world) == [DeliveryState.WITHDRAWN, DeliveryState.WITHDRAWN, DeliveryState.OFFERED]


def test_a_renewed_decision_does_not_send_the_same_again(world: World) -> None:
    world.authorise()
    first = route(world)
    world.authorise(id="a0", lciib_reference="LCIIB 2026-10/1", decided_on=NOON.date())
    assert route(world) == first
    world.register.revoke("a1", by="bob", reason="renewed", at=NOON)
    assert route(world) != first
    assert len(world.extracts()) == 1
    assert world.events("offered")[-1].facts["lciib_reference"] == "LCIIB 2026-10/1"


def test_a_collection_nobody_knows_is_taken_to_be_about_children(world: World) -> None:
    world.authorise()
    world.collections = {}
    world.records = [takes_part(CAMDEN), takes_part(HACKNEY, impact_assessment=None)]
    route(world)
    (text,) = world.extracts().values()
    assert "204," not in text
    assert "PERMITTED" in world.router.explain("dfe-riia-quarterly", PERIOD)
    assert "hackney: has no impact assessment" in world.router.explain("dfe-riia-quarterly", PERIOD)


# -- crashes: a power cut before and after every call of a port ------------------------------------------------------


def calls_of_a_whole_delivery() -> list[str]:
    from routing_world import memory_world  # noqa: PLC0415

    world, seen = peopled(memory_world()), list[str]()
    world.authorise()
    world.accept(BARNET, 9)
    route(world)
    world.accept(CAMDEN, 418, version=2)
    world.before = seen.append
    route(world)
    return seen


@pytest.mark.parametrize("at", range(len(calls_of_a_whole_delivery())))
def test_a_crash_at_any_call_leaves_one_delivery_after_the_next_try(world: World, at: int) -> None:
    world.authorise()
    world.accept(BARNET, 9)
    route(world)
    world.accept(CAMDEN, 418, version=2)
    count = iter(range(1000))

    def cut_power(call: str) -> None:
        if next(count) == at:
            raise PowerCutError(call)

    world.before = cut_power
    with pytest.raises(PowerCutError):
        route(world)
    world.before = lambda _: None
    (delivery,) = route(world).deliveries
    ((_, text),) = world.extracts().items()
    assert "418" in text
    assert [one.id for one in world.router.deliveries() if one.state is DeliveryState.OFFERED] == [delivery]
    assert len(world.events("offered")) == 2
    assert len({one.key for one in world.read_events()}) == len(world.read_events())


@pytest.mark.parametrize("at", range(len(calls_of_a_whole_delivery())))
def test_a_revocation_at_any_call_leaves_nothing_in_the_outbox(world: World, at: int) -> None:
    world.authorise()
    count = iter(range(1000))

    def revoke(_: str) -> None:
        if next(count) == at:
            world.register.revoke("a1", by="bob", reason="enough", at=NOON)

    world.before = revoke
    route(world)
    world.before = lambda _: None
    if "revoked" not in world.actions():
        world.register.revoke("a1", by="bob", reason="enough", at=NOON)
    world.router.tend()
    assert world.shelf.visible(OUTBOX) == {}
    assert not set(states(world)) & {DeliveryState.OFFERED, DeliveryState.SEALED, DeliveryState.PLANNED}


def test_a_revocation_between_plan_and_hand_over_hands_nothing_over(world: World) -> None:
    world.authorise()

    def revoke(call: str) -> None:
        if call == "seal":
            world.register.revoke("a1", by="bob", reason="enough", at=NOON)

    world.before = revoke
    outcome = route(world)
    assert outcome.deliveries == ()
    assert "revoked" in outcome.refusals[0]
    assert world.shelf.visible(OUTBOX) == {}
    assert world.shelf.read(OUTBOX, "outbox", PERIOD, FIRST.split("/")[1]) is None
    assert states(world) == [DeliveryState.WITHDRAWN]


def test_a_revocation_and_a_crash_during_hand_over_are_cleared_by_the_next_look(world: World) -> None:
    world.authorise()

    def stop(call: str) -> None:
        if call == "after shelf.put" and world.extracts():
            world.register.revoke("a1", by="bob", reason="enough", at=NOON)
            raise PowerCutError

    world.before = stop
    with pytest.raises(PowerCutError):
        route(world)
    assert world.extracts()
    world.before = lambda _: None
    world.router.tend()
    assert world.shelf.visible(OUTBOX) == {}


def test_a_hand_over_that_was_under_way_when_it_was_stopped_is_taken_back(world: World) -> None:
    """Another process withdraws it and its own recall comes too early."""
    world.authorise()

    def stop_elsewhere(call: str) -> None:
        if call == "shelf.put" and "withdrawn" not in world.actions():
            world.before = lambda _: None
            world.register.revoke("a1", by="bob", reason="enough", at=NOON)
            world.router.tend()

    world.before = stop_elsewhere
    assert route(world).deliveries == ()
    assert world.shelf.visible(OUTBOX) == {}
    assert states(world) == [DeliveryState.WITHDRAWN]


def test_a_return_accepted_while_an_extract_is_made_is_in_it(world: World) -> None:
    world.authorise()

    def accept(call: str) -> None:
        if call == "after seal":
            world.before = lambda _: None
            world.accept(BARNET, 9)

    world.before = accept
    assert len(route(world).deliveries) == 1
    ((name, text),) = world.extracts().items()
    assert name == SECOND
    assert "302," in text
    assert len(world.events("offered")) == 1


def test_what_is_certainly_gone_is_not_looked_at_for_ever(world: World) -> None:
    world.authorise()
    route(world)
    world.register.revoke("a1", by="bob", reason="enough", at=NOON)
    world.router.tend()
    world.clock.advance(timedelta(hours=2))
    world.router.tend()
    assert [one.recalled for one in world.router.deliveries()] == [True]


def test_many_at_once_make_one_delivery(tmp_path: object) -> None:
    world = peopled(database_world(tmp_path / "gateway.db"))  # type: ignore[operator]
    world.authorise()
    outcomes: list[RoutingOutcome] = []
    gate = threading.Barrier(6)

    def run() -> None:
        gate.wait()
        outcomes.append(route(world))

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(outcomes)) == 1
    assert len(outcomes) == 6
    assert len(world.extracts()) == 1
    assert len(world.events("offered")) == 1
    assert states(world) == [DeliveryState.OFFERED]

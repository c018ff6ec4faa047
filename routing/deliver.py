"""Takes every extract of a collection to its recipient, or records why not. Safe to call again after a crash.

* Each extract is decided when it is planned and again right before it is handed over, on what stands at that moment.
* A delivery's natural key is its recipe, recipient, authorisation, period and submissions. The same again is the same
  delivery: nothing happens, or what was left half-way is finished.
* What is superseded, or no longer allowed, and was not collected yet is taken back. What was collected stays on record.
* Two at once do not double: the key is unique, a state changes only from the state it was seen in, and whoever finds
  that another was there first takes its own hand-over back and looks again.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import NamedTuple

import uuid_utils

from gateway.domain.collection import Collection
from gateway.domain.events import Event, Fact
from gateway.domain.failure import GatewayError
from gateway.domain.names import CollectionId, Digest, RecipientCode
from gateway.domain.sharing import Delivery, Deny, Permit, Recipient, ReleaseRequest
from gateway.domain.states import DELIVERY_MAY_FOLLOW, DeliveryState
from routing.errors import DeliveryError, NotFoundError
from routing.extract import OpenTable, cover_note, cut
from routing.intent import Intent, Intents
from routing.policy import explain
from routing.ports import (
    Accepted,
    AcceptedReturn,
    Clock,
    DeliveryStore,
    Participations,
    Recall,
    SealToRecipient,
    Transport,
)
from routing.recipe import Recipe, Trigger
from routing.register import Register

_LOOKS = 8
"""How often one call looks again when returns or decisions change under its hands."""
_IN_FLIGHT = timedelta(hours=1)
"""No hand-over is under way longer than this; until then what was withdrawn is taken back again and again."""
_UNDER_WAY = (DeliveryState.PLANNED, DeliveryState.SEALED, DeliveryState.FAILED)
_LIVE = (*_UNDER_WAY, DeliveryState.OFFERED)
_HANDED_OVER = (DeliveryState.OFFERED, DeliveryState.SENT, DeliveryState.COLLECTED, DeliveryState.ACKNOWLEDGED)


class RoutingOutcome(NamedTuple):
    """What came of routing."""

    deliveries: tuple[str, ...]
    """Ids of the deliveries that stand, new or not."""
    refusals: tuple[str, ...]
    """Why others did not get it, each beginning with the extract's name."""


class Router:
    """Decides and delivers.

    Args:
        recipes: the extracts by name.
        collections: what is known of each collection; of one that is not known, every row is taken to be about a child.
        register: recipients and decisions.
        deliveries: where deliveries are kept.
        participations: who takes part.
        accepted: the returns that stand.
        seal: encrypts to a recipient's keys.
        transport: brings it to the recipient.
        clock: what time it is.
    """

    def __init__(
        self,
        *,
        recipes: Mapping[str, Recipe],
        collections: Mapping[CollectionId, Collection],
        register: Register,
        deliveries: DeliveryStore,
        participations: Participations,
        accepted: Accepted,
        seal: SealToRecipient,
        transport: Transport,
        clock: Clock,
    ) -> None:
        self._recipes = recipes
        self._intents = Intents(
            recipes=recipes,
            collections=collections,
            register=register,
            participations=participations,
            accepted=accepted,
            clock=clock,
        )
        self._store = deliveries
        self._accepted = accepted
        self._seal = seal
        self._transport = transport
        self._clock = clock

    def route(self, collection: CollectionId, period: str) -> RoutingOutcome:
        """Decide and deliver every extract of a collection for a period that goes with every acceptance.

        Raises:
            GatewayError: something of ours is down; every extract that could go went, and calling again is safe.
        """
        deliveries, refusals, passing = [], [], None
        for name in sorted(self._recipes):
            recipe = self._recipes[name]
            if recipe.collection != collection or recipe.trigger is not Trigger.EVERY_ACCEPTANCE:
                continue
            try:
                delivery, refusal = self._take(recipe, period)
            except GatewayError as error:
                if error.passing:
                    passing = error
                    continue
                # What only a person can mend must not keep a return from its receipt.
                delivery, refusal = None, f"{name}: {error}"
            deliveries += [delivery] if delivery else []
            refusals += [refusal] if refusal else []
        if passing is not None:
            raise passing
        return RoutingOutcome(tuple(deliveries), tuple(refusals))

    def tend(self) -> None:
        """Take back what is no longer allowed and not collected yet. Call it on a schedule and after a revocation.

        Raises:
            GatewayError: something could not be taken back now; everything else was.
        """
        trouble = None
        for delivery in self._store.in_states(*_LIVE):
            try:
                if why := self._intents.no_longer_allowed(delivery):
                    self._withdraw(delivery, why)
            except GatewayError as error:
                trouble = error
        for delivery in self._store.in_states(DeliveryState.WITHDRAWN):
            try:
                self._make_sure(delivery)
            except GatewayError as error:
                trouble = error
        if trouble is not None:
            raise trouble

    def collected(self, recipient: RecipientCode, period: str, name: str) -> bool:
        """Record that a recipient read a delivery to its end. False where that is no delivery on offer."""
        for delivery in self._store.in_states(DeliveryState.OFFERED):
            if (delivery.recipient, delivery.period, delivery.name) == (recipient, period, name):
                return self._change(delivery, DeliveryState.COLLECTED, actor=f"recipient:{recipient}")
        return False

    def deliveries(self) -> Sequence[Delivery]:
        """Return every delivery, oldest first."""
        return self._store.deliveries()

    def consider(self, extract: str, period: str) -> tuple[ReleaseRequest, Permit | Deny]:
        """Decide one extract on what stands now, without doing anything.

        Raises:
            NotFoundError: there is no such extract.
        """
        recipe = self._recipes.get(extract)
        if recipe is None:
            raise NotFoundError(
                f"There is no extract {extract[:80]!r}.", remedy=f"The extracts are {', '.join(sorted(self._recipes))}."
            )
        intent = self._intents.of(recipe, period)
        return intent.request, intent.decision

    def explain(self, extract: str, period: str) -> str:
        """Tell in words what would be decided for an extract now."""
        return explain(*self.consider(extract, period))

    def _take(self, recipe: Recipe, period: str) -> tuple[str | None, str | None]:
        """Take one extract to its recipient; return the delivery's id or the refusal."""
        for _ in range(_LOOKS):
            before = self._store.about(recipe.name, period)  # read first: all of it was planned on older knowledge
            intent = self._intents.of(recipe, period)
            if intent.reasons or isinstance(intent.decision, Deny):
                return None, self._refuse(intent, before)
            delivery = self._standing(intent, intent.decision, before) or self._plan(intent, intent.decision, before)
            if delivery.state in _HANDED_OVER:
                self._supersede(delivery, before)
                return delivery.id, None
            if self._deliver(delivery, intent, intent.decision):
                return delivery.id, None
        raise DeliveryError(
            f"The extract {recipe.name} for {period} kept changing while it was made.",
            did="Nothing half-made was left.",
            remedy="It is tried again by itself.",
            passing=True,
        )

    def _refuse(self, intent: Intent, before: Sequence[Delivery]) -> str:
        """Record why nothing goes, once for the same returns and reasons, and take back what is on its way."""
        recipe, period, reasons = intent.recipe, intent.request.period, intent.reasons
        for delivery in before:
            if delivery.state in _LIVE and self._intents.no_longer_allowed(delivery):
                self._withdraw(delivery, reasons[0])
        authorities: list[str] = list(intent.request.authorities)
        subject = f"extract:{recipe.name}/{period}"
        current = sorted(one.submission for one in self._accepted.current(recipe.collection, period))
        digest = sha256("\n".join([*current, "", *reasons]).encode()).hexdigest()
        facts: dict[str, Fact] = {"recipient": recipe.recipient, "reasons": list(reasons), "authorities": authorities}
        self._store.note(
            Event(
                action="not_routed",
                subject=subject,
                at=self._clock.now(),
                facts=facts,
                key=f"{subject}/not_routed/{digest}",
            )
        )
        return f"{recipe.name}: {recipe.recipient}: {'; '.join(reasons)}"

    def _standing(self, intent: Intent, permit: Permit, before: Sequence[Delivery]) -> Delivery | None:
        """Return the delivery that says exactly this already, also under another decision that is still in force."""
        for delivery in reversed(before):
            same = (
                delivery.state in _HANDED_OVER
                and delivery.recipe_digest == intent.recipe.digest
                and (delivery.submissions, delivery.fields, delivery.measures)
                == (intent.submissions, permit.fields, permit.measures)
            )
            if same and not self._intents.no_longer_allowed(delivery):
                return delivery
        return None

    def _plan(self, intent: Intent, permit: Permit, before: Sequence[Delivery]) -> Delivery:
        recipe, period = intent.recipe, intent.request.period
        key = intent.key(permit, _spent(before))

        def make(edition: int) -> tuple[Delivery, Event]:
            at = self._clock.now()
            delivery = Delivery(
                id=str(uuid_utils.uuid7()),
                key=key,
                recipe=recipe.name,
                recipient=intent.request.recipient,
                authorisation=permit.authorisation,
                collection=recipe.collection,
                period=period,
                submissions=intent.submissions,
                state=DeliveryState.PLANNED,
                name=_file_name(recipe, period, edition),
                digest=None,
                planned_at=at,
                authorities=permit.authorities,
                fields=permit.fields,
                measures=permit.measures,
                lciib_reference=permit.lciib_reference,
                recipe_digest=recipe.digest,
                edition=edition,
                changed_at=at,
            )
            facts = {**_facts(delivery), "left_out": list(permit.left_out), "conditions": list(permit.conditions)}
            return delivery, Event(action="planned", subject=f"delivery:{delivery.id}", at=at, facts=facts)

        return self._store.plan(key, recipe.name, period, make)

    def _deliver(self, delivery: Delivery, intent: Intent, permit: Permit) -> bool:
        """Cut, seal, decide again, hand over. False where it is to be looked at anew."""
        if delivery.state not in _UNDER_WAY:
            return False  # another call took it back in the meantime
        try:
            content = cut(intent.recipe, permit, {one.authority: _opener(intent.recipe, one) for one in intent.returns})
            sealed = self._sealed(content, intent.recipient)
            ready = self._sealed_state(delivery, Digest(sha256(content).hexdigest()))
            if ready is None or not self._still_right(ready):
                return False
            note = cover_note(intent.recipe, _known(intent.recipient), ready, permit.conditions).encode()
            lying = self._transport.hand_over(ready, sealed, note)
        except GatewayError as error:
            self._record_trouble(delivery, error)
            raise
        if self._change(ready, DeliveryState.OFFERED, sealed_digest=lying):
            return True
        now = self._store.delivery(ready.id)
        if now is not None and now.state in _HANDED_OVER:
            return True  # another call handed it over; the first hand-over stands
        self._transport.recall(ready)  # it was stopped while it was handed over
        return False

    def _sealed(self, content: bytes, recipient: Recipient | None) -> bytes:
        sink = io.BytesIO()
        self._seal(io.BytesIO(content), sink, _known(recipient).seal_keys)
        return sink.getvalue()

    def _sealed_state(self, delivery: Delivery, digest: Digest) -> Delivery | None:
        """Bring a delivery into the state ``sealed``; None where another call moved it."""
        if delivery.state is not DeliveryState.SEALED:
            moved = replace(delivery, digest=digest, state=DeliveryState.SEALED, changed_at=self._clock.now())
            return moved if self._store.change(moved, None, was=delivery.state) else None
        if delivery.digest == digest:
            return delivery
        self._withdraw(delivery, "the same recipe cut it differently from before")
        return None

    def _still_right(self, delivery: Delivery) -> bool:
        """Decide again. Where the delivery is still what should go, take the others back; else withdraw it."""
        recipe = self._recipes[delivery.recipe]
        before = self._store.about(recipe.name, delivery.period)
        intent = self._intents.of(recipe, delivery.period)
        if intent.reasons or isinstance(intent.decision, Deny):
            self._withdraw(delivery, intent.reasons[0])
            return False
        if intent.key(intent.decision, _spent(before)) != delivery.key:
            self._withdraw(delivery, "superseded before it was handed over")
            return False
        self._supersede(delivery, before)
        return True

    def _supersede(self, delivery: Delivery, before: Sequence[Delivery]) -> None:
        for other in before:
            if other.id != delivery.id and other.state in _LIVE:
                self._withdraw(other, f"superseded by delivery {delivery.id}")

    def _withdraw(self, delivery: Delivery, why: str) -> None:
        """Take a delivery back, whichever state it is in by now; a collected one is marked so and stays."""
        current: Delivery | None = delivery
        for _ in range(_LOOKS):
            if current is None or current.state not in _LIVE:
                return
            if current.state is DeliveryState.OFFERED:
                if self._transport.recall(current) is Recall.COLLECTED:
                    self._change(current, DeliveryState.COLLECTED, actor=f"recipient:{current.recipient}")
                    return
                if self._change(current, DeliveryState.WITHDRAWN, trouble=why):
                    return
            elif self._change(current, DeliveryState.WITHDRAWN, trouble=why):
                # The state first, so that a hand-over under way finds itself stopped; then what a crash left behind.
                self._transport.recall(current)
                return
            current = self._store.delivery(delivery.id)

    def _make_sure(self, delivery: Delivery) -> None:
        """Take a withdrawn delivery back again: a crash may have come between its hand-over and its recall."""
        self._transport.recall(delivery)
        if self._clock.now() - (delivery.changed_at or delivery.planned_at) > _IN_FLIGHT:
            self._store.change(replace(delivery, recalled=True), None, was=DeliveryState.WITHDRAWN)

    def _record_trouble(self, delivery: Delivery, error: GatewayError) -> None:
        """Keep what went wrong. What passes by itself keeps its state and is tried again."""
        now = self._store.delivery(delivery.id)
        if now is None or now.state not in _UNDER_WAY:
            return
        tried = replace(now, attempts=now.attempts + 1, trouble=error.happened)
        if error.passing or now.state is DeliveryState.FAILED:
            self._store.change(tried, None, was=now.state)
        else:
            self._change(tried, DeliveryState.FAILED, trouble=error.happened)

    def _change(
        self,
        delivery: Delivery,
        state: DeliveryState,
        *,
        actor: str = "gateway",
        trouble: str = "",
        sealed_digest: Digest | None = None,
    ) -> bool:
        """Move a delivery into a state, with its event; False where another call moved it first."""
        if state not in DELIVERY_MAY_FOLLOW[delivery.state]:
            return False
        at = self._clock.now()
        moved = replace(
            delivery,
            state=state,
            changed_at=at,
            trouble=trouble,
            sealed_digest=sealed_digest or delivery.sealed_digest,
        )
        subject = f"delivery:{delivery.id}"
        key = f"{subject}/{state.value}" + (f"/{moved.attempts}" if state is DeliveryState.FAILED else "")
        facts = {**_facts(moved), **({"reason": trouble} if trouble else {})}
        event = Event(action=state.value, subject=subject, at=at, actor=actor, facts=facts, key=key)
        return self._store.change(moved, event, was=delivery.state)


def _spent(before: Sequence[Delivery]) -> set[str]:
    return {one.key for one in before if one.state is DeliveryState.WITHDRAWN}


def _opener(recipe: Recipe, accepted: AcceptedReturn) -> OpenTable:
    return lambda: accepted.open(recipe.resource)


def _known(recipient: Recipient | None) -> Recipient:
    if recipient is None:
        raise DeliveryError("The recipient is no longer on the register.", did="Nothing was handed over.")
    return recipient


def _file_name(recipe: Recipe, period: str, edition: int) -> str:
    name = recipe.file_for(period)
    return f"{name}.age" if edition == 1 else f"{name.removesuffix('.csv')}_edition{edition}.csv.age"


def _facts(delivery: Delivery) -> dict[str, Fact]:
    """What the ledger says of a delivery: names and digests."""
    return {
        "extract": delivery.recipe,
        "recipient": delivery.recipient,
        "authorisation": delivery.authorisation,
        "lciib_reference": delivery.lciib_reference,
        "collection": delivery.collection,
        "period": delivery.period,
        "edition": delivery.edition,
        "name": delivery.name,
        "fields": list(delivery.fields),
        "measures": list(delivery.measures),
        "authorities": list(delivery.authorities),
        "submissions": list(delivery.submissions),
        "recipe_sha256": delivery.recipe_digest,
        "extract_sha256": delivery.digest,
        "sealed_sha256": delivery.sealed_digest,
    }

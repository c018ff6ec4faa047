"""What should be delivered now: one extract, on the returns, decisions and records that stand at this moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from gateway.domain.collection import Collection, Grain
from gateway.domain.names import AuthorityCode, CollectionId
from gateway.domain.sharing import Delivery, Deny, Permit, Recipient, ReleaseRequest
from routing.policy import decide
from routing.ports import Accepted, AcceptedReturn, Clock, Participations
from routing.recipe import Recipe
from routing.register import Register


@dataclass(frozen=True, kw_only=True)
class Intent:
    """What should be delivered now, or why nothing should."""

    recipe: Recipe
    request: ReleaseRequest
    decision: Permit | Deny
    recipient: Recipient | None
    returns: tuple[AcceptedReturn, ...]
    """Those that are permitted, by authority."""

    @property
    def submissions(self) -> tuple[str, ...]:
        """Return the permitted submissions' ids, sorted."""
        return tuple(sorted(one.submission for one in self.returns))

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why nothing may go; empty where something may."""
        if isinstance(self.decision, Deny):
            return self.decision.reasons
        if self.recipient is None or not self.recipient.seal_keys:
            code = self.request.recipient
            remedy = f"add one with `gateway recipient add {code} --age-key age1...`"
            return (f"recipient: {code} has no key to seal to; {remedy}",)
        return ()

    def key(self, permit: Permit, spent: set[str]) -> str:
        """Return the natural key; a delivery that was withdrawn spends its key, so the same again gets the next."""
        names: list[str] = [
            self.recipe.name,
            self.recipe.digest,
            self.request.recipient,
            permit.authorisation,
            self.request.period,
            *self.submissions,
        ]
        turn = 0
        while True:
            key = sha256("\n".join([*names, str(turn)]).encode()).hexdigest()
            if key not in spent:
                return key
            turn += 1


class Intents:
    """Asks everybody and decides. Of a collection that is not known, every row is taken to be about a child."""

    def __init__(
        self,
        *,
        recipes: Mapping[str, Recipe],
        collections: Mapping[CollectionId, Collection],
        register: Register,
        participations: Participations,
        accepted: Accepted,
        clock: Clock,
    ) -> None:
        self._recipes = recipes
        self._collections = collections
        self._register = register
        self._participations = participations
        self._accepted = accepted
        self._clock = clock

    def of(self, recipe: Recipe, period: str) -> Intent:
        """Return what should be delivered now."""
        returns = {one.authority: one for one in self._accepted.current(recipe.collection, period)}
        request = ReleaseRequest(
            recipient=recipe.recipient,
            collection=recipe.collection,
            child_level=self._child_level(recipe.collection),
            period=period,
            fields=recipe.fields,
            authorities=tuple(sorted(returns)),
            purpose=recipe.purpose,
            measures=recipe.measures,
        )
        decision, recipient = self._decide(request)
        permitted = decision.authorities if isinstance(decision, Permit) else ()
        return Intent(
            recipe=recipe,
            request=request,
            decision=decision,
            recipient=recipient,
            returns=tuple(returns[one] for one in sorted(permitted)),
        )

    def no_longer_allowed(self, delivery: Delivery) -> str:
        """Say why a delivery may not stand any more; empty where it may."""
        recipe = self._recipes.get(delivery.recipe)
        if recipe is None:
            return "its extract is no longer there"
        request = ReleaseRequest(
            recipient=delivery.recipient,
            collection=recipe.collection,
            child_level=self._child_level(recipe.collection),
            period=delivery.period,
            fields=delivery.fields,
            authorities=tuple(AuthorityCode(one) for one in delivery.authorities),
            purpose=recipe.purpose,
            measures=delivery.measures,
        )
        decision, _ = self._decide(request, delivery.authorisation)
        if isinstance(decision, Deny):
            return decision.reasons[0]
        return decision.left_out[0] if decision.left_out else ""

    def _decide(self, request: ReleaseRequest, only: str | None = None) -> tuple[Permit | Deny, Recipient | None]:
        at, recipient = self._clock.now(), self._register.recipient(request.recipient)
        decided = decide(
            request,
            authorisations=[one for one in self._register.authorisations(at=at) if only in (None, one.id)],
            recipient=recipient,
            participation=self._participations.of(request.collection),
            at=at,
        )
        return decided, recipient

    def _child_level(self, collection: CollectionId) -> bool:
        known = self._collections.get(collection)
        return known is None or known.grain is not Grain.AGGREGATE

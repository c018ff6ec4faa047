"""The register, the deliveries and an outbox in memory: for rehearsals and tests. Nothing survives the process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from gateway.domain.events import Event
from gateway.domain.names import Owner, RecipientCode
from gateway.domain.sharing import Authorisation, Delivery, Recipient
from gateway.domain.states import AuthorisationState, DeliveryState


class MemoryStore:
    """Keeps what ``RegisterStore`` and ``DeliveryStore`` promise. ``events`` shows what was recorded, each key once."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._recipients: dict[RecipientCode, Recipient] = {}
        self._authorisations: dict[str, Authorisation] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._lock = threading.RLock()

    def recipients(self) -> Sequence[Recipient]:
        """Return every recipient, by code."""
        return [self._recipients[code] for code in sorted(self._recipients)]

    def recipient(self, code: RecipientCode) -> Recipient | None:
        """Return one recipient."""
        return self._recipients.get(code)

    def save_recipient(self, recipient: Recipient, event: Event) -> None:
        """Add a recipient or put it in place of the one of the same code."""
        with self._lock:
            self._recipients[recipient.code] = recipient
            self.note(event)

    def authorisations(self) -> Sequence[Authorisation]:
        """Return every decision, by id."""
        return [self._authorisations[one] for one in sorted(self._authorisations)]

    def authorisation(self, authorisation: str) -> Authorisation | None:
        """Return one decision."""
        return self._authorisations.get(authorisation)

    def add_authorisation(self, authorisation: Authorisation, event: Event) -> bool:
        """Add a decision; False where its id is taken."""
        with self._lock:
            if authorisation.id in self._authorisations:
                return False
            self._authorisations[authorisation.id] = authorisation
            self.note(event)
            return True

    def change_authorisation(self, authorisation: Authorisation, event: Event, *, was: AuthorisationState) -> bool:
        """Change a decision that is still in state ``was``."""
        with self._lock:
            if self._authorisations[authorisation.id].state is not was:
                return False
            self._authorisations[authorisation.id] = authorisation
            self.note(event)
            return True

    def about(self, recipe: str, period: str) -> Sequence[Delivery]:
        """Return every delivery of an extract for a period, oldest first."""
        return [one for one in self.deliveries() if (one.recipe, one.period) == (recipe, period)]

    def delivery(self, delivery: str) -> Delivery | None:
        """Return one delivery."""
        return self._deliveries.get(delivery)

    def deliveries(self) -> Sequence[Delivery]:
        """Return every delivery, oldest first."""
        with self._lock:
            return list(self._deliveries.values())

    def in_states(self, *states: DeliveryState) -> Sequence[Delivery]:
        """Return the deliveries in these states that are not marked ``recalled``."""
        return [one for one in self.deliveries() if one.state in states and not one.recalled]

    def plan(self, key: str, recipe: str, period: str, make: Callable[[int], tuple[Delivery, Event]]) -> Delivery:
        """Add the next edition, or return the delivery whose key is there already."""
        with self._lock:
            for one in self._deliveries.values():
                if one.key == key:
                    return one
            delivery, event = make(len(self.about(recipe, period)) + 1)
            self._deliveries[delivery.id] = delivery
            self.note(event)
            return delivery

    def change(self, delivery: Delivery, event: Event | None, *, was: DeliveryState) -> bool:
        """Change a delivery that is still in state ``was``."""
        with self._lock:
            if self._deliveries[delivery.id].state is not was:
                return False
            self._deliveries[delivery.id] = delivery
            if event is not None:
                self.note(event)
            return True

    def note(self, event: Event) -> None:
        """Append an event whose key is new."""
        with self._lock:
            if all(one.key != event.key for one in self.events):
                self.events.append(event)


class MemoryShelf:
    """An outbox shelf. ``visible`` is what recipients see; ``collect`` is what they do."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, str, str, str], bytes] = {}
        self._hidden: set[tuple[str, str, str, str]] = set()
        self._collected: set[tuple[str, str, str, str]] = set()
        self._lock = threading.Lock()

    def put(self, owner: Owner, area: str, folder: str, name: str, content: bytes) -> str:
        """Place something; the first at a place stays."""
        with self._lock:
            self._places.setdefault((owner, area, folder, name), content)
        return f"{owner}/{area}/{folder}/{name}"

    def read(self, owner: Owner, area: str, folder: str, name: str) -> bytes | None:
        """Return the bytes at a place, hidden or not."""
        return self._places.get((owner, area, folder, name))

    def recall(self, owner: Owner, area: str, folder: str, name: str) -> bool:
        """Hide what was not collected."""
        place = (owner, area, folder, name)
        with self._lock:
            if place not in self._places or place in self._collected:
                return False
            self._hidden.add(place)
            return True

    def visible(self, owner: Owner) -> dict[str, bytes]:
        """Return what an owner sees, by ``folder/name``."""
        with self._lock:
            return {
                f"{place[2]}/{place[3]}": content
                for place, content in self._places.items()
                if place[0] == owner and place not in self._hidden
            }

    def collect(self, owner: Owner, area: str, folder: str, name: str) -> bytes:
        """Read as its owner does; from then on it cannot be recalled."""
        place = (owner, area, folder, name)
        with self._lock:
            if place in self._hidden:
                raise KeyError(name)
            self._collected.add(place)
            return self._places[place]

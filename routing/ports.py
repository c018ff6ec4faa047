"""What this room needs of others, each as a small promise that ``gateway.desk`` keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import BinaryIO, Protocol

from gateway.domain.events import Event
from gateway.domain.names import AuthorityCode, CollectionId, Digest, Owner, RecipientCode, SubmissionId
from gateway.domain.sharing import Authorisation, Delivery, Participation, Recipient
from gateway.domain.states import AuthorisationState, DeliveryState


class Clock(Protocol):
    """Tells the present instant."""

    def now(self) -> datetime:
        """Return the present as an aware UTC datetime."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AcceptedReturn:
    """The return that stands for one authority, one collection and one period."""

    submission: SubmissionId
    authority: AuthorityCode
    version: int
    open: Callable[[str], BinaryIO]
    """Opens one of its resources for reading: UTF-8 CSV with a header."""


class Accepted(Protocol):
    """The returns that stand."""

    def current(self, collection: CollectionId, period: str) -> Sequence[AcceptedReturn]:
        """Return one for each authority that has an accepted return."""


class Participations(Protocol):
    """Who takes part."""

    def of(self, collection: CollectionId) -> Sequence[Participation]:
        """Return every record of a collection, past ones too."""


class SealToRecipient(Protocol):
    """Encrypts to a recipient's keys."""

    def __call__(self, source: BinaryIO, sink: BinaryIO, recipients: Sequence[str], /) -> None:
        """Seal ``source`` into ``sink`` so that each of ``recipients`` can open it."""


class Recall(StrEnum):
    """What came of taking something back."""

    TAKEN_BACK = "taken_back"
    NOT_THERE = "not_there"
    COLLECTED = "collected"
    """Too late: the recipient has it."""


class Transport(Protocol):
    """Brings one delivery to its recipient. Safe to repeat: the first hand-over of a delivery stands."""

    def hand_over(self, delivery: Delivery, sealed: bytes, note: bytes) -> Digest:
        """Hand over; return the SHA-256 of the sealed bytes that the recipient finds.

        Raises:
            GatewayError: it could not be handed over; nothing of it counts as delivered.
        """

    def recall(self, delivery: Delivery) -> Recall:
        """Take back what was not collected. Safe to repeat."""


class OutboxShelf(Protocol):
    """Where recipients find things. The first thing put at a place stays there."""

    def put(self, owner: Owner, area: str, folder: str, name: str, content: bytes) -> str:
        """Place something; return its id, also where the place was taken before."""

    def read(self, owner: Owner, area: str, folder: str, name: str) -> bytes | None:
        """Return the bytes at a place, or None where nothing was ever put."""

    def recall(self, owner: Owner, area: str, folder: str, name: str) -> bool:
        """Take something back that nobody collected yet; False where it is not there or was collected."""


class RegisterStore(Protocol):
    """Keeps recipients and decisions. Each change and its event are one transaction."""

    def recipients(self) -> Sequence[Recipient]:
        """Return every recipient, by code."""

    def recipient(self, code: RecipientCode) -> Recipient | None:
        """Return one recipient."""

    def save_recipient(self, recipient: Recipient, event: Event) -> None:
        """Add a recipient or put it in place of the one of the same code."""

    def authorisations(self) -> Sequence[Authorisation]:
        """Return every decision, by id."""

    def authorisation(self, authorisation: str) -> Authorisation | None:
        """Return one decision."""

    def add_authorisation(self, authorisation: Authorisation, event: Event) -> bool:
        """Add a decision; False (and nothing done) where its id is taken."""

    def change_authorisation(self, authorisation: Authorisation, event: Event, *, was: AuthorisationState) -> bool:
        """Put a decision in place of the one of the same id; False where that one is no longer in state ``was``."""


class DeliveryStore(Protocol):
    """Keeps deliveries. Each change and its event are one transaction."""

    def about(self, recipe: str, period: str) -> Sequence[Delivery]:
        """Return every delivery of an extract for a period, oldest first."""

    def delivery(self, delivery: str) -> Delivery | None:
        """Return one delivery."""

    def deliveries(self) -> Sequence[Delivery]:
        """Return every delivery, oldest first."""

    def in_states(self, *states: DeliveryState) -> Sequence[Delivery]:
        """Return the deliveries in these states that are not marked ``recalled``, oldest first."""

    def plan(self, key: str, recipe: str, period: str, make: Callable[[int], tuple[Delivery, Event]]) -> Delivery:
        """Add the delivery that ``make`` builds for the next edition, or return the one whose key is there already."""

    def change(self, delivery: Delivery, event: Event | None, *, was: DeliveryState) -> bool:
        """Put a delivery in place of the one of the same id; False where that one is no longer in state ``was``."""

    def note(self, event: Event) -> None:
        """Append an event."""

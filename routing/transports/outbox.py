"""Puts a delivery into the recipient's outbox, from where they collect it by SFTP.

* The note goes first and the sealed extract last: who sees the extract sees its note.
* A place is taken once, so handing over again changes nothing.
"""

from __future__ import annotations

from hashlib import sha256

from gateway.domain.names import Digest, recipient_owner
from gateway.domain.sharing import Delivery
from routing.errors import DeliveryError
from routing.ports import OutboxShelf, Recall

AREA = "outbox"


class OutboxTransport:
    """Hands over by placing on a shelf."""

    def __init__(self, shelf: OutboxShelf) -> None:
        self._shelf = shelf

    def hand_over(self, delivery: Delivery, sealed: bytes, note: bytes) -> Digest:
        """Place the note and the sealed extract; return the SHA-256 of the sealed bytes that lie there.

        Raises:
            DeliveryError: nothing lies there afterwards.
        """
        owner, folder = recipient_owner(delivery.recipient), delivery.period
        self._shelf.put(owner, AREA, folder, note_name(delivery), note)
        self._shelf.put(owner, AREA, folder, delivery.name, sealed)
        lying = self._shelf.read(owner, AREA, folder, delivery.name)
        if lying is None:
            raise DeliveryError(
                f"Delivery {delivery.id} is not in the outbox of {delivery.recipient} after it was put there.",
                did="It will be tried again.",
                passing=True,
            )
        return Digest(sha256(lying).hexdigest())

    def recall(self, delivery: Delivery) -> Recall:
        """Take the extract and its note back, unless the extract was collected."""
        owner, folder = recipient_owner(delivery.recipient), delivery.period
        taken = self._shelf.recall(owner, AREA, folder, delivery.name)
        if not taken and self._shelf.read(owner, AREA, folder, delivery.name) is not None:
            return Recall.COLLECTED
        self._shelf.recall(owner, AREA, folder, note_name(delivery))
        return Recall.TAKEN_BACK if taken else Recall.NOT_THERE


def note_name(delivery: Delivery) -> str:
    """Return the name of the note beside an extract."""
    return f"{delivery.name.removesuffix('.age').removesuffix('.csv')}.README.txt"

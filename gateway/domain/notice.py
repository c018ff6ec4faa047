"""A message to people: what it is about, what it says, where it goes, and how far it got.

* A notice's key is its natural key: the same kind to the same owner about the same occasion is one notice.
* Letters hold no child's data, no cell values and no file names.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.domain.names import CollectionId, Owner, SubmissionId


class NoticeKind(StrEnum):
    """What a notice says; also the name of its letter under ``gateway/notices/letters``."""

    REMINDER = "reminder"
    DUE_TODAY = "due-today"
    LATE = "late"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    QUARANTINED = "quarantined"
    EXTRACT_READY = "extract-ready"


class NoticeChannel(StrEnum):
    """How a notice travels."""

    FOLDER = "folder"
    """The owner's ``notices/`` folder; the address is the owner."""
    SMTP = "smtp"
    """Electronic mail; the address is a mail address."""
    MEMORY = "memory"
    """Kept in memory, for rehearsals."""


class PostState(StrEnum):
    """How far a notice got on one channel to one address."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class NoticeKey:
    """What makes a notice the same notice.

    Attributes:
        kind: what it says.
        owner: to whom.
        collection: about which collection, where it is about one.
        period: label of the period, where it is about one.
        occasion: what else tells two apart: ``2027-05-31/T-10``, a submission's id, a delivery's id.
    """

    kind: NoticeKind
    owner: Owner
    collection: CollectionId | None = None
    period: str | None = None
    occasion: str

    @property
    def text(self) -> str:
        """Return the key as it is stored and hashed."""
        return "/".join((self.kind, self.owner, self.collection or "-", self.period or "-", self.occasion))

    @classmethod
    def about_submission(
        cls,
        kind: NoticeKind,
        owner: Owner,
        submission: SubmissionId,
        collection: CollectionId | None = None,
        period: str | None = None,
    ) -> NoticeKey:
        """Return the key of a notice about one submission: once per outcome."""
        return cls(kind=kind, owner=owner, collection=collection, period=period, occasion=submission)

    @classmethod
    def about_delivery(cls, owner: Owner, delivery: str, collection: CollectionId, period: str) -> NoticeKey:
        """Return the key of a notice that an extract is ready: once per delivery."""
        return cls(kind=NoticeKind.EXTRACT_READY, owner=owner, collection=collection, period=period, occasion=delivery)


@dataclass(frozen=True, kw_only=True, slots=True)
class Letter:
    """The words of a notice."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, order=True, slots=True)
class Address:
    """Where one copy goes."""

    channel: NoticeChannel
    address: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """One notice, written and addressed."""

    key: NoticeKey
    made_at: datetime
    letter: Letter
    to: tuple[Address, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Post:
    """One copy of a notice on its way."""

    notice: Notice
    address: Address
    state: PostState = PostState.WAITING
    attempts: int = 0
    """Attempts made before this one."""
    last_trouble: str = ""
    sent_at: datetime | None = None

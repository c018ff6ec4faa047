"""One return on its way: a drop becomes a submission, a checked one, a return, a sealed one, and so on.

The type is the proof: only ``gateway.validation`` makes a ``Return`` and only ``gateway.sealing`` a ``Sealed``,
so that what was not validated cannot be sealed or routed. A house test looks for other makers.
Every value here is small and free of cell values: the workflow engine stores them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.domain.finding import ReportSummary
from gateway.domain.names import AuthorityCode, Channel, CollectionId, Digest, FileId, SubmissionId
from gateway.domain.period import Period
from gateway.domain.states import State


@dataclass(frozen=True, kw_only=True, slots=True)
class Drop:
    """One file that arrived whole and lies, encrypted and synced, in the spool."""

    file: FileId
    authority: AuthorityCode
    folder: tuple[str, ...]
    """Folders under ``inbox/`` it was put in, for example ``("ssda903", "2026-27")``."""
    name: str
    """The file's name as sent. May be personal: never logged."""
    digest: Digest
    size_bytes: int
    channel: Channel
    sent_by: str
    """Key name and fingerprint, S3 principal, or operating-system user."""
    received_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceivedFile:
    """One file of a submission."""

    id: FileId
    name: str
    resource: str | None
    """The table it was recognised as; None for a workbook, a zip or an unrecognised file."""
    digest: Digest
    size_bytes: int
    received_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """One immutable version of a return as received."""

    id: SubmissionId
    authority: AuthorityCode
    collection: CollectionId | None
    """None where it could not be recognised."""
    period: Period | None
    version: int
    """1 for the first, counted within authority, collection and period when the return is complete."""
    state: State
    channel: Channel
    sent_by: str
    received_at: datetime
    """When its first file came."""
    last_file_at: datetime
    """When its last file came: what counts for being in time."""
    files: tuple[ReceivedFile, ...]
    trouble: str = ""
    """Why it was not recognised and what was expected, in words for the authority."""

    @property
    def folder(self) -> str:
        """Return the folder its papers go to: the period, or ``unrecognised``."""
        return self.period.label if self.period else "unrecognised"


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """A submission free of known malware, recognised and new."""

    submission: Submission
    collection: CollectionId
    period: Period
    scanner: str
    """Which scanner looked, or ``off``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Return:
    """A submission that validation accepted. Only ``gateway.validation`` makes one."""

    submission: Submission
    collection: CollectionId
    period: Period
    report: ReportSummary


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """A submission that goes no further, with its reason; the report lies in the authority's home."""

    submission: Submission
    state: State
    """``quarantined``, ``rejected`` or ``duplicated``."""
    reason: str
    """One sentence for the authority."""
    report: ReportSummary | None = None
    duplicate_of: SubmissionId | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SealedObject:
    """One table of a return as ciphertext."""

    resource: str
    holding: str
    """Where the sealed bytes wait, for example a path below the data directory."""
    key: str
    """Where they go in storage."""
    size_bytes: int
    digest: Digest
    """SHA-256 of the ciphertext."""
    plain_digest: Digest
    """SHA-256 of what was sealed."""
    media_type: str = "text/csv"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sealed:
    """A return as ciphertext. Only ``gateway.sealing`` makes one."""

    accepted: Return
    objects: tuple[SealedObject, ...]
    recipient_key: str
    """Id of the key it is sealed to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A sealed return that lies in LIIA's storage."""

    sealed: Sealed


@dataclass(frozen=True, kw_only=True, slots=True)
class Routed:
    """A stored return for which every extract was decided: produced, or refused with the reason on record."""

    stored: Stored
    deliveries: tuple[str, ...]
    """Ids of the deliveries it is in."""
    refusals: tuple[str, ...]
    """Why others did not get it, for example ``d2i: no authorisation in force``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """The last word to the authority on one submission."""

    submission: SubmissionId
    outcome: State
    """``accepted``, ``rejected``, ``quarantined`` or ``duplicated``."""
    path: str
    """Below the authority's home."""
    digest: Digest

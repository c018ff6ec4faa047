"""What happened, as the ledger keeps it. An event carries names, digests and counts, never personal data.

An event's ``key`` is its natural key: the same event appended twice is one event (DESIGN.md promise 3).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias

Fact: TypeAlias = str | int | bool | list[str] | dict[str, int] | None
"""What a fact may be. No floats: they do not print alike everywhere, and the hash is over the print."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        action: a participle, for example ``received``, ``accepted``, ``offered``, ``notified``, ``revoked``.
        subject: what it happened to, as ``kind:id``, for example ``submission:0198...``.
        at: when, aware UTC.
        actor: who, for example ``authority:camden``, ``gateway``, ``person:alice``.
        facts: names, digests and counts.
        key: natural key; defaults to ``subject/action``.
    """

    action: str
    subject: str
    at: datetime
    actor: str = "gateway"
    facts: Mapping[str, Fact] = field(default_factory=dict)
    key: str = ""

    def __post_init__(self) -> None:
        if not self.key:
            object.__setattr__(self, "key", f"{self.subject}/{self.action}")

    def canonical(self) -> bytes:
        """Return the bytes that are hashed: JSON, keys sorted, no spaces, UTF-8, instants to the microsecond in UTC."""
        body = {
            "action": self.action,
            "actor": self.actor,
            "at": self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "facts": dict(self.facts),
            "key": self.key,
            "subject": self.subject,
        }
        return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def from_canonical(cls, body: bytes) -> Event:
        """Read back what ``canonical`` wrote."""
        data = json.loads(body)
        return cls(
            action=data["action"],
            subject=data["subject"],
            at=datetime.fromisoformat(data["at"]),
            actor=data["actor"],
            facts=data["facts"],
            key=data["key"],
        )

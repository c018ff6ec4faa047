"""What goes wrong on our side. A failure is told to the operator, never to an authority.

A failure says four things: what happened, to what, what the gateway did about it, and what to do next.
Trouble in *their* data is a ``Finding`` (``gateway.domain.finding``) and never an exception.
"""

from __future__ import annotations


class GatewayError(Exception):
    """Base of every failure of ours.

    Args:
        happened: one sentence on what happened and to what; no personal data, no file content.
        did: what the gateway did about it ("kept, will try again in 60 seconds").
        remedy: what the operator does next, with the command where there is one.
        passing: True where trying again later may succeed without anybody's help.
    """

    def __init__(self, happened: str, *, did: str = "", remedy: str = "", passing: bool = False) -> None:
        super().__init__(happened)
        self.happened = happened
        self.did = did
        self.remedy = remedy
        self.passing = passing

    def __str__(self) -> str:
        """Return the whole message, as a person reads it."""
        return " ".join(part for part in (self.happened, self.did, self.remedy) if part)

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the four parts when the failure is stored by the workflow engine."""
        return (_rebuild, (type(self), self.happened, self.did, self.remedy, self.passing))


def _rebuild(kind: type[GatewayError], happened: str, did: str, remedy: str, passing: bool) -> GatewayError:  # noqa: FBT001 (pickle calls by position)
    return kind(happened, did=did, remedy=remedy, passing=passing)

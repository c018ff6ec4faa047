"""The texts in a home that are made when they are read: how to send, what is due."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.domain.collection import Collection
from gateway.domain.names import AuthorityCode, CollectionId, Owner

_AUTHORITY = """\
{service}

How to send a return
--------------------
Put your files into inbox/, best into the folder of their collection and period:

{folders}

A return of several files may come as one zip file. Nothing else is needed: the file is taken
in when your client has closed it. Temporary names (.filepart, .part, .partial, .tmp, or a
leading dot) wait until they are renamed.

What you get back
-----------------
receipts/   a signed receipt when a file has arrived, and one for the outcome
reports/    what was found, by file, row and column, and what to do about it
notices/    reminders, and letters about your returns
outbox/     packs that are published to you
DEADLINES.txt says what is due and what we have.

Check a receipt with:
  ssh-keygen -Y verify -f allowed_signers -I gateway -n receipt@gateway.london \\
    -s RECEIPT.json.sig < RECEIPT.json
(allowed_signers is in receipts/.)

Questions: {operator}
"""
_RECIPIENT = """\
{service}

Your extracts are in outbox/, in a folder for each period, sealed to your key. Open one with:
  age -d -i YOUR-KEY FILE.age > FILE
The README beside each names the decision it rests on and how it may be used. Collecting a file
is recorded. Nothing can be sent from here.

Questions: {operator}
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pages:
    """Makes the texts."""

    service: str
    operator: str
    deadlines: Callable[[AuthorityCode], str]
    collections: Mapping[CollectionId, Collection]

    def render(self, owner: Owner, name: str) -> bytes | None:
        """Return a text for an owner; None where there is none of this name."""
        kind, _, code = owner.partition(":")
        if name == "DEADLINES.txt" and kind == "authority":
            return _windows(self.deadlines(AuthorityCode(code)))
        if name != "README.txt":
            return None
        if kind == "recipient":
            return _windows(_RECIPIENT.format(service=self.service, operator=self.operator))
        folders = "\n".join(f"  inbox/{one.id}/<period>/   {one.title}" for one in self.collections.values())
        return _windows(_AUTHORITY.format(service=self.service, operator=self.operator, folders=folders))


def _windows(text: str) -> bytes:
    """Return text with the line ends that Notepad shows right, in every version."""
    return text.replace("\r\n", "\n").replace("\n", "\r\n").encode()

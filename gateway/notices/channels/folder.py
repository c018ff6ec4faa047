"""Puts a notice as a text file into its owner's ``notices/`` folder.

* The file's name is made from the notice's key, so that posting it again puts the same file at the same place.
"""

from __future__ import annotations

import hashlib
from datetime import UTC
from typing import Protocol

from gateway.domain.names import Owner
from gateway.domain.notice import Notice, Post

AREA = "notices"


class Shelf(Protocol):
    """Puts files into people's homes."""

    def put(self, owner: Owner, area: str, folder: str, name: str, content: bytes) -> object:
        """Put a file into ``<home>/<area>/<folder>/<name>``; the same content again changes nothing.

        What it returns is not looked at.
        """


class FolderChannel:
    """Posts to the owner's own home; the address of a copy is the owner."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def post(self, post: Post) -> None:
        """Put one copy."""
        text = f"{post.notice.letter.subject}\n\n{post.notice.letter.text}"
        # CRLF: boroughs read it in Notepad.
        content = text.replace("\n", "\r\n").encode()
        self._shelf.put(Owner(post.address.address), AREA, "", notice_file_name(post.notice), content)


def notice_file_name(notice: Notice) -> str:
    """Return a name that sorts by time and is the same for the same notice: ``20270601T0700Z-late-ssda903-...txt``."""
    key = notice.key
    told_apart = hashlib.sha256(key.text.encode()).hexdigest()[:8]
    about = [part for part in (key.collection, key.period) if part]
    made = notice.made_at.astimezone(UTC)
    return "-".join([f"{made:%Y%m%dT%H%MZ}", key.kind, *about, told_apart]) + ".txt"

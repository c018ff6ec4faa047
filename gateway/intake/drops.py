"""What every way in has in common: which names wait, how a place reads as folders, and whom a drop is handed to."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection
from pathlib import Path
from typing import BinaryIO, Protocol, TypeAlias

from gateway.domain.names import AuthorityCode

TEMPORARY_ENDINGS = (".filepart", ".part", ".partial", ".tmp")
"""Names that clients give to files on their way: WinSCP, rclone and browsers, lftp and many scripts."""

Known: TypeAlias = Callable[[], Collection[AuthorityCode]]
"""Tells which authorities exist now."""


class Deliver(Protocol):
    """Takes one drop. When it returns, the drop is durable and on record."""

    def __call__(
        self, authority: AuthorityCode, folder: tuple[str, ...], name: str, source: BinaryIO, key: str
    ) -> object:
        """Take a drop.

        Args:
            authority: whose it is.
            folder: folders under the inbox, for example ``("ssda903", "2026-27")``.
            name: the file's name. May be personal: never logged.
            source: its content, read to the end.
            key: natural key of the drop: what was delivered under it before is not taken again.
        """


def is_temporary(name: str) -> bool:
    """Tell whether a file of this name waits for its rename."""
    return name.startswith(".") or name.lower().endswith(TEMPORARY_ENDINGS)


def what_broke(error: BaseException) -> str:
    """Return an unexpected exception's kind and place for the log. Its message may name a file, so it is left out."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at {Path(frames[-1].filename).name}:{frames[-1].lineno}"


def inbox_folder(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Return folders below the inbox: ``inbox/`` itself may be left out by the sender."""
    return parts[1:] if parts[:1] == ("inbox",) else parts

"""How a notice travels. A channel posts one copy; posting the same copy twice must do no harm."""

from __future__ import annotations

from typing import Protocol

from gateway.domain.notice import Post


class Channel(Protocol):
    """Carries copies of notices to one kind of address."""

    def post(self, post: Post) -> None:
        """Hand one copy over.

        Raises:
            NoticeError: it could not be handed over; ``passing`` says whether trying again may help.
        """

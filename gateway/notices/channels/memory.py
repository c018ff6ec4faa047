"""Keeps copies in memory: for rehearsals, the demo and tests. Nothing leaves the process."""

from __future__ import annotations

from gateway.domain.notice import Post
from gateway.errors import NoticeError


class MemoryChannel:
    """Remembers what was posted, in order. ``trouble`` makes it fail like a channel that is down."""

    def __init__(self) -> None:
        self.posted: list[Post] = []
        self.trouble: NoticeError | None = None

    def post(self, post: Post) -> None:
        """Remember one copy, or fail with ``trouble``."""
        if self.trouble is not None:
            raise self.trouble
        self.posted.append(post)

"""Hands waiting copies to their channels, and tries again later what did not go.

* A copy is claimed for ``LEASE`` before it is posted, so that two nodes never post it at once.
* Posted and not recorded (a crash between): the claim runs out and the copy goes again with the same identity.
* Passing trouble is tried again after 1, 2, 4 ... minutes, at most an hour apart, for about a day; then a person
  must look. Lasting trouble fails at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from gateway.clock import Clock
from gateway.domain.failure import GatewayError
from gateway.domain.notice import NoticeChannel, Post
from gateway.notices.channels import Channel

LEASE = timedelta(minutes=5)
"""Longer than all time limits of posting one copy together (SMTP: about eight answers of 20 seconds)."""

MOST_ATTEMPTS = 30
"""About a day with the waits below."""

_FIRST_WAIT = timedelta(minutes=1)
_LONGEST_WAIT = timedelta(hours=1)
_AT_ONCE = 1
"""One, so that a lease need only outlast the time limits of one copy."""

_log = structlog.get_logger(__name__)


class Outbox(Protocol):
    """The copies that wait (``gateway.db.notices.NoticeOutbox``)."""

    def claim(self, at: datetime, lease: timedelta, limit: int) -> Sequence[Post]:
        """Take waiting copies whose time has come; nobody else gets them before ``at + lease``."""

    def record_sent(self, post: Post, at: datetime) -> None:
        """Record that a copy went out."""

    def record_trouble(self, post: Post, at: datetime, trouble: str, again_at: datetime | None) -> None:
        """Record that a copy did not go out: tried again at ``again_at``, never again where it is None."""


class Postmaster:
    """Posts what waits.

    Args:
        outbox: the copies.
        channels: the channels that are set up. A copy for another waits until its channel is.
        clock: the time.
    """

    def __init__(self, outbox: Outbox, channels: Mapping[NoticeChannel, Channel], clock: Clock) -> None:
        self._outbox = outbox
        self._channels = channels
        self._clock = clock

    def post_waiting(self) -> int:
        """Try every copy whose time has come, and return how many went out."""
        sent = 0
        while posts := self._outbox.claim(self._clock.now(), LEASE, _AT_ONCE):
            sent += sum(self._try(post) for post in posts)
        return sent

    def _try(self, post: Post) -> bool:
        try:
            self._channel(post).post(post)
        except GatewayError as error:
            self._put_off(post, str(error), passing=error.passing)
            return False
        except Exception as error:  # noqa: BLE001 (one copy that cannot go must not hold up the others)
            self._put_off(post, f"Unexpected {type(error).__name__}.", passing=True)
            return False
        self._outbox.record_sent(post, self._clock.now())
        _log.info("A notice was sent.", action="sent", kind=post.notice.key.kind, channel=post.address.channel)
        return True

    def _channel(self, post: Post) -> Channel:
        channel = self._channels.get(post.address.channel)
        if channel is None:
            raise GatewayError(
                f"The channel {post.address.channel} is not set up.",
                did="The notice waits.",
                remedy="Set it up in settings.toml, or take the address off the contact.",
                passing=True,
            )
        return channel

    def _put_off(self, post: Post, trouble: str, *, passing: bool) -> None:
        now, attempts = self._clock.now(), post.attempts + 1
        again_at = now + wait_after(attempts) if passing and attempts < MOST_ATTEMPTS else None
        self._outbox.record_trouble(post, now, trouble, again_at)
        _log.warning(
            "A notice did not go out.",
            action="failed" if again_at is None else "waiting",
            kind=post.notice.key.kind,
            channel=post.address.channel,
            attempts=attempts,
            trouble=trouble,
        )


def wait_after(attempts: int) -> timedelta:
    """Return how long to wait after so many attempts."""
    return min(_FIRST_WAIT * (1 << min(attempts - 1, 10)), _LONGEST_WAIT)

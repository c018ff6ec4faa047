"""Notices that were raised, and how far each copy got.

* ``raise_notice`` inserts once by natural key, with its event ``notified`` in the same transaction. A repeat, by
  whatever node, changes nothing.
* A copy is claimed before it is posted: nobody else tries it while the claim lasts. A node that dies after posting
  and before recording leaves the claim to run out; the copy goes again, with the same identity, so that mail
  programs show it once.
* Addresses and words stay in these tables; the ledger holds kinds and counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from gateway.db.core import Database, Instant, Transaction, metadata
from gateway.domain.events import Event
from gateway.domain.names import CollectionId, Owner
from gateway.domain.notice import Address, Letter, Notice, NoticeChannel, NoticeKey, NoticeKind, Post, PostState

notices = sa.Table(
    "notices",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False, index=True),
    sa.Column("collection", sa.Text),
    sa.Column("period", sa.Text),
    sa.Column("occasion", sa.Text, nullable=False),
    sa.Column("made_at", Instant, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("text_body", sa.Text, nullable=False),
    sa.Column("html_body", sa.Text, nullable=False),
)

notice_posts = sa.Table(
    "notice_posts",
    metadata,
    sa.Column("key", sa.Text, sa.ForeignKey("notices.key"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("not_before", Instant, nullable=False),
    sa.Column("last_trouble", sa.Text, nullable=False),
    sa.Column("sent_at", Instant),
    sa.UniqueConstraint("key", "channel", "address"),
    sa.Index("notice_posts_waiting", "state", "not_before"),
)

_KEYS_AT_ONCE = 500
"""SQLite takes at most 999 bound values in its oldest builds."""


def raise_notice(tx: Transaction, notice: Notice) -> bool:
    """Record a notice and a waiting copy for each address. False, and nothing changed, where it was raised before."""
    if raised_already(tx.connection, [notice.key]):
        return False
    try:
        # The savepoint lets the loser of a race between two nodes on PostgreSQL go on with its transaction.
        with tx.connection.begin_nested():
            tx.connection.execute(notices.insert().values(**_notice_values(notice)))
    except sa.exc.IntegrityError:
        return False
    addresses = sorted(set(notice.to))
    if addresses:
        tx.connection.execute(
            notice_posts.insert(),
            [
                {
                    "key": notice.key.text,
                    "number": number,
                    "channel": address.channel,
                    "address": address.address,
                    "state": PostState.WAITING,
                    "attempts": 0,
                    "not_before": notice.made_at,
                    "last_trouble": "",
                }
                for number, address in enumerate(addresses, start=1)
            ],
        )
    tx.append(
        Event(
            action="notified",
            subject=notice.key.owner,
            at=notice.made_at,
            facts={
                "kind": notice.key.kind,
                "collection": notice.key.collection,
                "period": notice.key.period,
                "occasion": notice.key.occasion,
                "copies": len(addresses),
            },
            key=f"notice:{notice.key.text}/notified",
        )
    )
    return True


def raised_already(connection: Connection, keys: Iterable[NoticeKey]) -> set[NoticeKey]:
    """Return those of the keys under which a notice was raised."""
    by_text = {key.text: key for key in keys}
    texts = list(by_text)
    found: set[NoticeKey] = set()
    for start in range(0, len(texts), _KEYS_AT_ONCE):
        asked = sa.select(notices.c.key).where(notices.c.key.in_(texts[start : start + _KEYS_AT_ONCE]))
        found.update(by_text[text] for text in connection.execute(asked).scalars())
    return found


def read_notices(connection: Connection, owner: Owner | None = None, *, limit: int = 1000) -> tuple[Notice, ...]:
    """Return notices with their addresses, newest first."""
    asked = sa.select(notices).order_by(notices.c.made_at.desc(), notices.c.key).limit(limit)
    if owner is not None:
        asked = asked.where(notices.c.owner == owner)
    rows = connection.execute(asked).all()
    to: dict[str, list[Address]] = {row.key: [] for row in rows}
    for start in range(0, len(rows), _KEYS_AT_ONCE):
        keys = [row.key for row in rows[start : start + _KEYS_AT_ONCE]]
        posts = sa.select(notice_posts).where(notice_posts.c.key.in_(keys)).order_by(notice_posts.c.number)
        for post in connection.execute(posts):
            to[post.key].append(Address(NoticeChannel(post.channel), post.address))
    return tuple(_notice(row, tuple(to[row.key])) for row in rows)


def read_posts(connection: Connection, state: PostState | None = None, *, limit: int = 1000) -> tuple[Post, ...]:
    """Return copies, newest notice first; of one state where one is given (``failed`` for what needs a person)."""
    asked = _copies().order_by(notices.c.made_at.desc(), notice_posts.c.key, notice_posts.c.number).limit(limit)
    if state is not None:
        asked = asked.where(notice_posts.c.state == state)
    return tuple(map(_post, connection.execute(asked)))


class NoticeOutbox:
    """The copies that wait to be posted, for ``gateway.notices.postmaster``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, at: datetime, lease: timedelta, limit: int) -> tuple[Post, ...]:
        """Take up to ``limit`` waiting copies whose time has come; nobody else gets them before ``at + lease``."""
        due = sa.and_(notice_posts.c.state == PostState.WAITING, notice_posts.c.not_before <= at)
        with self._database.read() as connection:
            # Most of the time nothing waits, and looking must not take the writers' lock.
            if connection.execute(sa.select(notice_posts.c.key).where(due).limit(1)).first() is None:
                return ()
        with self._database.write() as tx:
            asked = _copies().where(due).order_by(notice_posts.c.not_before, notice_posts.c.key).limit(limit)
            found = tuple(map(_post, tx.connection.execute(asked.with_for_update(of=notice_posts, skip_locked=True))))
            for post in found:
                tx.connection.execute(notice_posts.update().where(_is(post)).values(not_before=at + lease))
        return found

    def record_sent(self, post: Post, at: datetime) -> None:
        """Record that a copy went out, with its event ``sent``."""
        with self._database.write() as tx:
            values = {"state": PostState.SENT, "attempts": post.attempts + 1, "sent_at": at, "last_trouble": ""}
            tx.connection.execute(notice_posts.update().where(_is(post)).values(**values))
            self._append(tx, PostState.SENT, post, at)

    def record_trouble(self, post: Post, at: datetime, trouble: str, again_at: datetime | None) -> None:
        """Record that a copy did not go out; it waits until ``again_at``, or has failed where that is None."""
        with self._database.write() as tx:
            state = PostState.WAITING if again_at else PostState.FAILED
            values = {"state": state, "attempts": post.attempts + 1, "last_trouble": trouble}
            tx.connection.execute(notice_posts.update().where(_is(post)).values(**values, not_before=again_at or at))
            if again_at is None:
                self._append(tx, PostState.FAILED, post, at)

    def send_again(self, key: NoticeKey, at: datetime) -> int:
        """Let the failed copies of a notice wait again, and return how many there were."""
        failed = sa.and_(notice_posts.c.key == key.text, notice_posts.c.state == PostState.FAILED)
        with self._database.write() as tx:
            values = {"state": PostState.WAITING, "attempts": 0, "not_before": at}
            return tx.connection.execute(notice_posts.update().where(failed).values(**values)).rowcount

    @staticmethod
    def _append(tx: Transaction, state: PostState, post: Post, at: datetime) -> None:
        number = tx.connection.execute(sa.select(notice_posts.c.number).where(_is(post))).scalar_one()
        subject = f"notice:{post.notice.key.text}"
        tx.append(
            Event(
                action=state,
                subject=subject,
                at=at,
                facts={"channel": post.address.channel, "copy": int(number), "attempts": post.attempts + 1},
                key=f"{subject}/{state}/{number}" + ("" if state is PostState.SENT else f"/{at.isoformat()}"),
            )
        )


def _is(post: Post) -> sa.ColumnElement[bool]:
    return sa.and_(
        notice_posts.c.key == post.notice.key.text,
        notice_posts.c.channel == post.address.channel,
        notice_posts.c.address == post.address.address,
    )


def _copies() -> sa.Select[tuple[object, ...]]:
    posts = [column for column in notice_posts.c if column.name != "key"]
    return sa.select(*notices.c, *posts).join_from(notice_posts, notices)


def _notice_values(notice: Notice) -> dict[str, object]:
    return {
        "key": notice.key.text,
        "kind": notice.key.kind,
        "owner": notice.key.owner,
        "collection": notice.key.collection,
        "period": notice.key.period,
        "occasion": notice.key.occasion,
        "made_at": notice.made_at,
        "subject": notice.letter.subject,
        "text_body": notice.letter.text,
        "html_body": notice.letter.html,
    }


def _notice(row: Row[tuple[object, ...]], to: tuple[Address, ...]) -> Notice:
    return Notice(
        key=NoticeKey(
            kind=NoticeKind(row.kind),
            owner=Owner(row.owner),
            collection=CollectionId(row.collection) if row.collection else None,
            period=row.period,
            occasion=row.occasion,
        ),
        made_at=row.made_at,
        letter=Letter(subject=row.subject, text=row.text_body, html=row.html_body),
        to=to,
    )


def _post(row: Row[tuple[object, ...]]) -> Post:
    address = Address(NoticeChannel(row.channel), row.address)
    return Post(
        notice=_notice(row, (address,)),
        address=address,
        state=PostState(row.state),
        attempts=row.attempts,
        last_trouble=row.last_trouble,
        sent_at=row.sent_at,
    )

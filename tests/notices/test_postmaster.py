from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from notice_world import database_at, folder_of, mail_to, notice

from gateway.clock import FixedClock
from gateway.db.core import Database, ledger_events
from gateway.db.notices import NoticeOutbox, raise_notice, read_notices, read_posts
from gateway.domain.names import Owner
from gateway.domain.notice import NoticeChannel, Post, PostState
from gateway.errors import NoticeError
from gateway.notices.channels.folder import FolderChannel, notice_file_name
from gateway.notices.channels.memory import MemoryChannel
from gateway.notices.postmaster import LEASE, MOST_ATTEMPTS, Postmaster, wait_after

START = datetime(2026, 10, 18, 8, tzinfo=UTC)
DOWN = NoticeError("The relay could not be used.", passing=True)
BOTH = [folder_of(Owner("authority:camden")), mail_to("data@camden.example")]


class Crash(BaseException):
    """The process dies here."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = database_at(tmp_path / "gateway.sqlite")
    yield database
    database.close()


def raised(database: Database, to=None) -> None:
    with database.write() as tx:
        assert raise_notice(tx, notice(to=BOTH if to is None else to))


def states(database: Database) -> dict[str, PostState]:
    with database.read() as connection:
        return {post.address.channel: post.state for post in read_posts(connection)}


def actions(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(sa.select(ledger_events.c.action).order_by(ledger_events.c.seq)).scalars())


def test_a_notice_raised_twice_is_one_notice_one_event_and_one_copy_an_address(database):
    raised(database, to=[*BOTH, *BOTH])
    with database.write() as tx:
        assert not raise_notice(tx, notice(to=BOTH))
    with database.read() as connection:
        assert len(read_notices(connection)) == 1
        assert len(read_posts(connection, PostState.WAITING)) == 2
    assert actions(database) == ["notified"]


def test_a_notice_rolled_back_leaves_neither_notice_nor_event(database):
    def crash_before_the_commit() -> None:
        with database.write() as tx:
            raise_notice(tx, notice())
            raise Crash

    with pytest.raises(Crash):
        crash_before_the_commit()
    assert actions(database) == []


def test_a_notice_comes_back_as_it_was_raised(database):
    raised(database)
    with database.read() as connection:
        assert read_notices(connection, Owner("authority:camden")) == (notice(to=sorted(BOTH)),)
        assert read_notices(connection, Owner("authority:hackney")) == ()


def test_each_copy_goes_out_once_and_each_success_is_recorded(database):
    raised(database)
    folder, smtp = MemoryChannel(), MemoryChannel()
    postmaster = Postmaster(
        NoticeOutbox(database), {NoticeChannel.FOLDER: folder, NoticeChannel.SMTP: smtp}, FixedClock(START)
    )
    assert postmaster.post_waiting() == 2
    assert postmaster.post_waiting() == 0
    assert (len(folder.posted), len(smtp.posted)) == (1, 1)
    assert states(database) == {"folder": PostState.SENT, "smtp": PostState.SENT}
    assert actions(database) == ["notified", "sent", "sent"]


def test_mail_that_is_down_for_an_hour_holds_up_no_folder_and_goes_out_afterwards(database):
    raised(database)
    folder, smtp, clock = MemoryChannel(), MemoryChannel(), FixedClock(START)
    channels = {NoticeChannel.FOLDER: folder, NoticeChannel.SMTP: smtp}
    postmaster = Postmaster(NoticeOutbox(database), channels, clock)
    smtp.trouble = DOWN
    for _ in range(60):
        postmaster.post_waiting()
        clock.advance(timedelta(minutes=1))
    assert states(database) == {"folder": PostState.SENT, "smtp": PostState.WAITING}
    smtp.trouble = None
    clock.advance(timedelta(hours=1))
    assert postmaster.post_waiting() == 1
    assert smtp.posted[0].attempts < 10
    assert states(database)["smtp"] is PostState.SENT


def test_lasting_trouble_fails_at_once_and_is_seen_and_can_be_sent_again(database):
    raised(database, to=[mail_to("gone@camden.example")])
    smtp, clock = MemoryChannel(), FixedClock(START)
    smtp.trouble = NoticeError("The relay refused the recipient (550).", passing=False)
    outbox = NoticeOutbox(database)
    postmaster = Postmaster(outbox, {NoticeChannel.SMTP: smtp}, clock)
    postmaster.post_waiting()
    with database.read() as connection:
        (failed,) = read_posts(connection, PostState.FAILED)
    assert "550" in failed.last_trouble
    assert actions(database) == ["notified", "failed"]
    smtp.trouble = None
    assert outbox.send_again(notice().key, clock.now()) == 1
    assert postmaster.post_waiting() == 1


def test_passing_trouble_is_given_up_after_about_a_day(database):
    raised(database, to=[mail_to("data@camden.example")])
    smtp, clock = MemoryChannel(), FixedClock(START)
    smtp.trouble = DOWN
    postmaster = Postmaster(NoticeOutbox(database), {NoticeChannel.SMTP: smtp}, clock)
    for _ in range(MOST_ATTEMPTS):
        postmaster.post_waiting()
        clock.advance(timedelta(hours=1))
    assert states(database)["smtp"] is PostState.FAILED


def test_waits_double_up_to_an_hour():
    assert [wait_after(n) // timedelta(minutes=1) for n in (1, 2, 3, 6, 7, 30)] == [1, 2, 4, 32, 60, 60]


def test_a_channel_that_breaks_in_an_unforeseen_way_is_tried_again(database):
    class Broken:
        def post(self, post: Post) -> None:
            raise KeyError(post.address.address)

    raised(database, to=[mail_to("data@camden.example")])
    Postmaster(NoticeOutbox(database), {NoticeChannel.SMTP: Broken()}, FixedClock(START)).post_waiting()
    with database.read() as connection:
        (waiting,) = read_posts(connection, PostState.WAITING)
    assert waiting.last_trouble == "Unexpected KeyError."


def test_a_copy_for_a_channel_that_is_not_set_up_waits(database):
    raised(database)
    Postmaster(NoticeOutbox(database), {NoticeChannel.FOLDER: MemoryChannel()}, FixedClock(START)).post_waiting()
    assert states(database) == {"folder": PostState.SENT, "smtp": PostState.WAITING}


def test_a_crash_between_posting_and_recording_repeats_the_same_copy_when_the_claim_runs_out(database):
    class DiesAfterwards(MemoryChannel):
        def post(self, post: Post) -> None:
            super().post(post)
            if len(self.posted) == 1:
                raise Crash

    raised(database, to=[mail_to("data@camden.example")])
    smtp, clock = DiesAfterwards(), FixedClock(START)
    with pytest.raises(Crash):
        Postmaster(NoticeOutbox(database), {NoticeChannel.SMTP: smtp}, clock).post_waiting()
    after_restart = Postmaster(NoticeOutbox(database), {NoticeChannel.SMTP: smtp}, clock)
    assert after_restart.post_waiting() == 0
    clock.advance(LEASE)
    assert after_restart.post_waiting() == 1
    first, second = smtp.posted
    assert first.notice == second.notice
    assert states(database)["smtp"] is PostState.SENT


def test_two_postmasters_never_post_one_copy_at_once(database):
    raised(database, to=[mail_to("data@camden.example")])
    outbox = NoticeOutbox(database)
    assert len(outbox.claim(START, LEASE, 10)) == 1
    assert outbox.claim(START, LEASE, 10) == ()


def test_a_notice_lies_in_its_owners_folder_under_a_name_that_does_not_change(database):
    class Home:
        def __init__(self) -> None:
            self.files: dict[tuple[str, ...], bytes] = {}

        def put(self, owner: Owner, area: str, folder: str, name: str, content: bytes) -> None:
            self.files[owner, area, folder, name] = content

    home = Home()
    raised(database)
    with database.read() as connection:
        posts = [post for post in read_posts(connection) if post.address.channel is NoticeChannel.FOLDER]
    for _ in range(2):
        FolderChannel(home).post(posts[0])
    name = notice_file_name(notice())
    assert name.startswith("20261018T0700Z-reminder-riia-quarterly-2026-27-Q2-")
    assert home.files == {
        ("authority:camden", "notices", "", name): "It is due\r\n\r\nIt is due.\r\nSend it, it costs £0.\r\n".encode()
    }

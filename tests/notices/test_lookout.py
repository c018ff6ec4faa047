"""Each notice once, however often and on however many nodes the lookout looks."""

import threading
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from notice_world import BARNET, CAMDEN, HACKNEY, Q2_DUE, RIIA, World, told

from gateway.clock import FixedClock
from gateway.db.calendar import grant_excuse
from gateway.db.core import Database
from gateway.db.notices import NoticeOutbox, read_notices
from gateway.domain.expectation import Excuse, Extension, Owed
from gateway.domain.notice import NoticeChannel
from gateway.domain.states import ExpectationState as State
from gateway.errors import NotAllowedError, NotFoundError, NoticeError
from gateway.notices.channels.memory import MemoryChannel
from gateway.notices.composer import Composer
from gateway.notices.postmaster import Postmaster

START = datetime(2026, 10, 2, 6, tzinfo=UTC)
LATE = datetime(2026, 10, 29, 9, tzinfo=UTC)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(path=tmp_path / "gateway.sqlite", clock=FixedClock(START))


def owed(authority: str) -> Owed:
    return Owed(authority, RIIA, "2026-27-Q2")


def set_clock(world: World, at: datetime) -> None:
    world.clock.advance(at - world.clock.now())


def kept(world: World) -> list[str]:
    with world.database.read() as connection:
        return sorted(told([one.key for one in read_notices(connection)]))


def test_a_quarter_is_told_four_times_to_who_is_silent_and_not_again_to_who_answered(world):
    world.joins(CAMDEN, HACKNEY)
    heard: list[str] = []
    lookout = world.lookout()
    for _ in range(40 * 4):
        heard += told(lookout.tick())
        if world.clock.now().date() == date(2026, 10, 20):
            world.accepted[owed(HACKNEY)] = world.clock.now()
        world.clock.advance(timedelta(hours=6))
    assert heard == [
        "camden reminder 2026-10-28/T-10",
        "hackney reminder 2026-10-28/T-10",
        "camden reminder 2026-10-28/T-3",
        "camden due-today 2026-10-28/T",
        "camden late 2026-10-28/T+1",
    ]


def test_50_looks_and_as_many_restarts_raise_each_notice_once_and_post_each_copy_once(world):
    world.joins(CAMDEN, HACKNEY, BARNET)
    set_clock(world, LATE)
    channel = MemoryChannel()
    lookout = world.lookout()
    for _ in range(50):
        lookout.tick()
        lookout = world.restart()
        channels = {NoticeChannel.FOLDER: channel, NoticeChannel.SMTP: channel}
        Postmaster(NoticeOutbox(world.database), channels, world.clock).post_waiting()
    assert kept(world) == [f"{name} late 2026-10-28/T+1" for name in ("barnet", "camden", "hackney")]
    assert len(channel.posted) == len({(post.notice.key, post.address) for post in channel.posted}) == 6


def test_two_nodes_looking_at_once_raise_each_notice_once(world):
    world.joins(CAMDEN, HACKNEY, BARNET)
    set_clock(world, LATE)
    raised: list[str] = []
    ready = threading.Barrier(2)

    def node() -> None:
        database = Database(f"sqlite:///{world.path}")
        lookout = world.lookout(database, FixedClock(LATE))
        for _ in range(5):
            ready.wait(timeout=30)
            raised.extend(told(lookout.tick()))
        database.close()

    nodes = [threading.Thread(target=node) for _ in range(2)]
    for one in nodes:
        one.start()
    for one in nodes:
        one.join(timeout=60)
    assert sorted(raised) == kept(world) == [f"{name} late 2026-10-28/T+1" for name in ("barnet", "camden", "hackney")]


def test_after_a_month_of_downtime_there_is_one_notice_and_a_clock_set_back_adds_none(world):
    world.joins(CAMDEN)
    lookout = world.lookout()
    set_clock(world, LATE + timedelta(days=30))
    assert told(lookout.tick()) == ["camden late 2026-10-28/T+1"]
    world.clock.advance(-timedelta(days=1))
    assert lookout.tick() == []


def test_who_does_not_take_part_is_not_told_and_not_late(world):
    world.joins(CAMDEN)
    set_clock(world, LATE)
    assert told(world.lookout().tick()) == ["camden late 2026-10-28/T+1"]
    states = {one.expectation.authority: one.state for one in world.lookout().matrix(back=1)}
    assert states == {CAMDEN: State.LATE, HACKNEY: State.NOT_EXPECTED, BARNET: State.NOT_EXPECTED}


def test_who_is_excused_is_not_told(world):
    world.joins(CAMDEN)
    set_clock(world, LATE)
    excuse = Excuse(owed=owed(CAMDEN), reason="cyber-attack", granted_by="person:alice", granted_at=START)
    with world.database.write() as tx:
        grant_excuse(tx, excuse)
    assert world.lookout().tick() == []
    assert world.lookout().look_at(owed(CAMDEN)).state is State.EXCUSED


def test_an_extension_is_later_than_the_original_date_keeps_it_and_has_its_own_reminders(world):
    world.joins(CAMDEN)
    set_clock(world, LATE)
    lookout = world.lookout()

    def extension(day: date) -> Extension:
        return Extension(
            owed=owed(CAMDEN), new_due=day, reason="ill", granted_by="person:alice", granted_at=world.clock.now()
        )

    with pytest.raises(NotAllowedError, match="no extension"):
        lookout.extend(extension(Q2_DUE))
    assert lookout.extend(extension(date(2026, 11, 18)))
    assert not lookout.extend(extension(date(2026, 11, 18)))
    assert lookout.tick() == []
    standing = lookout.look_at(owed(CAMDEN))
    assert (standing.state, standing.expectation.original_due) == (State.EXPECTED, Q2_DUE)
    set_clock(world, datetime(2026, 11, 15, 9, tzinfo=UTC))
    assert told(lookout.tick()) == ["camden reminder 2026-11-18/T-3"]
    with world.database.read() as connection:
        assert "extended from Wednesday 28 October 2026" in read_notices(connection)[0].letter.text


def test_the_matrix_has_a_row_for_each_authority_collection_and_period(world):
    world.joins(CAMDEN)
    world.accepted[owed(CAMDEN)] = datetime(2026, 10, 28, 23, 59, 59, tzinfo=UTC)
    set_clock(world, datetime(2026, 12, 20, 9, tzinfo=UTC))
    rows = world.lookout().matrix()
    assert [str(row.expectation.owed) for row in rows] == [
        f"{name}/riia-quarterly/{period}"
        for name in ("barnet", "camden", "hackney")
        for period in ("2026-27-Q2", "2026-27-Q3")
    ]
    camden = rows[2]
    assert (camden.state, camden.expectation.due, camden.accepted_at) == (
        State.ACCEPTED_ON_TIME,
        Q2_DUE,
        datetime(2026, 10, 28, 23, 59, 59, tzinfo=UTC),
    )


def test_deadlines_show_one_authority_what_it_owes(world):
    world.joins(CAMDEN)
    set_clock(world, LATE)
    page = world.lookout().deadlines(CAMDEN)
    assert page.startswith("Returns due from Camden\n")
    assert "RIIA quarterly dataset   2026-27-Q2   Wednesday 28 October 2026   nothing accepted yet, 1 day after" in page
    assert "Nothing is expected" in world.lookout().deadlines(HACKNEY)


@pytest.mark.parametrize(
    "one", [Owed(CAMDEN, "nothing", "2026-27-Q2"), Owed(CAMDEN, RIIA, "soon"), Owed(CAMDEN, RIIA, "2026-27")]
)
def test_an_expectation_that_does_not_exist_is_not_found(world, one):
    with pytest.raises(NotFoundError):
        world.lookout().look_at(one)


def test_a_letter_that_cannot_be_written_is_told_to_the_operator_and_holds_up_no_other(world, tmp_path):
    world.joins(CAMDEN, HACKNEY)
    set_clock(world, LATE)
    (tmp_path / "late.txt").write_text("{{ unknown }}", encoding="utf-8")
    own = Composer(service_name="x", operator_email="y@z.example", letters=tmp_path)
    extension = Extension(
        owed=owed(HACKNEY),
        new_due=date(2026, 10, 30),
        reason="ill",
        granted_by="person:alice",
        granted_at=world.clock.now(),
    )
    world.lookout().extend(extension)
    with pytest.raises(NoticeError, match=r"late\.txt"):
        world.lookout(composer=own).tick()
    assert kept(world) == ["hackney reminder 2026-10-30/T-3"]
    assert told(world.lookout().tick()) == ["camden late 2026-10-28/T+1"]

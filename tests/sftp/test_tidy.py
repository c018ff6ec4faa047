"""What clients left behind goes after a while; what was received never does."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sftp_world import CAMDEN, World

from gateway.db import accounts as rows
from gateway.db import submissions
from gateway.domain.names import FileId
from gateway.intake.sftp.home import HomeError
from gateway.intake.sftp.tidy import tidy


def left(world: World, name: str, *, age: timedelta) -> FileId:
    """Leave a cut upload of some age; return its file."""
    writing = world.home(CAMDEN).open_write(f"inbox/{name}", create=True, truncate=True, exclusive=False)
    writing.write(0, b"x")
    writing.suspend()
    grow_old(world, writing.file, age)
    return writing.file


def grow_old(world: World, file: FileId, age: timedelta) -> None:
    then = time.time() - age.total_seconds()
    os.utime(world.folder / "spool" / file, (then, then))


def run(world: World) -> int:
    return tidy(world.database, world.spool, at=world.clock.now(), linger=world.limits.linger)


def test_an_upload_is_thrown_away_a_week_after_its_last_byte(world: World) -> None:
    left(world, "old.csv", age=timedelta(days=8))
    young = left(world, "young.csv", age=timedelta(days=6))
    assert run(world) == 1
    assert world.uploads() == {"inbox/young.csv": 1}
    assert world.spool.files() == [young]
    assert run(world) == 0


def test_what_is_being_written_stays_however_long_it_takes(world: World) -> None:
    writing = world.home(CAMDEN).open_write("inbox/slow.csv", create=True, truncate=True, exclusive=False)
    writing.write(0, b"x")
    grow_old(world, writing.file, timedelta(days=30))
    assert run(world) == 0
    writing.close()
    assert world.reception.contents == [b"x"]


def test_bytes_that_belong_to_nothing_go(world: World) -> None:
    file = left(world, "lost.csv", age=timedelta(days=8))
    with world.database.write() as tx:
        rows.end_upload(tx, file)
    assert run(world) == 1
    assert world.spool.files() == []


def test_what_a_submission_has_stays(world: World) -> None:
    """Its work may be held for weeks."""
    file = left(world, "held.csv", age=timedelta(days=60))
    at = world.clock.now()
    with world.database.write() as tx:
        tx.connection.execute(
            submissions.submissions.insert().values(
                id="s", authority="camden", state="received", version=1, channel="sftp", sent_by="k",
                received_at=at, last_file_at=at,
            )
        )  # fmt: skip
        tx.connection.execute(
            submissions.submission_files.insert().values(
                id=file, submission="s", name="held.csv", digest="0" * 64, size_bytes=1, received_at=at
            )
        )
    assert run(world) == 0
    assert world.spool.files() == [file]


def test_old_names_leave_the_listing_and_the_table(world: World, tmp_path: Path) -> None:
    home = world.home(CAMDEN)
    home.open_write("inbox/r.csv", create=True, truncate=True, exclusive=False).close()
    world.clock.advance(world.limits.linger * 2)
    run(world)
    with pytest.raises(HomeError):
        home.lookup("inbox/r.csv")
    with world.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(rows.listed)).scalar_one() == 0

"""What a home shows, refuses and says; one owner never hears of another."""

from __future__ import annotations

from pathlib import Path

import pytest
from sftp_world import CAMDEN, DFE, HACKNEY, MEBIBYTE, World, brisk, eventually
from support.clients import Account, walk
from support.returns import written

from gateway.intake.sftp.home import HomeError
from gateway.sealing.spool import Spool

pytestmark = pytest.mark.clients


@pytest.fixture
def furnished(world: World) -> World:
    for owner in (CAMDEN, HACKNEY):
        world.shelf.put(owner, "receipts", "2026-27-Q2", f"{owner[10:]}.json", b"{}")
        world.shelf.put(owner, "notices", "", f"{owner[10:]}.txt", b"late")
        world.shelf.put(owner, "outbox", "", f"{owner[10:]}.zip", b"z" * 100_000)
    world.shelf.put(DFE, "outbox", "2026-27-Q2", "extract.age", b"age" * 50_000)
    return world


def test_an_authority_sees_its_own_home_and_nothing_else(furnished: World) -> None:
    with furnished.account("hackney").session() as hackney, hackney.open("inbox/hackney.csv.part", "wb") as stream:
        stream.write(b"x")
    camden = furnished.account("camden")
    assert set(camden.names(".")) == {
        "inbox",
        "receipts",
        "reports",
        "notices",
        "outbox",
        "README.txt",
        "DEADLINES.txt",
    }
    with camden.session() as session:
        seen = walk(session, ".")
    assert "./receipts/2026-27-Q2/camden.json" in seen
    assert not [path for path in seen if "hackney" in path]
    for path in ("receipts/2026-27-Q2/hackney.json", "../hackney/inbox", "inbox/hackney.csv.part"):
        there, never = camden.sftp(f"ls {path}"), camden.sftp(f"ls {path.replace('hackney', 'atlantis')}")
        assert there.said.replace("hackney", "atlantis") == never.said.replace("hackney", "atlantis")
        assert not there.ok


def test_a_recipient_sees_its_outbox_and_can_only_read(furnished: World, tmp_path: Path) -> None:
    dfe = furnished.account("dfe")
    assert set(dfe.names(".")) == {"outbox", "README.txt"}
    ran = dfe.sftp(f"get outbox/2026-27-Q2/extract.age {tmp_path / 'extract.age'}")
    assert ran.ok, ran.said
    assert (tmp_path / "extract.age").read_bytes() == b"age" * 50_000
    assert eventually(lambda: furnished.shelf.read == ["recipient:dfe|outbox|2026-27-Q2|extract.age"])
    with dfe.session() as session:
        for path in ("outbox/mine.txt", "mine.txt", "inbox/mine.txt"):
            with pytest.raises(PermissionError, match="outbox/"):
                session.open(path, "wb")


def test_a_part_read_is_not_collected(furnished: World) -> None:
    with furnished.account("camden").session() as session:
        with session.open("outbox/camden.zip", "rb") as stream:
            assert stream.read(1000) == b"z" * 1000
        with session.open("receipts/2026-27-Q2/camden.json", "rb") as stream:
            assert stream.read() == b"{}"
    assert furnished.shelf.read == []


def test_pages_are_made_when_read_and_have_their_length(furnished: World) -> None:
    with furnished.account("camden").session() as session:
        for name in ("README.txt", "DEADLINES.txt"):
            with session.open(name, "rb") as stream:
                content = stream.read()
            assert content == f"{name} of {CAMDEN}\n".encode()
            assert session.stat(name).st_size == len(content)
    with furnished.account("dfe").session() as session, pytest.raises(FileNotFoundError):
        session.stat("DEADLINES.txt")


def test_read_only_trees_say_where_to_write(furnished: World) -> None:
    with furnished.account("camden").session() as session:
        for path in (
            "receipts/mine",
            "receipts/2026-27-Q2/camden.json",
            "README.txt",
            "mine.csv",
            "outbox/a",
            "reports/a",
        ):
            with pytest.raises(PermissionError, match="inbox/"):
                session.open(path, "wb")
        for refused in (
            lambda: session.remove("receipts/2026-27-Q2/camden.json"),
            lambda: session.rename("notices/camden.txt", "inbox/camden.txt"),
            lambda: session.mkdir("receipts/mine"),
            lambda: session.rmdir("inbox"),
            lambda: session.symlink("/etc/passwd", "inbox/link.csv"),
            lambda: session.chmod("notices/camden.txt", 0o777),
            lambda: session.utime("notices/camden.txt", (1, 1)),
            lambda: session.truncate("notices/camden.txt", 0),
        ):
            with pytest.raises(OSError):
                refused()
        with session.open("notices/camden.txt", "rb") as stream:
            assert stream.read() == b"late"


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["a b  c.csv", "Zoë Ødegård 儿童.csv", "'quoted' \"twice\".csv", "%s$(id);&.csv", "x" * 251 + ".csv", "-r.csv"],
)
def test_odd_names_are_kept_as_they_are(world: World, camden: Account, name: str) -> None:
    with camden.session() as session:
        with session.open(f"inbox/{name}", "wb") as stream:
            stream.write(b"x")
        assert name in session.listdir("inbox")
    assert [drop.name for drop in world.reception.drops] == [name]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("a\nb.csv", "control"),
        ("a\x1b[2Jb.csv", "control"),
        ("a\u202eb.csv", "control"),
        ("a\x00b.csv", "control"),
        ("a\\b.csv", "backslash"),
        ("x" * 252 + ".csv", "255"),
    ],
)
def test_names_that_cannot_be_kept_are_refused_in_words(world: World, camden: Account, name: str, hint: str) -> None:
    with camden.session() as session, pytest.raises(OSError, match=hint):
        session.open(f"inbox/{name}", "wb")
    assert world.uploads() == {}


def test_a_name_that_is_not_utf_8_is_refused_in_words(camden: Account) -> None:
    with camden.session() as session:
        for path in (b"inbox/caf\xe9.csv", b"\xff"):
            with pytest.raises(OSError, match="UTF-8"):
                session.open(path, "wb")
            with pytest.raises(OSError, match="UTF-8"):
                session.stat(path)
        assert session.listdir("inbox")


def test_dots_stay_in_the_home(world: World, camden: Account, tmp_path: Path) -> None:
    with camden.session() as session:
        assert session.normalize("../../inbox/../..") == "/"
        assert set(session.listdir("/../../..")) == set(session.listdir("."))
        for path in ("inbox/../../../inbox/ssda903/../r.csv", "/inbox//./s.csv"):
            with session.open(path, "wb") as stream:
                stream.write(b"x")
    assert [(drop.folder, drop.name) for drop in world.reception.drops] == [((), "r.csv"), ((), "s.csv")]


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_file_that_grows_too_large_is_refused_at_the_write_that_passes(world: World, camden: Account) -> None:
    with camden.session() as session:
        brisk(session)
        stream = session.open("inbox/r.csv", "wb")
        stream.write(b"a" * 3 * MEBIBYTE)
        with pytest.raises(OSError, match="larger than the 3 MB"):
            stream.write(b"b")
        stream.close()
        assert session.stat("inbox/r.csv").st_size == 3 * MEBIBYTE
        with pytest.raises(OSError, match="larger than the 3 MB"):
            session.open("inbox/s.csv.part", "wb").truncate(32 * MEBIBYTE)
    assert world.reception.drops == []


def test_the_quota_counts_what_is_on_its_way_and_what_is_in_work(world: World, camden: Account) -> None:
    with camden.session() as session:
        brisk(session)
        for name in ("a.part", "b.part"):
            with session.open(f"inbox/{name}", "wb") as stream:
                stream.write(b"a" * 2 * MEBIBYTE)
        with pytest.raises(OSError, match="5 MB are used up"), session.open("inbox/c.csv", "wb") as stream:
            stream.write(b"c" * 2 * MEBIBYTE)
        session.remove("inbox/c.csv")
        # The same place again counts once.
        with session.open("inbox/b.part", "wb") as stream:
            stream.write(b"a" * 2 * MEBIBYTE)
        world.folders.in_work = 2 * MEBIBYTE
        with pytest.raises(OSError, match="used up"):
            session.open("inbox/d.csv", "wb")
        session.remove("inbox/a.part")
        world.folders.in_work = 0
        with session.open("inbox/d.csv", "wb") as stream:
            stream.write(b"d" * 2 * MEBIBYTE)
    assert [drop.name for drop in world.reception.drops] == ["d.csv"]
    assert world.uploads() == {"inbox/b.part": 2 * MEBIBYTE}


def test_what_one_sends_does_not_count_for_another(world: World) -> None:
    for user in ("camden", "hackney"):
        with world.account(user).session() as session:
            brisk(session)
            for name in ("a.part", "b.part"):
                with session.open(f"inbox/{name}", "wb") as stream:
                    stream.write(b"a" * 2 * MEBIBYTE)
    assert world.uploads(HACKNEY) == world.uploads(CAMDEN)


def test_a_full_disk_is_said_and_nothing_is_acknowledged(world: World, camden: Account, tmp_path: Path) -> None:
    world.spool = Spool(world.folder / "spool", b"k" * 32, reserve_bytes=2**60)
    ran = camden.put(written(tmp_path, "r.csv", b"x"), "inbox/r.csv")
    assert not ran.ok
    assert world.reception.drops == []
    with camden.session() as session, pytest.raises(OSError, match="no room"):
        session.open("inbox/r.csv", "wb")


def test_the_home_answers_without_a_server(world: World) -> None:
    home = world.home(CAMDEN)
    writing = home.open_write("/inbox/r.csv", create=True, truncate=True, exclusive=True)
    writing.write(0, b"abc")
    writing.close()
    assert home.lookup("inbox/r.csv").size_bytes == 3
    with pytest.raises(HomeError, match="already"):
        home.open_write("inbox/r.csv", create=True, truncate=False, exclusive=True)

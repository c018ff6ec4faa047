"""What real clients send arrives whole, once, and only when it was closed or renamed to its own name."""

from __future__ import annotations

import os
from pathlib import Path

import paramiko
import pytest
from paramiko.sftp import CMD_CLOSE
from sftp_world import MEBIBYTE, World, eventually
from support.clients import Account
from support.returns import written

from gateway.domain.names import Channel
from gateway.errors import StorageError

pytestmark = pytest.mark.clients
CANARY = b"canary-6f1d,"


def closed(session: paramiko.SFTPClient, stream: paramiko.SFTPFile) -> bool:
    """Close, and say whether the server said that it is in: paramiko's own ``close`` hides a refusal."""
    try:
        session._request(CMD_CLOSE, stream.handle)
    except OSError:
        return False
    finally:
        stream._closed = True
    return True


def test_a_put_is_received_with_its_folders(world: World, camden: Account, tmp_path: Path) -> None:
    sent = written(tmp_path, "a return.csv", CANARY * 30_000)
    ran = camden.sftp(f'put "{sent}" inbox/riia-quarterly/2026-27-Q2/', "ls -l inbox/riia-quarterly/2026-27-Q2")
    assert ran.ok, ran.said
    (drop,) = world.reception.drops
    assert (drop.name, drop.folder) == ("a return.csv", ("riia-quarterly", "2026-27-Q2"))
    assert (drop.authority, drop.channel, drop.size_bytes) == ("camden", Channel.SFTP, sent.stat().st_size)
    assert world.reception.contents == [sent.read_bytes()]
    assert str(sent.stat().st_size) in ran.out
    assert CANARY not in world.on_disk()
    assert world.uploads() == {}


@pytest.mark.parametrize("options", [(), ("-p",)], ids=["plain", "keeping times"])
def test_scp_is_not_zeroed(world: World, camden: Account, tmp_path: Path, options: tuple[str, ...]) -> None:
    sent = written(tmp_path, "scp.csv", CANARY * 40_000)
    ran = camden.scp(sent, "inbox/scp.csv", *options)
    assert ran.ok, ran.said
    assert world.reception.contents == [sent.read_bytes()]


def test_put_p_keeps_the_files_time(world: World, camden: Account, tmp_path: Path) -> None:
    sent = written(tmp_path, "dated.csv", b"x")
    os.utime(sent, (1_700_000_000, 1_700_000_000))
    assert camden.sftp(f"put -p {sent} inbox/dated.csv").ok
    with camden.session() as session:
        there = session.stat("inbox/dated.csv")
    assert (there.st_mtime, there.st_size) == (1_700_000_000, 1)


def test_the_same_name_again_is_a_new_version(world: World, camden: Account, tmp_path: Path) -> None:
    one, two = written(tmp_path, "one", b"1" * 900), written(tmp_path, "two", b"2" * 30)
    ran = camden.sftp(f"put {one} inbox/v.csv", f"put {two} inbox/v.csv", "ls -l inbox")
    assert ran.ok, ran.said
    assert world.reception.contents == [b"1" * 900, b"2" * 30]
    assert len({drop.file for drop in world.reception.drops}) == 2
    (line,) = [line for line in ran.out.splitlines() if line.endswith("v.csv") and not line.startswith("sftp>")]
    assert " 30 " in line


@pytest.mark.parametrize(
    "temporary", ["r.csv.filepart", "r.csv.part", "r.csv.1a2b3c4d.partial", "r.tmp", ".r.csv.x7", ".in.r.csv"]
)
def test_a_temporary_name_waits_for_its_rename(world: World, camden: Account, tmp_path: Path, temporary: str) -> None:
    sent = written(tmp_path, "r.csv", b"r" * 100_000)
    assert camden.sftp(f"put {sent} inbox/{temporary}").ok
    assert world.reception.drops == []
    assert world.uploads() == {f"inbox/{temporary}": 100_000}
    ran = camden.sftp(f"rename inbox/{temporary} inbox/r.csv")
    assert ran.ok, ran.said
    assert world.reception.by_name() == {"r.csv": b"r" * 100_000}
    assert world.uploads() == {}


def test_a_rename_over_a_received_file_is_a_new_version(world: World, camden: Account, tmp_path: Path) -> None:
    sent = written(tmp_path, "r.csv", b"new")
    ran = camden.sftp(f"put {sent} inbox/r.csv", f"put {sent} inbox/r.csv.part", "rename inbox/r.csv.part inbox/r.csv")
    assert ran.ok, ran.said
    assert len(world.reception.drops) == 2


def test_a_plain_rename_over_a_received_file_is_a_new_version(world: World, camden: Account) -> None:
    with camden.session() as session:
        for name in ("r.csv", "r.csv.part"):
            with session.open(f"inbox/{name}", "wb") as stream:
                stream.write(name.encode())
        session.rename("inbox/r.csv.part", "inbox/r.csv")
    assert world.reception.contents == [b"r.csv", b"r.csv.part"]


def test_a_received_file_keeps_its_name(world: World, camden: Account, tmp_path: Path) -> None:
    sent = written(tmp_path, "r.csv", b"new")
    ran = camden.sftp(f"put {sent} inbox/r.csv", "rename inbox/r.csv inbox/s.csv")
    assert not ran.ok
    assert [drop.name for drop in world.reception.drops] == ["r.csv"]


def test_removing_a_received_file_takes_it_out_of_sight_only(world: World, camden: Account, tmp_path: Path) -> None:
    sent = written(tmp_path, "r.csv", b"new")
    assert camden.sftp(f"put {sent} inbox/r.csv", "rm inbox/r.csv").ok
    assert "r.csv" not in camden.names("inbox")
    with world.spool.open(world.reception.drops[0].file) as stream:
        assert stream.read() == b"new"


def test_a_received_file_goes_out_of_sight_after_a_while(world: World, camden: Account, tmp_path: Path) -> None:
    assert camden.put(written(tmp_path, "r.csv", b"new"), "inbox/r.csv").ok
    assert "r.csv" in camden.names("inbox")
    world.clock.advance(world.limits.linger * 2)
    assert "r.csv" not in camden.names("inbox")


def test_what_could_not_be_taken_in_is_not_acknowledged_and_can_be_sent_again(
    world: World, camden: Account, tmp_path: Path
) -> None:
    sent = written(tmp_path, "r.csv", b"r" * 70_000)
    world.reception.trouble = StorageError("The database is away.", passing=True)
    assert not camden.put(sent, "inbox/r.csv").ok
    assert world.uploads() == {"inbox/r.csv": 70_000}
    world.reception.trouble = None
    assert camden.put(sent, "inbox/r.csv").ok
    # Taken in when the client came back, and again when it sent it again: the story knows the same bytes.
    assert world.reception.contents == [sent.read_bytes()] * 2


def test_a_rename_that_could_not_be_taken_in_can_be_tried_again(world: World, camden: Account, tmp_path: Path) -> None:
    sent = written(tmp_path, "r.csv", b"r" * 70_000)
    assert camden.put(sent, "inbox/r.csv.part").ok
    world.reception.trouble = StorageError("The database is away.", passing=True)
    assert not camden.sftp("rename inbox/r.csv.part inbox/r.csv").ok
    world.reception.trouble = None
    ran = camden.sftp("rename inbox/r.csv.part inbox/r.csv")
    assert ran.ok, ran.said
    assert world.reception.by_name() == {"r.csv": sent.read_bytes()}


@pytest.mark.parametrize("name", ["r.csv", "r.csv.part"])
def test_a_cut_upload_is_no_submission_and_is_resumed(world: World, camden: Account, tmp_path: Path, name: str) -> None:
    content = bytes(range(256)) * 8000
    with camden.session() as session:
        stream = session.open(f"inbox/{name}", "wb")
        stream.write(content[:1_000_000])
        stream.flush()
    assert eventually(lambda: world.uploads() == {f"inbox/{name}": 1_000_000})
    assert world.reception.drops == []
    ran = camden.sftp(f"reput {written(tmp_path, 'r.csv', content)} inbox/{name}", f"-rename inbox/{name} inbox/r.csv")
    assert ran.ok, ran.said
    assert world.reception.by_name() == {"r.csv": content}


def test_a_cut_upload_cannot_be_passed_off_as_whole_by_a_rename(world: World, camden: Account) -> None:
    for name in ("r.csv", "s.csv.part"):
        with camden.session() as session:
            stream = session.open(f"inbox/{name}", "wb")
            stream.write(b"half")
            stream.flush()
    assert eventually(lambda: world.uploads() == {"inbox/r.csv": 4, "inbox/s.csv.part": 4})
    for name in ("r.csv", "s.csv.part"):
        assert not camden.sftp(f"rename inbox/{name} inbox/whole.csv").ok
    assert world.reception.drops == []


def test_a_second_session_that_goes_on_overtakes_the_first(world: World, camden: Account) -> None:
    """A line that died is noticed late; the client that comes back must not wait for it."""
    with camden.session() as old, camden.session() as new:
        stale = old.open("inbox/r.csv", "wb")
        stale.write(b"a" * 100_000)
        stale.flush()
        assert new.stat("inbox/r.csv").st_size == 100_000
        with new.open("inbox/r.csv", "ab") as stream:
            stream.write(b"b" * 100_000)
        with pytest.raises(OSError, match="Another session"):
            stale.write(b"c" * 100_000)
        assert not closed(old, stale)
    assert world.reception.contents == [b"a" * 100_000 + b"b" * 100_000]


def test_two_sessions_that_send_the_same_name_lose_nothing_acknowledged(world: World, camden: Account) -> None:
    with camden.session() as one, camden.session() as two:
        first, second = one.open("inbox/r.csv", "wb"), two.open("inbox/r.csv", "wb")
        second.write(b"2" * 5000)
        assert closed(two, second)
        assert not closed(one, first)
    assert world.reception.contents == [b"2" * 5000]


def test_a_file_replaced_while_it_is_taken_in_is_not_lost(world: World, camden: Account) -> None:
    """The new upload to the same place begins between the old one's last byte and its commit."""
    with camden.session() as one, camden.session() as two:
        first = one.open("inbox/r.csv", "wb")
        first.write(b"1" * 5000)
        opened = []
        world.reception.before = lambda: opened or opened.append(two.open("inbox/r.csv", "wb"))
        acknowledged = closed(one, first)
        opened[0].write(b"2" * 5000)
        assert closed(two, opened[0])
    assert world.reception.contents == ([b"1" * 5000] if acknowledged else []) + [b"2" * 5000]
    for drop in world.reception.drops:
        assert world.spool.open(drop.file).read()


def test_writes_in_any_order_and_a_hole(world: World, camden: Account) -> None:
    with camden.session() as session, session.open("inbox/r.csv", "wb") as stream:
        stream.seek(200_000)
        stream.write(b"end")
        stream.seek(0)
        stream.write(b"start")
    assert world.reception.contents == [b"start" + bytes(199_995) + b"end"]


def test_setting_a_size_cuts_and_never_rewrites(world: World, camden: Account) -> None:
    with camden.session() as session:
        with session.open("inbox/r.csv", "wb") as stream:
            stream.write(b"0123456789" * 20_000)
            stream.flush()
            stream.truncate(100_005)
        with session.open("inbox/s.csv.part", "wb") as stream:
            stream.write(b"0123456789" * 20_000)
        session.truncate("inbox/s.csv.part", 200_000)
        session.truncate("inbox/s.csv.part", 70_001)
        session.rename("inbox/s.csv.part", "inbox/s.csv")
    whole = b"0123456789" * 20_000
    assert world.reception.by_name() == {"r.csv": whole[:100_005], "s.csv": whole[:70_001]}


def test_appending_to_a_received_file_is_a_new_version_of_the_whole(world: World, camden: Account) -> None:
    with camden.session() as session:
        with session.open("inbox/r.csv", "wb") as stream:
            stream.write(b"a" * 70_000)
        with session.open("inbox/r.csv", "ab") as stream:
            stream.write(b"b" * 70_000)
    assert world.reception.contents == [b"a" * 70_000, b"a" * 70_000 + b"b" * 70_000]


def test_a_processed_file_cannot_be_appended_to_and_the_client_is_told(world: World, camden: Account) -> None:
    with camden.session() as session:
        with session.open("inbox/r.csv", "wb") as stream:
            stream.write(b"a" * 70_000)
        world.spool.discard(world.reception.drops[0].file)
        with pytest.raises(OSError, match="whole"):
            session.open("inbox/r.csv", "ab")
        with session.open("inbox/r.csv", "wb") as stream:
            stream.write(b"c")
    assert world.reception.contents[-1] == b"c"


def test_an_open_without_create_makes_nothing(world: World, camden: Account) -> None:
    with camden.session() as session, pytest.raises(FileNotFoundError):
        session.open("inbox/none.csv", "r+")
    assert world.uploads() == {}


def test_what_is_being_written_can_be_read_back(world: World, camden: Account) -> None:
    with camden.session() as session, session.open("inbox/r.csv", "w+") as stream:
        stream.write(b"0123456789" * 10_000)
        stream.seek(99_990)
        assert stream.read(10) == b"0123456789"


def test_folders_that_exist_may_be_made_and_others_not(world: World, camden: Account) -> None:
    ran = camden.sftp("mkdir inbox/ssda903", "mkdir inbox/ssda903/2026-27", "cd inbox/ssda903/2026-27")
    assert ran.ok, ran.said
    with camden.session() as session:
        for wrong, hint in (("inbox/odd", "riia-quarterly"), ("inbox/ssda903/odd", "2026-27"), ("odd", "No folder")):
            with pytest.raises(OSError, match=hint):
                session.mkdir(wrong)
    assert {"riia-quarterly", "ssda903"} <= set(camden.names("inbox"))


def test_lftp_and_rclone(world: World, camden: Account, tmp_path: Path) -> None:
    one = written(tmp_path / "l", "by lftp.csv", b"l" * 300_000)
    two = written(tmp_path / "r", "by rclone é.csv", b"r" * 300_000)
    ran = camden.lftp("cd inbox/riia-quarterly", f'put "{one}"')
    assert ran.ok, ran.said
    for _ in range(2):
        ran = camden.rclone("copy", str(two.parent), ":sftp:inbox/riia-quarterly/2026-27-Q2")
        assert ran.ok, ran.said
    assert world.reception.by_name() == {one.name: one.read_bytes(), two.name: two.read_bytes()}
    assert len(world.reception.drops) == 2


def test_a_file_larger_than_the_window_arrives(world: World, camden: Account, tmp_path: Path) -> None:
    sent = written(tmp_path, "r.csv", bytes(range(256)) * (2 * MEBIBYTE // 256) + b"odd")
    assert camden.put(sent, "inbox/r.csv").ok
    assert world.reception.contents == [sent.read_bytes()]

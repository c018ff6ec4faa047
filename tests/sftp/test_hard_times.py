"""A kill between two steps, fifty at once, two hundred small files, and clients that ask for too much."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest
import sqlalchemy as sa
from paramiko.message import Message
from paramiko.sftp import CMD_EXTENDED, CMD_OPEN, CMD_STATUS, SFTP_OP_UNSUPPORTED
from sftp_world import CAMDEN, World, eventually, serving
from support.clients import HOST, Account
from support.keys import SshKey
from support.returns import written

from gateway.db import accounts as rows
from gateway.db import submissions
from gateway.errors import StorageError
from gateway.intake.reception import Doorbell, Reception
from gateway.intake.sftp import listener, session
from gateway.validation.catalogue import load_catalogue

pytestmark = pytest.mark.clients
WHOLE = "inbox/riia-quarterly/2026-27-Q2"


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def real(world: World) -> World:
    """A world whose files become submissions."""
    world.reception = Reception(  # type: ignore[assignment]
        database=world.database,
        spool=world.spool,
        catalogue=load_catalogue(Path(__file__).parents[2] / "validators"),
        clock=world.clock,
        doorbell=Doorbell(),
    )
    return world


def received(world: World) -> list[tuple[str, int]]:
    with world.database.read() as connection:
        asked = sa.select(submissions.submission_files.c.name, submissions.submission_files.c.size_bytes)
        return [(row.name, row.size_bytes) for row in connection.execute(asked)]


# -- a kill between two steps ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", ["get_upload", "clear_place", "keep_in_sight"])
@pytest.mark.parametrize("how", ["close", "rename"])
def test_a_kill_within_the_commit_leaves_an_upload_that_is_received_once(
    real: World, monkeypatch: pytest.MonkeyPatch, at: str, how: str
) -> None:
    home = real.home(CAMDEN)
    name = f"{WHOLE}/r.csv" if how == "close" else f"{WHOLE}/r.csv.part"
    writing = home.open_write(name, create=True, truncate=True, exclusive=False)
    writing.write(0, b"x" * 70_000)

    def kill(*_: object, **__: object) -> None:
        raise Killed

    if how == "rename":
        writing.close()
    with monkeypatch.context() as patched:
        patched.setattr(rows, at, kill)
        with pytest.raises(Killed):
            writing.close() if how == "close" else home.rename(name, f"{WHOLE}/r.csv", replace=False)
    assert received(real) == []
    assert real.uploads() == {name: 70_000}
    after = real.home(CAMDEN)
    if how == "close":
        after.open_write(name, create=False, truncate=False, exclusive=False).close()
    else:
        after.rename(name, f"{WHOLE}/r.csv", replace=False)
    assert received(real) == [("r.csv", 70_000)]
    assert real.uploads() == {}
    assert after.lookup(f"{WHOLE}/r.csv").received


def test_a_kill_before_the_reply_leaves_a_submission_that_is_not_received_again(
    real: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Committed, and the client never heard: it looks, sees its file, and cannot rename or cut what is a submission."""
    home = real.home(CAMDEN)
    writing = home.open_write(f"{WHOLE}/r.csv", create=True, truncate=True, exclusive=False)
    writing.write(0, b"x" * 70_000)
    receive = real.reception.receive

    def receive_and_die(*arguments: object, **named: object) -> None:
        receive(*arguments, **named)  # type: ignore[arg-type]
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(real.reception, "receive", receive_and_die)
        with pytest.raises(Killed):
            writing.close()
    with real.account("camden").session() as after:
        assert after.stat(f"{WHOLE}/r.csv").st_size == 70_000
        for change in (
            lambda: after.rename(f"{WHOLE}/r.csv", f"{WHOLE}/s.csv"),
            lambda: after.truncate(f"{WHOLE}/r.csv", 10),
        ):
            with pytest.raises(OSError, match="received"):
                change()
    assert received(real) == [("r.csv", 70_000)]


def test_the_clients_of_a_gateway_whose_reception_breaks_are_told_and_lose_nothing(
    world: World, camden: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for trouble in (StorageError("The database is away."), RuntimeError("a bug"), OSError("disk")):

        def breaks(*_: object, raised: Exception = trouble, **__: object) -> None:
            raise raised

        with monkeypatch.context() as patched:
            patched.setattr(world.reception, "receive", breaks)
            assert not camden.put(written(tmp_path, "r.csv", b"r" * 70_000), "inbox/r.csv").ok
        assert world.uploads() == {"inbox/r.csv": 70_000}
    assert camden.put(tmp_path / "r.csv", "inbox/r.csv").ok
    assert set(world.reception.contents) == {b"r" * 70_000}


@pytest.mark.parametrize("when", ["commit", "temporary"])
def test_what_was_closed_and_not_committed_is_taken_in_when_its_owner_comes_back(
    world: World, camden: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, when: str
) -> None:
    """A client that compares sizes finds the file whole and would never send it again."""
    sent = written(tmp_path, "r.csv", b"r" * 70_000)
    world.reception.trouble = StorageError("The database is away.")
    assert not camden.put(sent, f"inbox/{'r.csv' if when == 'commit' else 'r.csv.part'}").ok or when == "temporary"
    with camden.session() as client:
        half = client.open("inbox/half.csv", "wb")
        half.write(b"h")
        half.flush()
    assert eventually(lambda: world.uploads().get("inbox/half.csv") == 1)
    world.reception.trouble = None
    assert world.account("hackney").sftp("ls").ok
    assert world.reception.drops == []
    assert "r.csv" in "".join(camden.names("inbox"))
    assert [drop.name for drop in world.reception.drops] == (["r.csv"] if when == "commit" else [])
    assert "inbox/half.csv" in world.uploads()


def test_what_was_received_survives_a_restart_and_a_cut_upload_goes_on(tmp_path: Path, keys: dict[str, SshKey]) -> None:
    folder = tmp_path / "world"
    folder.mkdir()
    content = bytes(range(256)) * 4000
    with serving(World(folder, keys)) as world, world.account("camden").session() as client:
        with client.open("inbox/done.csv", "wb") as stream:
            stream.write(content)
        half = client.open("inbox/half.csv", "wb")
        half.write(content[:300_000])
        half.flush()
    with serving(World(folder, keys)) as world:
        assert world.uploads() == {"inbox/half.csv": 300_000}
        sent = written(tmp_path, "half.csv", content)
        ran = world.account("camden").sftp("ls -l inbox", f"reput {sent} inbox/half.csv")
        assert ran.ok, ran.said
        assert str(len(content)) in ran.out
        assert world.reception.by_name() == {"half.csv": content}


def test_what_another_session_is_just_committing_is_left_to_it(world: World) -> None:
    home, other = world.home(CAMDEN), world.home(CAMDEN)
    writing = home.open_write("inbox/r.csv", create=True, truncate=True, exclusive=False)
    writing.write(0, b"x")
    world.reception.before = other.take_in_what_is_whole
    writing.close()
    assert world.reception.contents == [b"x"]


# -- many --------------------------------------------------------------------------------------------------------------


def test_fifty_clients_at_once(world: World) -> None:
    trouble: list[object] = []
    account = world.account("camden")
    together = threading.Barrier(50)

    def send(number: int) -> None:
        try:
            together.wait(20)
            with account.session() as client, client.open(f"inbox/{number}.csv", "wb") as stream:
                stream.write(str(number).encode() * 1000)
        except Exception as error:  # noqa: BLE001 (told below)
            trouble.append(error)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not trouble
    assert world.reception.by_name() == {f"{number}.csv": str(number).encode() * 1000 for number in range(50)}
    assert eventually(lambda: world.server.connections == 0)
    assert not [thread for thread in threading.enumerate() if thread.name == "sftp-session"]


def test_two_hundred_small_files_in_one_session(real: World, camden: Account, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    for number in range(200):
        written(folder, f"{number}.csv", str(number).encode() * 500)
    began = time.monotonic()
    ran = camden.sftp(f"lcd {folder}", "put * inbox/")
    took = time.monotonic() - began
    assert ran.ok, ran.said
    assert len(received(real)) == 200
    assert took < 20, f"{took:.1f} s"


def test_looking_does_not_open_every_upload(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    home = world.home(CAMDEN)
    for number in range(30):
        home.open_write(f"inbox/{number}.part", create=True, truncate=True, exclusive=False).close()
    home.listing("inbox")
    opened: list[object] = []
    monkeypatch.setattr(world.spool, "_open", lambda *arguments: opened.append(arguments))
    assert len(list(home.listing("inbox"))) == 32
    assert home.lookup("inbox/3.part").size_bytes == 0
    assert opened == []


# -- too much ----------------------------------------------------------------------------------------------------------


def test_open_files_are_bounded_and_closing_makes_room(world: World, camden: Account) -> None:
    with camden.session() as client:
        opened = [client.open(f"inbox/{number}.part", "wb") for number in range(session._MAX_OPEN_FILES)]
        with pytest.raises(OSError, match="Close some"):
            client.open("inbox/more.part", "wb")
        with pytest.raises(OSError, match="Close some"):
            client.open("README.txt", "rb")
        opened[0].close()
        client.open("README.txt", "rb").close()
    assert eventually(lambda: len(world.uploads()) == session._MAX_OPEN_FILES)


def test_a_request_that_claims_megabytes_ends_the_session_and_keeps_what_came(world: World, camden: Account) -> None:
    with camden.session() as client:
        stream = client.open("inbox/r.csv", "wb")
        stream.write(b"a" * 1000)
        stream.flush()
        channel = client.get_channel()
        assert channel is not None
        channel.sendall((12 * 1024 * 1024).to_bytes(4, "big") + bytes([CMD_OPEN]))
        assert eventually(lambda: channel.closed)
    assert eventually(lambda: world.uploads() == {"inbox/r.csv": 1000})
    assert camden.sftp("ls").ok


def test_nobody_makes_the_gateway_hash_past_a_file_s_end(camden: Account) -> None:
    with camden.session() as client, client.open("README.txt", "rb") as stream:
        request = Message()
        request.add_int(77)
        request.add_string("check-file")
        request.add_string(stream.handle)
        request.add_string("md5")
        request.add_int64(0)
        request.add_int64(2**40)
        request.add_int(2**20)
        client._send_packet(CMD_EXTENDED, request)
        kind, data = client._read_packet()
        answer = Message(data)
        assert (kind, answer.get_int(), answer.get_int()) == (CMD_STATUS, 77, SFTP_OP_UNSUPPORTED)


def test_who_keeps_connecting_without_coming_in_leaves_room_for_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket  # noqa: PLC0415 (only here)

    monkeypatch.setattr(listener, "_MAX_LOGGING_IN", 3)
    with contextlib.ExitStack() as lines:
        for _ in range(3):
            lines.enter_context(socket.create_connection((HOST, world.server.port), timeout=5))
        assert eventually(lambda: world.server.connections == 3)
        one_more = lines.enter_context(socket.create_connection((HOST, world.server.port), timeout=5))
        assert one_more.recv(100) == b""
    assert eventually(lambda: world.server.connections == 0)
    with world.account("camden").session(), world.account("camden").session():
        assert world.account("camden").sftp("ls").ok


def test_a_home_that_cannot_be_opened_ends_the_connection(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise StorageError("The shelf is away.")

    monkeypatch.setattr(world.server, "_homes", broken)
    assert not world.account("camden").sftp("ls").ok
    assert eventually(lambda: world.server.connections == 0)


@pytest.fixture
def second_line(world: World) -> Iterator[paramiko.Transport]:
    line = paramiko.Transport((HOST, world.server.port))
    key = paramiko.Ed25519Key.from_private_key_file(str(world.keys["camden"].private))
    line.connect(username="camden", pkey=key)
    yield line
    line.close()


def test_a_channel_that_asks_for_something_else_gets_nothing(world: World, second_line: paramiko.Transport) -> None:
    for ask in (lambda one: one.exec_command("id"), lambda one: one.invoke_shell(), lambda one: one.get_pty()):
        channel = second_line.open_session(timeout=5)
        with pytest.raises(paramiko.SSHException):
            ask(channel)
        channel.close()
    with pytest.raises(paramiko.SSHException):
        second_line.open_session(timeout=5).invoke_subsystem("netconf")
    with pytest.raises(paramiko.ChannelException):
        second_line.open_channel("direct-tcpip", (HOST, 22), (HOST, 1), timeout=5)
    assert world.account("camden").sftp("ls").ok

"""Who comes in, who does not and what the log says of it; what holds a connection without coming in is shut out."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import paramiko
import pytest
from paramiko.common import cMSG_KEXINIT
from sftp_world import CAMDEN, DFE, World, eventually, make_rsa, serving
from structlog.testing import capture_logs
from support.clients import HOST, OPTIONS, run
from support.keys import SshKey

from gateway.db import accounts as rows
from gateway.errors import AlreadyExistsError, KeyMissingError
from gateway.intake.sftp.accounts import read_public_key
from gateway.intake.sftp.listener import ensure_host_key

pytestmark = pytest.mark.clients


def reasons(said: list[dict[str, object]]) -> list[object]:
    return [line["why"] for line in said if line.get("action") == "not_admitted"]


def revoke(world: World, print_: str) -> None:
    with world.database.write() as tx:
        rows.revoke_key(tx, CAMDEN, print_, by="test", at=world.clock.now())


@pytest.mark.parametrize(
    ("user", "key", "why"),
    [
        ("camden", "stranger", "unknown key"),
        ("hackney", "camden", "unknown key"),
        ("atlantis", "stranger", "unknown user"),
        ("dfe", "camden", "unknown key"),
    ],
)
def test_a_wrong_key_is_shut_out_and_the_log_says_why(world: World, user: str, key: str, why: str) -> None:
    with capture_logs() as said:
        ran = world.account(user, world.keys[key].private).sftp("ls")
        assert not ran.ok
        assert "Permission denied (publickey)" in ran.said
        assert eventually(lambda: reasons(said) == [why]), said


def test_a_revoked_and_an_expired_key_are_shut_out_at_once(world: World, keys: dict[str, SshKey]) -> None:
    until = world.clock.now() + timedelta(days=1)
    print_ = world.let_in(CAMDEN, keys["stranger"].public, name="spare", expires_at=until)
    account = world.account("camden", keys["stranger"].private)
    assert account.sftp("ls").ok
    world.clock.advance(timedelta(days=1))
    with capture_logs() as said:
        assert not account.sftp("ls").ok
        assert eventually(lambda: reasons(said) == ["expired key"]), said
    world.let_in(CAMDEN, keys["stranger"].public, name="spare", expires_at=until + timedelta(days=1))
    assert account.sftp("ls").ok
    revoke(world, print_)
    with capture_logs() as said:
        assert not account.sftp("ls").ok
        assert eventually(lambda: reasons(said) == ["revoked key"]), said
    with pytest.raises(AlreadyExistsError):
        world.let_in(CAMDEN, keys["stranger"].public)


def test_the_first_use_of_a_key_is_an_event_and_the_last_is_kept(world: World) -> None:
    for _ in range(2):
        assert world.account("camden").sftp("ls").ok
        world.clock.advance(timedelta(hours=1))
    with world.database.read() as connection:
        (key,) = rows.list_keys(connection, CAMDEN)
        used = connection.exec_driver_sql("SELECT subject FROM ledger_events WHERE action = 'key_first_used'").all()
    assert key.last_used_at == world.clock.now() - timedelta(hours=1)
    assert [row.subject for row in used] == [CAMDEN]


@pytest.mark.parametrize("bits", [3072])
def test_an_rsa_key_comes_in(world: World, tmp_path: Path, bits: int) -> None:
    key = make_rsa(tmp_path / "rsa", bits)
    world.let_in(CAMDEN, key.public, name="old server")
    assert world.account("camden", key.private).sftp("ls").ok


def test_keys_that_are_none_are_refused_in_words(tmp_path: Path) -> None:
    short = make_rsa(tmp_path / "rsa", 1024)
    dss = "ssh-dss AAAAB3NzaC1kc3M="
    ed25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA"
    for text in (short.public.read_text(), short.private.read_text(), "", "ssh-ed25519", dss, ed25519):
        with pytest.raises(KeyMissingError) as refused:
            read_public_key(text)
        assert refused.value.remedy


def test_there_is_no_password_no_shell_no_forwarding(world: World) -> None:
    client = paramiko.Transport((HOST, world.server.port))
    client.start_client(timeout=10)
    with contextlib.closing(client), pytest.raises(paramiko.BadAuthenticationType) as refused:
        client.auth_password("camden", "guess")
    assert refused.value.allowed_types == ["publickey"]
    account = world.account("camden")
    base = ["ssh", *OPTIONS, "-i", str(account.key), "-p", str(account.port), f"camden@{HOST}"]
    assert not run([*base, "id"], timeout=30).ok
    assert not run([*base[:-1], "-W", "127.0.0.1:22", base[-1]], timeout=30).ok


def test_the_host_key_is_made_once_and_only_ours_to_read(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "ssh_host_ed25519"
    first = ensure_host_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().startswith("-----BEGIN " + "OPENSSH PRIVATE KEY-----")
    assert ensure_host_key(path).asbytes() == first.asbytes()


def test_nothing_weak_is_offered(world: World) -> None:
    with socket.create_connection((HOST, world.server.port), timeout=10) as line:
        line.sendall(b"SSH-2.0-test\r\n")
        heard = b""
        while b"mlkem768x25519-sha256" not in heard or len(heard) < 600:
            block = line.recv(4096)
            if not block:
                break
            heard += block
    for weak in (b"sha1", b"md5", b"-cbc", b"arcfour", b"ssh-dss", b"group1-", b"gss"):
        assert weak not in heard
    assert b"kex-strict-s-v00@openssh.com" in heard


def test_two_sessions_on_one_connection_do_not_end_each_other(world: World) -> None:
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    account = world.account("camden")
    client.connect(
        HOST,
        port=account.port,
        username="camden",
        key_filename=str(account.key),
        allow_agent=False,
        look_for_keys=False,
    )
    with contextlib.closing(client):
        one, two = client.open_sftp(), client.open_sftp()
        stream = two.open("inbox/r.csv", "wb")
        stream.write(b"a" * 100_000)
        one.close()
        time.sleep(0.5)
        stream.write(b"b" * 100_000)
        stream.close()
        assert two.stat("inbox/r.csv").st_size == 200_000
    assert len(world.reception.drops) == 1


# -- what stalls -------------------------------------------------------------------------------------------------------

SHORT = 1.2


@pytest.fixture
def impatient(tmp_path: Path, keys: dict[str, SshKey]) -> Iterator[World]:
    folder = tmp_path / "impatient"
    folder.mkdir()
    with serving(World(folder, keys, handshake_seconds=SHORT, idle_seconds=SHORT)) as running:
        yield running


def silent(line: socket.socket) -> None:
    """Say nothing."""


def banner_only(line: socket.socket) -> None:
    line.sendall(b"SSH-2.0-stall\r\n")


def dribbled_banner(line: socket.socket) -> None:
    def dribble() -> None:
        with contextlib.suppress(OSError):
            while True:
                line.sendall(b"x\r\n")
                time.sleep(0.2)

    threading.Thread(target=dribble, daemon=True).start()


def kexinit_then_nothing(line: socket.socket) -> None:
    line.sendall(b"SSH-2.0-stall\r\n")
    lists = [b"curve25519-sha256@libssh.org", b"ssh-ed25519", *[b"aes256-ctr"] * 2, *[b"hmac-sha2-256"] * 2]
    lists += [b"none", b"none", b"", b""]
    body = cMSG_KEXINIT + bytes(16) + b"".join(len(one).to_bytes(4, "big") + one for one in lists) + bytes(5)
    padding = 8 - (len(body) + 5) % 8 + 8
    line.sendall((len(body) + padding + 1).to_bytes(4, "big") + bytes([padding]) + body + bytes(padding))


@pytest.mark.parametrize("stall", [silent, banner_only, dribbled_banner, kexinit_then_nothing])
def test_what_stalls_before_it_comes_in_is_shut_out(impatient: World, stall: Callable[[socket.socket], None]) -> None:
    with socket.create_connection((HOST, impatient.server.port), timeout=10) as line:
        began = time.monotonic()
        stall(line)
        assert closed_by_server(line, SHORT + 3)
        assert SHORT * 0.5 < time.monotonic() - began < SHORT + 3


def closed_by_server(line: socket.socket, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        line.settimeout(left)
        try:
            if not line.recv(65536):
                return True
        except TimeoutError:
            return False
        except OSError:
            return True
    return False


def test_who_exchanges_keys_and_never_logs_in_is_shut_out(impatient: World) -> None:
    client = paramiko.Transport((HOST, impatient.server.port))
    client.start_client(timeout=10)
    with contextlib.closing(client):
        assert eventually(lambda: not client.is_active(), seconds=SHORT + 3)


def test_who_logs_in_and_asks_for_nothing_is_shut_out(impatient: World) -> None:
    client = paramiko.Transport((HOST, impatient.server.port))
    client.connect(
        username="camden", pkey=paramiko.Ed25519Key.from_private_key_file(str(impatient.keys["camden"].private))
    )
    with contextlib.closing(client):
        client.open_session()
        assert eventually(lambda: not client.is_active(), seconds=SHORT + 3)


def test_an_idle_session_is_ended_and_its_upload_kept(impatient: World) -> None:
    with impatient.account("camden").session() as session:
        stream = session.open("inbox/r.csv", "wb")
        stream.write(b"a" * 1000)
        channel = session.get_channel()
        assert channel is not None
        assert eventually(lambda: channel.closed, seconds=SHORT + 3)
    assert eventually(lambda: impatient.uploads() == {"inbox/r.csv": 1000})
    assert impatient.reception.drops == []


def test_a_client_that_is_gone_before_it_logs_in_holds_nothing(world: World) -> None:
    for _ in range(5):
        with socket.create_connection((HOST, world.server.port), timeout=10) as line:
            line.sendall(b"SSH-2.0-gone\r\n")
    assert eventually(lambda: not world.server._connections(), seconds=5)


def test_stopping_keeps_what_is_open(world: World) -> None:
    with world.account("camden").session() as session:
        stream = session.open("inbox/r.csv", "wb")
        stream.write(b"a" * 1000)
        stream.flush()
        world.server.stop(0.3)
        assert world.uploads() == {"inbox/r.csv": 1000}
        with pytest.raises(OSError), socket.create_connection((HOST, world.server.port or 1), timeout=2):
            pass


def test_stopping_does_not_wait_for_a_session_that_does_nothing(world: World) -> None:
    with world.account("camden").session() as session:
        session.listdir("inbox")
        began = time.monotonic()
        world.server.stop(20)
        assert time.monotonic() - began < 5


def test_stopping_lets_a_transfer_end(world: World) -> None:
    with world.account("camden").session() as session:
        stream = session.open("inbox/r.csv", "wb")
        stream.write(b"a" * 1000)
        stopping = threading.Thread(target=world.server.stop, args=(20,))
        stopping.start()
        time.sleep(0.5)
        stream.write(b"b" * 1000)
        stream.close()
        stopping.join(10)
        assert not stopping.is_alive()
    assert world.reception.contents == [b"a" * 1000 + b"b" * 1000]


def test_the_log_has_ids_and_numbers_and_no_file_name(world: World) -> None:
    with capture_logs() as said:
        with world.account("camden").session() as session:
            with session.open("inbox/Jo Bloggs 2014.csv", "wb") as stream:
                stream.write(b"a" * 1000)
            with pytest.raises(OSError):
                session.stat("inbox/Jo Bloggs 2015.csv")
            cut = session.open("inbox/Jo Bloggs 2016.csv", "wb")
            cut.write(b"x")
        assert eventually(lambda: any(line["action"] == "session_ended" for line in said))
    (line,) = [line for line in said if line["action"] == "session_ended"]
    assert (line["owner"], line["files"], line["got_bytes"]) == (CAMDEN, 1, 1001)
    assert "Bloggs" not in repr(said)
    assert DFE not in repr(said)

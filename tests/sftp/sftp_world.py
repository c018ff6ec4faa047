"""A real SFTP front on a port of its own, over small rooms held in memory: who is let in, what was received."""

from __future__ import annotations

import io
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import paramiko
from support.clients import Account
from support.keys import SshKey, ssh_key

from gateway.clock import FixedClock
from gateway.db import accounts as rows
from gateway.db.core import Database, Transaction
from gateway.domain.names import AuthorityCode, Owner, authority_owner
from gateway.domain.period import Period
from gateway.domain.submission import Drop
from gateway.errors import GatewayError, StorageError
from gateway.intake.sftp.accounts import Accounts, Admitted, read_public_key
from gateway.intake.sftp.home import Home, Limits
from gateway.intake.sftp.listener import ListenerSettings, SftpServer, ensure_host_key
from gateway.sealing.spool import Spool

CAMDEN = authority_owner(AuthorityCode("camden"))
HACKNEY = authority_owner(AuthorityCode("hackney"))
DFE = Owner("recipient:dfe")
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
MEBIBYTE = 1024 * 1024
SMALL = Limits(max_file_bytes=3 * MEBIBYTE, quota_bytes=5 * MEBIBYTE, linger=timedelta(hours=1))


def brisk(session: paramiko.SFTPClient) -> paramiko.SFTPClient:
    """Let paramiko's client send at once: left alone it waits 40 ms after each write."""
    session.get_channel().get_transport().sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # type: ignore[union-attr]
    return session


@dataclass
class Received:
    """Takes drops and remembers them with their bytes; can be told to fail."""

    database: Database
    spool: Spool
    drops: list[Drop] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)
    trouble: GatewayError | None = None
    before: Callable[[], None] = lambda: None

    def receive(self, drop: Drop, *, also: Callable[[Transaction], None] | None = None) -> object:
        self.before()
        if self.trouble is not None:
            raise self.trouble
        with self.spool.open(drop.file) as stream:
            content = stream.read()
        with self.database.write() as tx:
            if also is not None:
                also(tx)
        self.drops.append(drop)
        self.contents.append(content)
        return drop

    def by_name(self) -> dict[str, bytes]:
        """Return the newest content under each name."""
        return {drop.name: content for drop, content in zip(self.drops, self.contents, strict=True)}


@dataclass(frozen=True)
class Lying:
    """One thing on the shelf."""

    name: str
    content: bytes
    id: str
    at: datetime = NOON

    @property
    def size_bytes(self) -> int:
        return len(self.content)


class ShelfInMemory:
    """Everybody's receipts, reports, notices and outbox."""

    def __init__(self) -> None:
        self.lying: dict[tuple[Owner, str, str], list[Lying]] = {}
        self.read: list[str] = []

    def put(self, owner: Owner, area: str, folder: str, name: str, content: bytes) -> None:
        place = self.lying.setdefault((owner, area, folder), [])
        place.append(Lying(name, content, id=f"{owner}|{area}|{folder}|{name}"))

    def folders(self, owner: Owner, area: str) -> Sequence[str]:
        return sorted({folder for who, where, folder in self.lying if (who, where) == (owner, area) and folder})

    def entries(self, owner: Owner, area: str, folder: str) -> Sequence[Lying]:
        return self.lying.get((owner, area, folder), [])

    def open(self, entry: str) -> BinaryIO:
        found = [one for there in self.lying.values() for one in there if one.id == entry]
        if not found:
            raise StorageError("It is gone.")
        return io.BytesIO(found[0].content)

    def collected(self, entry: str) -> None:
        self.read.append(entry)


class TwoPages:
    """README.txt for everybody, DEADLINES.txt for authorities."""

    def render(self, owner: Owner, name: str) -> bytes | None:
        if name == "DEADLINES.txt" and not owner.startswith("authority:"):
            return None
        return f"{name} of {owner}\n".encode() if name in {"README.txt", "DEADLINES.txt"} else None


class TwoCollections:
    """Which folders an inbox has."""

    def __init__(self) -> None:
        self.in_work = 0

    def inbox(self, owner: Owner) -> Sequence[str]:
        return ("riia-quarterly", "ssda903") if owner.startswith("authority:") else ()

    def is_period(self, collection: str, name: str) -> bool:
        try:
            Period.parse(name)
        except ValueError:
            return False
        return True

    def in_work_bytes(self, owner: Owner) -> int:
        return self.in_work


class World:
    """Two authorities and a recipient, their keys, and a server that lets them in."""

    def __init__(
        self,
        folder: Path,
        keys: dict[str, SshKey],
        *,
        limits: Limits = SMALL,
        handshake_seconds: float = 20,
        idle_seconds: float = 60,
    ) -> None:
        self.folder = folder
        self.keys = keys
        self.limits = limits
        self.clock = FixedClock(NOON)
        self.database = Database(f"sqlite:///{folder / 'gateway.sqlite'}")
        self.database.create_all()
        self.spool = Spool(folder / "spool", b"k" * 32, reserve_bytes=0)
        self.reception = Received(self.database, self.spool)
        self.shelf = ShelfInMemory()
        self.folders = TwoCollections()
        for owner in (CAMDEN, HACKNEY, DFE):
            self.let_in(owner, keys[owner.partition(":")[2]].public)
        settings = ListenerSettings(
            host="127.0.0.1", port=0, handshake_seconds=handshake_seconds, idle_seconds=idle_seconds
        )
        self.server = SftpServer(
            settings,
            host_keys=[ensure_host_key(folder / "keys" / "ssh_host_ed25519")],
            accounts=Accounts(self.database, self.clock),
            homes=lambda admitted: self.home(admitted.owner, admitted),
        )

    def home(self, owner: Owner, admitted: Admitted | None = None) -> Home:
        return Home(
            owner=owner,
            sent_by=admitted.key_name if admitted else "test",
            database=self.database,
            spool=self.spool,
            reception=self.reception,
            shelf=self.shelf,
            pages=TwoPages(),
            folders=self.folders,
            limits=self.limits,
            clock=self.clock,
        )

    def let_in(self, owner: Owner, public: Path, *, name: str = "test", expires_at: datetime | None = None) -> str:
        kind, line, print_ = read_public_key(public.read_text())
        key = rows.AccountKey(
            owner=owner,
            name=name,
            kind=kind,
            public_key=line,
            fingerprint=print_,
            added_at=self.clock.now(),
            expires_at=expires_at,
        )
        with self.database.write() as tx:
            rows.add_key(tx, key, by="test")
        return print_

    def account(self, user: str, key: Path | None = None) -> Account:
        return Account(user=user, key=key or self.keys[user].private, port=self.server.port)

    def uploads(self, owner: Owner = CAMDEN) -> dict[str, int]:
        """Return the files on their way, by place."""
        with self.database.read() as connection:
            found = rows.list_uploads(connection, owner)
        return {one.path: self.spool.size(one.file) for one in found}

    def on_disk(self) -> bytes:
        """Return everything that the spool has on disk."""
        return b"".join(path.read_bytes() for path in (self.folder / "spool").iterdir())


def make_keys(folder: Path) -> dict[str, SshKey]:
    """Make a key for each user, and a stranger's."""
    return {name: ssh_key(folder / name, name) for name in ("camden", "hackney", "dfe", "stranger")}


def make_rsa(path: Path, bits: int) -> SshKey:
    command = ["ssh-keygen", "-q", "-t", "rsa", "-b", str(bits), "-N", "", "-C", "rsa", "-f", str(path)]
    subprocess.run(command, check=True, timeout=60)
    return SshKey(private=path, public=path.with_name(path.name + ".pub"))


@contextmanager
def serving(world: World) -> Iterator[World]:
    """Run a world's server."""
    world.server.start()
    try:
        yield world
    finally:
        world.server.stop(0)
        world.database.close()


def eventually(said: Callable[[], bool], *, seconds: float = 10) -> bool:
    """Say whether something becomes true within so long."""
    waited = threading.Event()
    for _ in range(int(seconds * 50)):
        if said():
            return True
        waited.wait(0.02)
    return said()

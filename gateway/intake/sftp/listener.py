"""Listens for SFTP connections: one thread a connection, one deadline over everything before the first request.

* Banner, key exchange and authentication together have ``handshake_seconds``; then the connection is shut.
* Only what is strong is offered: no CBC, no SHA-1, no MD5, no passwords.
* Those who have not logged in yet cannot take the places of all others: from one address only so many may try at once.
* Stopping ends sessions in which nothing is open at once, waits for the others, and lets what is being committed end.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_SUCCEEDED,
)

from gateway.intake.drops import what_broke
from gateway.intake.sftp.accounts import Accounts, Admitted, NotAdmitted
from gateway.intake.sftp.home import Home
from gateway.intake.sftp.session import Interface, Speaker

log = structlog.get_logger()

HomeFactory = Callable[[Admitted], Home]

_CIPHERS = ("aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr")
_MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")
_WINDOW_BYTES = 8 * 1024 * 1024
_BACKLOG = 128
_MAX_CONNECTIONS = 400
_MAX_TRIES = 6
_MAX_LOGGING_IN = 100
"""How many may be logging in at once from one address."""
_LOOK_SECONDS = 0.2
_LAST_SECONDS = 5.0
"""How long what is being committed may take after the drain."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ListenerSettings:
    """Where to listen and how long to wait."""

    host: str
    port: int
    handshake_seconds: float
    idle_seconds: float


class _Doorkeeper(paramiko.ServerInterface):
    """Answers one connection's authentication."""

    def __init__(self, accounts: Accounts, homes: HomeFactory) -> None:
        self._accounts = accounts
        self._homes = homes
        self.admitted: Admitted | None = None
        self.tries = 0
        self.why = ""
        self.idle_seconds = 0.0
        self.sessions: set[Interface] = set()
        self._lock = threading.Lock()
        self._began = threading.Event()
        self._ended = threading.Event()

    def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002 (the same for everybody: no name is given away)
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.tries += 1
        if self.tries > _MAX_TRIES * 2:
            return AUTH_FAILED
        found = self._accounts.admit(username, key.asbytes())
        self.admitted = found if isinstance(found, Admitted) else None
        if isinstance(found, NotAdmitted) and self.why in {"", "unknown user", "unknown key"}:
            # A client tries several keys: what says most is kept.
            self.why = found.why
        return AUTH_SUCCESSFUL if self.admitted else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:  # noqa: ARG002 (the protocol sends it)
        return OPEN_SUCCEEDED if kind == "session" else OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_subsystem_request(self, channel: paramiko.Channel, name: str) -> bool:
        if name != "sftp":
            return False
        # On every channel, or the second one could stay silent for ever.
        channel.settimeout(self.idle_seconds)
        return super().check_channel_subsystem_request(channel, name)

    @property
    def began(self) -> bool:
        """Say whether a session was opened."""
        return self._began.is_set()

    @property
    def busy(self) -> bool:
        """Say whether a file is open or a request is being answered."""
        with self._lock:
            return any(session.busy for session in self.sessions)

    def open_home(self) -> Home:
        """Return the home of whoever came in."""
        if self.admitted is None:
            message = "nobody came in"
            raise RuntimeError(message)
        return self._homes(self.admitted)

    def session_opened(self, interface: Interface) -> None:
        """Remember a session."""
        with self._lock:
            self.sessions.add(interface)
        self._began.set()

    def session_ended(self, interface: Interface) -> None:
        """Log one line for the session; after the last one, let the connection end."""
        with self._lock:
            self.sessions.discard(interface)
            last = not self.sessions
        log.info(
            "session ended",
            action="session_ended",
            owner=interface.home.owner,
            files=interface.files,
            got_bytes=interface.got,
            sent_bytes=interface.sent,
        )
        if last:
            self._ended.set()

    def wait_for_the_end(self, seconds: float) -> bool:
        """Wait until the last session has ended, at most so long; say whether it has."""
        return self._ended.wait(seconds)


@dataclass(eq=False, kw_only=True, slots=True)
class _Connection:
    """One connection and who is behind it."""

    socket: socket.socket
    source: str
    thread: threading.Thread = field(init=False)
    transport: paramiko.Transport | None = None
    doorkeeper: _Doorkeeper | None = None
    logged_in: bool = False

    @property
    def busy(self) -> bool:
        return self.doorkeeper is not None and self.doorkeeper.busy

    def cut(self) -> None:
        """End it: what is open is kept to be resumed."""
        if self.transport is not None:
            self.transport.close()
        _shut(self.socket)


class SftpServer:
    """The listener and its connections."""

    def __init__(
        self, settings: ListenerSettings, *, host_keys: list[paramiko.PKey], accounts: Accounts, homes: HomeFactory
    ) -> None:
        self._settings = settings
        self._host_keys = host_keys
        self._accounts = accounts
        self._homes = homes
        self._listening: socket.socket | None = None
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: set[_Connection] = set()
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        return int(self._listening.getsockname()[1]) if self._listening else self._settings.port

    @property
    def connections(self) -> int:
        """Return how many connections are open."""
        return len(self._connections())

    def start(self) -> None:
        """Bind and begin to accept.

        Raises:
            OSError: the address cannot be listened on.
        """
        self._listening = socket.create_server((self._settings.host, self._settings.port), backlog=_BACKLOG)
        self._thread = threading.Thread(target=self._accept, name="sftp-listener", daemon=True)
        self._thread.start()

    def stop(self, drain_seconds: float) -> None:
        """Accept nobody more, let sessions end for so long, then cut them: their uploads can be resumed."""
        self._stopping.set()
        if self._listening is not None:
            _shut(self._listening)
            self._listening.close()
        deadline = time.monotonic() + drain_seconds
        while True:
            left = self._connections()
            late = time.monotonic() >= deadline
            for one in left:
                if late or not one.busy:
                    one.cut()
            if late or not left:
                break
            left[0].thread.join(_LOOK_SECONDS)
        last = time.monotonic() + _LAST_SECONDS
        for one in self._connections():
            one.thread.join(max(0.0, last - time.monotonic()))
        if self._thread is not None:
            self._thread.join(1)

    def _connections(self) -> list[_Connection]:
        with self._lock:
            return list(self._open)

    def _accept(self) -> None:
        listening = self._listening
        while listening is not None and not self._stopping.is_set():
            try:
                connection, address = listening.accept()
                self._take(connection, str(address[0]))
            except (OSError, RuntimeError) as error:
                # No file handle or no thread to be had: the next one may have better luck.
                if not self._stopping.is_set():
                    log.warning("a connection could not be taken", action="refused", why=type(error).__name__)
                self._stopping.wait(0.1)

    def _take(self, connection: socket.socket, source: str) -> None:
        one = _Connection(socket=connection, source=source)
        one.thread = threading.Thread(target=self._serve, args=(one,), name="sftp-session", daemon=True)
        with self._lock:
            logging_in = sum(not other.logged_in for other in self._open if other.source == source)
            full = len(self._open) >= _MAX_CONNECTIONS or logging_in >= _MAX_LOGGING_IN
            if not full:
                self._open.add(one)
        if full:
            log.warning("too many connections", action="refused", source=source)
            connection.close()
            return
        try:
            one.thread.start()
        except RuntimeError:
            self._forget(one)
            connection.close()
            raise

    def _forget(self, one: _Connection) -> None:
        with self._lock:
            self._open.discard(one)

    def _serve(self, one: _Connection) -> None:
        try:
            one.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.transport = self._transport(one.socket)
            self._session(one, one.transport)
        except (paramiko.SSHException, EOFError, OSError) as error:
            log.info("connection ended", action="connection_ended", source=one.source, why=type(error).__name__)
        except Exception as error:  # noqa: BLE001 (one connection must not end the listener)
            log.error("connection broke", action="failed", trouble=what_broke(error))  # noqa: TRY400 (a trace could hold a name)
        finally:
            if one.transport is not None:
                one.transport.close()
            one.socket.close()
            if one.doorkeeper is not None and one.doorkeeper.began:
                # What is being committed ends before this connection counts as gone.
                one.doorkeeper.wait_for_the_end(_LAST_SECONDS)
            self._forget(one)

    def _transport(self, connection: socket.socket) -> paramiko.Transport:
        transport = paramiko.Transport(connection, default_window_size=_WINDOW_BYTES)
        transport.local_version = "SSH-2.0-gateway"
        options = transport.get_security_options()
        options.ciphers = _CIPHERS
        options.digests = _MACS
        options.kex = tuple(name for name in options.kex if "sha1" not in name and "group-exchange" not in name)
        options.key_types = tuple(name for name in options.key_types if name not in {"ssh-rsa", "ssh-dss"})
        for key in self._host_keys:
            transport.add_server_key(key)
        transport.set_subsystem_handler("sftp", Speaker, Interface)
        return transport

    def _session(self, one: _Connection, transport: paramiko.Transport) -> None:
        doorkeeper = one.doorkeeper = _Doorkeeper(self._accounts, self._homes)
        doorkeeper.idle_seconds = self._settings.idle_seconds
        deadline = threading.Timer(self._settings.handshake_seconds, _shut, args=(one.socket,))
        deadline.daemon = True
        deadline.start()
        try:
            transport.start_server(server=doorkeeper, event=threading.Event())
            # A channel that nobody holds is collected as garbage, and closed.
            channels = []
            while transport.is_active() and not doorkeeper.began:
                channels.append(transport.accept(_LOOK_SECONDS))
        finally:
            deadline.cancel()
        if not doorkeeper.began or doorkeeper.admitted is None:
            why = "asked for nothing" if doorkeeper.admitted else doorkeeper.why or "no login in time"
            log.info("nobody came in", action="not_admitted", source=one.source, why=why)
            return
        one.logged_in = True
        self._accounts.used(doorkeeper.admitted)
        log.info("session began", action="session_began", owner=doorkeeper.admitted.owner, source=one.source)
        while not doorkeeper.wait_for_the_end(1.0) and transport.is_active():
            continue
        # What was said last is sent before the connection is cut.
        transport.join(0.2)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def ensure_host_key(path: Path) -> paramiko.PKey:
    """Return the host key at a path, made on first use: Ed25519 in OpenSSH's form, mode 0600."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        private = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        temporary = path.with_suffix(".new")
        temporary.touch(mode=0o600)
        temporary.write_bytes(private)
        temporary.replace(path)
    return paramiko.Ed25519Key.from_private_key_file(str(path))

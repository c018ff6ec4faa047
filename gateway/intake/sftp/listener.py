"""Listens for SFTP connections: one thread a connection, one deadline over everything before the first request.

* Banner, key exchange and authentication together have ``handshake_seconds``; then the connection is shut.
* Only what is strong is offered: no CBC, no SHA-1, no MD5, no passwords.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from gateway.intake.sftp.accounts import Accounts, Admitted
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
        self.subsystem = threading.Event()
        self.ended = threading.Event()

    def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002 (the same for everybody: no name is given away)
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.tries += 1
        if self.tries > _MAX_TRIES * 2:
            return AUTH_FAILED
        self.admitted = self._accounts.admit(username, key.asbytes())
        return AUTH_SUCCESSFUL if self.admitted else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:  # noqa: ARG002 (the protocol sends it)
        return OPEN_SUCCEEDED if kind == "session" else OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_subsystem_request(self, channel: paramiko.Channel, name: str) -> bool:
        if name == "sftp":
            self.subsystem.set()
        return super().check_channel_subsystem_request(channel, name)

    def open_home(self) -> Home:
        """Return the home of whoever came in."""
        if self.admitted is None:
            message = "nobody came in"
            raise RuntimeError(message)
        return self._homes(self.admitted)

    def session_ended(self, interface: Interface) -> None:
        """Log one line for the session, and let its connection end."""
        self.ended.set()
        log.info(
            "session ended",
            action="session_ended",
            owner=interface.home.owner,
            files=interface.files,
            got_bytes=interface.got,
            sent_bytes=interface.sent,
        )


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
        self._open: set[paramiko.Transport] = set()
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        return int(self._listening.getsockname()[1]) if self._listening else self._settings.port

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
            self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
        waited = threading.Event()
        for _ in range(int(drain_seconds * 10)):
            with self._lock:
                busy = any(transport.is_active() for transport in self._open)
            if not busy:
                break
            waited.wait(0.1)
        with self._lock:
            left = list(self._open)
        for transport in left:
            transport.close()
        if self._thread is not None:
            self._thread.join(1)

    def _accept(self) -> None:
        listening = self._listening
        while listening is not None and not self._stopping.is_set():
            try:
                connection, address = listening.accept()
            except OSError:
                if self._stopping.is_set():
                    return
                self._stopping.wait(0.1)
                continue
            with self._lock:
                full = len(self._open) >= _MAX_CONNECTIONS
            if full:
                log.warning("too many connections", action="refused")
                connection.close()
                continue
            threading.Thread(target=self._serve, args=(connection, address), name="sftp-session", daemon=True).start()

    def _serve(self, connection: socket.socket, address: Any) -> None:
        transport: paramiko.Transport | None = None
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            transport = self._transport(connection)
            with self._lock:
                self._open.add(transport)
            self._session(connection, transport, str(address[0]))
        except (paramiko.SSHException, EOFError, OSError) as error:
            log.info("connection ended", action="connection_ended", source=str(address[0]), why=type(error).__name__)
        except Exception as error:  # noqa: BLE001 (one connection must not end the listener)
            log.error("connection broke", action="failed", trouble=what_broke(error))  # noqa: TRY400 (a trace could hold a name)
        finally:
            if transport is not None:
                transport.close()
                with self._lock:
                    self._open.discard(transport)
            connection.close()

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

    def _session(self, connection: socket.socket, transport: paramiko.Transport, source: str) -> None:
        doorkeeper = _Doorkeeper(self._accounts, self._homes)
        deadline = threading.Timer(self._settings.handshake_seconds, _shut, args=(connection,))
        deadline.daemon = True
        deadline.start()
        try:
            transport.start_server(server=doorkeeper, event=threading.Event())
            channel = transport.accept(self._settings.handshake_seconds)
            ready = channel is not None and doorkeeper.subsystem.wait(self._settings.handshake_seconds)
        finally:
            deadline.cancel()
        if channel is None or not ready or doorkeeper.admitted is None:
            why = "wrong key" if doorkeeper.tries else "no login in time"
            log.info("nobody came in", action="not_admitted", source=source, why=why)
            return
        self._accounts.used(doorkeeper.admitted)
        log.info("session began", action="session_began", owner=doorkeeper.admitted.owner, source=source)
        channel.settimeout(self._settings.idle_seconds)
        doorkeeper.ended.wait()
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

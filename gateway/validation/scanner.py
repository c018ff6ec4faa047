"""Asks a malware scanner about every file before anything reads it.

* ``off`` says so at start and in every receipt; ``clamd`` fails closed: while it does not answer, nothing passes.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from gateway.errors import ScannerUnavailableError

_BLOCK_BYTES = 256 * 1024
_REPLY_BYTES = 4096


class Scanner(Protocol):
    """Looks into one file."""

    @property
    def name(self) -> str:
        """Return what it is called on receipts."""

    def scan(self, opener: Callable[[], BinaryIO]) -> str | None:
        """Return the name of what was found, or None.

        Raises:
            ScannerUnavailableError: it does not answer; nothing may pass.
        """


class NoScanner:
    """Looks at nothing: the embedded default, announced as such."""

    name = "off"

    def scan(self, opener: Callable[[], BinaryIO]) -> str | None:  # noqa: ARG002 (it looks at nothing)
        """Return None."""
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class ClamdScanner:
    """ClamAV's daemon over INSTREAM (clamd(8)); the file never leaves memory unencrypted.

    Attributes:
        address: a socket path, or ``host:port``.
        timeout_seconds: for each read and write.
    """

    address: str
    timeout_seconds: float
    name: str = "clamd"

    def scan(self, opener: Callable[[], BinaryIO]) -> str | None:
        """Return the signature's name, or None."""
        try:
            with opener() as source, self._connect() as connection:
                connection.sendall(b"zINSTREAM\0")
                while block := source.read(_BLOCK_BYTES):
                    connection.sendall(len(block).to_bytes(4, "big") + block)
                connection.sendall(b"\0\0\0\0")
                reply = connection.recv(_REPLY_BYTES).rstrip(b"\0\n").decode("ascii", "replace")
        except OSError as error:
            raise self._unavailable(type(error).__name__) from error
        verdict = reply.removeprefix("stream: ")
        if verdict == "OK":
            return None
        if verdict.endswith(" FOUND"):
            return verdict.removesuffix(" FOUND")
        raise self._unavailable(verdict)

    def _connect(self) -> socket.socket:
        if self.address.startswith("/"):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(self.timeout_seconds)
            connection.connect(self.address)
            return connection
        host, _, port = self.address.rpartition(":")
        return socket.create_connection((host, int(port)), timeout=self.timeout_seconds)

    def _unavailable(self, why: str) -> ScannerUnavailableError:
        return ScannerUnavailableError(
            f"The malware scanner at {self.address} does not answer ({why}).",
            did="Nothing passes; submissions wait.",
            remedy="Start clamav-daemon, or see scanner.kind in settings.toml.",
            passing=True,
        )

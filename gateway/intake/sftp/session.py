"""Speaks SFTP for one home: turns paramiko's calls into the home's, and its answers into the client's.

* ``close`` is answered only after the file is on record (promise 1); a failure is answered as one, in words.
* A connection that ends with files open keeps them to be resumed (promise 2).
* Setting a size cuts or lengthens a file and never rewrites it.
* What one session may ask for is bounded: the length of a request, the files open at once.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any, BinaryIO

import paramiko
import structlog
from paramiko.message import Message
from paramiko.sftp import (
    CMD_CLOSE,
    CMD_EXTENDED,
    CMD_FSETSTAT,
    CMD_INIT,
    CMD_NAMES,
    CMD_VERSION,
    SFTP_BAD_MESSAGE,
    SFTP_FAILURE,
    SFTP_NO_SUCH_FILE,
    SFTP_OK,
    SFTP_OP_UNSUPPORTED,
    SFTP_PERMISSION_DENIED,
)
from typing_extensions import Buffer

from gateway.errors import GatewayError
from gateway.intake.drops import what_broke
from gateway.intake.sftp.home import Home, HomeError, Node, Writing

log = structlog.get_logger()

_VERSION = 3
_READ_BYTES = 256 * 1024
_MAX_REQUEST_BYTES = 1024 * 1024
_MAX_OPEN_FILES = 64
_CODES = {errno.ENOENT: SFTP_NO_SUCH_FILE, errno.EACCES: SFTP_PERMISSION_DENIED}


class Speaker(paramiko.SFTPServer):
    """Paramiko's SFTP server with our words in its answers and with a ``close`` that can fail."""

    server: Interface

    def _send_server_version(self) -> int:
        kind, data = self._read_packet()
        if kind != CMD_INIT:
            message = "the client does not speak SFTP"
            raise paramiko.SFTPError(message)
        answer = Message()
        answer.add_int(_VERSION)
        for name in ("posix-rename@openssh.com", "1"):
            answer.add_string(name)
        self._send_packet(CMD_VERSION, answer)
        return int.from_bytes(data[:4], "big")

    def _read_packet(self) -> tuple[int, bytes]:
        size = int.from_bytes(self._read_all(4), "big")
        if not 0 < size <= _MAX_REQUEST_BYTES:
            message = "a request of that length is none of ours"
            raise paramiko.SFTPError(message)
        packet: bytes = self._read_all(size)
        return packet[0], packet[1:]

    def _process(self, kind: int, request: int, message: Message) -> None:
        self.server.said = ""
        self.server.working = True
        try:
            if kind not in CMD_NAMES:
                self._send_status(request, SFTP_OP_UNSUPPORTED)
            elif kind == CMD_FSETSTAT and not self._knows(message):
                # Paramiko would answer this with a packet that is no status.
                self._send_status(request, SFTP_BAD_MESSAGE, "Invalid handle")
            elif kind == CMD_CLOSE:
                self._close(request, message.get_binary())
            elif kind == CMD_EXTENDED:
                self._extended(request, message)
            else:
                super()._process(kind, request, message)
        except UnicodeDecodeError:
            self.server.said = "The name is not UTF-8. Set your client to UTF-8, or rename the file."
            self._send_status(request, SFTP_BAD_MESSAGE)
        finally:
            self.server.working = False

    def _knows(self, message: Message) -> bool:
        known = message.get_binary() in self.file_table
        message.rewind()
        message.get_int()
        return known

    def _extended(self, request: int, message: Message) -> None:
        """Rename as POSIX does. Paramiko's check-file would hash with MD5, and run for ever past a file's end."""
        if message.get_text() != "posix-rename@openssh.com":
            self._send_status(request, SFTP_OP_UNSUPPORTED)
            return
        old, new = message.get_text(), message.get_text()
        self._send_status(request, self.server.posix_rename(old, new))

    def _close(self, request: int, handle: bytes) -> None:
        if self.folder_table.pop(handle, None) is not None:
            self._send_status(request, SFTP_OK)
            return
        opened = self.file_table.pop(handle, None)
        if opened is None:
            self._send_status(request, SFTP_BAD_MESSAGE, "Invalid handle")
            return
        self._send_status(request, self.server.said_by(opened.end))

    def _send_status(self, request_number: int, code: int, desc: str | None = None) -> None:
        if code != SFTP_OK and desc is None and self.server.said:
            desc = self.server.said
        super()._send_status(request_number, code, desc)

    def finish_subsystem(self) -> None:
        """Keep what is open: the connection ended before the client closed it."""
        opened, self.file_table, self.folder_table = list(self.file_table.values()), {}, {}
        try:
            for one in opened:
                self.server.said_by(one.suspend)
            self.sock.send_exit_status(0)
            self.sock.close()
        finally:
            self.server.session_ended()


class Handle(paramiko.SFTPHandle):
    """One open file."""

    def __init__(
        self, interface: Interface, node: Node | None, source: BinaryIO | None, writing: Writing | None, *, append: bool
    ) -> None:
        super().__init__(os.O_APPEND if append else 0)
        self._interface = interface
        self._node = node
        self._source = source
        self._writing = writing
        self._append = append
        self._read_to = 0

    def read(self, offset: int, length: int) -> bytes | int:
        """Read; the end of the file is told by nothing read."""
        if self._writing is not None:
            return self._read_back(self._writing, offset, length)
        if self._source is None:
            return SFTP_FAILURE
        try:
            self._source.seek(offset)
            data = self._source.read(min(length, _READ_BYTES))
        except (GatewayError, OSError) as error:
            log.warning("a file could not be read", action="read", trouble=what_broke(error))
            return self._interface.refuse(HomeError(errno.EIO, "The file cannot be read now. Try again later."))
        self._read_to = max(self._read_to, offset + len(data))
        self._interface.sent += len(data)
        return data

    def _read_back(self, writing: Writing, offset: int, length: int) -> bytes | int:
        found: list[bytes] = []
        answer = self._interface.said_by(lambda: found.append(writing.read(offset, min(length, _READ_BYTES))))
        return found[0] if answer == SFTP_OK else answer

    def write(self, offset: int, data: Buffer) -> int:
        """Write."""
        writing = self._writing
        if writing is None:
            return self._interface.refuse(HomeError(errno.EACCES, "The file is open for reading only."))
        content = bytes(data)
        self._interface.got += len(content)
        return self._interface.said_by(lambda: writing.write(writing.size if self._append else offset, content))

    def stat(self) -> paramiko.SFTPAttributes | int:
        """Return the file's attributes as they are now."""
        if self._writing is not None:
            writing = self._writing
            node = Node(
                path=writing.place, is_folder=False, size_bytes=writing.size, mtime=writing.mtime, writable=True
            )
            return attributes(node)
        return attributes(self._node) if self._node is not None else SFTP_FAILURE

    def chattr(self, attr: paramiko.SFTPAttributes) -> int:
        """Take a size or a time; anything else is accepted and not kept."""
        writing = self._writing
        if writing is not None and attr.st_size is not None:
            size = attr.st_size
            answer = self._interface.said_by(lambda: writing.truncate(size))
            if answer != SFTP_OK:
                return answer
        if writing is not None and attr.st_mtime is not None:
            mtime = int(attr.st_mtime)
            return self._interface.said_by(lambda: writing.set_time(mtime))
        return SFTP_OK

    def end(self) -> None:
        """Close as the client asked. Under its own name a file that was written is received now."""
        try:
            self._end()
        finally:
            self._interface.opened.discard(self)

    def _end(self) -> None:
        if self._source is not None:
            self._source.close()
            if self._node is not None and self._read_to >= self._node.size_bytes:
                self._interface.home.read_to_the_end(self._node)
        if self._writing is not None:
            self._writing.close()
            self._interface.files += 1

    def suspend(self) -> None:
        """Keep what was written; nothing is received."""
        self._interface.opened.discard(self)
        if self._source is not None:
            self._source.close()
        if self._writing is not None:
            self._writing.suspend()

    def close(self) -> None:
        """Do what a dropped connection does; the client's own close goes through ``end``."""
        self.suspend()


class Interface(paramiko.SFTPServerInterface):
    """Paramiko's calls, answered by the home."""

    def __init__(self, server: Any, *_: Any, **__: Any) -> None:
        super().__init__(server)
        self.home: Home = server.open_home()
        self._ended: Callable[[Interface], None] = server.session_ended
        self.said = ""
        self.working = False
        self.opened: set[Handle] = set()
        self.got = self.sent = self.files = 0
        server.session_opened(self)

    def session_started(self) -> None:
        """Take in what an earlier session closed and nobody could commit."""
        self.said_by(self.home.take_in_what_is_whole)

    def session_ended(self) -> None:
        """Log what the session did."""
        self._ended(self)

    @property
    def busy(self) -> bool:
        """Say whether a file is open or a request is being answered."""
        return self.working or bool(self.opened)

    def said_by(self, work: Callable[[], object]) -> int:
        """Do something; return the status code and remember the words of a refusal."""
        try:
            work()
        except HomeError as error:
            return self.refuse(error)
        except GatewayError as error:
            log.warning("a request failed", action="failed", trouble=error.happened)
            return self.refuse(HomeError(errno.EIO, "That cannot be done now. Try again later."))
        except OSError as error:
            log.warning("a request failed", action="failed", trouble=what_broke(error))
            return self.refuse(HomeError(errno.EIO, "That cannot be done now. Try again later."))
        except Exception as error:  # noqa: BLE001 (a session must answer, whatever broke)
            log.error("a request broke", action="failed", trouble=what_broke(error))  # noqa: TRY400 (a trace could hold a name)
            return self.refuse(HomeError(errno.EIO, "That did not work. The operator was told; try again later."))
        return SFTP_OK

    def refuse(self, error: HomeError) -> int:
        """Remember the words and return the code."""
        self.said = error.message
        return _CODES.get(error.errno, SFTP_FAILURE)

    def list_folder(self, path: str) -> list[paramiko.SFTPAttributes] | int:
        """List a folder."""
        found: list[paramiko.SFTPAttributes] = []
        answer = self.said_by(lambda: found.extend(attributes(node) for node in self.home.listing(path)))
        return found if answer == SFTP_OK else answer

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        """Tell what is at a path."""
        found: list[Node] = []
        answer = self.said_by(lambda: found.append(self.home.lookup(path)))
        return attributes(found[0]) if answer == SFTP_OK else answer

    lstat = stat

    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> Handle | int:  # noqa: ARG002 (the protocol sends it)
        """Open a file."""
        found: list[Handle] = []
        answer = self.said_by(lambda: found.append(self._open(path, flags)))
        return found[0] if answer == SFTP_OK else answer

    def _open(self, path: str, flags: int) -> Handle:
        if len(self.opened) >= _MAX_OPEN_FILES:
            raise HomeError(errno.EMFILE, f"{_MAX_OPEN_FILES} files are open already. Close some first.")
        handle = self._opened(path, flags)
        self.opened.add(handle)
        return handle

    def _opened(self, path: str, flags: int) -> Handle:
        if flags & os.O_ACCMODE == os.O_RDONLY:
            node, source = self.home.open_read(path)
            return Handle(self, node, source, None, append=False)
        writing = self.home.open_write(
            path,
            create=bool(flags & os.O_CREAT),
            truncate=bool(flags & os.O_TRUNC),
            exclusive=bool(flags & os.O_EXCL),
        )
        return Handle(self, None, None, writing, append=bool(flags & os.O_APPEND))

    def remove(self, path: str) -> int:
        """Remove a file."""
        return self.said_by(lambda: self.home.remove(path))

    def rename(self, oldpath: str, newpath: str) -> int:
        """Rename a file; what is there stays."""
        return self.said_by(lambda: self.home.rename(oldpath, newpath, replace=False))

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        """Rename a file over what is there."""
        return self.said_by(lambda: self.home.rename(oldpath, newpath, replace=True))

    def mkdir(self, path: str, attr: paramiko.SFTPAttributes) -> int:  # noqa: ARG002 (the protocol sends it)
        """Accept a folder that is there anyway."""
        return self.said_by(lambda: self.home.make_folder(path))

    def rmdir(self, path: str) -> int:  # noqa: ARG002 (no folder can be removed)
        """Refuse: folders are fixed."""
        return self.refuse(HomeError(errno.EACCES, "Folders here cannot be removed."))

    def chattr(self, path: str, attr: paramiko.SFTPAttributes) -> int:
        """Take the time a client gives; refuse to change the size of what is received."""
        if attr.st_size is not None:
            size = attr.st_size
            return self.said_by(lambda: self.home.set_size(path, size))
        mtime = int(attr.st_mtime) if attr.st_mtime is not None else None
        return self.said_by(lambda: self.home.touch(path, mtime))

    def symlink(self, target_path: str, path: str) -> int:  # noqa: ARG002 (none can be made)
        """Refuse: there are no links."""
        return self.refuse(HomeError(errno.EACCES, "There are no links here. Put the file itself."))

    def readlink(self, path: str) -> int:  # noqa: ARG002 (there is none)
        """Refuse: there are no links."""
        return self.refuse(HomeError(errno.EINVAL, "This is not a link."))


def attributes(node: Node) -> paramiko.SFTPAttributes:
    """Return a node's attributes as SFTP sends them."""
    found = paramiko.SFTPAttributes()
    found.filename = node.name
    found.st_size = node.size_bytes
    found.st_mode = node.mode
    found.st_mtime = found.st_atime = node.mtime
    found.st_uid = found.st_gid = 0
    return found

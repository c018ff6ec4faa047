"""One owner's home, as its client sees it: what lies where, what may be read, what may be written.

* An authority has ``inbox/`` to write to, ``receipts/``, ``reports/``, ``notices/`` and ``outbox/`` to read, and
  ``README.txt`` and ``DEADLINES.txt``. A recipient has ``outbox/`` and ``README.txt``.
* A file counts as received when its handle is closed and the reply says so; or, under a temporary name, when it is
  renamed to its own. A connection that is cut leaves an upload that can be resumed, never a submission.
* A received file stays in sight for a while, because clients look again; removing it only takes it out of sight.
* Whatever cannot be done is answered in words that say what can.
"""

from __future__ import annotations

import errno
import io
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import BinaryIO

import structlog
import uuid_utils

from gateway.clock import Clock
from gateway.db import accounts as rows
from gateway.db.core import Database, Transaction
from gateway.domain.names import AuthorityCode, Channel, Digest, FileId, Owner
from gateway.domain.submission import Drop
from gateway.errors import GatewayError, NotFoundError, OvertakenError, SpoolFullError, TamperedError
from gateway.intake.drops import is_temporary
from gateway.intake.sftp.ports import Entry, Folders, Pages, Reception, Shelf
from gateway.sealing.spool import Spool, SpoolWriter

log = structlog.get_logger()

INBOX = "inbox"
_READABLE = ("receipts", "reports", "notices", "outbox")
_PAGES = ("README.txt", "DEADLINES.txt")
_MAX_NAME_BYTES = 255
_MAX_DEPTH = 3
_COPY_BYTES = 256 * 1024
_QUOTA_LOOK_BYTES = 4 * 1024 * 1024


class HomeError(Exception):
    """Something that cannot be done, in words for the client's screen."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.errno = number
        self.message = message


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One name in a home.

    Attributes:
        path: from the home, without a leading slash; empty for the home itself.
        is_folder: a folder, not a file.
        size_bytes: its length.
        mtime: seconds since 1970.
        writable: the client may write here.
        file: id in the spool, for uploads and received files.
        entry: id on the shelf.
        page: made when read.
        received: it is a received file, not an upload.
    """

    path: str
    is_folder: bool
    size_bytes: int = 0
    mtime: int = 0
    writable: bool = False
    file: FileId | None = None
    entry: str | None = None
    page: bool = False
    received: bool = False

    @property
    def name(self) -> str:
        """Return the last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def mode(self) -> int:
        """Return type and permission bits."""
        if self.is_folder:
            return stat.S_IFDIR | (0o755 if self.writable else 0o555)
        return stat.S_IFREG | (0o644 if self.writable else 0o444)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one owner may use."""

    max_file_bytes: int
    quota_bytes: int
    linger: timedelta


class Home:
    """One owner's home during one session."""

    def __init__(
        self,
        *,
        owner: Owner,
        sent_by: str,
        database: Database,
        spool: Spool,
        reception: Reception,
        shelf: Shelf,
        pages: Pages,
        folders: Folders,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self.owner = owner
        self._sent_by = sent_by
        self._database = database
        self._spool = spool
        self._reception = reception
        self._shelf = shelf
        self._pages = pages
        self._folders = folders
        self._limits = limits
        self._clock = clock
        kind, _, code = owner.partition(":")
        self._authority = AuthorityCode(code) if kind == "authority" else None

    # -- looking -------------------------------------------------------------------------------------------------

    def lookup(self, path: str) -> Node:
        """Return what is at a path.

        Raises:
            HomeError: nothing is.
        """
        parts = split(path)
        if not parts:
            return Node(path="", is_folder=True)
        if len(parts) == 1 and parts[0] in _PAGES:
            return self._page(parts[0])
        if parts[0] == INBOX and self._authority:
            return self._in_inbox(parts)
        if parts[0] in self._areas():
            return self._on_shelf(parts)
        raise _missing()

    def listing(self, path: str) -> Iterator[Node]:
        """Return what lies in a folder.

        Raises:
            HomeError: it is no folder.
        """
        node = self.lookup(path)
        if not node.is_folder:
            raise HomeError(errno.ENOTDIR, "This is a file, not a folder.")
        parts = split(path)
        if not parts:
            return iter(self._top())
        if parts[0] == INBOX:
            return iter(self._list_inbox(parts[1:]))
        return iter(self._list_shelf(parts))

    def _areas(self) -> tuple[str, ...]:
        return _READABLE if self._authority else ("outbox",)

    def _top(self) -> list[Node]:
        found = [Node(path=INBOX, is_folder=True, writable=True)] if self._authority else []
        found += [Node(path=name, is_folder=True) for name in self._areas()]
        for name in _PAGES:
            try:
                found.append(self._page(name))
            except HomeError:
                continue
        return found

    def _page(self, name: str) -> Node:
        content = self._pages.render(self.owner, name)
        if content is None:
            raise _missing()
        now = int(self._clock.now().timestamp())
        return Node(path=name, is_folder=False, size_bytes=len(content), mtime=now, page=True)

    def _in_inbox(self, parts: list[str]) -> Node:
        if self._is_inbox_folder(parts[1:]):
            return Node(path="/".join(parts), is_folder=True, writable=True)
        found = self._find("/".join(parts))
        if found is None:
            raise _missing()
        return found

    def _find(self, place: str) -> Node | None:
        """Return the upload or the received file at a place of the inbox."""
        since = self._clock.now() - self._limits.linger
        with self._database.read() as connection:
            upload = rows.find_upload(connection, self.owner, place)
            received = rows.find_received(connection, self.owner, place, since) if upload is None else None
        if upload is not None:
            return self._on_its_way(upload)
        return _received(received) if received is not None else None

    def _on_its_way(self, upload: rows.Upload) -> Node | None:
        try:
            size = self._spool.size(upload.file)
        except GatewayError:
            return None
        return Node(
            path=upload.path, is_folder=False, size_bytes=size, mtime=upload.mtime, writable=True, file=upload.file
        )

    def _is_inbox_folder(self, parts: list[str]) -> bool:
        if not parts:
            return True
        collections = self._folders.inbox(self.owner)
        if parts[0] not in collections:
            return False
        return len(parts) == 1 or (len(parts) == 2 and self._folders.is_period(parts[0], parts[1]))  # noqa: PLR2004 (collection, period)

    def _inbox_files(self) -> list[Node]:
        since = self._clock.now() - self._limits.linger
        with self._database.read() as connection:
            uploads = rows.list_uploads(connection, self.owner)
            received = rows.list_received(connection, self.owner, since)
        places = {one.path for one in uploads}
        on_their_way = [node for one in uploads if (node := self._on_its_way(one)) is not None]
        return [_received(one) for one in received if one.path not in places] + on_their_way

    def _list_inbox(self, parts: list[str]) -> list[Node]:
        base = "/".join([INBOX, *parts])
        files = self._inbox_files()
        found = [node for node in files if node.path.rpartition("/")[0] == base]
        folders: set[str] = set()
        if not parts:
            folders |= set(self._folders.inbox(self.owner))
        # A period's folder is shown where something lies in it; any other period's folder is there all the same.
        folders |= {
            node.path.removeprefix(f"{base}/").split("/")[0]
            for node in files
            if node.path.startswith(f"{base}/") and "/" in node.path.removeprefix(f"{base}/")
        }
        return [Node(path=f"{base}/{name}", is_folder=True, writable=True) for name in sorted(folders)] + found

    def _on_shelf(self, parts: list[str]) -> Node:
        if len(parts) == 1:
            return Node(path=parts[0], is_folder=True)
        if len(parts) == 2 and parts[1] in self._shelf.folders(self.owner, parts[0]):  # noqa: PLR2004 (area, folder)
            return Node(path="/".join(parts), is_folder=True)
        found = next((node for node in self._list_shelf(parts[:-1]) if node.name == parts[-1]), None)
        if found is None:
            raise _missing()
        return found

    def _list_shelf(self, parts: list[str]) -> list[Node]:
        area, folder = parts[0], "/".join(parts[1:])
        found = []
        if not folder:
            found = [Node(path=f"{area}/{name}", is_folder=True) for name in self._shelf.folders(self.owner, area)]
        base = "/".join(parts)
        return found + [_node(base, one) for one in self._shelf.entries(self.owner, area, folder)]

    # -- reading -------------------------------------------------------------------------------------------------

    def open_read(self, path: str) -> tuple[Node, BinaryIO]:
        """Open a file for reading.

        Raises:
            HomeError: it cannot be read.
        """
        node = self.lookup(path)
        if node.is_folder:
            raise HomeError(errno.EISDIR, "This is a folder.")
        if node.page:
            return node, io.BytesIO(self._pages.render(self.owner, node.name) or b"")
        if node.entry is not None:
            return node, self._shelf.open(node.entry)
        if node.file is None:
            raise _missing()
        try:
            return node, self._spool.open(node.file) if node.received else self._spool.open_part(node.file)
        except GatewayError as error:
            raise HomeError(errno.ENOENT, "The file was taken in and is no longer kept here.") from error

    def read_to_the_end(self, node: Node) -> None:
        """Say that a file was read whole: an extract in the outbox counts as collected."""
        if node.entry is None or not node.path.startswith("outbox/"):
            return
        try:
            self._shelf.collected(node.entry)
        except GatewayError as error:
            # The client has its file; that it was collected is noted the next time.
            log.warning("a collection could not be noted", action="collected", entry=node.entry, trouble=error.happened)

    # -- writing -------------------------------------------------------------------------------------------------

    def open_write(self, path: str, *, create: bool, truncate: bool, exclusive: bool) -> Writing:
        """Open a file of the inbox for writing.

        Args:
            path: where.
            create: begin one where none is.
            truncate: begin anew; False goes on with what is there.
            exclusive: refuse where something is there.

        Raises:
            HomeError: it cannot be written.
        """
        place = self._writable(path)
        there = self._find(place)
        if there is None and not create:
            raise _missing()
        if there is not None and create and exclusive:
            raise HomeError(errno.EEXIST, "A file of this name is there already.")
        self.check_quota(place, 0)
        try:
            if there is None or there.file is None or truncate:
                return self._begin(place)
            if there.received:
                return self._begin_from(place, there.file)
            return Writing(self, there.file, place, there.mtime, self._spool.resume(there.file))
        except GatewayError as error:
            raise not_now(error) from error

    def _begin(self, place: str) -> Writing:
        file = FileId(str(uuid_utils.uuid7()))
        writer = self._spool.create(file)
        now = self._clock.now()
        upload = rows.Upload(file=file, owner=self.owner, path=place, mtime=int(now.timestamp()), started_at=now)
        try:
            # Nothing is acknowledged by this; a power cut that takes it takes an unfinished upload's place with it.
            with self._database.write(durable=False) as tx:
                earlier = rows.start_upload(tx, upload)
        except BaseException:
            writer.abandon()
            raise
        if earlier is not None:
            self._spool.discard(earlier)
        return Writing(self, file, place, upload.mtime, writer)

    def _begin_from(self, place: str, received: FileId) -> Writing:
        """Go on writing a file that was received: what was received stays; the longer one is a new version."""
        try:
            source = self._spool.open(received)
        except NotFoundError as error:
            raise HomeError(errno.EACCES, "This file was taken in already. Send the whole file again.") from error
        writing = self._begin(place)
        try:
            with source:
                at = 0
                while block := source.read(_COPY_BYTES):
                    writing.write(at, block)
                    at += len(block)
        except BaseException:
            writing.suspend()
            self.remove(place)
            raise
        return writing

    def _writable(self, path: str) -> str:
        """Return a place to write to.

        Raises:
            HomeError: nothing may be written there, or not under this name.
        """
        parts = split(path)
        if not self._authority:
            raise HomeError(errno.EACCES, "You can only read here. Your files are in outbox/.")
        if not parts or parts[0] != INBOX:
            raise HomeError(errno.EACCES, "Nothing can be written here. Put files into inbox/.")
        if len(parts) == 1 or self._is_inbox_folder(parts[1:]):
            raise HomeError(errno.EISDIR, "This is a folder. Give the file a name in it.")
        if not self._is_inbox_folder(parts[1:-1]):
            raise HomeError(errno.ENOENT, self._which_folders(parts[1:-1]))
        check_name(parts[-1])
        return "/".join(parts)

    def _which_folders(self, parts: list[str]) -> str:
        collections = self._folders.inbox(self.owner)
        if parts and parts[0] in collections:
            return f"inbox/{parts[0]}/ has folders named by period, for example 2026-27-Q2, 2026-27 or 2026-09."
        return f"There is no such folder. Use inbox/ or one of: {', '.join(f'inbox/{one}/' for one in collections)}."

    def check_quota(self, place: str, size: int) -> int:
        """Refuse what passes the quota; return how long the file may become.

        Args:
            place: what is being sent.
            size: how long it is, or grows to.

        Raises:
            HomeError: it does.
        """
        with self._database.read() as connection:
            uploads = [one for one in rows.list_uploads(connection, self.owner) if one.path != place]
        others = sum(node.size_bytes for one in uploads if (node := self._on_its_way(one)) is not None)
        left = self._limits.quota_bytes - others - self._folders.in_work_bytes(self.owner)
        if left <= 0 or size > left:
            megabytes = self._limits.quota_bytes // 1024**2
            raise HomeError(
                errno.EDQUOT,
                f"Your {megabytes} MB are used up. Wait until what was sent is processed, or remove what is "
                "unfinished.",
            )
        return left

    def check_size(self, size: int) -> None:
        """Refuse a file that grows too large.

        Raises:
            HomeError: it does.
        """
        if size > self._limits.max_file_bytes:
            megabytes = self._limits.max_file_bytes // 1024**2
            raise HomeError(
                errno.EFBIG, f"The file is larger than the {megabytes} MB that may be sent. Split it, or zip it."
            )

    def receive(self, file: FileId, place: str, digest: Digest, size: int) -> None:
        """Take a whole file in: commit it, and with it that it is seen as received.

        Raises:
            HomeError: it could not be committed; it stays as an upload and can be sent again.
        """
        parts = split(place)
        now = self._clock.now()
        drop = Drop(
            file=file,
            authority=self._authority or AuthorityCode(""),
            folder=tuple(parts[1:-1]),
            name=parts[-1],
            digest=digest,
            size_bytes=size,
            channel=Channel.SFTP,
            sent_by=self._sent_by,
            received_at=now,
        )
        replaced: list[FileId] = []

        def seen(tx: Transaction) -> None:
            """No longer an upload, from the commit on that makes it a submission.

            A session that begins this place anew ends the upload too, and takes its bytes away. Whoever ends it first
            has it; the other one's change is rolled back or finds nothing to take.
            """
            upload = rows.get_upload(tx.connection, file)
            if upload is None or not rows.end_upload(tx, file):
                raise OvertakenError("The file was sent anew, renamed or removed meanwhile.", remedy="Send it again.")
            earlier = rows.clear_place(tx, self.owner, place)
            replaced.extend([earlier] if earlier is not None else [])
            mtime = upload.mtime
            rows.keep_in_sight(
                tx,
                rows.Listed(file=file, owner=self.owner, path=place, size_bytes=size, mtime=mtime, received_at=now),
            )

        try:
            self._reception.receive(drop, also=seen)
        except OvertakenError as error:
            raise not_now(error) from error
        except GatewayError as error:
            raise HomeError(
                errno.EAGAIN, f"The file is here and could not be taken in: {error.happened} Send it again."
            ) from error
        for one in replaced:
            self._spool.discard(one)

    def take_in_what_is_whole(self) -> None:
        """Take in what was closed under its own name and could not be committed then: the gateway was killed, or away.

        Its client was not told that it is in. One that compares sizes would find it whole and never send it again.

        Raises:
            HomeError: it could not be committed now either; it stays.
            GatewayError: what is on its way could not be looked at.
        """
        with self._database.read() as connection:
            waiting = rows.list_uploads(connection, self.owner)
        for one in waiting:
            if is_temporary(one.path.rpartition("/")[2]) or self._spool.attended(one.file):
                continue
            try:
                finished = self._spool.finished(one.file)
            except (NotFoundError, TamperedError):
                # Nothing to take in; who opens it is told.
                continue
            if finished is not None:
                self.receive(one.file, one.path, *finished)
                log.info("taken in later", action="received", file=one.file)

    # -- changing ------------------------------------------------------------------------------------------------

    def rename(self, old: str, new: str, *, replace: bool) -> None:
        """Rename an upload. From a temporary name to its own, it is received.

        Raises:
            HomeError: it cannot be renamed.
        """
        node = self.lookup(old)
        if node.is_folder or node.file is None:
            raise HomeError(errno.EACCES, "Only files in inbox/ can be renamed.")
        if node.received:
            raise HomeError(
                errno.EACCES, "This file is received already and keeps its name. Send it again under another one."
            )
        place = self._writable(new)
        if place == node.path:
            return
        there = self._find(place)
        if there is not None and not replace and not there.received:
            raise HomeError(errno.EEXIST, "A file of this name is there already.")
        if self._spool.writer(node.file) is not None:
            raise HomeError(errno.EBUSY, "This file is still being written. Close it first.")
        try:
            if is_temporary(place.rpartition("/")[2]):
                self._move(node.file, place)
            else:
                self._receive_finished(node.file, place)
        except GatewayError as error:
            raise not_now(error) from error

    def _move(self, file: FileId, place: str) -> None:
        with self._database.write() as tx:
            earlier = rows.move_upload(tx, file, self.owner, place)
        if earlier is not None:
            self._spool.discard(earlier)

    def _receive_finished(self, file: FileId, place: str) -> None:
        finished = self._spool.finished(file)
        if finished is None:
            raise HomeError(
                errno.EACCES, "This file was cut off before its end. Send the rest, or send it again from the start."
            )
        self.receive(file, place, *finished)

    def remove(self, path: str) -> None:
        """Throw an upload away; take a received file out of sight.

        Raises:
            HomeError: it cannot be removed.
        """
        node = self.lookup(path)
        if node.is_folder or node.file is None:
            raise HomeError(errno.EACCES, "Only files in inbox/ can be removed.")
        with self._database.write() as tx:
            if node.received:
                rows.out_of_sight(tx, self.owner, node.path)
                return
            ended = rows.end_upload(tx, node.file)
        if ended:
            self._spool.discard(node.file)

    def make_folder(self, path: str) -> None:
        """Accept a folder that is there anyway.

        Raises:
            HomeError: there is no such folder and none can be made.
        """
        parts = split(path)
        if self._authority and parts and parts[0] == INBOX and self._is_inbox_folder(parts[1:]):
            return
        if not self._authority or not parts or parts[0] != INBOX:
            raise HomeError(errno.EACCES, "No folder can be made here.")
        raise HomeError(errno.EACCES, self._which_folders(parts[1:]))

    def touch(self, path: str, mtime: int | None) -> None:
        """Take the time a client gives to its file; other attributes are accepted and not kept.

        Raises:
            HomeError: the file is not the client's to change.
        """
        node = self.lookup(path)
        if not node.writable:
            raise HomeError(errno.EACCES, "This can only be read.")
        if node.file is not None and mtime is not None:
            self.note_time(node.file, mtime)

    def note_time(self, file: FileId, mtime: int) -> None:
        """Keep the time a client gave to its file."""
        with self._database.write() as tx:
            rows.touch(tx, file, mtime)

    def set_size(self, path: str, size: int) -> None:
        """Cut or lengthen an upload that is not open.

        Raises:
            HomeError: it cannot be.
        """
        node = self.lookup(path)
        if node.is_folder or node.file is None:
            raise HomeError(errno.EACCES, "The size of this cannot be set.")
        if size == node.size_bytes:
            return
        if node.received:
            raise HomeError(errno.EACCES, "This file is received already. Send it again instead.")
        if self._spool.writer(node.file) is not None:
            raise HomeError(errno.EBUSY, "This file is still being written. Close it first.")
        try:
            was_finished = self._spool.finished(node.file) is not None
        except GatewayError as error:
            raise not_now(error) from error
        writing = self.open_write(path, create=False, truncate=False, exclusive=False)
        try:
            writing.truncate(size)
        except BaseException:
            writing.suspend()
            raise
        writing.finish() if was_finished else writing.suspend()


class Writing:
    """A file of the inbox, open for writing."""

    def __init__(self, home: Home, file: FileId, place: str, mtime: int, writer: SpoolWriter) -> None:
        self._home = home
        self._writer = writer
        self.file = file
        self.place = place
        self.mtime = mtime
        self._trouble: HomeError | None = None
        self._allowed = 0

    @property
    def size(self) -> int:
        """Return the length so far."""
        return self._writer.size

    def read(self, offset: int, length: int) -> bytes:
        """Read back what was written; nothing at the end.

        Raises:
            HomeError: it does not read back.
        """
        try:
            return self._writer.read_at(offset, length)
        except GatewayError as error:
            raise not_now(error) from error

    def write(self, offset: int, data: bytes) -> None:
        """Write bytes.

        Raises:
            HomeError: the file is too large, the quota is used up, or there is no room.
        """
        try:
            self._check(offset + len(data))
            self._writer.write_at(offset, data)
        except GatewayError as error:
            self._trouble = not_now(error)
            raise self._trouble from error
        except HomeError as error:
            self._trouble = error
            raise

    def truncate(self, size: int) -> None:
        """Set the length; the content before it stays.

        Raises:
            HomeError: it would be too large, or there is no room.
        """
        try:
            self._check(size)
            self._writer.truncate(size)
        except GatewayError as error:
            raise not_now(error) from error

    def _check(self, size: int) -> None:
        self._home.check_size(size)
        if size > self._allowed:
            # Looked at again every few megabytes: other uploads grow meanwhile.
            self._allowed = min(self._home.check_quota(self.place, size), size + _QUOTA_LOOK_BYTES)

    def set_time(self, mtime: int) -> None:
        """Take the time the client gives."""
        self.mtime = mtime
        self._home.note_time(self.file, mtime)

    def close(self) -> None:
        """End the file. Under its own name it is received; when this returns, that is on record.

        Raises:
            HomeError: it could not be received; it stays as an upload.
        """
        if self._trouble is not None:
            self.suspend()
            raise self._trouble
        digest, size = self.finish()
        if not is_temporary(self.place.rpartition("/")[2]):
            self._home.receive(self.file, self.place, digest, size)

    def finish(self) -> tuple[Digest, int]:
        """Make the file durable and whole, without submitting it.

        Raises:
            HomeError: it could not be; it stays as an upload.
        """
        try:
            return self._writer.finish()
        except GatewayError as error:
            self.suspend()
            raise not_now(error) from error

    def suspend(self) -> None:
        """Keep what came, to be resumed."""
        try:
            self._writer.suspend()
        except GatewayError as error:
            log.warning("an upload could not be kept whole", action="suspended", file=self.file, trouble=error.happened)


def split(path: str) -> list[str]:
    """Return the parts of a path, confined to the home: ``..`` at the top stays at the top."""
    parts: list[str] = []
    for part in path.split("/"):
        if part in {"", "."}:
            continue
        if part == "..":
            del parts[-1:]
        else:
            parts.append(part)
    if len(parts) > _MAX_DEPTH + 1:
        raise HomeError(errno.ENOENT, "There is nothing so deep.")
    return parts


def check_name(name: str) -> None:
    """Refuse a name that cannot be kept.

    Raises:
        HomeError: it is too long or holds control characters.
    """
    if len(name.encode("utf-8", "replace")) > _MAX_NAME_BYTES:
        raise HomeError(errno.ENAMETOOLONG, "The file's name is longer than 255 bytes. Shorten it.")
    if any(unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} for letter in name) or "\\" in name:
        raise HomeError(
            errno.EINVAL, "The file's name holds control characters or a backslash. Rename it and send it again."
        )


def not_now(error: GatewayError) -> HomeError:
    """Return a failure of ours in words for the client."""
    match error:
        case SpoolFullError():
            return HomeError(errno.ENOSPC, f"{error.happened} Try again later.")
        case OvertakenError():
            return HomeError(
                errno.EBUSY, "Another session went on with this file, or removed it. Look, and send again."
            )
        case TamperedError():
            return HomeError(errno.EIO, "What came earlier is damaged. Send the whole file again.")
        case NotFoundError():
            return HomeError(errno.ENOENT, "The file is no longer here. Send it again.")
    return HomeError(errno.EAGAIN, f"{error.happened} Try again later.")


def _received(one: rows.Listed) -> Node:
    return Node(
        path=one.path,
        is_folder=False,
        size_bytes=one.size_bytes,
        mtime=one.mtime,
        writable=True,
        file=one.file,
        received=True,
    )


def _node(base: str, one: Entry) -> Node:
    return Node(
        path=f"{base}/{one.name}",
        is_folder=False,
        size_bytes=one.size_bytes,
        mtime=int(one.at.timestamp()),
        entry=one.id,
    )


def _missing() -> HomeError:
    return HomeError(errno.ENOENT, "There is nothing of this name.")

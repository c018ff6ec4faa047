"""Takes files that are put into watched folders. The only home of watchdog.

* ``<root>/<authority>/...`` or ``<root>/<authority>/inbox/...``; what is no known authority's stays where it is.
* Events only say "look now". Every look goes through all folders, at start and every ``rescan_seconds`` too, so a
  missed event costs time and never a file.
* A temporary name waits for its rename; any other file is taken when size, time and identity stood still for
  ``settle_seconds``.
* Claimed by a rename into ``.taken/`` beside the inbox, so that it is taken once, and removed when it is durable
  elsewhere. What a crash leaves in ``.taken/`` is delivered again under the same key, which the receiver knows.
* Symbolic links are followed nowhere: folders are opened one by one, and a file must be a plain one.
"""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG

import structlog
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from gateway.domain.names import AuthorityCode
from gateway.errors import GatewayError
from gateway.intake.drops import Deliver, Known, inbox_folder, is_temporary, what_broke

log = structlog.get_logger()

TAKEN = ".taken"
MAX_DEPTH = 8
"""Folders below an inbox; a collection and a period need two."""
_SOON_SECONDS = 0.05
_JOIN_SECONDS = 10


@dataclass(frozen=True, slots=True)
class _Look:
    """What a file looked like, to see whether it stands still."""

    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> _Look:
        return cls(found.st_ino, found.st_size, found.st_mtime_ns)

    def __str__(self) -> str:
        return f"{self.inode}-{self.mtime_ns}-{self.size}"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a file lies: whose, in which folders below the authority's, under which name."""

    authority: AuthorityCode
    folders: tuple[str, ...]
    name: str


class FolderWatcher:
    """Watches the folders of all authorities.

    Args:
        root: holds a folder for each authority; made where it is missing.
        deliver: takes one drop; when it returns the file is removed.
        known: which authorities exist now; asked at every look.
        settle_seconds: how long a file must stand still.
        rescan_seconds: how often everything is looked at without an event.
        monotonic: tells seconds; tests hand in their own.
    """

    def __init__(
        self,
        root: Path,
        deliver: Deliver,
        known: Known,
        *,
        settle_seconds: float,
        rescan_seconds: float = 60,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = root
        self._deliver = deliver
        self._known = known
        self._settle_seconds = settle_seconds
        self._rescan_seconds = rescan_seconds
        self._monotonic = monotonic
        self._seen: dict[_Place, tuple[_Look, float]] = {}
        self._again_at = monotonic()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._observer: Observer | None = None  # type: ignore[valid-type]  # watchdog picks the class at import

    def start(self) -> None:
        """Begin to watch, in a thread of its own. What lies there already is looked at first."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._stopping.clear()
        self._listen()
        self._thread = threading.Thread(target=self._run, name="folder-intake", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the drop in hand. Stopping twice does no harm."""
        self._stopping.set()
        self._wake.set()
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(_JOIN_SECONDS)
            self._observer = None
        if self._thread is not None:
            self._thread.join(_JOIN_SECONDS)
            self._thread = None

    def look(self) -> float | None:
        """Go once through everything and take what stands still.

        Returns:
            Seconds until the next file may have settled, or None where none is waiting.
        """
        waiting: dict[_Place, tuple[_Look, float]] = {}
        known = sorted(self._known())
        for authority in known:
            with self._told(authority):
                self._take_again(authority)
        if self._monotonic() >= self._again_at:
            self._again_at = self._monotonic() + self._rescan_seconds
        for authority in known:
            with self._told(authority):
                self._look_through(authority, waiting)
        self._seen = waiting
        now = self._monotonic()
        return min((max(0.0, since + self._settle_seconds - now) for _, since in waiting.values()), default=None)

    def _look_through(self, authority: AuthorityCode, waiting: dict[_Place, tuple[_Look, float]]) -> None:
        for place, look in self._files(authority):
            if self._stopping.is_set():
                return
            now = self._monotonic()
            before, since = self._seen.get(place, (None, now))
            if look != before:
                since = now
            if now - since < self._settle_seconds:
                waiting[place] = (look, since)
                continue
            with self._told(authority):
                claimed = self._claim(place, look)
                if claimed is not None:
                    self._hand_over(claimed, look)

    def _files(self, authority: AuthorityCode) -> Iterator[tuple[_Place, _Look]]:
        """Yield the plain files of an authority whose names do not wait."""
        folders: list[tuple[str, ...]] = [()]
        while folders:
            parts = folders.pop()
            for name, found in _listing(self._root, (authority, *parts)):
                if is_temporary(name):
                    continue
                if S_ISDIR(found.st_mode) and len(parts) < MAX_DEPTH:
                    folders.append((*parts, name))
                elif S_ISREG(found.st_mode):
                    yield _Place(authority, parts, name), _Look.of(found)

    def _claim(self, place: _Place, look: _Look) -> _Place | None:
        """Move a file out of everybody's hands; None where it changed or went in the meantime."""
        aside = (TAKEN, str(look), *place.folders)
        try:
            with (
                _opened(self._root, (place.authority, *place.folders)) as source,
                _opened(self._root, (place.authority, *aside), make=True) as target,
            ):
                if _Look.of(os.stat(place.name, dir_fd=source, follow_symlinks=False)) != look:
                    return None
                os.rename(place.name, place.name, src_dir_fd=source, dst_dir_fd=target)
        except FileNotFoundError:
            return None
        return _Place(place.authority, aside, place.name)

    def _take_again(self, authority: AuthorityCode) -> None:
        """Deliver what was claimed and, by a crash or a failure, not finished."""
        base = self._root / authority / TAKEN
        if self._monotonic() < self._again_at or base.is_symlink() or not base.is_dir():
            return
        for directory, _, names in os.walk(base):
            parts = Path(directory).relative_to(self._root / authority).parts
            for name in sorted(names):
                if self._stopping.is_set():
                    return
                claimed = _Place(authority, parts, name)
                with self._told(authority), _opened(self._root, (authority, *parts)) as handle:
                    found = os.stat(name, dir_fd=handle, follow_symlinks=False)
                    if S_ISREG(found.st_mode):
                        self._hand_over(claimed, _Look.of(found))
        self._tidy(base)

    def _hand_over(self, claimed: _Place, look: _Look) -> None:
        """Deliver a claimed file and remove it."""
        folders = claimed.folders[2:]
        path = "/".join(_printable(part) for part in (*folders, claimed.name))
        key = f"folder:{claimed.authority}:{path}:{look.inode}:{look.mtime_ns}:{look.size}"
        folder = inbox_folder(tuple(_printable(part) for part in folders))
        with _opened(self._root, (claimed.authority, *claimed.folders)) as handle:
            file = os.open(claimed.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=handle)
            with os.fdopen(file, "rb") as source:
                self._deliver(claimed.authority, folder, _printable(claimed.name), source, key)
                after = _Look.of(os.fstat(source.fileno()))
            if after == look:
                os.unlink(claimed.name, dir_fd=handle)
            # Else somebody still wrote into it: it stays claimed and is delivered again, whole, under a new key.
        log.info("a file was taken from a folder", action="dropped", authority=claimed.authority, bytes=look.size)
        if after == look:
            self._tidy(self._root / claimed.authority / TAKEN)

    def _tidy(self, base: Path) -> None:
        for directory, _, _ in os.walk(base, topdown=False):
            with suppress(OSError):
                Path(directory).rmdir()

    def _listen(self) -> None:
        # A new folder seen twice at once makes watchdog warn with the folder's name: harmless, and not for a log.
        warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning, r"watchdog\.observers")
        observer = Observer()
        try:
            observer.schedule(_Bell(self._wake), str(self._root), recursive=True)
            observer.start()
        except OSError as error:
            log.warning(
                "folders cannot be watched; they are looked at on a schedule only",
                reason=error.strerror,
                remedy="raise fs.inotify.max_user_watches and max_user_instances",
                rescan_seconds=self._rescan_seconds,
            )
            return
        self._observer = observer

    def _run(self) -> None:
        while not self._stopping.is_set():
            soon: float | None = None
            try:
                soon = self.look()
            except Exception as error:  # noqa: BLE001 (the list of authorities could not be had, for example: look on)
                log.warning("looking through the folders failed; it is tried again", broke=what_broke(error))
            self._wake.wait(self._rescan_seconds if soon is None else max(soon, _SOON_SECONDS))
            # Cleared after the wait and before the next look, so that neither an event nor a stop is missed.
            self._wake.clear()
            if soon is None:
                # Many events come at once: let them, and look once.
                self._stopping.wait(_SOON_SECONDS)

    @contextmanager
    def _told(self, authority: AuthorityCode) -> Iterator[None]:
        """Keep one file's or one authority's trouble from the others; what failed is tried at the next look."""
        try:
            yield
        except GatewayError as error:
            log.warning(
                "a file could not be taken in; it is kept and tried again", authority=authority, reason=str(error)
            )
        except OSError as error:
            log.warning("a folder cannot be read", authority=authority, reason=error.strerror)
        except Exception as error:  # noqa: BLE001 (a watcher that ends loses everybody's files)
            log.warning(
                "a file could not be taken in; it is kept and tried again",
                authority=authority,
                broke=what_broke(error),
            )


class _Bell(FileSystemEventHandler):
    """Says "look now" for whatever happened outside ``.taken/``."""

    def __init__(self, wake: threading.Event) -> None:
        self._wake = wake

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in ("opened", "closed_no_write"):
            return
        if f"/{TAKEN}" not in os.fsdecode(event.src_path):
            self._wake.set()


def _listing(root: Path, parts: tuple[str, ...]) -> list[tuple[str, os.stat_result]]:
    """Return what lies in a folder, by name; nothing where the folder went."""
    listed: list[tuple[str, os.stat_result]] = []
    with suppress(FileNotFoundError, NotADirectoryError), _opened(root, parts) as handle:
        for name in sorted(os.listdir(handle)):  # noqa: PTH208 (pathlib knows no handles)
            with suppress(FileNotFoundError):
                listed.append((name, os.stat(name, dir_fd=handle, follow_symlinks=False)))
    return listed


@contextmanager
def _opened(root: Path, parts: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
    """Open a folder below ``root`` step by step, so that no link leads elsewhere."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    handle = os.open(root, flags)
    try:
        for part in parts:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=handle)
            inner = os.open(part, flags | os.O_NOFOLLOW, dir_fd=handle)
            os.close(handle)
            handle = inner
        yield handle
    finally:
        os.close(handle)


def _printable(name: str) -> str:
    """Return a name that is text: bytes that are no UTF-8 become question marks in a diamond."""
    return os.fsencode(name).decode("utf-8", "replace")

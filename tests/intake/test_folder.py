"""A file put into a watched folder is taken once, whole, and no sooner; nothing leads out of the folder."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pytest

from gateway.domain.names import AuthorityCode
from gateway.errors import SpoolFullError
from gateway.intake.folder import FolderWatcher

SETTLE = 2.0
CAMDEN = AuthorityCode("camden")
HACKNEY = AuthorityCode("hackney")


@dataclass
class Receiver:
    """Takes drops as reception does: once for each key."""

    taken: dict[str, tuple[str, tuple[str, ...], str, bytes]] = field(default_factory=dict)
    calls: int = 0
    full: bool = False
    arrived: threading.Event = field(default_factory=threading.Event)

    def __call__(
        self, authority: AuthorityCode, folder: tuple[str, ...], name: str, source: BinaryIO, key: str
    ) -> None:
        self.calls += 1
        if self.full:
            raise SpoolFullError("There is no room.", passing=True)
        self.taken.setdefault(key, (authority, folder, name, source.read()))
        self.arrived.set()

    @property
    def drops(self) -> list[tuple[str, tuple[str, ...], str, bytes]]:
        return list(self.taken.values())


@dataclass
class Hands:
    """A watcher with a clock that is moved by hand."""

    root: Path
    receiver: Receiver
    known: list[AuthorityCode] = field(default_factory=lambda: [CAMDEN, HACKNEY])
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.watcher = self.started_anew()

    def started_anew(self) -> FolderWatcher:
        return FolderWatcher(
            self.root, self.receiver, lambda: self.known, settle_seconds=SETTLE, monotonic=lambda: self.now
        )

    def look_after(self, seconds: float) -> float | None:
        self.now += seconds
        return self.watcher.look()

    def settle(self) -> None:
        self.look_after(0)
        self.look_after(SETTLE)

    def write(self, path: str, content: bytes = b"a,b\n") -> Path:
        written = self.root / path
        written.parent.mkdir(parents=True, exist_ok=True)
        written.write_bytes(content)
        return written

    def files(self) -> list[str]:
        return [path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if not path.is_dir()]


@pytest.fixture
def hands(tmp_path: Path) -> Hands:
    root = tmp_path / "inboxes"
    root.mkdir()
    return Hands(root, Receiver())


def test_a_file_is_taken_when_it_stood_still_and_then_removed(hands: Hands) -> None:
    hands.write("camden/inbox/ssda903/2026-27/header.csv", b"CHILD\n")
    assert hands.look_after(0) == SETTLE
    assert hands.look_after(SETTLE / 2) == SETTLE / 2
    assert hands.receiver.drops == []
    assert hands.look_after(SETTLE / 2) is None
    assert hands.receiver.drops == [("camden", ("ssda903", "2026-27"), "header.csv", b"CHILD\n")]
    assert hands.files() == []
    assert not (hands.root / "camden/.taken").exists()


def test_the_inbox_folder_may_be_left_out(hands: Hands) -> None:
    hands.write("camden/riia-quarterly/q1.csv")
    hands.write("hackney/q1.csv")
    hands.settle()
    assert [drop[:3] for drop in hands.receiver.drops] == [
        ("camden", ("riia-quarterly",), "q1.csv"),
        ("hackney", (), "q1.csv"),
    ]


def test_a_file_that_still_grows_waits(hands: Hands) -> None:
    path = hands.write("camden/inbox/a.csv", b"1")
    for _ in range(3):
        hands.look_after(SETTLE * 0.9)
        path.write_bytes(path.read_bytes() + b"1")
    assert hands.receiver.drops == []
    hands.settle()
    assert hands.receiver.drops[0][3] == b"1111"


@pytest.mark.parametrize("name", ["a.csv.filepart", "a.csv.part", "a.PARTIAL", "a.csv.tmp", ".a.csv", ".a.csv.Xy12"])
def test_a_temporary_name_waits_for_its_rename(hands: Hands, name: str) -> None:
    path = hands.write(f"camden/inbox/{name}")
    hands.settle()
    assert hands.receiver.drops == []
    path.rename(path.with_name("a.csv"))
    hands.settle()
    assert [drop[2] for drop in hands.receiver.drops] == ["a.csv"]


def test_what_is_no_authoritys_stays(hands: Hands) -> None:
    hands.write("stranger/inbox/a.csv")
    hands.write("a.csv")
    hands.settle()
    assert hands.receiver.calls == 0
    hands.known.append(AuthorityCode("stranger"))
    hands.settle()
    assert len(hands.receiver.drops) == 1
    assert hands.files() == ["a.csv"]


def test_what_could_not_be_taken_is_kept_and_tried_again_under_the_same_key(hands: Hands) -> None:
    hands.write("camden/inbox/ssda903/a.csv")
    hands.receiver.full = True
    hands.settle()
    assert hands.receiver.calls == 1
    assert len(hands.files()) == 1
    hands.look_after(1)
    assert hands.receiver.calls == 1
    hands.receiver.full = False
    hands.look_after(60)
    assert hands.receiver.drops == [("camden", ("ssda903",), "a.csv", b"a,b\n")]
    assert hands.files() == []


def test_a_crash_after_delivery_delivers_again_under_the_same_key(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands.write("camden/inbox/ssda903/a.csv")

    def power_cut(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", power_cut)
        with pytest.raises(KeyboardInterrupt):
            hands.settle()
    assert len(hands.files()) == 1
    hands.watcher = hands.started_anew()
    hands.look_after(0)
    assert hands.receiver.calls == 2
    assert hands.receiver.drops == [("camden", ("ssda903",), "a.csv", b"a,b\n")]
    assert hands.files() == []


def test_the_same_name_again_is_another_drop(hands: Hands) -> None:
    hands.write("camden/inbox/a.csv", b"one")
    hands.settle()
    hands.write("camden/inbox/a.csv", b"two")
    hands.settle()
    assert [drop[3] for drop in hands.receiver.drops] == [b"one", b"two"]


def test_a_file_written_to_while_it_is_read_is_delivered_again_whole(hands: Hands) -> None:
    path = hands.write("camden/inbox/a.csv", b"one")
    with path.open("ab", buffering=0) as late:
        take = hands.receiver.__call__

        def slow(authority: AuthorityCode, folder: tuple[str, ...], name: str, source: BinaryIO, key: str) -> None:
            take(authority, folder, name, source, key)
            if hands.receiver.calls == 1:
                late.write(b" and two")

        hands.watcher = FolderWatcher(
            hands.root, slow, lambda: hands.known, settle_seconds=SETTLE, monotonic=lambda: hands.now
        )
        hands.settle()
        hands.look_after(60)
    assert [drop[3] for drop in hands.receiver.drops] == [b"one", b"one and two"]
    assert hands.files() == []


def test_no_link_and_no_pipe_is_followed(hands: Hands, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.csv").write_bytes(b"secret")
    (hands.root / "camden").mkdir()
    (hands.root / "camden/inbox").symlink_to(outside)
    hands.write("hackney/inbox/ok.csv")
    (hands.root / "hackney/inbox/link.csv").symlink_to(outside / "secret.csv")
    os.mkfifo(hands.root / "hackney/inbox/pipe.csv")
    hands.settle()
    assert [drop[2] for drop in hands.receiver.drops] == ["ok.csv"]
    assert (outside / "secret.csv").exists()


def test_a_link_in_the_place_of_the_claimed_is_not_followed(hands: Hands, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "1-2-3").mkdir(parents=True)
    (outside / "1-2-3/secret.csv").write_bytes(b"secret")
    (hands.root / "camden").mkdir()
    (hands.root / "camden/.taken").symlink_to(outside)
    hands.write("camden/a.csv")
    hands.settle()
    hands.look_after(60)
    assert hands.receiver.drops == []
    assert sorted(path.name for path in outside.rglob("*")) == ["1-2-3", "secret.csv"]


def test_one_authoritys_trouble_keeps_no_other_waiting(hands: Hands) -> None:
    hands.write("camden", b"a file where a folder should be")
    hands.write("hackney/inbox/a.csv")
    hands.settle()
    assert [drop[0] for drop in hands.receiver.drops] == ["hackney"]


@pytest.mark.parametrize("name", ["two words.csv", "é✓.csv", "-rf.csv", "new\nline.csv", "n" * 250 + ".csv"])
def test_odd_names_are_taken_as_they_are(hands: Hands, name: str) -> None:
    hands.write(f"camden/inbox/{name}")
    hands.settle()
    assert [drop[2] for drop in hands.receiver.drops] == [name]
    assert hands.files() == []


def test_a_name_that_is_no_text_is_still_taken(hands: Hands) -> None:
    folder = hands.root / "camden/inbox"
    folder.mkdir(parents=True)
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.csv")).write_bytes(b"x")
    hands.settle()
    assert [drop[2] for drop in hands.receiver.drops] == ["caf\N{REPLACEMENT CHARACTER}.csv"]


def test_empty_files_are_taken_too(hands: Hands) -> None:
    hands.write("camden/inbox/a.csv", b"")
    hands.settle()
    assert [drop[3] for drop in hands.receiver.drops] == [b""]


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[tuple[Path, Receiver]]:
    receiver = Receiver()
    watcher = FolderWatcher(tmp_path / "in", receiver, lambda: [CAMDEN], settle_seconds=0.1, rescan_seconds=60)
    watcher.start()
    yield tmp_path / "in", receiver
    watcher.stop()
    watcher.stop()


def test_the_running_watcher_takes_a_drop_within_seconds_by_its_events(watching: tuple[Path, Receiver]) -> None:
    root, receiver = watching
    folder = root / "camden/inbox/ssda903"
    folder.mkdir(parents=True)
    (folder / "a.csv.tmp").write_bytes(b"x")
    (folder / "a.csv.tmp").rename(folder / "a.csv")
    assert receiver.arrived.wait(10)
    assert receiver.drops == [("camden", ("ssda903",), "a.csv", b"x")]


def test_stopping_is_quick(tmp_path: Path) -> None:
    watcher = FolderWatcher(tmp_path / "in", Receiver(), list, settle_seconds=60, rescan_seconds=600)
    watcher.start()
    began = time.monotonic()
    watcher.stop()
    assert time.monotonic() - began < 5

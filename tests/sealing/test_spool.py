"""The spool against a model, a vandal, a kill and a full disk."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sealing_builders import content

from gateway.domain.names import FileId
from gateway.errors import NotFoundError, OvertakenError, SpoolFullError, TamperedError
from gateway.sealing import spool as module
from gateway.sealing.spool import SLOT_BYTES, Spool

KEY = bytes(range(32))
FILE = FileId("0193a7b4-0000-7000-8000-000000000001")
OTHER = FileId("0193a7b4-0000-7000-8000-000000000002")
HEADER = 24
SEALED_SLOT = SLOT_BYTES + 28
LONGEST = 3 * SLOT_BYTES + 500


def make(folder: Path, *, reserve: int = 0, key: bytes = KEY) -> Spool:
    return Spool(folder / "spool", key, reserve_bytes=reserve)


def filled(spool: Spool, data: bytes, file: FileId = FILE) -> str:
    writer = spool.create(file)
    writer.write_at(0, data)
    return writer.finish()[0]


def read(spool: Spool, file: FileId = FILE) -> bytes:
    with spool.open(file) as stream:
        return stream.read()


def on_disk(folder: Path, file: FileId = FILE) -> Path:
    return folder / "spool" / file


def note(folder: Path, file: FileId = FILE) -> Path:
    return folder / "spool" / f"{file}.note"


# -- equals a bytearray ------------------------------------------------------------------------------------------------

EDGES = [0, 1, SLOT_BYTES - 1, SLOT_BYTES, SLOT_BYTES + 1, 2 * SLOT_BYTES, 3 * SLOT_BYTES]
PLACES = st.sampled_from(EDGES) | st.integers(0, LONGEST)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), PLACES, st.sampled_from([0, 1, 10, 4000, SLOT_BYTES, SLOT_BYTES + 7])),
        st.tuples(st.just("append"), st.just(0), st.sampled_from([1, 10, 4000, SLOT_BYTES])),
        st.tuples(st.just("truncate"), PLACES, st.just(0)),
        st.tuples(st.sampled_from(["suspend", "takeover", "finish", "flush"]), st.just(0), st.just(0)),
    ),
    max_size=14,
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_a_file_is_what_was_written_to_it(tmp_path: Path, steps: list[tuple[str, int, int]]):
    spool = make(tmp_path)
    spool.discard(FILE)
    model = bytearray()
    writer = spool.create(FILE)
    for number, (step, at, length) in enumerate(steps):
        if step in {"write", "append"}:
            offset = len(model) if step == "append" else at
            data = bytes([number + 1]) * length
            writer.write_at(offset, data)
            if data:
                model.extend(bytes(max(0, offset - len(model))))
                model[offset : offset + length] = data
        elif step == "truncate":
            writer.truncate(at)
            model = model[:at] + bytes(max(0, at - len(model)))
        elif step == "flush":
            writer.flush()
        else:
            if step == "suspend":
                writer.suspend()
            elif step == "finish":
                assert writer.finish() == (hashlib.sha256(model).hexdigest(), len(model))
                assert read(spool) == model
            assert spool.size(FILE) == len(model)
            writer = spool.resume(FILE)
        assert writer.size == spool.size(FILE) == len(model)
    assert writer.finish() == (hashlib.sha256(model).hexdigest(), len(model))
    assert spool.size(FILE) == len(model)
    assert read(spool) == model
    assert read(make(tmp_path)) == model
    with spool.open(FILE) as stream:
        for place in (0, len(model) // 2, max(0, len(model) - 3), len(model) + 9):
            stream.seek(place)
            assert stream.read(5) == bytes(model[place : place + 5])


def test_a_cut_on_the_edge_of_a_slot_keeps_what_was_written_before_it(tmp_path: Path):
    spool = make(tmp_path)
    writer = spool.create(FILE)
    writer.write_at(0, bytes(3 * SLOT_BYTES))
    writer.write_at(10, b"kept")
    writer.truncate(SLOT_BYTES)
    writer.finish()
    assert read(spool)[10:14] == b"kept"


# -- a vandal ----------------------------------------------------------------------------------------------------------


def test_every_altered_byte_is_seen(tmp_path: Path):
    spool = make(tmp_path)
    filled(spool, content(200))
    for path in (on_disk(tmp_path), note(tmp_path)):
        whole = path.read_bytes()
        for place in range(len(whole)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(TamperedError):
                read(spool)
        path.write_bytes(whole)
    assert read(spool) == content(200)


def test_every_cut_and_every_tail_is_seen(tmp_path: Path):
    spool = make(tmp_path)
    filled(spool, content(2 * SLOT_BYTES + 50))
    for path in (on_disk(tmp_path), note(tmp_path)):
        whole = path.read_bytes()
        edges = [HEADER, HEADER + SEALED_SLOT, HEADER + 2 * SEALED_SLOT, *range(0, len(whole), 4099), len(whole) - 1]
        for end in edges:
            if end < len(whole):
                path.write_bytes(whole[:end])
                with pytest.raises(TamperedError):
                    read(spool)
        for tail in (b"x", bytes(100), whole[HEADER:]):
            path.write_bytes(whole + tail)
            with pytest.raises(TamperedError):
                read(spool)
        path.write_bytes(whole)
    assert len(read(spool)) == 2 * SLOT_BYTES + 50


def test_slots_cannot_change_places_or_files(tmp_path: Path):
    spool = make(tmp_path)
    filled(spool, content(3 * SLOT_BYTES))
    filled(spool, content(3 * SLOT_BYTES)[::-1], OTHER)
    mine, theirs = on_disk(tmp_path).read_bytes(), on_disk(tmp_path, OTHER).read_bytes()

    def slot(whole: bytes, number: int) -> bytes:
        return whole[HEADER + number * SEALED_SLOT : HEADER + (number + 1) * SEALED_SLOT]

    head = mine[:HEADER]
    for forged in (
        head + slot(mine, 1) + slot(mine, 0) + slot(mine, 2),
        head + slot(mine, 0) + slot(mine, 0) + slot(mine, 2),
        head + slot(theirs, 0) + slot(mine, 1) + slot(mine, 2),
        theirs[:HEADER] + mine[HEADER:],
        theirs,
    ):
        on_disk(tmp_path).write_bytes(forged)
        with pytest.raises(TamperedError):
            read(spool)
    on_disk(tmp_path).write_bytes(mine)
    note(tmp_path).write_bytes(note(tmp_path, OTHER).read_bytes())
    with pytest.raises(TamperedError):
        read(spool)


def test_whole_files_cannot_change_names(tmp_path: Path):
    """One authority's file put in the place of another's does not open there."""
    spool = make(tmp_path)
    other = FileId("0198b7a2-0000-7000-8000-00000000ffff")
    filled(spool, b"mine" * 40_000)
    filled(spool, b"yours" * 40_000, other)
    for path in (on_disk, note):
        kept = path(tmp_path).read_bytes()
        path(tmp_path).write_bytes(path(tmp_path, other).read_bytes())
        path(tmp_path, other).write_bytes(kept)
    for file in (FILE, other):
        with pytest.raises(TamperedError):
            read(spool, file)


def test_another_key_opens_nothing(tmp_path: Path):
    filled(make(tmp_path), content(100))
    with pytest.raises(TamperedError):
        read(make(tmp_path, key=bytes(32)))


def test_a_file_whose_note_is_gone_or_that_never_finished_does_not_count(tmp_path: Path):
    spool = make(tmp_path)
    filled(spool, content(2 * SLOT_BYTES))
    note(tmp_path).unlink()
    with pytest.raises(TamperedError):
        spool.open(FILE)
    writer = spool.create(OTHER)
    writer.write_at(0, content(100))
    writer.suspend()
    with pytest.raises(TamperedError):
        spool.open(OTHER)
    with spool.open_part(OTHER) as stream:
        assert stream.read() == content(100)


def test_a_finished_file_that_is_written_again_is_unfinished(tmp_path: Path):
    spool = make(tmp_path)
    filled(spool, content(100))
    spool.resume(FILE).suspend()
    assert read(spool) == content(100)
    writer = spool.resume(FILE)
    writer.write_at(100, b"more")
    writer.suspend()
    with pytest.raises(TamperedError):
        spool.open(FILE)
    assert spool.resume(FILE).finish()[1] == 104
    assert read(spool) == content(100) + b"more"


def test_no_open_handle_is_left_by_a_refusal(tmp_path: Path):
    spool = make(tmp_path)
    filled(spool, content(100))
    note(tmp_path).write_bytes(b"short")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        with pytest.raises(TamperedError):
            spool.open(FILE)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_no_plaintext_and_no_slot_twice_on_disk(tmp_path: Path):
    spool = make(tmp_path)
    canary = b"CANARY-7f3a-child-name"
    writer = spool.create(FILE)
    for number in range(4):
        writer.write_at(number * SLOT_BYTES - (number > 0) * 8, canary * 3000)
    writer.flush()
    first = on_disk(tmp_path).read_bytes()
    writer.write_at(0, canary)
    writer.finish()
    everything = b"".join(path.read_bytes() for path in (tmp_path / "spool").iterdir())
    assert canary not in first + everything
    assert len(everything) > 4 * SLOT_BYTES
    again = on_disk(tmp_path).read_bytes()
    assert again[HEADER : HEADER + 12] != first[HEADER : HEADER + 12], "a slot written again has a nonce of its own"
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in (tmp_path / "spool").iterdir())


# -- a kill ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, SLOT_BYTES, SLOT_BYTES + 1, 3 * SLOT_BYTES + 77])
def test_a_kill_leaves_a_prefix_that_can_be_resumed(tmp_path: Path, length: int):
    whole = content(length)
    killed = make(tmp_path).create(FILE)
    for place in range(0, length, 5000):
        killed.write_at(place, whole[place : place + 5000])
    after = make(tmp_path)
    kept = after.size(FILE)
    assert length - SLOT_BYTES <= kept <= length
    writer = after.resume(FILE)
    assert writer.size == kept
    writer.write_at(kept, whole[kept:])
    assert writer.finish() == (hashlib.sha256(whole).hexdigest(), length)
    assert read(after) == whole


@pytest.mark.parametrize("left", [1, 11, 12, 27, 28, 29, 5000, SEALED_SLOT - 1])
def test_a_slot_that_a_kill_left_half_written_is_written_again(tmp_path: Path, left: int):
    whole = content(3 * SLOT_BYTES)
    spool = make(tmp_path)
    writer = spool.create(FILE)
    writer.write_at(0, whole)
    writer.suspend()
    os.truncate(on_disk(tmp_path), HEADER + SEALED_SLOT + left)
    assert spool.size(FILE) == SLOT_BYTES
    writer = spool.resume(FILE)
    assert writer.size == SLOT_BYTES
    writer.write_at(SLOT_BYTES, whole[SLOT_BYTES : SLOT_BYTES + 10])
    writer.finish()
    assert read(spool) == whole[: SLOT_BYTES + 10]


@pytest.mark.parametrize("left", [1, 29, 5000])
def test_a_half_written_tail_does_not_stop_a_file_from_being_finished(tmp_path: Path, left: int):
    spool = make(tmp_path)
    writer = spool.create(FILE)
    writer.write_at(0, content(SLOT_BYTES))
    writer.suspend()
    with on_disk(tmp_path).open("ab") as stream:
        stream.write(os.urandom(left))
    assert spool.resume(FILE).finish()[1] == SLOT_BYTES
    assert read(spool) == content(SLOT_BYTES)


def test_what_a_kill_left_beyond_an_earlier_end_is_no_part_of_the_file(tmp_path: Path):
    """Suspended at 100, resumed, written on to 5 slots, killed: what counts is what the slots show, not an old note."""
    whole = content(5 * SLOT_BYTES)
    first = make(tmp_path).create(FILE)
    first.write_at(0, whole[:100])
    first.suspend()
    make(tmp_path).resume(FILE).write_at(100, whole[100:])
    after = make(tmp_path)
    writer = after.resume(FILE)
    assert writer.size == after.size(FILE) == 4 * SLOT_BYTES
    writer.truncate(100)
    writer.write_at(100, b"another end")
    writer.finish()
    assert read(after) == whole[:100] + b"another end"


# -- a full disk -------------------------------------------------------------------------------------------------------


def test_below_the_reserve_nothing_is_begun(tmp_path: Path):
    with pytest.raises(SpoolFullError):
        make(tmp_path, reserve=1 << 60).create(FILE)
    assert make(tmp_path).files() == []


def test_the_reserve_is_looked_at_while_a_file_grows_also_by_zeros(tmp_path: Path):
    spool = make(tmp_path)
    writers = [spool.create(FILE), spool.create(OTHER)]
    writers[0].write_at(0, bytes(100))
    spool._reserve = 1 << 60
    with pytest.raises(SpoolFullError):
        writers[0].write_at(100, bytes(100 * SLOT_BYTES))
    with pytest.raises(SpoolFullError):
        writers[1].truncate(64 * 1024 * 1024)
    assert on_disk(tmp_path, OTHER).stat().st_size < 16 * 1024 * 1024


class FullDisk:
    """Takes so many bytes, a part of the write in which it fills up, and then none."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.pwritev, self.pwrite = os.pwritev, os.pwrite

    def gather(self, handle: int, parts: list[bytes], offset: int) -> int:
        return self.one(handle, b"".join(parts), offset)

    def one(self, handle: int, data: bytes, offset: int) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = self.pwrite(handle, memoryview(data)[: self.room], offset)
        self.room -= taken
        return taken


@pytest.fixture
def full_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], FullDisk]:
    def fill(room: int) -> FullDisk:
        disk = FullDisk(room)
        monkeypatch.setattr(module.os, "pwritev", disk.gather)
        monkeypatch.setattr(module.os, "pwrite", disk.one)
        return disk

    return fill


@pytest.mark.parametrize("room", [0, 5, HEADER, HEADER + 1, HEADER + 5000, HEADER + SEALED_SLOT, HEADER + 150_000])
def test_on_a_full_disk_nothing_counts_and_all_can_be_sent_again(
    tmp_path: Path, full_after: Callable[[int], FullDisk], room: int
):
    whole = content(3 * SLOT_BYTES + 9)
    disk = full_after(room)
    spool = make(tmp_path)
    with pytest.raises(SpoolFullError):
        filled(spool, whole)
    if spool.files():
        with pytest.raises(TamperedError):
            spool.open(FILE)
    disk.room = 1 << 40
    try:
        writer = spool.resume(FILE)
    except NotFoundError:
        writer = spool.create(FILE)
    writer.write_at(writer.size, whole[writer.size :])
    assert writer.finish()[0] == hashlib.sha256(whole).hexdigest()
    assert read(spool) == whole


def test_a_disk_that_fills_up_within_a_slot_is_not_silent(tmp_path: Path, full_after: Callable[[int], FullDisk]):
    """The kernel takes a part of a write and says how much: that is no success."""
    disk = full_after(HEADER + 2 * SEALED_SLOT - 100)
    spool = make(tmp_path)
    writer = spool.create(FILE)
    refused = 0
    for number in range(3):
        with suppress(SpoolFullError):
            writer.write_at(number * SLOT_BYTES, content(SLOT_BYTES))
            continue
        refused += 1
    with pytest.raises(SpoolFullError):
        writer.finish()
    assert refused
    disk.room = 1 << 40
    digest, size = writer.finish()
    whole = read(spool)
    assert (hashlib.sha256(whole).hexdigest(), len(whole)) == (digest, size)


def test_a_write_that_failed_is_no_part_of_the_digest(tmp_path: Path, full_after: Callable[[int], FullDisk]):
    disk = full_after(HEADER + 10)
    spool = make(tmp_path)
    writer = spool.create(FILE)
    with pytest.raises(SpoolFullError):
        writer.write_at(0, content(2 * SLOT_BYTES))
    disk.room = 1 << 40
    writer.write_at(2 * SLOT_BYTES, b"tail")
    digest, _ = writer.finish()
    assert digest == hashlib.sha256(read(spool)).hexdigest()


# -- two at one file ---------------------------------------------------------------------------------------------------


def test_who_resumes_takes_over_with_all_that_came(tmp_path: Path):
    spool = make(tmp_path)
    first = spool.create(FILE)
    first.write_at(0, b"first")
    second = spool.resume(FILE)
    assert second.size == 5
    for attempt in (lambda: first.write_at(5, b"late"), lambda: first.truncate(0), first.finish, first.flush):
        with pytest.raises(OvertakenError):
            attempt()
    first.suspend()
    first.abandon()
    second.write_at(5, b"second")
    second.finish()
    assert read(spool) == b"firstsecond"


def test_a_discarded_file_leaves_nothing_however_its_writer_ends(tmp_path: Path):
    spool = make(tmp_path)
    writer = spool.create(FILE)
    writer.write_at(0, b"gone")
    spool.discard(FILE)
    with pytest.raises(OvertakenError):
        writer.finish()
    writer.suspend()
    assert list((tmp_path / "spool").iterdir()) == []
    with pytest.raises(NotFoundError):
        spool.size(FILE)
    with pytest.raises(NotFoundError):
        spool.resume(FILE)


def test_many_who_resume_at_once_leave_one(tmp_path: Path):
    spool = make(tmp_path)
    spool.create(FILE).write_at(0, content(SLOT_BYTES))
    writers = []
    threads = [threading.Thread(target=lambda: writers.append(spool.resume(FILE))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(writers) == 8
    assert [writer.overtaken for writer in writers].count(False) == 1


def test_threads_may_share_a_writer(tmp_path: Path):
    spool = make(tmp_path)
    whole = content(4 * SLOT_BYTES)
    writer = spool.create(FILE)

    def write(part: int) -> None:
        for place in range(part * 4096, len(whole), 4 * 4096):
            writer.write_at(place, whole[place : place + 4096])

    threads = [threading.Thread(target=write, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert writer.finish()[0] == hashlib.sha256(whole).hexdigest()
    assert read(spool) == whole


def test_a_name_that_is_no_id_reaches_no_path(tmp_path: Path):
    spool = make(tmp_path)
    for name in ("", "../out", "a/b", "a.note", "."):
        with pytest.raises(ValueError, match="id"):
            spool.create(FileId(name))


def test_files_that_were_written_to_lately_are_not_listed_as_old(tmp_path: Path):
    spool = make(tmp_path)
    filled(spool, b"x")
    assert spool.files() == [FILE]
    assert spool.files(older_than_seconds=60) == []
    os.utime(on_disk(tmp_path), (1, 1))
    assert spool.files(older_than_seconds=60) == [FILE]

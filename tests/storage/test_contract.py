"""What every storage promises, tried on each of them."""

from __future__ import annotations

import io
import os
import threading
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from gateway.errors import AlreadyExistsError, GatewayError, NotFoundError, StorageError
from gateway.storage import Storage

KEY = "returns/ssda903/2026-27/camden/1-0198/episodes.csv.sealed"
BIG = os.urandom(64 * 1024) * 180
"""11.25 MiB: three parts on S3."""


def put(storage: Storage, key: str, content: bytes) -> None:
    storage.put(key, io.BytesIO(content), size=len(content), sha256=sha256(content).hexdigest())


def got(storage: Storage, key: str) -> bytes:
    with storage.get(key) as stream:
        return stream.read()


@pytest.mark.parametrize("content", [b"", b"x", os.urandom(300_000), BIG], ids=["empty", "one", "some", "big"])
def test_what_is_put_is_got_and_its_size_is_known(storage: Storage, content: bytes) -> None:
    before = datetime.now(UTC) - timedelta(seconds=5)
    put(storage, KEY, content)
    assert got(storage, KEY) == content
    found = storage.head(KEY)
    assert found is not None
    assert (found.key, found.size_bytes) == (KEY, len(content))
    assert before <= found.stored_at <= datetime.now(UTC) + timedelta(seconds=5)


@pytest.mark.parametrize("content", [b"sealed", BIG], ids=["small", "big"])
def test_the_same_bytes_again_change_nothing_and_others_are_refused(storage: Storage, content: bytes) -> None:
    put(storage, KEY, content)
    put(storage, KEY, content)
    with pytest.raises(AlreadyExistsError, match="left as they are"):
        put(storage, KEY, content[:-1] + b"?")
    assert got(storage, KEY) == content
    assert len(list(storage.list(""))) == 1


@pytest.mark.parametrize("content", [b"sealed", BIG], ids=["small", "big"])
def test_bytes_that_are_not_the_announced_ones_are_not_kept(storage: Storage, content: bytes) -> None:
    digest = sha256(content).hexdigest()
    for false in (content[:-1], content + b"?", content[:-1] + b"?", b""):
        with pytest.raises(StorageError, match="not the ones announced"):
            storage.put(KEY, io.BytesIO(false), size=len(content), sha256=digest)
        assert storage.head(KEY) is None
    assert list(storage.list("")) == []


class _Breaking(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 6_000_000:
            raise ConnectionResetError
        return super().read(size)


def test_a_source_that_breaks_leaves_nothing(storage: Storage) -> None:
    with pytest.raises((StorageError, ConnectionResetError)):
        storage.put(KEY, _Breaking(BIG), size=len(BIG), sha256=sha256(BIG).hexdigest())
    assert storage.head(KEY) is None
    put(storage, KEY, BIG)


@pytest.mark.parametrize("content", [b"0123456789", BIG], ids=["small", "big"])
def test_a_stream_can_seek(storage: Storage, content: bytes) -> None:
    put(storage, KEY, content)
    with storage.get(KEY) as stream:
        assert stream.seekable()
        assert stream.seek(0, io.SEEK_END) == len(content)
        assert stream.read(1) == b""
        for at in (len(content) - 3, 0, len(content) // 2, 2):
            assert stream.seek(at) == at
            assert stream.read(5) == content[at : at + 5]
        assert stream.tell() == 7


def test_what_is_not_there_is_said_to_be_missing(storage: Storage) -> None:
    assert storage.head(KEY) is None
    assert list(storage.list("returns/")) == []
    storage.delete(KEY)
    with pytest.raises(NotFoundError, match=KEY):
        storage.get(KEY)
    put(storage, "a/b", b"x")
    assert storage.head("a/b/c") is None
    assert storage.head("a") is None


def test_what_is_deleted_is_gone_and_its_neighbours_stay(storage: Storage) -> None:
    for key in ("a/one", "a/one2", "a/two"):
        put(storage, key, key.encode())
    storage.delete("a/one")
    assert storage.head("a/one") is None
    assert sorted(one.key for one in storage.list("a/")) == ["a/one2", "a/two"]
    put(storage, "a/one", b"again")
    assert got(storage, "a/one") == b"again"


def test_a_listing_is_by_prefix(storage: Storage) -> None:
    for key in ("returns/a/1", "returns/a/2", "returns/ab/1", "homes/a/1"):
        put(storage, key, b"x" * len(key))
    assert {one.key for one in storage.list("returns/a/")} == {"returns/a/1", "returns/a/2"}
    assert {one.key for one in storage.list("returns/a")} == {"returns/a/1", "returns/a/2", "returns/ab/1"}
    assert {(one.key, one.size_bytes) for one in storage.list("homes/")} == {("homes/a/1", 9)}
    assert len(list(storage.list(""))) == 4
    assert list(storage.list("nowhere/")) == []


def test_of_two_who_put_the_same_bytes_at_once_both_succeed(storage: Storage) -> None:
    failed: list[GatewayError] = []
    together = threading.Barrier(4)

    def write() -> None:
        together.wait()
        try:
            put(storage, KEY, b"the same")
        except GatewayError as error:
            failed.append(error)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert got(storage, KEY) == b"the same"


@pytest.mark.parametrize(
    "key", ["", "/", "/etc/passwd", "a/../b", "../a", "a//b", "a/./b", "a/.b", "a\0b", "a\\b", "a/"]
)
def test_a_key_that_leads_elsewhere_is_refused(storage: Storage, key: str) -> None:
    for act in (storage.get, storage.head, storage.delete, lambda bad: put(storage, bad, b"x")):
        with pytest.raises(ValueError, match="not a storage key"):
            act(key)

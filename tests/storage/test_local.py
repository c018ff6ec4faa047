"""The folder: private, synced, and in words when the disk fails."""

from __future__ import annotations

import io
import os
import stat
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from gateway.errors import NotFoundError, StorageError
from gateway.storage.local import LocalStorage


def put(storage: LocalStorage, key: str, content: bytes) -> None:
    storage.put(key, io.BytesIO(content), size=len(content), sha256=sha256(content).hexdigest())


def test_nobody_else_can_look_and_nothing_temporary_stays(tmp_path: Path) -> None:
    put(LocalStorage(tmp_path / "s"), "a/b/c", b"x")
    paths = [tmp_path / "s", *(tmp_path / "s").rglob("*")]
    assert {(path.name, stat.S_IMODE(path.stat().st_mode)) for path in paths} == {
        ("s", 0o700),
        ("a", 0o700),
        ("b", 0o700),
        ("c", 0o600),
    }


def test_what_a_crash_left_half_written_is_no_object(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a/.new-1234").write_bytes(b"half")
    assert list(storage.list("")) == []


def test_a_link_is_no_object(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "s")
    put(storage, "a/b", b"x")
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "s/a/link").symlink_to(tmp_path / "secret")
    assert storage.head("a/link") is None
    assert [one.key for one in storage.list("a/")] == ["a/b"]
    with pytest.raises(StorageError):
        storage.get("a/link")


def test_a_file_where_a_folder_should_be_is_told(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    put(storage, "a", b"x")
    with pytest.raises(StorageError, match="storage folder failed") as failed:
        put(storage, "a/b", b"x")
    assert not failed.value.passing
    with pytest.raises(NotFoundError):
        storage.get("a/b")


def test_a_full_disk_is_told_is_passing_and_leaves_nothing(tmp_path: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        storage = LocalStorage(tmp_path)
        with pytest.raises(StorageError, match="No space left") as failed:
            put(storage, "a/b", os.urandom(200_000))
        assert failed.value.passing
        assert list(tmp_path.rglob("*b*")) == []
        put(storage, "a/b", b"fits")
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)

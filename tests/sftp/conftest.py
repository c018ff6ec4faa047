"""One set of keys for all; a fresh world for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sftp_world import World, make_keys, serving
from support.clients import Account
from support.keys import SshKey


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SshKey]:
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def world(tmp_path: Path, keys: dict[str, SshKey]) -> Iterator[World]:
    folder = tmp_path / "world"
    folder.mkdir()
    with serving(World(folder, keys)) as running:
        yield running


@pytest.fixture
def camden(world: World) -> Account:
    return world.account("camden")

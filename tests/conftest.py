"""Shared by tests that run the real service. One installation is made by commands and then copied."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ceph import s3_server  # noqa: F401 (a fixture that every test may ask for)
from support.service import Installation, Service, install, serving


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A gateway with two authorities, DfE, and the standing decision in force. Copy it; do not run it."""
    folder = tmp_path_factory.mktemp("installed")
    yield install(folder / "gateway")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def service(installed: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service that a module's tests share."""
    home: Path = tmp_path_factory.mktemp("service") / "gateway"
    with serving(installed.copied_to(home)) as running:
        yield running

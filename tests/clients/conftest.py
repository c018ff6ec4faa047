"""Each test of this folder uses the clients that boroughs have, against one running service."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.clients import Account
from support.homes import Home, looking
from support.returns import RIIA, riia, written
from support.service import Service

_VALUES = itertools.count(500)


@pytest.fixture
def camden(service: Service) -> Account:
    return service.account("camden")


@pytest.fixture
def hackney(service: Service) -> Account:
    return service.account("hackney")


@pytest.fixture
def home(camden: Account) -> Iterator[Home]:
    """Camden's home, looked at through a session of its own."""
    with looking(camden) as looked_at:
        yield looked_at


@pytest.fixture
def a_return(tmp_path: Path) -> Callable[..., Path]:
    """Make a good return that no other test sent."""

    def make(period: str = "2026-27-Q2", name: str = "riia.csv", padded_to: int = 0) -> Path:
        content = riia("camden", period, contacts=next(_VALUES))
        # One long line at the end: quick to read, and long enough to be cut.
        content += b"x" * max(0, padded_to - len(content))
        return written(tmp_path / "out", name, content)

    return make


INBOX = f"inbox/{RIIA}"

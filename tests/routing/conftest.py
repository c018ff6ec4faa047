"""Worlds for routing's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from routing_world import World, database_world, memory_world, peopled


@pytest.fixture(params=["memory", "database"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return peopled(memory_world() if request.param == "memory" else database_world(tmp_path / "gateway.db"))

"""What the tests of the house look at: tracked files, and Python modules as trees."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

HOUSE = Path(__file__).parents[2]


def tracked() -> list[Path]:
    """Return every file that is in the repository; where there is no repository, every file of ours that is there."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=HOUSE, capture_output=True, timeout=30, check=False)
    names = done.stdout.decode().split("\0")[:-1]
    if not names:
        rooms = ("gateway", "routing", "validators", "tests", "docs", "deploy", "benchmarks")
        names = [str(path.relative_to(HOUSE)) for room in rooms for path in (HOUSE / room).rglob("*.*")]
    return [HOUSE / name for name in names if (HOUSE / name).is_file() and "__pycache__" not in name]


def modules(*rooms: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield name and tree of every Python module in a room."""
    for room in rooms:
        for path in sorted((HOUSE / room).rglob("*.py")):
            yield path.relative_to(HOUSE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.Module) -> set[str]:
    """Return the first name of every module that a module imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {one.name.partition(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found

"""Verifies the whole record: every event re-hashed, every node recomputed, every checkpoint compared.

Bodies are read in order and once, so a million events need little memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.domain.events import Event
from gateway.domain.merkle import EMPTY_ROOT, leaf_hash, node_hash
from gateway.ledger.checkpoint import Checkpoint

_MOST_PROBLEMS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerVerdict:
    """What verification found."""

    events: int
    root: bytes
    checkpoints: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True where nothing is wrong."""
        return not self.problems


class _Tree:
    """A Merkle tree that keeps only the roots of its full subtrees."""

    def __init__(self) -> None:
        self.size = 0
        self._parts: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """Add a leaf."""
        hashed, index = leaf, self.size
        while index & 1:
            hashed, index = node_hash(self._parts.pop(), hashed), index >> 1
        self._parts.append(hashed)
        self.size += 1

    def root(self) -> bytes:
        """Return the root."""
        if not self._parts:
            return EMPTY_ROOT
        hashed = self._parts[-1]
        for part in reversed(self._parts[:-1]):
            hashed = node_hash(part, hashed)
        return hashed


def verify_ledger(
    events: Iterable[tuple[int, str, bytes]], kept_root: bytes | None, checkpoints: Sequence[Checkpoint]
) -> LedgerVerdict:
    """Verify every event and every checkpoint.

    Args:
        events: number, key and canonical body, in order.
        kept_root: the root that the database's own nodes give; None where it has none.
        checkpoints: signed ones, already checked against the key, any order.
    """
    problems: list[str] = []
    tree, keys = _Tree(), set[str]()
    due = {one.size: one for one in checkpoints}
    _forks(checkpoints, problems)
    _compare(tree, due, problems)
    for seq, key, body in events:
        if seq != tree.size:
            problems.append(f"Event {tree.size} is missing; the next on record is {seq}.")
            break
        if key in keys:
            problems.append(f"Event {seq} repeats the key of an earlier one.")
        keys.add(key)
        _read(seq, key, body, problems)
        tree.add(leaf_hash(body))
        _compare(tree, due, problems)
    if kept_root is not None and kept_root != tree.root():
        problems.append("The kept tree does not agree with the events: one of the two was altered.")
    problems += [
        f"A signed checkpoint knows {size} events; only {tree.size} are here: the ledger was cut short."
        for size in sorted(due)
        if size > tree.size
    ]
    return LedgerVerdict(
        events=tree.size, root=tree.root(), checkpoints=len(checkpoints), problems=tuple(problems[:_MOST_PROBLEMS])
    )


def _read(seq: int, key: str, body: bytes, problems: list[str]) -> None:
    try:
        event = Event.from_canonical(body)
    except (ValueError, KeyError, TypeError):
        problems.append(f"Event {seq} cannot be read.")
        return
    if event.key != key or event.canonical() != body:
        problems.append(f"Event {seq} is not what its row says.")


def _compare(tree: _Tree, due: dict[int, Checkpoint], problems: list[str]) -> None:
    checkpoint = due.get(tree.size)
    if checkpoint is not None and checkpoint.root != tree.root():
        problems.append(f"The first {tree.size} events are not those of the signed checkpoint: one was altered.")


def _forks(checkpoints: Sequence[Checkpoint], problems: list[str]) -> None:
    roots: dict[int, bytes] = {}
    for one in checkpoints:
        if roots.setdefault(one.size, one.root) != one.root:
            problems.append(f"Two signed checkpoints of {one.size} events differ: the ledger was forked.")

"""Verifies the whole record: every event re-hashed, every node recomputed, every checkpoint compared.

* Bodies are read in order and once, and of the tree only the roots of its full subtrees are held.
* A problem is a sentence that names the event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from gateway.domain.events import Event
from gateway.domain.merkle import EMPTY_ROOT, ReadNode, full_subtrees, leaf_hash, node_hash
from gateway.ledger.checkpoint import Checkpoint

ReadLevel: TypeAlias = Callable[[int], Iterable[tuple[int, bytes]]]
"""Reads the kept nodes of one level: position and hash, in order of position."""

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


class _Problems(list[str]):
    """What is wrong so far; the first ones, for one altered event may draw a thousand after it."""

    def tell(self, sentence: str) -> None:
        if len(self) < _MOST_PROBLEMS:
            self.append(sentence)


class _KeptNodes:
    """The nodes the database keeps, read along with the events and compared with what they should be."""

    def __init__(self, read: ReadLevel, problems: _Problems) -> None:
        self._read = read
        self._problems = problems
        self._levels: list[Iterator[tuple[int, bytes]]] = []
        self._wrong = False

    def compare(self, level: int, position: int, hashed: bytes) -> None:
        """Compare the next kept node of a level."""
        if self._wrong:
            return
        if level == len(self._levels):
            self._levels.append(iter(self._read(level)))
        if next(self._levels[level], None) != (position, hashed):
            self._wrong = True
            first, last = position << level, ((position + 1) << level) - 1
            events = f"event {first}" if first == last else f"events {first} to {last}"
            self._problems.tell(f"The kept tree does not agree with {events}: one of the two was altered.")

    def finish(self) -> None:
        """Say so where nodes are left over."""
        if not self._wrong and any(next(level, None) for level in (*self._levels, iter(self._read(len(self._levels))))):
            self._problems.tell("The kept tree goes on where the events end: the ledger was cut short.")


class _Tree:
    """A Merkle tree that keeps only the roots of its full subtrees."""

    def __init__(self, size: int = 0, parts: Sequence[bytes] = ()) -> None:
        self.size = size
        self._parts = list(parts)

    def add(self, leaf: bytes, kept: _KeptNodes | None) -> None:
        """Add a leaf."""
        hashed, level, index = leaf, 0, self.size
        if kept is not None:
            kept.compare(level, index, hashed)
        while index & 1:
            hashed = node_hash(self._parts.pop(), hashed)
            level, index = level + 1, index >> 1
            if kept is not None:
                kept.compare(level, index, hashed)
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
    events: Iterable[tuple[int, str, bytes]],
    kept_root: bytes | None,
    checkpoints: Sequence[Checkpoint],
    kept_nodes: ReadLevel | None = None,
) -> LedgerVerdict:
    """Verify every event and every checkpoint.

    Args:
        events: number, key and canonical body, in order, from the first.
        kept_root: the root that the database's own nodes give; None where it has none.
        checkpoints: signed ones, already checked against the key, any order; also those that authorities hold.
        kept_nodes: reads the database's own nodes, each of which is then compared; None to compare the root alone.
    """
    return _verify(_Tree(), events, kept_root, checkpoints, kept_nodes)


def verify_since(
    trusted: Checkpoint,
    read: ReadNode,
    events: Iterable[tuple[int, str, bytes]],
    kept_root: bytes | None,
    checkpoints: Sequence[Checkpoint],
) -> LedgerVerdict:
    """Verify what came after a checkpoint that was verified before: quick, however long the ledger is.

    Keys are compared among the events read, not with the older ones.

    Args:
        trusted: the checkpoint to go on from.
        read: reads kept nodes; those the checkpoint stands on must give its root.
        events: number, key and canonical body, in order, from number ``trusted.size``.
        kept_root: the root that the database's own nodes give now.
        checkpoints: signed ones; those older than ``trusted`` are left out.
    """
    parts = [read(level, position) for level, position in full_subtrees(trusted.size)]
    newer = [one for one in checkpoints if one.size >= trusted.size]
    return _verify(_Tree(trusted.size, parts), events, kept_root, [trusted, *newer], None)


def _verify(
    tree: _Tree,
    events: Iterable[tuple[int, str, bytes]],
    kept_root: bytes | None,
    checkpoints: Sequence[Checkpoint],
    kept_nodes: ReadLevel | None,
) -> LedgerVerdict:
    problems = _Problems()
    kept = _KeptNodes(kept_nodes, problems) if kept_nodes is not None else None
    keys = set[str]()
    due = _by_size(checkpoints, problems)
    _compare(tree, due, problems)
    gap = False
    for seq, key, body in events:
        if seq != tree.size:
            problems.tell(f"Event {tree.size} is missing; the next on record is {seq}.")
            gap = True
            break
        if key in keys:
            problems.tell(f"Event {seq} repeats the key of an earlier one.")
        keys.add(key)
        _read(seq, key, body, problems)
        tree.add(leaf_hash(body), kept)
        _compare(tree, due, problems)
    if not gap:
        _end(tree, kept_root, kept, problems)
        for size in sorted(size for size in due if size > tree.size):
            problems.tell(
                f"A signed checkpoint knows {size} events; only {tree.size} are here: the ledger was cut short."
            )
    return LedgerVerdict(events=tree.size, root=tree.root(), checkpoints=len(checkpoints), problems=tuple(problems))


def _end(tree: _Tree, kept_root: bytes | None, kept: _KeptNodes | None, problems: _Problems) -> None:
    if kept is not None:
        kept.finish()
    if kept_root is not None and kept_root != tree.root():
        problems.tell("The kept tree does not agree with the events: one of the two was altered.")


def _read(seq: int, key: str, body: bytes, problems: _Problems) -> None:
    try:
        event = Event.from_canonical(body)
        same = event.key == key and event.canonical() == body
    except (ValueError, KeyError, TypeError, AttributeError):
        problems.tell(f"Event {seq} cannot be read.")
        return
    if not same:
        problems.tell(f"Event {seq} is not what its row says.")


def _compare(tree: _Tree, due: dict[int, list[Checkpoint]], problems: _Problems) -> None:
    for checkpoint in due.get(tree.size, ()):
        if checkpoint.root != tree.root():
            problems.tell(f"The first {tree.size} events are not those of the signed checkpoint: one was altered.")
            return


def _by_size(checkpoints: Sequence[Checkpoint], problems: _Problems) -> dict[int, list[Checkpoint]]:
    found: dict[int, list[Checkpoint]] = {}
    for one in checkpoints:
        same = found.setdefault(one.size, [])
        if any(other.root != one.root for other in same):
            problems.tell(f"Two signed checkpoints of {one.size} events differ: the ledger was forked.")
        same.append(one)
    return found

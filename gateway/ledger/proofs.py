"""Proofs over the ledger's tree (RFC 6962 section 2.1.1 and 2.1.2): made from kept nodes, checked from nothing.

* An inclusion proof shows that an event is in the ledger of a given size.
* A consistency proof shows that a later ledger only added to an earlier one.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.domain.merkle import ReadNode, full_subtrees, node_hash
from gateway.errors import RecordAlteredError


def subtree_root(start: int, end: int, read: ReadNode) -> bytes:
    """Return the root over leaves ``start`` (included) to ``end`` (not included); ``start`` begins a full subtree."""
    parts = [read(level, (start >> level) + index) for level, index in full_subtrees(end - start)]
    hashed = parts.pop()
    while parts:
        hashed = node_hash(parts.pop(), hashed)
    return hashed


def inclusion_proof(index: int, size: int, read: ReadNode) -> list[bytes]:
    """Return the audit path of leaf ``index`` in a tree of ``size`` leaves."""
    return _path(index, 0, size, read)


def _path(index: int, start: int, end: int, read: ReadNode) -> list[bytes]:
    if end - start <= 1:
        return []
    split = start + _largest_power_below(end - start)
    if index < split:
        return [*_path(index, start, split, read), subtree_root(split, end, read)]
    return [*_path(index, split, end, read), subtree_root(start, split, read)]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check an audit path.

    Raises:
        RecordAlteredError: the leaf is not at ``index`` of the tree with this root.
    """
    if not 0 <= index < size or _climb(leaf, index, size, proof) != root:
        raise RecordAlteredError(
            f"The proof does not show event {index} in a ledger of {size}.", remedy="Ask for the receipt again."
        )


def _climb(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes | None:
    hashed, last = leaf, size - 1
    for sibling in proof:
        if last == 0:
            return None
        if index & 1 or index == last:
            hashed = node_hash(sibling, hashed)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            hashed = node_hash(hashed, sibling)
        index, last = index >> 1, last >> 1
    return hashed if last == 0 else None


def consistency_proof(earlier: int, later: int, read: ReadNode) -> list[bytes]:
    """Return the nodes that show a tree of ``later`` leaves to begin with one of ``earlier`` (both 1 or more)."""
    return _consistent(earlier, 0, later, whole=True, read=read)


def _consistent(earlier: int, start: int, end: int, *, whole: bool, read: ReadNode) -> list[bytes]:
    size = end - start
    if earlier == size:
        return [] if whole else [subtree_root(start, end, read)]
    split = _largest_power_below(size)
    if earlier <= split:
        return [
            *_consistent(earlier, start, start + split, whole=whole, read=read),
            subtree_root(start + split, end, read),
        ]
    return [
        *_consistent(earlier - split, start + split, end, whole=False, read=read),
        subtree_root(start, start + split, read),
    ]


def verify_consistency(
    earlier: int, later: int, earlier_root: bytes, later_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that nothing before ``earlier`` was changed or removed (RFC 9162 section 2.1.4.2).

    Raises:
        RecordAlteredError: the later ledger does not begin with the earlier one.
    """
    if not _extends(earlier, later, earlier_root, later_root, proof):
        raise RecordAlteredError(
            f"The ledger of {later} events does not begin with the one of {earlier}.",
            remedy="Treat it as tampering: keep both checkpoints and tell the auditor.",
        )


def _extends(earlier: int, later: int, earlier_root: bytes, later_root: bytes, proof: Sequence[bytes]) -> bool:
    if earlier == later:
        return not proof and earlier_root == later_root
    if not 0 < earlier < later:
        return False
    path = list(proof)
    if earlier & (earlier - 1) == 0:
        path.insert(0, earlier_root)
    if not path:
        return False
    first, last = earlier - 1, later - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if first & 1 or first == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        first, last = first >> 1, last >> 1
    return last == 0 and old == earlier_root and new == later_root


def _largest_power_below(size: int) -> int:
    return 1 << (size - 1).bit_length() - 1

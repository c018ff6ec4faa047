"""The hashing rules of the ledger's tree (RFC 6962 section 2.1). Pure: bytes in, bytes out.

* A leaf is ``SHA-256(0x00 || body)``, an inner node ``SHA-256(0x01 || left || right)``.
* The root of no leaves is ``SHA-256("")``.
* A node is named ``(level, index)``: level 0 are the leaves; only full subtrees are kept, so a node never changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import TypeAlias

ReadNode: TypeAlias = Callable[[int, int], bytes]
"""Reads a kept node by level and index."""

EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(body: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha256(b"\x00" + body).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


def completed_nodes(index: int, leaf: bytes, read: ReadNode) -> Iterator[tuple[int, int, bytes]]:
    """Yield every node that adding leaf number ``index`` completes, the leaf first, as ``(level, index, hash)``."""
    level, hashed = 0, leaf
    yield level, index, hashed
    while index & 1:
        hashed = node_hash(read(level, index - 1), hashed)
        level, index = level + 1, index >> 1
        yield level, index, hashed


def full_subtrees(size: int) -> list[tuple[int, int]]:
    """Return the names of the full subtrees a tree of ``size`` leaves is made of, left to right."""
    names: list[tuple[int, int]] = []
    start = 0
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            names.append((level, start >> level))
            start += 1 << level
    return names


def root(size: int, read: ReadNode) -> bytes:
    """Return the root of the first ``size`` leaves."""
    if size == 0:
        return EMPTY_ROOT
    parts = [read(level, index) for level, index in full_subtrees(size)]
    hashed = parts.pop()
    while parts:
        hashed = node_hash(parts.pop(), hashed)
    return hashed

"""Values for the tests of sealing: keys made once, content of a given length."""

from __future__ import annotations

import functools
import hashlib

from gateway.sealing.hpke import PrivateKey

CHUNK = 64 * 1024
CONTEXT = b"camden/ssda903/2026-27/0198/episodes"


@functools.cache
def key(name: str = "ssda903/2026") -> PrivateKey:
    """Return one key for each name."""
    return PrivateKey.generate(name)


def content(length: int) -> bytes:
    """Return bytes that repeat nowhere within a chunk, so that a swap shows."""
    blocks = (hashlib.sha256(number.to_bytes(8, "big")).digest() for number in range(-(-length // 32)))
    return b"".join(blocks)[:length]

"""Proofs against RFC 6962's own recursive definitions, computed here by brute force."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_world import leaves_of, read_from

from gateway.domain.merkle import EMPTY_ROOT, leaf_hash, root
from gateway.errors import RecordAlteredError
from gateway.ledger.proofs import consistency_proof, inclusion_proof, verify_consistency, verify_inclusion

LEAVES = leaves_of(300)
READ = read_from(LEAVES)


def split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def mth(leaves: list[bytes]) -> bytes:
    """Return RFC 6962's MTH over hashed leaves."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    return [*path(m, leaves[:k]), mth(leaves[k:])] if m < k else [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def flipped(raw: bytes, bit: int) -> bytes:
    at = bit % (8 * len(raw))
    return bytes(one ^ (1 << at % 8 if number == at // 8 else 0) for number, one in enumerate(raw))


def test_the_rules_of_hashing_are_those_of_the_standard():
    """Known values: RFC 6962's empty tree and the leaf of nothing."""
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


def test_the_kept_nodes_give_the_root_of_every_size():
    for size in range(130):
        assert root(size, READ) == mth(LEAVES[:size])


sizes = st.integers(1, 300)


@given(size=sizes, data=st.data())
@settings(max_examples=150, deadline=None)
def test_an_inclusion_proof_is_the_standards_and_holds_and_no_bit_of_it_may_change(size, data):
    index = data.draw(st.integers(0, size - 1))
    top, proof = root(size, READ), inclusion_proof(index, size, READ)
    assert proof == path(index, LEAVES[:size])
    verify_inclusion(LEAVES[index], index, size, proof, top)

    bit = data.draw(st.integers(0, 255))
    wrong = [
        (flipped(LEAVES[index], bit), index, size, proof, top),
        (LEAVES[index], index, size, proof, flipped(top, bit)),
    ]
    wrong += [(LEAVES[index], other, size, proof, top) for other in (index - 1, index + 1, size)]
    wrong += [(LEAVES[index], index, size, [*proof, top], top)]
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        spoiled = [*proof[:at], flipped(proof[at], bit), *proof[at + 1 :]]
        wrong += [(LEAVES[index], index, size, one, top) for one in (spoiled, proof[:-1], proof[1:])]
    for one in wrong:
        with pytest.raises(RecordAlteredError):
            verify_inclusion(*one)


@given(later=sizes, data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_consistency_proof_is_the_standards_and_holds_and_no_bit_of_it_may_change(later, data):
    earlier = data.draw(st.integers(1, later))
    old, new, proof = root(earlier, READ), root(later, READ), consistency_proof(earlier, later, READ)
    assert proof == subproof(earlier, LEAVES[:later], True)
    verify_consistency(earlier, later, old, new, proof)

    bit = data.draw(st.integers(0, 255))
    wrong = [(earlier, later, flipped(old, bit), new, proof), (earlier, later, old, flipped(new, bit), proof)]
    wrong += [(earlier, later, old, new, [*proof, new])]
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        spoiled = [*proof[:at], flipped(proof[at], bit), *proof[at + 1 :]]
        wrong += [(earlier, later, old, new, one) for one in (spoiled, proof[:-1], [])]
    for one in wrong:
        with pytest.raises(RecordAlteredError):
            verify_consistency(*one)


def test_a_rewritten_event_breaks_consistency_with_every_earlier_checkpoint():
    rewritten = [*LEAVES[:20], leaf_hash(b"another"), *LEAVES[21:64]]
    read = read_from(rewritten)
    for earlier in range(21, 64):
        proof = consistency_proof(earlier, 64, read)
        with pytest.raises(RecordAlteredError, match="does not begin with"):
            verify_consistency(earlier, 64, root(earlier, READ), root(64, read), proof)

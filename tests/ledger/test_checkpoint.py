"""Checkpoints: what a signed note holds, and what a witness makes of two of them."""

from __future__ import annotations

from base64 import b64decode, b64encode
from hashlib import sha256

import pytest
from ledger_world import LEDGER, STRANGER, checkpoint_of, leaves_of, read_from

from gateway.domain.merkle import leaf_hash
from gateway.errors import RecordAlteredError
from gateway.ledger.checkpoint import ORIGIN, follow, key_hash, make_checkpoint, read_checkpoint, verifier_key
from gateway.ledger.proofs import consistency_proof

PUBLIC = LEDGER.public_bytes()
LEAVES = leaves_of(40)


def test_a_checkpoint_reads_as_the_standard_says():
    made = checkpoint_of(LEAVES[:7])
    origin, size, root, empty, signature, end = made.text.split("\n")
    assert (origin, size, b64decode(root), empty, end) == (ORIGIN, "7", made.root, "", "")
    dash, name, blob = signature.split(" ")
    assert (dash, name) == ("\u2014", ORIGIN)
    assert b64decode(blob)[:4] == key_hash(PUBLIC)
    assert len(b64decode(blob)) == 4 + 64
    assert read_checkpoint(made.text, PUBLIC) == made


def test_a_key_of_the_signed_note_standard_names_itself_alike():
    """From the standard's own package documentation: name, key and hash that belong together."""
    name, hashed, key = ["PeterNeumann", "c74f20a3", "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"]
    assert sha256(name.encode() + b"\n" + b64decode(key)).hexdigest()[:8] == hashed
    assert verifier_key(PUBLIC).split("+")[1] == key_hash(PUBLIC).hex()


def test_no_character_of_a_checkpoint_may_change():
    made = checkpoint_of(LEAVES[:7])
    for at, character in enumerate(made.text[:-1]):
        changed = made.text[:at] + ("B" if character != "B" else "C") + made.text[at + 1 :]
        with pytest.raises(RecordAlteredError):
            read_checkpoint(changed, PUBLIC)


@pytest.mark.parametrize("size", ["07", "+7", " 7", "7_0", "-7", "", "7.0", "\u0667", "9" * 30])
def test_a_size_has_one_spelling(size):
    body = f"{ORIGIN}\n{size}\n{b64encode(bytes(32)).decode()}\n"
    signature = b64encode(key_hash(PUBLIC) + LEDGER.sign_raw(body.encode())).decode()
    with pytest.raises(RecordAlteredError):
        read_checkpoint(f"{body}\n\u2014 {ORIGIN} {signature}\n", PUBLIC)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_root_has_32_bytes(length):
    with pytest.raises(RecordAlteredError):
        read_checkpoint(make_checkpoint(7, bytes(length), PUBLIC, LEDGER.sign_raw).text, PUBLIC)


def test_a_strangers_checkpoint_is_refused_and_a_former_keys_is_not():
    made = checkpoint_of(LEAVES[:7], STRANGER)
    with pytest.raises(RecordAlteredError, match="not a checkpoint signed by the ledger's key"):
        read_checkpoint(made.text, PUBLIC)
    assert read_checkpoint(made.text, PUBLIC, STRANGER.public_bytes()) == made


def test_a_witness_follows_a_ledger_that_only_grew():
    seen, offered = checkpoint_of(LEAVES[:11]), checkpoint_of(LEAVES[:32])
    assert follow(seen, offered, consistency_proof(11, 32, read_from(LEAVES))) is offered
    assert follow(seen, seen, []) is seen
    assert follow(checkpoint_of([]), seen, []) is seen


def test_a_witness_sees_a_fork():
    with pytest.raises(RecordAlteredError, match="Two signed checkpoints of 11 events differ: the ledger was forked"):
        follow(checkpoint_of(LEAVES[:11]), checkpoint_of([*LEAVES[:10], leaf_hash(b"x")]), [])


def test_a_witness_sees_a_rollback():
    with pytest.raises(RecordAlteredError, match="went back from 11 events to 10"):
        follow(checkpoint_of(LEAVES[:11]), checkpoint_of(LEAVES[:10]), [])


def test_a_witness_sees_a_rewritten_past():
    rewritten = [leaf_hash(b"x"), *LEAVES[1:]]
    proof = consistency_proof(11, 40, read_from(rewritten))
    with pytest.raises(RecordAlteredError, match="does not begin with the one of 11"):
        follow(checkpoint_of(LEAVES[:11]), checkpoint_of(rewritten), proof)

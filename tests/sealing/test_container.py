"""Whatever is done to a sealed object, it opens to what was sealed or not at all."""

from __future__ import annotations

import hashlib
import io
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sealing_builders import CHUNK, CONTEXT, content, key

from gateway.errors import KeyMissingError, TamperedError
from gateway.sealing.container import (
    TAG_BYTES,
    data_key_of,
    make_envelope,
    open_sealed,
    read_header,
    seal_bytes,
    seal_stream,
    unseal_bytes,
    unseal_stream,
)

BOX = CHUNK + TAG_BYTES


def sealed(plain: bytes) -> bytes:
    return seal_bytes(plain, recipients=[key().public], context=CONTEXT)


def header_length(whole: bytes) -> int:
    return read_header(io.BytesIO(whole)).length


class Trickle(io.RawIOBase):
    """Gives a few bytes at a time, as a socket does."""

    def __init__(self, whole: bytes) -> None:
        self._inner = io.BytesIO(whole)

    def read(self, size: int = -1) -> bytes:
        return self._inner.read(min(size, 1001))


LENGTHS = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 7]


@pytest.mark.parametrize("length", LENGTHS)
def test_what_is_sealed_opens_again_and_the_digests_are_true(length: int) -> None:
    plain, sink, out = content(length), io.BytesIO(), io.BytesIO()
    made = seal_stream(io.BytesIO(plain), sink, recipients=[key().public], context=CONTEXT)
    assert (made.bytes, made.digest) == (len(sink.getvalue()), hashlib.sha256(sink.getvalue()).hexdigest())
    assert (made.plain_bytes, made.plain_digest) == (length, hashlib.sha256(plain).hexdigest())
    opened = unseal_stream(io.BytesIO(sink.getvalue()), out, keys=[key()], context=CONTEXT)
    assert out.getvalue() == plain
    assert (opened.context, opened.plain_bytes, opened.plain_digest) == (CONTEXT, length, made.plain_digest)


@pytest.mark.parametrize("length", LENGTHS)
def test_any_part_can_be_read_alone(length: int) -> None:
    plain = content(length)
    with open_sealed(io.BytesIO(sealed(plain)), keys=[key()]) as stream:
        assert stream.seek(0, io.SEEK_END) == length
        for start in (0, 1, CHUNK - 1, CHUNK, 2 * CHUNK - 5, length - 1, length + 10):
            if start >= 0:
                stream.seek(start)
                assert stream.read(CHUNK + 3) == plain[start : start + CHUNK + 3]
        stream.seek(0)
        assert stream.read() == plain


def test_a_source_that_gives_little_at_a_time_is_sealed_and_opened_whole() -> None:
    plain, sink, out = content(2 * CHUNK + 5), io.BytesIO(), io.BytesIO()
    seal_stream(Trickle(plain), sink, recipients=[key().public], context=CONTEXT)
    unseal_stream(Trickle(sink.getvalue()), out, keys=[key()])
    assert out.getvalue() == plain


def test_every_recipient_can_open_and_nobody_else() -> None:
    recipients = [key(name).public for name in ("ssda903/2026", "escrow")]
    whole = seal_bytes(b"a return", recipients=recipients, context=CONTEXT)
    for name in ("ssda903/2026", "escrow"):
        assert unseal_bytes(whole, keys=[key("home"), key(name)]) == b"a return"
    with pytest.raises(KeyMissingError, match=key("ssda903/2026").id):
        unseal_bytes(whole, keys=[key("home")])
    assert read_header(io.BytesIO(whole)).key_ids == tuple(one.id for one in recipients)


def test_an_object_that_stands_for_another_is_refused() -> None:
    whole = sealed(b"a return")
    with pytest.raises(TamperedError, match="another one than was asked for"):
        unseal_bytes(whole, keys=[key()], context=CONTEXT + b"-other")
    with pytest.raises(TamperedError):
        open_sealed(io.BytesIO(whole), keys=[key()], context=b"")


def test_every_single_byte_of_the_header_counts() -> None:
    whole = sealed(b"short")
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 0x01
        with pytest.raises((TamperedError, KeyMissingError)):
            unseal_bytes(bytes(changed), keys=[key()], context=CONTEXT)


LONG = content(3 * CHUNK + 100)
SEALED_LONG = sealed(LONG)
HEAD = header_length(SEALED_LONG)


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, len(SEALED_LONG) - 1), flip=st.integers(1, 255))
def test_any_changed_byte_is_noticed_and_nothing_false_is_released(position: int, flip: int) -> None:
    changed = bytearray(SEALED_LONG)
    changed[position] ^= flip
    out = io.BytesIO()
    with pytest.raises((TamperedError, KeyMissingError)):
        unseal_stream(io.BytesIO(bytes(changed)), out, keys=[key()], context=CONTEXT)
    assert LONG.startswith(out.getvalue())


@settings(max_examples=60, deadline=None)
@given(length=st.one_of(st.integers(0, len(SEALED_LONG) - 1), st.sampled_from([HEAD + n * BOX for n in range(4)])))
def test_any_shortening_is_noticed(length: int) -> None:
    short = SEALED_LONG[:length]
    with pytest.raises(TamperedError):
        unseal_bytes(short, keys=[key()])
    with pytest.raises(TamperedError):
        open_sealed(io.BytesIO(short), keys=[key()])


@pytest.mark.parametrize("extra", [b"\0", bytes(TAG_BYTES), bytes(BOX), SEALED_LONG[HEAD:]])
def test_anything_put_behind_is_noticed(extra: bytes) -> None:
    with pytest.raises(TamperedError):
        unseal_bytes(SEALED_LONG + extra, keys=[key()])
    with pytest.raises(TamperedError):
        open_sealed(io.BytesIO(SEALED_LONG + extra), keys=[key()])


@pytest.mark.parametrize("order", [(1, 0, 2, 3), (0, 2, 1, 3), (0, 1, 1, 2, 3), (0, 2, 3), (0, 1, 3, 2), (3,)])
def test_chunks_cannot_be_swapped_doubled_or_dropped(order: tuple[int, ...]) -> None:
    boxes = [SEALED_LONG[HEAD + n * BOX : HEAD + (n + 1) * BOX] for n in range(4)]
    mixed = SEALED_LONG[:HEAD] + b"".join(boxes[n] for n in order)
    with pytest.raises(TamperedError):
        unseal_bytes(mixed, keys=[key()])
    with pytest.raises(TamperedError), open_sealed(io.BytesIO(mixed), keys=[key()]) as stream:
        stream.read()


def test_the_header_of_one_object_does_not_open_the_chunks_of_another() -> None:
    one, other = sealed(LONG), sealed(LONG)
    with pytest.raises(TamperedError):
        unseal_bytes(one[:HEAD] + other[HEAD:], keys=[key()])


def test_the_envelope_of_one_object_does_not_fit_another() -> None:
    one, other = sealed(LONG), sealed(LONG)
    core = len(read_header(io.BytesIO(one)).core.encode())
    with pytest.raises(TamperedError):
        unseal_bytes(one[:core] + other[core:HEAD] + one[HEAD:], keys=[key()])


def test_a_recipient_cannot_be_slipped_in() -> None:
    whole = sealed(LONG)
    header = read_header(io.BytesIO(whole))
    core = len(header.core.encode())
    stanza = whole[core + 1 : HEAD - 32]
    doubled = whole[:core] + b"\2" + stanza + stanza + whole[HEAD - 32 :]
    with pytest.raises(TamperedError, match="header was altered"):
        unseal_bytes(doubled, keys=[key()])


def test_a_new_envelope_gives_the_object_to_other_keys_without_touching_a_chunk() -> None:
    whole = sealed(LONG)
    header = read_header(io.BytesIO(whole))
    envelope = make_envelope(header.core, data_key_of(header, [key()]), [key("next").public])
    rotated = header.core.encode() + envelope + whole[HEAD:]
    assert unseal_bytes(rotated, keys=[key("next")], context=CONTEXT) == LONG
    with pytest.raises(KeyMissingError):
        unseal_bytes(rotated, keys=[key()])


@pytest.mark.parametrize("rubbish", [b"", b"PK\3\4", b"gwsealed", b"\0" * 5000, b"gwsealed\2\1" + bytes(5000)])
def test_what_is_no_sealed_object_is_called_so(rubbish: bytes) -> None:
    with pytest.raises(TamperedError):
        unseal_bytes(rubbish, keys=[key()])


def test_the_same_content_sealed_twice_looks_different() -> None:
    assert sealed(b"same")[HEAD:] != sealed(b"same")[HEAD:]


def test_an_object_needs_a_recipient_and_a_context_of_bounded_length() -> None:
    with pytest.raises(ValueError, match="at least one key"):
        seal_bytes(b"", recipients=[], context=b"")
    with pytest.raises(ValueError, match="4096"):
        seal_bytes(b"", recipients=[key().public], context=bytes(4097))


class _Zeros:
    def __init__(self, length: int) -> None:
        self._left = length

    def read(self, size: int = -1, /) -> bytes:
        size = min(size, self._left)
        self._left -= size
        return bytes(size)


class _Nowhere:
    def write(self, data: bytes, /) -> int:
        return len(data)


def test_memory_stays_small_however_long_the_stream() -> None:
    tracemalloc.start()
    try:
        seal_stream(_Zeros(32 * 1024 * 1024), _Nowhere(), recipients=[key().public], context=b"")
        assert tracemalloc.get_traced_memory()[1] < 2 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_closing_the_reader_closes_the_object_and_a_refusal_does_too() -> None:
    source = io.BytesIO(sealed(b"x"))
    open_sealed(source, keys=[key()]).close()
    assert source.closed
    refused = io.BytesIO(b"no")
    with pytest.raises(TamperedError):
        open_sealed(refused, keys=[key()])
    assert refused.closed

"""What version 1 sealed once opens for ever, also by a reader written from docs/format.md alone."""

from __future__ import annotations

import hmac
import struct
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.sealing.container import unseal_bytes
from gateway.sealing.keys import load_private

VECTORS = Path(__file__).parent / "vectors"
SEALED = (VECTORS / "version-1.sealed").read_bytes()
PLAIN = (VECTORS / "version-1.csv").read_bytes()
KEY = load_private((VECTORS / "version-1.key").read_text())
CONTEXT = b"camden/ssda903/2026-27/0198/header"


def test_the_committed_object_opens() -> None:
    assert unseal_bytes(SEALED, keys=[KEY], context=CONTEXT) == PLAIN


def test_the_page_is_enough_to_open_it() -> None:
    magic, version, suite, chunk, _, length = struct.unpack(">8sBBI16sH", SEALED[:32])
    assert (magic, version, suite, chunk) == (b"gwsealed", 1, 1, 65536)
    core, rest = SEALED[: 32 + length], SEALED[32 + length :]
    assert core[32:] == CONTEXT
    count, kind, key_id, wrapped_length = struct.unpack(">BB16sH", rest[:20])
    assert (count, kind, wrapped_length) == (1, 1, 1168)
    assert key_id == sha256(KEY.public.raw).digest()[:16]
    wrapped, mac, box = rest[20:1188], rest[1188:1220], rest[1220:]
    private = hpke.MLKEM768X25519PrivateKey(
        MLKEM768PrivateKey.from_seed_bytes(KEY.raw[:64]), X25519PrivateKey.from_private_bytes(KEY.raw[64:])
    )
    suite_1 = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
    data_key = suite_1.decrypt(wrapped, private, info=b"gateway sealed 1 wrap " + sha256(core).digest())

    def key(purpose: bytes) -> bytes:
        info = b"gateway sealed 1 " + purpose
        return HKDF(algorithm=SHA256(), length=32, salt=sha256(core).digest(), info=info).derive(data_key)

    assert hmac.digest(key(b"envelope"), rest[:1188], "sha256") == mac
    assert AESGCM(key(b"chunks")).decrypt(bytes(11) + b"\1", box, None) == PLAIN

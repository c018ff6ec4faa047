"""Recipients open extracts with stock age and the keys they have."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pyrage
import pytest

from gateway.errors import KeyMissingError
from gateway.sealing.age import parse_recipient, seal_to_age

EXTRACT = b"a,b\n1,2\n" * 20_000


def ssh_pair(folder: Path, kind: str) -> tuple[Path, str]:
    path = folder / kind
    bits = ("-b", "2048") if kind == "rsa" else ()
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, *bits, "-N", "", "-C", "a b", "-f", str(path)], check=True, timeout=60
    )
    return path, path.with_suffix(".pub").read_text()


def opened_by_age(sealed: bytes, identity: Path) -> bytes:
    done = subprocess.run(
        ["age", "-d", "-i", str(identity)], input=sealed, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not (shutil.which("age") and shutil.which("ssh-keygen")), reason="no age or ssh-keygen")
def test_every_recipient_opens_it_with_stock_age(tmp_path: Path) -> None:
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "age").write_text(f"{identity}\n")
    pairs = [ssh_pair(tmp_path, kind) for kind in ("ed25519", "rsa")]
    sink = io.BytesIO()
    seal_to_age(io.BytesIO(EXTRACT), sink, [str(identity.to_public()), *(public for _, public in pairs)])
    assert EXTRACT[:100] not in sink.getvalue()
    for path in (tmp_path / "age", *(private for private, _ in pairs)):
        assert opened_by_age(sink.getvalue(), path) == EXTRACT


def test_a_key_is_kept_without_its_comment() -> None:
    text = str(pyrage.x25519.Identity.generate().to_public())
    assert parse_recipient(f"  {text}\n") == text


@pytest.mark.parametrize("text", ["", "age1", "age1qqqq", "ssh-ed25519 AAAA a", "ssh-dss AAAA", "camden", "ssh-rsa"])
def test_what_is_no_key_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(KeyMissingError) as failed:
        parse_recipient(text)
    assert "age1..." in failed.value.remedy


def test_a_private_key_is_refused_and_not_repeated() -> None:
    secret = str(pyrage.x25519.Identity.generate())
    with pytest.raises(KeyMissingError) as failed:
        parse_recipient(secret)
    assert secret not in str(failed.value)
    assert "have it replaced" in str(failed.value)


def test_no_recipient_means_nothing_is_sealed() -> None:
    sink = io.BytesIO()
    with pytest.raises(KeyMissingError):
        seal_to_age(io.BytesIO(b"x"), sink, [])
    assert sink.getvalue() == b""

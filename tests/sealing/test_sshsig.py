"""Stock ssh-keygen believes our signatures, we believe its, and neither believes anything else."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.errors import TamperedError
from gateway.sealing.sshsig import Signer, verify

NAMESPACE = "receipt@gateway.london"
RECEIPT = b'{"outcome":"accepted"}\n'
SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))

needs_ssh_keygen = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen (openssh-client)")


def believed_by_ssh_keygen(folder: Path, message: bytes, signature: str, allowed: str, namespace: str) -> bool:
    (folder / "allowed_signers").write_text(allowed + "\n")
    (folder / "sig").write_text(signature)
    command = ["ssh-keygen", "-Y", "verify", "-f", "allowed_signers", "-I", "gateway", "-n", namespace, "-s", "sig"]
    done = subprocess.run(command, input=message, cwd=folder, capture_output=True, timeout=30, check=False)
    return done.returncode == 0


@needs_ssh_keygen
def test_stock_ssh_keygen_verifies_a_receipt(tmp_path: Path) -> None:
    signature = SIGNER.sign(RECEIPT, NAMESPACE)
    allowed = SIGNER.allowed_signers_line("gateway", NAMESPACE)
    assert believed_by_ssh_keygen(tmp_path, RECEIPT, signature, allowed, NAMESPACE)
    assert believed_by_ssh_keygen(tmp_path, RECEIPT, signature, "gateway " + SIGNER.public_line("x"), NAMESPACE)
    assert not believed_by_ssh_keygen(tmp_path, RECEIPT + b" ", signature, allowed, NAMESPACE)
    assert not believed_by_ssh_keygen(tmp_path, RECEIPT, signature, allowed, "git")
    other = Signer(Ed25519PrivateKey.generate()).allowed_signers_line("gateway")
    assert not believed_by_ssh_keygen(tmp_path, RECEIPT, signature, other, NAMESPACE)


@needs_ssh_keygen
def test_what_ssh_keygen_signs_is_verified_here(tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=30)
    (tmp_path / "m").write_bytes(RECEIPT)
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-f", "key", "-n", NAMESPACE, "m"],
        cwd=tmp_path,
        check=True,
        timeout=30,
        capture_output=True,
    )
    verify(RECEIPT, (tmp_path / "m.sig").read_text(), NAMESPACE, (tmp_path / "key.pub").read_text())


def test_a_signature_fits_its_message_namespace_and_key_only() -> None:
    signature, line = SIGNER.sign(RECEIPT, NAMESPACE), SIGNER.public_line("gateway receipts")
    verify(RECEIPT, signature, NAMESPACE, line)
    other = Signer(Ed25519PrivateKey.generate()).public_line("other")
    for message, text, namespace, key in (
        (RECEIPT + b" ", signature, NAMESPACE, line),
        (RECEIPT, signature, "other", line),
        (RECEIPT, signature, NAMESPACE, other),
        (RECEIPT, signature[:110] + signature[111:], NAMESPACE, line),
        (RECEIPT, signature.replace("BEGIN SSH", "BEGIN PGP"), NAMESPACE, line),
        (RECEIPT, "", NAMESPACE, line),
        (RECEIPT, signature, NAMESPACE, "ssh-ed25519"),
        (RECEIPT, signature, NAMESPACE, "ssh-ed25519 !!!"),
    ):
        with pytest.raises(TamperedError, match="does not fit"):
            verify(message, text, namespace, key)


def test_the_same_receipt_gets_the_same_signature() -> None:
    assert SIGNER.sign(RECEIPT, NAMESPACE) == SIGNER.sign(RECEIPT, NAMESPACE)


def test_a_bare_signature_fits_the_bare_key() -> None:
    Ed25519PublicKey.from_public_bytes(SIGNER.public_bytes()).verify(SIGNER.sign_raw(RECEIPT), RECEIPT)


def test_a_signature_needs_a_namespace() -> None:
    with pytest.raises(ValueError, match="namespace"):
        SIGNER.sign(RECEIPT, "")

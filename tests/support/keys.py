"""Keys as people make them: with ``ssh-keygen`` and ``age-keygen``."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class SshKey:
    """An Ed25519 key pair on disk."""

    private: Path
    public: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class AgeKey:
    """An age identity on disk, and its recipient."""

    identity: Path
    recipient: str


def ssh_key(path: Path, comment: str) -> SshKey:
    """Make an SSH key without a passphrase."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)], check=True, timeout=30
    )
    return SshKey(private=path, public=path.with_name(path.name + ".pub"))


def age_key(path: Path) -> AgeKey:
    """Make an age identity."""
    subprocess.run(["age-keygen", "-o", str(path)], check=True, timeout=30, capture_output=True)
    line = next(line for line in path.read_text().splitlines() if line.startswith("# public key: "))
    return AgeKey(identity=path, recipient=line.removeprefix("# public key: ").strip())


def age_open(sealed: bytes, key: AgeKey) -> bytes:
    """Open what was sealed with the stock ``age`` of the recipient's machine."""
    done = subprocess.run(
        ["age", "--decrypt", "--identity", str(key.identity)],
        input=sealed,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def verify_receipt(receipt: bytes, signature: bytes, allowed_signers: bytes, folder: Path) -> tuple[bool, str]:
    """Run the line of the README: ``ssh-keygen -Y verify -f allowed_signers -I gateway ...``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "allowed_signers").write_bytes(allowed_signers)
    (folder / "receipt.json.sig").write_bytes(signature)
    command = ["ssh-keygen", "-Y", "verify", "-f", "allowed_signers", "-I", "gateway"]
    command += ["-n", "receipt@gateway.london", "-s", "receipt.json.sig"]
    done = subprocess.run(command, input=receipt, capture_output=True, cwd=folder, timeout=30, check=False)
    return done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")

"""The clients that boroughs use, as they are installed: OpenSSH ``sftp`` and ``scp``, ``lftp``, ``rclone``.

Every run is bounded, asks nothing, and keeps no host key.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import paramiko

OPTIONS = (
    "-o", "BatchMode=yes",
    "-o", "IdentitiesOnly=yes",
    "-o", "StrictHostKeyChecking=no",
    "-o", "UserKnownHostsFile=/dev/null",
    "-o", "ConnectTimeout=15",
    "-o", "LogLevel=ERROR",
)  # fmt: skip
HOST = "127.0.0.1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """What a client said when it ended."""

    code: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        return self.code == 0

    @property
    def said(self) -> str:
        return f"{self.out}\n{self.err}"


def run(command: list[str], *, text: str = "", cwd: Path | None = None, timeout: float = 120) -> Ran:
    """Run a program to its end."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        command,
        input=text.encode(),
        capture_output=True,
        cwd=cwd,
        timeout=timeout,
        check=False,
        env=environment,
    )
    out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    return Ran(code=done.returncode, out=out, err=err)


def quoted(path: str | Path) -> str:
    """Quote a path for sftp's batch language."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """Who a client logs in as, and where."""

    user: str
    key: Path
    port: int

    def sftp(self, *lines: str, options: tuple[str, ...] = (), timeout: float = 120) -> Ran:
        """Run OpenSSH ``sftp`` with a batch of commands. It stops at the first that fails, unless it begins with -."""
        return run(self.sftp_command(*options), text="\n".join(lines) + "\n", timeout=timeout)

    def sftp_command(self, *options: str) -> list[str]:
        return ["sftp", "-b", "-", *OPTIONS, *options, "-i", str(self.key), "-P", str(self.port), f"{self.user}@{HOST}"]

    def put(self, local: Path, remote: str, timeout: float = 120) -> Ran:
        """Put one file with OpenSSH ``sftp``."""
        return self.sftp(f"put {quoted(local)} {quoted(remote)}", timeout=timeout)

    def names(self, folder: str) -> list[str]:
        """List a folder with OpenSSH ``sftp``; an absent folder is an empty one."""
        ran = self.sftp(f"-ls -1 {quoted(folder)}")
        lines = [line for line in ran.out.splitlines() if line and not line.startswith("sftp>")]
        return [line.rstrip("/").rpartition("/")[2] for line in lines]

    def scp(self, local: Path, remote: str, *options: str, timeout: float = 120) -> Ran:
        target = f"{self.user}@{HOST}:{remote}"
        return run(
            ["scp", "-q", *options, *OPTIONS, "-i", str(self.key), "-P", str(self.port), str(local), target],
            timeout=timeout,
        )

    def lftp(self, *lines: str, timeout: float = 120) -> Ran:
        program = "ssh -a -x " + " ".join(OPTIONS) + f" -i {self.key}"
        script = [
            "set cmd:fail-exit yes",
            "set net:max-retries 1",
            "set net:timeout 20",
            f'set sftp:connect-program "{program}"',
            f"open -u {self.user}, -p {self.port} sftp://{HOST}",
            *lines,
            "bye",
        ]
        return run(["lftp", "-f", "/dev/stdin"], text="\n".join(script) + "\n", timeout=timeout)

    def rclone(self, command: str, *arguments: str, timeout: float = 120) -> Ran:
        where = ["--sftp-host", HOST, "--sftp-port", str(self.port), "--sftp-user", self.user]
        where += [
            "--sftp-key-file",
            str(self.key),
            "--config",
            "/dev/null",
            "--retries",
            "1",
            "--low-level-retries",
            "1",
        ]
        return run(["rclone", command, *where, *arguments], timeout=timeout)

    @contextlib.contextmanager
    def session(self) -> Iterator[paramiko.SFTPClient]:
        """Keep one SFTP session open: to look often, and to say what no tidy client would."""
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect(
            HOST,
            port=self.port,
            username=self.user,
            key_filename=str(self.key),
            allow_agent=False,
            look_for_keys=False,
            timeout=15,
        )
        try:
            channel = client.open_sftp()
            channel.get_channel().settimeout(60)  # type: ignore[union-attr]
            yield channel
        finally:
            client.close()

    def read_all(self, area: str) -> Mapping[str, bytes]:
        """Return every file of an area of the home, by its path."""
        with self.session() as session:
            return {path: read(session, path) for path in walk(session, area)}


def walk(session: paramiko.SFTPClient, folder: str) -> list[str]:
    """Return the paths of every file below a folder; an absent folder is an empty one."""
    found: list[str] = []
    try:
        entries = session.listdir_attr(folder)
    except FileNotFoundError:
        return found
    for entry in entries:
        path = f"{folder}/{entry.filename}"
        if (entry.st_mode or 0) & 0o170000 == 0o040000:
            found += walk(session, path)
        else:
            found.append(path)
    return sorted(found)


def read(session: paramiko.SFTPClient, path: str) -> bytes:
    """Return a file's bytes."""
    with session.open(path, "rb") as stream:
        content: bytes = stream.read()
    return content


def cut_upload(account: Account, local: Path, remote: str, *, after_bytes: int) -> None:
    """Send the first bytes of a file with a throttled OpenSSH client and break the connection under it."""
    kilobits_a_second = "20000"
    client = subprocess.Popen(
        account.sftp_command("-l", kilobits_a_second),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert client.stdin is not None
        client.stdin.write(f"put {quoted(local)} {quoted(remote)}\n".encode())
        client.stdin.flush()
        deadline = time.monotonic() + 60
        while size_of(account, remote) < after_bytes:
            assert time.monotonic() < deadline, "the upload does not get on"
            assert client.poll() is None, "the upload ended too soon"
    finally:
        client.kill()
        client.wait(timeout=20)
        if client.stdin is not None:
            with contextlib.suppress(OSError):
                client.stdin.close()


def size_of(account: Account, remote: str) -> int:
    """Return the size of a file in the home as a listing shows it; 0 where it is not there."""
    with account.session() as session:
        try:
            return session.stat(remote).st_size or 0
        except FileNotFoundError:
            return 0

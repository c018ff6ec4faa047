"""A real S3 server for tests: Ceph's object gateway on this machine, data in memory, on free loopback ports.

* Needs Debian's ``ceph-mon ceph-osd radosgw ceph-common``; without them the tests that need it are skipped, saying so.
* The daemons are children of the test run, in the foreground, and exactly these are stopped at its end.
* Every wait has an end; a start that fails says what the daemons wrote.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

NEEDED = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "monmaptool", "ceph")
ACCESS_KEY = "TESTACCESSKEY0000000"
SECRET_KEY = "test-secret-key-for-loopback-only-000000"
START_SECONDS = 120
STOP_SECONDS = 10

_CONF = """\
[global]
fsid = {fsid}
mon host = [v1:127.0.0.1:{mon_port}]
mon initial members = a
auth cluster required = none
auth service required = none
auth client required = none
ms bind msgr2 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
run dir = {dir}/run
admin socket = {dir}/run/$name.asok
pid file = {dir}/run/$name.pid
log file = {dir}/$name.log
[mon.a]
mon data = {dir}/mon
public addr = 127.0.0.1:{mon_port}
[osd.0]
osd data = {dir}/osd
osd objectstore = memstore
memstore device bytes = 2147483648
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw data = {dir}/rgw
rgw thread pool size = 32
rgw dns name = localhost
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class S3Server:
    """Where it listens and how to log in."""

    endpoint_url: str
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    region: str = "default"


class _Ceph:
    def __init__(self, directory: Path) -> None:
        self._dir = directory
        self._conf = directory / "ceph.conf"
        self._children: list[subprocess.Popen[bytes]] = []
        self._log = (directory / "up.log").open("ab")

    def start(self) -> S3Server:
        mon_port, port = _free_ports(2)
        fsid = str(uuid.uuid4())
        for name in ("run", "mon", "osd", "rgw"):
            (self._dir / name).mkdir()
        self._conf.write_text(_CONF.format(fsid=fsid, mon_port=mon_port, port=port, dir=self._dir))
        monmap = str(self._dir / "monmap")
        self._run("monmaptool", "--create", "--addv", "a", f"[v1:127.0.0.1:{mon_port}]", "--fsid", fsid, monmap)
        self._run("ceph-mon", *self._with, "--mkfs", "-i", "a", "--monmap", monmap, "--no-mon-config")
        self._spawn("ceph-mon", "-i", "a", "--no-mon-config")
        self._until(lambda: self._tried("ceph", *self._with, "--connect-timeout", "5", "-s"), "the monitor")
        osd = str(uuid.uuid4())
        self._run("ceph", *self._with, "osd", "new", osd, "0")
        self._run("ceph-osd", *self._with, "-i", "0", "--mkfs", "--osd-uuid", osd, "--no-mon-config")
        storing = [self._spawn("ceph-osd", "-i", "0", "--no-mon-config")]

        def up() -> bool:
            # Seen once in a while: the daemon gives up because it spoke before the monitor's map arrived.
            if storing[-1].poll() is not None:
                storing.append(self._spawn("ceph-osd", "-i", "0", "--no-mon-config"))
            return self._osd_is_up()

        self._until(up, "the object store")
        self._spawn("radosgw", "-n", "client.rgw")
        endpoint = f"http://127.0.0.1:{port}"
        self._until(lambda: _answers(endpoint), "the object gateway")
        user = ("--uid=tests", "--display-name=tests", f"--access-key={ACCESS_KEY}", f"--secret-key={SECRET_KEY}")
        self._run("radosgw-admin", *self._with, "user", "create", *user)
        return S3Server(endpoint_url=endpoint)

    def stop(self) -> None:
        for child in reversed(self._children):
            if child.poll() is None:
                child.terminate()
        for child in reversed(self._children):
            try:
                child.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(timeout=STOP_SECONDS)
        self._log.close()

    @property
    def _with(self) -> tuple[str, str]:
        return "-c", str(self._conf)

    def _osd_is_up(self) -> bool:
        done = subprocess.run(
            ["ceph", *self._with, "osd", "stat"], capture_output=True, timeout=30, check=False, stdin=subprocess.DEVNULL
        )
        return b"1 up" in done.stdout

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [program, "-f", *self._with, *arguments, "--setuser", "root", "--setgroup", "root"],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        self._children.append(child)
        return child

    def _run(self, *command: str) -> None:
        assert self._tried(*command), f"{command[0]} failed:\n{self._said()}"

    def _tried(self, *command: str) -> bool:
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, timeout=60, check=False
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def _until(self, ready: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            assert time.monotonic() < deadline, f"{what} did not start in {START_SECONDS} s:\n{self._said()}"
            time.sleep(0.2)

    def _said(self) -> str:
        return (self._dir / "up.log").read_text(errors="replace")[-3000:]


def _answers(endpoint: str) -> bool:
    try:
        with urllib.request.urlopen(endpoint, timeout=2):
            return True
    except OSError:
        return False


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def why_not() -> str:
    """Return why the server cannot run here; empty where it can."""
    absent = [name for name in NEEDED if shutil.which(name) is None]
    return f"no {', '.join(absent)} (Debian: ceph-mon ceph-osd radosgw ceph-common)" if absent else ""


@contextlib.contextmanager
def running() -> Iterator[S3Server]:
    """Run a server for as long as the block lasts."""
    directory = Path(tempfile.mkdtemp(prefix="ceph-"))
    ceph = _Ceph(directory)
    try:
        yield ceph.start()
    finally:
        ceph.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """The one server that every test of a run shares; each makes buckets of its own."""
    absent = why_not()
    if absent:
        pytest.skip(absent)
    with running() as server:
        yield server

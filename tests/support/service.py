"""The gateway as an operator runs it: commands, one process, real keys. Every wait has an end.

* ``Installation`` is a directory made by ``gateway init`` and the commands that follow it; it is copied, not made anew.
* ``Service`` runs ``gateway serve`` in a process group of its own and ends only that.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from support.clients import Account
from support.keys import AgeKey, SshKey, age_key, ssh_key

T = TypeVar("T")

START_SECONDS = 60
STOP_SECONDS = 40
COMMAND_SECONDS = 90
QUICK = {
    "GATEWAY__SFTP__HOST": "127.0.0.1",
    "GATEWAY__SFTP__PORT": "0",
    "GATEWAY__SFTP__RESERVE_BYTES": "1048576",
    "GATEWAY__FOLDER__SETTLE_SECONDS": "0.2",
    "GATEWAY__FOLDER__RESCAN_SECONDS": "1",
    "GATEWAY__CALENDAR__LOOK_SECONDS": "1",
}
"""Settings that make a test quick. The port is whichever is free."""


class TookTooLongError(AssertionError):
    """What was waited for did not happen in time."""


def wait_until(look: Callable[[], T | None], *, seconds: float = 30, pause: float = 0.05, what: str = "") -> T:
    """Look again and again until something true is seen, and return it."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise TookTooLongError(f"waited {seconds} s in vain for {what or look}")
        time.sleep(pause)


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What a command of the gateway said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A directory with settings, data and the keys of the people around it."""

    home: Path
    keys: Mapping[str, SshKey]
    """SSH keys by user."""
    dfe: AgeKey
    environment: Mapping[str, str]

    @property
    def settings(self) -> Path:
        return self.home / "settings.toml"

    @property
    def data(self) -> Path:
        return self.home / "data"

    def full_environment(self) -> dict[str, str]:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY")}
        return {**plain, "GATEWAY_SETTINGS": str(self.settings), "NO_COLOR": "1", "COLUMNS": "200", **self.environment}

    def command(self, *arguments: str | Path, timeout: float = COMMAND_SECONDS) -> Said:
        """Run ``gateway ...`` to its end, whatever the end."""
        done = subprocess.run(
            [sys.executable, "-m", "gateway", *map(str, arguments)],
            capture_output=True,
            timeout=timeout,
            check=False,
            env=self.full_environment(),
            cwd=self.home,
        )
        out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        return Said(code=done.returncode, out=out, err=err)

    def do(self, *arguments: str | Path) -> Said:
        """Run ``gateway ...``, which must succeed."""
        said = self.command(*arguments)
        assert said.code == 0, f"gateway {' '.join(map(str, arguments))}: {said.code}\n{said.out}\n{said.err}"
        return said

    def add_authority(self, slug: str, key: SshKey | None = None, *, collections: Sequence[str] = ()) -> SshKey:
        """Register an authority's key and its taking part."""
        made = key or ssh_key(self.home / "people" / slug, slug)
        self.do("authority", "key", slug, "--name", "test", "--public-key", made.public)
        for collection in collections:
            self.do("authority", "participation", slug, collection, "--since", "2024-04-01", *PAPERS)
        return made

    def authorise_dfe(self, **changed: str) -> str:
        """Put the standing decision for DfE in force; return its id."""
        proposed = self.propose_dfe(**changed)
        self.do("authorisation", "approve", proposed, "--by", "bob")
        return proposed

    def propose_dfe(self, **changed: str) -> str:
        """Propose the standing decision for DfE; return its id."""
        decision = self.home / "people" / "decision.toml"
        decision.write_text(DECISION.format(**{**DECIDED, **changed}))
        return self.do("authorisation", "propose", decision, "--by", "alice").out.strip()

    def copied_to(self, home: Path, **environment: str) -> Installation:
        """Return a copy that can be run and spoilt."""
        shutil.copytree(self.home, home, symlinks=True)
        return Installation(
            home=home,
            keys={name: _moved(key, self.home, home) for name, key in self.keys.items()},
            dfe=self.dfe,
            environment={**self.environment, **environment},
        )

    def status(self) -> Any:
        return self.do("status", "--json").json

    def submissions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.status()["submissions"]
        return found

    def ledger(self) -> list[dict[str, Any]]:
        """Return the events, after verifying the ledger."""
        verified = self.do("ledger", "verify", "--json").json
        assert verified["ok"] is True, verified
        events: list[dict[str, Any]] = self.do("ledger", "show", "--json").json
        return events


PAPERS = ("--agreement", "DPA-2024-01", "--impact-assessment", "DPIA-2024-01")
DECIDED = {"valid_from": "2024-04-01", "valid_until": "2099-03-31", "authorities": '["*"]', "measures": '["*"]'}
DECISION = """\
lciib_reference = "LCIIB 2024-04/7"
decided_on = 2024-04-01
purpose = "benchmarking"
recipient = "dfe"
collection = "riia-quarterly"
fields = ["*"]
measures = {measures}
authorities = {authorities}
periods_from = "2024-25-Q1"
valid_from = {valid_from}
valid_until = {valid_until}
conditions = ["internal and limited use"]
"""


def _moved(key: SshKey, old: Path, new: Path) -> SshKey:
    return SshKey(private=new / key.private.relative_to(old), public=new / key.public.relative_to(old))


def install(home: Path, *, authorities: Sequence[str] = ("camden", "hackney"), authorised: bool = True) -> Installation:
    """Set up a gateway from nothing, by commands only."""
    bare = Installation(home=home, keys={}, dfe=AgeKey(identity=home, recipient=""), environment=dict(QUICK))
    home.mkdir(parents=True, exist_ok=True)
    bare.do("init", home)
    people = home / "people"
    people.mkdir(exist_ok=True)
    people.chmod(0o700)
    keys = {slug: bare.add_authority(slug, collections=["riia-quarterly"]) for slug in authorities}
    keys["dfe"] = ssh_key(people / "dfe", "dfe")
    dfe = age_key(people / "dfe.age")
    bare.do(
        "recipient", "add", "dfe", "--name", "Department for Education", "--basis", "Appendix A",
        "--age-key", dfe.recipient, "--ssh-key", keys["dfe"].public, "--accept-label",
    )  # fmt: skip
    if authorised:
        bare.authorise_dfe()
    return Installation(home=home, keys=keys, dfe=dfe, environment=bare.environment)


class Service:
    """``gateway serve`` over an installation."""

    def __init__(self, installation: Installation) -> None:
        self.at = installation
        self.log = installation.home / "serve.log"
        self._ready = installation.home / "ready.json"
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def begin(self) -> None:
        """Start the process and do not wait for it."""
        assert self._process is None, "it runs already"
        self._ready.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "serve", "--ready-file", str(self._ready)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.at.full_environment(),
                cwd=self.at.home,
                start_new_session=True,
            )

    def await_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait until everything listens."""
        told = wait_until(self._look_ready, seconds=seconds, pause=0.02, what="the ready file")
        self._port = int(told["sftp_port"])

    def start(self) -> Service:
        self.begin()
        self.await_ready()
        return self

    def _look_ready(self) -> dict[str, Any] | None:
        assert self._process is not None
        code = self._process.poll()
        assert code is None, f"serve ended with {code}:\n{self.log_text()[-4000:]}"
        try:
            told: dict[str, Any] = json.loads(self._ready.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return told

    @property
    def port(self) -> int:
        return self._port

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill9(self) -> None:
        """Kill it and what it forked, at once, as a power cut would."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=STOP_SECONDS)
        self._process = None

    def terminate(self) -> int:
        """Ask it to drain and stop; return its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout=STOP_SECONDS)
        finally:
            self.kill9()

    def restart(self) -> None:
        self.terminate()
        self.start()

    def account(self, user: str, key: SshKey | None = None) -> Account:
        return Account(user=user, key=(key or self.at.keys[user]).private, port=self._port)

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def all_finished(self, count: int = 0, seconds: float = 60) -> list[dict[str, Any]]:
        """Wait until at least ``count`` submissions are there and every one is finished; return them."""

        def look() -> list[dict[str, Any]] | None:
            found = self.at.submissions()
            return found if len(found) >= count and all(one["finished_at"] for one in found) else None

        return wait_until(look, seconds=seconds, pause=0.2, what=f"{count} finished submissions")


@contextlib.contextmanager
def serving(installation: Installation) -> Iterator[Service]:
    """Run a service for as long as the block lasts."""
    service = Service(installation)
    try:
        service.start()
        yield service
    finally:
        if service.running:
            service.terminate()
        service.kill9()

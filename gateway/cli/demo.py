"""Shows the main job, with a real SFTP client against a real service, step by step.

Three authorities: Camden sends a good return; Hackney sends one with a wrong value, mends it and sends again; Barnet is
late. DfE gets its extract because, and only because, an LCIIB authorisation is in force. All data is synthetic.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TypeVar

import pyrage

from gateway.cli.output import out
from gateway.cli.setup import set_up
from gateway.db import submissions as rows
from gateway.db.calendar import set_due, set_participation
from gateway.desk import Desk, open_desk
from gateway.domain.expectation import DueOverride, Extension, Owed
from gateway.domain.london import london_date
from gateway.domain.names import AuthorityCode, CollectionId, RecipientCode, authority_owner, recipient_owner
from gateway.domain.period import Period, PeriodKind
from gateway.domain.sharing import Authorisation, Participation, Purpose, Recipient
from gateway.domain.states import AuthorisationState
from gateway.errors import GatewayError
from gateway.ledger.signers import IDENTITY, RECEIPT_NAMESPACE
from gateway.logs import set_up_logs
from gateway.service import Service
from gateway.settings import LogSettings, load_settings
from gateway.validation.sample import make_sample

T = TypeVar("T")

RIIA = CollectionId("riia-quarterly")
AUTHORITIES = ("camden", "hackney", "barnet")
RECIPIENTS = (("dfe", "Department for Education", "MoU Appendix A"), ("d2i", "Data to Insight", "MoU Appendix A"))
_MARK = ".gateway-demo"
_WAIT_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where the demo plays."""

    directory: Path
    desk: Desk
    period: Period
    port: int

    @property
    def keys(self) -> Path:
        """Return the folder with everybody's keys."""
        return self.directory / "people"

    def sftp(self, user: str, *commands: str) -> str:
        """Run commands through OpenSSH's client and return what it said."""
        options = (
            f"IdentitiesOnly=yes BatchMode=yes StrictHostKeyChecking=yes UserKnownHostsFile={self.keys}/known_hosts"
        )
        flags = [word for option in options.split() for word in ("-o", option)]
        done = _run(
            ["sftp", "-q", "-b", "-", "-P", str(self.port), "-i", str(self.keys / user), *flags, f"{user}@127.0.0.1"],
            "\n".join([*commands, ""]).encode(),
        )
        if done.returncode:
            raise GatewayError(f"sftp said: {done.stderr.decode().strip()[-300:]}", remedy="Run the demo again.")
        return done.stdout.decode()


def tell(directory: Path, port: int, *, once: bool) -> None:
    """Tell the story from an empty directory.

    Raises:
        GatewayError: something of it did not happen.
    """
    if shutil.which("sftp") is None or shutil.which("ssh-keygen") is None:
        raise GatewayError("The demo needs OpenSSH's client.", remedy="apt-get install openssh-client")
    directory = _emptied(directory)
    began = time.monotonic()
    _say(1, "An installation: settings, keys, database, the 33 authorities")
    set_up(directory)
    (directory / _MARK).touch()
    settings = load_settings(
        directory / "settings.toml",
        {
            "sftp": {"host": "127.0.0.1", "port": port, "reserve_bytes": 16 * 1024 * 1024},
            "calendar": {"look_seconds": 1, "hour": 0},
        },
    )
    set_up_logs(LogSettings(level="error", format="text"))
    desk = open_desk(settings)
    period = Period.containing(london_date(desk.clock.now()), PeriodKind.QUARTER).previous()
    _people(directory, desk, period)
    service = Service(desk)
    address = service.start()
    stage = Stage(directory=directory, desk=desk, period=period, port=address.sftp_port or 0)
    try:
        _trust_host(stage)
        _play(stage)
        out.print(f"\n[bold]Told in {time.monotonic() - began:.1f} s.[/] Everything is in {directory}", soft_wrap=True)
        if not once:
            _stay(stage)
    except KeyboardInterrupt:
        out.print("Stopping.")
    finally:
        service.stop(10)


def _play(stage: Stage) -> None:
    period = stage.period.label
    _say(3, "Late: Barnet sent nothing, and the due date was yesterday")
    notice = _until("a late notice", lambda: _names(stage, "barnet", "notices", "", "late"))[0]
    text = stage.sftp("barnet", f"get notices/{notice} {stage.keys}/late.txt") and (stage.keys / "late.txt").read_text()
    _told(f"notices/{notice} in Barnet's home", text.splitlines()[0])

    _say(4, "Good: Camden drops its indicators by sftp")
    _drop(stage, "camden", faults=0)
    receipt = _outcome(stage, "camden", 1)
    _told(f"receipts/{period}/{receipt}", _verified(stage, "camden", receipt))

    _say(5, "Bad: Hackney drops a file with a wrong value")
    began = time.monotonic()
    _drop(stage, "hackney", faults=1)
    page = _until("a report", lambda: _names(stage, "hackney", "reports", period, ".report.csv"))[0]
    stage.sftp("hackney", f"get reports/{period}/{page} {stage.keys}/errors.csv")
    _told(
        f"reports/{period}/{page.replace('.csv', '.html')} after {time.monotonic() - began:.1f} s", "the same as CSV:"
    )
    for line in (stage.keys / "errors.csv").read_text(encoding="utf-8-sig").splitlines()[:3]:
        out.print(f"     {line}", soft_wrap=True, markup=False)

    _say(6, "Mended: Hackney drops it again; Barnet drops too, late")
    _drop(stage, "hackney", faults=0)
    _told("Hackney", _verified(stage, "hackney", _outcome(stage, "hackney", 2)))
    _drop(stage, "barnet", faults=0)
    _told("Barnet", _verified(stage, "barnet", _outcome(stage, "barnet", 1)))

    _say(7, "DfE's outbox: an extract sealed to its key, under the decision in force; d2i has no decision")
    extract = _extract(stage)
    where = f"outbox/{period}/{extract.name} in DfE's home"
    _told(where, f"opened with its own key, {extract.rows} rows of {extract.authorities} authorities")
    nothing = _names(stage, "d2i", "outbox", "", "")
    _told("d2i's outbox", "holds " + (", ".join(nothing) if nothing else "nothing: no LCIIB decision names it"))

    _say(8, "The ledger proves it")
    verdict = stage.desk.verify_ledger()
    _told(
        "gateway ledger verify",
        f"{verdict.events} events, {verdict.checkpoints} signed checkpoints, "
        f"{'all sound' if verdict.ok else verdict.problems}",
    )
    with stage.desk.database.read() as connection:
        for one in reversed(rows.find(connection)):
            submission = one.submission
            out.print(
                f"     {submission.authority:8} {submission.collection} {period} "
                f"v{submission.version} {submission.state.value}"
            )


def _people(directory: Path, desk: Desk, period: Period) -> None:
    _say(2, "Three authorities, two recipients, one LCIIB decision by two people, a calendar")
    people = directory / "people"
    people.mkdir(mode=0o700)
    at = desk.clock.now()
    today = london_date(at)
    for user in (*AUTHORITIES, *(code for code, _, _ in RECIPIENTS)):
        made = _run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", user, "-f", str(people / user)], b"")
        if made.returncode:
            raise GatewayError("ssh-keygen made no key.", remedy="Look whether the disk is full.")
    for slug in AUTHORITIES:
        code = AuthorityCode(slug)
        desk.add_key(authority_owner(code), "demo", (people / f"{slug}.pub").read_text(), None, by="operator:demo")
        part = Participation(authority=code, collection=RIIA, since=period.end + timedelta(days=1))
        with desk.database.write() as tx:
            set_participation(tx, part, by="operator:demo", at=at)
    for slug, name, basis in RECIPIENTS:
        identity = pyrage.x25519.Identity.generate()
        (people / f"{slug}.age").write_text(f"{identity}\n")
        recipient = Recipient(code=RecipientCode(slug), name=name, basis=basis, seal_keys=(str(identity.to_public()),))
        desk.register.add_recipient(recipient, by="operator:demo", at=at)
        desk.register.accept_label(recipient.code, by="operator:demo", at=at)
        desk.add_key(
            recipient_owner(recipient.code), "demo", (people / f"{slug}.pub").read_text(), None, by="operator:demo"
        )
    decision = _decision(period, today)
    desk.register.propose(decision, at=at)
    desk.register.approve(decision.id, by="bob", at=at)
    override = DueOverride(
        collection=RIIA, period=period.label, due_on=today - timedelta(days=1), reason="demo", set_by="operator:demo"
    )
    with desk.database.write() as tx:
        set_due(tx, override, at=at)
    for slug in ("camden", "hackney"):
        owed = Owed(AuthorityCode(slug), RIIA, period.label)
        later = today + timedelta(days=7)
        desk.lookout.extend(
            Extension(owed=owed, new_due=later, reason="demo", granted_by="operator:demo", granted_at=at)
        )
    _told("authorities", "camden and hackney (extended by a week), barnet")
    _told("decision LCIIB demo/1", "dfe may have riia-quarterly; proposed by alice, approved by bob")


def _decision(period: Period, today: date) -> Authorisation:
    return Authorisation(
        id="demo-1",
        lciib_reference="LCIIB demo/1",
        decided_on=today,
        purpose=Purpose.BENCHMARKING,
        recipient=RecipientCode("dfe"),
        collection=RIIA,
        fields=("*",),
        authorities=(AuthorityCode("*"),),
        periods_from=period.label,
        periods_until=None,
        valid_from=today,
        valid_until=today + timedelta(days=365),
        state=AuthorisationState.PROPOSED,
        proposed_by="alice",
        conditions=("Internal and limited use.",),
    )


def _drop(stage: Stage, slug: str, *, faults: int) -> None:
    numbers = stage.desk.directory.numbers(AuthorityCode(slug))
    made = make_sample(
        stage.desk.catalogue[RIIA], numbers, stage.period, rows=31, faults=faults, seed=len(slug) + faults
    )
    ((name, content),) = made.items()
    path = stage.keys / name
    path.write_bytes(content)
    stage.sftp(slug, f"put {path} inbox/riia-quarterly/{stage.period.label}/{name}")
    _told(f"{slug} put {name}", f"{len(content):,} bytes")


def _outcome(stage: Stage, slug: str, version: int) -> str:
    def look() -> list[str]:
        return _names(stage, slug, "receipts", stage.period.label, f"-v{version}-", ".outcome.json.sig")

    return _until(f"an outcome receipt for {slug}", look)[0].removesuffix(".sig")


def _verified(stage: Stage, slug: str, name: str) -> str:
    """Fetch a receipt and check it as a borough would: with ssh-keygen."""
    here = Path(tempfile.mkdtemp(dir=stage.keys))
    folder = f"receipts/{stage.period.label}"
    stage.sftp(
        slug,
        f"get {folder}/{name} {here}/r.json",
        f"get {folder}/{name}.sig {here}/r.sig",
        f"get receipts/allowed_signers {here}/allowed",
    )
    allowed = f"{here}/allowed"
    done = _run(
        ["ssh-keygen", "-Y", "verify", "-I", IDENTITY, "-n", RECEIPT_NAMESPACE, "-f", allowed, "-s", f"{here}/r.sig"],
        (here / "r.json").read_bytes(),
    )  # fmt: skip
    if done.returncode:
        raise GatewayError("ssh-keygen does not accept a receipt.", remedy="Tell the maintainers.")
    receipt = json.loads((here / "r.json").read_text())
    timely = {True: "in time", False: "late", None: "no due date"}[receipt["in_time"]]
    return f"{receipt['outcome']}, {timely}; ssh-keygen: {done.stdout.decode().strip().splitlines()[0][:60]}..."


@dataclass(frozen=True, kw_only=True, slots=True)
class _Extract:
    name: str
    rows: int
    authorities: int


def _run(words: list[str], told: bytes) -> subprocess.CompletedProcess[bytes]:
    """Run one of OpenSSH's programs."""
    return subprocess.run(  # noqa: S603 (our own words; the program was looked for at the beginning)
        words, input=told, capture_output=True, timeout=_WAIT_SECONDS, check=False
    )


def _extract(stage: Stage) -> _Extract:
    def look() -> _Extract | None:
        names = _names(stage, "dfe", "outbox", stage.period.label, ".age")
        if not names:
            return None
        name = names[-1]
        stage.sftp("dfe", f"get outbox/{stage.period.label}/{name} {stage.keys}/extract.age")
        identity = pyrage.x25519.Identity.from_str((stage.keys / "dfe.age").read_text().strip())
        lines = pyrage.decrypt((stage.keys / "extract.age").read_bytes(), [identity]).decode().splitlines()[1:]
        found = len({line.split(",")[0] for line in lines})
        return _Extract(name=name, rows=len(lines), authorities=found) if found == len(AUTHORITIES) else None

    return _until("DfE's extract", look)


def _names(stage: Stage, slug: str, area: str, folder: str, *parts: str) -> list[str]:
    try:
        listed = stage.sftp(slug, f"ls -1 {area}/{folder}" if folder else f"ls -1 {area}")
    except GatewayError:
        return []
    names = [line.rpartition("/")[2] for line in listed.splitlines() if not line.startswith("sftp>")]
    return sorted(name for name in names if all(part in name for part in parts))


def _until(what: str, look: Callable[[], T | None]) -> T:
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise GatewayError(
        f"The demo waited {_WAIT_SECONDS} s in vain for {what}.", remedy="Run it again with --dir elsewhere."
    )


def _trust_host(stage: Stage) -> None:
    line = f"[127.0.0.1]:{stage.port} {stage.desk.host_key_line()}\n"
    (stage.keys / "known_hosts").write_text(line)


def _emptied(directory: Path) -> Path:
    """Empty an old demo; refuse anything else."""
    directory = directory.resolve()
    if directory.exists() and any(directory.iterdir()):
        if not (directory / _MARK).exists():
            raise GatewayError(
                f"{directory} is not empty and is not an old demo.",
                did="Nothing was touched.",
                remedy="Choose another with --dir.",
            )
        shutil.rmtree(directory)
    return directory


def _stay(stage: Stage) -> None:
    out.print("The service goes on until Ctrl-C. Look around as Camden or as DfE:", soft_wrap=True)
    for user in ("camden", "dfe"):
        out.print(
            f"  sftp -P {stage.port} -i {stage.keys / user} "
            f"-o UserKnownHostsFile={stage.keys / 'known_hosts'} {user}@127.0.0.1",
            soft_wrap=True,
        )
    threading.Event().wait()


def _say(number: int, text: str) -> None:
    out.print(f"\n[bold cyan]{number}.[/] [bold]{text}[/]", soft_wrap=True)


def _told(what: str, text: str) -> None:
    out.print(f"   [green]\u2713[/] {what}: {text}", soft_wrap=True)

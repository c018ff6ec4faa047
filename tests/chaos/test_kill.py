"""Kill -9 at random, many times, while clients upload: nothing acknowledged is lost, nothing is done twice.

* Three OpenSSH clients upload distinct returns and try again until they are told OK, as a borough's script would.
* Meanwhile the service is killed with SIGKILL, at a random instant after (or before) it listens, and started again.
* Afterwards the books are read: each acknowledged return is exactly one submission that counts; each submission has
  exactly one outcome, one receipt, one notice; each extract was delivered once; the ledger verifies.
"""

from __future__ import annotations

import itertools
import json
import queue
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.clients import Account
from support.homes import Home, looking
from support.keys import age_open
from support.returns import RIIA, digest, riia, written
from support.service import Installation, Service, wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(560)]

KILLS = 55
KILLING_SECONDS = 280
CLIENTS = 3
SEED = 20261125
AUTHORITIES = ("camden", "hackney", "islington", "lambeth")
PERIODS = [f"{year}-{year % 100 + 1}-Q{quarter}" for year in (2024, 2025) for quarter in (1, 2, 3, 4)]


@dataclass(kw_only=True)
class Errand:
    """One return to upload, and how that went."""

    authority: str
    period: str
    contacts: int
    content: bytes
    remote: str
    by_rename: bool
    slowly: bool
    attempts: int = 0
    acknowledged: bool = False

    @property
    def sha256(self) -> str:
        return digest(self.content)


@dataclass(kw_only=True)
class Tally:
    """How the killing went, printed at the end."""

    kills: int = 0
    while_starting: int = 0
    errands: list[Errand] = field(default_factory=list)


def errands(chance: random.Random) -> Iterator[Errand]:
    """Make returns without end: good ones, some with an error, some that are nothing known and take long; all distinct.

    Each authority sends the same period again and again, so that versions are superseded and extracts made anew.
    """
    for number in itertools.count():
        authority, period = chance.choice(AUTHORITIES), chance.choice(PERIODS)
        broken = {"A05": "many"} if chance.random() < 0.2 else {}
        content = riia(authority, period, contacts=10_000 + number, set_to=broken)
        folder = f"inbox/{RIIA}/{period}"
        slowly = chance.random() < 0.2
        if slowly:
            content, folder = f"note {number}\n".encode() * 4000, "inbox"
        yield Errand(
            authority=authority,
            period=period,
            contacts=10_000 + number,
            content=content,
            remote=f"{folder}/r{number}.csv",
            by_rename=chance.random() < 0.3,
            slowly=slowly,
        )


class Uploaders:
    """Threads that upload errands until each is acknowledged."""

    def __init__(self, service: Service, folder: Path, supply: Iterator[Errand]) -> None:
        self._service = service
        self._folder = folder
        self._supply = supply
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self.begun: list[Errand] = []
        self.trouble: queue.Queue[BaseException] = queue.Queue()
        self._threads = [threading.Thread(target=self._work, args=(one,), daemon=True) for one in range(CLIENTS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def finish(self, seconds: float) -> None:
        """Let each client complete its errand, and take up no other."""
        self._stopping.set()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(timeout=max(0.1, deadline - time.monotonic()))
            assert not thread.is_alive(), "a client did not come to an end"
        if not self.trouble.empty():
            raise self.trouble.get()

    def _work(self, number: int) -> None:
        try:
            while not self._stopping.is_set():
                with self._lock:
                    errand = next(self._supply)
                    self.begun.append(errand)
                self._run(errand, written(self._folder, f"client{number}.csv", errand.content))
        except BaseException as error:  # noqa: BLE001 (told to the test by the main thread)
            self.trouble.put(error)

    def _run(self, errand: Errand, local: Path) -> None:
        while not errand.acknowledged:
            port = self._service.port
            account = Account(user=errand.authority, key=self._service.at.keys[errand.authority].private, port=port)
            errand.attempts += 1
            options = ("-l", "500") if errand.slowly else ()
            part = f"{errand.remote}.part"
            by_rename = (f"put {local} {part}", f"rename {part} {errand.remote}")
            lines = by_rename if errand.by_rename else (f"put {local} {errand.remote}",)
            ran = account.sftp(*lines, options=options, timeout=60)
            errand.acknowledged = ran.ok
            if not ran.ok:
                time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def kill_at_random(service: Service, chance: random.Random, tally: Tally) -> None:
    """Start the service, let it live for a moment, kill it."""
    service.begin()
    if chance.random() < 0.15:
        time.sleep(chance.uniform(0.2, 2.0))
        tally.while_starting += 1
    else:
        service.await_ready()
        time.sleep(chance.uniform(0.05, 2.0))
    service.kill9()
    tally.kills += 1


@pytest.fixture(scope="module")
def survivors(installed: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Tally]]:
    """The service after all the killing, quiet again, and what happened."""
    folder = tmp_path_factory.mktemp("chaos")
    installation = installed.copied_to(folder / "gateway", GATEWAY__SFTP__PORT=str(free_port()))
    keys = dict(installation.keys)
    for slug in AUTHORITIES:
        if slug not in keys:
            keys[slug] = installation.add_authority(slug, keys["camden"], collections=[RIIA])
    installation = Installation(
        home=installation.home, keys=keys, dfe=installation.dfe, environment=installation.environment
    )
    chance = random.Random(SEED)
    service, tally = Service(installation), Tally()
    service.start()
    clients = Uploaders(service, folder / "out", errands(random.Random(SEED + 1)))
    clients.start()
    try:
        service.kill9()
        tally.kills += 1
        deadline = time.monotonic() + KILLING_SECONDS
        while tally.kills < KILLS and time.monotonic() < deadline:
            kill_at_random(service, chance, tally)
        service.start()
        clients.finish(60)
        service.all_finished(seconds=120)
        tally.errands = clients.begun
        _report(tally, service)
        yield service, tally
    finally:
        service.kill9()


def _report(tally: Tally, service: Service) -> None:
    attempts = sum(one.attempts for one in tally.errands)
    states = Counter(one["state"] for one in service.at.submissions())
    print(
        f"\n{tally.kills} kills ({tally.while_starting} while starting), {len(tally.errands)} returns, "
        f"{attempts} attempts, submissions: {dict(states)}"
    )


def _by_digest(service: Service) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for one in service.at.submissions():
        for file in one["files"]:
            found.setdefault(file["sha256"], []).append(one)
    return found


def test_enough_was_killed_and_enough_was_sent(survivors: tuple[Service, Tally]) -> None:
    _, tally = survivors
    assert tally.kills >= 50
    assert len(tally.errands) >= 30
    assert sum(one.attempts for one in tally.errands) > len(tally.errands), "some uploads were cut"


def test_every_acknowledged_return_is_exactly_one_submission(survivors: tuple[Service, Tally]) -> None:
    """A client that was not told OK sends the same again: those are duplicates, and say so."""
    service, tally = survivors
    found = _by_digest(service)
    for errand in tally.errands:
        assert errand.acknowledged
        of_it = found.get(errand.sha256, [])
        assert of_it, f"{errand.remote} was acknowledged and is lost"
        assert len(of_it) <= errand.attempts
        # An earlier attempt that was committed but not acknowledged may stand; if another version came between, the
        # repeat is a version of its own, as going back to older bytes always is.
        assert sum(one["state"] != "duplicated" for one in of_it) >= 1
    sent = {errand.sha256 for errand in tally.errands}
    assert set(found) <= sent, "something is there that nobody sent whole"


def test_each_attempt_made_at_most_one_submission_and_each_file_is_in_one(survivors: tuple[Service, Tally]) -> None:
    service, _ = survivors
    everything = service.at.submissions()
    assert len({one["id"] for one in everything}) == len(everything)
    assert all(len(one["files"]) == 1 for one in everything)
    received = Counter(one["facts"]["file"] for one in service.at.ledger() if one["action"] == "received")
    assert set(received.values()) == {1}
    assert len(received) == len(everything)


def test_every_submission_came_to_its_end(survivors: tuple[Service, Tally]) -> None:
    service, _ = survivors
    for one in service.at.submissions():
        assert one["finished_at"], one
        assert not one["held"], one
        assert one["state"] in {"receipted", "rejected", "quarantined", "duplicated", "superseded"}, one


def test_versions_count_without_gap_or_repeat(survivors: tuple[Service, Tally]) -> None:
    service, _ = survivors
    versions: dict[tuple[str, str, str], list[int]] = {}
    for one in service.at.submissions():
        if one["collection"] and one["state"] != "duplicated":
            versions.setdefault((one["authority"], one["collection"], one["period"]), []).append(one["version"])
    for counted in versions.values():
        assert sorted(counted) == list(range(1, len(counted) + 1))


def test_each_file_has_one_arrival_and_each_submission_one_outcome(survivors: tuple[Service, Tally]) -> None:
    service, _ = survivors
    for authority in AUTHORITIES:
        mine = [one["id"] for one in service.at.submissions() if one["authority"] == authority]
        with looking(service.account(authority)) as home:
            assert Counter(receipt["submission"] for _, receipt in home.outcomes()) == Counter(mine)
            arrivals = _arrivals(home, len(mine))
            assert sum(arrivals.values()) == len(mine)
            assert set(arrivals.values()) <= {1}
            papers = home.papers("receipts")
            assert sum(path.endswith(".json.sig") for path in papers) == 2 * len(mine)


def _arrivals(home: Home, count: int) -> Counter[str]:
    def all_there() -> list[str] | None:
        found = [path for path in home.papers("receipts") if path.endswith(".arrival.json")]
        return found if len(found) >= count else None

    paths = wait_until(all_there, what="arrival receipts") if count else []
    return Counter(json.loads(home.read(path))["submission"] for path in paths)


def test_each_notice_is_there_once(survivors: tuple[Service, Tally]) -> None:
    service, _ = survivors
    notified = Counter(one["key"] for one in service.at.ledger() if one["action"] == "notified")
    assert set(notified.values()) <= {1}
    for authority in AUTHORITIES:
        mine = [one for one in service.at.submissions() if one["authority"] == authority]
        with looking(service.account(authority)) as home:
            texts = [home.read(path) for path in home.papers("notices")]
            assert len(set(texts)) == len(texts), "a notice was written twice"
            for one in mine:
                assert sum(one["id"].encode() in text for text in texts) <= 1, one


def test_each_extract_was_delivered_once(survivors: tuple[Service, Tally]) -> None:
    service, _ = survivors
    offered = [one for one in service.at.ledger() if one["action"] == "offered"]
    outbox = service.account("dfe").read_all("outbox")
    extracts = {path: sealed for path, sealed in outbox.items() if path.endswith(".age")}
    assert extracts
    assert len({one["subject"] for one in offered}) == len(offered)
    assert len(extracts) <= len(offered)
    opened = Counter(age_open(sealed, service.at.dfe) for sealed in extracts.values())
    assert set(opened.values()) == {1}, "the same extract lies there twice"


def test_the_newest_extract_holds_what_stands(survivors: tuple[Service, Tally]) -> None:
    service, tally = survivors
    by_digest = {errand.sha256: errand for errand in tally.errands}
    standing = [one for one in service.at.submissions() if one["state"] == "receipted"]
    assert standing
    texts = [
        age_open(one, service.at.dfe)
        for path, one in service.account("dfe").read_all("outbox").items()
        if path.endswith(".age")
    ]
    for one in standing:
        errand = by_digest[one["files"][0]["sha256"]]
        assert any(str(errand.contacts).encode() in text for text in texts), one


def test_the_ledger_verifies_and_a_restart_changes_nothing(survivors: tuple[Service, Tally]) -> None:
    service, _ = survivors
    events = service.at.ledger()
    assert len({one["key"] for one in events}) == len(events)
    service.terminate()
    service.start()
    time.sleep(3)
    later = service.at.ledger()
    assert later[: len(events)] == events
    assert {one["action"] for one in later[len(events) :]} <= {"collected", "started", "stopped"}

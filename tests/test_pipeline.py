"""The story of one submission: crashed before and after each step, it ends the same, with every effect once."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyrage
import pytest

from gateway.cli.setup import set_up
from gateway.clock import FixedClock
from gateway.db import submissions as rows
from gateway.db.calendar import set_participation
from gateway.db.ledger import tail
from gateway.db.notices import read_notices
from gateway.desk import Desk, open_desk
from gateway.domain.names import AuthorityCode, Channel, CollectionId, RecipientCode, SubmissionId, authority_owner
from gateway.domain.period import Period
from gateway.domain.sharing import Authorisation, Participation, Purpose, Recipient
from gateway.domain.states import AuthorisationState, State
from gateway.domain.submission import Receipt
from gateway.engine import run_here
from gateway.pipeline import carry
from gateway.settings import load_settings
from gateway.validation.sample import make_sample

RIIA = CollectionId("riia-quarterly")
PERIOD = Period.parse("2026-27-Q2")
CAMDEN = AuthorityCode("camden")
NOON = datetime(2026, 10, 20, 12, tzinfo=UTC)
STEPS = ("received", "scanned", "validated", "sealed", "stored", "routed", "receipted")


class CrashError(Exception):
    """The machine stops here."""


def crashing(at: str, *, after: bool) -> Callable[..., object]:
    """Return a ``once`` that crashes one time."""
    noted: dict[str, object] = {}
    left = [at]

    def once(name: str, step: Callable[..., object], *arguments: object) -> object:
        if name in noted:
            return noted[name]
        if left == [name] and not after:
            left.clear()
            raise CrashError(name)
        result = step(*arguments)
        if left == [name]:
            left.clear()
            raise CrashError(name)
        noted[name] = result
        return result

    return once


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    set_up(tmp_path)
    made = open_desk(load_settings(tmp_path / "settings.toml", {"sftp": {"reserve_bytes": 0}}), clock=FixedClock(NOON))
    part = Participation(authority=CAMDEN, collection=RIIA, since=date(2024, 4, 1))
    with made.database.write() as tx:
        set_participation(tx, part, by="test", at=NOON)
    identity = pyrage.x25519.Identity.generate()
    dfe = Recipient(code=RecipientCode("dfe"), name="DfE", basis="Appendix A", seal_keys=(str(identity.to_public()),))
    made.register.add_recipient(dfe, by="test", at=NOON)
    made.register.accept_label(dfe.code, by="test", at=NOON)
    made.register.propose(decision(), at=NOON)
    made.register.approve("decision-1", by="bob", at=NOON)
    yield made
    made.close()


def decision() -> Authorisation:
    return Authorisation(
        id="decision-1",
        lciib_reference="LCIIB 2026/1",
        decided_on=date(2026, 4, 1),
        purpose=Purpose.BENCHMARKING,
        recipient=RecipientCode("dfe"),
        collection=RIIA,
        fields=("*",),
        authorities=(AuthorityCode("*"),),
        periods_from="2026-27-Q1",
        periods_until=None,
        valid_from=date(2026, 4, 1),
        valid_until=date(2027, 3, 31),
        state=AuthorisationState.PROPOSED,
        proposed_by="alice",
    )


def drop(desk: Desk, *, faults: int = 0, seed: int = 1) -> SubmissionId:
    """Drop one return and return its submission."""
    numbers = desk.directory.numbers(CAMDEN)
    ((name, content),) = make_sample(desk.catalogue[RIIA], numbers, PERIOD, rows=31, faults=faults, seed=seed).items()
    received = desk.reception.deliver(
        CAMDEN, (RIIA, PERIOD.label), name, io.BytesIO(content), channel=Channel.FOLDER, sent_by="test"
    )
    with desk.database.read() as connection:
        submission = rows.load(connection, received.submission).submission
    desk.answers.arrival(submission, received.file, ())
    return received.submission


def state_of(desk: Desk, submission: SubmissionId) -> State:
    with desk.database.read() as connection:
        return rows.load(connection, submission).submission.state


def effects(desk: Desk) -> dict[str, object]:
    """Return everything the story did, counted."""
    owner = authority_owner(CAMDEN)
    with desk.database.read() as connection:
        events = [one.action for _, one in tail(connection, 1000)]
        notices = [one.key.kind.value for one in read_notices(connection)]
    papers = [
        (area, one.name.split(".", 1)[1])
        for area in ("receipts", "reports")
        for one in desk.shelf.entries(owner, area, PERIOD.label)
    ]
    story = {*STEPS, "accepted", "rejected", "planned", "offered", "notified", "not_routed"}
    return {
        "events": Counter(action for action in events if action in story),
        "papers": Counter(papers),
        "notices": Counter(notices),
        "deliveries": Counter(one.state.value for one in desk.router.deliveries()),
        "objects": Counter(one.key.rpartition("/")[2] for one in desk.storage.list("returns/")),
    }


def told_whole(desk: Desk, submission: SubmissionId, once: Callable[..., object] = run_here) -> Receipt:
    try:
        return carry(submission, once, desk.steps)  # type: ignore[arg-type]
    except CrashError:
        return carry(submission, once, desk.steps)  # type: ignore[arg-type]


def test_a_good_return_is_told_to_its_receipt(desk: Desk) -> None:
    submission = drop(desk)
    receipt = told_whole(desk, submission)
    assert receipt.outcome is State.ACCEPTED
    assert state_of(desk, submission) is State.RECEIPTED
    assert effects(desk) == {
        "events": Counter(
            dict.fromkeys(("received", "scanned", "accepted", "sealed", "stored", "routed", "receipted"), 1)
            | {"planned": 1, "offered": 1, "notified": 1}
        ),
        "papers": Counter(
            {
                ("receipts", "arrival.html"): 1,
                ("receipts", "arrival.json"): 1,
                ("receipts", "arrival.json.sig"): 1,
                ("receipts", "outcome.html"): 1,
                ("receipts", "outcome.json"): 1,
                ("receipts", "outcome.json.sig"): 1,
                ("reports", "report.csv"): 1,
                ("reports", "report.html"): 1,
                ("reports", "report.json"): 1,
            }
        ),
        "notices": Counter({"accepted": 1}),
        "deliveries": Counter({"offered": 1}),
        "objects": Counter({"indicators.csv.sealed": 1}),
    }
    assert desk.verify_ledger().ok


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_around_a_step_changes_nothing_in_the_end(desk: Desk, step: str, after: bool) -> None:
    submission = drop(desk)
    receipt = told_whole(desk, submission, crashing(step, after=after))
    assert receipt.outcome is State.ACCEPTED
    counted = effects(desk)
    assert set(counted["events"].values()) == {1}  # type: ignore[attr-defined]
    assert set(counted["papers"].values()) == {1}  # type: ignore[attr-defined]
    assert counted["notices"] == Counter({"accepted": 1})
    assert counted["deliveries"] == Counter({"offered": 1})
    assert counted["objects"] == Counter({"indicators.csv.sealed": 1})
    assert desk.verify_ledger().ok


@pytest.mark.parametrize("step", ["received", "scanned", "validated", "receipted"])
def test_a_crash_on_the_way_to_a_rejection_changes_nothing_in_the_end(desk: Desk, step: str) -> None:
    receipt = told_whole(desk, drop(desk, faults=2), crashing(step, after=True))
    assert receipt.outcome is State.REJECTED
    counted = effects(desk)
    assert counted["events"] == Counter({"received": 1, "scanned": 1, "rejected": 1, "receipted": 1, "notified": 1})
    assert counted["deliveries"] == Counter()
    assert counted["objects"] == Counter()


def test_the_whole_story_told_again_from_the_first_step_changes_nothing(desk: Desk) -> None:
    submission = drop(desk)
    first = told_whole(desk, submission)
    before = effects(desk)
    assert told_whole(desk, submission) == first
    assert effects(desk) == before


def test_the_same_bytes_again_get_no_version_of_their_own(desk: Desk) -> None:
    first, second = drop(desk), drop(desk)
    told_whole(desk, first)
    receipt = told_whole(desk, second)
    assert receipt.outcome is State.DUPLICATED
    with desk.database.read() as connection:
        standing = rows.load(connection, second)
    assert (standing.duplicate_of, standing.submission.version) == (first, 1)


def test_a_new_version_supersedes_the_older_one(desk: Desk) -> None:
    first, second = drop(desk), drop(desk, seed=2)
    told_whole(desk, first)
    told_whole(desk, second)
    assert (state_of(desk, first), state_of(desk, second)) == (State.SUPERSEDED, State.RECEIPTED)


def test_an_older_version_that_is_slower_never_stands_over_a_newer_one(desk: Desk) -> None:
    first, second = drop(desk), drop(desk, seed=2)
    told_whole(desk, second)
    receipt = told_whole(desk, first)
    assert receipt.outcome is State.SUPERSEDED
    assert (state_of(desk, first), state_of(desk, second)) == (State.SUPERSEDED, State.RECEIPTED)


def test_going_back_to_an_older_version_is_a_new_version(desk: Desk) -> None:
    told_whole(desk, drop(desk))
    told_whole(desk, drop(desk, seed=2))
    third = drop(desk)
    told_whole(desk, third)
    with desk.database.read() as connection:
        assert rows.load(connection, third).submission.version == 3
    assert state_of(desk, third) is State.RECEIPTED


def test_a_return_that_comes_after_the_due_date_is_accepted_and_marked_late(desk: Desk) -> None:
    clock = desk.clock
    assert isinstance(clock, FixedClock)
    clock.advance(timedelta(days=30))
    receipt = told_whole(desk, drop(desk))
    content = desk.shelf.read(authority_owner(CAMDEN), "receipts", PERIOD.label, Path(receipt.path).name)
    assert b'"in_time": false' in (content or b"")

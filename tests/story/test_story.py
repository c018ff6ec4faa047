"""The main job, end to end, as the README tells it. One service, real clients, and the tools that people have.

The tests of this file follow each other: each is the next thing that happens.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from support.clients import Account
from support.homes import Home, Outcome, looking
from support.keys import age_open, verify_receipt
from support.returns import RIIA, digest, riia, written
from support.service import Service, wait_until

PERIOD = "2026-27-Q2"
INBOX = f"inbox/{RIIA}/{PERIOD}"
CANARY = "Zanzibar-Quillfeather-0417"
"""A value that stands for a child's name: it may be seen in its own authority's report and nowhere else."""
WITHIN_SECONDS = 2.0


@pytest.fixture
def camden(service: Service) -> Account:
    return service.account("camden")


@pytest.fixture
def home(camden: Account) -> Iterator[Home]:
    with looking(camden) as looked_at:
        yield looked_at


def seconds_between(service: Service, sha256: str, first: str, last: str) -> float:
    """Return the time from one event to another in the life of the submission of a file, as the ledger tells it."""
    events = service.at.ledger()
    subject = next(one["subject"] for one in events if one["facts"].get("sha256") == sha256)
    at = {one["action"]: datetime.fromisoformat(one["at"]) for one in events if one["subject"] == subject}
    return (at[last] - at[first]).total_seconds()


BAD = riia("camden", PERIOD, set_to={"A02": CANARY})
GOOD = riia("camden", PERIOD, contacts=417)


def test_a_bad_return_is_answered_within_seconds_with_what_to_mend(
    service: Service, camden: Account, home: Home, tmp_path: Path
) -> None:
    assert camden.put(written(tmp_path, "Q2 return.csv", BAD), f"{INBOX}/Q2 return.csv").ok
    answer = home.outcome_for(digest(BAD), seconds=20)
    assert answer.outcome == "rejected"
    assert seconds_between(service, digest(BAD), "received", "receipted") < WITHIN_SECONDS

    found = list(csv.DictReader(io.StringIO(answer.report_csv.lstrip("\ufeff"))))
    (cell,) = [row for row in found if CANARY in row.values()]
    assert "Q2 return.csv" in cell.values()
    assert "measure_value" in cell.values()
    assert "3" in cell.values(), "the header is row 1, A01 row 2, A02 row 3"
    assert any("number" in value.lower() for value in cell.values())
    assert any(value.endswith(".") and value[0].isupper() for value in cell.values()), "a remedy in a sentence"
    assert CANARY in answer.report_html
    assert CANARY not in answer.raw.decode(), "a receipt is shown to others; a report is not"


def test_mended_it_is_accepted_with_a_receipt_that_ssh_keygen_accepts(
    camden: Account, home: Home, tmp_path: Path
) -> None:
    assert camden.put(written(tmp_path, "riia.csv", GOOD), f"{INBOX}/riia.csv").ok
    answer = home.outcome_for(digest(GOOD), seconds=20)
    assert answer.outcome == "accepted"
    signers = home.read("receipts/allowed_signers")
    good, said = verify_receipt(answer.raw, answer.signature, signers, tmp_path / "verify")
    assert good, said
    arrivals = [path for path in home.papers(f"receipts/{PERIOD}") if path.endswith(".arrival.json")]
    assert len(arrivals) == 2, "one for each file that came"
    for path in arrivals:
        good, said = verify_receipt(home.read(path), home.read(f"{path}.sig"), signers, tmp_path / "verify")
        assert good, said


def test_the_receipt_can_be_checked_against_the_ledger(service: Service, home: Home, tmp_path: Path) -> None:
    answer = home.outcome_for(digest(GOOD))
    receipt = written(tmp_path, "r.json", answer.raw)
    signature = written(tmp_path, "r.json.sig", answer.signature)
    service.at.do("receipt", "verify", receipt, "--signature", signature)
    forged = written(tmp_path, "forged.json", answer.raw.replace(b"accepted", b"rejected"))
    assert service.at.command("receipt", "verify", forged, "--signature", signature).code != 0


def test_dfe_finds_its_extract_and_opens_it_with_age(service: Service) -> None:
    outbox = wait_until(lambda: service.account("dfe").read_all("outbox"), seconds=30, what="an extract")
    (path,) = [path for path in outbox if PERIOD in path and path.endswith(".age")]
    assert b"measure" not in outbox[path]
    opened = age_open(outbox[path], service.at.dfe).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(opened)))
    assert any("417" in row.values() for row in rows)
    assert any("202" in row.values() for row in rows)


def test_the_ledger_tells_under_which_decision(service: Service) -> None:
    events = service.at.ledger()
    offered = [one for one in events if one["action"] == "offered"]
    assert offered
    assert all("LCIIB 2024-04/7" in str(one["facts"]) for one in offered)
    wait_until(
        lambda: [one for one in service.at.ledger() if one["action"] == "collected" and "dfe" in one["actor"]],
        seconds=10,
        what="that DfE collected it",
    )


def test_the_same_bytes_again_are_a_duplicate_and_nothing_more_is_sent(
    service: Service, camden: Account, home: Home, tmp_path: Path
) -> None:
    before = service.account("dfe").names("outbox")
    assert camden.put(written(tmp_path, "again.csv", GOOD), f"{INBOX}/again.csv").ok
    answers = wait_until(lambda: _pair(home.outcomes_for(digest(GOOD))), seconds=20, what="the second answer")
    assert sorted(one.outcome for one in answers) == ["accepted", "duplicated"]
    assert service.account("dfe").names("outbox") == before


def _pair(found: list[Outcome]) -> list[Outcome]:
    return found if len(found) == 2 else []


def test_what_is_missing_when_it_is_due_raises_a_notice(service: Service, home: Home) -> None:
    def late() -> list[str]:
        return [path for path in home.papers("notices") if "late" in path]

    wait_until(late, seconds=20, what="a late notice")
    words = "\n".join(home.read(path).decode() for path in late())
    assert "2026-27-Q1" in words
    expected = [one for one in service.at.status()["matrix"] if one["authority"] == "camden"]
    states = {(one["collection"], one["period"]): one["state"] for one in expected}
    assert states[RIIA, "2026-27-Q1"] in {"late", "missing"}
    assert states[RIIA, PERIOD] in {"accepted_late", "accepted_on_time"}


def test_each_notice_is_raised_once_however_often_the_service_looks(service: Service, home: Home) -> None:
    before = sorted(home.papers("notices"))
    looked = service.log_text().count("\n")
    service.restart()
    wait_until(lambda: service.log_text().count("\n") > looked, seconds=20, what="a sign of life")
    time.sleep(3)  # the calendar is looked at every second
    with looking(service.account("camden")) as after:
        assert sorted(after.papers("notices")) == before
        words = [after.read(path) for path in before if path.endswith(".txt")]
    assert len(set(words)) == len(words)


def test_what_is_stored_opens_with_the_key_of_its_collection(service: Service, tmp_path: Path) -> None:
    storage = service.at.data / "storage"
    (sealed,) = [path for path in storage.rglob("*.sealed") if f"{RIIA}/{PERIOD}/camden" in str(path)]
    key = tmp_path / "collection.key"
    service.at.do("key", "export", f"{RIIA}/2026", "--out", key)
    service.at.do("unseal", sealed, "--key", key, "--out", tmp_path / "opened.csv")
    assert (tmp_path / "opened.csv").read_bytes() == GOOD, "canonical as it was sent"
    service.at.do("unseal", sealed.relative_to(storage), "--out", tmp_path / "by-name.csv")
    assert (tmp_path / "by-name.csv").read_bytes() == GOOD
    service.at.do("key", "export", "home", "--out", tmp_path / "other.key")
    wrong = service.at.command("unseal", sealed, "--key", tmp_path / "other.key", "--out", tmp_path / "no.csv")
    assert wrong.code == 2
    assert not (tmp_path / "no.csv").exists()


def test_a_marked_value_is_nowhere_in_plain_but_in_its_own_report(
    service: Service, camden: Account, home: Home, tmp_path: Path
) -> None:
    """Promises 4 and 8: the whole data directory, the log and the ledger are searched, mid-upload and after."""
    assert camden.put(written(tmp_path, "half", BAD), f"{INBOX}/half.csv.part").ok
    with camden.session() as session, session.open(f"{INBOX}/open.csv", "wb") as upload:
        upload.write(BAD)
        upload.flush()
        found = holding(service, CANARY)
    assert CANARY in home.outcome_for(digest(BAD)).report_html
    assert not found + holding(service, CANARY)
    for command in (("ledger", "show", "--json"), ("status", "--json")):
        assert CANARY not in service.at.do(*command).out
    assert not [path for path in home.papers("notices") if CANARY.encode() in home.read(path)]


def test_file_names_are_not_logged(service: Service) -> None:
    """A file's name may be a child's name."""
    log = service.log_text()
    assert "Q2 return" not in log
    assert "Traceback" not in log


def holding(service: Service, text: str) -> list[Path]:
    """Return the files below the installation (data and log) that hold a text in plain."""
    places = [path for path in service.at.home.rglob("*") if path.is_file()]
    assert len(places) > 10
    return [path for path in places if _holds(path, text.encode())]


def _holds(path: Path, text: bytes) -> bool:
    try:
        return text in path.read_bytes()
    except FileNotFoundError:
        return False  # taken away between listing and reading

"""One authority never sees another's names, sizes, errors or existence (promise 8)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clients import Account, walk
from support.homes import looking
from support.returns import RIIA, digest, riia, written
from support.service import Service

pytestmark = pytest.mark.clients

INBOX = f"inbox/{RIIA}/2026-27-Q2"
SECRET = "hackney-only-7319.csv"


@pytest.fixture(scope="module")
def sent(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Hackney has sent a return and has its receipt; another upload of its lies half-way. Yields the receipt's path."""
    folder = tmp_path_factory.mktemp("hackney")
    content = riia("hackney", "2026-27-Q2", contacts=7319)
    hackney = service.account("hackney")
    assert hackney.put(written(folder, SECRET, content), f"{INBOX}/{SECRET}").ok
    assert hackney.put(written(folder, "half", content), f"{INBOX}/half-7319.part").ok
    with looking(hackney) as home:
        yield home.outcome_for(digest(content)).path


def test_nothing_of_another_is_listed_anywhere(camden: Account, sent: str) -> None:
    with camden.session() as session:
        seen = walk(session, ".") + walk(session, "/")
    assert not [path for path in seen if "7319" in path or "hackney" in path]


@pytest.mark.parametrize(
    "reach",
    ["..", "/..", "/hackney", "../hackney", "/../hackney/inbox", "/home/hackney", "authority:hackney", "/data", "/etc"],
)
def test_another_home_is_as_absent_as_one_that_never_was(camden: Account, sent: str, reach: str) -> None:
    there = camden.sftp(f"ls -1 {reach}")
    never = camden.sftp(f"ls -1 {reach.replace('hackney', 'atlantis')}")
    assert there.code == never.code
    assert there.said.replace("hackney", "atlantis") == never.said.replace("hackney", "atlantis")
    assert "7319" not in there.said
    assert "passwd" not in there.said


def test_another_receipt_cannot_be_fetched_by_its_path(camden: Account, sent: str, tmp_path: Path) -> None:
    for reach in (sent, f"/hackney/{sent}", f"../hackney/{sent}", f"inbox/../../hackney/{sent}"):
        ran = camden.sftp(f"get {reach} {tmp_path / 'stolen'}")
        assert not ran.ok
        assert not (tmp_path / "stolen").exists()


def test_another_file_cannot_be_touched(camden: Account, hackney: Account, sent: str, tmp_path: Path) -> None:
    mine = written(tmp_path, "mine.csv", b"mine")
    for reach in ("/hackney/inbox", "../hackney/inbox", f"../hackney/{INBOX}"):
        for line in (
            f"put {mine} {reach}/mine.csv",
            f"rm {reach}/half-7319.part",
            f"rename {reach}/half-7319.part {reach}/gone",
            f"mkdir {reach}/mine",
            f"symlink {reach} inbox/link",
        ):
            assert not camden.sftp(line).ok, line
    assert "half-7319.part" in hackney.names(INBOX)


def test_a_recipient_sees_its_outbox_and_no_inbox(service: Service, sent: str) -> None:
    dfe = service.account("dfe")
    assert "outbox" in dfe.names(".")
    with dfe.session() as session:
        assert not [path for path in walk(session, ".") if SECRET in path or path.startswith("./inbox/")]


def test_the_same_name_in_two_homes_is_two_files(camden: Account, hackney: Account, tmp_path: Path) -> None:
    for account, contacts in ((camden, 11), (hackney, 12)):
        content = riia(account.user, "2025-26-Q4", contacts=contacts)
        assert account.put(
            written(tmp_path / account.user, "same.csv", content), f"inbox/{RIIA}/2025-26-Q4/same.csv"
        ).ok
        with looking(account) as home:
            assert home.outcome_for(digest(content)).outcome == "accepted"

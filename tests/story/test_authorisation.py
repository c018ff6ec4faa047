"""Nothing leaves without a decision of the LCIIB in force, and the ledger says why (promise 5)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.homes import looking
from support.returns import RIIA, digest, riia, written
from support.service import Installation, Service, serving, wait_until


@pytest.fixture(scope="module")
def closed(installed: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose only decision was revoked."""
    installation = installed.copied_to(tmp_path_factory.mktemp("closed") / "gateway")
    (entry,) = installation.do("authorisation", "list", "--json").json
    installation.do("authorisation", "revoke", entry["id"], "--by", "bob", "--reason", "the board asked")
    with serving(installation) as running:
        yield running


def drop(service: Service, tmp_path: Path, period: str, contacts: int) -> str:
    """Send a good return of Camden's, wait for its acceptance, and return its digest."""
    content = riia("camden", period, contacts=contacts)
    account = service.account("camden")
    assert account.put(written(tmp_path, "riia.csv", content), f"inbox/{RIIA}/{period}/riia.csv").ok
    with looking(account) as home:
        assert home.outcome_for(digest(content)).outcome == "accepted"
    return digest(content)


def refusals(service: Service, sha256: str) -> str:
    """Return what the ledger says about who did not get a return."""
    events = service.at.ledger()
    subject = next(one["subject"] for one in events if one["facts"].get("sha256") == sha256)
    (routed,) = [one for one in events if one["subject"] == subject and one["action"] == "routed"]
    assert routed["facts"]["deliveries"] == []
    return " ".join(routed["facts"]["refusals"])


def test_without_a_decision_in_force_nothing_is_made_and_the_ledger_says_why(closed: Service, tmp_path: Path) -> None:
    sha256 = drop(closed, tmp_path, "2025-26-Q1", 31)
    assert closed.account("dfe").names("outbox") == []
    why = refusals(closed, sha256)
    assert "dfe" in why
    assert "authorisation" in why


def test_a_decision_that_is_only_proposed_or_approved_by_its_proposer_lets_nothing_out(
    closed: Service, tmp_path: Path
) -> None:
    proposed = closed.at.propose_dfe()
    alone = closed.at.command("authorisation", "approve", proposed, "--by", "alice")
    assert alone.code != 0
    assert "another" in (alone.out + alone.err).lower() or "second" in (alone.out + alone.err).lower()
    assert "authorisation" in refusals(closed, drop(closed, tmp_path, "2025-26-Q2", 32))
    assert closed.account("dfe").names("outbox") == []


def test_a_decision_that_is_over_lets_nothing_out(closed: Service, tmp_path: Path) -> None:
    closed.at.authorise_dfe(valid_until="2024-12-31")
    assert "authorisation" in refusals(closed, drop(closed, tmp_path, "2025-26-Q3", 33))
    assert closed.account("dfe").names("outbox") == []


def test_a_decision_for_another_authority_lets_nothing_of_this_one_out(closed: Service, tmp_path: Path) -> None:
    closed.at.authorise_dfe(authorities='["hackney"]')
    drop(closed, tmp_path, "2025-26-Q4", 34)
    assert closed.account("dfe").names("outbox") == []


def test_what_nobody_collected_is_taken_back_when_its_decision_is_revoked(closed: Service, tmp_path: Path) -> None:
    decision = closed.at.authorise_dfe()
    drop(closed, tmp_path, "2026-27-Q1", 35)
    wait_until(lambda: closed.account("dfe").names("outbox"), seconds=20, what="an extract")
    closed.at.do("authorisation", "revoke", decision, "--by", "bob", "--reason", "withdrawn by the board")
    wait_until(lambda: not _files(closed), seconds=20, what="an empty outbox")


def _files(service: Service) -> list[str]:
    return list(service.account("dfe").read_all("outbox"))

"""``lftp`` and ``rclone`` as Debian ships them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.clients import Account, cut_upload
from support.homes import Home
from support.returns import RIIA, digest

pytestmark = pytest.mark.clients

PERIOD = "2026-27-Q1"
INBOX = f"inbox/{RIIA}/{PERIOD}"
MEBIBYTE = 1024 * 1024


def test_lftp_puts(camden: Account, home: Home, a_return: Callable[..., Path]) -> None:
    sent = a_return(PERIOD, name="by-lftp.csv")
    ran = camden.lftp(f"cd {INBOX}", f"put {sent}")
    assert ran.ok, ran.said
    assert home.outcome_for(digest(sent.read_bytes())).outcome == "accepted"


def test_lftp_mirrors_a_folder(camden: Account, home: Home, a_return: Callable[..., Path]) -> None:
    sent = [a_return(PERIOD, name="mirrored 1.csv"), a_return(PERIOD, name="mirrored 2.csv")]
    ran = camden.lftp(f"mirror -R --no-perms {sent[0].parent} {INBOX}")
    assert ran.ok, ran.said
    for one in sent:
        assert home.outcome_for(digest(one.read_bytes()))


def test_lftp_mirrors_again_and_sends_nothing_twice(camden: Account, home: Home, a_return: Callable[..., Path]) -> None:
    sent = a_return(PERIOD, name="mirrored-again.csv")
    for _ in range(2):
        ran = camden.lftp(f"mirror -R --no-perms --only-newer {sent.parent} {INBOX}")
        assert ran.ok, ran.said
    sha256 = digest(sent.read_bytes())
    home.outcome_for(sha256)
    answers = home.outcomes_for(sha256)
    assert [one.outcome for one in answers if one.outcome != "duplicated"] == ["accepted"]


def test_lftp_resumes_a_cut_upload(camden: Account, home: Home, a_return: Callable[..., Path]) -> None:
    sent = a_return(PERIOD, name="resumed.csv", padded_to=6 * MEBIBYTE)
    cut_upload(camden, sent, f"{INBOX}/resumed.csv", after_bytes=MEBIBYTE)
    ran = camden.lftp(f"cd {INBOX}", f"reput {sent}")
    assert ran.ok, ran.said
    assert home.outcome_for(digest(sent.read_bytes()))


def test_lftp_collects_receipts(camden: Account, home: Home, a_return: Callable[..., Path], tmp_path: Path) -> None:
    sent = a_return(PERIOD)
    assert camden.put(sent, f"{INBOX}/collected.csv").ok
    outcome = home.outcome_for(digest(sent.read_bytes()))
    ran = camden.lftp(f"mirror receipts {tmp_path / 'receipts'}")
    assert ran.ok, ran.said
    assert (tmp_path / outcome.path).read_bytes() == outcome.raw


def test_rclone_copies_and_checks(camden: Account, home: Home, a_return: Callable[..., Path]) -> None:
    """``check`` compares sizes: the gateway runs no shell, so rclone has no checksum command to ask."""
    sent = a_return(PERIOD, name="by-rclone.csv")
    ran = camden.rclone("copy", str(sent.parent), f":sftp:{INBOX}")
    assert ran.ok, ran.said
    ran = camden.rclone("check", "--one-way", str(sent.parent), f":sftp:{INBOX}")
    assert ran.ok, ran.said
    assert home.outcome_for(digest(sent.read_bytes())).outcome == "accepted"


def test_rclone_copies_again_and_sends_nothing_twice(
    camden: Account, home: Home, a_return: Callable[..., Path]
) -> None:
    sent = a_return(PERIOD, name="rcloned-again.csv")
    for _ in range(2):
        assert camden.rclone("copy", str(sent.parent), f":sftp:{INBOX}").ok
    sha256 = digest(sent.read_bytes())
    home.outcome_for(sha256)
    assert [one.outcome for one in home.outcomes_for(sha256) if one.outcome != "duplicated"] == ["accepted"]


def test_rclone_collects_receipts(camden: Account, home: Home, a_return: Callable[..., Path], tmp_path: Path) -> None:
    sent = a_return(PERIOD)
    assert camden.put(sent, f"{INBOX}/collected-too.csv").ok
    outcome = home.outcome_for(digest(sent.read_bytes()))
    ran = camden.rclone("copy", ":sftp:receipts", str(tmp_path / "receipts"))
    assert ran.ok, ran.said
    assert (tmp_path / outcome.path).read_bytes() == outcome.raw

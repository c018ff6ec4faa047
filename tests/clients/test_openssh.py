"""OpenSSH ``sftp`` and ``scp``: put, rename, list, collect, resume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.clients import Account, cut_upload, quoted, size_of
from support.homes import Home
from support.keys import ssh_key, verify_receipt
from support.returns import RIIA, digest
from support.service import Service

pytestmark = pytest.mark.clients

PERIOD = "2026-27-Q2"
INBOX = f"inbox/{RIIA}/{PERIOD}"
MEBIBYTE = 1024 * 1024


def test_a_put_is_answered_with_a_receipt(camden: Account, home: Home, a_return: Callable[..., Path]) -> None:
    sent = a_return()
    ran = camden.put(sent, f"{INBOX}/{sent.name}")
    assert ran.ok, ran.said
    assert home.outcome_for(digest(sent.read_bytes())).outcome == "accepted"


def test_a_put_into_a_folder_by_cd_and_a_new_folder_by_mkdir(
    camden: Account, home: Home, a_return: Callable[..., Path]
) -> None:
    sent = a_return()
    ran = camden.sftp("cd inbox", f"-mkdir {RIIA}", f"cd {RIIA}", f"-mkdir {PERIOD}", f"cd {PERIOD}", f"put {sent}")
    assert ran.ok, ran.said
    assert home.outcome_for(digest(sent.read_bytes())).outcome == "accepted"


def test_a_temporary_name_waits_for_its_rename(
    camden: Account, home: Home, a_return: Callable[..., Path], service: Service
) -> None:
    sent = a_return()
    sha256 = digest(sent.read_bytes())
    assert camden.put(sent, f"{INBOX}/waiting.csv.filepart").ok
    assert "waiting.csv.filepart" in camden.names(INBOX)
    assert sha256 not in {file["sha256"] for one in service.at.submissions() for file in one["files"]}
    ran = camden.sftp(f"rename {INBOX}/waiting.csv.filepart {INBOX}/waiting.csv")
    assert ran.ok, ran.said
    assert home.outcome_for(sha256).outcome == "accepted"


def test_a_received_file_stays_listed_with_its_size(camden: Account, a_return: Callable[..., Path]) -> None:
    sent = a_return(name="listed.csv")
    assert camden.put(sent, f"{INBOX}/listed.csv").ok
    ran = camden.sftp(f"ls -l {INBOX}")
    (line,) = [line for line in ran.out.splitlines() if line.endswith("listed.csv")]
    assert str(sent.stat().st_size) in line.split()


def test_the_home_shows_its_folders_and_papers(camden: Account) -> None:
    names = camden.names(".")
    assert {"inbox", "receipts", "reports", "notices", "outbox", "README.txt", "DEADLINES.txt"} <= set(names)


def test_a_collected_receipt_verifies(
    camden: Account, home: Home, a_return: Callable[..., Path], tmp_path: Path
) -> None:
    sent = a_return()
    assert camden.put(sent, f"{INBOX}/{sent.name}").ok
    path = home.outcome_for(digest(sent.read_bytes())).path
    ran = camden.sftp(
        f"get {path} {tmp_path / 'got.json'}",
        f"get {path}.sig {tmp_path / 'got.json.sig'}",
        f"get receipts/allowed_signers {tmp_path / 'signers'}",
    )
    assert ran.ok, ran.said
    receipt, signature = (tmp_path / "got.json").read_bytes(), (tmp_path / "got.json.sig").read_bytes()
    signers = (tmp_path / "signers").read_bytes()
    good, said = verify_receipt(receipt, signature, signers, tmp_path / "verify")
    assert good, said
    forged, _ = verify_receipt(receipt.replace(b"accepted", b"rejected"), signature, signers, tmp_path / "verify")
    assert not forged


def test_papers_cannot_be_written_or_removed(camden: Account, home: Home, a_return: Callable[..., Path]) -> None:
    sent = a_return()
    assert camden.put(sent, f"{INBOX}/{sent.name}").ok
    path = home.outcome_for(digest(sent.read_bytes())).path
    before = home.read(path)
    for line in (
        f"put {sent} receipts/mine.json",
        f"put {sent} {path}",
        f"rm {path}",
        f"rename {path} {path}.old",
        f"put {sent} notices/mine.txt",
        f"put {sent} DEADLINES.txt",
    ):
        assert not camden.sftp(line).ok, line
    with camden.session() as session, session.open(path, "rb") as stream:
        assert stream.read() == before


def test_a_cut_upload_is_no_submission_and_reput_completes_it(
    camden: Account, home: Home, a_return: Callable[..., Path], service: Service
) -> None:
    sent = a_return(name="long.csv", padded_to=6 * MEBIBYTE)
    sha256 = digest(sent.read_bytes())
    cut_upload(camden, sent, f"{INBOX}/long.csv", after_bytes=MEBIBYTE)
    there = size_of(camden, f"{INBOX}/long.csv")
    assert MEBIBYTE <= there < sent.stat().st_size
    assert all(file["name"] != "long.csv" for one in service.at.submissions() for file in one["files"])
    ran = camden.sftp(f"reput {quoted(sent)} {quoted(f'{INBOX}/long.csv')}")
    assert ran.ok, ran.said
    assert home.outcome_for(sha256).receipt["files"][0]["sha256"] == sha256


def test_a_cut_upload_that_is_sent_anew_is_whole(camden: Account, home: Home, a_return: Callable[..., Path]) -> None:
    sent = a_return(name="anew.csv", padded_to=6 * MEBIBYTE)
    cut_upload(camden, sent, f"{INBOX}/anew.csv", after_bytes=MEBIBYTE)
    assert camden.put(sent, f"{INBOX}/anew.csv").ok
    assert home.outcome_for(digest(sent.read_bytes()))


def test_appending_as_rsync_partial_does_completes_a_file(
    camden: Account, home: Home, a_return: Callable[..., Path]
) -> None:
    """rsync itself cannot speak SFTP: it needs a shell and itself at the other end, and the gateway has neither.

    What ``--partial`` (or ``--append``) does is done here by hand: see how much is there, and write on from there.
    """
    sent = a_return(name="grown.csv.part", padded_to=2 * MEBIBYTE)
    content = sent.read_bytes()
    with camden.session() as session:
        with session.open(f"{INBOX}/grown.csv.part", "wb") as stream:
            stream.write(content[:MEBIBYTE])
        there = session.stat(f"{INBOX}/grown.csv.part").st_size or 0
        assert there == MEBIBYTE
        with session.open(f"{INBOX}/grown.csv.part", "ab") as stream:
            stream.write(content[there:])
        session.rename(f"{INBOX}/grown.csv.part", f"{INBOX}/grown.csv")
    assert home.outcome_for(digest(content))


@pytest.mark.parametrize("options", [(), ("-p",), ("-l", "80000")], ids=["plain", "keeping times", "limited"])
def test_scp_leaves_the_content_intact(
    camden: Account, home: Home, a_return: Callable[..., Path], options: tuple[str, ...]
) -> None:
    sent = a_return(name="by-scp.csv", padded_to=300_000)
    ran = camden.scp(sent, f"{INBOX}/by-scp.csv", *options)
    assert ran.ok, ran.said
    assert home.outcome_for(digest(sent.read_bytes())).receipt["files"][0]["sha256"] == digest(sent.read_bytes())


def test_scp_over_a_longer_file_of_the_same_name_leaves_no_tail(
    camden: Account, home: Home, a_return: Callable[..., Path]
) -> None:
    longer, shorter = a_return(name="a.csv", padded_to=200_000), a_return(name="b.csv")
    assert camden.scp(longer, f"{INBOX}/same.csv").ok
    assert camden.scp(shorter, f"{INBOX}/same.csv").ok
    assert home.outcome_for(digest(shorter.read_bytes()))


def test_a_stranger_and_a_wrong_key_hear_the_same(service: Service, tmp_path: Path) -> None:
    stranger = ssh_key(tmp_path / "stranger", "stranger")
    answers = {
        service.account("camden", stranger).sftp("ls").said.replace("camden", "USER"),
        service.account("hackney", service.at.keys["camden"]).sftp("ls").said.replace("hackney", "USER"),
        service.account("nobody-at-all", stranger).sftp("ls").said.replace("nobody-at-all", "USER"),
    }
    assert len(answers) == 1, answers
    assert "denied" in answers.pop()


def test_there_is_no_shell(camden: Account) -> None:
    from support.clients import HOST, OPTIONS, run  # noqa: PLC0415 (only here)

    ran = run(
        ["ssh", *OPTIONS, "-i", str(camden.key), "-p", str(camden.port), f"{camden.user}@{HOST}", "id"], timeout=60
    )
    assert not ran.ok
    assert "uid=" not in ran.said

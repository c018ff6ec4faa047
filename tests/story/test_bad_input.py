"""Bad input gets a clear answer and loses nothing: one test a row of the list.

Each file is sent by real SFTP to one running service. "Answered" means: a signed outcome receipt that names the file's
digest and says what was found or how to mend it. "Nothing lost" means: the bytes that were acknowledged are the bytes
that the receipt names.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import paramiko
import pytest
import pyzipper
from support.clients import Account, cut_upload, read
from support.homes import Home, Outcome, looking
from support.returns import HEADER, RIIA, digest, riia, written
from support.service import Installation, Service, serving, wait_until

PERIOD = "2026-27-Q2"
INBOX = f"inbox/{RIIA}/{PERIOD}"
MEBIBYTE = 1024 * 1024
REFUSED = {"rejected", "quarantined"}
TRACES = ("Traceback", "Error:", "Exception", "frictionless", "polars", " at 0x")


@pytest.fixture
def camden(service: Service) -> Account:
    return service.account("camden")


@pytest.fixture
def home(camden: Account) -> Iterator[Home]:
    with looking(camden) as looked_at:
        yield looked_at


@pytest.fixture
def send(camden: Account, home: Home, tmp_path: Path) -> Send:
    return Send(camden, home, tmp_path)


class Send:
    """Sends bytes under a name and waits for the answer."""

    def __init__(self, account: Account, home: Home, folder: Path) -> None:
        self._account = account
        self._home = home
        self._folder = folder

    def __call__(self, content: bytes, name: str = "riia.csv", folder: str = INBOX, *, seconds: float = 60) -> Outcome:
        local = written(self._folder / "out", "sent", content)
        ran = self._account.put(local, f"{folder}/{name}", timeout=180)
        assert ran.ok, ran.said
        answer = self._home.outcome_for(digest(content), seconds=seconds)
        assert not any(trace in answer.said for trace in TRACES), answer.said[:2000]
        return answer


def says(answer: Outcome, *patterns: str) -> None:
    """Assert that an answer's text says something like each pattern."""
    for pattern in patterns:
        assert re.search(pattern, answer.said, re.IGNORECASE), f"{pattern!r} is not in:\n{answer.said[:3000]}"


def refused(answer: Outcome, *patterns: str) -> None:
    assert answer.outcome in REFUSED, answer.said[:2000]
    says(answer, *patterns)


GOOD = riia("camden", PERIOD, contacts=2001)
LINES = GOOD.decode().split("\r\n")


def good(contacts: int) -> str:
    """Return a good return that no other test sends, as text."""
    return riia("camden", PERIOD, contacts=contacts).decode()


def test_an_unknown_file_is_kept_and_told_what_was_expected(send: Send) -> None:
    refused(send(b"Dear all, please find attached\n", "letter.docx", "inbox"), "inbox/", RIIA)


def test_an_unknown_table_in_a_known_folder(send: Send) -> None:
    refused(send(b"a,b,c\n1,2,3\n"), "measure_id|column|header")


@pytest.mark.parametrize("delimiter", [";", "\t", "|"], ids=["semicolon", "tab", "bar"])
def test_a_wrong_delimiter_is_read_or_named(send: Send, delimiter: str) -> None:
    answer = send(good(2100 + ord(delimiter)).replace(",", delimiter).encode())
    if answer.outcome != "accepted":
        says(answer, "comma|delimiter|separat")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_text_is_read_or_named(send: Send, encoding: str) -> None:
    answer = send(good(2300 + len(encoding)).encode(encoding))
    if answer.outcome != "accepted":
        says(answer, "utf-?(8|16)|encod")


def test_cp1252_text_is_read_or_named(send: Send) -> None:
    text = good(2401).replace("A03,40,", "A03,40,café £")
    answer = send(text.encode("cp1252"))
    says(answer, "utf-?8|encod|1252|measure_quality")


def test_a_byte_order_mark_does_no_harm(send: Send) -> None:
    assert send(good(2402).encode("utf-8-sig")).outcome == "accepted"


def test_a_missing_column_is_named(send: Send) -> None:
    text = "\r\n".join(",".join(line.split(",")[:4] + line.split(",")[5:]) for line in good(2403).split("\r\n"))
    refused(send(text.encode()), "measure_value", "missing|not there|no column")


def test_an_extra_column_is_named_or_let_be(send: Send) -> None:
    rows = good(2404).strip().split("\r\n")
    text = "\r\n".join([rows[0] + ",shoe_size", *(row + ",44" for row in rows[1:])]) + "\r\n"
    answer = send(text.encode())
    if answer.outcome != "accepted":
        says(answer, "shoe_size|column 7|column g|extra")


def test_a_duplicate_column_is_named(send: Send) -> None:
    rows = good(2405).strip().split("\r\n")
    text = "\r\n".join([rows[0] + ",measure_value", *(row + ",1" for row in rows[1:])]) + "\r\n"
    refused(send(text.encode()), "measure_value", "twice|duplicat|more than once|repeat")


def test_an_empty_file(send: Send) -> None:
    refused(send(b""), "empty")


def test_a_header_without_rows(send: Send) -> None:
    refused(send((",".join(HEADER) + "\r\n").encode()), "no rows|empty|row")


def test_ragged_rows_are_named_by_row(send: Send) -> None:
    rows = good(2406).strip().split("\r\n")
    rows[4] += ",surplus,more"
    rows[9] = ",".join(rows[9].split(",")[:3])
    answer = send(("\r\n".join(rows) + "\r\n").encode())
    refused(answer)
    assert answer.report_json is not None
    assert re.search(r"\b5\b", answer.report_csv)
    assert re.search(r"\b10\b", answer.report_csv)


def test_a_line_of_100_megabytes(send: Send) -> None:
    refused(send(good(2407).encode() + b"9" * (100 * MEBIBYTE), seconds=120), "long|large|row 33|row|cell")


def test_nul_bytes(send: Send) -> None:
    refused(send(good(2408).replace("A07,40", "A07,4\x000").encode()), "NUL|control|character|binary|number")


def test_an_unclosed_quote(send: Send) -> None:
    refused(send(good(2409).replace("A07,40,", 'A07,40,"unclosed').encode()), "quot|measure_quality|row|cell")


def zipped(content: bytes, name: str = "riia.csv") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


SSDA903 = "inbox/ssda903/2025-26"


def test_a_zip_bomb_is_not_unpacked(send: Send, service: Service) -> None:
    bomb = zipped(b"CHILD,SEX,DOB\r\n" + b"0" * (400 * MEBIBYTE), "header.csv")
    assert len(bomb) < MEBIBYTE
    refused(send(bomb, "903.zip", SSDA903, seconds=60), "zip|unpack|large|ratio|compress")
    assert service.running


def test_a_zip_with_a_password(send: Send) -> None:
    out = io.BytesIO()
    with pyzipper.AESZipFile(out, "w", encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(b"secret")
        archive.writestr("header.csv", b"CHILD,SEX,DOB\r\n")
    refused(send(out.getvalue(), "903.zip", SSDA903), "password|encrypted")


def test_a_zip_that_is_cut_off(send: Send) -> None:
    whole = zipped(b"CHILD,SEX,DOB\r\n" * 500, "header.csv")
    refused(send(whole[: len(whole) // 2], "903.zip", SSDA903), "zip")


def test_a_zip_whose_member_reaches_outside(send: Send, service: Service) -> None:
    refused(send(zipped(b"x", "../../escaped.csv"), "903.zip", SSDA903), "zip|table|header|file")
    assert not list(service.at.home.parent.rglob("escaped.csv"))


def test_an_xlsx_that_is_not_one(send: Send) -> None:
    refused(send(b"PK\x03\x04 this is no workbook", "annex a.xlsx", "inbox/annex-a/2026-10"), "xlsx|workbook|excel")


def test_a_workbook_that_unpacks_to_far_more_than_it_holds(send: Send, service: Service) -> None:
    book, out = openpyxl.Workbook(), io.BytesIO()
    book.save(out)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet2.xml", b"<row/>" * (64 * MEBIBYTE))
    answer = send(out.getvalue(), "annex a.xlsx", "inbox/annex-a/2026-10", seconds=90)
    refused(answer, "workbook", "large|unpack|far more")
    assert service.running


def test_a_workbook_with_a_value_in_the_last_cell_of_an_empty_sheet(send: Send, service: Service) -> None:
    """Five kilobytes; the reader would ask for 512 GiB of memory."""
    book = openpyxl.Workbook()
    book.worksheets[0].title = "List 1"
    book.worksheets[0]["A1"] = book.worksheets[0]["XFD1048576"] = "1"
    out = io.BytesIO()
    book.save(out)
    refused(send(out.getvalue(), "annex a.xlsx", "inbox/annex-a/2026-10"), "1,048,576 rows")
    assert service.running


def test_a_workbook_that_is_a_web_page(send: Send) -> None:
    refused(send(b"<html><table></table></html>", "annex b.xlsx", "inbox/annex-a/2026-10"), "xlsx|workbook|excel")


NAMES = {
    "spaces": "Quarter 2 return  final.csv",
    "unicode": "Q2 Łódź 報告 🙂.csv",
    "dots": "Q2..return...csv",
    "quotes": "Q2 'return' \"final\".csv",
    "markup": "<b>Q2&amp;'.csv",
    "percent": "%2e%2e%2f%s%n.csv",
    "backslash": "..\\..\\Q2.csv",
    "control": "Q2\x07\x1b[31m\n.csv",
    "leading dash": "-rf.csv",
    "255 bytes": "q" * 251 + ".csv",
    "no extension": "Q2",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_a_file_name_is_taken_as_it_is_or_refused_in_words(
    camden: Account, home: Home, name: str, service: Service
) -> None:
    content = riia("camden", PERIOD, contacts=3000 + list(NAMES.values()).index(name))
    refusal = ""
    with camden.session() as session:
        try:
            with session.open(f"{INBOX}/{name}", "wb") as stream:
                stream.write(content)
        except OSError as error:
            refusal = str(error)
    if refusal:
        assert re.search("name|character", refusal, re.IGNORECASE), refusal
        assert "\x1b" not in refusal
        return
    answer = home.outcome_for(digest(content))
    assert answer.receipt["files"][0]["name"]
    assert "<b>" not in answer.report_html
    assert "\x1b" not in answer.report_html
    assert name not in service.log_text()


@pytest.mark.parametrize("name", ["..", ".", "a/../../../../tmp/escaped.csv", "../../receipts/forged.json"])
def test_a_path_that_reaches_outside_the_inbox_is_refused(camden: Account, service: Service, name: str) -> None:
    with camden.session() as session:
        with pytest.raises(OSError), session.open(f"{INBOX}/{name}", "wb") as stream:
            stream.write(b"x")
        assert "forged.json" not in session.listdir("receipts")
    assert not Path("/tmp/escaped.csv").exists()


def test_a_name_of_more_than_255_bytes_is_refused(camden: Account) -> None:
    with camden.session() as session, pytest.raises(OSError), session.open(f"{INBOX}/{'q' * 300}.csv", "wb") as stream:
        stream.write(b"x")


def test_the_same_file_twice_is_one_return(send: Send, home: Home) -> None:
    content = good(2501).encode()
    first = send(content)
    assert first.outcome == "accepted"
    send(content, "again.csv")
    both = wait_until(lambda: _two(home.outcomes_for(digest(content))), what="two answers")
    assert sorted(one.outcome for one in both) == ["accepted", "duplicated"]
    (second,) = [one for one in both if one.outcome == "duplicated"]
    assert str(first.receipt["submission"]) in second.said


def test_two_versions_in_quick_succession_leave_the_newer_one_standing(
    camden: Account, home: Home, service: Service, tmp_path: Path
) -> None:
    older, newer = good(2502).encode(), good(2503).encode()
    one, two = written(tmp_path, "one.csv", older), written(tmp_path, "two.csv", newer)
    assert camden.sftp(f"put {one} {INBOX}/v.csv", f"put {two} {INBOX}/v.csv").ok
    assert home.outcome_for(digest(older)).outcome in {"accepted", "superseded"}
    assert home.outcome_for(digest(newer)).outcome == "accepted"
    versions = {one["files"][0]["sha256"]: one for one in service.at.submissions() if one["files"]}
    assert versions[digest(newer)]["version"] == versions[digest(older)]["version"] + 1
    assert versions[digest(older)]["state"] == "superseded"
    assert versions[digest(newer)]["state"] == "receipted"


def test_a_connection_dropped_mid_file_is_no_submission_and_can_go_on(
    camden: Account, home: Home, service: Service, tmp_path: Path
) -> None:
    content = good(2504).encode() + b"x" * (6 * MEBIBYTE)
    local = written(tmp_path, "dropped.csv", content)
    before = len(service.at.submissions())
    cut_upload(camden, local, f"{INBOX}/dropped.csv", after_bytes=MEBIBYTE)
    assert len(service.at.submissions()) == before
    assert camden.sftp(f"reput {local} {INBOX}/dropped.csv").ok
    refused(home.outcome_for(digest(content)))
    assert len(service.at.submissions()) == before + 1


def test_a_session_that_vanishes_between_two_writes_loses_nothing(camden: Account, home: Home) -> None:
    content = good(2505).encode()
    with camden.session() as session:
        handle = session.open(f"{INBOX}/vanished.csv", "wb")
        handle.write(content[:300])
        handle.flush()
    with camden.session() as session:
        assert session.stat(f"{INBOX}/vanished.csv").st_size == 300
        with session.open(f"{INBOX}/vanished.csv", "ab") as stream:
            stream.write(content[300:])
    assert home.outcome_for(digest(content)).outcome == "accepted"


def test_too_little_room_is_said_before_anything_is_lost(installed: Installation, tmp_path: Path) -> None:
    installation = installed.copied_to(tmp_path / "gateway", GATEWAY__SFTP__RESERVE_BYTES=str(2**60))
    content = riia("camden", PERIOD, contacts=2601)
    local = written(tmp_path, "riia.csv", content)
    with serving(installation) as full:
        ran = full.account("camden").put(local, f"{INBOX}/riia.csv")
        assert not ran.ok
        assert full.at.submissions() == []
    roomy = Installation(
        home=installation.home, keys=installation.keys, dfe=installation.dfe, environment=installed.environment
    )
    with serving(roomy) as again:
        assert again.account("camden").put(local, f"{INBOX}/riia.csv").ok
        with looking(again.account("camden")) as home:
            assert home.outcome_for(digest(content)).outcome == "accepted"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 48 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(disk)], check=False, capture_output=True, timeout=20
    )
    if mounted.returncode:
        pytest.skip("this machine does not let us mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=False, timeout=20)


def test_a_disk_that_fills_up_refuses_the_file_and_loses_nothing(
    installed: Installation, small_disk: Path, tmp_path: Path
) -> None:
    installation = installed.copied_to(small_disk / "gateway", GATEWAY__SFTP__RESERVE_BYTES="0")
    early, late = riia("camden", PERIOD, contacts=2701), riia("camden", PERIOD, contacts=2702)
    big = written(tmp_path, "big.csv", late + b"x" * (12 * MEBIBYTE))
    with serving(installation) as full:
        camden = full.account("camden")
        assert camden.put(written(tmp_path, "early.csv", early), f"{INBOX}/early.csv").ok
        full.all_finished(1)
        ballast = small_disk / "ballast"
        free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
        ballast.write_bytes(b"\0" * (free - 6 * MEBIBYTE))
        assert not camden.put(big, f"{INBOX}/big.csv").ok
        assert full.running
        with camden.session() as session:
            assert "inbox" in session.listdir(".")
        ballast.unlink()
        assert camden.put(big, f"{INBOX}/big.csv").ok
        assert camden.put(written(tmp_path, "late.csv", late), f"{INBOX}/late.csv").ok
        finished = full.all_finished(3)
        assert sorted(one["state"] for one in finished) == ["receipted", "rejected", "superseded"]
        assert full.at.ledger()


def test_a_disk_that_is_full_when_a_return_is_worked_on_only_makes_it_wait(
    installed: Installation, small_disk: Path, tmp_path: Path
) -> None:
    installation = installed.copied_to(small_disk / "gateway", GATEWAY__SFTP__RESERVE_BYTES="0")
    acknowledged: list[str] = []
    with serving(installation) as full:
        camden = full.account("camden")
        ballast = small_disk / "ballast"
        free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
        ballast.write_bytes(b"\0" * (free - MEBIBYTE // 2))
        for number in range(30):
            content = riia("camden", PERIOD, contacts=2800 + number)
            if camden.put(written(tmp_path, "r.csv", content), f"{INBOX}/r{number}.csv").ok:
                acknowledged.append(digest(content))
            else:
                break
        ballast.unlink()
        if not full.running:
            full.kill9()
            full.start()
        found = full.all_finished(len(acknowledged), seconds=90)
        taken = [file["sha256"] for one in found for file in one["files"]]
        assert set(acknowledged) <= set(taken)
        assert full.at.ledger()


def test_a_setting_that_is_not_known_stops_the_start_and_names_the_nearest(
    installed: Installation, tmp_path: Path
) -> None:
    installation = installed.copied_to(tmp_path / "gateway")
    text = installation.settings.read_text()
    installation.settings.write_text(text.replace("[sftp]", "[sftp]\nidle_second = 3", 1))
    for command in (("serve",), ("status", "--json")):
        said = installation.command(*command, timeout=60)
        assert said.code == 2, said.out + said.err
        assert "sftp.idle_seconds" in said.err
        assert "Traceback" not in said.err


def test_a_file_over_the_limit_is_refused_in_words(installed: Installation, tmp_path: Path) -> None:
    installation = installed.copied_to(tmp_path / "gateway", GATEWAY__SFTP__MAX_FILE_BYTES=str(MEBIBYTE))
    with serving(installation) as strict, strict.account("camden").session() as session:
        with pytest.raises(OSError, match=r"(?i)large|limit|big|bytes|quota"):
            _fill(session, 2 * MEBIBYTE)
        assert strict.at.submissions() == []


def test_more_than_the_quota_is_refused_in_words(installed: Installation, tmp_path: Path) -> None:
    installation = installed.copied_to(tmp_path / "gateway", GATEWAY__SFTP__QUOTA_BYTES=str(8 * MEBIBYTE))
    with serving(installation) as strict, strict.account("camden").session() as session:
        for number in range(3):
            _fill(session, 2 * MEBIBYTE, f"{number}.part")
        with pytest.raises(OSError, match=r"(?i)8 MB are used up"):
            _fill(session, 12 * MEBIBYTE, "surplus.part")
        assert strict.at.submissions() == []


def _fill(session: paramiko.SFTPClient, size: int, name: str = "large.csv") -> None:
    with session.open(f"{INBOX}/{name}", "wb") as stream:
        for _ in range(size // 32768):
            stream.write(b"x" * 32768)


def _two(found: list[Outcome]) -> list[Outcome]:
    return found if len(found) == 2 else []


def test_the_gateway_tells_where_to_find_help(home: Home) -> None:
    readme = read(home.session, "README.txt").decode()
    assert "inbox/" in readme
    assert "receipts" in readme

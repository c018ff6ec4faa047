"""What a file is, is told from folder, name and header; a period is declared, never guessed."""

from __future__ import annotations

import io
import zipfile

import openpyxl
import pytest
from validation_builders import VALIDATORS, told

from gateway.validation.recognise import Recognised, Refused, Unrecognised, sniff

RIIA = b"la_code,financial_year,quarter,measure_id,measure_value,measure_quality\r\n202,2026-27,Q2,A01,5,\r\n"
HEADER = b"CHILD,SEX,DOB,ETHNIC,UPN,MOTHER,MC_DOB\r\n"
DOLO = b"CHILD,DOB,DOLO_START,DOLO_END\r\n"
AD1 = b"CHILD,DOB,DATE_INT,DATE_MATCH,FOSTER_CARE,NB_ADOPTR,SEX_ADOPTR,LS_ADOPTR\r\n"


def workbook(*sheets: str) -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    book.worksheets[0].title = sheets[0]
    for sheet in sheets[1:]:
        book.create_sheet(sheet)
    book.save(out)
    return out.getvalue()


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.csv", content)
    return out.getvalue()


def short(found: Recognised | Refused | Unrecognised) -> tuple[str, str, str | None]:
    assert isinstance(found, Recognised), found
    return (found.collection, str(found.period), found.resource)


@pytest.mark.parametrize(
    ("content", "name", "folder", "expected"),
    [
        (RIIA, "whatever.csv", ("riia-quarterly", "2026-27-Q2"), ("riia-quarterly", "2026-27-Q2", "indicators")),
        (b"x", "whatever.csv", ("riia-quarterly", "2026-27-Q2"), ("riia-quarterly", "2026-27-Q2", "indicators")),
        (b"", "whatever.csv", ("riia-quarterly", "2026-27-Q2"), ("riia-quarterly", "2026-27-Q2", "indicators")),
        (RIIA, "RIIA_2026-27-Q2.csv", (), ("riia-quarterly", "2026-27-Q2", "indicators")),
        (RIIA, "camden riia 2026-27 q2 final.csv", (), ("riia-quarterly", "2026-27-Q2", "indicators")),
        (RIIA, "export.csv", (), ("riia-quarterly", "2026-27-Q2", "indicators")),
        (HEADER, "SSDA903_2025-26_header.csv", (), ("ssda903", "2025-26", "header")),
        (HEADER, "a.csv", ("ssda903", "2025-26"), ("ssda903", "2025-26", "header")),
        (HEADER.lower(), "a.csv", ("ssda903", "2025-26"), ("ssda903", "2025-26", "header")),
        (HEADER.decode().encode("utf-16"), "a.csv", ("ssda903", "2025-26"), ("ssda903", "2025-26", "header")),
        (HEADER.replace(b",", b";"), "a.csv", ("ssda903", "2025-26"), ("ssda903", "2025-26", "header")),
        (DOLO, "dolo.csv", ("ssda903", "2026-27"), ("ssda903", "2026-27", "deprivation_of_liberty_orders")),
        (zipped(header=HEADER), "all.zip", ("ssda903", "2025-26"), ("ssda903", "2025-26", None)),
        (zipped(header=HEADER), "ssda903 2025-26.zip", (), ("ssda903", "2025-26", None)),
        (workbook("List 1"), "a.xlsx", ("annex-a", "2026-09"), ("annex-a", "2026-09", None)),
        (workbook("List 1"), "Annex_A_2026_Sep.xlsx", (), ("annex-a", "2026-09", None)),
        (workbook("List 1"), "Annex A 2026-09.xlsx", (), ("annex-a", "2026-09", None)),
        (b"x", "Annex_A_2026-09_List_3.csv", (), ("annex-a", "2026-09", "list_3")),
    ],
)  # fmt: skip
def test_a_file_is_told_from_folder_name_or_header(
    content: bytes, name: str, folder: tuple[str, ...], expected: tuple[str, str, str | None]
) -> None:
    assert short(told(content, name, *folder)) == expected


@pytest.mark.parametrize(
    "name",
    ["header_20240331.csv", "header_2024_01.csv", "LBX_301_2324_header.csv", "header 2023-25.csv", "header.csv",
     "header_2023-24_2024-25.csv", "2024 header.csv", "header 2024-25_2023-24.csv",
     "header 2025-26-01.csv"],
)  # fmt: skip
def test_a_year_that_is_not_written_out_is_asked_for_and_not_guessed(name: str) -> None:
    found = told(HEADER, name)
    assert isinstance(found, Unrecognised), found
    assert "nothing says which period" in found.trouble
    assert "inbox/ssda903/" in found.remedy


def test_an_export_with_a_time_stamp_in_its_name_is_not_a_year() -> None:
    assert isinstance(told(HEADER, "export 12_20240105.csv"), Unrecognised)


@pytest.mark.parametrize("name", ["annexA_jan_24.xlsx", "annex a 2026-10-02.xlsx", "annex a 2026 marking.xlsx"])
def test_a_month_that_is_not_written_out_is_asked_for(name: str) -> None:
    found = told(workbook("List 1"), name)
    assert isinstance(found, Unrecognised)
    assert "inbox/annex-a/2026-09/" in found.remedy


@pytest.mark.parametrize(
    ("content", "name", "folder", "table"),
    [
        (AD1, "ad1.csv", ("ssda903", "2025-26"), "ad1"),
        (b"x", "SSDA903_2025-26_placed_adoption.csv", (), "placed_adoption"),
        (b"x", "Annex_A_2026-09_List_10.csv", (), "list_10"),
        (b"x", "list 11.csv", ("annex-a", "2026-09"), "list_11"),
    ],
)
def test_a_table_nobody_may_hold_is_refused(content: bytes, name: str, folder: tuple[str, ...], table: str) -> None:
    found = told(content, name, *folder)
    assert isinstance(found, Refused), found
    assert found.resource == table
    assert "adoption" in found.reason


@pytest.mark.parametrize(
    ("content", "name", "folder", "trouble", "remedy"),
    [
        (RIIA, "a.csv", ("riia",), "no collection", "inbox/riia-quarterly/"),
        (RIIA, "a.csv", ("riia-quarterly", "2026-Q2"), "not a period", "2026-27-Q2"),
        (RIIA, "a.csv", ("riia-quarterly", "2026-27"), "not a period", "2026-27-Q2"),
        (RIIA, "a.csv", ("riia-quarterly", "2026-28-Q2"), "not a period", "2026-27-Q2"),
        (HEADER, "a.csv", ("ssda903", "2019-20"), "first period with a data package is 2023-24", "period"),
        (DOLO, "dolo.csv", ("ssda903", "2025-26"), "no table deprivation_of_liberty_orders", "header"),
        (b"a,b\n1,2\n", "a.csv", ("ssda903", "2025-26"), "header fits no table", "inbox/ssda903/"),
        (b"%PDF-1.7", "a.pdf", (), "PDF", "inbox/"),
        (b"\0\1\2" * 99, "a.doc", (), "not a text", "inbox/"),
        (b"<?xml version='1.0'?>", "903.xml", ("ssda903", "2025-26"), "XML", "csv or zip"),
        (b"", "a.csv", (), "empty", "inbox/"),
        (b"PK\3\4 no zip", "a.zip", (), "zip", "inbox/"),
    ],
)
def test_what_is_not_told_says_why_and_where_to_put_it(
    content: bytes, name: str, folder: tuple[str, ...], trouble: str, remedy: str
) -> None:
    found = told(content, name, *folder)
    assert isinstance(found, Unrecognised), found
    assert trouble in found.trouble
    assert remedy in found.remedy


def test_what_was_looked_at_is_never_printed() -> None:
    data = b"2020000001,ZEBRA,01/01/2020\n2020000002,ZEBRA,01/01/2020\n"
    assert "ZEBRA" not in repr(sniff(lambda: io.BytesIO(data), "a.csv"))
    assert "ZEBRA" not in str(told(data, "a.csv"))
    assert "ZEBRA" not in str(told(data, "a.csv", "ssda903", "2025-26"))


def test_the_examples_are_told_by_their_names_alone() -> None:
    for path in VALIDATORS.glob("*/examples/good-*/*"):
        assert isinstance(told(path.read_bytes(), path.name), Recognised), path


def test_a_directory_of_a_million_members_is_not_read() -> None:
    marks = b"PK\1\2" + b"\0" * 42
    body = b"PK\3\4" + marks * 100_000
    end = (
        b"PK\5\6"
        + b"\0" * 4
        + b"\xff\xff\xff\xff"
        + (len(marks) * 100_000).to_bytes(4, "little")
        + (4).to_bytes(4, "little")
        + b"\0\0"
    )
    assert sniff(lambda: io.BytesIO(body + end), "a.zip").members == ()

"""Files whose form is wrong: each has one clear finding with its place, in bounded time and memory."""

from __future__ import annotations

import csv
import io
import random
import resource
import struct
import time
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import openpyxl
import pytest
import pyzipper
from validation_builders import (
    VALIDATORS,
    as_csv,
    as_rows,
    codes,
    collection,
    judged,
    places,
    riia,
    tables,
    the,
    whole,
)

from gateway.domain.finding import Severity

MEBIBYTE = 1024**2
GOOD = (VALIDATORS / "riia-quarterly/examples/good-2026-27-Q2/RIIA_2026-27-Q2.csv").read_bytes()
TEXT = GOOD.decode()
ROWS = as_rows(GOOD)
SSDA903 = {one.name: one.read_bytes() for one in sorted((VALIDATORS / "ssda903/examples/good-2025-26").iterdir())}
HEADER = "SSDA903_2025-26_header.csv"
ANNEX_A = VALIDATORS / "annex-a/examples/good-2026-09-workbook/Annex_A_2026_Sep.xlsx"


def zipped(members: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def from_zip(content: bytes) -> list[str]:
    verdict = whole(content, "903.zip", "ssda903", "2025-26")
    assert verdict.accepted is None
    return codes(verdict)


def peak_mebibytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


# -- text ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("delimiter", "word"), [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")])
def test_a_wrong_delimiter_is_the_only_thing_said(delimiter: str, word: str) -> None:
    verdict = riia(TEXT.replace(",", delimiter))
    assert places(verdict) == {("wrong-delimiter", "indicators", 1, None, None)}
    assert word in verdict.report.findings[0].message


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_text_with_a_byte_order_mark_is_read_and_noted(encoding: str) -> None:
    verdict = riia(TEXT.encode(encoding))
    assert verdict.accepted is not None
    assert len(verdict.report.notes) == 1


@pytest.mark.parametrize(("mark", "encoding"), [(b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")])
def test_utf_16_of_either_order_is_read(mark: bytes, encoding: str) -> None:
    assert riia(mark + TEXT.encode(encoding)).accepted is not None


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_refused_with_the_cure(encoding: str) -> None:
    verdict = riia(TEXT.encode(encoding))
    assert verdict.accepted is None
    assert "UTF-8" in verdict.report.findings[0].remedy


def test_utf_16_that_is_cut_off_is_refused() -> None:
    assert codes(riia(TEXT.encode("utf-16")[:-1])) == ["encoding-error"]


def test_windows_text_is_read_and_noted() -> None:
    changed = [list(row) for row in ROWS]
    changed[5][5] = "café £"
    verdict = riia(as_csv(changed).decode().encode("cp1252"))
    assert verdict.accepted is not None
    assert any("1252" in note for note in verdict.report.notes)


def test_windows_text_keeps_its_letters() -> None:
    name = "SSDA903_2025-26_social_worker.csv"
    rows = as_rows(SSDA903[name])
    rows[1][2] = "Zoë O\u2019Neill"
    changed = {**SSDA903, name: as_csv(rows).decode().encode("cp1252")}
    (table,) = [one for one in tables(changed, "ssda903", "2025-26") if one.resource == "social_worker"]
    assert "Zoë O\u2019Neill" in table.content.decode()


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"], ids=["unix", "old mac", "windows"])
def test_every_kind_of_line_end_is_read(end: str) -> None:
    assert riia(TEXT.replace("\r\n", end)).accepted is not None


def test_nul_bytes_are_named_by_row() -> None:
    verdict = riia(GOOD.replace(b"Q2,A07", b"Q2,A\x0007"))
    assert places(verdict) == {("nul-byte", "indicators", 8, None, None)}


@pytest.mark.parametrize("content", [b"", b"  \r\n \r\n", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_an_empty_file(content: bytes) -> None:
    assert codes(riia(content)) == ["empty-file"]


def test_an_unclosed_quote_is_named_where_it_opens() -> None:
    verdict = riia(TEXT.replace("A07,", 'A07,"'))
    assert places(verdict) == {("unclosed-quote", "indicators", 8, None, None)}


def test_an_unclosed_quote_before_a_lot_of_text_is_named_where_it_opens() -> None:
    verdict = riia(TEXT.replace("A07,", 'A07,"') + TEXT * 500)
    assert places(verdict) == {("unclosed-quote", "indicators", 8, None, None)}


def test_a_quote_in_the_wrong_place() -> None:
    assert places(riia(TEXT.replace("A07,", '"A07"x,'))) == {("quote-error", "indicators", 8, None, None)}


def test_a_cell_that_is_far_too_long() -> None:
    (found,) = riia(TEXT.replace("A07,", "A07," + "9" * 200_000)).report.findings
    assert found.row == 8
    assert "longer than" in found.message


def test_reading_one_file_does_not_change_how_others_are_read() -> None:
    before = csv.field_size_limit()
    riia(GOOD)
    assert csv.field_size_limit() == before


def test_a_line_of_100_megabytes_is_refused_in_seconds_and_in_bounded_memory() -> None:
    kind = replace(collection("riia-quarterly"), max_bytes=200 * MEBIBYTE)
    content = GOOD + b"9" * (100 * MEBIBYTE)
    before, began = peak_mebibytes(), time.monotonic()
    verdict = judged({"a.csv": content}, "riia-quarterly", "2026-27-Q2", resource="indicators", kind=kind)
    assert time.monotonic() - began < 5
    assert peak_mebibytes() - before < 500
    assert places(verdict) == {("line-too-long", "indicators", 33, None, None)}


def test_a_file_larger_than_its_collection_takes_is_not_read() -> None:
    assert codes(riia(b"x" * (11 * MEBIBYTE))) == ["file-too-large"]


# -- columns and rows --------------------------------------------------------------------------------------------------


def test_columns_missing_extra_blank_and_twice_are_each_named() -> None:
    rows = [[*row[:4], row[5], "x", "y", "z"] for row in ROWS]
    rows[0] = [*ROWS[0][:4], ROWS[0][5], "shoe_size", "", "Quarter "]
    verdict = riia(as_csv(rows))
    assert {one[0]: one[2:] for one in places(verdict)} == {
        "missing-label": (1, "measure_value", None),
        "extra-label": (1, None, "F"),
        "blank-label": (1, None, "G"),
        "duplicate-label": (1, "quarter", "H"),
    }
    assert the(verdict, "extra-label").value.reveal() == "shoe_size"


def test_an_extra_column_does_not_hide_what_is_wrong_in_the_others() -> None:
    rows = [[row[0], "x", *row[1:]] for row in ROWS]
    rows[0][1] = "shoe_size"
    rows[4][5] = "many"
    assert places(riia(as_csv(rows))) == {
        ("extra-label", "indicators", 1, None, "B"),
        ("type-error", "indicators", 5, "measure_value", "F"),
    }


def test_columns_in_another_order_case_and_spacing_are_found() -> None:
    rows = [list(reversed(row)) for row in ROWS]
    rows[0] = [f" {label.upper()} " for label in rows[0]]
    rows[3][1] = "many"
    (found,) = riia(as_csv(rows)).report.findings
    assert (found.code, found.row, found.column) == ("type-error", 4, "B")


def test_a_missing_header_is_said_once_and_quotes_no_data() -> None:
    verdict = judged({"h.csv": b"2020000001,ZEBRA,01/01/2020\r\n" * 9}, "ssda903", "2025-26", resource="header")
    assert [one.code for one in verdict.report.findings if one.resource == "header"] == ["missing-header"]
    assert "ZEBRA" not in repr(verdict)


def test_a_header_without_rows_is_refused_where_the_table_is_required() -> None:
    assert codes(riia(TEXT.split("\r\n")[0] + "\r\n")) == ["no-rows"]


def test_a_header_without_rows_is_a_question_where_the_table_is_optional() -> None:
    name = "SSDA903_2025-26_missing.csv"
    verdict = judged({**SSDA903, name: as_csv(as_rows(SSDA903[name])[:1])}, "ssda903", "2025-26")
    assert verdict.accepted is not None
    assert [(one.code, one.severity) for one in verdict.report.findings] == [("no-rows", Severity.QUERY)]


def test_rows_too_long_and_too_short_are_named_by_row() -> None:
    rows = [list(row) for row in ROWS]
    rows[4] += ["surplus", "more"]
    rows[9] = rows[9][:4]
    verdict = riia(as_csv(rows))
    assert {one[0]: one[2] for one in places(verdict)} == {"extra-cell": 5, "missing-cell": 10}
    assert "8 cells" in the(verdict, "extra-cell").message


def test_an_empty_row_between_rows_is_named_and_empty_rows_at_the_end_are_passed_over() -> None:
    rows = [list(row) for row in ROWS]
    rows.insert(7, [""] * 6)
    assert places(riia(as_csv(rows))) == {("blank-row", "indicators", 8, None, None)}
    verdict = riia(TEXT + ",,,,,\r\n" * 500 + "\r\n\r\n")
    assert verdict.accepted is not None
    assert any("502" in note for note in verdict.report.notes)


def test_rows_are_counted_as_a_spreadsheet_shows_them_where_cells_hold_line_breaks() -> None:
    rows = [list(row) for row in ROWS]
    rows[2][5] = "one\r\ntwo\nthree"
    rows[6][4] = "many"
    assert places(riia(as_csv(rows))) == {("type-error", "indicators", 7, "measure_value", "E")}


def test_a_table_sent_twice_is_named() -> None:
    assert codes(judged({**SSDA903, "header again.csv": SSDA903[HEADER]}, "ssda903", "2025-26")) == ["duplicate-table"]


def test_a_missing_table_is_named_once() -> None:
    verdict = judged({"header.csv": SSDA903[HEADER]}, "ssda903", "2025-26")
    assert places(verdict) == {("missing-table", "episodes", None, None, None)}


# -- zip files ---------------------------------------------------------------------------------------------------------


def test_a_zip_of_the_tables_is_the_same_return() -> None:
    packed = zipped({f"export/2026/{name}": content for name, content in SSDA903.items()} | {"__MACOSX/._a": b"x"})
    assert [one.content for one in tables({"903.zip": packed}, "ssda903", "2025-26")] == [
        one.content for one in tables(SSDA903, "ssda903", "2025-26")
    ]


@pytest.mark.parametrize("name", ["../../header.csv", "C:\\temp\\header.csv", "/etc/header.csv", "a\x1b header.csv"])
def test_an_odd_name_in_a_zip_goes_nowhere(name: str) -> None:
    verdict = whole(zipped({name: b"CHILD,SEX\r\n1,M\r\n"}), "903.zip", "ssda903", "2025-26")
    assert verdict.accepted is None
    assert not any(".." in one.file or "/" in one.file for one in verdict.report.findings)
    assert not Path("../../header.csv").exists()


def test_a_zip_bomb_by_ratio_is_not_unpacked() -> None:
    assert from_zip(zipped({"header.csv": b"CHILD,SEX\r\n" + b"0" * (40 * MEBIBYTE)}))[0] == "zip-too-large"


def test_a_zip_of_too_many_files_is_not_unpacked() -> None:
    assert from_zip(zipped({f"{at}.csv": b"x" for at in range(201)}))[0] == "zip-too-large"


def test_a_zip_of_a_hundred_thousand_files_is_refused_before_it_is_listed() -> None:
    began = time.monotonic()
    assert from_zip(b"PK\3\4" + (b"PK\1\2" + b"\0" * 42) * 100_000)[0] == "zip-too-large"
    assert time.monotonic() - began < 1


def test_a_zip_in_a_zip_is_not_opened() -> None:
    assert "nested-zip" in from_zip(zipped({"inner.zip": zipped(SSDA903)}))


def test_a_zip_that_lies_about_sizes_is_bounded_and_refused() -> None:
    """The directory says ten bytes; the data would unpack to twenty million."""
    body = b"0" * 20_000_000
    honest = zipped({"header.csv": body})
    lying = honest.replace(struct.pack("<L", len(body)), struct.pack("<L", 10))
    assert lying != honest
    before = peak_mebibytes()
    assert "wrong-format" in from_zip(lying)
    assert peak_mebibytes() - before < 40


def test_one_stream_named_many_times_is_measured_against_the_file_itself() -> None:
    """Members that share one packed stream: small on disk, large in sum."""
    body = b"0" * (8 * MEBIBYTE)
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packed.compress(body) + packed.flush()
    crc = zlib.crc32(body)
    sizes = (crc, len(data), len(body), 5, 0)
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 0, *sizes) + b"a.csv" + data
    named = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 8, 0, 0, *sizes, 0, 0, 0, 0, 0) + b"a.csv"
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 7, 7, 7 * len(named), len(local), 0)
    assert from_zip(local + 7 * named + end)[0] == "zip-too-large"


def test_a_zip_with_a_password_is_told_that_none_is_needed() -> None:
    out = io.BytesIO()
    with pyzipper.AESZipFile(out, "w", encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(b"secret")
        archive.writestr("header.csv", SSDA903[HEADER])
    assert from_zip(out.getvalue())[0] == "password-protected"


@pytest.mark.parametrize("cut", [30, -30, -1])
def test_a_zip_that_is_cut_off(cut: int) -> None:
    assert from_zip(zipped(SSDA903)[:cut])[0] == "wrong-format"


def test_a_zip_with_a_spoilt_member() -> None:
    spoilt = bytearray(zipped({"header.csv": b"CHILD,SEX\r\n" * 99}))
    spoilt[45] ^= 0xFF
    assert "wrong-format" in from_zip(bytes(spoilt))


def test_an_empty_zip_and_a_zip_of_something_else() -> None:
    assert from_zip(zipped({}))[0] == "empty-file"
    assert "unknown-table" in from_zip(zipped({"holiday.jpg": b"\xff\xd8\xff\xe0" * 40}))


def test_adoption_tables_in_a_zip_are_refused() -> None:
    verdict = whole(zipped({**SSDA903, "ad1.csv": b"CHILD\r\n1\r\n"}), "903.zip", "ssda903", "2025-26")
    assert codes(verdict) == ["refused-table"]
    assert "adoption" in verdict.report.findings[0].message


# -- workbooks ---------------------------------------------------------------------------------------------------------

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 2000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04 this is no workbook", "wrong-format"),
        (zipped({"a.txt": b"x"}), "wrong-format"),
        (zipped({"xl/workbook.xml": b"<workbook/>"}), "wrong-format"),
        (b"<html><table></table></html>", "wrong-format"),
        (b"", "empty-file"),
        (ANNEX_A.read_bytes()[:5000], "wrong-format"),
        (OLE, "wrong-format"),
    ],
    ids=["not a zip", "a zip", "a zip with a workbook's part", "a web page", "empty", "cut off", "xls or password"],
)
def test_what_is_no_workbook_is_refused_with_the_cure(content: bytes, said: str) -> None:
    verdict = whole(content, "Annex A.xlsx", "annex-a", "2026-09")
    assert codes(verdict)[0] == said
    assert all(one.remedy for one in verdict.report.findings)


def test_an_old_workbook_or_one_with_a_password_is_told_so() -> None:
    assert "password" in whole(OLE, "Annex A.xlsx", "annex-a", "2026-09").report.findings[0].message


def saved(book: openpyxl.Workbook) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_a_sheet_with_titles_above_its_header_has_excels_rows_and_columns() -> None:
    book = openpyxl.load_workbook(ANNEX_A)
    sheet = book["List 1"]
    assert sheet["A3"].value == "Child Unique ID"
    sheet["F5"] = "soon"
    sheet.insert_rows(1, 4)
    sheet.insert_cols(1, 2)
    verdict = whole(saved(book), "a.xlsx", "annex-a", "2026-09")
    assert ("type-error", "list_1", 9, "Date of Contact", "H") in places(verdict)


def test_dates_whole_numbers_and_text_come_out_of_cells_as_they_went_in() -> None:
    sent = {one.name: one.read_bytes() for one in (VALIDATORS / "annex-a/examples/good-2026-09").iterdir()}
    from_csv = {one.resource: one.content for one in tables(sent, "annex-a", "2026-09")}
    from_book = {one.resource: one.content for one in tables({"a.xlsx": ANNEX_A.read_bytes()}, "annex-a", "2026-09")}
    assert from_book == from_csv


@pytest.mark.parametrize("name", ["List 10", "list 11", "List10", "LIST_11"])
def test_a_filled_adoption_sheet_refuses_the_workbook_however_it_is_spelt(name: str) -> None:
    book = openpyxl.load_workbook(ANNEX_A)
    if name in book.sheetnames:
        book.remove(book[name])
    sheet = book.create_sheet(name)
    sheet.append(["Child Unique ID"])
    sheet.append(["2020000099"])
    assert "refused-table" in codes(whole(saved(book), "a.xlsx", "annex-a", "2026-09"))


def test_a_cell_beside_the_list_is_an_extra_cell() -> None:
    book = openpyxl.load_workbook(ANNEX_A)
    book["List 1"]["K5"] = "beside"
    verdict = whole(saved(book), "a.xlsx", "annex-a", "2026-09")
    assert [(one.code, one.resource, one.row) for one in verdict.report.findings] == [("extra-cell", "list_1", 5)]


def test_a_sheet_whose_header_is_not_found_is_named() -> None:
    book = openpyxl.load_workbook(ANNEX_A)
    book["List 2"].delete_rows(1, 3)
    verdict = whole(saved(book), "a.xlsx", "annex-a", "2026-09")
    assert [(one.code, one.resource) for one in verdict.report.findings] == [("missing-header", "list_2")]


@pytest.mark.parametrize(
    ("part", "old", "new"),
    [
        ("xl/worksheets/sheet3.xml", None, None),
        ("xl/worksheets/sheet3.xml", b'r="A3"', b'r="3"'),
        ("xl/worksheets/sheet3.xml", b'r="A3"', b'r="-1"'),
    ],
    ids=["a sheet that is not there", "a cell without a column", "a cell of no place"],
)
def test_a_workbook_that_is_broken_inside_is_told_so(part: str, old: bytes | None, new: bytes | None) -> None:
    with zipfile.ZipFile(ANNEX_A) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    if old is None or new is None:
        del parts[part]
    else:
        assert old in parts[part]
        parts[part] = parts[part].replace(old, new)
    verdict = whole(zipped(parts), "a.xlsx", "annex-a", "2026-09")
    assert "wrong-format" in codes(verdict)
    assert all(one.remedy for one in verdict.report.findings)


def test_a_member_without_a_name_is_a_file_like_another() -> None:
    nameless = zipped({"x.csv": b"CHILD\r\n1\r\n"}).replace(b"x.csv", b"\0.csv")
    assert "unknown-table" in from_zip(nameless)


def random_damage(content: bytes, chance: random.Random) -> bytes:
    """Return the bytes with a few cut, doubled, changed or put in."""
    damaged = bytearray(content)
    odd = (b'"', b",", b"\r", b"\n", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\x1c", b"\x85", b'""')
    for _ in range(chance.randrange(1, 8)):
        at, other = chance.randrange(len(damaged) + 1), chance.randrange(len(damaged) + 1)
        match chance.randrange(4):
            case 0:
                damaged[at:at] = chance.choice(odd)
            case 1:
                del damaged[at : at + chance.randrange(1, 20)]
            case 2:
                damaged[at : at + 1] = bytes([chance.randrange(256)])
            case _:
                damaged[at:at] = damaged[other : other + chance.randrange(60)]
    return bytes(damaged)


@pytest.mark.parametrize("seed", range(60))
def test_damaged_files_are_answered_whatever_the_damage(seed: int) -> None:
    chance = random.Random(seed)
    for verdict in (
        riia(random_damage(GOOD, chance)),
        whole(random_damage(zipped(SSDA903), chance), "903.zip", "ssda903", "2025-26"),
    ):
        assert verdict.accepted is not None or verdict.report.findings
        assert all(one.message and one.remedy for one in verdict.report.findings)

"""Files that no return should be: each gets one clear finding, or is read and the note says how. Nothing is lost."""

from __future__ import annotations

import io
import time
import tracemalloc
import zipfile

import pytest
import pyzipper
from validation_builders import VALIDATORS, as_rows, codes, judged, riia, the

from gateway.domain.finding import Finding, Severity
from gateway.validation.validate import Verdict

GOOD = (VALIDATORS / "riia-quarterly/examples/good-2026-27-Q2/RIIA_2026-27-Q2.csv").read_bytes()
HEADER, *LINES = GOOD.decode().splitlines()
TEXT = GOOD.decode()
MEBIBYTE = 1024 * 1024


def lines(*rows: str) -> bytes:
    return ("\r\n".join(rows) + "\r\n").encode()


def only(verdict: Verdict, code: str) -> Finding:
    """Return the one finding there is, and check that it helps."""
    assert codes(verdict) == [code]
    assert verdict.accepted is None
    found = verdict.report.findings[0]
    assert found.file == "riia.csv"
    assert len(found.message) > 10
    assert found.remedy.endswith(".")
    return found


def noted(verdict: Verdict, word: str) -> None:
    assert verdict.accepted is not None, verdict.report.findings
    assert any(word in note for note in verdict.report.notes), verdict.report.notes


# -- text ------------------------------------------------------------------------------------------------------------


def test_a_byte_order_mark_is_taken_off_and_noted() -> None:
    noted(riia(b"\xef\xbb\xbf" + GOOD), "byte-order mark")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_with_its_mark_is_read_and_noted(encoding: str) -> None:
    mark = {"utf-16": b"", "utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}[encoding]
    noted(riia(mark + TEXT.encode(encoding)), "UTF-16")


def test_utf_16_without_its_mark_is_named() -> None:
    assert "UTF-8" in only(riia(TEXT.encode("utf-16-le")), "nul-byte").remedy


def test_utf_16_that_is_cut_off_is_named() -> None:
    only(riia(TEXT.encode("utf-16")[:-1]), "encoding-error")


def test_windows_1252_is_read_and_noted() -> None:
    quality = LINES[0] + "d\u00e9j\u00e0 \u20ac"
    noted(riia(lines(HEADER, quality, *LINES[1:]).decode().encode("cp1252")), "Windows-1252")


def test_bytes_of_no_encoding_are_named_with_their_row() -> None:
    broken = lines(HEADER, LINES[0]) + LINES[1].encode() + b"\x81\xff\r\n"
    assert only(riia(broken), "encoding-error").row == 3


def test_nul_bytes_are_named_with_their_row() -> None:
    assert only(riia(lines(HEADER, LINES[0], LINES[1] + "\0")), "nul-byte").row == 3


@pytest.mark.parametrize(("delimiter", "called"), [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")])
def test_a_wrong_delimiter_is_named(delimiter: str, called: str) -> None:
    assert called in only(riia(TEXT.replace(",", delimiter)), "wrong-delimiter").message


def test_semicolons_inside_a_quoted_label_are_no_delimiter() -> None:
    content = lines(HEADER + ',"a;b;c;d;e;f;g;h;i"', *(f"{line}," for line in LINES))
    assert codes(riia(content)) == ["extra-label"]


@pytest.mark.parametrize("end", ["\n", "\r"], ids=["LF", "CR"])
def test_other_line_ends_are_read(end: str) -> None:
    assert riia(TEXT.replace("\r\n", end)).accepted is not None


@pytest.mark.parametrize("content", [b"", b"\r\n \r\n", b"\xef\xbb\xbf"], ids=["no byte", "blank", "only a mark"])
def test_an_empty_file_is_named(content: bytes) -> None:
    assert only(riia(content), "empty-file").severity is Severity.ERROR


def test_a_header_without_rows_is_named() -> None:
    only(riia(lines(HEADER)), "no-rows")


def test_an_unclosed_quote_is_named_where_it_begins() -> None:
    content = lines(HEADER, LINES[0], LINES[1] + '"open', *LINES[2:])
    assert only(riia(content), "unclosed-quote").row == 3


def test_a_quote_unclosed_for_a_megabyte_is_still_told() -> None:
    content = lines(HEADER, LINES[0] + '"open', *(LINES * 600))
    assert only(riia(content), "unclosed-quote").row == 2


def test_a_line_of_100_megabytes_takes_neither_long_nor_much_more_memory_than_itself() -> None:
    content = lines(HEADER) + b"x" * (100 * MEBIBYTE)
    began = time.monotonic()
    tracemalloc.start()
    verdict = judged({"header.csv": content}, "ssda903", "2025-26", resource="header")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert codes(verdict)[0] in {"line-too-long", "file-too-large"}
    assert peak < 450 * MEBIBYTE
    assert time.monotonic() - began < 20


def test_a_line_of_two_megabytes_is_named() -> None:
    content = lines(HEADER, LINES[0]) + b"x" * (2 * MEBIBYTE)
    assert only(riia(content), "line-too-long").row == 3


# -- columns and rows ------------------------------------------------------------------------------------------------


def test_a_missing_column_is_named_and_the_others_are_still_checked() -> None:
    rows = as_rows(GOOD)
    del rows[0][3]
    for row in rows[1:]:
        del row[3]
    rows[1][3] = "many"
    verdict = riia("\r\n".join(",".join(row) for row in rows))
    assert sorted(codes(verdict)) == ["missing-label", "type-error"]
    assert the(verdict, "missing-label").label == "measure_id"
    assert the(verdict, "type-error").column == "D"


def test_an_extra_column_is_named_by_letter_and_its_name_is_hidden() -> None:
    found = only(riia(lines(HEADER + ",Hernandez", *(f"{line},x" for line in LINES))), "extra-label")
    assert (found.column, found.label, found.value.reveal()) == ("G", None, "Hernandez")


def test_a_column_that_is_there_twice_is_named() -> None:
    found = only(riia(lines(HEADER + ",quarter", *(f"{line},Q2" for line in LINES))), "duplicate-label")
    assert (found.column, found.label) == ("G", "quarter")


def test_a_file_without_a_header_is_told_so_once() -> None:
    only(riia(lines(*LINES)), "missing-header")


def test_columns_in_another_order_and_spelling_are_read() -> None:
    rows = [list(reversed(row)) for row in as_rows(GOOD)]
    rows[0] = [f" {label.upper()} " for label in rows[0]]
    assert riia("\r\n".join(",".join(row) for row in rows)).accepted is not None


def test_empty_columns_that_a_spreadsheet_leaves_behind_do_no_harm() -> None:
    noted(riia(lines(HEADER + ",,,", *(f"{line},,," for line in LINES))), "passed over")


def test_empty_rows_that_a_spreadsheet_leaves_behind_do_no_harm() -> None:
    noted(riia(GOOD + b",,,,,\r\n" * 40), "passed over")


def test_ragged_and_empty_rows_are_named_as_a_spreadsheet_numbers_them() -> None:
    cut = LINES[1].rsplit(",", 2)[0]
    verdict = riia(lines(HEADER, LINES[0] + ",1,2", cut, ",,,,,", *LINES[2:]))
    assert [(one.code, one.row) for one in verdict.report.findings] == [
        ("extra-cell", 2),
        ("missing-cell", 3),
        ("blank-row", 4),
    ]


def test_a_row_after_a_cell_of_three_lines_has_the_number_a_spreadsheet_shows() -> None:
    quality = LINES[0] + '"a\r\nb\r\nc"'
    spoilt = LINES[1].replace("Q2", "Q9")
    verdict = riia(lines(HEADER, quality, spoilt, *LINES[2:]))
    assert the(verdict, "constraint-error").row == 3


@pytest.mark.parametrize("value", ["NaN", "INF", "-INF", "1e5", "1_000", "\u0661\u0662", "1,000", "0x10", "five"])
def test_what_only_a_program_takes_for_a_number_is_none(value: str) -> None:
    rows = as_rows(GOOD)
    rows[5][4] = f'"{value}"'
    verdict = riia("\r\n".join(",".join(row) for row in rows))
    found = only(verdict, "type-error")
    assert (found.row, found.column, found.value.reveal()) == (6, "E", value)


def test_another_authoritys_row_and_another_quarters_row_are_refused() -> None:
    rows = as_rows(GOOD)
    rows[3][0], rows[4][2] = "203", "Q3"
    verdict = riia("\r\n".join(",".join(row) for row in rows))
    assert (the(verdict, "wrong-authority").row, the(verdict, "wrong-period").row) == (4, 5)
    assert "202" in the(verdict, "wrong-authority").remedy


# -- zip files and workbooks -----------------------------------------------------------------------------------------

HEADERS = VALIDATORS / "ssda903/examples/good-2025-26"
TABLES = {path.name: path.read_bytes() for path in sorted(HEADERS.iterdir())}


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def sent(
    content: bytes, name: str = "SSDA903_2025-26.zip", collection: str = "ssda903", period: str = "2025-26"
) -> Verdict:
    return judged({name: content}, collection, period)


def test_a_zip_of_all_tables_is_a_whole_return() -> None:
    assert sent(zipped(TABLES)).accepted is not None
    assert sent(zipped({f"folder/deep/{name}": content for name, content in TABLES.items()})).accepted is not None


def test_a_zip_bomb_is_not_unpacked() -> None:
    bomb = zipped({"header.csv": b"0" * (60 * MEBIBYTE)})
    tracemalloc.start()
    verdict = sent(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert codes(verdict) == ["zip-too-large"]
    assert peak < MEBIBYTE


def test_a_zip_with_a_password_is_answered() -> None:
    out = io.BytesIO()
    with pyzipper.AESZipFile(out, "w", encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(b"secret")
        archive.writestr("header.csv", b"CHILD")
    assert codes(sent(out.getvalue())) == ["password-protected"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (zipped({"inner.zip": zipped(TABLES)}), "nested-zip"),
        (zipped({"header.csv": zipped(TABLES)}), "nested-zip"),
        (zipped({}), "empty-file"),
        (zipped(TABLES)[:-40], "wrong-format"),
        (zipped(TABLES, zipfile.ZIP_LZMA), "wrong-format"),
        (b"", "empty-file"),
        (b"CHILD,SEX\r\n", "wrong-format"),
    ],
    ids=["zip in a zip", "zip called csv", "no member", "cut off", "unusual packing", "no byte", "text"],
)
def test_a_zip_that_cannot_be_a_return_is_named(content: bytes, code: str) -> None:
    verdict = sent(content)
    assert code in codes(verdict)
    assert verdict.accepted is None


def test_a_refused_table_in_a_zip_refuses_the_whole() -> None:
    verdict = sent(zipped({**TABLES, "AD1.csv": b"CHILD,DOB\r\n"}))
    assert codes(verdict) == ["refused-table"]


def test_the_same_table_twice_in_a_zip_is_named() -> None:
    verdict = sent(zipped({**TABLES, "more/header.csv": TABLES["SSDA903_2025-26_header.csv"]}))
    assert codes(verdict) == ["duplicate-table"]


@pytest.mark.parametrize(
    "content",
    [
        b"no workbook at all",
        b"<html><table></table></html>",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
        b"PK\x03\x04x",
    ],
    ids=["text", "a web page", "old or locked", "cut off"],
)
def test_an_xlsx_that_is_not_one_is_named(content: bytes) -> None:
    verdict = sent(content, "Annex_A_2026-09.xlsx", "annex-a", "2026-09")
    assert codes(verdict) == ["wrong-format"]
    assert ".xlsx" in verdict.report.findings[0].remedy


@pytest.mark.parametrize("content", [zipped({"xl/workbook.xml": b"<a/>"}), b"%PDF-1.7", b"<Message/>", zipped(TABLES)])
def test_a_table_that_is_no_text_is_named(content: bytes) -> None:
    assert codes(judged({"header.csv": content}, "ssda903", "2025-26", resource="header"))[0] == "wrong-format"

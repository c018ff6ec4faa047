"""A workbook is measured before it is opened: one that would take all memory is answered and the service lives."""

from __future__ import annotations

import io
import zipfile

import openpyxl
import pytest

from gateway.validation.workbook_size import refuse_oversize


def workbook(*places: str) -> bytes:
    """Make a workbook with a value in each place."""
    book = openpyxl.Workbook()
    for place in places:
        book.worksheets[0][place] = "1"
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def changed(content: bytes, name: str, make: bytes) -> bytes:
    """Replace or add one member."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for one in old.namelist():
            if one != name:
                new.writestr(one, old.read(one))
        new.writestr(name, make)
    return out.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
START = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
END = b"</sheetData></worksheet>"


def sheet(rows: bytes) -> bytes:
    return changed(workbook("A1"), SHEET, START + rows + END)


@pytest.mark.parametrize(
    "content",
    [
        workbook("A1", "Q60000"),
        sheet(b""),
        sheet(b'<row r="1048576"><c r="XFD1048576" s="3"/></row>'),
    ],
    ids=["a long list", "empty", "far formats without a value"],
)
def test_what_a_list_can_be_is_opened(content: bytes) -> None:
    assert refuse_oversize(content) is None


@pytest.mark.parametrize(
    "content",
    [
        workbook("A1", "XFD1048576"),
        workbook("XFD1048576"),
        sheet(b"<row r='1'><c r='A1'><v>1</v></c></row><row r='900000'><c r='ZZ900000' t='inlineStr'><is/></c></row>"),
        sheet(b'<row r="1"><c><v>1</v></c></row><row r="1048576">' + b"<c/>" * 20 + b"<c><v>1</v></c></row>"),
    ],
    ids=["two corners", "one far value alone", "single quotes and inline", "cells without a reference"],
)
def test_a_far_value_is_named_and_not_opened(content: bytes) -> None:
    found = refuse_oversize(content)
    assert found is not None
    assert "rows" in found.message
    assert "Ctrl+End" in found.remedy


def test_a_sheet_that_unpacks_to_far_more_is_not_opened() -> None:
    found = refuse_oversize(sheet(b"<row/>" * 20_000_000))
    assert found is not None
    assert "unpacks" in found.message


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04 this is no workbook",
        sheet(b"<row><c></row>"),
        changed(workbook("A1"), "content.xml", b"<office/>"),
        changed(workbook("A1"), "xl/workbook.bin", b"\x00"),
    ],
    ids=["no zip", "broken XML", "OpenDocument beside it", "binary workbook beside it"],
)
def test_what_is_not_plainly_a_workbook_is_not_opened(content: bytes) -> None:
    found = refuse_oversize(content)
    assert found is not None
    assert "save it as .xlsx" in found.remedy

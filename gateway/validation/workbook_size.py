"""Looks at a workbook before it is opened: a few kilobytes can ask for hundreds of gigabytes.

* A workbook is a zip of XML. Its members are read as a stream and counted, with limits, before the reader sees them.
* The reader gives memory to the whole rectangle from a sheet's first cell to its last value, so that one value in the
  last cell of an otherwise empty sheet would end the service. The rectangle is measured here first; cells without a
  value do not count.
* What is not well-formed XML, or could be taken for another kind of workbook, goes no further.
"""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from typing import IO

from lxml import etree

MAX_UNPACKED_BYTES = 256 * 1024**2
MAX_RATIO = 200
"""Sheets pack about 10 to 1; 200 is a bomb."""
MAX_MEMBERS = 2000
MAX_CELLS = 5_000_000
"""Cells of one sheet's rectangle. Fifty thousand children in forty columns are two million."""
_OTHER_KINDS = frozenset({"content.xml", "xl/workbook.bin"})
_LOOK_BYTES = 64
_PLACE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})", re.ASCII)
_LETTERS = 26


@dataclass(frozen=True, kw_only=True, slots=True)
class Oversize:
    """Why a workbook is not opened, and what to do."""

    message: str
    remedy: str
    rule: str


_BROKEN = Oversize(
    message="The workbook cannot be read.",
    remedy="Open it in Excel, save it as .xlsx and send it.",
    rule="a file of type xlsx",
)


def refuse_oversize(content: bytes) -> Oversize | None:
    """Return why a workbook may not be opened, or None where it may."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if any(one.filename in _OTHER_KINDS for one in members):
                return _BROKEN
            total = sum(one.file_size for one in members)
            packed = sum(one.compress_size for one in members)
            if len(members) > MAX_MEMBERS or total > MAX_UNPACKED_BYTES or total > MAX_RATIO * max(packed, 4096):
                return Oversize(
                    message="The workbook unpacks to far more than a return holds.",
                    remedy="Copy the lists into a new workbook, save it as .xlsx and send it.",
                    rule=f"at most {MAX_UNPACKED_BYTES // 1024**2} MB, {MAX_RATIO} to 1",
                )
            return next((found for one in members if (found := _measure(archive, one))), None)
    except (zipfile.BadZipFile, RuntimeError, OSError, EOFError, NotImplementedError, ValueError):
        return _BROKEN


def _measure(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Oversize | None:
    with archive.open(member) as source:
        if b"<" not in source.read(_LOOK_BYTES):
            return None
    try:
        with archive.open(member) as source:
            rows, columns = _rectangle(source)
    except etree.XMLSyntaxError:
        return _BROKEN
    if rows * columns <= MAX_CELLS:
        return None
    return Oversize(
        message=f"A sheet reaches over {rows:,} rows and {columns:,} columns, far more than a list holds.",
        remedy="Delete stray values far below or beside the list (Excel: Ctrl+End shows the last) and save it again.",
        rule=f"at most {MAX_CELLS:,} cells a sheet",
    )


def _rectangle(source: IO[bytes]) -> tuple[int, int]:
    """Return the rows and columns of the rectangle from the first cell of a sheet to its last value."""
    row = column = bottom = right = 0
    reading = etree.iterparse(source, events=("start", "end"), resolve_entities=False, no_network=True, huge_tree=False)
    for event, element in reading:
        name = etree.QName(element).localname if isinstance(element.tag, str) else ""
        if event == "end":
            if name in {"row", "c"}:
                element.clear()
            continue
        if name == "row":
            told = element.get("r", "")
            row, column = (int(told) if told.isdigit() else row + 1), 0
        elif name == "c":
            place = _PLACE.fullmatch(element.get("r", ""))
            column = _number(place[1]) if place else column + 1
            row = int(place[2]) if place else row
        elif name in {"v", "is", "f"}:
            bottom, right = max(row, bottom), max(column, right)
    return bottom, right


def _number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * _LETTERS + ord(letter) - ord("A") + 1
    return number

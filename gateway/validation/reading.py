"""Turns dropped files into tables of text, safely: CSV, workbooks, and zip files of these.

* Everything has a limit: size, members of a zip, how far it unpacks, a line's length, a cell's length.
* What is wrong with a file's form is a finding with its place; nothing here raises for bad content.
* Row numbers are those a spreadsheet shows: the header is row 1, or wherever it stands in a sheet.
"""

from __future__ import annotations

import csv
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import BinaryIO

from python_calamine import CalamineError, CalamineWorkbook, PasswordError, WorksheetNotFound

from gateway.domain.collection import Collection, Package, ResourceOutline
from gateway.domain.finding import Finding
from gateway.domain.submission import ReceivedFile
from gateway.validation.findings import Findings
from gateway.validation.recognise import fits_refused, recognise_member, sniff
from gateway.validation.workbook_size import refuse_oversize

MAX_CELL_CHARACTERS = 100_000
"""Checked here, whatever limit Python's csv module has: other libraries raise that one for the whole process."""
MAX_LINE_CHARACTERS = 1024 * 1024
"""A line longer than this is no row of any collection; the widest has some forty columns."""
MAX_ZIP_MEMBERS = 200
MAX_ZIP_RATIO = 200
"""Text packs about 20 to 1; 200 is a bomb."""
_MEMBER_MARK = b"PK\x01\x02"
_LINE = re.compile(r"[^\r\n]*+(?:\r\n|\r|\n)?+")
"""A line with its end: CRLF, LF, or CR alone as old Macs write it. Possessive, so that a long line is read once."""
_MANY = 10
"""The mark of a member may stand in packed bytes by chance, so the count before opening is generous."""
_UNZIPPING = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    RuntimeError,
    OSError,
    EOFError,
    NotImplementedError,
    ValueError,
    LookupError,
)
"""Everything that ``zipfile`` raises for bytes it cannot make sense of."""
_UNREADABLE = (CalamineError, WorksheetNotFound, OSError, ValueError, LookupError)
"""What the reader of workbooks raises for one that is broken inside."""
_SAVE_AGAIN = "Open it in Excel, save it as .xlsx and send it."
_HEADER_LOOK_ROWS = 15
_LETTERS = 26
_OLE = b"\xd0\xcf\x11\xe0"
"""How an old .xls begins, and a new one with a password."""
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_UNQUOTED = re.compile(r'"[^"]*"')
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Others may ask for gigabytes of memory before the first byte is out."""
_CALLED = {"utf-16": "UTF-16", "cp1252": "Windows-1252 (Western European)"}
_NOT_TEXT = {
    "xlsx": "a workbook",
    "zip": "a zip file",
    "pdf": "a PDF document",
    "xml": "an XML file or a web page",
    "ole": "an old .xls, or a workbook with a password",
}


@dataclass(kw_only=True)
class RawTable:
    """One table as text.

    Attributes:
        resource: its name.
        file: the file it came from.
        labels: the header as sent, in order.
        rows: cells as sent; each row is as long as it was.
        numbers: the number of each row, as a spreadsheet shows it.
        top: the number of the header's row.
    """

    resource: str
    file: str
    labels: list[str]
    rows: list[list[str]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    top: int = 1


@dataclass(kw_only=True)
class Read:
    """Everything that was read."""

    tables: list[RawTable] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)
    notes: list[str] = field(default_factory=list)


def column_letter(index: int) -> str:
    """Return the letter of a column as a spreadsheet shows it; 0 is A, 26 is AA."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, _LETTERS)
        letters = chr(ord("A") + rest) + letters
    return letters


def read_files(
    files: Sequence[tuple[ReceivedFile, Callable[[], BinaryIO]]], collection: Collection, package: Package
) -> Read:
    """Read every file of a submission."""
    read = Read()
    for file, opener in files:
        if file.size_bytes > collection.max_bytes:
            limit = collection.max_bytes // 1024**2
            _add(
                read,
                "file-too-large",
                file.name,
                f"The file is larger than {limit} MB.",
                "Split it or remove what is not asked for.",
                resource=file.resource or "",
            )
            continue
        with opener() as source:
            content = source.read()
        if file.resource is not None:
            _read_csv(read, content, file.name, file.resource)
        else:
            _read_whole(read, content, file.name, collection, package)
    _refuse_by_header(read, collection)
    return read


def _refuse_by_header(read: Read, collection: Collection) -> None:
    """Take out tables that nobody may hold and that came under another name."""
    kept: list[RawTable] = []
    for table in read.tables:
        refused = fits_refused(collection, table.labels)
        if refused is None:
            kept.append(table)
        else:
            _refused(read, table.file, refused, collection)
    read.tables = kept


def _add(
    read: Read,
    code: str,
    file: str,
    message: str,
    remedy: str,
    *,
    resource: str = "",
    row: int | None = None,
    rule: str = "",
) -> None:
    read.findings.add(
        Finding(code=code, file=file, resource=resource, row=row, message=message, remedy=remedy, rule=rule)
    )


# -- CSV -------------------------------------------------------------------------------------------------------------


def _read_csv(read: Read, content: bytes, file: str, resource: str) -> None:
    text = _decode(read, content, file, resource) if content else ""
    if text is None:
        return
    if not text.strip():
        _add(read, "empty-file", file, "The file is empty.", "Export it again and send it.", resource=resource)
        return
    if not _fits_limits(read, text, file, resource):
        return
    first = _UNQUOTED.sub("", next(_lines(text)))
    delimiter = max(_DELIMITERS, key=first.count)
    if delimiter != ",":
        _add(
            read, "wrong-delimiter", file, f"The columns are separated by {_DELIMITERS[delimiter]}, not by commas.",
            "Save it as CSV with commas: in Excel choose 'CSV UTF-8 (Comma delimited)'.", resource=resource, row=1,
            rule="comma between columns",
        )  # fmt: skip
        return
    table = RawTable(resource=resource, file=file, labels=[])
    if _parse(read, text, table):
        read.tables.append(table)


def _decode(read: Read, content: bytes, file: str, resource: str) -> str | None:
    """Return the text, or None where there is none; what was assumed becomes a note."""
    kind = "ole" if content.startswith(_OLE) else sniff(lambda: io.BytesIO(content), file).kind
    if kind in _NOT_TEXT:
        _add(
            read, "wrong-format", file, f"The file is named as a CSV and is {_NOT_TEXT[kind]}.",
            "Save it as CSV UTF-8 (in Excel: Save As, CSV UTF-8), or give it its right ending.", resource=resource,
            rule="a CSV file",
        )  # fmt: skip
        return None
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _decode_as(read, content, file, resource, "utf-16")
    if b"\0" in content:
        _nul(read, file, resource, content.count(b"\n", 0, content.find(b"\0")) + 1)
        return None
    if content.startswith(b"\xef\xbb\xbf"):
        read.notes.append("A file began with a byte-order mark, which was taken off.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return _decode_as(read, content, file, resource, "cp1252")


def _decode_as(read: Read, content: bytes, file: str, resource: str, encoding: str) -> str | None:
    """Decode text that is not UTF-8, strictly: a byte that fits nothing is refused, never replaced."""
    called = _CALLED[encoding]
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        _add(
            read, "encoding-error", file, f"The text is neither UTF-8 nor valid {called}.",
            "Save it as UTF-8 (in Excel: Save As, CSV UTF-8).", resource=resource,
            row=content.count(b"\n", 0, error.start) + 1, rule="UTF-8",
        )  # fmt: skip
        return None
    if "\0" in text:
        _nul(read, file, resource, text.count("\n", 0, text.find("\0")) + 1)
        return None
    read.notes.append(f"A file was not UTF-8 and was read as {called}; UTF-8 is preferred.")
    return text


def _nul(read: Read, file: str, resource: str, row: int) -> None:
    _add(
        read, "nul-byte", file, "The file holds NUL bytes, which no text has.",
        "Save it as UTF-8 (in Excel: CSV UTF-8); if it stays so, tell your supplier.", resource=resource, row=row,
        rule="plain text",
    )  # fmt: skip


def _lines(text: str) -> Iterator[str]:
    """Yield each line with its end, without a second copy of the text."""
    at = 0
    while at < len(text):
        found = _LINE.match(text, at)
        end = found.end() if found else len(text)
        yield text[at:end]
        at = end


def _fits_limits(read: Read, text: str, file: str, resource: str) -> bool:
    for row, line in enumerate(_lines(text), start=1):
        if len(line) > MAX_LINE_CHARACTERS:
            _add(
                read, "line-too-long", file, f"Line {row} is {len(line):,} characters long; no row is.",
                "Check that lines end with a line break and that quotation marks are closed.", resource=resource,
                row=row, rule=f"at most {MAX_LINE_CHARACTERS:,} characters a line",
            )  # fmt: skip
            return False
    return True


def _parse(read: Read, text: str, table: RawTable) -> bool:
    """Split the text into rows; say whether it could be."""
    reader = csv.reader(_lines(text), strict=True)
    number = line = 0
    try:
        for number, cells in enumerate(reader, start=1):
            if len(max(cells, key=len, default="")) > MAX_CELL_CHARACTERS:
                _cell_too_long(read, table, number, several_lines=reader.line_num > line + 1)
                return False
            line = reader.line_num
            if number == 1:
                table.labels = cells
            else:
                table.rows.append(cells)
                table.numbers.append(number)
    except csv.Error as error:
        if "field larger" in str(error):  # the module's own limit, which is lower where nobody has raised it
            _cell_too_long(read, table, number + 1, several_lines=reader.line_num > line + 1)
            return False
        code, message, remedy = _quoting(str(error))
        _add(read, code, table.file, message, remedy, resource=table.resource, row=number + 1, rule="RFC 4180")
        return False
    return True


def _cell_too_long(read: Read, table: RawTable, number: int, *, several_lines: bool) -> None:
    if several_lines:
        code, message, remedy = _UNCLOSED
    else:
        code, message = "cell-too-long", f"A cell is longer than {MAX_CELL_CHARACTERS:,} characters."
        remedy = "Shorten it, or look for a missing comma."
    _add(read, code, table.file, message, remedy, resource=table.resource, row=number, rule="cells of a table")


def _quoting(error: str) -> tuple[str, str, str]:
    """Return code, message and remedy for what Python's reader stumbled over; its own words quote nothing."""
    if "end of data" in error:
        return _UNCLOSED
    return (
        "quote-error",
        "A quotation mark stands where none may.",
        "Write two of them for one inside a cell, and put the whole cell in quotation marks.",
    )


_UNCLOSED = ("unclosed-quote", "A quotation mark is opened and never closed.", "Close it, or take it out.")


# -- workbooks and zip files -----------------------------------------------------------------------------------------


def _read_whole(read: Read, content: bytes, file: str, collection: Collection, package: Package) -> None:
    sniffed = sniff(lambda: io.BytesIO(content), file)
    if sniffed.kind == "empty":
        _add(read, "empty-file", file, "The file is empty.", "Export it again and send it.")
    elif sniffed.kind == "xlsx" and "xlsx" in collection.media:
        _read_workbook(read, content, file, collection, package)
    elif sniffed.kind == "zip" and "zip" in collection.media and not file.lower().endswith(".xlsx"):
        _read_zip(read, content, file, collection, package)
    else:
        wanted = " or ".join(collection.media)
        locked = content.startswith(_OLE)
        _add(
            read,
            "wrong-format",
            file,
            "The workbook is an old .xls or is protected by a password."
            if locked
            else "The content is not what the file's ending says.",
            f"Send {wanted}, without a password. In Excel: Save As, Excel Workbook (.xlsx)."
            if "xlsx" in collection.media
            else f"Send {wanted}.",
            rule=f"a file of type {wanted}",
        )


def _read_zip(read: Read, content: bytes, file: str, collection: Collection, package: Package) -> None:
    if content.count(_MEMBER_MARK) > _MANY * MAX_ZIP_MEMBERS:
        _too_large(read, file, collection)
        return
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except _UNZIPPING:
        _add(read, "wrong-format", file, "The zip file is damaged.", "Make it again and send it.")
        return
    with archive:
        members = [
            one
            for one in archive.infolist()
            if not one.filename.endswith("/") and not one.filename.startswith("__MACOSX/")
        ]
        if not _zip_is_safe(read, members, file, len(content), collection):
            return
        for one in members:
            name = one.filename.rpartition("/")[2]
            try:
                inner = archive.read(one)
            except _UNZIPPING:
                _add(read, "wrong-format", name, "A file in the zip cannot be unpacked.", "Make the zip file again.")
                continue
            _read_member(read, inner, name, collection, package)


def _zip_is_safe(
    read: Read, members: Sequence[zipfile.ZipInfo], file: str, packed: int, collection: Collection
) -> bool:
    """Say whether it may be unpacked. A member that lies about its size is cut there and fails its checksum."""
    total = sum(one.file_size for one in members)
    if any(one.flag_bits & 1 for one in members):
        _add(
            read, "password-protected", file, "The zip file is protected by a password.",
            "Send it without a password: the connection and everything we keep is encrypted.",
        )  # fmt: skip
        return False
    if any(one.compress_type not in _ZIP_METHODS for one in members):
        _add(
            read, "wrong-format", file, "The zip file is packed in an unusual way.",
            "Make it again as an ordinary zip file: in Windows, Send to, Compressed folder.", rule="zip, deflated",
        )  # fmt: skip
        return False
    if not members:
        _add(read, "empty-file", file, "The zip file holds no file.", "Make it again and send it.")
        return False
    if len(members) > MAX_ZIP_MEMBERS or total > collection.max_bytes or total > MAX_ZIP_RATIO * max(packed, 1024):
        _too_large(read, file, collection)
        return False
    return True


def _too_large(read: Read, file: str, collection: Collection) -> None:
    limit = collection.max_bytes // 1024**2
    _add(
        read, "zip-too-large", file, "The zip file unpacks to far more than a return holds.",
        "Put only the tables of this return into it.",
        rule=f"at most {MAX_ZIP_MEMBERS} files, {limit} MB, {MAX_ZIP_RATIO} to 1",
    )  # fmt: skip


def _read_member(read: Read, content: bytes, name: str, collection: Collection, package: Package) -> None:
    sniffed = sniff(lambda: io.BytesIO(content), name)
    if sniffed.kind == "zip":
        _add(read, "nested-zip", name, "The zip file holds another zip file.", "Put the tables into one zip file.")
        return
    if sniffed.kind == "xlsx" and "xlsx" in collection.media:
        _read_workbook(read, content, name, collection, package)
        return
    resource = fits_refused(collection, sniffed.labels) or recognise_member(collection, name, sniffed)
    if resource in collection.refused_resources:
        _refused(read, name, resource or "", collection)
    elif resource is None or resource not in {one.name for one in package.resources}:
        _add(
            read, "unknown-table", name, "A file in the zip is no table of this collection.",
            f"Leave it out. The tables are {', '.join(one.name for one in package.resources)}.",
        )  # fmt: skip
    else:
        _read_csv(read, content, name, resource)


def _refused(read: Read, file: str, resource: str, collection: Collection) -> None:
    _add(
        read, "refused-table", file, f"Table {resource} is refused: {collection.refused_because}.",
        "Take it out and send the rest.", resource=resource, rule="tables nobody may hold",
    )  # fmt: skip


def _read_workbook(read: Read, content: bytes, file: str, collection: Collection, package: Package) -> None:
    oversize = refuse_oversize(content)
    if oversize is not None:
        _add(read, "wrong-format", file, oversize.message, oversize.remedy, rule=oversize.rule)
        return
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
    except PasswordError:
        _add(
            read,
            "password-protected",
            file,
            "The workbook is protected by a password.",
            "Save it without one and send it.",
        )
        return
    except _UNREADABLE:
        _add(read, "wrong-format", file, "The workbook cannot be read.", _SAVE_AGAIN, rule="a file of type xlsx")
        return
    by_sheet = {_plain(one.sheet or one.name): one for one in package.resources}
    ignored = {_plain(one) for one in collection.ignored_sheets}
    refused = {_plain(one): one for one in collection.refused_resources}
    for name in book.sheet_names:
        key = _plain(name)
        if key in ignored:
            continue
        try:
            rows = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
        except _UNREADABLE:
            _add(
                read, "wrong-format", f"{file}, sheet {name}", "A sheet of the workbook cannot be read.", _SAVE_AGAIN,
                resource=by_sheet[key].name if key in by_sheet else "", rule="a file of type xlsx",
            )  # fmt: skip
            continue
        outline = by_sheet.get(key)
        forbidden = refused.get(key) or next(
            (
                found
                for row in rows[:_HEADER_LOOK_ROWS]
                if (found := fits_refused(collection, [_text(one) for one in row]))
            ),
            None,
        )
        if forbidden is not None:
            # The template's own empty list, header and nothing below, does no harm.
            if sum(1 for row in rows if any(cell not in ("", None) for cell in row)) > 1:
                _refused(read, f"{file}, sheet {name}", forbidden, collection)
        elif outline is None:
            read.notes.append("A sheet that is no list of this collection was passed over.")
        else:
            _read_sheet(read, rows, file, outline)


def _plain(sheet: str) -> str:
    """Return a sheet's name without what people vary: ``List 10``, ``list_10`` and ``List10`` are one."""
    return re.sub(r"[\s_-]+", "", sheet).casefold()


def _read_sheet(read: Read, rows: Sequence[Sequence[object]], file: str, outline: ResourceOutline) -> None:
    wanted = {label.casefold() for label in outline.labels}

    def likeness(row: Sequence[object]) -> int:
        return len({" ".join(str(cell).split()).casefold() for cell in row} & wanted)

    top = max(range(min(len(rows), _HEADER_LOOK_ROWS)), key=lambda at: likeness(rows[at]), default=None)
    if top is None or likeness(rows[top]) == 0:
        _add(
            read, "missing-header", f"{file}, sheet {outline.sheet}", "No header row of this list is in the sheet.",
            "Keep the column names of the template, within the first rows.", resource=outline.name,
        )  # fmt: skip
        return
    table = RawTable(
        resource=outline.name,
        file=f"{file}, sheet {outline.sheet}",
        labels=[_text(cell) for cell in rows[top]],
        top=top + 1,
    )
    while table.labels and not table.labels[-1].strip():
        table.labels.pop()
    width = len(table.labels)
    for number, row in enumerate(rows[top + 1 :], start=top + 2):
        cells = [_text(cell) for cell in row]
        if any(cell.strip() for cell in cells):
            beyond = [cell for cell in cells[width:] if cell.strip()]
            table.rows.append(cells[:width] + beyond)
            table.numbers.append(number)
    read.tables.append(table)


def _text(cell: object) -> str:
    """Return a workbook's cell as the text a CSV would hold: dates as dd/mm/yyyy, whole numbers without a point."""
    match cell:
        case None:
            return ""
        case bool():
            return str(cell)
        case datetime() | date():
            return cell.strftime("%d/%m/%Y")
        case time():
            return cell.strftime("%H:%M")
        case float() if cell.is_integer():
            return str(int(cell))
        case _:
            return str(cell).strip()

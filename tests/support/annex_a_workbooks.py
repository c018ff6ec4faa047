"""Makes the example workbooks of Annex A from the example CSV files. Run it when the lists change.

    python tests/support/annex_a_workbooks.py

As real workbooks are: a title above the header, dates in date cells, a sheet of instructions, lists in sheets.
"""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
from openpyxl.styles import Font

EXAMPLES = Path(__file__).parents[2] / "validators" / "annex-a" / "examples"
_DAY = re.compile(r"\d\d/\d\d/\d{4}")
_MADE = datetime(2026, 9, 30, tzinfo=UTC).replace(tzinfo=None)


def workbook(lists: Path, *, adoption: bool) -> openpyxl.Workbook:
    """Return a workbook of the lists in a folder of CSV files; with a filled list 10, which nobody may send."""
    book = openpyxl.Workbook()
    first = book.worksheets[0]
    first.title = "Instructions"
    first.append(["Fill in every list. This sheet is no list and is passed over."])
    for number in range(1, 10):
        (path,) = lists.glob(f"*_list_{number}.csv")
        sheet = book.create_sheet(f"List {number}")
        sheet.append([f"List {number} of Annex A, synthetic"])
        sheet.append([])
        with path.open(encoding="utf-8", newline="") as source:
            for row in csv.reader(source):
                sheet.append([_cell(text) for text in row])
        for cell in sheet[3]:
            cell.font = Font(bold=True)
    adopted = book.create_sheet("List 10")
    adopted.append(["Child Unique ID", "Date of Birth"])
    if adoption:
        adopted.append(["2020000099", datetime(2020, 1, 2, tzinfo=UTC).replace(tzinfo=None)])
    book.properties.created = book.properties.modified = _MADE
    return book


def _cell(text: str) -> str | datetime | int | None:
    if not text:
        return None
    if _DAY.fullmatch(text):
        return datetime.strptime(text, "%d/%m/%Y").replace(tzinfo=UTC).replace(tzinfo=None)
    return int(text) if text.isdigit() and len(text) < 4 else text


def main() -> None:
    """Write the examples."""
    for name, adoption in (("good-2026-09-workbook", False), ("bad-2026-09-list-10", True)):
        folder = EXAMPLES / name
        folder.mkdir(exist_ok=True)
        workbook(EXAMPLES / "good-2026-09", adoption=adoption).save(folder / "Annex_A_2026_Sep.xlsx")


if __name__ == "__main__":
    main()

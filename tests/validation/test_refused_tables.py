"""What nobody may hold is refused at the door, whatever its file, sheet or zip member is called."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from shutil import copytree

import openpyxl
import pytest
from validation_builders import VALIDATORS, codes, judged, told

from gateway.errors import SettingsError
from gateway.validation.catalogue import load_collection
from gateway.validation.recognise import Refused

AD1 = b"CHILD,DOB,DATE_INT,DATE_MATCH,FOSTER_CARE,NB_ADOPTR,SEX_ADOPTR,LS_ADOPTR\r\n1,,,,,,,\r\n"
PLACED = b"child , dob,Date_Placed,DATE_PLACED_CEASED,REASON_PLACED_CEASED\r\n1,,,,\r\n"
LIST_11 = b"Individual adopter identifier,Family identifier,Date Stage 1 started\r\n1,2,\r\n"


@pytest.mark.parametrize(
    ("content", "name", "folder", "table"),
    [
        (AD1, "export.csv", (), "ad1"),
        (AD1, "episodes.csv", ("ssda903", "2025-26"), "ad1"),
        (PLACED, "SSDA903_2025-26_header.csv", (), "placed_adoption"),
        (LIST_11, "list_9.csv", ("annex-a", "2026-09"), "list_11"),
    ],
)
def test_a_refused_table_under_another_name_is_told_by_its_header(
    content: bytes, name: str, folder: tuple[str, ...], table: str
) -> None:
    found = told(content, name, *folder)
    assert isinstance(found, Refused)
    assert found.resource == table
    assert "refused at the door" in found.reason


def test_a_refused_table_in_a_zip_under_another_name_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path in (VALIDATORS / "ssda903/examples/good-2025-26").iterdir():
            archive.write(path, path.name)
        archive.writestr("reviews_old.csv", AD1)
    assert codes(judged({"all.zip": out.getvalue()}, "ssda903", "2025-26")) == ["refused-table"]


def test_a_refused_table_in_utf_16_is_refused_even_where_recognition_was_told_otherwise() -> None:
    verdict = judged({"header.csv": AD1.decode().encode("utf-16")}, "ssda903", "2025-26", resource="header")
    assert "refused-table" in codes(verdict)
    assert verdict.accepted is None


@pytest.mark.parametrize(("rows", "refused"), [(2, True), (1, False)], ids=["with a row", "the template's header"])
def test_a_refused_list_on_a_renamed_sheet_is_refused(rows: int, refused: bool) -> None:
    (path,) = (VALIDATORS / "annex-a/examples/good-2026-09-workbook").glob("*.xlsx")
    book = openpyxl.load_workbook(path)
    sheet = book.create_sheet("Other")
    header = ["Child Unique ID", "Date of Placement Order", "Date Placed for Adoption"]
    for row in [header, ["X1", "", ""]][:rows]:
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    verdict = judged({"Annex_A_2026_Sep.xlsx": out.getvalue()}, "annex-a", "2026-09")
    assert codes(verdict) == (["refused-table"] if refused else [])


def test_headers_of_a_table_that_is_not_refused_are_a_mistake_in_the_collection(tmp_path: Path) -> None:
    folder = Path(copytree(VALIDATORS / "ssda903", tmp_path / "ssda903"))
    text = (folder / "collection.toml").read_text(encoding="utf-8")
    (folder / "collection.toml").write_text(text.replace("\nad1 = [", "\nad2 = ["), encoding="utf-8")
    with pytest.raises(SettingsError, match=r"did you mean refused_headers\.ad1"):
        load_collection(folder)

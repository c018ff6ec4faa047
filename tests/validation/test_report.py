"""What validation found reaches its own authority in three forms, and its cells nobody else."""

from __future__ import annotations

import copy
import csv
import io
import json
import pickle
import re
from collections.abc import Iterator, Sequence

import pytest
from validation_builders import CAMDEN, NOW, VALIDATORS, as_csv, as_rows, checked, collection, judged, received, riia

from gateway.domain.finding import Cell, Finding, Report
from gateway.domain.period import Period
from gateway.validation.engine import EngineTable, Fault
from gateway.validation.findings import MAX_FINDINGS_A_CODE
from gateway.validation.report import SHOWN_A_RULE, ReportHeading, render_csv, render_html, render_json, safe_cell
from gateway.validation.validate import MAX_FAULTS, Verdict, validate

ROWS = as_rows((VALIDATORS / "riia-quarterly/examples/good-2026-27-Q2/RIIA_2026-27-Q2.csv").read_bytes())
MARK = "CANARY7319"
HEADING = ReportHeading(
    submission="7f3a",
    authority="Camden",
    collection="RIIA quarterly dataset",
    period="July to September 2026",
    version=2,
    received_at=NOW,
    files=("Q2 <b>final</b>.csv",),
)


def spoilt(*changes: tuple[int, int, str]) -> Verdict:
    rows = [list(row) for row in ROWS]
    for row, column, value in changes:
        rows[row][column] = value
    return riia(as_csv(rows))


def everywhere() -> Verdict:
    """Return a verdict with a marked value behind every kind of finding that can hold one."""
    rows = [[*row, ""] for row in ROWS]
    rows[0][6] = MARK
    for row, column in ((2, 0), (3, 1), (4, 2), (5, 3), (6, 4)):
        rows[row][column] = MARK
    rows[8][5] = MARK
    rows[9][3] = rows[8][3]
    rows[10].append(MARK)
    return riia(as_csv(rows))


def html(report: Report) -> str:
    return render_html(report, HEADING)


def lines(report: Report) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render_csv(report).decode("utf-8-sig"), newline="")))


def test_a_value_is_shown_in_the_three_forms_and_nowhere_else() -> None:
    verdict = everywhere()
    report = verdict.report
    assert {"extra-label", "type-error", "constraint-error", "wrong-authority", "wrong-period"} <= set(report.counts)
    for shown in (html(report), render_csv(report).decode(), render_json(report).decode()):
        assert shown.count(MARK) >= 5
    for silent in (verdict, report, report.summary(), *report.findings):
        assert MARK not in repr(silent)
        assert MARK not in str(silent)
        assert MARK not in f"{silent!r:>10}"
    assert MARK.encode() not in pickle.dumps(report.summary())
    for one in report.findings:
        assert MARK not in " ".join([one.message, one.remedy, one.rule, one.code, one.label or "", one.column or ""])
    assert MARK not in " ".join(report.notes)


def test_a_report_with_cells_cannot_be_stored() -> None:
    report = everywhere().report
    for one in (report, *[found for found in report.findings if found.value.reveal()]):
        with pytest.raises(TypeError, match="never stored"):
            pickle.dumps(one)
        with pytest.raises(TypeError, match="never stored"):
            copy.deepcopy(one)


def test_values_of_a_child_level_table_are_hidden_too() -> None:
    content = f"CHILD,SEX,DOB,ETHNIC,UPN,MOTHER,MC_DOB\r\n1,{MARK},{MARK},{MARK},{MARK},{MARK},{MARK}\r\n".encode()
    episodes = f"CHILD,DECOM\r\n{MARK},{MARK}\r\n".encode()
    verdict = judged({"header.csv": content, "episodes.csv": episodes}, "ssda903", "2025-26")
    assert verdict.report.findings
    assert MARK not in repr(verdict)
    assert MARK not in " ".join(one.message + one.remedy + one.rule for one in verdict.report.findings)


def test_an_accepted_return_holds_no_value() -> None:
    verdict = spoilt((5, 5, MARK))
    assert verdict.accepted is not None
    assert MARK not in repr(verdict)
    assert MARK.encode() not in pickle.dumps(verdict.accepted)


# -- safe to open ------------------------------------------------------------------------------------------------------

FORMULAE = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1+1", "\r=1+1", "\n=1", '=HYPERLINK("http://x","y")']


@pytest.mark.parametrize("formula", FORMULAE)
def test_no_cell_of_the_csv_runs_as_a_formula(formula: str) -> None:
    assert safe_cell(formula) == f"'{formula}"
    report = spoilt((5, 4, formula), (6, 3, formula)).report
    values = [line["value"] for line in lines(report) if line["value"]]
    assert len(values) == 2
    assert all(value.startswith("'") for value in values)


def test_a_files_name_does_not_run_as_a_formula() -> None:
    report = riia(b"", name="=cmd|calc.csv").report
    assert lines(report)[0]["file"] == "'=cmd|calc.csv"


def test_nothing_sent_is_markup_on_the_page() -> None:
    page = html(spoilt((5, 4, "<script>alert(1)</script>"), (6, 3, '"onload="x')).report)
    assert "<script" not in page
    assert "<b>final" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&quot;onload=&quot;x" in page
    assert "http" not in re.sub(r"https?://www\.w3\.org", "", page)


def test_control_characters_do_not_reach_the_page() -> None:
    page = html(spoilt((5, 4, "a\x00b\x1b[31m\u202egpj".replace("\x00", ""))).report)
    assert "\x1b" not in page
    assert "\u202e" not in page


# -- right and readable ------------------------------------------------------------------------------------------------


def test_the_three_forms_say_the_same() -> None:
    report = spoilt((5, 4, "many"), (8, 3, "A99"), (9, 0, "204")).report
    body = json.loads(render_json(report))
    assert body["valid"] is False
    assert body["stats"]["errors"] == 3
    assert [(one["rowNumber"], one["column"], one["cell"]) for one in body["errors"]] == [
        (6, "E", "many"),
        (9, "D", "A99"),
        (10, "A", "204"),
    ]
    assert [(line["row"], line["column"], line["value"]) for line in lines(report)] == [
        ("6", "E", "many"),
        ("9", "D", "A99"),
        ("10", "A", "204"),
    ]
    page = html(report)
    for shown in ("Not accepted: 3 things need mending", "many", "A99", "204", "E (measure_value)"):
        assert shown in page


def test_a_good_report_says_that_nothing_is_left_to_do() -> None:
    page = html(spoilt().report)
    assert "Accepted. Nothing is left to do." in page
    assert json.loads(render_json(spoilt().report))["valid"] is True
    assert lines(spoilt().report) == []


def test_a_page_is_one_whole_document_without_script() -> None:
    for report in (spoilt().report, everywhere().report):
        page = html(report)
        assert page.startswith("<!doctype html>")
        for tag in (
            "html",
            "head",
            "body",
            "main",
            "table",
            "tr",
            "td",
            "th",
            "ul",
            "dl",
            "p",
            "div",
            "h1",
            "h2",
            "h3",
        ):
            assert len(re.findall(rf"<{tag}[ >]", page)) == page.count(f"</{tag}>"), tag


def test_all_are_counted_where_only_so_many_are_kept() -> None:
    many = MAX_FINDINGS_A_CODE + 250
    rows = [ROWS[0], *[["202", "2026-27", "Q2", "A01", "x", ""] for _ in range(many)]]
    report = riia(as_csv(rows)).report
    assert report.counts["type-error"] == many
    assert report.counts["primary-key"] == many - 1
    assert len(report.findings) == 2 * MAX_FINDINGS_A_CODE
    assert report.summary().errors == 2 * many - 1
    body = json.loads(render_json(report))
    assert body["stats"]["by_type"]["type-error"] == many
    page = html(report)
    assert f"{2 * many - 1:,} things need mending" in page
    assert f"{MAX_FINDINGS_A_CODE - SHOWN_A_RULE:,} more are in the CSV file" in page
    assert any("not listed" in note for note in report.notes)


class Endless:
    """An engine that never ends."""

    def check(self, tables: Sequence[EngineTable]) -> Iterator[Fault]:
        while True:
            yield Fault(resource=tables[0].resource, row=0, kind="type-error", fields=("measure_value",))


def test_checking_stops_where_a_return_is_wrong_throughout() -> None:
    kind, period = collection("riia-quarterly"), Period.parse("2026-27-Q2")
    files = received({"a.csv": as_csv(ROWS)}, lambda _name, _content: "indicators")
    report = validate(checked(kind, period, files), files, kind, CAMDEN, Endless()).report
    assert report.counts == {"type-error": MAX_FAULTS}
    assert any("stopped" in note for note in report.notes)


def test_a_cell_tells_nothing_of_itself() -> None:
    cell = Cell(MARK)
    assert MARK not in repr(cell) + str(cell) + f"{cell}"
    assert MARK not in repr(Finding(code="x", message="m.", remedy="r.", value=cell))
    assert not hasattr(cell, "__dict__")

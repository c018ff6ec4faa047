"""What an authority gets back: a page, a CSV and JSON. Safe to open, complete, and the only place that shows a cell."""

from __future__ import annotations

import csv
import html
import io
import json
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from validation_builders import VALIDATORS, as_rows, riia

from gateway.domain.finding import Cell, Finding, Report, Severity
from gateway.validation.report import SHOWN_A_RULE, ReportHeading, render_csv, render_html, render_json, safe_cell

GOOD = (VALIDATORS / "riia-quarterly/examples/good-2026-27-Q2/RIIA_2026-27-Q2.csv").read_bytes()
HEADING = ReportHeading(
    submission="0199f0c0-7f3a",
    authority="Camden",
    collection="RIIA quarterly dataset",
    period="2026-27-Q2",
    version=2,
    received_at=datetime(2026, 10, 8, 21, 0, tzinfo=UTC),
    files=("RIIA <Q2> & co.csv",),
)


def report(*values: str, severity: Severity = Severity.ERROR) -> Report:
    found = [
        Finding(
            code="type-error",
            severity=severity,
            file="riia.csv",
            resource="indicators",
            row=at,
            label="measure_value",
            column="E",
            message="This is not a number.",
            remedy="Write digits.",
            rule="number",
            value=Cell(value),
        )
        for at, value in enumerate(values, start=2)
    ]
    return Report(findings=found, rows={"indicators": 31})


class Outline(HTMLParser):
    """Collects tags, and fails on a tag that closes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        assert not any(name.startswith("on") or name in {"src", "href"} for name, _ in attrs)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def outline(page: str) -> list[str]:
    parser = Outline()
    parser.feed(page)
    assert parser.open == []
    return parser.seen


def test_the_page_says_the_verdict_first_and_fetches_nothing() -> None:
    page = render_html(report("x"), HEADING)
    seen = outline(page)
    assert not {"script", "link", "img", "iframe"} & set(seen)
    assert "Not accepted: 1 thing needs mending." in page
    assert page.index("Not accepted: 1") < page.index("What was found") < page.index("Where, and what to do")
    assert "9:00pm" in page or "10:00pm" in page or "22:00" in page


def test_the_page_escapes_names_and_cells() -> None:
    page = render_html(report("<script>alert(1)</script>", '"><img src=x>'), HEADING)
    outline(page)
    assert "<script" not in page
    assert html.escape("RIIA <Q2> & co.csv") in page


def test_the_page_of_a_good_return_is_short() -> None:
    page = render_html(report(), HEADING)
    outline(page)
    assert "Accepted. Nothing is left to do." in page
    assert "<table" not in page


def test_the_page_of_an_accepted_return_with_questions_lists_them() -> None:
    page = render_html(report("x", severity=Severity.QUERY), HEADING)
    assert "Accepted. 1 question is listed below." in page
    assert "(question)" in page


def test_the_page_lists_the_first_of_each_rule_and_counts_the_rest() -> None:
    page = render_html(report(*("x" for _ in range(SHOWN_A_RULE + 7))), HEADING)
    assert "7 more are in the CSV file." in page
    assert page.count("<td>E (measure_value)</td>") == SHOWN_A_RULE


def test_the_csv_has_every_finding_with_its_place_and_what_to_do() -> None:
    rows = list(csv.reader(io.StringIO(render_csv(report("x", "y")).decode("utf-8-sig"))))
    assert rows[0][:6] == ["file", "table", "row", "column", "field", "value"]
    assert rows[2] == [
        "riia.csv",
        "indicators",
        "3",
        "E",
        "measure_value",
        "y",
        "error",
        "number",
        "This is not a number.",
        "Write digits.",
    ]


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", '=HYPERLINK("http://x")']
)
def test_no_cell_of_ours_runs_as_a_formula(cell: str) -> None:
    assert safe_cell(cell) == f"'{cell}"
    rows = list(csv.reader(io.StringIO(render_csv(report(cell)).decode("utf-8-sig"), newline="")))
    assert rows[1][5] == f"'{cell}"


def test_the_json_is_for_programs() -> None:
    body = json.loads(render_json(report("x")))
    assert body["valid"] is False
    assert body["stats"]["errors"] == 1
    assert body["errors"][0] | {"message": "", "remedy": ""} == {
        "type": "type-error",
        "severity": "error",
        "file": "riia.csv",
        "resource": "indicators",
        "rowNumber": 2,
        "fieldName": "measure_value",
        "column": "E",
        "cell": "x",
        "rule": "number",
        "message": "",
        "remedy": "",
    }


MARK = "zq7Hernandez"


def marked() -> Report:
    """Return the report on a file with a marked value in every place a value can stand, and in places none should."""
    rows = as_rows(GOOD)
    rows[0].append(MARK)
    for at, row in enumerate(rows[1:]):
        row.append(MARK)
        row[at % 6] = MARK if at < 12 else row[at % 6]
    rows[14].append(MARK)
    rows[15] = [MARK]
    rows.append(list(rows[20]))
    return riia("\r\n".join(",".join(row) for row in rows)).report


def test_marked_cells_are_in_the_authoritys_own_report_and_nowhere_else() -> None:
    found = marked()
    assert {"type-error", "constraint-error", "extra-label", "extra-cell", "missing-cell", "primary-key"} <= {
        one.code for one in found.findings
    }
    spoken = [repr(found), str(found), repr(found.summary()), str(found.summary()), *found.notes]
    for one in found.findings:
        spoken += [repr(one), str(one), one.message, one.remedy, one.rule, one.label or "", one.code]
    assert not [text for text in spoken if MARK in text or MARK.casefold() in text.casefold()]
    assert MARK in render_csv(found).decode()
    assert MARK in render_html(found, HEADING)


def test_a_file_of_marked_values_without_a_header_gives_none_away() -> None:
    found = riia(f"{MARK}1,{MARK}2,3,4,5,6\r\n{MARK},2,3,4,5,6\r\n").report
    assert [one.code for one in found.findings] == ["missing-header"]
    assert MARK not in repr(found)
    assert MARK not in render_csv(found).decode()

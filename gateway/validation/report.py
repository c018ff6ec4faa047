"""Renders what validation found: a page, a CSV and JSON. The only place that reveals cells, for their own authority.

* The page is self-contained: no script, nothing fetched, prints well. Verdict first, then counts, then places.
* Every CSV we write is safe to open in a spreadsheet: a cell that would run as a formula begins with an apostrophe.
"""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from gateway.domain.finding import Finding, Report, Severity
from gateway.domain.london import instant_in_words

SHOWN_A_RULE = 50
"""Rows listed on the page for each rule; the CSV lists all."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The last four are the full-width forms, which some spreadsheets take for the others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportHeading:
    """What a report is about."""

    submission: str
    authority: str
    collection: str
    period: str
    version: int
    received_at: datetime
    files: tuple[str, ...]


def render_csv(report: Report) -> bytes:
    """Return every finding kept, one a line: UTF-8 with a byte-order mark, for Excel."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["file", "table", "row", "column", "field", "value", "kind", "rule", "what is wrong", "what to do"])
    for one in report.findings:
        cells = (
            one.file,
            one.resource,
            "" if one.row is None else str(one.row),
            one.column or "",
            one.label or "",
            one.value.reveal() or "",
            one.severity.value,
            one.rule or one.code,
            one.message,
            one.remedy,
        )
        writer.writerow([safe_cell(cell) for cell in cells])
    return text.getvalue().encode("utf-8-sig")


def safe_cell(text: str) -> str:
    """Return a cell that no spreadsheet runs as a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def render_json(report: Report) -> bytes:
    """Return the report for programs; ``type`` is frictionless's error type where there is one."""
    summary = report.summary()
    body = {
        "valid": report.accepted,
        "stats": {
            "errors": summary.errors,
            "queries": summary.queries,
            "by_type": dict(summary.by_code),
            "rows": dict(report.rows),
        },
        "notes": list(report.notes),
        "errors": [
            {
                "type": one.code,
                "severity": one.severity.value,
                "file": one.file,
                "resource": one.resource,
                "rowNumber": one.row,
                "fieldName": one.label,
                "column": one.column,
                "cell": one.value.reveal(),
                "rule": one.rule,
                "message": one.message,
                "remedy": one.remedy,
            }
            for one in report.findings
        ],
    }
    return (json.dumps(body, indent=1, ensure_ascii=False) + "\n").encode()


_STYLE = """
body{font:1.1875rem/1.5 Arial,sans-serif;max-width:62rem;margin:0 auto;padding:1rem;color:#0b0c0c;background:#fff}
h1{font-size:2rem;line-height:1.2} h2{font-size:1.5rem;margin-top:2rem} h3{font-size:1.1875rem;margin-bottom:.25rem}
.verdict{padding:1rem;border:.3rem solid;margin:1rem 0;font-weight:bold;font-size:1.5rem}
.good{border-color:#00703c;color:#00703c}.bad{border-color:#d4351c;color:#d4351c}
table{border-collapse:collapse;width:100%;margin:.5rem 0 1rem}caption{text-align:left;font-weight:bold;padding:.3rem 0}
th,td{text-align:left;vertical-align:top;padding:.35rem .75rem .35rem 0;border-bottom:1px solid #b1b4b6}
th,td{overflow-wrap:break-word}td.n,th.n{text-align:right;width:4rem;padding-right:1.5rem}.b{width:7rem}
.bar{background:#d4351c;height:.9rem;margin-top:.3rem;min-width:2px}
.places{table-layout:fixed}.places td{overflow-wrap:anywhere}.places th:first-child{width:42%}
h3{margin-top:1.75rem}.todo{background:#f3f2f1;padding:.5rem .75rem;margin:0}
dl{display:grid;grid-template-columns:max-content auto;gap:.25rem 1.5rem}dt{font-weight:bold}dd{margin:0}
@media print{body{max-width:none;font-size:11pt}h2,h3,.todo{break-after:avoid}.verdict,tr{break-inside:avoid}
.bar{print-color-adjust:exact}}
"""


def render_html(report: Report, heading: ReportHeading) -> str:
    """Return the page."""
    verdict = "Accepted" if report.accepted else "Not accepted"
    title = f"{verdict}: {heading.collection}, {heading.period}"
    parts = [
        "<!doctype html>",
        '<html lang="en-GB"><head><meta charset="utf-8">',
        f"<title>{_safe(title)}</title>",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{_STYLE}</style></head><body><main>",
        f"<h1>{_safe(heading.collection)}, {_safe(heading.period)}</h1>",
        *_verdict(report),
        *_about(report, heading),
        *_counts(report),
        *_places(report),
        *_notes(report),
        "</main></body></html>",
    ]
    return "\n".join(parts)


def _safe(text: object) -> str:
    """Return text that is no markup, in which characters that act unseen (control, direction) can be seen."""
    shown = "".join(one if one.isprintable() or one == " " else _visible(one) for one in str(text))
    return html.escape(shown, quote=True)


def _visible(unseen: str) -> str:
    return " " if unseen.isspace() else f"\\u{ord(unseen):04x}"


def _verdict(report: Report) -> Iterator[str]:
    summary = report.summary()
    if report.accepted:
        number = summary.queries
        todo = (
            f"{_counted(number, 'question is', 'questions are')} listed below." if number else "Nothing is left to do."
        )
        yield f'<p class="verdict good" role="status">Accepted. {todo}</p>'
        return
    things = _counted(summary.errors, "thing needs", "things need")
    yield f'<p class="verdict bad" role="status">Not accepted: {things} mending.</p>'
    yield "<p>Mend what is listed below in your own system or file, then send the whole return again. "
    yield "The CSV file of the same name beside this page lists every place, one a line.</p>"


def _counted(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"


def _about(report: Report, heading: ReportHeading) -> Iterator[str]:
    rows = ", ".join(f"{name} {count:,}" for name, count in sorted(report.rows.items())) or "none"
    facts = (
        ("Authority", heading.authority),
        ("Submission", heading.submission),
        ("Version", heading.version),
        ("Received", instant_in_words(heading.received_at)),
        *(("File", name) for name in heading.files),
        ("Rows read", rows),
    )
    yield "<dl>" + "".join(f"<dt>{_safe(one)}</dt><dd>{_safe(two)}</dd>" for one, two in facts) + "</dl>"


def _rule_of(one: Finding) -> tuple[str, str, str, str]:
    return (one.severity.value, one.resource, one.label or "", one.message)


def _grouped(report: Report) -> list[tuple[tuple[str, str, str, str], list[Finding]]]:
    groups = [(key, list(found)) for key, found in groupby(sorted(report.findings, key=_rule_of), key=_rule_of)]
    return sorted(groups, key=lambda group: (group[0][0], -len(group[1])))


def _counts(report: Report) -> Iterator[str]:
    groups = _grouped(report)
    if not groups:
        return
    most = max(len(found) for _, found in groups)
    yield "<h2>What was found</h2><table><caption>Findings by table, field and rule</caption>"
    yield _head("Table", "Field", "What is wrong", "Count", "")
    for (severity, resource, label, message), found in groups:
        width = max(1, round(100 * len(found) / most))
        asked = " (question)" if severity == Severity.QUERY.value else ""
        yield (
            f"<tr><td>{_safe(resource)}</td><td>{_safe(label)}</td><td>{_safe(message)}{asked}</td>"
            f'<td class="n">{len(found):,}</td>'
            f'<td class="b" aria-hidden="true"><div class="bar" style="width:{width}%"></div></td></tr>'
        )
    yield "</tbody></table>"


def _head(*names: str) -> str:
    """Return the head of a table; columns of numbers are set to the right."""
    cells = "".join(
        f'<th scope="col"{" class=n" if name in {"Count", "Row"} else ""}>{_safe(name)}</th>'
        if name
        else '<td class="b" aria-hidden="true"></td>'
        for name in names
    )
    return f"<thead><tr>{cells}</tr></thead><tbody>"


def _places(report: Report) -> Iterator[str]:
    groups = _grouped(report)
    if groups:
        yield "<h2>Where, and what to do</h2>"
    for (_, resource, label, message), found in groups:
        place = " / ".join(part for part in (resource, label) if part) or "The file"
        yield f"<h3>{_safe(place)}: {_safe(message)}</h3>"
        yield f'<p class="todo">What to do: {_safe(found[0].remedy)}</p>'
        yield from _rows(found)


def _rows(found: Sequence[Finding]) -> Iterator[str]:
    yield '<table class="places">' + _head("File", "Row", "Column", "Value")
    for one in found[:SHOWN_A_RULE]:
        column = f"{one.column} ({one.label})" if one.column and one.label else (one.column or one.label or "")
        yield (
            f'<tr><td>{_safe(one.file)}</td><td class="n">{"" if one.row is None else one.row}</td>'
            f"<td>{_safe(column)}</td><td>{_safe(_short(one.value.reveal()))}</td></tr>"
        )
    yield "</tbody></table>"
    if len(found) > SHOWN_A_RULE:
        yield f"<p>{len(found) - SHOWN_A_RULE:,} more are in the CSV file.</p>"


def _short(value: str | None) -> str:
    text = value or ""
    return text if len(text) <= 100 else f"{text[:100]}..."  # noqa: PLR2004 (a line's worth)


def _notes(report: Report) -> Iterator[str]:
    if report.notes:
        yield "<h2>Also noticed</h2><ul>" + "".join(f"<li>{_safe(note)}</li>" for note in report.notes) + "</ul>"

"""Our findings on a file are those of frictionless alone: same row, field and type, whatever stands in the cells."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from frictionless import Resource, Schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from validation_builders import as_csv, collection, judged

PERIOD = "2025-26"
LOOSE = re.compile(r"[+-]?\s*(?:nan|inf(?:inity)?)|.*[eE_].*", re.IGNORECASE)
"""Frictionless takes these for numbers; we say that they are none, which is tested elsewhere."""


def _schema() -> dict[str, Any]:
    (described,) = [one for one in collection("ssda903").packages[-2].descriptor["resources"] if one["name"] == "oc2"]
    fields = [
        {key: value for key, value in field.items() if not key.startswith("x-")}
        for field in described["schema"]["fields"]
    ]
    return {"fields": fields, "primaryKey": described["schema"].get("primaryKey", [])}


SCHEMA = _schema()
CELLS = st.one_of(
    st.sampled_from(
        ["", "0", "1", "40", "41", "-1", "1.0", "01", "31/03/2026", "29/02/2025", "2026-03-31", "true", "M"]
    ),
    st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=8).filter(
        lambda text: not LOOSE.fullmatch(text)
    ),
)
ROWS = st.lists(
    st.lists(CELLS, min_size=len(SCHEMA["fields"]), max_size=len(SCHEMA["fields"])).filter(any), min_size=1, max_size=4
)


def ours(content: bytes) -> set[tuple[int | None, str | None, str]]:
    verdict = judged({"oc2.csv": content}, "ssda903", PERIOD, resource="oc2")
    return {
        (one.row, one.label, one.code)
        for one in verdict.report.findings
        if one.code in {"type-error", "constraint-error"}
    }


def theirs(path: Path) -> set[tuple[int | None, str | None, str]]:
    schema = Schema.from_descriptor({"fields": SCHEMA["fields"]})
    report = Resource(
        path=path.name, basepath=str(path.parent), format="csv", encoding="utf-8", schema=schema
    ).validate(limit_errors=10_000)
    return {(row, field, kind) for row, field, kind in report.flatten(["rowNumber", "fieldName", "type"])}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_types_and_constraints_are_those_of_frictionless(rows: list[list[str]], tmp_path: Path) -> None:
    content = as_csv([[field["name"] for field in SCHEMA["fields"]], *rows])
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    assert ours(content) == theirs(path)

"""What any engine must find: this suite is held against frictionless now, and against any other that comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from gateway.validation.engine import Engine, EngineTable, Fault
from gateway.validation.frictionless_engine import FrictionlessEngine

ENGINES: list[Engine] = [FrictionlessEngine()]
FIELDS: list[dict[str, Any]] = [
    {"name": "id", "type": "string", "constraints": {"required": True}},
    {"name": "day", "type": "date", "format": "%d/%m/%Y"},
    {"name": "count", "type": "integer", "constraints": {"minimum": 0, "maximum": 40}},
    {"name": "share", "type": "number"},
    {"name": "code", "type": "string", "constraints": {"enum": ["a", "b"]}},
    {"name": "post", "type": "string", "constraints": {"pattern": "[A-Z]{2}[0-9]"}},
]
GOOD = ["1", "29/02/2024", "40", "1.5", "a", "NW1"]


def table(*rows: Sequence[str], name: str = "children", **keys: Any) -> EngineTable:
    return EngineTable(resource=name, schema={"fields": FIELDS, **keys}, rows=[list(row) for row in rows])


def found(engine: Engine, *tables: EngineTable) -> set[tuple[str, int, str, str, tuple[str, ...]]]:
    faults: list[Fault] = list(engine.check(tables))
    told = {(one.resource, one.row, one.kind, one.constraint, one.fields) for one in faults}
    assert len(told) == len(faults)
    return told


@pytest.fixture(params=ENGINES, ids=lambda engine: type(engine).__name__)
def engine(request: pytest.FixtureRequest) -> Engine:
    one: Engine = request.param
    return one


def test_a_good_row_and_empty_cells_have_no_fault(engine: Engine) -> None:
    assert found(engine, table(GOOD, ["2", "", "", "", "", ""])) == set()


def test_no_tables_have_no_faults(engine: Engine) -> None:
    assert list(engine.check([])) == []
    assert found(engine, table()) == set()


@pytest.mark.parametrize(
    ("field", "value", "kind", "constraint"),
    [
        ("id", "", "constraint-error", "required"),
        ("day", "31/02/2026", "type-error", ""),
        ("day", "2026-03-31", "type-error", ""),
        ("day", "29/02/2023", "type-error", ""),
        ("day", "1/4/26", "type-error", ""),
        ("day", "\u0661/04/2026", "type-error", ""),
        ("count", "41", "constraint-error", "maximum"),
        ("count", "-1", "constraint-error", "minimum"),
        ("count", "1.0", "type-error", ""),
        ("count", "1_0", "type-error", ""),
        ("count", "\u0664", "type-error", ""),
        ("share", "NaN", "type-error", ""),
        ("share", "INF", "type-error", ""),
        ("share", "1e5", "type-error", ""),
        ("share", "1,5", "type-error", ""),
        ("code", "A", "constraint-error", "enum"),
        ("post", "nw1", "constraint-error", "pattern"),
    ],
)
def test_one_bad_cell_is_one_fault(engine: Engine, field: str, value: str, kind: str, constraint: str) -> None:
    at = [one["name"] for one in FIELDS].index(field)
    row = [value if place == at else cell for place, cell in enumerate(GOOD)]
    assert found(engine, table(GOOD, row)) == {("children", 1, kind, constraint, (field,))}


def test_a_row_without_any_cell_is_blank_and_no_more(engine: Engine) -> None:
    assert found(engine, table(GOOD, [""] * 6, primaryKey=["id"])) == {("children", 1, "blank-row", "", ())}


def test_a_key_that_is_there_twice_is_told_at_the_later_row(engine: Engine) -> None:
    second = ["2", *GOOD[1:]]
    rows = table(GOOD, second, GOOD, primaryKey=["id", "day"])
    assert found(engine, rows) == {("children", 2, "primary-key", "", ("id", "day"))}


def test_an_empty_key_is_told_once_as_a_missing_cell(engine: Engine) -> None:
    rows = table(["", *GOOD[1:]], ["", *GOOD[1:]], primaryKey=["id"])
    told = {("children", row, "constraint-error", "required", ("id",)) for row in (0, 1)}
    assert found(engine, rows) == told


def test_a_reference_to_no_row_is_told(engine: Engine) -> None:
    link = {"fields": ["id"], "reference": {"resource": "children", "fields": ["id"]}}
    visits = table(GOOD, ["9", *GOOD[1:]], name="visits", foreignKeys=[link])
    assert found(engine, table(GOOD), visits) == {("visits", 1, "foreign-key", "", ("id",))}


def test_a_table_is_never_taken_for_a_path_or_an_address(engine: Engine) -> None:
    rows = table(["/etc/passwd", *GOOD[1:]], ["http://127.0.0.1:9/", *GOOD[1:]], name="etc")
    assert found(engine, rows) == set()

"""Made-up returns are about nobody and yet could be: a child is born before it is looked after, an end is an end."""

from __future__ import annotations

from datetime import date

import pytest
from validation_builders import CAMDEN, as_rows, collection, judged

from gateway.domain.period import Period
from gateway.validation.sample import make_sample

Rows = list[dict[str, str]]


def made(period: str, rows: int = 200, collection_id: str = "ssda903") -> dict[str, Rows]:
    """Return the tables of a sample by name."""
    files = make_sample(collection(collection_id), CAMDEN, Period.parse(period), rows=rows, faults=0, seed=3)
    tables = {}
    for name, content in files.items():
        labels, *cells = as_rows(content)
        tables[name.removesuffix(".csv").split("_", 2)[-1]] = [dict(zip(labels, row, strict=True)) for row in cells]
    return tables


def day(text: str) -> date:
    return date(int(text[6:]), int(text[3:5]), int(text[:2]))


@pytest.mark.parametrize("period", ["2023-24", "2026-27"])
def test_dates_are_in_an_order_that_a_life_could_have(period: str) -> None:
    tables = made(period)
    born = {row["CHILD"]: day(row["DOB"]) for row in tables["header"]}
    end = Period.parse(period).end
    for rows in tables.values():
        for row in rows:
            days = [day(cell) for cell in row.values() if len(cell) == 10 and cell[2] == "/"]
            assert all(born[row["CHILD"]] <= one <= end for one in days)
            for first, last in (("DECOM", "DEC"), ("MIS_START", "MIS_END"), ("SW_DECOM", "SW_DEC")):
                if row.get(first) and row.get(last):
                    assert day(row[first]) <= day(row[last])


def test_a_childs_sex_and_birthday_are_the_same_in_every_table() -> None:
    for period in ("2023-24", "2026-27"):
        tables = made(period)
        header = {row["CHILD"]: row for row in tables["header"]}
        for rows in tables.values():
            for row in rows:
                for same in {"DOB", "SEX"} & row.keys():
                    assert row[same] == header[row["CHILD"]][same]


def test_ages_fit_the_tables_and_care_that_ended_has_a_reason() -> None:
    tables = made("2026-27", 400)
    end = Period.parse("2026-27").end
    ages = {row["CHILD"]: (end - day(row["DOB"])).days / 365.25 for row in tables["header"]}
    assert all(ages[row["CHILD"]] > 17.9 for row in tables["oc3"])
    assert all(11 < ages[row["CHILD"]] < 18.1 for row in tables["uasc"])
    assert all(bool(row["DEC"]) == bool(row["REC"]) for row in tables["episodes"])
    assert {bool(row["DEC"]) for row in tables["episodes"]} == {True, False}


@pytest.mark.parametrize(
    ("name", "period"), [("riia-quarterly", "2025-26-Q4"), ("ssda903", "2024-25"), ("annex-a", "2024-02")]
)
@pytest.mark.parametrize("seed", range(3))
def test_samples_pass_and_faults_are_found_one_by_one(name: str, period: str, seed: int) -> None:
    kind, when = collection(name), Period.parse(period)
    good = make_sample(kind, CAMDEN, when, rows=31, faults=0, seed=seed)
    assert judged(dict(good), name, period).report.findings == ()
    spoilt = make_sample(kind, CAMDEN, when, rows=31, faults=4, seed=seed)
    assert judged(dict(spoilt), name, period).report.summary().errors == 4


def test_another_seed_is_another_return() -> None:
    kind, when = collection("ssda903"), Period.parse("2025-26")
    one, two = (make_sample(kind, CAMDEN, when, rows=9, faults=0, seed=seed) for seed in (1, 2))
    assert one != two

"""Cells: what is checked, what is put right and counted, and that nothing else is ever changed."""

from __future__ import annotations

import pytest
from validation_builders import (
    CAMDEN,
    VALIDATORS,
    as_csv,
    as_rows,
    catalogue,
    codes,
    judged,
    place,
    places,
    riia,
    tables,
    the,
)

from gateway.domain.period import Period
from gateway.validation.sample import make_sample

SSDA903 = {one.name: one.read_bytes() for one in sorted((VALIDATORS / "ssda903/examples/good-2025-26").iterdir())}
OLDER = {one.name: one.read_bytes() for one in sorted((VALIDATORS / "ssda903/examples/good-2023-24").iterdir())}
LISTS = {one.name: one.read_bytes() for one in sorted((VALIDATORS / "annex-a/examples/good-2026-09").iterdir())}
ROWS = as_rows((VALIDATORS / "riia-quarterly/examples/good-2026-27-Q2/RIIA_2026-27-Q2.csv").read_bytes())

Changed = dict[str, bytes]


def changed(files: Changed, table: str, row: int, field: str, value: str) -> Changed:
    """Return the files with one cell changed; ``row`` as a spreadsheet shows it."""
    (name,) = [one for one in files if one.endswith(f"_{table}.csv")]
    rows = as_rows(files[name])
    rows[row - 1][rows[0].index(field)] = value
    return {**files, name: as_csv(rows)}


def cell(files: Changed, table: str, row: int, field: str) -> str:
    """Return one cell of a canonical table of Annex A."""
    (found,) = [one for one in tables(files, "annex-a", "2026-09") if one.resource == table]
    rows = as_rows(found.content)
    return rows[row - 1][rows[0].index(field)]


# -- maxima, codes, types ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("score", "good"), [("0", True), ("40", True), ("41", False), ("-1", False), ("9999", False)])
def test_maxima_and_minima_are_enforced(score: str, good: bool) -> None:
    verdict = judged(changed(SSDA903, "oc2", 2, "SDQ_SCORE", score), "ssda903", "2025-26")
    assert (verdict.accepted is not None) is good
    if not good:
        assert places(verdict) == {("constraint-error", "oc2", 2, "SDQ_SCORE", "C")}


@pytest.mark.parametrize("sex", ["1.9", "1.0", "0.4", "-1", "01", "1 or 2", "\u0661"])
def test_a_code_is_matched_as_written_and_never_rounded(sex: str) -> None:
    verdict = judged(changed(OLDER, "header", 2, "SEX", sex), "ssda903", "2023-24")
    assert places(verdict) == {("constraint-error", "header", 2, "SEX", "B")}


@pytest.mark.parametrize(("year", "sex", "good"), [("2023-24", "1", True), ("2023-24", "F", False)])
def test_codes_are_those_of_the_returns_own_year(year: str, sex: str, good: bool) -> None:
    verdict = judged(changed(OLDER, "header", 2, "SEX", sex), "ssda903", year)
    assert (verdict.accepted is not None) is good


@pytest.mark.parametrize(
    "day",
    [
        "31/02/2025",
        "2025-03-31",
        "31/03/25",
        "03/31/2025",
        "31.03.2025",
        "31/03/2025 00:00",
        "45000",
        "\u0663\u0661/03/2025",
    ],
)
def test_what_is_no_day_is_named(day: str) -> None:
    verdict = judged(changed(SSDA903, "episodes", 2, "DECOM", day), "ssda903", "2025-26")
    assert places(verdict) == {("type-error", "episodes", 2, "DECOM", "B")}


@pytest.mark.parametrize(
    "number", ["NaN", "INF", "-INF", "1e3", "1_000", "1,000", "\u0661\u0662", "12 children", "0x1F"]
)
def test_what_only_a_program_takes_for_a_number_is_none(number: str) -> None:
    rows = [list(row) for row in ROWS]
    rows[3][4] = number
    assert places(riia(as_csv(rows))) == {("type-error", "indicators", 4, "measure_value", "E")}


@pytest.mark.parametrize("number", ["0", "12", "12.5", "+7", ""])
def test_plain_numbers_and_none_are_taken(number: str) -> None:
    rows = [list(row) for row in ROWS]
    rows[3][4] = number
    assert riia(as_csv(rows)).accepted is not None


@pytest.mark.parametrize("empty", ["", " ", "\t", "\u00a0"])
def test_a_required_cell_that_looks_empty_is_empty(empty: str) -> None:
    verdict = judged(changed(SSDA903, "header", 2, "UPN", empty), "ssda903", "2025-26")
    assert places(verdict) == {("constraint-error", "header", 2, "UPN", "E")}


# -- keys --------------------------------------------------------------------------------------------------------------


def test_a_child_without_a_header_row_is_named_with_the_table_that_misses_it() -> None:
    verdict = judged(changed(SSDA903, "reviews", 2, "CHILD", "2029999999"), "ssda903", "2025-26")
    found = the(verdict, "foreign-key")
    assert place(found) == ("foreign-key", "reviews", 2, "CHILD", "A")
    assert "header" in found.message + found.remedy + found.rule


def test_children_are_not_looked_for_in_a_table_that_was_not_sent() -> None:
    files = {name: content for name, content in SSDA903.items() if not name.endswith("_header.csv")}
    assert codes(judged(files, "ssda903", "2025-26")) == ["missing-table"]


def test_two_rows_with_one_key_are_named_at_the_second() -> None:
    rows = [*ROWS, list(ROWS[5])]
    found = the(riia(as_csv(rows)), "primary-key")
    assert (found.resource, found.row) == ("indicators", 33)
    assert "measure_id" in found.message


# -- ownership ---------------------------------------------------------------------------------------------------------


def test_another_authoritys_rows_are_found_and_only_theirs() -> None:
    rows = [list(row) for row in ROWS]
    rows[4][0] = rows[9][0] = "204"
    verdict = riia(as_csv(rows))
    assert places(verdict) == {("wrong-authority", "indicators", at, "la_code", "A") for at in (5, 10)}
    assert all("202" in one.remedy for one in verdict.report.findings)


def test_another_quarter_and_another_year_are_found() -> None:
    rows = [list(row) for row in ROWS]
    rows[4][2], rows[9][1] = "Q1", "2025-26"
    assert places(riia(as_csv(rows))) == {
        ("wrong-period", "indicators", 5, "quarter", "C"),
        ("wrong-period", "indicators", 10, "financial_year", "B"),
    }


def test_a_return_put_into_another_quarters_folder_is_refused_in_every_row() -> None:
    verdict = riia(as_csv(ROWS), period="2026-27-Q1")
    assert set(codes(verdict)) == {"wrong-period"}
    assert len(verdict.report.findings) == 31


# -- spellings and text ------------------------------------------------------------------------------------------------


def test_other_spellings_are_put_right_and_counted() -> None:
    files = changed(changed(LISTS, "list_3", 2, "Ethnicity", " WHITE "), "list_3", 3, "Gender", "f")
    assert cell(files, "list_3", 2, "Ethnicity") == "a) White"
    assert cell(files, "list_3", 3, "Gender") == "b) Female"
    notes = judged(files, "annex-a", "2026-09").report.notes
    assert any(note.startswith("2 ") and "list_3" in note for note in notes)


def test_a_spelling_of_two_codes_is_not_guessed() -> None:
    verdict = judged(changed(LISTS, "list_3", 2, "Ethnicity", "c)"), "annex-a", "2026-09")
    assert places(verdict) == {("constraint-error", "list_3", 2, "Ethnicity", "C")}


@pytest.mark.parametrize(
    "text", ["Hernandez, Finance team", "nan", "NaT", "<NA>", "NULL", "None", "001", "1.10", "=1+1", " two  spaces "]
)
def test_text_comes_out_as_it_went_in(text: str) -> None:
    files = changed(LISTS, "list_3", 2, "Allocated Team", text)
    assert cell(files, "list_3", 2, "Allocated Team") == text


@pytest.mark.parametrize("text", ["two\r\nlines", 'a "quoted" word', "caf\u00e9 \u2013 \U0001f642", "a;b|c\td"])
def test_odd_text_comes_out_as_it_went_in(text: str) -> None:
    files = changed(LISTS, "list_3", 2, "Allocated Worker", text)
    assert cell(files, "list_3", 2, "Allocated Worker") == text


def test_the_same_files_give_the_same_canonical_tables() -> None:
    first, second = tables(SSDA903, "ssda903", "2025-26"), tables(dict(reversed(SSDA903.items())), "ssda903", "2025-26")
    assert [(one.resource, one.content) for one in first] == [(one.resource, one.content) for one in second]
    assert all(one.open().read() == one.content for one in first)


def test_columns_in_another_order_give_the_same_canonical_table() -> None:
    name = "SSDA903_2025-26_header.csv"
    turned = {**SSDA903, name: as_csv([list(reversed(row)) for row in as_rows(SSDA903[name])])}
    assert [one.content for one in tables(turned, "ssda903", "2025-26")] == [
        one.content for one in tables(SSDA903, "ssda903", "2025-26")
    ]


def test_an_older_list_9_has_the_newer_columns_empty() -> None:
    old = VALIDATORS / "annex-a/examples/good-2023-06-older-list-9"
    files = {one.name: one.read_bytes() for one in old.iterdir()}
    (found,) = [one for one in tables(files, "annex-a", "2023-06") if one.resource == "list_9"]
    rows = as_rows(found.content)
    assert len(rows[0]) == 17
    assert {row[rows[0].index("Allocated Personal Advisor")] for row in rows[1:]} == {""}


# -- samples -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "period"), [("riia-quarterly", "2026-27-Q2"), ("ssda903", "2026-27"), ("annex-a", "2026-09")]
)
def test_samples_are_good_and_have_as_many_faults_as_asked_for(name: str, period: str) -> None:
    kind = next(one for one in catalogue().values() if one.id == name)
    sample = make_sample(kind, CAMDEN, Period.parse(period), rows=25, faults=0, seed=4)
    assert judged(dict(sample), name, period).accepted is not None
    assert make_sample(kind, CAMDEN, Period.parse(period), rows=25, faults=0, seed=4) == sample
    spoilt = make_sample(kind, CAMDEN, Period.parse(period), rows=25, faults=7, seed=4)
    assert len(judged(dict(spoilt), name, period).report.findings) == 7

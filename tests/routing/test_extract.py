"""Cutting: only what is permitted goes in, the same bytes come out, and a query reaches nothing else."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from routing_world import CAMDEN, EXTRACTS, HACKNEY, PERIOD, table

from gateway.domain.names import AuthorityCode
from gateway.domain.sharing import Permit
from routing.errors import ExtractError, RecipeError
from routing.extract import OpenTable, Recipe, cut, load_recipes

RECIPE = load_recipes(EXTRACTS)["dfe-riia-quarterly"]
PERMIT = Permit(
    authorisation="a1",
    lciib_reference="LCIIB",
    fields=RECIPE.fields,
    measures=("A01", "A24"),
    authorities=(CAMDEN, HACKNEY),
)


def tables(*more: str) -> Mapping[AuthorityCode, OpenTable]:
    return {
        CAMDEN: lambda: io.BytesIO(table(CAMDEN, 417, *more)),
        HACKNEY: lambda: io.BytesIO(b"\xef\xbb\xbf" + table(HACKNEY, 88)),
    }


def asking(query: str, *columns: str, **changed: object) -> Recipe:
    return replace(RECIPE, query=query, output_columns=columns, order_by=columns[:1], **changed)


def test_only_permitted_measures_that_the_recipe_wants_are_in_it() -> None:
    assert cut(RECIPE, PERMIT, tables()).decode().splitlines() == [
        "la_code,financial_year,quarter,measure_id,measure_value,measure_quality",
        "202,2026-27,Q2,A01,417,",
        "204,2026-27,Q2,A01,88,",
    ]


def test_a_permit_for_every_measure_gives_the_recipes_measures_only() -> None:
    found = cut(RECIPE, replace(PERMIT, measures=("*",)), tables()).decode()
    assert "A01" in found
    assert "A03" not in found
    assert "A24" not in found


def test_who_is_not_permitted_is_not_even_opened() -> None:
    def never() -> io.BytesIO:
        raise AssertionError

    found = cut(RECIPE, replace(PERMIT, authorities=(CAMDEN,)), {**tables(), HACKNEY: never})
    assert b"204" not in found


def test_the_same_returns_give_the_same_bytes_in_whatever_order() -> None:
    other_way = dict(reversed(tables().items()))
    assert len({cut(RECIPE, PERMIT, one) for one in (tables(), other_way, tables())}) == 1


def test_a_column_that_was_not_taken_is_not_there_to_be_asked_for() -> None:
    narrow = asking("SELECT la_code FROM indicators WHERE measure_value = '417'", "la_code", columns=("la_code",))
    with pytest.raises(ExtractError, match="BinderException"):
        cut(replace(narrow, measure_column=None), replace(PERMIT, measures=("*",)), tables())


def test_a_recipe_that_wants_more_than_its_permit_is_refused() -> None:
    with pytest.raises(ExtractError, match=r"wants indicators\.measure_value"):
        cut(RECIPE, replace(PERMIT, fields=tuple(f for f in PERMIT.fields if "value" not in f)), tables())
    with pytest.raises(ExtractError, match="for some measures"):
        cut(replace(RECIPE, measure_column=None), PERMIT, tables())
    with pytest.raises(ExtractError, match="no return of hackney"):
        cut(RECIPE, PERMIT, {CAMDEN: tables()[CAMDEN]})


@pytest.mark.parametrize(
    "query",
    [
        "SELECT content AS x FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd') AS t(x)",
        "SELECT x FROM '/etc/hostname.csv'",
        "SELECT * FROM read_csv('https://example.org/x.csv') AS t(x)",
        "SELECT file AS x FROM glob('/*')",
        "COPY indicators TO '/tmp/leak.csv'",
        "ATTACH '/tmp/leak.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SELECT 1 AS x; SELECT 2 AS x",
        "DROP TABLE indicators",
        "SELECT 1 AS x) TO '/tmp/leak.csv'; --",
        "SELECT PERMIT AS x",
        "SELECT * AS x FROM tables",
        "SELECT 1 AS y",
        "nonsense",
    ],
)
def test_a_query_that_reaches_out_is_refused(query: str) -> None:
    with pytest.raises(ExtractError, match="was not cut"):
        cut(asking(query, "x"), PERMIT, tables())


def test_a_failing_query_does_not_quote_a_cell() -> None:
    with pytest.raises(ExtractError) as caught:
        cut(
            asking("SELECT CAST(measure_quality AS INT) AS x FROM indicators", "x"), PERMIT, tables("202,,,A01,,Marked")
        )
    assert "Marked" not in str(caught.value)


@pytest.mark.parametrize(
    ("cell", "comes_out"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd", "'+cmd"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        (" =x", "' =x"),
        ("\uff1dx", "'\uff1dx"),
        ("-5", "-5"),
        ("+1.5", "+1.5"),
        ("-1e3", "-1e3"),
        ("Hernandez nan <NA>", "Hernandez nan <NA>"),
    ],
)
def test_a_cell_that_a_spreadsheet_would_run_is_disarmed(cell: str, comes_out: str) -> None:
    recipe = asking("SELECT measure_quality AS x FROM indicators WHERE la_code = '999'", "x")
    assert cut(recipe, PERMIT, tables(f'999,,,A01,,"{cell}"')).decode().splitlines()[1:] == [comes_out]


def test_numbers_dates_and_absence_are_written_plainly() -> None:
    query = (
        "SELECT 1.50::DECIMAL(9,2) AS a, DATE '2026-10-01' AS b, NULL AS c, true AS d, count(*) AS e FROM indicators"
    )
    assert cut(asking(query, "a", "b", "c", "d", "e"), PERMIT, tables()).decode().splitlines()[1] == (
        "1.50,2026-10-01,,true,2"
    )


def test_a_return_without_a_column_or_not_in_utf8_is_refused() -> None:
    with pytest.raises(ExtractError, match="return of camden lacks the column measure_quality"):
        cut(
            RECIPE,
            PERMIT,
            {**tables(), CAMDEN: lambda: io.BytesIO(b"la_code,financial_year,quarter,measure_id,measure_value\n")},
        )
    with pytest.raises(ExtractError, match="cannot be read as UTF-8"):
        cut(RECIPE, PERMIT, {**tables(), CAMDEN: lambda: io.BytesIO(table(CAMDEN, 1).replace(b"A03", b"\xff"))})


# -- recipes -------------------------------------------------------------------------------------------------------


def recipe_with(folder: Path, before: str, after: str) -> Path:
    shutil.copytree(EXTRACTS / "dfe-riia-quarterly", folder / "dfe-riia-quarterly")
    path = folder / "dfe-riia-quarterly" / "extract.toml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    return folder


def test_the_shipped_extract_says_what_it_assumes_and_names_its_file() -> None:
    assert RECIPE.assumptions
    assert RECIPE.file_for(PERIOD) == "RIIA_London_2026-27-Q2.csv"
    assert "indicators.measure_id" in RECIPE.fields


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("purpose =", "purpos =", "purpose is missing"),
        ("title =", 'colour = "red"\ntitle =', "unknown key colour"),
        ("[source]", '[source]\nmeasure_colum = "x"', "did you mean measure_column"),
        ('"benchmarking"', '"curiosity"', "curiosity"),
        ('"every-acceptance"', '"never"', "never"),
        ("RIIA_London_{period}.csv", "../{period}.csv", "file_name"),
        ('measure_column = "measure_id"\n', "", "needs source.measure_column"),
        ('order_by = ["la_code"', 'order_by = ["la"', "output.order_by names la"),
        ("[output]", "[output", "cannot be read"),
        ('resource = "indicators"', "resource = 3", "wrong kind"),
        ('resource = "indicators"', "resource = 'a\"b'", "not a table's or column's name"),
    ],
)
def test_an_extract_that_cannot_be_used_is_refused_in_words(
    tmp_path: Path, before: str, after: str, words: str
) -> None:
    with pytest.raises(RecipeError, match=words):
        load_recipes(recipe_with(tmp_path, before, after))


def test_a_changed_recipe_has_another_digest(tmp_path: Path) -> None:
    changed = load_recipes(recipe_with(tmp_path, '"A22", # Care leavers', ""))["dfe-riia-quarterly"]
    assert changed.digest != RECIPE.digest


def test_a_directory_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipes(tmp_path / "nowhere")

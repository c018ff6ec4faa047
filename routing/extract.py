"""Cuts an extract: what the permit allows goes in, one file comes out. The only home of duckdb in this room.

* Only permitted columns, measures and authorities ever enter the database, so no query can reach anything else.
* The database lives in memory, does not spill to disk, reads no file and no network, and its settings are locked
  before the query is seen.
* The same returns and the same recipe give the same bytes: rows are sorted, lines end in CR LF, text is UTF-8.
* A text cell that a spreadsheet would run as a formula gets an apostrophe in front.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import BinaryIO

import duckdb

from gateway.domain.london import day_in_words, london_date
from gateway.domain.names import AuthorityCode
from gateway.domain.sharing import Delivery, Permit, Recipient
from routing.errors import ExtractError
from routing.policy import ALL
from routing.recipe import Recipe, load_recipe, load_recipes

__all__ = ["Recipe", "cover_note", "cut", "load_recipe", "load_recipes"]

OpenTable = Callable[[], BinaryIO]
"""Opens the recipe's resource of one authority's return: UTF-8 CSV with a header."""

_ROWS_AT_ONCE = 20_000
_RUNS_AS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Beginnings that spreadsheets run as formulas, full-width forms too (OWASP, CSV injection)."""
_NUMBER = re.compile(r"^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$")


def cut(recipe: Recipe, permit: Permit, tables: Mapping[AuthorityCode, OpenTable]) -> bytes:
    """Cut one extract.

    Args:
        recipe: how.
        permit: exactly what may be in it.
        tables: the returns at hand by authority; those of authorities the permit does not name are not opened.

    Returns:
        The file, as CSV.

    Raises:
        ExtractError: the recipe wants more than is permitted, a return lacks a column, or the query fails.
    """
    _refuse_excess(recipe, permit, tables)
    with duckdb.connect(":memory:", config=_CLOSED) as database:
        database.execute(f"CREATE TABLE {_quoted(recipe.resource)} ({_columns(recipe.columns, ' VARCHAR')})")
        for authority in sorted(permit.authorities):
            _fill(database, recipe, permit, authority, tables[authority])
        database.execute("SET lock_configuration = true")
        return _csv(recipe.output_columns, _ask(database, recipe))


_CLOSED: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "python_enable_replacements": "false",  # a query must not see this program's variables
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "temp_directory": "",  # nothing is spilled: no plaintext at rest
    "threads": "2",
}


def _refuse_excess(recipe: Recipe, permit: Permit, tables: Mapping[AuthorityCode, OpenTable]) -> None:
    if excess := sorted(set(recipe.fields) - set(permit.fields)):
        raise _failed(recipe, f"it wants {', '.join(excess)}, which its permit does not hold")
    if permit.measures != ALL and recipe.measure_column is None:
        raise _failed(recipe, "its permit is for some measures, and it does not say which column names them")
    if absent := sorted(set(permit.authorities) - set(tables)):
        raise _failed(recipe, f"there is no return of {', '.join(absent)}")


def _fill(
    database: duckdb.DuckDBPyConnection, recipe: Recipe, permit: Permit, authority: AuthorityCode, table: OpenTable
) -> None:
    holes = ", ".join("unnest(?::VARCHAR[])" for _ in recipe.columns)
    insert = f"INSERT INTO {_quoted(recipe.resource)} SELECT {holes}"
    with table() as stream:
        rows = _permitted_rows(recipe, permit, authority, stream)
        while batch := _take(rows, _ROWS_AT_ONCE):
            database.execute(insert, [list(column) for column in zip(*batch, strict=True)])


def _permitted_rows(
    recipe: Recipe, permit: Permit, authority: AuthorityCode, stream: BinaryIO
) -> Iterator[tuple[str | None, ...]]:
    """Yield the permitted columns of the permitted rows; an empty cell is None."""
    reader = csv.reader(io.TextIOWrapper(stream, encoding="utf-8-sig", newline=""))
    try:
        header = next(reader, [])
        if missing := sorted(set(recipe.columns) - set(header)):
            raise _failed(recipe, f"the return of {authority} lacks the column {', '.join(missing)}")
        places = [header.index(column) for column in recipe.columns]
        measure = header.index(recipe.measure_column) if recipe.measure_column is not None else None
        asked = {one for one in permit.measures if recipe.measures == ALL or one in recipe.measures}
        if permit.measures == ALL:
            asked = set(recipe.measures)
        every = asked == set(ALL) or measure is None
        for row in reader:
            cells = row + [""] * (len(header) - len(row))
            if row and (every or (measure is not None and cells[measure].strip() in asked)):
                yield tuple(cells[place] or None for place in places)
    except (csv.Error, UnicodeDecodeError) as error:
        raise _failed(recipe, f"the return of {authority} cannot be read as UTF-8 CSV") from error


def _take(rows: Iterator[tuple[str | None, ...]], most: int) -> list[tuple[str | None, ...]]:
    return [row for row, _ in zip(rows, range(most), strict=False)]


def _ask(database: duckdb.DuckDBPyConnection, recipe: Recipe) -> Sequence[tuple[object, ...]]:
    """Run the recipe's query, which is one SELECT and gives exactly the columns of the file."""
    try:
        statements = database.extract_statements(recipe.query)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise _failed(recipe, "query.sql is not exactly one SELECT")
        inner = statements[0].query.strip().rstrip(";")
        given = [column[0] for column in database.execute(f"DESCRIBE {inner}").fetchall()]
        if given != list(recipe.output_columns):
            raise _failed(recipe, f"query.sql gives {', '.join(given)} instead of output.columns")
        rest = [column for column in recipe.output_columns if column not in recipe.order_by]
        order = _columns([*recipe.order_by, *rest], " NULLS FIRST")
        return database.execute(f"SELECT * FROM (\n{inner}\n) ORDER BY {order}").fetchall()
    except duckdb.PermissionException as error:
        raise _failed(recipe, "query.sql reaches for a file, the network or a setting, which no query may") from error
    except duckdb.Error as error:
        # The database's own sentence may quote a cell; its kind is enough to look.
        raise _failed(recipe, f"query.sql fails with {type(error).__name__}") from error


def _csv(columns: Iterable[str], rows: Iterable[tuple[object, ...]]) -> bytes:
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, lineterminator="\r\n")
    writer.writerow([_cell(column) for column in columns])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return sink.getvalue().encode()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _disarmed(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return str(value)


def _disarmed(text: str) -> str:
    if text.lstrip(" ").startswith(_RUNS_AS_FORMULA) and not _NUMBER.match(text.strip()):
        return "'" + text
    return text


def _columns(names: Iterable[str], suffix: str) -> str:
    return ", ".join(_quoted(name) + suffix for name in names)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _failed(recipe: Recipe, why: str) -> ExtractError:
    return ExtractError(
        f"The extract {recipe.name} was not cut: {why}.",
        did="Nothing was handed over.",
        remedy=f"Mend routing/extracts/{recipe.name}/, then run the extract again.",
    )


def cover_note(recipe: Recipe, recipient: Recipient, delivery: Delivery, conditions: Sequence[str]) -> str:
    """Return the text that lies beside an extract: what it is, under which decision, and how it may be used."""
    lines = [
        recipe.title,
        "=" * len(recipe.title),
        "",
        f"For:           {recipient.name}",
        f"Period:        {delivery.period}",
        f"File:          {delivery.name} (sealed to your key; open it with `age --decrypt`)",
        f"Edition:       {delivery.edition}"
        + ("; it takes the place of every earlier one" if delivery.edition > 1 else ""),
        f"Made on:       {day_in_words(london_date(delivery.planned_at))}",
        f"SHA-256:       {delivery.digest} (of the file when opened)",
        "",
        f"Decision:      {delivery.lciib_reference} of the London Children's Innovation and Improvement Board",
        f"Authorisation: {delivery.authorisation}",
        f"Purpose:       {recipe.purpose.value}",
        f"Use:           {recipe.label}",
        *(f"Condition:     {condition}" for condition in conditions),
        "",
        "Authorities in it: " + ", ".join(delivery.authorities),
        "Columns in it:     " + ", ".join(recipe.output_columns),
        "Measures in it:    " + ("all" if delivery.measures == ALL else ", ".join(delivery.measures)),
        "",
        "Wider sharing needs the express permission of the authorities in it, or of ALDCS on their behalf.",
        "",
    ]
    return "\r\n".join(lines)

"""What an extract is made of, read from its folder under ``routing/extracts/``. Data, not code.

* ``extract.toml`` says for whom, from what, which columns and measures, and how the file looks; ``query.sql`` is one
  SELECT over the source table, which holds those columns and nothing else.
* An unknown key, a missing file or a name that is not one is refused with the nearest right word.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from gateway.domain.names import SLUG, CollectionId, Digest, RecipientCode
from gateway.domain.sharing import Purpose
from routing.errors import RecipeError

T = TypeVar("T")

COLUMN = re.compile(r"^[A-Za-z_][A-Za-z0-9_ ()/&,'-]{0,99}$")
"""What a table's or a column's name may look like: anything that can stand between double quotes in SQL."""

_FILE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]*\{period\}[A-Za-z0-9_-]*\.csv$")


class Trigger(StrEnum):
    """When an extract is made."""

    EVERY_ACCEPTANCE = "every-acceptance"


class OutputFormat(StrEnum):
    """What kind of file an extract is."""

    CSV = "csv"


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """One extract.

    Attributes:
        name: its folder's name.
        resource: the table of the return it is cut from.
        columns: columns of that table it uses; no other column is read.
        measure_column: column that names the measure, for a long table; None for a wide one.
        measures: measures it uses; ``("*",)`` for all.
        query: one SELECT over ``resource``.
        output_columns: columns of the file, in order; the query gives exactly these.
        order_by: output columns that the rows are sorted by; the rest break ties.
        file_name: with ``{period}`` in it.
        assumptions: what we took for granted and LIIA can correct here.
        digest: SHA-256 of both files: a changed recipe makes new deliveries.
    """

    name: str
    title: str
    recipient: RecipientCode
    collection: CollectionId
    purpose: Purpose
    trigger: Trigger
    resource: str
    columns: tuple[str, ...]
    measure_column: str | None
    measures: tuple[str, ...]
    query: str
    output: OutputFormat
    output_columns: tuple[str, ...]
    order_by: tuple[str, ...]
    file_name: str
    label: str
    assumptions: tuple[str, ...]
    digest: Digest

    @property
    def fields(self) -> tuple[str, ...]:
        """Return its columns as authorisations name them."""
        return tuple(f"{self.resource}.{column}" for column in self.columns)

    def file_for(self, period: str) -> str:
        """Return the file's name for a period."""
        return self.file_name.replace("{period}", period)


def load_recipes(directory: Path) -> Mapping[str, Recipe]:
    """Read every extract below a directory, by name.

    Raises:
        RecipeError: one of them cannot be used; the sentence names the folder and the key.
    """
    try:
        folders = sorted(one for one in directory.iterdir() if one.is_dir() and not one.name.startswith((".", "_")))
    except OSError as error:
        raise RecipeError(
            f"The directory of extracts {directory} cannot be read.",
            remedy="Set extracts_dir in settings.toml to where the extracts are.",
        ) from error
    return {one.name: load_recipe(one) for one in folders}


def load_recipe(folder: Path) -> Recipe:
    """Read one extract.

    Raises:
        RecipeError: it cannot be used.
    """
    try:
        text, query = (folder / "extract.toml").read_bytes(), (folder / "query.sql").read_bytes()
        values = tomllib.loads(text.decode())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(
            f"The extract {folder.name} cannot be read: {error}.",
            remedy=f"Mend extract.toml or query.sql in {folder}.",
        ) from error
    digest = sha256(len(text).to_bytes(8, "big") + text + query).hexdigest()
    return _recipe(_Reader(folder, "", values), query.decode(), Digest(digest))


def _recipe(top: _Reader, query: str, digest: Digest) -> Recipe:
    if not SLUG.match(top.folder.name):
        raise top.wrong("its folder's name is not lower-case words joined by single hyphens")
    source, output = top.table("source"), top.table("output")
    recipe = Recipe(
        name=top.folder.name,
        title=top.text("title"),
        recipient=RecipientCode(top.text("recipient")),
        collection=CollectionId(top.text("collection")),
        purpose=top.one_of("purpose", Purpose),
        trigger=top.one_of("trigger", Trigger),
        resource=source.text("resource"),
        columns=source.names("columns"),
        measure_column=source.text("measure_column") if source.has("measure_column") else None,
        measures=source.names("measures") if source.has("measures") else ("*",),
        query=query,
        output=output.one_of("format", OutputFormat),
        output_columns=output.names("columns"),
        order_by=output.names("order_by"),
        file_name=output.text("file_name"),
        label=output.text("label"),
        assumptions=top.names("assumptions") if top.has("assumptions") else (),
        digest=digest,
    )
    for reader in (top, source, output):
        reader.refuse_unknown()
    _refuse_contradictions(top, recipe)
    return recipe


def _refuse_contradictions(top: _Reader, recipe: Recipe) -> None:
    for name in (recipe.resource, *recipe.columns, *recipe.output_columns):
        if not COLUMN.match(name):
            raise top.wrong(f"{name[:40]!r} is not a table's or column's name")
    if recipe.measure_column is not None and recipe.measure_column not in recipe.columns:
        raise top.wrong("source.measure_column is not one of source.columns")
    if recipe.measure_column is None and recipe.measures != ("*",):
        raise top.wrong("source.measures needs source.measure_column")
    if "*" in recipe.measures and recipe.measures != ("*",):
        raise top.wrong("source.measures names all and some as well")
    if strange := sorted(set(recipe.order_by) - set(recipe.output_columns)):
        raise top.wrong(f"output.order_by names {', '.join(strange)}, which output.columns does not")
    if not _FILE_NAME.match(recipe.file_name):
        raise top.wrong("output.file_name is not like Name_{period}.csv")
    if not recipe.query.strip():
        raise top.wrong("query.sql is empty")


class _Reader:
    """Reads one table of a TOML file and remembers which keys were asked for."""

    def __init__(self, folder: Path, prefix: str, values: Mapping[str, object]) -> None:
        self.folder = folder
        self._prefix = prefix
        self._values = values
        self._asked: set[str] = set()

    def has(self, key: str) -> bool:
        self._asked.add(key)
        return key in self._values

    def text(self, key: str) -> str:
        value = self._value(key, str)
        if not value.strip():
            raise self.wrong(f"{self._prefix}{key} is empty")
        return value

    def names(self, key: str) -> tuple[str, ...]:
        value = self._value(key, list)
        if not value or not all(isinstance(one, str) and one.strip() for one in value):
            raise self.wrong(f"{self._prefix}{key} is not a list of names")
        if len(set(value)) != len(value):
            raise self.wrong(f"{self._prefix}{key} names something twice")
        return tuple(value)

    def one_of(self, key: str, kind: Callable[[str], T]) -> T:
        value = self.text(key)
        try:
            return kind(value)
        except ValueError as error:
            raise self.wrong(f"{self._prefix}{key}: {error}") from error

    def table(self, key: str) -> _Reader:
        return _Reader(self.folder, f"{key}.", self._value(key, dict))

    def refuse_unknown(self) -> None:
        for key in sorted(set(self._values) - self._asked):
            near = difflib.get_close_matches(key, self._asked, n=1)
            raise self.wrong(f"unknown key {self._prefix}{key}" + (f"; did you mean {near[0]}?" if near else ""))

    def wrong(self, what: str) -> RecipeError:
        return RecipeError(
            f"The extract {self.folder.name} cannot be used: {what}.",
            did="No extract was loaded.",
            remedy=f"Mend {self.folder / 'extract.toml'}.",
        )

    def _value(self, key: str, kind: type[T]) -> T:
        self._asked.add(key)
        if key not in self._values:
            raise self.wrong(f"{self._prefix}{key} is missing")
        value = self._values[key]
        if not isinstance(value, kind):
            raise self.wrong(f"{self._prefix}{key} is of the wrong kind")
        return value

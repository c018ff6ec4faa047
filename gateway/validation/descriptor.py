"""Looks over a data package at start, so that a slip in it is told to who made it and not found in a return at night.

* Every key is known: Table Schema's, or one of ours, which begin with ``x-``.
* Names are there once, and keys name columns and tables that are there.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

TYPES = frozenset({"string", "integer", "number", "date", "boolean"})
DATE_FORMAT = "%d/%m/%Y"
_FIELD_KEYS = frozenset({
    "name", "type", "format", "title", "description", "example", "constraints",
    "x-codes", "x-optional", "x-since", "x-owner", "x-period", "x-label-aliases", "x-remedy",
})  # fmt: skip
_RESOURCE_KEYS = frozenset({
    "name", "path", "format", "encoding", "profile", "title", "description", "schema",
    "x-title", "x-required", "x-sheet",
})  # fmt: skip
_SCHEMA_KEYS = frozenset({"fields", "primaryKey", "foreignKeys", "missingValues"})
_CONSTRAINTS = frozenset({
    "required", "unique", "enum", "minimum", "maximum", "minLength", "maxLength", "pattern",
})  # fmt: skip
_OWNERS = frozenset({"dfe_number", "gss_code", "liia_code"})
_PERIODS = frozenset({"year", "quarter", "month", "term"})


def one_of(word: str, known: Collection[str], what: str, place: str = "") -> None:
    """Insist that a word is known.

    Raises:
        ValueError: it is not; the message has the nearest known word.
    """
    if word not in known:
        near = difflib.get_close_matches(word, known, n=1)
        hint = f" (did you mean {place}{near[0]}?)" if near else ""
        raise ValueError(f"unknown {what} {place}{word}{hint}")


def check_descriptor(descriptor: Mapping[str, Any]) -> None:
    """Look over a data package.

    Raises:
        KeyError: something that must be there is not.
        ValueError: something else is wrong.
    """
    resources = descriptor["resources"]
    columns = {one["name"]: [field["name"] for field in one["schema"]["fields"]] for one in resources}
    _once([one["name"] for one in resources], "tables")
    for resource in resources:
        name, schema = resource["name"], resource["schema"]
        for key in resource:
            one_of(key, _RESOURCE_KEYS, "key", f"{name}.")
        for key in schema:
            one_of(key, _SCHEMA_KEYS, "key", f"{name}.schema.")
        _once(columns[name], f"columns of {name}")
        for field in schema["fields"]:
            _check_field(field, f"{name}.{field['name']}.")
        _check_keys(schema, name, columns)


def names_of(names: str | Sequence[str]) -> list[str]:
    """Return the columns of a key, which a data package may write as one name or as a list."""
    return [names] if isinstance(names, str) else list(names)


def _once(names: Sequence[str], what: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{what} there twice: {', '.join(twice)}")


def _check_field(field: Mapping[str, Any], place: str) -> None:
    for key in field:
        one_of(key, _FIELD_KEYS, "key", place)
    for key in field.get("constraints", {}):
        one_of(key, _CONSTRAINTS, "constraint", place)
    one_of(field.get("type", "string"), TYPES, "type")
    if field.get("type") == "date" and field.get("format") != DATE_FORMAT:
        raise ValueError(f"{place}format is not {DATE_FORMAT}, the one way dates are written")
    if "x-owner" in field:
        one_of(field["x-owner"], _OWNERS, "x-owner", place)
    if "x-period" in field:
        one_of(field["x-period"], _PERIODS, "x-period", place)
    try:
        re.compile(field.get("constraints", {}).get("pattern", ""))
    except re.error as error:
        raise ValueError(f"{place}pattern: {error}") from error


def _check_keys(schema: Mapping[str, Any], name: str, columns: Mapping[str, Sequence[str]]) -> None:
    for column in names_of(schema.get("primaryKey", [])):
        one_of(column, columns[name], "column", f"{name}.")
    for link in schema.get("foreignKeys", []):
        for column in names_of(link["fields"]):
            one_of(column, columns[name], "column", f"{name}.")
        other = link["reference"]["resource"]
        one_of(other, columns, "table")
        for column in names_of(link["reference"]["fields"]):
            one_of(column, columns[other], "column", f"{other}.")

"""Reads the collections below ``validators/``: one folder each, data only.

* ``collection.toml`` says what it is, how files are named, when it is due.
* ``datapackage-<first period>.yaml`` is a Frictionless Data Package, in force from that period until the next one.
* A field's ``x-codes`` names a CSV below ``codes/``: its column ``code`` becomes the field's ``enum``, its column
  ``aliases`` (separated by ``|``) other spellings that are put right and counted. A spelling of two codes is dropped.
* A key that is not known is refused at start, with the nearest known one.
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from gateway.domain.collection import Collection, Due, Grain, NamePattern, Package, ResourceOutline, Shape
from gateway.domain.names import SLUG, CollectionId
from gateway.domain.period import Period, PeriodKind
from gateway.errors import SettingsError
from gateway.validation.descriptor import check_descriptor, one_of

Catalogue: TypeAlias = Mapping[CollectionId, Collection]

_KEYS = {
    "title",
    "cadence",
    "grain",
    "shape",
    "media",
    "settle_seconds",
    "max_bytes",
    "retention_years",
    "refused",
    "refused_because",
    "refused_headers",
    "ignored_sheets",
    "assumptions",
    "due",
    "names",
}
_MEDIA = {"csv", "xlsx", "xml", "zip"}
_DUE_KEYS = {"rule", "load", "opens", "closes", "grace_working_days"}
_NAME_KEYS = {"pattern", "resource"}


def load_catalogue(directory: Path) -> Catalogue:
    """Read every collection.

    Raises:
        SettingsError: a folder cannot be used; the message says which and why.
    """
    if not directory.is_dir():
        raise SettingsError(f"There are no collections at {directory}.", remedy="See validators_dir in settings.toml.")
    folders = sorted(path.parent for path in directory.glob("*/collection.toml"))
    return {CollectionId(folder.name): load_collection(folder) for folder in folders}


def load_collection(folder: Path) -> Collection:
    """Read one collection.

    Raises:
        SettingsError: it cannot be used.
    """
    name = folder.name
    try:
        values = _values(folder)
        packages = _packages(folder)
        return Collection(
            id=CollectionId(name),
            title=values["title"],
            cadence=PeriodKind(values["cadence"]) if values["cadence"] != "ad-hoc" else None,
            grain=Grain(values["grain"]),
            shape=Shape(values["shape"]),
            due=_due(values["due"]) if "due" in values else None,
            names=tuple(_name(one) for one in values.get("names", [])),
            packages=packages,
            settle_seconds=_number(values, "settle_seconds", 20),
            max_bytes=_number(values, "max_bytes", 512 * 1024 * 1024),
            retention_years=_number(values, "retention_years", 6),
            refused_resources=tuple(values.get("refused", [])),
            refused_headers=_refused_headers(values),
            refused_because=values.get("refused_because", "nobody may hold it"),
            ignored_sheets=tuple(values.get("ignored_sheets", [])),
            media=tuple(values.get("media", ["csv"])),
            assumptions=tuple(values.get("assumptions", [])),
        )
    except KeyError as error:
        raise _broken(name, f"{error} is missing") from error
    except (ValueError, TypeError, OSError, yaml.YAMLError, re.error) as error:
        raise _broken(name, str(error)) from error


def _values(folder: Path) -> Mapping[str, Any]:
    if not SLUG.match(folder.name):
        raise ValueError("its name is no slug")
    values = tomllib.loads((folder / "collection.toml").read_text(encoding="utf-8"))
    _known(values, _KEYS, "")
    _known(values.get("due", {}), _DUE_KEYS, "due.")
    for medium in values.get("media", []):
        one_of(medium, _MEDIA, "medium")
    return values


def _refused_headers(values: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    headers = values.get("refused_headers", {})
    for table, labels in headers.items():
        one_of(table, set(values.get("refused", [])), "refused table", "refused_headers.")
        if not isinstance(labels, list) or not labels:
            raise ValueError(f"refused_headers.{table} is no list of labels")
    return {table: tuple(labels) for table, labels in headers.items()}


def _number(values: Mapping[str, Any], key: str, otherwise: int) -> int:
    found = values.get(key, otherwise)
    if not isinstance(found, int) or isinstance(found, bool) or found <= 0:
        raise ValueError(f"{key} is no whole number above 0")
    return found


def _packages(folder: Path) -> tuple[Package, ...]:
    """Return the data packages, oldest first; what is wrong with one is told with its file's name."""
    found: list[Package] = []
    for path in folder.glob("datapackage-*.yaml"):
        try:
            found.append(_package(path))
        except KeyError as error:
            raise ValueError(f"{path.name}: {error} is missing") from error
        except (ValueError, TypeError, OSError, yaml.YAMLError) as error:
            raise ValueError(f"{path.name}: {error}") from error
    if not found:
        raise ValueError("it has no datapackage-<first period>.yaml")
    return tuple(sorted(found, key=lambda pack: Period.parse(pack.from_period).start))


def _broken(name: str, why: str) -> SettingsError:
    return SettingsError(
        f"The collection {name} cannot be used: {why}.", did="Nothing was started.", remedy=f"Mend validators/{name}/."
    )


def _known(values: Mapping[str, Any], known: set[str], place: str) -> None:
    for key in values:
        one_of(key, known, "key", place)


def _due(values: Mapping[str, Any]) -> Due:
    return Due(
        rule=values["rule"],
        opens=values.get("opens", "the day after the period ends"),
        load_rule=values.get("load"),
        grace_working_days=values.get("grace_working_days", 0),
        closes=values.get("closes"),
    )


def _name(values: Mapping[str, Any]) -> NamePattern:
    _known(values, _NAME_KEYS, "names.")
    return NamePattern(pattern=re.compile(values["pattern"]), resource=values.get("resource"))


def _package(path: Path) -> Package:
    first = path.name.removeprefix("datapackage-").removesuffix(".yaml")
    Period.parse(first)
    descriptor = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(descriptor, dict):
        raise TypeError("it is no mapping")
    check_descriptor(descriptor)
    for resource in descriptor["resources"]:
        for field in resource["schema"]["fields"]:
            field.setdefault("type", "string")
            if "x-codes" in field:
                codes, aliases = _codes(path.parent / field["x-codes"])
                field.setdefault("constraints", {})["enum"] = codes
                field["x-aliases"] = aliases
    outlines = tuple(_outline(resource) for resource in descriptor["resources"])
    return Package(from_period=first, descriptor=descriptor, resources=outlines)


def _codes(path: Path) -> tuple[list[str], dict[str, str]]:
    """Return a field's codes, and other spellings (case folded) to codes."""
    with path.open(encoding="utf-8", newline="") as source:
        rows = list(csv.DictReader(source))
    codes = [row["code"] for row in rows]
    meant: dict[str, set[str]] = {}
    for row in rows:
        for alias in (row["code"], *(row.get("aliases") or "").split("|")):
            if alias:
                meant.setdefault(alias.strip().casefold(), set()).add(row["code"])
    has_aliases = bool(rows) and "aliases" in rows[0]
    return codes, {alias: next(iter(found)) for alias, found in meant.items() if len(found) == 1} if has_aliases else {}


def _outline(resource: Mapping[str, Any]) -> ResourceOutline:
    fields = resource["schema"]["fields"]
    return ResourceOutline(
        name=resource["name"],
        required=bool(resource.get("x-required", False)),
        labels=tuple(field["name"] for field in fields),
        sheet=resource.get("x-sheet"),
        aliases={alias: field["name"] for field in fields for alias in field.get("x-label-aliases", [])},
    )

"""Makes realistic returns about nobody: for the demo, for tests and benchmarks, and for boroughs to try their upload.

The same arguments give the same bytes. ``faults`` cells are spoilt, spread over the rows.
"""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from gateway.domain.collection import Collection
from gateway.domain.period import Period
from gateway.errors import NotFoundError
from gateway.validation.validate import AuthorityNumbers

Row = dict[str, str]

_SPOILT = {"date": "31/02/2026", "integer": "many", "number": "3,5x", "string": ""}


def make_sample(
    collection: Collection, numbers: AuthorityNumbers, period: Period, *, rows: int, faults: int, seed: int
) -> Mapping[str, bytes]:
    """Make one return.

    Args:
        collection: its kind.
        numbers: of the authority that sends it.
        period: what it is about.
        rows: children, or for indicators the number of measures.
        faults: cells to spoil.
        seed: another seed, other numbers.

    Returns:
        Files by name.

    Raises:
        NotFoundError: the collection has no data package for the period.
    """
    package = collection.package_for(period)
    if package is None:
        raise NotFoundError(f"{collection.id} has no data package for {period}.", remedy="Choose a later period.")
    chance = random.Random(f"{collection.id}/{numbers.dfe_number}/{period}/{seed}")  # noqa: S311 (nothing secret)
    resources = package.descriptor["resources"]
    made = _tables(resources, collection, numbers, period, rows=rows, chance=chance)
    _spoil(made, resources, faults, chance)
    prefix = {"riia-quarterly": "RIIA", "ssda903": "SSDA903", "annex-a": "Annex_A"}.get(collection.id, collection.id)
    if len(resources) == 1:
        return {f"{prefix}_{period}.csv": _csv(resources[0], made[resources[0]["name"]])}
    return {
        f"{prefix}_{period}_{one['name']}.csv": _csv(one, made[one["name"]])
        for one in resources
        if made[one["name"]] or one.get("x-required")
    }


def _tables(
    resources: Sequence[Mapping[str, Any]],
    collection: Collection,
    numbers: AuthorityNumbers,
    period: Period,
    *,
    rows: int,
    chance: random.Random,
) -> dict[str, list[Row]]:
    if collection.id == "riia-quarterly":
        return {resources[0]["name"]: _indicators(resources[0], numbers, period, rows, chance)}
    children = [_child(number, numbers, period, chance) for number in range(1, rows + 1)]
    return {
        one["name"]: [_row(one, child, period, chance) for child in _cohort(one, children, chance)] for one in resources
    }


def _indicators(
    resource: Mapping[str, Any], numbers: AuthorityNumbers, period: Period, rows: int, chance: random.Random
) -> list[Row]:
    measures = next(one for one in resource["schema"]["fields"] if one["name"] == "measure_id")["constraints"]["enum"]
    year, _, quarter = period.label.rpartition("-")
    whole = {"A04": "A02", "A07": "A06", "A12": "A11", "A17": "A16", "A16": "A14", "A21": "A18", "A23": "A22"}
    values: dict[str, int] = {}
    for measure in measures:
        values[measure] = chance.randrange(40, 900)
    for part, of in sorted(whole.items(), reverse=True):
        values[part] = chance.randrange(0, values[of] + 1)
    values["A17"] = min(values["A17"], values["A16"])
    return [
        {
            "la_code": numbers.dfe_number,
            "financial_year": year,
            "quarter": quarter,
            "measure_id": measure,
            "measure_value": str(values[measure]),
            "measure_quality": "",
        }
        for measure in measures[:rows]
    ]


def _child(number: int, numbers: AuthorityNumbers, period: Period, chance: random.Random) -> Row:
    """Make up a child: born, then looked after, then perhaps no longer; nobody is looked after beyond 18."""
    leaver = chance.random() < _LEAVERS
    years = chance.randrange(18 * 365, 21 * 365) if leaver else chance.randrange(400, 16 * 365)
    born = period.start - timedelta(days=years)
    grown = born + timedelta(days=18 * 365)
    if leaver:
        began = born + timedelta(days=chance.randrange(15 * 365, 17 * 365))
        ended = grown
    else:
        began = max(born + timedelta(days=30), period.start - timedelta(days=chance.randrange(0, 900)))
        ended = began + timedelta(days=chance.randrange(20, 1200))
    return {
        "id": f"{numbers.dfe_number}{number:07d}",
        "born": born.isoformat(),
        "began": began.isoformat(),
        "ended": ended.isoformat() if ended <= period.end else "",
        "age": str((period.end - born).days * 100 // 36525),
        "sex": chance.choice("MF"),
    }


_LEAVERS = 0.12
_SHARES = {
    "header": 1.0,
    "episodes": 1.0,
    "reviews": 0.8,
    "uasc": 0.2,
    "oc2": 0.7,
    "oc3": 1.0,
    "missing": 0.15,
    "deprivation_of_liberty_orders": 0.02,
}
_AGES = {
    "uasc": (12, 17),
    "oc2": (1, 17),
    "oc3": (18, 22),
    "missing": (10, 17),
    "deprivation_of_liberty_orders": (10, 17),
}


def _cohort(resource: Mapping[str, Any], children: Sequence[Row], chance: random.Random) -> list[Row]:
    share = _SHARES.get(resource["name"], 1.0 if resource.get("x-required") else 0.2)
    youngest, oldest = _AGES.get(resource["name"], (0, 99))
    return [child for child in children if youngest <= int(child["age"]) <= oldest and chance.random() < share]


def _row(resource: Mapping[str, Any], child: Row, period: Period, chance: random.Random) -> Row:
    row: Row = {}
    last = date.fromisoformat(child["ended"]) if child["ended"] else period.end
    since = date.fromisoformat(child["began"])
    for field in resource["schema"]["fields"]:
        name = field["name"]
        maker = _KNOWN.get(name.casefold())
        if maker is not None:
            row[name] = maker(child)
        elif name.casefold() in _SEXES and (sex := _sex(field, child)):
            row[name] = sex
        elif name in _ENDS:
            # Half are over; an end follows its own start.
            row[name] = _day(_between(since, last, chance)) if chance.random() < _FILLED else ""
        elif field.get("constraints", {}).get("required") or (name in _OFTEN and chance.random() < _FILLED):
            row[name] = _value(field, since, last, chance)
            since = _written(row[name]) if name in _STARTS else since
        else:
            row[name] = ""
    if "REC" in row:
        row["REC"] = chance.choice(_LEFT) if child["ended"] else ""
    return row


_FILLED = 0.5
_STARTS = frozenset({"MIS_START", "DOLO_START", "SW_DECOM"})
_ENDS = frozenset({"MIS_END", "DOLO_END", "SW_DEC"})
_OFTEN = frozenset({
    "PLACE_PROVIDER", "HOME_POST", "PL_POST", "SDQ_SCORE", "CONVICTED", "HEALTH_CHECK", "IMMUNISATIONS", "TEETH_CHECK",
    "HEALTH_ASSESSMENT", "SUBSTANCE_MISUSE", "DATE_PERM",
})  # fmt: skip
"""Columns that may be empty and seldom are."""
_LEFT = ("E4A", "E4B", "E8")
"""Reasons why care ended that are codes in every year."""
_SEXES = frozenset({"sex", "gender"})


def _sex(field: Mapping[str, Any], child: Row) -> str:
    """Return the child's sex in the codes of a field, whichever year's they are; empty where it has none that fits."""
    codes = [str(code) for code in field.get("constraints", {}).get("enum", [])]
    words = ("M", "1", "a) Male") if child["sex"] == "M" else ("F", "2", "b) Female")
    return next((word for word in words if word in codes), "")


def _value(field: Mapping[str, Any], since: date, last: date, chance: random.Random) -> str:
    constraints = field.get("constraints", {})
    if "enum" in constraints:
        return str(chance.choice(constraints["enum"]))
    if field["type"] == "date":
        return _day(_between(since, last, chance))
    if field["type"] in {"integer", "number"}:
        return str(chance.randrange(int(constraints.get("minimum", 0)), int(constraints.get("maximum", 17)) + 1))
    if "pattern" in constraints:
        return "ZZ1 1ZZ"
    return f"X{chance.randrange(10_000, 99_999)}"


def _between(first: date, last: date, chance: random.Random) -> date:
    return first + timedelta(days=chance.randrange(0, max(1, (last - first).days)))


def _day(day: date) -> str:
    return f"{day:%d/%m/%Y}"


def _written(day: str) -> date:
    return date(int(day[6:]), int(day[3:5]), int(day[:2]))


def _iso(day: str) -> str:
    return _day(date.fromisoformat(day)) if day else ""


_KNOWN: Mapping[str, Callable[[Row], str]] = {
    "child": lambda child: child["id"],
    "child unique id": lambda child: child["id"],
    "dob": lambda child: _iso(child["born"]),
    "date of birth": lambda child: _iso(child["born"]),
    "age of child (years)": lambda child: child["age"],
    "decom": lambda child: _iso(child["began"]),
    "dec": lambda child: _iso(child["ended"]),
    "upn": lambda _: "UN1",
}


def _spoil(
    made: Mapping[str, list[Row]], resources: Sequence[Mapping[str, Any]], faults: int, chance: random.Random
) -> None:
    places = [
        (name, at, field)
        for resource in resources
        for name in [resource["name"]]
        for field in resource["schema"]["fields"]
        if field["type"] != "string" and field["name"].casefold() not in _KNOWN
        for at in range(len(made[name]))
    ]
    for name, at, field in chance.sample(places, min(faults, len(places))):
        made[name][at][field["name"]] = _SPOILT[field["type"]]


def _csv(resource: Mapping[str, Any], rows: Sequence[Row]) -> bytes:
    text = io.StringIO(newline="")
    labels = [field["name"] for field in resource["schema"]["fields"]]
    writer = csv.DictWriter(text, labels, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()

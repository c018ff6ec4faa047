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
    born = period.start - timedelta(days=chance.randrange(400, 16 * 365))
    began = max(born + timedelta(days=30), period.start - timedelta(days=chance.randrange(0, 900)))
    return {
        "id": f"{numbers.dfe_number}{number:07d}",
        "born": born.isoformat(),
        "began": began.isoformat(),
        "sex": chance.choice("MF"),
    }


def _cohort(resource: Mapping[str, Any], children: Sequence[Row], chance: random.Random) -> list[Row]:
    share = {"header": 1.0, "episodes": 1.0, "reviews": 0.8, "uasc": 0.05, "oc2": 0.7, "oc3": 0.1, "missing": 0.15}
    wanted = share.get(resource["name"], 1.0 if resource.get("x-required") else 0.2)
    if resource["name"] == "deprivation_of_liberty_orders":
        wanted = 0.01
    return [child for child in children if chance.random() < wanted]


def _row(resource: Mapping[str, Any], child: Row, period: Period, chance: random.Random) -> Row:
    row: Row = {}
    began = date.fromisoformat(child["began"])
    for field in resource["schema"]["fields"]:
        name = field["name"]
        maker = _KNOWN.get(name.casefold())
        if maker is not None:
            row[name] = maker(child)
        elif not field.get("constraints", {}).get("required"):
            row[name] = ""
        else:
            row[name] = _value(field, began, period, chance)
    if "DECOM" in row:
        row["DECOM"] = _day(began)
    return row


def _value(field: Mapping[str, Any], began: date, period: Period, chance: random.Random) -> str:
    constraints = field.get("constraints", {})
    if "enum" in constraints:
        return str(chance.choice(constraints["enum"]))
    if field["type"] == "date":
        return _day(began + timedelta(days=chance.randrange(0, max(1, (period.end - began).days))))
    if field["type"] in {"integer", "number"}:
        return str(chance.randrange(int(constraints.get("minimum", 0)), int(constraints.get("maximum", 17)) + 1))
    if "pattern" in constraints:
        return "ZZ1 1ZZ"
    return f"X{chance.randrange(10_000, 99_999)}"


def _day(day: date) -> str:
    return f"{day:%d/%m/%Y}"


_KNOWN: Mapping[str, Callable[[Row], str]] = {
    "child": lambda child: child["id"],
    "child unique id": lambda child: child["id"],
    "dob": lambda child: _day(date.fromisoformat(child["born"])),
    "date of birth": lambda child: _day(date.fromisoformat(child["born"])),
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

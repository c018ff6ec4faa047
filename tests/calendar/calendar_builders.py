"""Builders for the calendar's tests: a collection, an expectation."""

from __future__ import annotations

from datetime import date

from gateway.domain.collection import Collection, Due, Grain, Package, Shape
from gateway.domain.expectation import Expectation
from gateway.domain.names import AuthorityCode, CollectionId
from gateway.domain.period import Period, PeriodKind
from gateway.domain.sharing import Participation

CAMDEN = AuthorityCode("camden")
SSDA903 = CollectionId("ssda903")


def collection(
    id: str = "ssda903",  # noqa: A002
    cadence: PeriodKind | None = PeriodKind.YEAR,
    from_period: str = "2000-01",
    **due: object,
) -> Collection:
    return Collection(
        id=CollectionId(id),
        title=id.upper(),
        cadence=cadence,
        grain=Grain.CHILD,
        shape=Shape.FILES,
        due=Due(**{"rule": "31 May after the period ends", **due}),
        names=(),
        packages=(Package(from_period=from_period, descriptor={}, resources=()),),
    )


def expectation(**changed: object) -> Expectation:
    return Expectation(
        **{
            "authority": CAMDEN,
            "collection": SSDA903,
            "period": Period.parse("2026-27"),
            "opens": date(2027, 4, 1),
            "due": date(2027, 6, 1),
            "original_due": date(2027, 6, 1),
            "on_time_until": date(2027, 6, 1),
            **changed,
        }
    )


def takes_part(since: date = date(2020, 1, 1), until: date | None = None) -> Participation:
    return Participation(authority=CAMDEN, collection=SSDA903, since=since, until=until)

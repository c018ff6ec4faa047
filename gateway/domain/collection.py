"""A kind of return, as its folder under ``validators/`` describes it. Read by ``gateway.validation.catalogue``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gateway.domain.names import CollectionId
from gateway.domain.period import Period, PeriodKind


class Grain(StrEnum):
    """Whether a row is about a child or about an authority. Child level needs an agreement and an impact assessment."""

    CHILD = "child"
    AGGREGATE = "aggregate"


class Shape(StrEnum):
    """How many files make one return."""

    FILE = "file"
    """One file is the whole return: submitted at close."""
    FILES = "files"
    """One file a table: submitted when all required tables are here and nothing came for ``settle_seconds``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NamePattern:
    """One way a file's name tells what it is. Named groups: ``period``, ``year``, ``quarter``, ``month``, ``term``."""

    pattern: re.Pattern[str]
    resource: str | None = None
    """The table it holds; None where the file is the whole return (a workbook, a zip)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceOutline:
    """As much of one table as recognising needs; the schema itself is validation's business."""

    name: str
    required: bool
    labels: tuple[str, ...]
    """Column labels in order."""
    sheet: str | None = None
    aliases: Mapping[str, str] = None  # type: ignore[assignment]
    """Other spellings of a label, as they are in real files, to the label."""

    def __post_init__(self) -> None:
        if self.aliases is None:
            object.__setattr__(self, "aliases", {})


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """One year's data package of a collection."""

    from_period: str
    """Label of the first period it is in force for."""
    descriptor: Mapping[str, Any]
    """The Frictionless Data Package descriptor, codes and all."""
    resources: tuple[ResourceOutline, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """When a return opens, is due and closes: the text of the rules, read by ``gateway.calendar``."""

    rule: str
    """For example ``20 working days after the period ends``."""
    opens: str = "the day after the period ends"
    load_rule: str | None = None
    """First of two milestones, where there are two (CIN: load, then final)."""
    grace_working_days: int = 0
    closes: str | None = None
    """After this a new version needs LIIA's leave."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Collection:
    """One folder under ``validators/``."""

    id: CollectionId
    title: str
    cadence: PeriodKind | None
    """Kind of period; None where it is sent only when asked for."""
    grain: Grain
    shape: Shape
    due: Due | None
    names: Sequence[NamePattern]
    packages: Sequence[Package]
    """Oldest first."""
    settle_seconds: int = 20
    max_bytes: int = 512 * 1024 * 1024
    retention_years: int = 6
    refused_resources: tuple[str, ...] = ()
    """Tables nobody may hold: refused at the door."""
    refused_headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Labels that tell a refused table from every other, whatever its file is called."""
    refused_because: str = "nobody may hold it"
    """Why, in words for the authority."""
    ignored_sheets: tuple[str, ...] = ()
    """Sheets of a workbook that are no tables."""
    media: tuple[str, ...] = ("csv",)
    """Accepted formats: csv, xlsx, xml, zip."""
    assumptions: tuple[str, ...] = ()

    def package_for(self, period: Period) -> Package | None:
        """Return the package in force for a period, or None where the period is older than the oldest."""
        fitting = [pack for pack in self.packages if Period.parse(pack.from_period).start <= period.start]
        return fitting[-1] if fitting else None

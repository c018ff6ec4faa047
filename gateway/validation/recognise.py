"""What is this file? Told from its folder, then its name, then what its header says. Never guessed.

* ``sniff`` looks at a bounded beginning of the content; ``recognise`` is pure.
* The period is declared: by the folder, by named groups of a name pattern, or by columns that state it
  (``x-period`` in the data package). If none does, the answer says where to put the file.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from gateway.domain.collection import Collection, ResourceOutline, Shape
from gateway.domain.names import CollectionId
from gateway.domain.period import Period, PeriodKind
from gateway.validation.catalogue import Catalogue

HEAD_BYTES = 64 * 1024
_MAX_MEMBERS = 200
_MAX_DIRECTORY_BYTES = 1024 * 1024
_ZIP_END = b"PK\x05\x06"
_MAX_WORKBOOK_XML_BYTES = 1024 * 1024
_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Sniffed:
    """The beginning of a file, looked at."""

    kind: str
    """``csv``, ``xlsx``, ``zip``, ``xml``, ``pdf``, ``empty`` or ``binary``."""
    labels: tuple[str, ...] = field(default=(), repr=False)
    """The first row as sent. Where a header is missing it is data: never printed."""
    first_cells: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The first row's cells by label; only columns that state the period are read from it."""
    sheets: tuple[str, ...] = field(default=(), repr=False)
    members: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recognised:
    """A file of a collection and period. ``resource`` is None for a whole return (a workbook, a zip)."""

    collection: CollectionId
    period: Period
    resource: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """A table that nobody may hold."""

    collection: CollectionId
    resource: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Unrecognised:
    """A file that could not be told, with what was expected."""

    trouble: str
    remedy: str


def sniff(opener: Callable[[], BinaryIO], name: str) -> Sniffed:  # noqa: ARG001 (content decides, not the name)
    """Look at the beginning of a file. Bounded in time and memory; never fails on bad content."""
    with opener() as source:
        head = source.read(HEAD_BYTES)
        if not head:
            return Sniffed(kind="empty")
        if head.startswith((b"PK\x03\x04", _ZIP_END)):
            return _sniff_zip(source)
        if head.startswith(b"%PDF"):
            return Sniffed(kind="pdf")
        if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
            return Sniffed(kind="xml")
        text = _text(head)
        if text is None:
            return Sniffed(kind="binary")
        return _sniff_csv(text)


def _text(head: bytes) -> str | None:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", "replace")
    if head.startswith(b"\xd0\xcf\x11\xe0") or head.count(b"\0") > len(head) // 20:
        return None
    try:
        return head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start >= len(head) - 3:
            return head[: error.start].decode("utf-8-sig")
        return head.decode("cp1252", "replace")


def _sniff_csv(text: str) -> Sniffed:
    first_line = text.split("\n", 1)[0]
    delimiter = max(",;\t|", key=first_line.count) if first_line else ","
    try:
        rows = csv.reader(io.StringIO(text.replace("\0", "")), delimiter=delimiter)
        labels = tuple(label.strip() for label in next(rows, []))
        first = next(rows, [])
    except csv.Error:
        return Sniffed(kind="csv")
    return Sniffed(
        kind="csv", labels=labels, first_cells=dict(zip(labels, (one.strip() for one in first), strict=False))
    )


def _sniff_zip(source: BinaryIO) -> Sniffed:
    try:
        if _directory_bytes(source) > _MAX_DIRECTORY_BYTES:
            return Sniffed(kind="zip")
        with zipfile.ZipFile(source) as archive:
            members = tuple(archive.namelist()[:_MAX_MEMBERS])
            if "xl/workbook.xml" in members:
                info = archive.getinfo("xl/workbook.xml")
                if info.file_size > _MAX_WORKBOOK_XML_BYTES:
                    return Sniffed(kind="xlsx")
                xml = archive.read(info).decode("utf-8", "replace")
                return Sniffed(kind="xlsx", sheets=tuple(re.findall(r'<sheet [^>]*?name="([^"]{1,64})"', xml)))
            return Sniffed(kind="zip", members=members)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, ValueError):
        return Sniffed(kind="zip")


def _directory_bytes(source: BinaryIO) -> int:
    """Return how long a zip's directory says it is, from the record at the file's end; the directory is not read."""
    length = source.seek(0, io.SEEK_END)
    source.seek(max(0, length - HEAD_BYTES))
    tail = source.read(HEAD_BYTES)
    at = tail.rfind(_ZIP_END)
    return int.from_bytes(tail[at + 12 : at + 16], "little") if at >= 0 else 0


def recognise(
    catalogue: Catalogue, folder: tuple[str, ...], name: str, sniffed: Sniffed
) -> Recognised | Refused | Unrecognised:
    """Tell what a file is.

    Args:
        catalogue: the collections.
        folder: folders under ``inbox/``, for example ``("ssda903", "2026-27")``.
        name: the file's name.
        sniffed: its beginning.
    """
    if folder and folder[0] not in catalogue:
        return Unrecognised(
            trouble=f"There is no collection {folder[0][:60]!r}.",
            remedy=f"Use one of the folders {', '.join(f'inbox/{one}/' for one in catalogue)}.",
        )
    candidates = [catalogue[CollectionId(folder[0])]] if folder else list(catalogue.values())
    for kind in candidates:
        refused = fits_refused(kind, sniffed.labels)
        if refused is not None:
            return _refusal(kind, refused)
    for kind in candidates:
        found = _by_name(kind, name) or (_by_content(kind, sniffed, named=bool(folder)))
        if found is not None:
            resource, groups = found
            return _placed(kind, resource, groups, folder=folder, name=name, sniffed=sniffed)
    return _not_told(candidates, sniffed, folder)


def recognise_member(kind: Collection, name: str, sniffed: Sniffed) -> str | None:
    """Tell which table a file inside a zip of a known collection is; None where it is none."""
    found = _by_name(kind, name) or _by_content(kind, sniffed, named=False)
    return found[0] if found else None


def _by_name(kind: Collection, name: str) -> tuple[str | None, Mapping[str, str]] | None:
    for one in kind.names:
        found = one.pattern.search(name)
        if found:
            groups = {key: value for key, value in found.groupdict().items() if value}
            return (one.resource.format(**groups) if one.resource else None), groups
    return None


def _by_content(kind: Collection, sniffed: Sniffed, *, named: bool) -> tuple[str | None, Mapping[str, str]] | None:
    newest = kind.packages[-1].resources
    if sniffed.kind == "xlsx" and "xlsx" in kind.media:
        known = {(one.sheet or "").casefold() for one in newest}
        if named or any(sheet.casefold() in known for sheet in sniffed.sheets):
            return None, {}
    if sniffed.kind == "zip" and "zip" in kind.media and named:
        return None, {}
    if sniffed.kind == "csv" and sniffed.labels:
        fitting = [one for pack in reversed(kind.packages) for one in pack.resources if _fits(one, sniffed.labels)]
        if fitting:
            return max(fitting, key=lambda one: len(one.labels)).name, {}
    if named and kind.shape is Shape.FILE and sniffed.kind in {"csv", "empty"}:
        return newest[0].name, {}
    return None


def _fits(resource: ResourceOutline, labels: tuple[str, ...]) -> bool:
    """Say whether a header has every label of a table."""
    here = {" ".join(label.split()).casefold() for label in labels}
    aliases = {alias.casefold(): label.casefold() for alias, label in resource.aliases.items()}
    here |= {aliases[label] for label in here if label in aliases}
    return all(label.casefold() in here for label in resource.labels)


def fits_refused(kind: Collection, labels: Sequence[str]) -> str | None:
    """Return the refused table that a header is of, whatever its file is called; None where it is of none."""
    here = {" ".join(label.split()).casefold() for label in labels}
    for resource, telling in kind.refused_headers.items():
        if all(label.casefold() in here for label in telling):
            return resource
    return None


def _refusal(kind: Collection, resource: str) -> Refused:
    return Refused(
        collection=kind.id,
        resource=resource,
        reason=f"This is table {resource} of {kind.id}, which is refused at the door: {kind.refused_because}.",
    )


def _placed(
    kind: Collection,
    resource: str | None,
    groups: Mapping[str, str],
    *,
    folder: tuple[str, ...],
    name: str,
    sniffed: Sniffed,
) -> Recognised | Refused | Unrecognised:
    if resource is not None and resource in kind.refused_resources:
        return _refusal(kind, resource)
    period = _period(kind, resource, groups, folder=folder, name=name, sniffed=sniffed)
    if isinstance(period, Unrecognised):
        return period
    package = kind.package_for(period)
    if package is None:
        return Unrecognised(
            trouble=f"{kind.id} is not taken for {period}: the first period with a data package is "
            f"{kind.packages[0].from_period}.",
            remedy="Check the period in the folder or the file name.",
        )
    if resource is not None and resource not in {one.name for one in package.resources}:
        return Unrecognised(
            trouble=f"{kind.id} has no table {resource} for {period}.",
            remedy=f"Its tables are {', '.join(one.name for one in package.resources)}.",
        )
    return Recognised(collection=kind.id, period=period, resource=resource)


def _period(
    kind: Collection,
    resource: str | None,
    groups: Mapping[str, str],
    *,
    folder: tuple[str, ...],
    name: str,
    sniffed: Sniffed,
) -> Period | Unrecognised:
    example = _example(kind)
    if len(folder) > 1:
        return _parse(kind, folder[1], f"The folder inbox/{kind.id}/{folder[1][:40]}/")
    declared = _from_groups(groups) or _from_name(kind, name) or _from_cells(kind, resource, sniffed)
    if declared:
        return _parse(kind, declared, "The period that the file states")
    return Unrecognised(
        trouble=f"This is {kind.id}, and nothing says which period it is about.",
        remedy=f"Put it in the folder of its period, for example inbox/{kind.id}/{example}/.",
    )


def _parse(kind: Collection, label: str, what: str) -> Period | Unrecognised:
    try:
        period = Period.parse(label)
    except ValueError:
        period = None
    if period is None or (kind.cadence is not None and period.kind is not kind.cadence):
        return Unrecognised(
            trouble=f"{what} is not a period of {kind.id}.",
            remedy=f"Write it like {_example(kind)}, for example inbox/{kind.id}/{_example(kind)}/.",
        )
    return period


def _example(kind: Collection) -> str:
    examples = {
        PeriodKind.QUARTER: "2026-27-Q2",
        PeriodKind.YEAR: "2026-27",
        PeriodKind.MONTH: "2026-09",
        PeriodKind.TERM: "2026-27-autumn",
        PeriodKind.CALENDAR_YEAR: "2026",
    }
    return examples[kind.cadence or PeriodKind.MONTH]


def _from_groups(groups: Mapping[str, str]) -> str | None:
    if "period" in groups:
        return groups["period"]
    if "year" in groups:
        parts = [groups["year"].replace("_", "-")]
        parts += [groups["quarter"].upper()] if "quarter" in groups else []
        return "-".join(parts)
    return None


_NAME_PERIODS = {
    PeriodKind.QUARTER: re.compile(r"(?<!\d)(20\d\d[-_]\d\d)[-_ ]?(Q[1-4])(?![0-9A-Za-z])", re.IGNORECASE),
    PeriodKind.YEAR: re.compile(r"(?<!\d)(20\d\d[-_]\d\d)(?!\d|[-_]\d\d(?!\d))"),
    PeriodKind.MONTH: re.compile(r"(?<!\d)(20\d\d)[-_ ]?(0[1-9]|1[0-2]|[A-Za-z]{3,9})(?![0-9A-Za-z]|[-_]\d)"),
}


def _from_name(kind: Collection, name: str) -> str | None:
    """Read a period from a name, only where it is written out in full: no year is pieced together."""
    pattern = _NAME_PERIODS.get(kind.cadence) if kind.cadence else None
    found = pattern.findall(name) if pattern else []
    labels: set[str] = set()
    for one in found:
        label = _label(kind.cadence, one)
        if label is not None:
            labels.add(label)
    return labels.pop() if len(labels) == 1 else None


def _label(cadence: PeriodKind | None, found: tuple[str, ...] | str) -> str | None:
    if cadence is PeriodKind.YEAR and isinstance(found, str):
        year, end = int(found[:4]), int(found[5:])
        return f"{year}-{end:02d}" if (year + 1) % 100 == end else None
    first, second = found[0], found[1]
    if cadence is PeriodKind.QUARTER:
        return f"{first.replace('_', '-')}-{second.upper()}"
    if second.isdigit():
        return f"{first}-{second}"
    month = next((at for at, name in enumerate(_MONTHS, start=1) if _is_month(second.lower(), name)), None)
    return f"{first}-{month:02d}" if month is not None else None


def _is_month(word: str, name: str) -> bool:
    """Say whether a word is a month's name or its usual short form, and no other word that begins alike."""
    return word in {name, name[:3]} or (name == "september" and word == "sept")


def _from_cells(kind: Collection, resource: str | None, sniffed: Sniffed) -> str | None:
    """Read the period from columns that state it (``x-period``)."""
    parts: dict[str, str] = {}
    for described in kind.packages[-1].descriptor["resources"]:
        if described["name"] != resource:
            continue
        for one in described["schema"]["fields"]:
            if "x-period" in one:
                parts[one["x-period"]] = sniffed.first_cells.get(one["name"], "")
    if not parts or not all(parts.values()):
        return None
    return "-".join(parts[key] for key in ("year", "quarter", "month", "term") if key in parts)


def _not_told(candidates: list[Collection], sniffed: Sniffed, folder: tuple[str, ...]) -> Unrecognised:
    kinds = {
        "csv": "a CSV file whose header fits no table",
        "xlsx": "a workbook without the sheets of any collection",
        "zip": "a zip file that does not say what it is",
        "xml": "an XML file",
        "pdf": "a PDF document",
        "empty": "an empty file",
        "binary": "not a text file",
    }
    what = f" in inbox/{folder[0]}/" if folder else ""
    expected = "; ".join(f"{one.id} takes {' or '.join(one.media)}" for one in candidates[:20])
    return Unrecognised(
        trouble=f"This is {kinds.get(sniffed.kind, 'a file')}{what}, and it was not recognised.",
        remedy=f"Put it in the folder of its collection and period, for example "
        f"inbox/{candidates[0].id}/{_example(candidates[0])}/. Expected: {expected}.",
    )

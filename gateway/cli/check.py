"""Checks files at a desk as the service would, with no service and no database."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, cast

from gateway.db.accounts import SEED
from gateway.domain.finding import Finding, Report
from gateway.domain.names import AuthorityCode, Channel, Digest, FileId, SubmissionId
from gateway.domain.states import State
from gateway.domain.submission import Checked, ReceivedFile, Submission
from gateway.errors import GatewayError, NotFoundError
from gateway.settings import Settings
from gateway.validation.catalogue import Catalogue, load_catalogue
from gateway.validation.recognise import Recognised, Refused, Unrecognised, recognise, sniff
from gateway.validation.report import ReportHeading, render_csv, render_html, render_json
from gateway.validation.validate import AuthorityNumbers, validate


@dataclass(frozen=True, kw_only=True, slots=True)
class DeskVerdict:
    """What a check at a desk came to."""

    report: Report
    heading: ReportHeading

    def rendered(self, form: str) -> str:
        """Return the report as ``html``, ``csv`` or ``json``."""
        if form == "html":
            return render_html(self.report, self.heading)
        return (render_csv(self.report) if form == "csv" else render_json(self.report)).decode("utf-8-sig")


def check_files(
    paths: Sequence[Path], collection: str | None, period: str | None, authority: str | None, settings: Settings
) -> DeskVerdict:
    """Check the files of one return.

    Raises:
        GatewayError: a file cannot be read, or the files are not of one return.
    """
    catalogue = load_catalogue(settings.path(settings.validators_dir))
    folder = tuple(part for part in (collection, period) if part) if collection else ()
    found = [_recognised(catalogue, folder, path) for path in paths]
    told = [one for one in found if isinstance(one, Recognised)]
    refused = [(path, one) for path, one in zip(paths, found, strict=True) if not isinstance(one, Recognised)]
    if len({(one.collection, one.period) for one in told}) > 1:
        raise GatewayError(
            "These files are not of one return.", remedy="Check them apart, or give --collection and --period."
        )
    now = datetime.now(UTC)
    if refused:
        report = Report(findings=[_unrecognised(path, one) for path, one in refused], rows={})
        return DeskVerdict(report=report, heading=_heading(paths, "not recognised", "", now))
    which = told[0]
    files = [_file(path, one, now) for path, one in zip(paths, told, strict=True)]
    checked = _checked(files, which, authority, now)
    contents = [(file, _opener(path)) for file, path in zip(files, paths, strict=True)]
    verdict = validate(checked, contents, catalogue[which.collection], _numbers(authority, paths))
    title = catalogue[which.collection].title
    return DeskVerdict(report=verdict.report, heading=_heading(paths, title, which.period.label, now))


def _recognised(catalogue: Catalogue, folder: tuple[str, ...], path: Path) -> Recognised | Refused | Unrecognised:
    try:
        return recognise(catalogue, folder, path.name, sniff(_opener(path), path.name))
    except OSError as error:
        raise GatewayError(f"{path} cannot be read: {error.strerror}.", remedy="Check the path.") from error


def _opener(path: Path) -> Callable[[], BinaryIO]:
    return lambda: cast("BinaryIO", path.open("rb"))


def _unrecognised(path: Path, found: Refused | Unrecognised) -> Finding:
    if isinstance(found, Refused):
        return Finding(code="refused-table", file=path.name, message=found.reason, remedy="Do not send it.")
    remedy = f"{found.remedy} Here: give --collection and --period."
    return Finding(code="unrecognised", file=path.name, message=found.trouble, remedy=remedy)


def _file(path: Path, found: Recognised, now: datetime) -> ReceivedFile:
    content = path.read_bytes()
    return ReceivedFile(
        id=FileId(path.name),
        name=path.name,
        resource=found.resource,
        digest=Digest(sha256(content).hexdigest()),
        size_bytes=len(content),
        received_at=now,
    )


def _checked(files: Sequence[ReceivedFile], which: Recognised, authority: str | None, now: datetime) -> Checked:
    submission = Submission(
        id=SubmissionId("not-sent"),
        authority=AuthorityCode(authority or "unknown"),
        collection=which.collection,
        period=which.period,
        version=0,
        state=State.SCANNED,
        channel=Channel.CLI,
        sent_by="",
        received_at=now,
        last_file_at=now,
        files=tuple(files),
    )
    return Checked(submission=submission, collection=which.collection, period=which.period, scanner="off")


def _numbers(authority: str | None, paths: Sequence[Path]) -> AuthorityNumbers:
    """Return the authority's numbers; with none named, those that the file itself states first."""
    with SEED.open(encoding="utf-8", newline="") as source:
        known = list(csv.DictReader(source))
    if authority is None:
        stated = _stated(paths, known)
        found = next((row for row in known if row["dfe_number"] == stated), known[0])
    else:
        matching = [row for row in known if row["code"] == authority]
        if not matching:
            raise NotFoundError(f"There is no authority {authority[:60]!r}.", remedy="Run `gateway authority list`.")
        found = matching[0]
    return AuthorityNumbers(dfe_number=found["dfe_number"], gss_code=found["gss_code"], liia_code=found["liia_code"])


def _stated(paths: Sequence[Path], known: Sequence[dict[str, str]]) -> str | None:
    numbers = {row["dfe_number"] for row in known}
    for path in paths:
        sniffed = sniff(_opener(path), path.name)
        stated = sniffed.first_cells.get("la_code", "")
        if stated in numbers:
            return stated
    return None


def _heading(paths: Sequence[Path], title: str, period: str, now: datetime) -> ReportHeading:
    return ReportHeading(
        submission="checked at a desk, not sent",
        authority="",
        collection=title,
        period=period,
        version=0,
        received_at=now,
        files=tuple(path.name for path in paths),
    )

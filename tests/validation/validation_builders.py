"""Runs validation on bytes as the service does: sniff, recognise, read, check. No service, no disk."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from gateway.domain.collection import Collection
from gateway.domain.finding import Finding
from gateway.domain.names import AuthorityCode, Channel, CollectionId, Digest, FileId, SubmissionId
from gateway.domain.period import Period
from gateway.domain.states import State
from gateway.domain.submission import Checked, ReceivedFile, Submission
from gateway.validation.catalogue import Catalogue, load_catalogue
from gateway.validation.recognise import Recognised, Refused, Unrecognised, recognise, sniff
from gateway.validation.validate import AuthorityNumbers, Table, Verdict, normalised_tables, validate

ROOT = Path(__file__).parents[2]
VALIDATORS = ROOT / "validators"
CAMDEN = AuthorityNumbers(dfe_number="202", gss_code="E09000007", liia_code="CAM")
NOW = datetime(2026, 10, 8, 21, 0, tzinfo=UTC)

Files = Sequence[tuple[ReceivedFile, Callable[[], BinaryIO]]]


@lru_cache
def catalogue() -> Catalogue:
    return load_catalogue(VALIDATORS)


def collection(name: str) -> Collection:
    return catalogue()[CollectionId(name)]


def told(content: bytes, name: str, *folder: str) -> Recognised | Refused | Unrecognised:
    """Return what a file dropped below ``inbox/`` is taken for."""
    return recognise(catalogue(), folder, name, sniff(lambda: io.BytesIO(content), name))


def received(files: Mapping[str, bytes], resource: Callable[[str, bytes], str | None]) -> Files:
    return [
        (
            ReceivedFile(
                id=FileId(f"file-{at}"),
                name=name,
                resource=resource(name, content),
                digest=Digest(sha256(content).hexdigest()),
                size_bytes=len(content),
                received_at=NOW,
            ),
            lambda content=content: io.BytesIO(content),  # type: ignore[misc]
        )
        for at, (name, content) in enumerate(files.items())
    ]


def checked(kind: Collection, period: Period, files: Files) -> Checked:
    submission = Submission(
        id=SubmissionId("7f3a"),
        authority=AuthorityCode("camden"),
        collection=kind.id,
        period=period,
        version=1,
        state=State.SCANNED,
        channel=Channel.SFTP,
        sent_by="laptop SHA256:abc",
        received_at=NOW,
        last_file_at=NOW,
        files=tuple(file for file, _ in files),
    )
    return Checked(submission=submission, collection=kind.id, period=period, scanner="off")


def judged(
    files: Mapping[str, bytes],
    name: str,
    period: str,
    *,
    resource: str | None = None,
    numbers: AuthorityNumbers = CAMDEN,
    kind: Collection | None = None,
) -> Verdict:
    """Validate files that were put into the folder of a collection and period."""
    kind = kind or collection(name)
    when = Period.parse(period)

    def table(file: str, content: bytes) -> str | None:
        if resource is not None:
            return resource
        found = recognise({kind.id: kind}, (kind.id, period), file, sniff(lambda: io.BytesIO(content), file))
        assert isinstance(found, Recognised), found
        return found.resource

    these = received(files, table)
    return validate(checked(kind, when, these), these, kind, numbers)


def riia(content: bytes | str, period: str = "2026-27-Q2", name: str = "riia.csv") -> Verdict:
    """Validate one file as Camden's quarterly return."""
    return judged(
        {name: content.encode() if isinstance(content, str) else content},
        "riia-quarterly",
        period,
        resource="indicators",
    )


def tables(files: Mapping[str, bytes], name: str, period: str) -> Sequence[Table]:
    """Validate, insist on acceptance, and return the canonical tables."""
    kind, when = collection(name), Period.parse(period)
    these = received(files, lambda file, content: _resource(kind, period, file, content))
    verdict = validate(checked(kind, when, these), these, kind, CAMDEN)
    assert verdict.accepted is not None, verdict.report.findings
    return normalised_tables(verdict.accepted, these, kind)


def _resource(kind: Collection, period: str, file: str, content: bytes) -> str | None:
    found = told(content, file, kind.id, period)
    assert isinstance(found, Recognised), found
    return found.resource


def places(verdict: Verdict) -> set[tuple[str, str, int | None, str | None, str | None]]:
    """Return what was found as (code, resource, row, label, column)."""
    return {place(one) for one in verdict.report.findings}


def place(one: Finding) -> tuple[str, str, int | None, str | None, str | None]:
    return (one.code, one.resource, one.row, one.label, one.column)


def codes(verdict: Verdict) -> list[str]:
    return [one.code for one in verdict.report.findings]


def the(verdict: Verdict, code: str) -> Finding:
    """Return the one finding with a code."""
    (one,) = [found for found in verdict.report.findings if found.code == code]
    return one


def as_csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def as_rows(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def whole(content: bytes, file: str, name: str, period: str) -> Verdict:
    """Validate one file that was taken, by its name and folder, for a whole return."""
    kind, when = collection(name), Period.parse(period)
    these = received({file: content}, lambda _file, _content: None)
    return validate(checked(kind, when, these), these, kind, CAMDEN)

"""Receipts: what an authority can show without us.

* A receipt is JSON, sorted and indented, so that one reads it and any program signs and checks the same bytes.
  Its form is ``receipt.schema.json``.
* It holds digests, counts and the sender's own file names; never a cell.
* It carries the ledger's checkpoint and the proof that the event it speaks of is in it.
"""

from __future__ import annotations

import html
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any

from gateway.domain.finding import ReportSummary
from gateway.domain.london import day_in_words, instant_in_words
from gateway.domain.merkle import ReadNode, leaf_hash
from gateway.domain.names import SubmissionId
from gateway.domain.states import State
from gateway.domain.submission import ReceivedFile, Submission
from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.proofs import inclusion_proof
from gateway.ledger.signers import IDENTITY, RECEIPT_NAMESPACE
from gateway.ledger.verify_receipt import ReceiptVerdict, verify_receipt

__all__ = [
    "IDENTITY",
    "RECEIPT_NAMESPACE",
    "SCHEMA",
    "ReceiptVerdict",
    "Timeliness",
    "arrival_receipt",
    "canonical",
    "evidence",
    "outcome_receipt",
    "receipt_page",
    "schema",
    "verify_receipt",
]

SCHEMA = "https://gateway.london/receipt/1"

_MEANING = {
    State.ACCEPTED: "The return passed every check and lies sealed in LIIA's storage.",
    State.REJECTED: "The return did not pass and was not stored. Nothing of it was shared.",
    State.QUARANTINED: "The file was kept aside and not read further. Nothing of it was shared.",
    State.DUPLICATED: "The same bytes were received before. No new version was made.",
    State.SUPERSEDED: "The return passed, and a newer version was accepted in the meantime.",
}
_NEXT = {
    State.ACCEPTED: "Nothing is left to do. To correct it, send it again; the new version takes its place.",
    State.REJECTED: "Open the report in reports/, mend what it lists, and send the return again.",
    State.QUARANTINED: "Read the reason, then send the file again.",
    State.DUPLICATED: "Nothing is left to do; the earlier receipt stands.",
    State.SUPERSEDED: "Nothing is left to do; the receipt of the newer version stands.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeliness:
    """When a return was due, and whether it came in time."""

    due: date
    in_time: bool


def arrival_receipt(
    submission: Submission,
    file: ReceivedFile,
    *,
    name: str,
    authority_name: str,
    missing: Sequence[str],
    issued_at: datetime,
    ledger: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the receipt that says: this file is here, whole, and this is its digest.

    Args:
        submission: what the file belongs to.
        file: the file.
        name: what the receipt's own file is called, for example ``ssda903-1f0c9a7e.arrival.json``.
        authority_name: the authority's full name.
        missing: tables the return still waits for.
        issued_at: now, aware.
        ledger: what ``evidence`` returned for the file's ``received`` event.
    """
    waiting = f"It waits for {', '.join(missing)}." if missing else "It is being checked; an outcome receipt follows."
    base = _base("arrival", submission, [file], name=name, authority_name=authority_name, issued_at=issued_at)
    return base | {
        "id": f"arrival/{file.id}",
        "received_at": _moment(file.received_at),
        "meaning": "The file arrived whole, was encrypted and is on record.",
        "next": waiting,
        "missing": list(missing),
        "ledger": dict(ledger),
    }


def outcome_receipt(
    submission: Submission,
    outcome: State,
    *,
    name: str,
    authority_name: str,
    reason: str,
    report: ReportSummary | None,
    timeliness: Timeliness | None,
    duplicate_of: SubmissionId | None,
    issued_at: datetime,
    ledger: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the receipt that says what became of a submission.

    Args:
        submission: which.
        outcome: accepted, rejected, quarantined, duplicated or superseded.
        name: what the receipt's own file is called, for example ``ssda903-v2-1f0c9a7e.outcome.json``.
        authority_name: the authority's full name.
        reason: one sentence; empty where it was accepted.
        report: validation's numbers; None where it did not come so far.
        timeliness: when it was due; None where nothing is expected.
        duplicate_of: the submission that has the same bytes.
        issued_at: now, aware.
        ledger: what ``evidence`` returned for the event of the outcome.
    """
    base = _base("outcome", submission, submission.files, name=name, authority_name=authority_name, issued_at=issued_at)
    return base | {
        "id": f"outcome/{submission.id}",
        "outcome": outcome.value,
        "version": submission.version,
        "meaning": _MEANING[outcome],
        "reason": reason,
        "next": _NEXT[outcome],
        "due": timeliness.due.isoformat() if timeliness else None,
        "in_time": timeliness.in_time if timeliness else None,
        "duplicate_of": duplicate_of,
        "errors": report.errors if report else 0,
        "queries": report.queries if report else 0,
        "findings": dict(report.by_code) if report else {},
        "rows": dict(report.rows) if report else {},
        "ledger": dict(ledger),
    }


def _base(
    kind: str,
    submission: Submission,
    about: Sequence[ReceivedFile],
    *,
    name: str,
    authority_name: str,
    issued_at: datetime,
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "kind": kind,
        "submission": submission.id,
        "authority": {"code": submission.authority, "name": authority_name},
        "collection": submission.collection,
        "period": submission.period.label if submission.period else None,
        "channel": submission.channel.value,
        "sent_by": submission.sent_by,
        "received_at": _moment(submission.last_file_at),
        "issued_at": _moment(issued_at),
        "files": [{"name": one.name, "size_bytes": one.size_bytes, "sha256": one.digest} for one in about],
        "verify": _command(name),
    }


def _moment(at: datetime) -> dict[str, str]:
    return {"utc": at.astimezone(UTC).isoformat(timespec="microseconds"), "london": instant_in_words(at)}


def _command(name: str) -> str:
    return f"ssh-keygen -Y verify -f allowed_signers -I {IDENTITY} -n {RECEIPT_NAMESPACE} -s {name}.sig < {name}"


def canonical(receipt: Mapping[str, Any]) -> bytes:
    """Return the bytes that are signed. Half a character in a file's name, which is no Unicode, becomes an escape."""
    text = json.dumps(receipt, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
    return text.encode(errors="backslashreplace")


def evidence(seq: int, body: bytes, checkpoint: Checkpoint, read: ReadNode) -> dict[str, Any]:
    """Return a receipt's proof that an event is in the ledger.

    Args:
        seq: the event's number.
        body: its canonical bytes.
        checkpoint: a signed checkpoint of more than ``seq`` events.
        read: reads kept nodes.
    """
    return {
        "event": seq,
        "body": body.decode(),
        "leaf": b64encode(leaf_hash(body)).decode(),
        "size": checkpoint.size,
        "root": b64encode(checkpoint.root).decode(),
        "checkpoint": checkpoint.text,
        "proof": [b64encode(one).decode() for one in inclusion_proof(seq, checkpoint.size, read)],
    }


@cache
def schema() -> Mapping[str, Any]:
    """Return the JSON Schema that every receipt keeps to."""
    found: Mapping[str, Any] = json.loads(_resource("receipt.schema.json"))
    return found


def receipt_page(receipt: Mapping[str, Any], name: str) -> str:
    """Return a page to read and print. ``name`` is the JSON file's."""
    told: list[tuple[str, str | None]] = [
        ("Outcome", str(receipt["outcome"]).capitalize() if "outcome" in receipt else None),
        ("Authority", receipt["authority"]["name"]),
        ("Collection", receipt["collection"] or "not recognised"),
        ("Period", receipt["period"] or "not recognised"),
        ("Version", str(receipt["version"]) if receipt.get("version") else None),
        ("Submission", receipt["submission"]),
        ("Received", receipt["received_at"]["london"]),
        ("Due", _due(receipt)),
        ("Why", receipt.get("reason")),
        ("Findings", _findings(receipt)),
        ("Rows read", _counts(receipt.get("rows"))),
        *((_file(one)) for one in receipt["files"]),
        ("What this means", receipt["meaning"]),
        ("What happens next", receipt["next"]),
        ("Ledger", f"event {receipt['ledger']['event']}, in a ledger of {receipt['ledger']['size']} events"),
        ("Tree root", receipt["ledger"]["root"]),
    ]
    rows = "".join(
        f'<tr><th scope="row">{html.escape(label)}</th><td>{html.escape(text)}</td></tr>\n'
        for label, text in told
        if text
    )
    command = receipt.get("verify") or _command(name)
    page = Template(_resource("receipt.html")).substitute(
        title=html.escape(f"{str(receipt['kind']).capitalize()} receipt"),
        rows=rows,
        name=html.escape(name),
        command=html.escape(command),
    )
    return page.encode(errors="replace").decode()


def _due(receipt: Mapping[str, Any]) -> str | None:
    if not receipt.get("due"):
        return None
    day = day_in_words(date.fromisoformat(receipt["due"]))
    return f"{day}: {'in time' if receipt['in_time'] else 'late'}"


def _findings(receipt: Mapping[str, Any]) -> str | None:
    if "errors" not in receipt or not (receipt["errors"] or receipt["queries"]):
        return None
    return f"errors {receipt['errors']:,}, queries {receipt['queries']:,} ({_counts(receipt['findings'])})"


def _counts(counts: Mapping[str, int] | None) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted((counts or {}).items()))


def _file(file: Mapping[str, Any]) -> tuple[str, str]:
    return "File", f"{file['name']} ({file['size_bytes']:,} bytes, SHA-256 {file['sha256']})"


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")

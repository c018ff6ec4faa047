"""What an authority finds in its home, read over one SFTP session: receipts, reports, notices."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import paramiko
from support.clients import Account, read, walk
from support.service import wait_until


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """An outcome receipt and the report beside it."""

    path: str
    receipt: dict[str, Any]
    raw: bytes
    signature: bytes
    report_json: dict[str, Any] | None
    report_csv: str
    report_html: str

    @property
    def said(self) -> str:
        """Everything the answer tells, as one text to search."""
        return "\n".join((self.raw.decode(), json.dumps(self.report_json, ensure_ascii=False), self.report_csv))

    @property
    def outcome(self) -> str:
        return str(self.receipt["outcome"])


class Home:
    """One owner's home, looked at through one open session."""

    def __init__(self, session: paramiko.SFTPClient) -> None:
        self.session = session
        self._known: dict[str, bytes] = {}

    def papers(self, area: str) -> list[str]:
        return walk(self.session, area)

    def read(self, path: str) -> bytes:
        """Read a paper. Papers never change, so each is read once."""
        if path not in self._known:
            self._known[path] = read(self.session, path)
        return self._known[path]

    def outcomes(self) -> list[tuple[str, dict[str, Any]]]:
        """Return every outcome receipt."""
        paths = [path for path in self.papers("receipts") if path.endswith(".outcome.json")]
        return [(path, json.loads(self.read(path))) for path in paths]

    def outcomes_for(self, sha256: str) -> list[Outcome]:
        """Return the outcome receipts that speak of a file."""
        found = []
        for path, receipt in self.outcomes():
            if any(file["sha256"] == sha256 for file in receipt["files"]):
                found.append(self._whole(path, receipt))
        return found

    def outcome_for(self, sha256: str, seconds: float = 60) -> Outcome:
        """Wait for the answer to a file."""
        return wait_until(lambda: self.outcomes_for(sha256), seconds=seconds, pause=0.1, what="an outcome receipt")[-1]

    def _whole(self, path: str, receipt: dict[str, Any]) -> Outcome:
        stem = path.removeprefix("receipts/").removesuffix(".outcome.json")
        reports = {name for name in self.papers("reports") if name.startswith(f"reports/{stem}.report.")}

        def report(kind: str) -> str:
            name = f"reports/{stem}.report.{kind}"
            return self.read(name).decode() if name in reports else ""

        as_json = report("json")
        return Outcome(
            path=path,
            receipt=receipt,
            raw=self.read(path),
            signature=wait_until(lambda: self._signature(path), seconds=10, what="a signature"),
            report_json=json.loads(as_json) if as_json else None,
            report_csv=report("csv"),
            report_html=report("html"),
        )

    def _signature(self, path: str) -> bytes | None:
        name = f"{path}.sig"
        return self.read(name) if name in self.papers(path.rpartition("/")[0]) else None


@contextmanager
def looking(account: Account) -> Iterator[Home]:
    """Open a home to look into."""
    with account.session() as session:
        yield Home(session)

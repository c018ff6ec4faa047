"""Synthetic quarterly returns, small enough to write by hand. Every number is made up."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

RIIA = "riia-quarterly"
HEADER = ("la_code", "financial_year", "quarter", "measure_id", "measure_value", "measure_quality")
MEASURES = tuple(f"A{number:02}" for number in range(1, 32))
NUMBERS = {"camden": "202", "hackney": "204", "islington": "206", "lambeth": "208", "barnet": "302", "brent": "304"}
"""Department for Education numbers of the authorities that tests speak for."""


def riia(
    authority: str, period: str, *, contacts: int = 100, others: int = 40, set_to: Mapping[str, str] | None = None
) -> bytes:
    """Return one authority's quarterly indicators as CSV.

    Args:
        authority: slug.
        period: for example ``2026-27-Q2``.
        contacts: initial contacts (A01), free to differ between versions.
        others: every other measure; all alike, so that no part exceeds its whole.
        set_to: values to write instead, by measure.
    """
    year, _, quarter = period.rpartition("-")
    values = {**dict.fromkeys(MEASURES, str(others)), "A01": str(contacts), **(set_to or {})}
    lines = [",".join(HEADER)]
    lines += [f"{NUMBERS[authority]},{year},{quarter},{measure},{value}," for measure, value in values.items()]
    return ("\r\n".join(lines) + "\r\n").encode()


def written(folder: Path, name: str, content: bytes) -> Path:
    """Write a file and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return path


def digest(content: bytes) -> str:
    """Return the SHA-256 of some bytes."""
    return sha256(content).hexdigest()

"""Every example beside a collection comes to what it says: good ones pass, bad ones have just these findings."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from validation_builders import VALIDATORS, catalogue, judged, places

EXAMPLES = sorted(VALIDATORS.glob("*/examples/*"))
BAD = [one for one in EXAMPLES if one.name.startswith("bad-")]
GOOD = [one for one in EXAMPLES if one.name.startswith("good-")]


def named(folder: Path) -> str:
    return f"{folder.parent.parent.name}/{folder.name}"


def period(folder: Path) -> str:
    found = re.match(r"(?:good|bad)-(\d{4}-\d\d(?:-Q[1-4])?)", folder.name)
    assert found is not None
    return found[1]


def files(folder: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in sorted(folder.iterdir()) if one.name != "expected.toml"}


def test_every_collection_has_a_page_and_examples_of_both_kinds() -> None:
    for name in catalogue():
        assert (VALIDATORS / name / "README.md").read_text(encoding="utf-8").startswith("# ")
        assert {one.name.partition("-")[0] for one in EXAMPLES if one.parent.parent.name == name} == {"good", "bad"}


@pytest.mark.parametrize("folder", GOOD, ids=named)
def test_a_good_example_is_accepted_without_a_word(folder: Path) -> None:
    verdict = judged(files(folder), folder.parent.parent.name, period(folder))
    assert places(verdict) == set()
    assert verdict.accepted is not None


@pytest.mark.parametrize("folder", BAD, ids=named)
def test_a_bad_example_has_just_its_findings(folder: Path) -> None:
    expected = tomllib.loads((folder / "expected.toml").read_text(encoding="utf-8"))["finding"]
    verdict = judged(files(folder), folder.parent.parent.name, period(folder))
    wanted = [(one["code"], one["resource"], one.get("row"), one.get("label"), one.get("column")) for one in expected]
    assert places(verdict) == set(wanted)
    assert len(verdict.report.findings) == len(wanted)
    assert verdict.accepted is None
    assert all(one.message.endswith(".") and one.remedy for one in verdict.report.findings)

"""A collection's folder is data: what is wrong with it is said at start, with the nearest known word."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from validation_builders import VALIDATORS, catalogue, collection

from gateway.calendar.expectations import check_rules
from gateway.domain.period import Period
from gateway.errors import SettingsError
from gateway.validation.catalogue import load_catalogue, load_collection


@pytest.fixture
def riia(tmp_path: Path) -> Path:
    return Path(shutil.copytree(VALIDATORS / "riia-quarterly", tmp_path / "riia-quarterly"))


def toml(folder: Path, old: str, new: str) -> None:
    path = folder / "collection.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_there_are_three_collections_whose_due_rules_can_be_read() -> None:
    assert sorted(catalogue()) == ["annex-a", "riia-quarterly", "ssda903"]
    for one in catalogue().values():
        assert one.due is not None
        check_rules(one)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("cadence", "cadense", "did you mean cadence?"),
        ("opens =", "opnes =", "did you mean due.opens?"),
        ("resource =", "resourse =", "did you mean names.resource?"),
        ('title = "RIIA quarterly dataset"', "", "'title' is missing"),
        ('"quarter"', '"fortnight"', "fortnight"),
        ('"aggregate"', '"person"', "person"),
        ("(?i)^", "(?i)^(", "unterminated"),
        ("= 12", "= = 12", "Invalid"),
        ("retention_years = 12", 'retention_years = "twelve"', "retention_years"),
        ("max_bytes = 10485760", "max_bytes = -1", "max_bytes"),
        ('["csv"]', '["csb"]', "did you mean csv?"),
        ('rule = "20', 'rlue = "20', "did you mean due.rule?"),
    ],
)
def test_what_is_wrong_in_a_collection_is_named(riia: Path, old: str, new: str, said: str) -> None:
    toml(riia, old, new)
    with pytest.raises(SettingsError) as raised:
        load_collection(riia)
    assert "riia-quarterly" in str(raised.value)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("resources: [\n", "datapackage"),
        ("", "datapackage"),
        ("- a list\n", "datapackage"),
        ("resources:\n- name: indicators\n", "schema"),
        ("resources:\n- name: a\n  schema:\n    fields:\n    - name: b\n      x-codes: codes/none.csv\n", "none.csv"),
        ("resources:\n- name: a\n  schema:\n    fields:\n    - name: b\n      type: datum\n", "datum"),
    ],
    ids=["broken yaml", "empty", "a list", "no schema", "no such codes", "no such type"],
)
def test_a_data_package_that_cannot_be_read_is_named(riia: Path, content: str, said: str) -> None:
    (riia / "datapackage-2022-23-Q1.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError, match=said):
        load_collection(riia)


def test_a_folder_without_data_package_or_with_one_of_no_period_is_named(riia: Path) -> None:
    (riia / "datapackage-2022-23-Q1.yaml").rename(riia / "datapackage-some-day.yaml")
    with pytest.raises(SettingsError, match="some-day"):
        load_collection(riia)
    (riia / "datapackage-some-day.yaml").unlink()
    with pytest.raises(SettingsError, match="no datapackage"):
        load_collection(riia)


def test_codes_without_a_column_of_codes_are_named(riia: Path) -> None:
    (riia / "codes" / "measures.csv").write_text("kode,label\nA01,x\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"code"):
        load_collection(riia)


def test_a_missing_directory_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no collections"):
        load_catalogue(tmp_path / "nowhere")


def test_the_package_in_force_is_chosen_by_the_period() -> None:
    kind = collection("ssda903")
    chosen = {
        label: package.from_period if (package := kind.package_for(Period.parse(label))) else None
        for label in ("2022-23", "2023-24", "2024-25", "2025-26", "2026-27", "2031-32")
    }
    assert chosen == {
        "2022-23": None,
        "2023-24": "2023-24",
        "2024-25": "2024-25",
        "2025-26": "2025-26",
        "2026-27": "2026-27",
        "2031-32": "2026-27",
    }


SEX = {"1", "2"}, {"M", "F", "U"}
CODES = {
    ("header", "SEX"): {"2023-24": SEX, "2024-25": SEX[::-1], "2025-26": SEX[::-1], "2026-27": SEX[::-1]},
    ("uasc", "SEX"): {"2023-24": SEX, "2024-25": SEX[::-1], "2025-26": SEX[::-1], "2026-27": SEX[::-1]},
    ("episodes", "PLACE"): {
        "2023-24": ({"H5", "P2"}, {"K3", "Z11", "Z12", "Z13", "Z14"}),
        "2024-25": ({"K3"}, {"H5", "P2", "Z11", "Z12", "Z13", "Z14"}),
        "2025-26": ({"K3", "Z11", "Z12", "Z13", "Z14"}, {"H5", "P2"}),
        "2026-27": ({"K3", "Z11", "Z12", "Z13", "Z14"}, {"H5", "P2"}),
    },
    ("episodes", "REC"): dict.fromkeys(
        ("2023-24", "2024-25", "2025-26", "2026-27"), ({"E45", "E46", "E47", "E48"}, {"E43", "E44"})
    ),
    ("episodes", "REASON_PLACE_CHANGE"): dict.fromkeys(
        ("2023-24", "2024-25", "2025-26", "2026-27"), ({"CUSTOD"}, set[str]())
    ),
    ("oc3", "ACTIV"): dict.fromkeys(
        ("2023-24", "2024-25", "2025-26", "2026-27"), ({"F4", "P4", "F5", "P5"}, {"F3", "P3"})
    ),
}
"""Codes that must be there and must not be, by year; from the year changes of the public schema, whose year is that
in which the return's year ends."""


@pytest.mark.parametrize(("table", "field"), CODES)
def test_ssda903_codes_are_those_of_their_year(table: str, field: str) -> None:
    for year, (there, gone) in CODES[table, field].items():
        package = collection("ssda903").package_for(Period.parse(year))
        assert package is not None
        (resource,) = [one for one in package.descriptor["resources"] if one["name"] == table]
        (found,) = [one for one in resource["schema"]["fields"] if one["name"] == field]
        codes = set(found["constraints"]["enum"])
        assert there <= codes, (year, there - codes)
        assert not gone & codes, (year, gone & codes)


def test_ssda903_tables_are_those_of_their_year() -> None:
    older = {"header", "episodes", "reviews", "uasc", "oc2", "oc3", "prev_perm", "missing", "social_worker"}
    for pack in collection("ssda903").packages:
        new = {"deprivation_of_liberty_orders"} if pack.from_period >= "2026-27" else set()
        assert {one.name for one in pack.resources} == older | new

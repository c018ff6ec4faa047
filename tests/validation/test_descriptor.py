"""A slip in a data package is told at start, with its place and the nearest word."""

from __future__ import annotations

import copy
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import yaml
from validation_builders import VALIDATORS, judged

from gateway.errors import SettingsError
from gateway.validation.catalogue import load_collection
from gateway.validation.descriptor import check_descriptor

PATHS = sorted(VALIDATORS.glob("*/datapackage-*.yaml"))


def package(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_data_package_is_in_order(path: Path) -> None:
    check_descriptor(package(path))


SSDA903 = package(VALIDATORS / "ssda903/datapackage-2025-26.yaml")


@pytest.mark.parametrize(
    ("place", "key", "value", "said"),
    [
        (("resources", 0), "x-requird", True, r"did you mean header\.x-required\?"),
        (("resources", 0, "schema"), "primarykey", [], r"did you mean header\.schema\.primaryKey\?"),
        (("resources", 0, "schema", "fields", 1), "x-kodes", "", r"did you mean header\.SEX\.x-codes\?"),
        (("resources", 0, "schema", "fields", 1), "constraints", {"requird": True}, r"header\.SEX\.required\?"),
        (("resources", 0, "schema", "fields", 1), "constraints", {"pattern": "("}, "pattern"),
        (("resources", 0, "schema", "fields", 1), "type", "strong", "did you mean string"),
        (("resources", 0, "schema", "fields", 1), "x-owner", "dfe", "x-owner"),
        (("resources", 0, "schema", "fields", 1), "x-period", "quartre", "quarter"),
        (("resources", 0, "schema", "fields", 1), "name", "CHILD", "columns of header there twice: CHILD"),
        (("resources", 0, "schema", "fields", 2), "format", "%Y-%m-%d", "the one way dates are written"),
        (("resources", 0, "schema"), "primaryKey", "CHILDE", r"header\.CHILD\?"),
        (("resources", 1, "schema", "foreignKeys", 0, "reference"), "resource", "headr", "header"),
        (("resources", 1, "schema", "foreignKeys", 0), "fields", ["CHLD"], r"episodes\.CHILD"),
        (("resources", 1), "name", "header", "tables there twice: header"),
    ],
)
def test_a_slip_is_told_with_its_place(place: tuple[str | int, ...], key: str, value: object, said: str) -> None:
    descriptor = copy.deepcopy(SSDA903)
    there: Any = descriptor
    for step in place:
        there = there[step]
    there[key] = value
    with pytest.raises(ValueError, match=said):
        check_descriptor(descriptor)


def test_the_collections_own_remedy_is_what_the_authority_reads(tmp_path: Path) -> None:
    folder = Path(copytree(VALIDATORS / "riia-quarterly", tmp_path / "riia-quarterly"))
    path = folder / "datapackage-2022-23-Q1.yaml"
    descriptor = package(path)
    field = next(one for one in descriptor["resources"][0]["schema"]["fields"] if one["name"] == "measure_value")
    field["x-remedy"] = "Leave it empty where the measure is not collected."
    path.write_text(yaml.safe_dump(descriptor), encoding="utf-8")
    good = (folder / "examples/good-2026-27-Q2/RIIA_2026-27-Q2.csv").read_text(encoding="utf-8")
    lines = good.splitlines()
    cells = lines[1].split(",")
    cells[4] = "n/a"
    bad = "\r\n".join([lines[0], ",".join(cells), *lines[2:]]).encode()
    verdict = judged({"a.csv": bad}, "riia-quarterly", "2026-27-Q2", kind=load_collection(folder))
    assert [one.remedy for one in verdict.report.findings] == [field["x-remedy"]]


def test_a_slip_stops_the_collection_from_loading_and_names_the_file(tmp_path: Path) -> None:
    folder = Path(copytree(VALIDATORS / "riia-quarterly", tmp_path / "riia-quarterly"))
    path = folder / "datapackage-2022-23-Q1.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("x-owner", "x-onwer"), encoding="utf-8")
    with pytest.raises(SettingsError, match=r"datapackage-2022-23-Q1\.yaml: unknown key .*did you mean .*x-owner"):
        load_collection(folder)

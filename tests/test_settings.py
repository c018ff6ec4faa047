"""Settings: the file is the documentation, the environment wins, and what is unknown is refused."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from gateway.errors import SettingsError
from gateway.settings import Settings, load_settings

ROOT = Path(__file__).parent.parent
FILE = ROOT / "settings.toml"


def test_the_file_names_every_setting_with_its_default() -> None:
    written = tomllib.loads(FILE.read_text())
    for name, field in Settings.model_fields.items():
        if name == "base_dir":
            continue
        default = field.default
        expected = default.model_dump(mode="json") if isinstance(default, BaseModel) else str(default)
        assert written[name] == expected, name


def test_every_line_with_a_setting_explains_it_or_stands_in_an_explained_section() -> None:
    unexplained = [
        line
        for line in FILE.read_text().splitlines()
        if re.match(r"^\w+_(seconds|bytes|minutes|days)\b", line) and "#" not in line
    ]
    assert unexplained == []


def test_an_unknown_key_is_refused_with_the_nearest_known_one(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("[sftp]\nprot = 22\n")
    with pytest.raises(SettingsError, match=r"there is no setting sftp\.prot \(did you mean sftp\.port\?\)"):
        load_settings(tmp_path / "settings.toml")


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.toml").write_text("[sftp]\nport = 22\n")
    monkeypatch.setenv("GATEWAY__SFTP__PORT", "2022")
    assert load_settings(tmp_path / "settings.toml").sftp.port == 2022


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="gateway init"):
        load_settings(tmp_path / "settings.toml")


def test_a_line_that_is_not_toml_is_answered_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("data_dir = \n")
    with pytest.raises(SettingsError, match="line 1"):
        load_settings(tmp_path / "settings.toml")

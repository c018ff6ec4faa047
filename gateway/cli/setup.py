"""Makes an installation: a settings file, a data directory, keys, tables and the 33 authorities."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gateway.desk import open_desk
from gateway.errors import SettingsError
from gateway.settings import load_settings

SOURCE = Path(__file__).resolve().parent.parent.parent
"""Where the program was cloned: the default settings, validators and extracts are there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """What was made."""

    directory: Path
    host_key: str
    """Fingerprint, as OpenSSH shows it."""


def set_up(directory: Path) -> Made:
    """Make what is missing; what is there stays.

    Raises:
        SettingsError: the directory cannot be written, or its settings are wrong.
    """
    directory = directory.resolve()
    target = directory / "settings.toml"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.write_text(_settings_text(), encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"{directory} cannot be written: {error.strerror}.", remedy="Choose another directory, or its rights."
        ) from error
    desk = open_desk(load_settings(target), make=True)
    try:
        return Made(directory=directory, host_key=desk.host_key_fingerprint())
    finally:
        desk.close()


def _settings_text() -> str:
    text = (SOURCE / "settings.toml").read_text(encoding="utf-8")
    for key, folder in (("validators_dir", SOURCE / "validators"), ("extracts_dir", SOURCE / "routing" / "extracts")):
        text = re.sub(rf'(?m)^{key} = "[^"]*"', f'{key} = "{folder}"', text)
    return text

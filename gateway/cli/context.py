"""Which settings a command works with, and the desk built from them."""

from __future__ import annotations

import getpass
from pathlib import Path

from gateway.desk import Desk, open_desk
from gateway.errors import GatewayError
from gateway.settings import Settings, load_settings

_chosen = [Path("settings.toml")]


def choose_settings(path: Path) -> None:
    """Remember which settings file was named."""
    _chosen[0] = path


def settings_path() -> Path:
    """Return the settings file in use."""
    return _chosen[0]


def settings() -> Settings:
    """Read the settings."""
    return load_settings(_chosen[0])


def desk() -> Desk:
    """Build the desk."""
    return open_desk(settings())


def operator() -> str:
    """Return who is at the keyboard, for the ledger."""
    try:
        return f"operator:{getpass.getuser()}"
    except (KeyError, OSError) as error:
        raise GatewayError("It cannot be told who you are.", remedy="Set the environment variable USER.") from error

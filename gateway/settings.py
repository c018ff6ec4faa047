"""Reads ``settings.toml`` and the environment, refuses what it does not know, and says what was meant.

* Every key has its default here and its explanation in ``settings.toml``; a test keeps the two equal.
* The environment wins: ``GATEWAY__SFTP__PORT=2222``.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gateway.errors import SettingsError


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServiceSettings(_Section):
    """Who we are."""

    name: str = "London children's services gateway"
    operator_email: str = "data@gateway.example"
    check_seconds: float = 0.2


class DatabaseSettings(_Section):
    """Where rows are."""

    url: str = ""
    workflow_url: str = ""


class SftpSettings(_Section):
    """The SFTP listener and its limits."""

    enabled: bool = True
    host: str = "0.0.0.0"  # noqa: S104 (an SFTP service is there to be reached)
    port: int = 2222
    handshake_seconds: float = 20
    idle_seconds: float = 900
    max_file_bytes: int = 1024**3
    quota_bytes: int = 5 * 1024**3
    linger_seconds: float = 3600
    reserve_bytes: int = 256 * 1024**2


class FolderSettings(_Section):
    """The watched folders."""

    enabled: bool = True
    root: str = "inboxes"
    settle_seconds: float = 2
    rescan_seconds: float = 60


class S3IntakeSettings(_Section):
    """The watched bucket."""

    enabled: bool = False
    endpoint_url: str = ""
    bucket: str = ""
    prefix: str = ""
    region: str = "eu-west-2"
    poll_seconds: float = 30


class StorageSettings(_Section):
    """Where sealed objects live."""

    kind: Literal["local", "s3"] = "local"
    root: str = "storage"
    endpoint_url: str = ""
    bucket: str = ""
    prefix: str = ""
    region: str = "eu-west-2"


class IntakeSettings(_Section):
    """How sets are gathered and how much is worked on at once."""

    gather_minutes: float = 30
    workers: int = 2


class ScannerSettings(_Section):
    """The malware scanner."""

    kind: Literal["off", "clamd"] = "off"
    address: str = "/run/clamav/clamd.ctl"
    timeout_seconds: float = 60


class MailSettings(_Section):
    """The mail relay."""

    enabled: bool = False
    host: str = "localhost"
    port: int = 25
    security: Literal["none", "starttls", "tls"] = "none"
    username: str = ""
    sender: str = "no-reply@gateway.example"


class CalendarSettings(_Section):
    """When people are told."""

    look_seconds: float = 60
    reminder_days: tuple[int, ...] = (10, 3, 0)
    late_days: tuple[int, ...] = (1,)
    hour: int = 8


class LogSettings(_Section):
    """How much is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "text"] = "json"


class Settings(BaseSettings):
    """All settings. Make one with ``load_settings``."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix="GATEWAY__",
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )

    base_dir: Path = Path()
    """The folder of ``settings.toml``; relative paths start here."""
    data_dir: Path = Path("data")
    validators_dir: Path = Path("validators")
    extracts_dir: Path = Path("routing/extracts")
    service: ServiceSettings = ServiceSettings()
    database: DatabaseSettings = DatabaseSettings()
    sftp: SftpSettings = SftpSettings()
    folder: FolderSettings = FolderSettings()
    s3_intake: S3IntakeSettings = S3IntakeSettings()
    storage: StorageSettings = StorageSettings()
    intake: IntakeSettings = IntakeSettings()
    scanner: ScannerSettings = ScannerSettings()
    mail: MailSettings = MailSettings()
    calendar: CalendarSettings = CalendarSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file."""
        return env_settings, init_settings

    def path(self, relative: Path) -> Path:
        """Return a path of the settings, made absolute."""
        return (self.base_dir / relative).resolve()

    @property
    def data(self) -> Path:
        """Return the data directory, absolute."""
        return self.path(self.data_dir)

    @property
    def database_url(self) -> str:
        """Return the database to use."""
        return self.database.url or f"sqlite:///{self.data / 'gateway.sqlite'}"

    @property
    def workflow_url(self) -> str:
        """Return the database in which DBOS keeps its steps."""
        if self.database.workflow_url or self.database.url.startswith("postgresql"):
            return self.database.workflow_url or self.database.url
        return f"sqlite:///{self.data / 'workflows.sqlite'}"


def load_settings(path: Path, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read a settings file.

    Args:
        path: the ``settings.toml``.
        overrides: values that win over the file, nested by section.

    Raises:
        SettingsError: the file is missing, is not TOML, or has a key or value the gateway does not know.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(
            f"There is no settings file at {path}.", remedy="Run `gateway init` there, or name one with --settings."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.", remedy="Mend that line and start again.") from error
    for section, changed in (overrides or {}).items():
        values[section] = {**values.get(section, {}), **changed} if isinstance(changed, Mapping) else changed
    try:
        return Settings(base_dir=path.resolve().parent, **values)
    except ValidationError as error:
        raise SettingsError(
            f"{path}: {_in_words(error)}.", did="Nothing was started.", remedy="Mend it, then run `gateway doctor`."
        ) from error


def _in_words(error: ValidationError) -> str:
    return "; ".join(_one_in_words(tuple(map(str, one["loc"])), one["type"], one["msg"]) for one in error.errors())


def _one_in_words(place: tuple[str, ...], kind: str, message: str) -> str:
    dotted = ".".join(place)
    if kind != "extra_forbidden":
        return f"{dotted}: {message}"
    near = difflib.get_close_matches(dotted, _known_keys(), n=1, cutoff=0.5)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"there is no setting {dotted}{hint}"


def _known_keys() -> list[str]:
    keys: list[str] = []
    for name, found in Settings.model_fields.items():
        section = found.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            keys += [name, *(f"{name}.{inner}" for inner in section.model_fields)]
        else:
            keys.append(name)
    return keys

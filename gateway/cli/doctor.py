"""Looks at everything the service stands on, and says what to fix."""

from __future__ import annotations

import io
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from gateway.calendar.expectations import check_rules
from gateway.desk import Desk, open_desk
from gateway.errors import GatewayError, SettingsError
from gateway.settings import load_settings

_PROBE = "doctor/probe"


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What one look came to."""

    check: str
    ok: bool
    told: str
    remedy: str = ""


def examine(settings_file: Path) -> list[Result]:
    """Look at everything; what cannot be looked at is a result too."""
    try:
        settings = load_settings(settings_file)
        desk = open_desk(settings)
    except GatewayError as error:
        return [Result(check="settings", ok=False, told=error.happened, remedy=error.remedy)]
    found = [Result(check="settings", ok=True, told=f"{settings_file} is understood")]
    found += [_look(name, work) for name, work in _looks(desk)]
    desk.close()
    return found


def _look(name: str, work: Callable[[], str]) -> Result:
    try:
        return Result(check=name, ok=True, told=work())
    except GatewayError as error:
        return Result(check=name, ok=False, told=error.happened, remedy=error.remedy)
    except OSError as error:
        return Result(check=name, ok=False, told=error.strerror or str(error), remedy="Check rights and paths.")


def _looks(desk: Desk) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "data directory", lambda: _data(desk)
    yield "keys", lambda: _keys(desk)
    yield "database", lambda: _database(desk)
    yield "collections", lambda: _collections(desk)
    yield "extracts", lambda: ", ".join(desk.recipes)
    yield "storage", lambda: _storage(desk)
    yield "malware scanner", lambda: _scanner(desk)
    if desk.settings.mail.enabled:
        yield "mail", lambda: _mail(desk)


def _data(desk: Desk) -> str:
    free = shutil.disk_usage(desk.settings.data).free
    if free < desk.settings.sftp.reserve_bytes:
        raise SettingsError(
            f"Only {free // 1024**2} MB are free; nothing is received below "
            f"{desk.settings.sftp.reserve_bytes // 1024**2} MB.",
            remedy="Free disk space, or lower sftp.reserve_bytes.",
        )
    return f"{free // 1024**3} GB free"


def _keys(desk: Desk) -> str:
    folder = desk.settings.data / "keys"
    loose = [path.name for path in folder.rglob("*") if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077]
    if loose:
        raise SettingsError(
            f"Others can read {', '.join(loose[:5])} in the key directory.", remedy="chmod -R go= keys/"
        )
    return f"host key {desk.host_key_fingerprint()}"


def _database(desk: Desk) -> str:
    with desk.database.read() as connection:
        connection.exec_driver_sql("SELECT 1")
    return f"{desk.database.url.get_backend_name()}, {len(desk.directory.codes())} authorities"


def _collections(desk: Desk) -> str:
    for one in desk.catalogue.values():
        check_rules(one)
    return ", ".join(desk.catalogue)


def _storage(desk: Desk) -> str:
    content = b"probe"
    desk.storage.put(_PROBE, io.BytesIO(content), size=len(content), sha256=sha256(content).hexdigest())
    with desk.storage.get(_PROBE) as source:
        source.read()
    desk.storage.delete(_PROBE)
    return f"{desk.settings.storage.kind}, written, read and removed"


def _scanner(desk: Desk) -> str:
    found = desk.scanner.scan(lambda: io.BytesIO(b"nothing in here"))
    if found is not None:
        raise SettingsError("The scanner finds something in plain text.", remedy="Look at its signatures.")
    return "off: files are not scanned (scanner.kind in settings.toml)" if desk.scanner.name == "off" else "answers"


def _mail(desk: Desk) -> str:
    desk.mail.check()
    return f"{desk.settings.mail.host} answers"

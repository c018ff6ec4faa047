"""How commands speak: tables and sentences for people, JSON for programs, and no stack trace for anybody."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, NoReturn, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from gateway.errors import GatewayError

P = ParamSpec("P")
R = TypeVar("R")

EXIT_FINDINGS = 1
EXIT_COULD_NOT = 2
EXIT_BROKEN = 3

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def print_json(value: Any) -> None:
    """Print a value as JSON; instants in ISO form."""
    sys.stdout.write(json.dumps(value, default=_plain, indent=2, ensure_ascii=False) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


def table(title: str, columns: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    grid = Table(title=title, title_justify="left")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for line in lines:
        grid.add_row(*line)
    out.print(grid)


def rows_or_json(title: str, rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print records as a table or as JSON."""
    if as_json:
        print_json(list(rows))
        return
    if not rows:
        out.print(f"{title}: none.")
        return
    columns = list(rows[0])
    table(title, columns, [["" if row[name] is None else str(row[name]) for name in columns] for row in rows])


def failed(error: GatewayError) -> NoReturn:
    """Say what happened, what was done and what to do; then end with code 2."""
    err.print(f"[bold red]{type(error).__name__.removesuffix('Error')}[/]: {error.happened}", soft_wrap=True)
    for label, text in (("Done about it", error.did), ("What to do", error.remedy)):
        if text:
            err.print(f"[bold]{label}:[/] {text}", soft_wrap=True)
    raise typer.Exit(EXIT_COULD_NOT)


def plainly(command: Callable[P, R]) -> Callable[P, R]:
    """Turn a failure of ours into words and an exit code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except GatewayError as error:
            failed(error)
        except KeyboardInterrupt:
            err.print("Stopped.")
            raise typer.Exit(130) from None
        except BrokenPipeError:
            raise typer.Exit(0) from None
        except (typer.Exit, typer.BadParameter, typer.Abort):
            raise
        except Exception as error:
            if os.environ.get("GATEWAY_TRACEBACK"):
                raise
            place = traceback.extract_tb(error.__traceback__)[-1]
            err.print(
                f"[bold red]Broken[/]: {type(error).__name__} at {Path(place.filename).name}:{place.lineno}. "
                "This is a fault in the gateway. Run the command again with GATEWAY_TRACEBACK=1 and send what it "
                "prints to the maintainers.",
                soft_wrap=True,
            )
            raise typer.Exit(EXIT_BROKEN) from None

    return run


def read_text(path: Path) -> str:
    """Read a small text file that a person named.

    Raises:
        GatewayError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GatewayError(f"{path} cannot be read: {error}.", remedy="Check the path and the file.") from error

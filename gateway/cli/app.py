"""The ``gateway`` command: which groups there are, and the options they share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from gateway import __version__
from gateway.cli import authorities, calendar, evidence, returns, service, sharing
from gateway.cli.context import choose_settings

app = typer.Typer(
    name="gateway",
    help="London children's services gateway: takes returns in, checks, seals, routes and receipts them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for group in (service, returns, evidence, calendar):
    group.add_to(app)
app.add_typer(authorities.app, name="authority")
app.add_typer(sharing.recipients, name="recipient")
app.add_typer(sharing.authorisations, name="authorisation")
app.add_typer(sharing.extracts, name="extract")
app.add_typer(returns.held, name="held")
app.add_typer(evidence.receipts, name="receipt")
app.add_typer(evidence.ledger, name="ledger")
app.add_typer(evidence.keys, name="key")


def _version(wanted: bool) -> None:  # noqa: FBT001 (typer calls it so)
    if wanted:
        typer.echo(f"gateway {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    settings: Annotated[
        Path | None,
        typer.Option("--settings", help="The settings file.", show_default="./settings.toml, or GATEWAY_SETTINGS"),
    ] = None,
    *,
    _show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    choose_settings(settings or Path(os.environ.get("GATEWAY_SETTINGS", "settings.toml")))


def main() -> None:
    """Run the command line."""
    app()

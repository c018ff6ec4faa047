"""Brings the tables to the form this program knows, by Alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config

from gateway.db import accounts, calendar, ledger, notices, register, shelf, submissions
from gateway.db.core import Database

__all__ = ["migrate"]

_TABLES = (accounts, calendar, ledger, notices, register, shelf, submissions)
"""Imported so that every table is known to the metadata."""


def migrate(database: Database) -> None:
    """Run the migrations that are missing. Doing so again changes nothing."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with database.write() as tx:
        config.attributes["connection"] = tx.connection
        command.upgrade(config, "head")

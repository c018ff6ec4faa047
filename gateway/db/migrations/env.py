"""Runs migrations over the connection that the program hands in."""

from alembic import context

from gateway.db import accounts, calendar, ledger, notices, register, shelf, submissions  # noqa: F401 (tables)
from gateway.db.core import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection, target_metadata=metadata, render_as_batch=True, transaction_per_migration=False
)
context.run_migrations()

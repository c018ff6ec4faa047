"""Logs: one line of JSON an event, ids and digests only. No file content, no file names, no personal data."""

from __future__ import annotations

import io
import logging
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog

from gateway.settings import LogSettings


class Unfailing(io.TextIOBase):
    """Standard error, where a line that cannot be written is lost and the work goes on.

    A full disk or a closed pipe under the log must not cut a session or stop a return.
    """

    def write(self, text: str, /) -> int:
        """Write what can be written."""
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        """Push on what can be pushed on."""
        with suppress(OSError, ValueError):
            sys.stderr.flush()


def set_up_logs(settings: LogSettings) -> None:
    """Send every log line to standard error, in the form and from the level that the settings say."""
    unfailing = Unfailing()
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    last: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, unfailing)),
        cache_logger_on_first_use=True,
    )
    # Libraries speak through the standard logging; only what is wrong is let through, and never their debug lines.
    logging.basicConfig(level=logging.ERROR, stream=unfailing, format="%(levelname)s %(name)s %(message)s")
    for noisy in ("paramiko", "apscheduler", "botocore", "boto3", "watchdog", "dbos"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)

"""Logs: one line of JSON an event, ids and digests only. No file content, no file names, no personal data."""

from __future__ import annotations

import logging
import sys

import structlog

from gateway.settings import LogSettings


def set_up_logs(settings: LogSettings) -> None:
    """Send every log line to standard error, in the form and from the level that the settings say."""
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
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Libraries speak through the standard logging; only what is wrong is let through, and never their debug lines.
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    for noisy in ("paramiko", "apscheduler", "botocore", "boto3", "watchdog", "dbos"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)

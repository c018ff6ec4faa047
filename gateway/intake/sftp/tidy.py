"""Tidies what clients left: uploads that nobody went on with, bytes that belong to nothing, old names in listings.

* What was received is never touched: a file that a submission has stays until its work is done.
* An upload is thrown away a week after its last byte came; until then it can be resumed.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from gateway.db import accounts as rows
from gateway.db.core import Database
from gateway.sealing.spool import Spool

log = structlog.get_logger()

UPLOADS_KEPT = timedelta(days=7)


def tidy(
    database: Database, spool: Spool, *, at: datetime, linger: timedelta, uploads_kept: timedelta = UPLOADS_KEPT
) -> int:
    """Throw away what nobody needs.

    Args:
        database: where uploads and received files are on record.
        spool: where their bytes are.
        at: now.
        linger: how long a received file stays in sight.
        uploads_kept: how long an upload may rest.

    Returns:
        How many files were thrown away.
    """
    resting = [
        file for file in spool.files(older_than_seconds=uploads_kept.total_seconds()) if spool.writer(file) is None
    ]
    with database.write() as tx:
        rows.forget_old(tx, at, linger)
        nobodys = rows.not_received(tx.connection, resting)
        for file in nobodys:
            rows.end_upload(tx, file)
    for file in nobodys:
        spool.discard(file)
    if nobodys:
        log.info("old uploads thrown away", action="tidied", files=len(nobodys))
    return len(nobodys)

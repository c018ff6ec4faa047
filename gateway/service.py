"""The gateway while it runs: listeners, the engine, the timetable, and the one who looks for work.

* The dispatcher gives each file its arrival receipt and begins the story of each whole submission. It is woken by the
  doorbell and looks by itself every ``service.check_seconds``, so a lost ring costs a moment, never a return.
* A story that failed in passing waits and is begun again; one that failed for good is held for a person.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import timedelta

import structlog

from gateway.db import submissions as rows
from gateway.desk import Desk, Intake
from gateway.domain.names import SubmissionId
from gateway.engine import Engine, Once
from gateway.errors import GatewayError
from gateway.intake.sftp.tidy import tidy
from gateway.pipeline import carry
from gateway.timetable import Job, Timetable

log = structlog.get_logger()

_AT_ONCE = 100
_SETTLE_LOOK_SECONDS = 1
_SWEEP_SECONDS = 20
_POST_SECONDS = 2
_WAITING = "waiting: "
"""Begins the reason of a submission that is begun again by itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Where the service listens."""

    sftp_port: int | None


class Service:
    """Runs a desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        settings = desk.settings
        self._engine = Engine(
            settings.workflow_url,
            workers=settings.intake.workers,
            story=self._tell,
            on_trouble=self._trouble,
        )
        self._timetable = Timetable(
            [
                Job(name="settle", every_seconds=_SETTLE_LOOK_SECONDS, run=self._settle),
                Job(name="look for late returns", every_seconds=settings.calendar.look_seconds, run=desk.lookout.tick),
                Job(name="post notices", every_seconds=_POST_SECONDS, run=desk.postmaster.post_waiting),
                Job(name="sweep", every_seconds=_SWEEP_SECONDS, run=self._sweep),
            ],
            desk.clock,
        )
        self._stopping = threading.Event()
        self._dispatcher = threading.Thread(target=self._dispatch, name="dispatcher", daemon=True)
        self._sftp = desk.sftp_server() if settings.sftp.enabled else None
        self._intakes: list[Intake] = desk.intakes()

    def start(self) -> Address:
        """Start everything; returns when the listeners listen."""
        self._engine.start()
        self._dispatcher.start()
        self._timetable.start()
        for intake in self._intakes:
            intake.start()
        if self._sftp is not None:
            self._sftp.start()
        log.info("started", action="started", scanner=self._desk.scanner.name)
        return Address(sftp_port=self._sftp.port if self._sftp is not None else None)

    def stop(self, drain_seconds: int = 20) -> None:
        """Stop taking in, finish the steps in work, and close. Nothing acknowledged is lost by stopping earlier."""
        if self._sftp is not None:
            self._sftp.stop(drain_seconds)
        for intake in self._intakes:
            intake.stop()
        self._stopping.set()
        self._desk.doorbell.ring()
        self._dispatcher.join(drain_seconds)
        self._timetable.stop()
        self._engine.stop(drain_seconds)
        self._desk.close()
        log.info("stopped", action="stopped")

    def _tell(self, submission: SubmissionId, once: Once) -> object:
        return carry(submission, once, self._desk.steps)

    def _dispatch(self) -> None:
        while not self._stopping.is_set():
            self._desk.doorbell.wait(self._desk.settings.service.check_seconds)
            try:
                self._acknowledge()
                self._begin()
            except GatewayError as error:
                log.warning("dispatch waits", action="waiting", trouble=error.happened)
                self._stopping.wait(1)
            except Exception:
                # The dispatcher must outlive any bug: what it did not do now it does at the next look.
                log.exception("dispatch failed", action="failed")
                self._stopping.wait(1)

    def _acknowledge(self) -> None:
        database = self._desk.database
        with database.read() as connection:
            waiting = rows.unacknowledged(connection)
        for one in waiting:
            with database.read() as connection:
                submission = rows.load(connection, one.submission).submission
            self._desk.answers.arrival(submission, one.file, self._desk.reception.missing(submission))
            with database.write() as tx:
                rows.acknowledge(tx, one.file, self._desk.clock.now())

    def _begin(self) -> None:
        with self._desk.database.read() as connection:
            ready = rows.ready(connection, _AT_ONCE)
        for submission, attempt in ready:
            self._engine.begin(submission, attempt)

    def _settle(self) -> None:
        self._desk.reception.settle(timedelta(minutes=self._desk.settings.intake.gather_minutes))

    def _trouble(self, submission: SubmissionId, error: Exception) -> None:
        if isinstance(error, GatewayError):
            reason = str(error)
            if error.passing:
                reason = _WAITING + reason
            log.warning("held", action="held", submission=submission, trouble=error.happened, passing=error.passing)
        else:
            reason = f"unexpected {type(error).__name__}; see the log, then `gateway held release {submission}`"
            log.error("held", action="held", submission=submission, exc_info=error)
        with self._desk.database.write() as tx:
            rows.hold(tx, submission, reason)

    def _sweep(self) -> None:
        """Take up what waited, and discard the spool bytes of what is finished."""
        database, now = self._desk.database, self._desk.clock.now()
        with database.read() as connection:
            waiting = rows.held_with(connection, _WAITING)
            done = rows.spool_files_of_finished(connection)
        for submission in waiting:
            with database.write() as tx:
                rows.release(tx, submission)
        for file in done:
            self._desk.spool.discard(file)
        if done:
            with database.write() as tx:
                rows.discarded(tx, done, now)
        if waiting:
            self._desk.doorbell.ring()
        linger = timedelta(seconds=self._desk.settings.sftp.linger_seconds)
        tidy(database, self._desk.spool, at=now, linger=linger)
        self._desk.router.tend()

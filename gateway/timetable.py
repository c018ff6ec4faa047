"""Runs what must be looked at again and again: late returns, waiting notices, sweeps. The only home of APScheduler.

* It runs on every node. Each job's effect has a natural key, so nodes never double.
* A job that fails is logged and tried at its next time; the others go on.
* A job never overlaps itself on one node. Times that were missed while the machine slept are one run.
* Cron lines are London time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from gateway.clock import Clock
from gateway.domain.failure import GatewayError
from gateway.domain.london import LONDON
from gateway.errors import NotFoundError, SettingsError

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """Something to do again and again. Give either ``every_seconds`` or ``cron``.

    Attributes:
        name: short and unique, for logs and for ``gateway doctor``.
        run: what to do; repeating it must do no harm.
        every_seconds: time between two starts; the first is at once.
        cron: five fields in London time, for example ``30 2 * * *``.
    """

    name: str
    run: Callable[[], object]
    every_seconds: float | None = None
    cron: str | None = None

    def __post_init__(self) -> None:
        if (self.every_seconds is None) == (self.cron is None):
            message = f"job {self.name}: give either every_seconds or cron"
            raise ValueError(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class LastRun:
    """How a job's last run went."""

    at: datetime
    trouble: str = ""
    """Empty where it went well."""


class Timetable:
    """The jobs and their clockwork.

    Args:
        jobs: what to run; names are unique.
        clock: tells when a run was, for the record. The clockwork itself follows the machine's clock.
    """

    def __init__(self, jobs: Sequence[Job], clock: Clock) -> None:
        self._jobs = {job.name: job for job in jobs}
        if len(self._jobs) != len(jobs):
            message = "two jobs have one name"
            raise ValueError(message)
        self._triggers = {job.name: _trigger(job) for job in jobs}
        self._clock = clock
        self._lock = threading.Lock()
        self._last: dict[str, LastRun] = {}
        self._scheduler: BackgroundScheduler | None = None

    def start(self) -> None:
        """Begin. Jobs with ``every_seconds`` run at once."""
        if self._scheduler is not None:
            return
        scheduler = BackgroundScheduler(
            timezone=LONDON, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        for job in self._jobs.values():
            at_once = {"next_run_time": datetime.now(LONDON)} if job.cron is None else {}
            scheduler.add_job(
                self.run, self._triggers[job.name], args=[job.name], id=job.name, name=job.name, **at_once
            )
        scheduler.start()
        self._scheduler = scheduler

    def stop(self) -> None:
        """End; waits for jobs that are running."""
        scheduler, self._scheduler = self._scheduler, None
        if scheduler is not None:
            scheduler.shutdown(wait=True)

    def run(self, name: str) -> LastRun:
        """Run one job now, in this thread, and return how it went.

        Raises:
            NotFoundError: there is no such job.
        """
        job = self._jobs.get(name)
        if job is None:
            raise NotFoundError(f"There is no job {name}.", remedy=f"The jobs are: {', '.join(self._jobs)}.")
        trouble = self._attempt(job)
        last = LastRun(at=self._clock.now(), trouble=trouble)
        with self._lock:
            self._last[name] = last
        return last

    def run_all(self) -> Mapping[str, LastRun]:
        """Run every job once, now, in this thread: for the demo and for tests."""
        return {name: self.run(name) for name in self._jobs}

    def last_runs(self) -> Mapping[str, LastRun]:
        """Return how each job's last run went; a job that has not run is not in it."""
        with self._lock:
            return dict(self._last)

    @staticmethod
    def _attempt(job: Job) -> str:
        try:
            job.run()
        except GatewayError as error:
            _log.warning("A job did not finish and will run again.", action="failed", job=job.name, trouble=str(error))
            return str(error)
        except Exception as error:  # noqa: BLE001 (a job that breaks must not stop the clockwork)
            _log.exception("A job broke off and will run again.", action="failed", job=job.name)
            return f"Unexpected {type(error).__name__}."
        return ""


def _trigger(job: Job) -> BaseTrigger:
    if job.every_seconds is not None:
        return IntervalTrigger(seconds=job.every_seconds, timezone=LONDON)
    try:
        return CronTrigger.from_crontab(job.cron, timezone=LONDON)
    except ValueError as error:
        raise SettingsError(
            f'"{job.cron}" is not a time for the job {job.name}: {error}.',
            remedy='Write five fields, like "30 2 * * *".',
        ) from error

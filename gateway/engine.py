"""Keeps a submission moving through crashes: the only home of DBOS Transact.

* A workflow's id is ``<submission>.<attempt>``: starting it twice is starting it once.
* A step that fails in passing (storage away for a moment) is tried again with growing pauses; a finished step's small
  result is handed back after a crash.
* When a workflow gives up, ``on_trouble`` is told; the next attempt begins from the first step, which is safe,
  because every step's effect has a natural key.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from dbos import DBOS, DBOSConfig, SetWorkflowID

from gateway.domain.names import SubmissionId
from gateway.errors import GatewayError

Result = TypeVar("Result")

_QUEUE = "carry"
_STORY = "1"
"""The version of the story's steps. It changes when a step is added, renamed or taken away, not with each release:
an unfinished workflow is only taken up again by a program that tells the same story."""
_POLL_SECONDS = 0.05
_TRIES = 6
_FIRST_PAUSE_SECONDS = 0.25


class Once(Protocol):
    """Runs a named step once; after a crash the recorded result comes back instead."""

    def __call__(self, name: str, step: Callable[..., Result], *arguments: object) -> Result:
        """Run ``step(*arguments)`` under ``name``."""


def run_here(_name: str, step: Callable[..., Result], *arguments: object) -> Result:
    """Run a step with nothing recorded: for rehearsals and for tests of the story."""
    return step(*arguments)


class Engine:
    """Runs the story of each submission as a durable workflow."""

    def __init__(
        self,
        url: str,
        *,
        workers: int,
        story: Callable[[SubmissionId, Once], object],
        on_trouble: Callable[[SubmissionId, Exception], None],
    ) -> None:
        self._url = url
        self._workers = workers
        self._story = story
        self._on_trouble = on_trouble
        self._workflow: Callable[[str], None] | None = None
        self._begun: dict[SubmissionId, int] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Open the workflow database, take up what a crash left unfinished, and begin to work."""
        config: DBOSConfig = {
            "name": "gateway",
            "system_database_url": self._url,
            "application_version": _STORY,
            "executor_id": "local",
            "log_level": "ERROR",
            "run_migrations": True,
        }
        DBOS(config=config)

        def run(submission: str) -> None:
            self._carry(submission)

        self._workflow = DBOS.workflow(name="carry")(run)
        DBOS.launch()
        DBOS.register_queue(_QUEUE, worker_concurrency=self._workers, polling_interval_sec=_POLL_SECONDS)

    def begin(self, submission: SubmissionId, attempt: int) -> None:
        """Queue a submission's story. Doing so again changes nothing."""
        if self._workflow is None:
            message = "the engine is not started"
            raise RuntimeError(message)
        with self._lock:
            if self._begun.get(submission) == attempt:
                return
            self._begun[submission] = attempt
        with SetWorkflowID(f"{submission}.{attempt}"):
            DBOS.enqueue_workflow(_QUEUE, self._workflow, submission)

    def stop(self, drain_seconds: int) -> None:
        """Stop taking new work and wait for the steps in work, at most so long."""
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=drain_seconds)
        self._workflow = None

    def _carry(self, submission: str) -> None:
        try:
            self._story(SubmissionId(submission), _once)
        except Exception as error:
            self._on_trouble(SubmissionId(submission), _cause(error))
            raise
        with self._lock:
            # Finished on record, it is not asked for again; a look that crossed this begins the same id: nothing.
            self._begun.pop(SubmissionId(submission), None)


def _once(name: str, step: Callable[..., Result], *arguments: object) -> Result:
    options: Any = {
        "name": name,
        "retries_allowed": True,
        "interval_seconds": _FIRST_PAUSE_SECONDS,
        "max_attempts": _TRIES,
        "backoff_rate": 2.0,
        "should_retry": _is_passing,
    }
    result: Result = DBOS.run_step(options, step, *arguments)
    return result


def _is_passing(error: BaseException) -> bool:
    return isinstance(error, GatewayError) and error.passing


def _cause(error: Exception) -> Exception:
    """Return the step's own last failure where the engine wrapped it."""
    wrapped = getattr(error, "errors", None)
    last = wrapped[-1] if isinstance(wrapped, list) and wrapped else None
    return last if isinstance(last, Exception) else error

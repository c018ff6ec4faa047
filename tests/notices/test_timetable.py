import threading
from datetime import UTC, datetime

import pytest

from gateway.clock import FixedClock
from gateway.errors import NotFoundError, NoticeError, SettingsError
from gateway.timetable import Job, Timetable

NOW = datetime(2026, 10, 18, 8, tzinfo=UTC)


def timetable(*jobs: Job) -> Timetable:
    return Timetable(jobs, FixedClock(NOW))


def broken() -> None:
    message = "unforeseen"
    raise ZeroDivisionError(message)


def test_a_job_that_breaks_is_tried_again_and_the_others_go_on():
    tries, others = threading.Semaphore(0), threading.Semaphore(0)

    def breaks() -> None:
        tries.release()
        broken()

    jobs = timetable(
        Job(name="breaks", run=breaks, every_seconds=0.02), Job(name="works", run=others.release, every_seconds=0.02)
    )
    jobs.start()
    jobs.start()
    try:
        assert all(tries.acquire(timeout=10) for _ in range(3))
        assert all(others.acquire(timeout=10) for _ in range(3))
    finally:
        jobs.stop()
    assert jobs.last_runs()["breaks"].trouble == "Unexpected ZeroDivisionError."
    assert jobs.last_runs()["works"].trouble == ""


def test_a_job_never_overlaps_itself_and_stop_waits_for_it():
    running, most, times, lock = 0, 0, 0, threading.Lock()
    enough = threading.Event()

    def slow() -> None:
        nonlocal running, most, times
        with lock:
            running, most = running + 1, max(most, running + 1)
        enough.wait(0.05)
        with lock:
            running, times = running - 1, times + 1
        if times >= 3:
            enough.set()

    jobs = timetable(Job(name="slow", run=slow, every_seconds=0.01))
    jobs.start()
    assert enough.wait(10)
    jobs.stop()
    assert (most, running) == (1, 0)


def test_jobs_can_be_run_by_hand_and_say_how_it_went():
    def down() -> None:
        raise NoticeError("The relay is down.", passing=True)

    jobs = timetable(Job(name="fine", run=lambda: 3, cron="30 2 * * *"), Job(name="down", run=down, every_seconds=60))
    ran = jobs.run_all()
    assert {name: run.trouble for name, run in ran.items()} == {"fine": "", "down": "The relay is down."}
    assert ran["fine"].at == NOW
    assert jobs.last_runs() == ran


def test_a_timetable_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="either"):
        Job(name="x", run=broken)
    with pytest.raises(ValueError, match="either"):
        Job(name="x", run=broken, every_seconds=1, cron="* * * * *")
    with pytest.raises(ValueError, match="one name"):
        timetable(Job(name="x", run=broken, every_seconds=1), Job(name="x", run=broken, every_seconds=1))
    with pytest.raises(SettingsError, match="five fields"):
        timetable(Job(name="x", run=broken, cron="at dawn"))
    with pytest.raises(NotFoundError, match="no job"):
        timetable().run("nothing")

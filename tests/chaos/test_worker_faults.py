"""A job that was accepted ends exactly once, whatever happens to the processes around it."""

import signal
import time

import pytest
from redis import RedisError

from service.contract.schema import ErrorCode
from tests.chaos.conftest import LEASE_S, Scene
from tests.conftest import wait_until
from tests.outages import OUTAGES

SLACK_S = 1  # of a busy machine


def test_a_job_runs_once_and_nothing_of_it_stays_in_the_queues(scene: Scene) -> None:
    job = scene.submit(steps=3)
    scene.worker()
    state = scene.wait(job, "succeeded")
    assert (state.attempts, scene.starts(job)) == (1, 1)
    assert state.progress.evaluations == state.progress.planned == 3
    for key in ("rq:queue:chaos", "rq:queue:chaos:intermediate", "rq:wip:chaos", f"rq:job:{job}"):
        assert not scene.connection.exists(key)


def test_another_worker_begins_what_a_killed_one_had_within_two_leases(scene: Scene) -> None:
    first = scene.worker()
    job = scene.submit(steps=20)
    wait_until(lambda: scene.starts(job) == 1, seconds=20)
    scene.worker()
    first.kill()
    first.wait()
    last_sign_of_life = scene.lease_end() - LEASE_S
    state = scene.wait(job, "succeeded")
    assert (state.attempts, scene.starts(job)) == (2, 2)
    assert state.started_at
    assert state.started_at - last_sign_of_life < 2 * LEASE_S + SLACK_S


def test_a_job_that_kills_its_worker_again_and_again_fails_and_stays_failed(scene: Scene) -> None:
    job = scene.submit(steps=400)
    for start in (1, 2, 3):
        worker = scene.worker(MAX_ATTEMPTS=3)
        wait_until(lambda start=start: scene.starts(job) == start, seconds=30)
        worker.kill()
    scene.worker(MAX_ATTEMPTS=3)
    state = scene.wait(job, "failed")
    assert state.error
    assert state.error.code == ErrorCode.WORKER_LOST
    assert scene.starts(job) == 3
    for key in ("rq:queue:chaos", "rq:queue:chaos:intermediate", "rq:wip:chaos", f"rq:job:{job}"):
        assert not scene.connection.exists(key)  # nothing could bring it back


def test_a_worker_frozen_past_its_lease_cannot_write_when_it_thaws(scene: Scene) -> None:
    frozen = scene.worker()
    job = scene.submit(steps=30)
    wait_until(lambda: scene.starts(job) == 1, seconds=20)
    frozen.send_signal(signal.SIGSTOP)
    scene.worker()
    wait_until(lambda: scene.starts(job) == 2, seconds=20)
    frozen.send_signal(signal.SIGCONT)
    state = scene.wait(job, "succeeded")
    log = scene.folder / "worker-0.log"
    wait_until(lambda: b"lease lost" in log.read_bytes(), seconds=10)
    assert state.attempts == 2
    assert scene.state(job).version == state.version  # nothing was written after the end


def test_a_worker_told_to_stop_gives_its_job_back_to_the_front(scene: Scene) -> None:
    stopping = scene.worker()
    job = scene.submit(steps=20)
    wait_until(lambda: scene.starts(job) == 1, seconds=20)
    waiting = scene.submit(steps=1)
    stopping.send_signal(signal.SIGTERM)
    assert stopping.wait(timeout=10) == 0
    queued = [id_.decode() for id_ in scene.connection.lrange("rq:queue:chaos", 0, -1)]
    assert queued == [job, waiting]
    assert scene.state(job).attempts == 0
    scene.worker()
    assert scene.wait(job, "succeeded").attempts == 1


def test_a_running_job_hears_a_cancel_and_a_waiting_one_never_starts(scene: Scene) -> None:
    running = scene.submit(steps=400)
    waiting = scene.submit(steps=1)
    scene.worker()
    wait_until(lambda: scene.starts(running) == 1, seconds=20)
    assert scene.ledger.cancel(waiting) == "canceled"
    assert scene.ledger.cancel(running) == "canceling"
    state = scene.wait(running, "canceled")
    assert state.progress.evaluations < 400
    assert scene.ledger.cancel(running) == "canceled"
    assert scene.starts(waiting) == 0


def test_a_job_past_its_deadline_fails_with_that_reason(scene: Scene) -> None:
    scene.worker(DEADLINE_S=1)
    job = scene.submit(steps=100)
    state = scene.wait(job, "failed")
    assert state.error
    assert state.error.code == ErrorCode.DEADLINE_EXCEEDED


def test_a_call_that_cannot_be_interrupted_ends_with_its_process(scene: Scene) -> None:
    worker = scene.worker(DEADLINE_S=1, GRACE_S=1)
    job = scene.submit(steps=1, step_s=60)
    assert worker.wait(timeout=30) == -signal.SIGKILL
    state = scene.state(job)
    assert state.error
    assert state.error.code == ErrorCode.DEADLINE_EXCEEDED
    scene.worker()
    time.sleep(3)  # more than a lease
    assert scene.starts(job) == 1


def test_after_redis_was_gone_a_worker_that_lives_has_time_to_say_so(scene: Scene) -> None:
    silent = scene.worker()
    job = scene.submit(steps=40)
    wait_until(lambda: scene.starts(job) == 1, seconds=20)
    scene.worker()
    wait_until(lambda: scene.connection.zcard("shapshot:workers") == 2, seconds=20)
    silent.send_signal(signal.SIGSTOP)
    scene.redis.stop()
    time.sleep(LEASE_S)
    scene.redis.start()
    time.sleep(LEASE_S / 2)  # the other one looks for lost jobs more often
    silent.send_signal(signal.SIGCONT)
    assert scene.wait(job, "succeeded").attempts == 1


def test_a_worker_waits_at_its_start_for_a_redis_that_takes_no_writes(scene: Scene) -> None:
    job = scene.submit(steps=1)
    with OUTAGES["READONLY"](scene.connection):
        worker = scene.worker()
        log = scene.folder / "worker-0.log"
        wait_until(lambda: b"no job can be begun" in log.read_bytes(), seconds=20)
    assert scene.wait(job, "succeeded").attempts == 1
    assert worker.poll() is None


def test_a_restart_of_redis_costs_a_job_nothing(scene: Scene) -> None:
    worker = scene.worker()
    job = scene.submit(steps=20)
    wait_until(lambda: scene.starts(job) == 1, seconds=20)
    scene.redis.shut_down()
    scene.redis.start()
    scene.wait(job, "succeeded")
    assert worker.poll() is None
    later = scene.submit(steps=1)
    scene.wait(later, "succeeded")


def test_a_job_taken_from_the_queue_and_never_begun_is_put_back(scene: Scene) -> None:
    job = scene.submit(steps=1)
    scene.connection.lmove("rq:queue:chaos", "rq:queue:chaos:intermediate")  # and then it died
    scene.worker()
    state = scene.wait(job, "succeeded")
    assert state.attempts == 1
    assert state.started_at
    assert state.started_at - state.created_at < 2 * LEASE_S + SLACK_S


def test_expired_explanations_leave_a_tombstone_and_then_nothing(scene: Scene) -> None:
    job = scene.submit(steps=1)
    scene.worker(RETENTION_S=1, TOMBSTONE_S=2)
    scene.wait(job, "expired")
    assert scene.state(job).order is None
    wait_until(lambda: scene.ledger.read(job) is None, seconds=10)
    leftovers = [key for key in scene.connection.keys("shapshot:*") if job.encode() in key]
    assert not leftovers


def test_redis_errors_are_what_the_ledger_raises_while_it_is_gone(scene: Scene) -> None:
    scene.redis.stop()
    with pytest.raises(RedisError):
        scene.submit(steps=1)
    scene.redis.start()

"""A job that was accepted ends exactly once, whatever happens to the processes around it."""

import signal
import time

import pytest
from redis import RedisError

from service.schemas.documents import ErrorCode
from tests.chaos.queue_harness import NewScene, Scene, beforehand
from tests.chaos.service_harness import LEASE_S
from tests.chaos.sleeping_worker import DEADLY
from tests.conftest import wait_until
from tests.outages import OUTAGES

SLACK_S = 1  # of a busy machine


def test_a_job_runs_once_and_nothing_of_it_stays_in_the_queues(scene: Scene) -> None:
    job = scene.submit(steps=3)
    scene.worker()
    state = scene.wait(job, "succeeded")
    assert (state.attempts, scene.starts(job)) == (1, 1)
    assert state.progress.evaluations == state.progress.planned == 3
    assert scene.left(job) == []


@beforehand
def frozen(new_scene: NewScene) -> Scene:
    """Its worker is frozen at a job."""
    scene = new_scene()
    worker = scene.worker()
    scene.wait_begun(scene.submit(steps=20))
    worker.send_signal(signal.SIGSTOP)
    return scene


def test_a_worker_frozen_past_its_lease_cannot_write_when_it_thaws(frozen: Scene) -> None:
    [job], [zombie] = frozen.jobs, frozen.workers
    frozen.worker()
    frozen.wait_begun(job, times=2)
    zombie.send_signal(signal.SIGCONT)
    state = frozen.wait(job, "succeeded")
    wait_until(lambda: frozen.logged(0, b"lease lost") > 0, seconds=10)
    assert state.attempts == 2
    assert frozen.state(job).version == state.version  # nothing was written after the end


def test_a_worker_told_to_stop_gives_its_job_back_to_the_front(scene: Scene) -> None:
    stopping = scene.worker()
    job = scene.submit(steps=20)
    scene.wait_begun(job)
    waiting = scene.submit(steps=1)
    stopping.send_signal(signal.SIGTERM)
    assert stopping.wait(timeout=10) == 0
    assert scene.queued() == [job, waiting]
    assert scene.state(job).attempts == 0
    scene.worker()
    assert scene.wait(job, "succeeded").attempts == 1


def test_a_worker_told_to_stop_with_a_job_it_has_not_begun_gives_it_back(scene: Scene) -> None:
    stopping = scene.worker()
    wait_until(lambda: bool(scene.connection.info("clients")["blocked_clients"]), seconds=20)
    stopping.send_signal(signal.SIGSTOP)
    job = scene.submit(steps=20)
    taken = "rq:queue:chaos:intermediate"
    wait_until(lambda: scene.connection.llen(taken) == 1, seconds=20)  # as it was waiting for one
    stopping.send_signal(signal.SIGTERM)
    stopping.send_signal(signal.SIGCONT)
    assert stopping.wait(timeout=10) == 0
    assert scene.connection.lrange("rq:queue:chaos", 0, -1) == [job.encode()]
    assert not scene.connection.exists(taken)
    assert (scene.state(job).status, scene.state(job).attempts) == ("queued", 0)


def test_a_running_job_hears_a_cancel_and_a_waiting_one_never_starts(scene: Scene) -> None:
    running = scene.submit(steps=400)
    waiting = scene.submit(steps=1)
    scene.worker()
    scene.wait_begun(running)
    assert scene.ledger.cancel(waiting) == "canceled"
    assert scene.ledger.cancel(running) == "canceling"
    state = scene.wait(running, "canceled")
    assert state.progress.evaluations < 400
    assert scene.ledger.cancel(running) == "canceled"
    assert scene.starts(waiting) == 0


@beforehand
def late(new_scene: NewScene) -> Scene:
    """Its job takes longer than it may, in steps."""
    scene = new_scene()
    scene.worker(DEADLINE_S=1)
    scene.submit(steps=100)
    return scene


def test_a_job_past_its_deadline_fails_with_that_reason(late: Scene) -> None:
    [job] = late.jobs
    assert late.wait_failed(job) == ErrorCode.DEADLINE_EXCEEDED


@beforehand
def stuck(new_scene: NewScene) -> Scene:
    """Its job takes longer than it may, in one call."""
    scene = new_scene()
    scene.worker(DEADLINE_S=1, GRACE_S=1)
    scene.submit(steps=1, step_s=60)
    return scene


def test_a_call_that_cannot_be_interrupted_ends_with_its_process(stuck: Scene) -> None:
    [job], [worker] = stuck.jobs, stuck.workers
    assert worker.wait(timeout=30) == -signal.SIGKILL
    state = stuck.state(job)
    assert state.error
    assert state.error.code == ErrorCode.DEADLINE_EXCEEDED
    assert stuck.left(job) == []  # nothing could bring it back
    stuck.worker()
    stuck.wait(stuck.submit(steps=1), "succeeded")
    assert stuck.starts(job) == 1


def test_a_worker_waits_at_its_start_for_a_redis_that_takes_no_writes(scene: Scene) -> None:
    job = scene.submit(steps=1)
    with OUTAGES["READONLY"](scene.connection):
        worker = scene.worker()
        wait_until(lambda: scene.logged(0, b"no job can be begun") > 0, seconds=20)
    assert scene.wait(job, "succeeded").attempts == 1
    assert worker.poll() is None


def test_a_restart_of_redis_costs_a_job_nothing(scene: Scene) -> None:
    worker = scene.worker()
    job = scene.submit(steps=20)
    scene.wait_begun(job)
    scene.redis.shut_down()
    scene.redis.start()
    scene.wait(job, "succeeded")
    assert worker.poll() is None
    later = scene.submit(steps=1)
    scene.wait(later, "succeeded")


@beforehand
def unheard(new_scene: NewScene) -> tuple[Scene, float]:
    """Redis is gone for two workers, the first of which has a job; since when."""
    scene = new_scene()
    scene.worker()
    scene.wait_begun(scene.submit(steps=40))
    scene.worker()
    scene.wait(scene.submit(steps=1), "succeeded")  # by the second, which is there by then
    scene.redis.stop()
    return scene, time.monotonic()


def test_after_redis_was_gone_a_worker_that_lives_has_time_to_say_so(
    unheard: tuple[Scene, float],
) -> None:
    scene, since = unheard
    [job, _], [slow, _] = scene.jobs, scene.workers
    time.sleep(max(0, since + LEASE_S - time.monotonic()))
    slow.send_signal(signal.SIGSTOP)
    back_at = time.time()
    scene.redis.start()
    wait_until(lambda: scene.announced("worker-1") > back_at, seconds=20)  # it looks for lost jobs
    slow.send_signal(signal.SIGCONT)
    assert scene.wait(job, "succeeded").attempts == 1


def test_redis_errors_are_what_the_ledger_raises_while_it_is_gone(scene: Scene) -> None:
    scene.redis.stop()
    with pytest.raises(RedisError):
        scene.submit(steps=1)
    scene.redis.start()


def test_expired_explanations_leave_a_tombstone_and_then_nothing(scene: Scene) -> None:
    job = scene.submit(steps=1)
    scene.worker(RETENTION_S=1, TOMBSTONE_S=2)
    scene.wait(job, "expired")
    assert scene.state(job).order is None
    wait_until(lambda: scene.ledger.read(job) is None, seconds=10)
    leftovers = [key for key in scene.connection.keys("shapshot:*") if job.encode() in key]
    assert not leftovers


@beforehand
def killed(new_scene: NewScene) -> tuple[Scene, float]:
    """The first of its workers was killed at a job; when it gave its last sign of life."""
    scene = new_scene()
    first = scene.worker()
    scene.wait_begun(scene.submit(steps=20))
    scene.worker()
    first.kill()
    first.wait()
    return scene, scene.lease_end() - LEASE_S


def test_another_worker_begins_what_a_killed_one_had_within_two_leases(
    killed: tuple[Scene, float],
) -> None:
    scene, last_sign_of_life = killed
    [job] = scene.jobs
    state = scene.wait(job, "succeeded")
    assert (state.attempts, scene.starts(job)) == (2, 2)
    assert state.started_at
    assert state.started_at - last_sign_of_life < 2 * LEASE_S + SLACK_S


@beforehand
def taken(new_scene: NewScene) -> Scene:
    """Its job was taken from the queue by a worker that then died."""
    scene = new_scene()
    scene.submit(steps=1)
    scene.connection.lmove("rq:queue:chaos", "rq:queue:chaos:intermediate")
    scene.worker()
    return scene


def test_a_job_taken_from_the_queue_and_never_begun_is_put_back(taken: Scene) -> None:
    [job] = taken.jobs
    state = taken.wait(job, "succeeded")
    assert state.attempts == 1
    assert state.started_at
    assert state.started_at - state.created_at < 2 * LEASE_S + SLACK_S


@beforehand
def deadly(new_scene: NewScene) -> Scene:
    """Its job kills every worker that begins it, and there are four of them."""
    scene = new_scene()
    scene.submit(steps=DEADLY)
    for _ in range(4):
        scene.worker(MAX_ATTEMPTS=3)
    return scene


def test_a_job_that_kills_its_worker_again_and_again_fails_and_stays_failed(deadly: Scene) -> None:
    [job] = deadly.jobs
    assert deadly.wait_failed(job) == ErrorCode.WORKER_LOST
    assert deadly.starts(job) == 3
    assert sum(worker.poll() is None for worker in deadly.workers) == 1
    assert deadly.left(job) == []  # nothing could bring it back

"""An accepted job ends exactly once, whatever happens to the processes around it."""

import signal
import time

import pytest
from redis import RedisError

from service.schemas.documents import ErrorCode
from tests.chaos.queue_harness import NewQueueHarness, QueueHarness, beforehand
from tests.chaos.service_harness import LEASE_S
from tests.chaos.sleeping_worker import DEADLY
from tests.conftest import wait_until
from tests.outages import OUTAGES

SLACK_S = 1  # for a busy machine


def test_a_job_runs_once_and_nothing_of_it_stays_in_the_queues(queue_harness: QueueHarness) -> None:
    job = queue_harness.submit(steps=3)
    queue_harness.worker()
    state = queue_harness.wait(job, "succeeded")
    assert (state.attempts, queue_harness.starts(job)) == (1, 1)
    assert state.progress.evaluations == state.progress.planned == 3
    assert queue_harness.left(job) == []


@beforehand
def frozen(new_queue_harness: NewQueueHarness) -> QueueHarness:
    """A worker was frozen during a job."""
    queue_harness = new_queue_harness()
    worker = queue_harness.worker()
    queue_harness.wait_begun(queue_harness.submit(steps=20))
    worker.send_signal(signal.SIGSTOP)
    return queue_harness


def test_a_worker_frozen_past_its_lease_cannot_write_when_it_thaws(frozen: QueueHarness) -> None:
    [job], [zombie] = frozen.jobs, frozen.workers
    frozen.worker()
    frozen.wait_begun(job, times=2)
    zombie.send_signal(signal.SIGCONT)
    state = frozen.wait(job, "succeeded")
    wait_until(lambda: frozen.logged(0, b"lease lost") > 0, seconds=10)
    assert state.attempts == 2
    assert frozen.state(job).version == state.version  # nothing was written after the end


def test_a_worker_told_to_stop_requeues_its_job_at_the_front(queue_harness: QueueHarness) -> None:
    stopping = queue_harness.worker()
    job = queue_harness.submit(steps=20)
    queue_harness.wait_begun(job)
    waiting = queue_harness.submit(steps=1)
    stopping.send_signal(signal.SIGTERM)
    assert stopping.wait(timeout=10) == 0
    assert queue_harness.queued() == [job, waiting]
    assert queue_harness.state(job).attempts == 0
    queue_harness.worker()
    assert queue_harness.wait(job, "succeeded").attempts == 1


def test_a_worker_told_to_stop_requeues_a_job_it_has_not_begun(
    queue_harness: QueueHarness,
) -> None:
    stopping = queue_harness.worker()
    wait_until(
        lambda: bool(queue_harness.connection.info("clients")["blocked_clients"]), seconds=20
    )
    stopping.send_signal(signal.SIGSTOP)
    job = queue_harness.submit(steps=20)
    taken = "rq:queue:chaos:intermediate"
    # the frozen worker was blocked on the queue
    wait_until(lambda: queue_harness.connection.llen(taken) == 1, seconds=20)
    stopping.send_signal(signal.SIGTERM)
    stopping.send_signal(signal.SIGCONT)
    assert stopping.wait(timeout=10) == 0
    assert queue_harness.connection.lrange("rq:queue:chaos", 0, -1) == [job.encode()]
    assert not queue_harness.connection.exists(taken)
    assert (queue_harness.state(job).status, queue_harness.state(job).attempts) == ("queued", 0)


def test_a_running_job_is_canceled_and_a_waiting_one_never_starts(
    queue_harness: QueueHarness,
) -> None:
    running = queue_harness.submit(steps=400)
    waiting = queue_harness.submit(steps=1)
    queue_harness.worker()
    queue_harness.wait_begun(running)
    assert queue_harness.ledger.cancel(waiting) == "canceled"
    assert queue_harness.ledger.cancel(running) == "canceling"
    state = queue_harness.wait(running, "canceled")
    assert state.progress.evaluations < 400
    assert queue_harness.ledger.cancel(running) == "canceled"
    assert queue_harness.starts(waiting) == 0


@beforehand
def late(new_queue_harness: NewQueueHarness) -> QueueHarness:
    """A job that runs past its deadline, in many steps."""
    queue_harness = new_queue_harness()
    queue_harness.worker(DEADLINE_S=1)
    queue_harness.submit(steps=100)
    return queue_harness


def test_a_job_past_its_deadline_fails_with_that_reason(late: QueueHarness) -> None:
    [job] = late.jobs
    assert late.wait_failed(job) == ErrorCode.DEADLINE_EXCEEDED


@beforehand
def stuck(new_queue_harness: NewQueueHarness) -> QueueHarness:
    """A job that runs past its deadline, in one call."""
    queue_harness = new_queue_harness()
    queue_harness.worker(DEADLINE_S=1, GRACE_S=1)
    queue_harness.submit(steps=1, step_s=60)
    return queue_harness


def test_a_call_that_cannot_be_interrupted_ends_with_its_process(stuck: QueueHarness) -> None:
    [job], [worker] = stuck.jobs, stuck.workers
    assert worker.wait(timeout=30) == -signal.SIGKILL
    state = stuck.state(job)
    assert state.error
    assert state.error.code == ErrorCode.DEADLINE_EXCEEDED
    assert stuck.left(job) == []  # nothing could bring it back
    stuck.worker()
    stuck.wait(stuck.submit(steps=1), "succeeded")
    assert stuck.starts(job) == 1


def test_a_worker_waits_at_its_start_for_a_redis_that_takes_no_writes(
    queue_harness: QueueHarness,
) -> None:
    job = queue_harness.submit(steps=1)
    with OUTAGES["READONLY"](queue_harness.connection):
        worker = queue_harness.worker()
        wait_until(lambda: queue_harness.logged(0, b"no job can be started") > 0, seconds=20)
    assert queue_harness.wait(job, "succeeded").attempts == 1
    assert worker.poll() is None


def test_a_restart_of_redis_costs_a_job_nothing(queue_harness: QueueHarness) -> None:
    worker = queue_harness.worker()
    job = queue_harness.submit(steps=20)
    queue_harness.wait_begun(job)
    queue_harness.redis.shut_down()
    queue_harness.redis.start()
    queue_harness.wait(job, "succeeded")
    assert worker.poll() is None
    later = queue_harness.submit(steps=1)
    queue_harness.wait(later, "succeeded")


@beforehand
def unheard(new_queue_harness: NewQueueHarness) -> tuple[QueueHarness, float]:
    """Redis is down for two workers, the first with a job; the time since when."""
    queue_harness = new_queue_harness()
    queue_harness.worker()
    queue_harness.wait_begun(queue_harness.submit(steps=40))
    queue_harness.worker()
    # the second worker has started when it ends
    queue_harness.wait(queue_harness.submit(steps=1), "succeeded")
    queue_harness.redis.stop()
    return queue_harness, time.monotonic()


def test_after_an_outage_of_redis_a_live_worker_has_time_to_renew_its_lease(
    unheard: tuple[QueueHarness, float],
) -> None:
    queue_harness, since = unheard
    [job, _], [slow, _] = queue_harness.jobs, queue_harness.workers
    time.sleep(max(0, since + LEASE_S - time.monotonic()))
    slow.send_signal(signal.SIGSTOP)
    back_at = time.time()
    queue_harness.redis.start()
    # housekeeping has run
    wait_until(lambda: queue_harness.announced("worker-1") > back_at, seconds=20)
    slow.send_signal(signal.SIGCONT)
    assert queue_harness.wait(job, "succeeded").attempts == 1


def test_without_redis_the_ledger_raises_redis_errors(
    queue_harness: QueueHarness,
) -> None:
    queue_harness.redis.stop()
    with pytest.raises(RedisError):
        queue_harness.submit(steps=1)
    queue_harness.redis.start()


def test_expired_explanations_leave_a_tombstone_and_then_nothing(
    queue_harness: QueueHarness,
) -> None:
    job = queue_harness.submit(steps=1)
    queue_harness.worker(RETENTION_S=1, TOMBSTONE_S=2)
    queue_harness.wait(job, "expired")
    assert queue_harness.state(job).spec is None
    wait_until(lambda: queue_harness.ledger.read(job) is None, seconds=10)
    leftovers = [key for key in queue_harness.connection.keys("shapshot:*") if job.encode() in key]
    assert not leftovers


@beforehand
def killed(new_queue_harness: NewQueueHarness) -> tuple[QueueHarness, float]:
    """The first worker was killed during a job; the time of its last heartbeat."""
    queue_harness = new_queue_harness()
    first = queue_harness.worker()
    queue_harness.wait_begun(queue_harness.submit(steps=20))
    queue_harness.worker()
    first.kill()
    first.wait()
    return queue_harness, queue_harness.lease_end() - LEASE_S


def test_the_job_of_a_killed_worker_begins_again_within_two_leases(
    killed: tuple[QueueHarness, float],
) -> None:
    queue_harness, last_sign_of_life = killed
    [job] = queue_harness.jobs
    state = queue_harness.wait(job, "succeeded")
    assert (state.attempts, queue_harness.starts(job)) == (2, 2)
    assert state.started_at
    assert state.started_at - last_sign_of_life < 2 * LEASE_S + SLACK_S


@beforehand
def taken(new_queue_harness: NewQueueHarness) -> QueueHarness:
    """A worker took a job from the queue, and died before it began."""
    queue_harness = new_queue_harness()
    queue_harness.submit(steps=1)
    queue_harness.connection.lmove("rq:queue:chaos", "rq:queue:chaos:intermediate")
    queue_harness.worker()
    return queue_harness


def test_a_job_taken_from_the_queue_and_never_begun_is_requeued(taken: QueueHarness) -> None:
    [job] = taken.jobs
    state = taken.wait(job, "succeeded")
    assert state.attempts == 1
    assert state.started_at
    assert state.started_at - state.created_at < 2 * LEASE_S + SLACK_S


@beforehand
def deadly(new_queue_harness: NewQueueHarness) -> QueueHarness:
    """A job that kills each of four workers that begin it."""
    queue_harness = new_queue_harness()
    queue_harness.submit(steps=DEADLY)
    for _ in range(4):
        queue_harness.worker(MAX_ATTEMPTS=3)
    return queue_harness


def test_a_job_that_kills_every_worker_fails_and_stays_failed(
    deadly: QueueHarness,
) -> None:
    [job] = deadly.jobs
    assert deadly.wait_failed(job) == ErrorCode.WORKER_LOST
    assert deadly.starts(job) == 3
    assert sum(worker.poll() is None for worker in deadly.workers) == 1
    assert deadly.left(job) == []  # nothing could bring it back

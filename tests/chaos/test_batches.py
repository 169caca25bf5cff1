"""Every explanation of a batch ends exactly once, whatever happens to the others."""

import signal

from service.schemas.documents import ErrorCode
from tests.chaos.queue_harness import NewQueueHarness, QueueHarness, beforehand
from tests.chaos.sleeping_worker import DEADLY, FAULTY
from tests.conftest import wait_until
from tests.ledger import Ledger


def test_one_worker_runs_a_batch_side_by_side(queue_harness: QueueHarness) -> None:
    jobs = queue_harness.submit_batch(10, 10, 10)
    queue_harness.worker()
    queue_harness.wait_begun(*jobs)
    assert {queue_harness.state(job).status for job in jobs} == {"running"}
    states = [queue_harness.wait(job, "succeeded") for job in jobs]
    assert max(state.started_at or 0 for state in states) < min(
        state.finished_at or 0 for state in states
    )
    assert [queue_harness.starts(job) for job in jobs] == [1, 1, 1]
    assert queue_harness.left(*jobs) == []


def test_each_ends_when_it_is_done_and_does_not_wait_for_the_others(
    queue_harness: QueueHarness,
) -> None:
    short, long = queue_harness.submit_batch(1, 400)
    queue_harness.worker()
    queue_harness.wait(short, "succeeded")
    assert queue_harness.state(long).status == "running"


def test_canceling_one_leaves_the_others(queue_harness: QueueHarness) -> None:
    jobs = queue_harness.submit_batch(20, 400, 20)
    queue_harness.worker()
    queue_harness.wait_begun(*jobs)
    assert queue_harness.ledger.cancel(jobs[1]) == "canceling"
    canceled = queue_harness.wait(jobs[1], "canceled")
    assert canceled.progress.evaluations < 400
    assert {queue_harness.state(job).status for job in (jobs[0], jobs[2])} == {"running"}
    for job in (jobs[0], jobs[2]):
        assert queue_harness.wait(job, "succeeded").attempts == 1


def test_an_unexpected_error_fails_only_its_explanation(queue_harness: QueueHarness) -> None:
    jobs = queue_harness.submit_batch(1, FAULTY, 1)
    queue_harness.worker()
    assert queue_harness.wait_failed(jobs[1]) is ErrorCode.INTERNAL
    for job in (jobs[0], jobs[2]):
        queue_harness.wait(job, "succeeded")
    assert [queue_harness.starts(job) for job in jobs] == [2, 2, 2]  # together, then each alone


def test_a_worker_told_to_stop_releases_all_unfinished_jobs(queue_harness: QueueHarness) -> None:
    stopping = queue_harness.worker()
    jobs = queue_harness.submit_batch(1, 20, 20)
    queue_harness.wait(jobs[0], "succeeded")
    waiting = queue_harness.submit(steps=1)
    stopping.send_signal(signal.SIGTERM)
    assert stopping.wait(timeout=10) == 0
    assert queue_harness.queued() == [*jobs[1:], waiting]
    assert [queue_harness.state(job).attempts for job in jobs] == [1, 0, 0]
    queue_harness.worker()
    assert [queue_harness.wait(job, "succeeded").attempts for job in jobs] == [1, 1, 1]


def test_explanations_that_another_worker_has_are_left_to_it(queue_harness: QueueHarness) -> None:
    jobs = queue_harness.submit_batch(5, 5, 5)
    another = Ledger(queue_harness.connection, queue="chaos", lease_s=60, retention_s=3600)
    assert another.begin(jobs[1])
    queue_harness.worker()
    for job in (jobs[0], jobs[2]):
        queue_harness.wait(job, "succeeded")
    assert queue_harness.starts(jobs[1]) == 0
    assert queue_harness.state(jobs[1]).status == "running"


@beforehand
def late(new_queue_harness: NewQueueHarness) -> QueueHarness:
    """Two run past their deadline; the third takes 3 s beside them, and may take 6."""
    queue_harness = new_queue_harness()
    queue_harness.worker(DEADLINE_S=2)
    queue_harness.submit_batch(400, 400, 30, step_s=0.04)
    return queue_harness


def test_one_past_its_deadline_fails_without_taking_time_from_the_others(
    late: QueueHarness,
) -> None:
    *endless, brief = late.jobs
    assert {late.wait_failed(job) for job in endless} == {ErrorCode.DEADLINE_EXCEEDED}
    late.wait(brief, "succeeded")


@beforehand
def outlasting(new_queue_harness: NewQueueHarness) -> QueueHarness:
    """The last runs past its deadline; the others end soon."""
    queue_harness = new_queue_harness()
    queue_harness.worker(DEADLINE_S=1)
    queue_harness.submit_batch(1, 1, 1, 1, 1, 1, 400)
    return queue_harness


def test_the_last_of_a_batch_gets_its_own_deadline(
    outlasting: QueueHarness,
) -> None:
    *short, long = outlasting.jobs
    for job in short:
        outlasting.wait(job, "succeeded")
    assert outlasting.wait(long, "failed").progress.evaluations <= 1 + 1 / 0.05 + 1


@beforehand
def frozen(new_queue_harness: NewQueueHarness) -> QueueHarness:
    """The first worker was frozen during a batch."""
    queue_harness = new_queue_harness()
    first = queue_harness.worker()
    queue_harness.wait_begun(*queue_harness.submit_batch(20, 20))
    first.send_signal(signal.SIGSTOP)
    queue_harness.worker()
    return queue_harness


def test_one_frozen_worker_loses_the_whole_batch_and_writes_none_of_it(
    frozen: QueueHarness,
) -> None:
    jobs, [zombie, _] = frozen.jobs, frozen.workers
    frozen.wait_begun(*jobs, times=2)
    states = [frozen.wait(job, "succeeded") for job in jobs]
    zombie.send_signal(signal.SIGCONT)
    wait_until(lambda: frozen.logged(0, b"lease lost") == 2, seconds=10)
    assert [frozen.state(job).version for job in jobs] == [state.version for state in states]


@beforehand
def lost(new_queue_harness: NewQueueHarness) -> QueueHarness:
    """The first worker was killed during a batch that never ends."""
    queue_harness = new_queue_harness()
    first = queue_harness.worker()
    queue_harness.wait_begun(*queue_harness.submit_batch(10_000, 10_000))
    first.kill()
    queue_harness.worker()
    return queue_harness


def test_a_lost_explanation_of_a_batch_runs_alone_the_next_time(lost: QueueHarness) -> None:
    jobs = lost.jobs
    wait_until(lambda: sum(lost.starts(job) for job in jobs) == 3, seconds=20)
    wait_until(lambda: {lost.state(j).status for j in jobs} == {"queued", "running"}, seconds=20)


@beforehand
def killed(new_queue_harness: NewQueueHarness) -> QueueHarness:
    """The first worker was killed during a batch, after one explanation of it had ended."""
    queue_harness = new_queue_harness()
    first = queue_harness.worker()
    jobs = queue_harness.submit_batch(1, 20, 20, 20)
    queue_harness.wait(jobs[0], "succeeded")
    first.kill()
    queue_harness.worker()
    return queue_harness


def test_after_its_worker_was_killed_each_explanation_of_a_batch_ends_once(
    killed: QueueHarness,
) -> None:
    states = [killed.wait(job, "succeeded", seconds=40) for job in killed.jobs]
    assert [state.attempts for state in states] == [1, 2, 2, 2]
    assert [killed.starts(job) for job in killed.jobs] == [1, 2, 2, 2]
    assert killed.left(*killed.jobs) == []


@beforehand
def deadly(new_queue_harness: NewQueueHarness) -> QueueHarness:
    """One explanation of a batch kills every worker that begins it."""
    queue_harness = new_queue_harness()
    jobs = queue_harness.submit_batch(2, DEADLY, 2)
    queue_harness.worker(MAX_ATTEMPTS=2)
    queue_harness.wait_begun(*jobs)
    for _ in range(2):
        queue_harness.worker(MAX_ATTEMPTS=2)
    return queue_harness


def test_one_that_kills_its_workers_fails_alone(deadly: QueueHarness) -> None:
    before, killer, after = deadly.jobs
    assert deadly.wait_failed(killer) == ErrorCode.WORKER_LOST
    for job in (before, after):
        deadly.wait(job, "succeeded")
    assert [deadly.starts(job) for job in deadly.jobs] == [2, 2, 2]

"""Every explanation of a batch ends exactly once by itself, whatever happens to the others."""

import signal

from service.schemas.documents import ErrorCode
from tests.chaos.queue_harness import NewScene, Scene, beforehand
from tests.chaos.sleeping_worker import DEADLY, FAULTY
from tests.conftest import wait_until
from tests.ledger import Ledger


def test_one_worker_runs_a_batch_side_by_side(scene: Scene) -> None:
    jobs = scene.submit_batch(10, 10, 10)
    scene.worker()
    scene.wait_begun(*jobs)
    assert {scene.state(job).status for job in jobs} == {"running"}
    states = [scene.wait(job, "succeeded") for job in jobs]
    assert max(state.started_at or 0 for state in states) < min(
        state.finished_at or 0 for state in states
    )
    assert [scene.starts(job) for job in jobs] == [1, 1, 1]
    assert scene.left(*jobs) == []


def test_each_ends_when_it_is_done_and_does_not_wait_for_the_others(scene: Scene) -> None:
    short, long = scene.submit_batch(1, 400)
    scene.worker()
    scene.wait(short, "succeeded")
    assert scene.state(long).status == "running"


def test_canceling_one_leaves_the_others(scene: Scene) -> None:
    jobs = scene.submit_batch(20, 400, 20)
    scene.worker()
    scene.wait_begun(*jobs)
    assert scene.ledger.cancel(jobs[1]) == "canceling"
    canceled = scene.wait(jobs[1], "canceled")
    assert canceled.progress.evaluations < 400
    assert {scene.state(job).status for job in (jobs[0], jobs[2])} == {"running"}
    for job in (jobs[0], jobs[2]):
        assert scene.wait(job, "succeeded").attempts == 1


def test_an_error_that_nobody_expects_fails_the_one_it_is_of(scene: Scene) -> None:
    jobs = scene.submit_batch(1, FAULTY, 1)
    scene.worker()
    assert scene.wait_failed(jobs[1]) is ErrorCode.INTERNAL
    for job in (jobs[0], jobs[2]):
        scene.wait(job, "succeeded")
    assert [scene.starts(job) for job in jobs] == [2, 2, 2]  # at once, and each alone


def test_a_worker_told_to_stop_gives_back_all_that_is_not_done(scene: Scene) -> None:
    stopping = scene.worker()
    jobs = scene.submit_batch(1, 20, 20)
    scene.wait(jobs[0], "succeeded")
    waiting = scene.submit(steps=1)
    stopping.send_signal(signal.SIGTERM)
    assert stopping.wait(timeout=10) == 0
    assert scene.queued() == [*jobs[1:], waiting]
    assert [scene.state(job).attempts for job in jobs] == [1, 0, 0]
    scene.worker()
    assert [scene.wait(job, "succeeded").attempts for job in jobs] == [1, 1, 1]


def test_what_another_worker_has_of_a_batch_is_left_to_it(scene: Scene) -> None:
    jobs = scene.submit_batch(5, 5, 5)
    another = Ledger(scene.connection, queue="chaos", lease_s=60, retention_s=3600)
    assert another.begin(jobs[1])
    scene.worker()
    for job in (jobs[0], jobs[2]):
        scene.wait(job, "succeeded")
    assert scene.starts(jobs[1]) == 0
    assert scene.state(jobs[1]).status == "running"


@beforehand
def late(new_scene: NewScene) -> Scene:
    """Two take longer than they may; the third takes 3 s beside them, and has 6."""
    scene = new_scene()
    scene.worker(DEADLINE_S=2)
    scene.submit_batch(400, 400, 30, step_s=0.04)
    return scene


def test_one_past_its_deadline_fails_and_the_time_of_the_others_is_their_own(late: Scene) -> None:
    *endless, brief = late.jobs
    assert {late.wait_failed(job) for job in endless} == {ErrorCode.DEADLINE_EXCEEDED}
    late.wait(brief, "succeeded")


@beforehand
def outlasting(new_scene: NewScene) -> Scene:
    """The last takes longer than it may; the others are done soon."""
    scene = new_scene()
    scene.worker(DEADLINE_S=1)
    scene.submit_batch(1, 1, 1, 1, 1, 1, 400)
    return scene


def test_what_is_left_alone_of_a_batch_has_a_deadline_of_its_own_from_then_on(
    outlasting: Scene,
) -> None:
    *short, long = outlasting.jobs
    for job in short:
        outlasting.wait(job, "succeeded")
    assert outlasting.wait(long, "failed").progress.evaluations <= 1 + 1 / 0.05 + 1


@beforehand
def frozen(new_scene: NewScene) -> Scene:
    """The first of its workers is frozen at a batch."""
    scene = new_scene()
    first = scene.worker()
    scene.wait_begun(*scene.submit_batch(20, 20))
    first.send_signal(signal.SIGSTOP)
    scene.worker()
    return scene


def test_one_frozen_worker_loses_the_whole_batch_and_writes_none_of_it(frozen: Scene) -> None:
    jobs, [zombie, _] = frozen.jobs, frozen.workers
    frozen.wait_begun(*jobs, times=2)
    states = [frozen.wait(job, "succeeded") for job in jobs]
    zombie.send_signal(signal.SIGCONT)
    wait_until(lambda: frozen.logged(0, b"lease lost") == 2, seconds=10)
    assert [frozen.state(job).version for job in jobs] == [state.version for state in states]


@beforehand
def lost(new_scene: NewScene) -> Scene:
    """The first of its workers was killed at a batch that takes for ever."""
    scene = new_scene()
    first = scene.worker()
    scene.wait_begun(*scene.submit_batch(10_000, 10_000))
    first.kill()
    scene.worker()
    return scene


def test_one_that_was_lost_with_its_worker_runs_alone_the_next_time(lost: Scene) -> None:
    jobs = lost.jobs
    wait_until(lambda: sum(lost.starts(job) for job in jobs) == 3, seconds=20)
    wait_until(lambda: {lost.state(j).status for j in jobs} == {"queued", "running"}, seconds=20)


@beforehand
def killed(new_scene: NewScene) -> Scene:
    """The first of its workers was killed at a batch when one of it was done."""
    scene = new_scene()
    first = scene.worker()
    jobs = scene.submit_batch(1, 20, 20, 20)
    scene.wait(jobs[0], "succeeded")
    first.kill()
    scene.worker()
    return scene


def test_a_batch_whose_worker_was_killed_ends_every_one_once(killed: Scene) -> None:
    states = [killed.wait(job, "succeeded", seconds=40) for job in killed.jobs]
    assert [state.attempts for state in states] == [1, 2, 2, 2]
    assert [killed.starts(job) for job in killed.jobs] == [1, 2, 2, 2]
    assert killed.left(*killed.jobs) == []


@beforehand
def deadly(new_scene: NewScene) -> Scene:
    """One of a batch kills every worker that begins it: the first with all of the batch."""
    scene = new_scene()
    jobs = scene.submit_batch(2, DEADLY, 2)
    scene.worker(MAX_ATTEMPTS=2)
    scene.wait_begun(*jobs)
    for _ in range(2):
        scene.worker(MAX_ATTEMPTS=2)
    return scene


def test_one_that_kills_its_workers_fails_alone(deadly: Scene) -> None:
    before, killer, after = deadly.jobs
    assert deadly.wait_failed(killer) == ErrorCode.WORKER_LOST
    for job in (before, after):
        deadly.wait(job, "succeeded")
    assert [deadly.starts(job) for job in deadly.jobs] == [2, 2, 2]

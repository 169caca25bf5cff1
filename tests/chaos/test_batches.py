"""Every explanation of a batch ends exactly once by itself, whatever happens to the others."""

import signal

from service.contract.ledger import Ledger
from service.contract.schema import ErrorCode
from tests.chaos.conftest import Scene
from tests.chaos.stand_in import DEADLY
from tests.conftest import wait_until


def all_begun(scene: Scene, jobs: list[str]) -> None:
    wait_until(lambda: all(scene.starts(job) == 1 for job in jobs), seconds=20)


def test_one_worker_runs_a_batch_side_by_side(scene: Scene) -> None:
    jobs = scene.submit_batch(10, 10, 10)
    scene.worker()
    all_begun(scene, jobs)
    assert {scene.state(job).status for job in jobs} == {"running"}
    states = [scene.wait(job, "succeeded") for job in jobs]
    assert max(state.started_at or 0 for state in states) < min(
        state.finished_at or 0 for state in states
    )
    assert [scene.starts(job) for job in jobs] == [1, 1, 1]
    for key in ("rq:queue:chaos", "rq:queue:chaos:intermediate", "rq:wip:chaos"):
        assert not scene.connection.exists(key)
    assert not any(scene.connection.exists(f"rq:job:{job}") for job in jobs)


def test_each_ends_when_it_is_done_and_does_not_wait_for_the_others(scene: Scene) -> None:
    short, long = scene.submit_batch(1, 400)
    scene.worker()
    scene.wait(short, "succeeded")
    assert scene.state(long).status == "running"


def test_a_batch_whose_worker_was_killed_ends_every_one_once(scene: Scene) -> None:
    first = scene.worker()
    jobs = scene.submit_batch(1, 20, 20, 20)
    scene.wait(jobs[0], "succeeded")
    first.kill()
    scene.worker()
    states = [scene.wait(job, "succeeded", seconds=40) for job in jobs]
    assert [state.attempts for state in states] == [1, 2, 2, 2]
    assert [scene.starts(job) for job in jobs] == [1, 2, 2, 2]
    assert not scene.connection.exists("rq:wip:chaos")


def test_one_that_was_lost_with_its_worker_runs_alone_the_next_time(scene: Scene) -> None:
    first = scene.worker()
    jobs = scene.submit_batch(400, 400)
    all_begun(scene, jobs)
    first.kill()
    scene.worker()
    wait_until(lambda: sum(scene.starts(job) for job in jobs) == 3, seconds=20)
    wait_until(lambda: {scene.state(j).status for j in jobs} == {"queued", "running"}, seconds=20)


def test_one_that_kills_its_workers_fails_alone(scene: Scene) -> None:
    jobs = scene.submit_batch(2, DEADLY, 2)
    worker = scene.worker(MAX_ATTEMPTS=3)

    def all_done() -> bool:
        nonlocal worker
        if worker.poll() is not None:
            worker = scene.worker(MAX_ATTEMPTS=3)
        return all(scene.state(job).status.done for job in jobs)

    wait_until(all_done, seconds=60)
    assert [scene.state(job).status for job in jobs] == ["succeeded", "failed", "succeeded"]
    assert scene.starts(jobs[1]) == 3


def test_canceling_one_leaves_the_others(scene: Scene) -> None:
    jobs = scene.submit_batch(20, 400, 20)
    scene.worker()
    all_begun(scene, jobs)
    assert scene.ledger.cancel(jobs[1]) == "canceling"
    canceled = scene.wait(jobs[1], "canceled")
    assert canceled.progress.evaluations < 400
    assert {scene.state(job).status for job in (jobs[0], jobs[2])} == {"running"}
    for job in (jobs[0], jobs[2]):
        assert scene.wait(job, "succeeded").attempts == 1


def test_a_worker_told_to_stop_gives_back_all_that_is_not_done(scene: Scene) -> None:
    stopping = scene.worker()
    jobs = scene.submit_batch(1, 20, 20)
    scene.wait(jobs[0], "succeeded")
    waiting = scene.submit(steps=1)
    stopping.send_signal(signal.SIGTERM)
    assert stopping.wait(timeout=10) == 0
    queued = [id_.decode() for id_ in scene.connection.lrange("rq:queue:chaos", 0, -1)]
    assert queued == [*jobs[1:], waiting]
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


def test_one_past_its_deadline_fails_and_the_time_of_the_others_is_their_own(scene: Scene) -> None:
    scene.worker(DEADLINE_S=2)
    jobs = scene.submit_batch(400, 400, 30, step_s=0.04)  # the last takes 3 s beside the others
    late = [scene.wait(job, "failed") for job in jobs[:2]]
    assert {state.error.code for state in late if state.error} == {ErrorCode.DEADLINE_EXCEEDED}
    scene.wait(jobs[2], "succeeded")


def test_what_is_left_alone_of_a_batch_has_a_deadline_of_its_own_from_then_on(
    scene: Scene,
) -> None:
    scene.worker(DEADLINE_S=1)
    *short, long = scene.submit_batch(1, 1, 1, 1, 1, 1, 400)
    for job in short:
        scene.wait(job, "succeeded")
    assert scene.wait(long, "failed").progress.evaluations <= 1 + 1 / 0.05 + 1


def test_one_frozen_worker_loses_the_whole_batch_and_writes_none_of_it(scene: Scene) -> None:
    frozen = scene.worker()
    jobs = scene.submit_batch(20, 20)
    all_begun(scene, jobs)
    frozen.send_signal(signal.SIGSTOP)
    scene.worker()
    wait_until(lambda: all(scene.starts(job) == 2 for job in jobs), seconds=30)
    states = [scene.wait(job, "succeeded") for job in jobs]
    frozen.send_signal(signal.SIGCONT)
    log = scene.folder / "worker-0.log"
    wait_until(lambda: log.read_bytes().count(b"lease lost") == 2, seconds=10)
    assert [scene.state(job).version for job in jobs] == [state.version for state in states]

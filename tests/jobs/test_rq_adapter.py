"""The installed RQ has every method that the adapter overrides."""

from collections.abc import Callable

import pytest
import redis
from rq.exceptions import StopRequested
from rq.job import Job as StockJob
from structlog.testing import capture_logs

from service.jobs import rq_adapter
from service.jobs.rq_adapter import Job, Queue, Worker
from service.jobs.rq_job import EXPLAIN, only_argument
from tests.conftest import RedisServer

OURS = {"functions", "may_take", "run_job", "stop", "_take"}


@pytest.mark.parametrize("adapted", [Job, Queue, Worker])
def test_every_override_overrides_something(adapted: type) -> None:
    """If an upgrade of RQ renames a method, our override is never called."""
    base = adapted.__mro__[1]
    named = {name for name in vars(adapted) if not name.startswith("__")}
    assert {name for name in named - OURS if not hasattr(base, name)} == set()
    assert base.__module__.startswith("rq.")


class Taking(Worker):
    """Takes jobs as long as `may` allows, and records what it ran and the signals it received."""

    def __init__(self, connection: redis.Redis, *may: bool) -> None:
        super().__init__("w", "test", connection)
        self.may = list(may)
        self.ran: list[str] = []
        self.signals: list[int] = []

    def may_take(self) -> bool:
        return self.may.pop(0)

    def run_job(self, explain: Callable[[str], object], job: StockJob) -> None:
        explain(only_argument(job))
        self.ran.append(job.id)

    def stop(self, signum: int) -> None:
        self.signals.append(signum)


@pytest.fixture
def queued(connection: redis.Redis, accepted: Callable[[], str]) -> str:
    """The id of a job in the queue."""
    return accepted()


def test_a_worker_takes_a_job_when_allowed(
    connection: redis.Redis, queued: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    explained: list[str] = []
    monkeypatch.setattr(Job, "functions", {EXPLAIN: explained.append})
    monkeypatch.setattr(rq_adapter, "DEQUEUE_RETRY_S", 0.001)
    worker = Taking(connection, False, False, True)
    job, queue = worker.dequeue_job_and_maintain_ttl(1)
    assert worker.may == []
    worker.execute_job(job, queue)
    assert worker.ran == explained == [queued]


def test_a_worker_waits_again_if_the_queue_is_empty(connection: redis.Redis) -> None:
    worker = Taking(connection, True, True)
    with pytest.raises(IndexError):  # it asks a third time
        worker.dequeue_job_and_maintain_ttl(1)


def test_a_stopping_worker_takes_no_job(connection: redis.Redis, queued: str) -> None:
    worker = Taking(connection, True)
    worker.request_stop(15, None)
    with pytest.raises(StopRequested):
        worker.dequeue_job_and_maintain_ttl(1)
    assert (worker.signals, worker.may) == ([15], [True])
    assert connection.lrange("rq:queue:test", 0, -1) == [queued.encode()]


def test_a_refused_job_leaves_nothing(
    connection: redis.Redis, queued: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Job, "functions", {})
    worker = Taking(connection, True)
    job, queue = worker.dequeue_job_and_maintain_ttl(1)
    assert connection.lrange(queue.intermediate_queue_key, 0, -1) == [queued.encode()]
    with capture_logs() as lines:
        worker.execute_job(job, queue)
    assert [(line["event"], line["log_level"]) for line in lines] == [("job refused", "warning")]
    assert not connection.exists(queue.intermediate_queue_key, f"rq:job:{queued}")
    assert worker.ran == []


def test_without_redis_rqs_bookkeeping_does_not_fail(mortal_redis: RedisServer) -> None:
    with redis.Redis.from_url(mortal_redis.url) as connection:
        worker = Taking(connection)
        mortal_redis.stop()
        with capture_logs() as lines:
            worker.heartbeat()
            worker.register_birth()
            worker.set_state("idle")
            worker.register_death()
            worker.check_for_suspension(burst=False)
    assert [line["log_level"] for line in lines] == ["debug"] * 4
    assert {line["reason"] for line in lines} == {"ConnectionError"}

"""A worker waits until Redis takes writes again, and then leaves jobs to their live workers."""

import threading
from collections.abc import Callable

import pytest
import redis
from structlog.testing import capture_logs

from service.infra.artifact_store import Store
from service.infra.settings.worker import WorkerSettings
from service.jobs.leases import Heartbeat, LeaseStatus
from service.jobs.records import JobSpec
from service.jobs.redis_errors import REASONS
from service.jobs.redis_keys import new_id
from service.jobs.redis_retry import retry_while_down
from service.jobs.worker_registry import WORKERS
from tests.conftest import wait_until
from tests.ledger import Ledger
from tests.outages import OUTAGES
from worker.housekeeping import Housekeeping


@pytest.mark.parametrize("code", OUTAGES)
def test_a_write_waits_for_the_end_of_an_outage_which_is_logged_once(
    code: str, connection: redis.Redis
) -> None:
    tries, enough = [], threading.Event()

    def write() -> object:
        tries.append(code)
        if len(tries) == 3:
            enough.set()
        return connection.set("shapshot:outage", 1)

    with capture_logs() as lines:
        writer = threading.Thread(target=lambda: retry_while_down(write, "waiting", pause_s=0.01))
        with OUTAGES[code](connection):
            writer.start()
            assert enough.wait(20)
        writer.join(20)
    assert connection.get("shapshot:outage") == b"1"
    assert [line["event"] for line in lines] == ["waiting", "recovered"]
    assert lines[1]["what"] == "waiting"
    assert lines[0]["reason"].startswith("Redis ")


def test_waiting_for_redis_has_a_limit(connection: redis.Redis) -> None:
    with OUTAGES["OOM"](connection), pytest.raises(redis.OutOfMemoryError):
        retry_while_down(lambda: connection.set("a", 1), "waiting", pause_s=0.01, patience_s=0.1)


def test_a_permanent_error_is_not_retried(connection: redis.Redis) -> None:
    connection.set("a", 1)
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        retry_while_down(lambda: connection.hget("a", "b"), "waiting", pause_s=60)


@pytest.mark.parametrize("code", OUTAGES)
def test_after_an_outage_a_live_worker_has_time_to_renew_its_lease(
    code: str,
    connection: redis.Redis,
    ledger: Ledger,
    spec: JobSpec,
    store: Store,
) -> None:
    job = new_id()
    ledger.accept(job, spec, timeout_s=60)
    attempt = ledger.begin(job)
    assert attempt
    connection.zadd("rq:wip:test", {f"{job}:{attempt}": 0})  # its lease ends during the outage
    settings = WorkerSettings(queue="test")
    housekeeping = Housekeeping("other", connection, ledger, store, settings, lambda: [])
    with capture_logs() as lines, OUTAGES[code](connection):
        housekeeping.start()
        wait_until(lambda: bool(lines), seconds=20)
    assert lines[0]["reason"] == REASONS[code]
    for _ in range(2):  # the first pass is complete once the second has begun
        do_chores(housekeeping, lambda: connection.zscore(WORKERS, "other"))
    assert ledger.heartbeat(Heartbeat(job, attempt)) == [LeaseStatus.OWNED]
    housekeeping.stop()


def do_chores(housekeeping: Housekeeping, lease: Callable[[], object]) -> None:
    before = lease()
    housekeeping.wake()
    wait_until(lambda: lease() != before, seconds=20)

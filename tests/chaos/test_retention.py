"""After thousands of jobs, Redis and the store hold no more than before."""

import random

import pytest
import redis

from service.infra.artifact_store import Store, image_key, open_store
from service.jobs.redis_keys import key_of, new_batch_id, new_id
from tests.chaos.queue_harness import QueueHarness
from tests.chaos.service_harness import LEASE_S
from tests.conftest import wait_until
from tests.ledger import Ledger

JOBS = 2000
OWNERS = ("ann", "bob", None)
BOUNDED = {  # key: the most members that it may have
    "rq:queues": 1,
    "rq:workers": 2,  # the live ones
    "rq:workers:chaos": 2,
    "rq:worker:worker-0": 40,  # fields
    "rq:worker:worker-1": 40,
    "shapshot:workers": 2,
    "shapshot:flows": 2 * len(OWNERS),
    "shapshot:virtual_time": 1,
    "shapshot:orphans": 1,
    "shapshot:ended": 3,
    "shapshot:totals": 40,  # by method and outcome
}


class Clients:
    """Submits batches as the API does, and sometimes deletes or cancels one."""

    def __init__(self, queue_harness: QueueHarness, ledger: Ledger, store: Store) -> None:
        self._harness, self._ledger, self._store = queue_harness, ledger, store
        self._dice = random.Random(0)  # noqa: S311 - not for secrets

    def ask(self, count: int) -> list[str]:
        """Submits a batch; returns the ids of its explanations."""
        batch_id, owner = new_batch_id(), self._dice.choice(OWNERS)
        spec = self._harness.spec(1, 0.0, batch_id).model_copy(update={"owner": owner})
        specs = {
            new_id(): spec.model_copy(update={"cache": f"{self._dice.random()}"})
            for _ in range(count)
        }
        self._ledger.reserve(*specs)
        for id_ in specs:
            self._store.put(image_key(id_), b"a picture")
        self._ledger.accept_batch(batch_id, specs, timeout_s=60)
        if self._dice.random() < 0.1:
            self._ledger.cancel(next(iter(specs)))
            self._ledger.delete(next(iter(specs)))
        return list(specs)

    def leave_an_upload_behind(self) -> None:
        """Leaves an upload as an API does that is killed between storing and accepting."""
        orphan = new_id()
        self._harness.connection.zadd("shapshot:expiry", {orphan: 1})
        self._store.put(image_key(orphan), b"a picture")


def size(connection: redis.Redis, key: str) -> int:
    kinds = {"hash": "HLEN", "zset": "ZCARD", "set": "SCARD", "list": "LLEN"}
    kind = connection.type(key).decode()
    return int(connection.execute_command(kinds[kind], key)) if kind in kinds else 1


@pytest.mark.soak
def test_after_two_thousand_jobs_redis_and_the_store_hold_a_bounded_amount(
    queue_harness: QueueHarness, tmp_path
):
    brief = {"RETENTION_S": 1, "TOMBSTONE_S": 1}
    ledger = Ledger(queue_harness.connection, queue="chaos", lease_s=LEASE_S, retention_s=1)
    store = open_store(f"file:{tmp_path}/store")
    clients = Clients(queue_harness, ledger, store)
    for registry in ("rq:workers", "rq:workers:chaos"):
        queue_harness.connection.sadd(registry, "rq:worker:killed-long-ago")
    asked = [id_ for _ in range(JOBS // 20) for id_ in clients.ask(20)]
    clients.leave_an_upload_behind()
    for _ in range(2):
        queue_harness.worker(**brief)
    wait_until(lambda: queue_harness.connection.zcard("shapshot:explanations") == 0, seconds=200)
    wait_until(lambda: not queue_harness.connection.exists(*map(key_of, asked)), seconds=60)
    wait_until(lambda: not queue_harness.connection.keys(key_of("*")), seconds=60)
    sizes = {
        key.decode(): size(queue_harness.connection, key)
        for key in queue_harness.connection.keys("*")
    }
    assert set(sizes) <= set(BOUNDED)
    assert {key: n for key, n in sizes.items() if n > BOUNDED[key]} == {}
    left = (tmp_path / "store" / "explanations").rglob("*")
    assert [path for path in left if path.is_file()] == []
    assert sum(queue_harness.starts(id_) > 0 for id_ in asked) > 0.8 * JOBS

"""Somebody who can write to Redis cannot run code in a worker, or stop one."""

import json
import pickle
import time
import zlib
from pathlib import Path

import pytest

from service.jobs.redis_keys import key_of, new_batch_id, new_id
from service.jobs.rq_job import EXPLAIN
from tests.chaos.queue_harness import NewQueueHarness, QueueHarness, beforehand
from tests.conftest import wait_until
from tests.forgery import Bomb, call


def forged_jobs(mark: Path) -> dict[str, dict[str, object]]:
    """Forged fields of a job's hash, by kind; if a worker ran any, it would leave a mark."""
    touch = f"touch {mark}"
    bomb = pickle.dumps((Bomb(touch), None, [], {}))
    ours = call(EXPLAIN, new_id())
    return {
        "pickled data": {"data": bomb},
        "packed and pickled data": {"data": zlib.compress(bomb)},
        "os.system by name": {"data": call("os.system", touch)},
        "a method of an instance": {"data": call("system", touch, instance="os")},
        "another's id": {"data": ours},
        "a shape of its own": {"data": zlib.compress(b'[["os.system"], null, 5, {}]')},
        "pickled meta": {"data": ours, "meta": zlib.compress(bomb)},
        "a pickled result": {"data": ours, "result": bomb, "exc_info": bomb},
        "repeats and groups": {"data": ours, "group_id": "os", "repeats_left": 9},
        "webhooks": {"data": ours, "success_webhook_url": "x:", "failure_webhook_url": "x:"},
        "no time": {"data": ours, "created_at": "yesterday"},
        "no data": {},
        "garbage": {"data": b"\xff" * 100_000, "timeout": "long", "origin": b"\xff", "status": b""},
        **{
            f"callback on {event}": {
                "data": ours,
                f"{event}_callback_name": "os.system",
                f"{event}_callback": zlib.compress(bomb),
                f"{event}_callback_timeout": "1",
            }
            for event in ("success", "failure", "stopped")
        },
    }


def test_forged_jobs_of_every_kind_run_no_code_and_stop_no_worker(
    queue_harness: QueueHarness,
) -> None:
    mark = queue_harness.folder / "mark"
    plain = {"created_at": "2026-01-01T00:00:00.000000Z", "status": "queued", "origin": "chaos"}
    ids = {kind: new_id() for kind in forged_jobs(mark)}
    for kind, fields in forged_jobs(mark).items():
        queue_harness.connection.hset(f"rq:job:{ids[kind]}", mapping=plain | fields)
        queue_harness.connection.rpush("rq:queue:chaos", ids[kind])
    worker = queue_harness.worker()
    assert queue_harness.wait(queue_harness.submit(steps=1), "succeeded")
    assert not mark.exists()
    assert worker.poll() is None
    assert not [kind for kind, job in ids.items() if queue_harness.starts(job)]
    wait_until(lambda: not queue_harness.left(), seconds=10)


def wild_records(record: dict[bytes, bytes]) -> dict[str, dict[bytes, bytes]]:
    """Forged fields of a waiting explanation, by kind."""
    spec = json.loads(record[b"order"])
    path = "../../etc/passwd"
    return {
        "no spec": {b"order": b""},
        "a pickled spec": {b"order": pickle.dumps(Bomb("false"))},
        "a foreign method": {b"order": changed(spec, settings={"method": "os.system"})},
        "a path for a model": {b"order": changed(spec, model=path)},
        "a list for a picture": {b"order": changed(spec, image=[path])},
        "a wild count of attempts": {b"attempts": b"many"},
        "a wild version": {b"version": b"inf"},
        "no text": {b"created_at": b"\xff\xfe"},
        "a batch that is none": {b"batch": b"../x", b"order": b"[" * 5000},
    }


def changed(spec: dict[str, object], **fields: object) -> bytes:
    return json.dumps(spec | fields).encode()


def test_invalid_records_end_their_explanation_and_no_worker(queue_harness: QueueHarness) -> None:
    kinds = wild_records(queue_harness.connection.hgetall(key_of(queue_harness.submit(steps=1))))
    ids = {kind: queue_harness.submit(steps=1) for kind in kinds}
    for kind, fields in kinds.items():
        queue_harness.connection.hset(key_of(ids[kind]), mapping=fields)
    worker = queue_harness.worker()
    assert queue_harness.wait(queue_harness.submit(steps=1), "succeeded")
    assert worker.poll() is None
    status = {k: queue_harness.connection.hget(key_of(ids[k]), "status") for k in kinds}
    assert status.pop("a wild count of attempts") == b"succeeded"
    assert set(status.values()) == {b"failed"}, status


@beforehand
def strewn(new_queue_harness: NewQueueHarness) -> QueueHarness:
    """A queue with invalid members in every list that the reaper reads, and a lost job."""
    queue_harness = new_queue_harness()
    queue_harness.connection.set(key_of(wrong := new_id()), "no hash")
    strange = [f"{wrong}:x", "no colon", ":", b"\xff:\xff", "../../x:y"]
    queue_harness.connection.zadd("rq:wip:chaos", dict.fromkeys(strange, 1))
    queue_harness.connection.rpush("rq:queue:chaos:intermediate", wrong, "", b"\xff", "../../x")
    queue_harness.connection.zadd("shapshot:expiry", {wrong: 1, "": 1, "../..": 1})
    worker = queue_harness.worker()
    queue_harness.wait_begun(queue_harness.submit(steps=100))
    worker.kill()
    queue_harness.worker()
    return queue_harness


def test_keys_of_another_type_and_invalid_leases_stop_no_reaper(strewn: QueueHarness) -> None:
    strewn.wait_begun(*strewn.jobs, times=2)
    left = ("rq:queue:chaos:intermediate", "shapshot:expiry")
    wait_until(lambda: not strewn.connection.exists(*left), seconds=10)


@pytest.mark.parametrize("members", [["../x", "exp_1"], [""], None])
def test_a_forged_batch_does_not_begin_foreign_explanations(
    queue_harness: QueueHarness, members: list[str] | None
) -> None:
    batch_id = new_batch_id()
    mine, *_ = queue_harness.submit_batch(1)
    spec = queue_harness.state(mine).spec
    assert spec
    renamed = spec.model_copy(update={"batch": batch_id}).model_dump_json()
    queue_harness.connection.hset(key_of(mine), mapping={"order": renamed, "batch": batch_id})
    if members is None:
        queue_harness.connection.set(key_of(batch_id), "no hash")
    else:
        record = {"created_at": time.time(), "members": " ".join([mine, *members])}
        queue_harness.connection.hset(key_of(batch_id), mapping=record)
    worker = queue_harness.worker()
    queue_harness.wait(mine, "succeeded")
    # the same worker is still alive
    queue_harness.wait(queue_harness.submit(steps=1), "succeeded")
    assert worker.poll() is None

"""Somebody who can write to Redis cannot run code."""

import json
import pickle
import zlib

import pytest
from rq.job import Job as StockJob

from service.jobs.redis_keys import new_id
from service.jobs.rq_adapter import Job, Queue, RefusedJobError
from service.jobs.rq_job import EXPLAIN, new_job, only_argument
from tests.forgery import Bomb, call


@pytest.fixture
def mark(tmp_path):
    """The file that a forged job would make."""
    return tmp_path / "mark"


@pytest.fixture
def performed(monkeypatch):
    """The arguments with which the registered function was called."""
    calls: list[object] = []
    monkeypatch.setattr(Job, "functions", {EXPLAIN: calls.append})
    return calls


def forge(connection, data: bytes, **fields: object) -> Job:
    """Writes a job's hash as an intruder would, and fetches it as our processes do."""
    job_id = new_id()
    plain = {"data": data, "created_at": "2026-01-01T00:00:00.000000Z", "origin": "test"}
    connection.hset(f"rq:job:{job_id}", mapping=plain | {"status": "queued"} | fields)
    return Job.fetch(job_id, connection=connection)


def perform(job: Job) -> None:
    job.func(only_argument(job))


def test_our_own_job_runs(connection, performed):
    ours = new_id()
    new_job(ours, queue="test", timeout_s=60, connection=connection).save()
    perform(Job.fetch(ours, connection=connection))
    assert performed == [ours]


@pytest.mark.parametrize("name", ["exp_1", "batch_1", f"exp_{'0' * 31}", f"x_exp_{'0' * 32}"])
def test_a_job_without_the_id_of_an_explanation_is_refused(connection, performed, name):
    fields = {
        "data": call(EXPLAIN, name),
        "created_at": "2026-01-01T00:00:00.000000Z",
        "origin": "test",
    }
    connection.hset(f"rq:job:{name}", mapping=fields)
    with pytest.raises(RefusedJobError, match="id of an explanation"):
        perform(Job.fetch(name, connection=connection))
    assert performed == []


def test_pickled_data_is_never_unpickled(connection, mark):
    data = zlib.compress(pickle.dumps((Bomb(f"touch {mark}"), None, [], {})))
    job = forge(connection, data)
    with pytest.raises(RefusedJobError, match="not JSON"):
        perform(job)
    assert not mark.exists()


def test_an_importable_function_is_refused(connection, mark):
    with pytest.raises(RefusedJobError, match="not registered"):
        perform(forge(connection, call("os.system", f"touch {mark}")))
    assert not mark.exists()


def test_a_method_of_an_instance_is_refused(connection, performed):
    with pytest.raises(RefusedJobError, match="not a call of a function"):
        perform(forge(connection, call(EXPLAIN, "x", instance={"a": 1})))
    assert performed == []


@pytest.mark.parametrize(
    "said",
    [
        [1, None, [], {}],
        [EXPLAIN, None, {}, {}],
        [None, None, "x", {}],
        [EXPLAIN, None, [], {"a": 1}],
    ],
)
def test_data_other_than_a_name_and_arguments_is_refused(connection, performed, said):
    with pytest.raises(RefusedJobError, match="not a call of a function"):
        perform(forge(connection, zlib.compress(json.dumps(said).encode())))
    assert performed == []


def test_foreign_arguments_are_refused(connection, performed):
    with pytest.raises(RefusedJobError, match="arguments"):
        perform(forge(connection, call(EXPLAIN, "exp_of_another")))
    with pytest.raises(RefusedJobError, match="arguments"):
        perform(forge(connection, call(EXPLAIN)))
    assert performed == []


@pytest.mark.parametrize("kind", ["success", "failure", "stopped"])
def test_callbacks_and_webhooks_are_dropped(connection, kind):
    job = forge(
        connection,
        call(EXPLAIN, "x"),
        **{
            f"{kind}_callback_name": "os.system",
            f"{kind}_callback": "os.system",
            "success_webhook_url": "http://192.0.2.1/",
            "failure_webhook_url": "http://192.0.2.1/",
        },
    )
    assert (job.success_callback, job.failure_callback, job.stopped_callback) == (None, None, None)
    assert not [value for value in vars(job).values() if "192.0.2.1" in str(value)]


def test_meta_is_never_read(connection, mark):
    job = forge(connection, call(EXPLAIN, "x"), meta=pickle.dumps(Bomb(f"touch {mark}")))
    assert job.meta == {}
    assert not mark.exists()


def test_rqs_own_job_class_would_run_the_forgeries(connection, mark):
    """Shows that the forgeries above are effective."""
    data = zlib.compress(pickle.dumps(("os.system", None, [f"touch {mark}"], {})))
    forged = forge(connection, data)
    stock = StockJob.fetch(forged.id, connection=connection)
    stock.func(*stock.args)
    assert mark.exists()


def test_a_worker_skips_an_unreadable_job(connection):
    connection.hset("rq:job:broken", mapping={"status": "queued", "created_at": "no time"})
    connection.rpush("rq:queue:test", "broken")
    found = Queue.dequeue_any([Queue("test", connection=connection)], None, connection=connection)
    assert found is None

"""A worker that is told to stop lets its model score at most one more batch."""

import io
import signal
from collections.abc import Iterator

import numpy as np
import pytest

from service.schemas.documents import ErrorCode
from tests.chaos.forkserver import Forked
from tests.chaos.service_harness import LONG, URL, ServiceHarness, refusal
from tests.conftest import wait_until


@pytest.fixture
def slow_worker(service_harness: ServiceHarness, api: Forked) -> Iterator[Forked]:
    """A batch takes this worker far longer than it takes to notice a cancel."""
    process = service_harness.start_worker("slow", step_s=0.5, LOG_LEVEL="DEBUG")
    service_harness.wait_ready()
    yield process
    service_harness.dismiss("slow")


def batches(service_harness: ServiceHarness) -> int:
    """Count the batches that the slow worker's model has received."""
    return service_harness.logged("slow", b"batch begun")


@pytest.mark.usefixtures("slow_worker")
def test_after_a_cancel_at_most_one_batch_is_scored_and_the_partial_result_is_kept(
    service_harness: ServiceHarness,
) -> None:
    running = service_harness.submit(LONG)
    wait_until(lambda: batches(service_harness) > 3, seconds=20)
    refusal(service_harness.client.delete(f"{URL}/{running}"), 409, ErrorCode.STILL_RUNNING)
    before = service_harness.client.post(f"{URL}/{running}/cancel").json()
    assert before["status"] == "canceling"
    scored = batches(service_harness)
    refusal(service_harness.client.delete(f"{URL}/{running}"), 409, ErrorCode.STILL_RUNNING)
    ended = service_harness.wait(running, "canceled")
    assert batches(service_harness) <= scored + 1
    assert ended["partial"] is True
    assert 0 < ended["progress"]["evaluations"] < LONG["max_evals"]
    found = service_harness.client.get(ended["links"]["attributions"] + "?format=npz")
    with np.load(io.BytesIO(found.content)) as arrays:
        assert np.isfinite(arrays["values"]).all()
        assert arrays["values"].any()
    assert service_harness.client.delete(f"{URL}/{running}").status_code == 204
    assert not (service_harness.store / "explanations" / running).exists()


def test_a_worker_told_to_stop_scores_at_most_one_batch_and_requeues_its_job_first(
    service_harness: ServiceHarness, slow_worker: Forked
) -> None:
    running = service_harness.submit(LONG | {"max_evals": 40})
    wait_until(lambda: batches(service_harness) > 1, seconds=20)
    waiting = [service_harness.submit(), service_harness.submit()]
    slow_worker.send_signal(signal.SIGTERM)
    scored = batches(service_harness)
    assert slow_worker.wait(timeout=30) == 0
    assert batches(service_harness) <= scored + 1
    queued = [id_.decode() for id_ in service_harness.connection.lrange("rq:queue:chaos", 0, -1)]
    assert queued == [running, *waiting]
    service_harness.start_worker("quick")
    assert service_harness.wait(running, "succeeded")["attempts"] == 1
    service_harness.dismiss("quick")

"""A worker that is told to stop has its model score one more batch at most."""

import io
import signal
from collections.abc import Iterator

import numpy as np
import pytest

from service.schemas.documents import ErrorCode
from tests.chaos.forkserver import Forked
from tests.chaos.service_harness import LONG, URL, Stage, refusal
from tests.conftest import wait_until


@pytest.fixture
def slow_worker(stage: Stage, api: Forked) -> Iterator[Forked]:
    """A batch takes it far longer than it takes to hear of a cancel."""
    process = stage.start_worker("slow", step_s=0.5, LOG_LEVEL="DEBUG")
    stage.wait_ready()
    yield process
    stage.dismiss("slow")


def batches(stage: Stage) -> int:
    """How many the slow worker's model was given."""
    return stage.logged("slow", b"batch begun")


@pytest.mark.usefixtures("slow_worker")
def test_after_a_cancel_one_more_batch_is_scored_at_most_and_what_there_is_is_kept(
    stage: Stage,
) -> None:
    running = stage.submit(LONG)
    wait_until(lambda: batches(stage) > 3, seconds=20)
    refusal(stage.client.delete(f"{URL}/{running}"), 409, ErrorCode.STILL_RUNNING)
    before = stage.client.post(f"{URL}/{running}/cancel").json()
    assert before["status"] == "canceling"
    scored = batches(stage)
    refusal(stage.client.delete(f"{URL}/{running}"), 409, ErrorCode.STILL_RUNNING)
    ended = stage.wait(running, "canceled")
    assert batches(stage) <= scored + 1
    assert ended["partial"] is True
    assert 0 < ended["progress"]["evaluations"] < LONG["max_evals"]
    found = stage.client.get(ended["links"]["attributions"] + "?format=npz")
    with np.load(io.BytesIO(found.content)) as arrays:
        assert np.isfinite(arrays["values"]).all()
        assert arrays["values"].any()
    assert stage.client.delete(f"{URL}/{running}").status_code == 204
    assert not (stage.store / "explanations" / running).exists()


def test_a_worker_told_to_stop_has_one_more_batch_scored_at_most_and_its_job_is_first_again(
    stage: Stage, slow_worker: Forked
) -> None:
    running = stage.submit(LONG | {"max_evals": 40})
    wait_until(lambda: batches(stage) > 1, seconds=20)
    waiting = [stage.submit(), stage.submit()]
    slow_worker.send_signal(signal.SIGTERM)
    scored = batches(stage)
    assert slow_worker.wait(timeout=30) == 0
    assert batches(stage) <= scored + 1
    queued = [id_.decode() for id_ in stage.connection.lrange("rq:queue:chaos", 0, -1)]
    assert queued == [running, *waiting]
    stage.start_worker("quick")
    assert stage.wait(running, "succeeded")["attempts"] == 1
    stage.dismiss("quick")

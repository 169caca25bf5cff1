"""A worker that is led to another store than the API leaves its jobs to others."""

from pathlib import Path

from tests.chaos.forkserver import Forked
from tests.chaos.service_harness import Stage
from tests.conftest import wait_until


def test_a_worker_with_another_store_begins_nothing(
    stage: Stage, api: Forked, tmp_path: Path
) -> None:
    assert stage.status("/healthz/ready") == 503  # nobody serves; the set has its name now
    stage.start_worker("astray", STORE_URL=f"file:{tmp_path}/other")

    def refuses() -> bool:
        answer = stage.client.get("/healthz/ready").json()
        return answer.get("code") == "model_unavailable" and "identity.json" in answer["detail"]

    wait_until(refuses, seconds=30)
    stage.start_worker()
    wait_until(lambda: stage.status("/healthz/ready") == 200, seconds=30)
    explained = [stage.submit() for _ in range(3)]
    for each in explained:
        stage.wait(each, "succeeded")
    assert stage.logged("astray", b"explanation begun") == 0
    assert stage.logged("astray", b"Redis and the store do not match") == 1
    assert not list((tmp_path / "other").iterdir())
    stage.dismiss("astray")
    stage.dismiss("worker")

"""A worker that uses another store than the API leaves its jobs to other workers."""

from pathlib import Path

from tests.chaos.forkserver import Forked
from tests.chaos.service_harness import ServiceHarness
from tests.conftest import wait_until


def test_a_worker_with_another_store_begins_nothing(
    service_harness: ServiceHarness, api: Forked, tmp_path: Path
) -> None:
    # without a worker; by now the set has its identity
    assert service_harness.status("/healthz/ready") == 503
    service_harness.start_worker("astray", STORE_URL=f"file:{tmp_path}/other")

    def refuses() -> bool:
        answer = service_harness.client.get("/healthz/ready").json()
        return answer.get("code") == "model_unavailable" and "identity.json" in answer["detail"]

    wait_until(refuses, seconds=30)
    service_harness.start_worker()
    wait_until(lambda: service_harness.status("/healthz/ready") == 200, seconds=30)
    explained = [service_harness.submit() for _ in range(3)]
    for each in explained:
        service_harness.wait(each, "succeeded")
    assert service_harness.logged("astray", b"explanation begun") == 0
    assert service_harness.logged("astray", b"Redis and the store do not match") == 1
    assert not list((tmp_path / "other").iterdir())
    service_harness.dismiss("astray")
    service_harness.dismiss("worker")

"""A whole service on S3: a result is available until it expires."""

import io
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from service.infra.artifact_store import MARKER_KEY, Store, open_store
from service.jobs.redis_keys import EXPIRY
from tests.chaos.service_harness import QUICK, URL, ServiceHarness, end
from tests.conftest import RedisServer, wait_until
from tests.soak.stores import Bucket


@pytest.fixture
def harness_on_s3(
    bucket: Bucket, mortal_redis: RedisServer, tmp_path: Path
) -> Iterator[ServiceHarness]:
    found = ServiceHarness(tmp_path, mortal_redis)
    found.environment |= bucket.environment
    yield found
    found.close()


@pytest.fixture
def kept(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A client of the same store, for inspection."""
    for name, value in bucket.environment.items():
        monkeypatch.setenv(name, value)
    return open_store(bucket.environment["SHAPSHOT_STORE_URL"])


def keys(store: Store) -> list[str]:
    return [entry.key for page in store.pages("") for entry in page]


def test_a_result_on_s3_outlives_its_processes_until_it_expires(
    harness_on_s3: ServiceHarness, bucket: Bucket, kept: Store
) -> None:
    service_harness = harness_on_s3
    service_harness.start_api()
    service_harness.start_worker()
    service_harness.wait_ready()
    first = service_harness.submit()
    links = service_harness.wait(first, "succeeded")["links"]
    npz = service_harness.client.get(links["attributions"], params={"format": "npz"}).content
    with np.load(io.BytesIO(npz)) as arrays:
        output = int(arrays["output_indices"][1])
        alone = {"output": output, "format": "npy"}
        answer = service_harness.client.get(links["attributions"], params=alone)
        np.testing.assert_array_equal(
            np.load(io.BytesIO(answer.content))[..., 0], arrays["values"][..., 1]
        )
    assert service_harness.client.get(links["heatmap"]).status_code == 200

    again = service_harness.ask(headers={"Cache-Control": "max-age=60"})
    assert (again.status_code, again.json()["cached_from"]) == (200, first)
    for name in ("api", "worker"):
        end(service_harness.processes[name])
    service_harness.start_api()
    for each in (first, again.json()["id"]):
        found = service_harness.client.get(f"{URL}/{each}/attributions", params={"format": "npz"})
        assert found.content == npz

    assert service_harness.client.delete(f"{URL}/{first}").status_code == 204
    assert [key for key in keys(kept) if first in key] == []
    service_harness.connection.zadd(EXPIRY, {again.json()["id"]: 1})
    service_harness.start_worker()
    wait_until(lambda: keys(kept) == [MARKER_KEY], seconds=40)

    bucket.process.send_signal(signal.SIGSTOP)  # accepts connections and never answers
    assert service_harness.status("/healthz/ready") == 503
    bucket.process.send_signal(signal.SIGCONT)
    service_harness.wait_ready()
    service_harness.wait(service_harness.submit(QUICK | {"seed": 1}), "succeeded")


def test_a_slow_store_within_its_deadlines_only_takes_longer(
    mortal_redis: RedisServer, tmp_path: Path
) -> None:
    bucket = Bucket(tmp_path, delay_s=0.4)
    service_harness = ServiceHarness(tmp_path, mortal_redis)
    service_harness.environment |= bucket.environment
    try:
        service_harness.start_api()
        service_harness.start_worker()
        service_harness.wait_ready()
        links = service_harness.wait(service_harness.submit(), "succeeded")["links"]
        for form in ("npz", "npy", "json"):
            assert service_harness.client.get(
                links["attributions"], params={"format": form}
            ).is_success
        assert service_harness.client.get(links["heatmap"]).status_code == 200
    finally:
        service_harness.close()
        bucket.process.kill()
        bucket.process.wait()

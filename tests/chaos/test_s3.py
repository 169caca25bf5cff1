"""All of a service on S3: a result is found again by whoever asks, until it expires."""

import io
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from service.infra.artifact_store import MARKER_KEY, Store, open_store
from service.jobs.redis_keys import EXPIRY
from tests.chaos.service_harness import QUICK, URL, Stage, end
from tests.conftest import RedisServer, wait_until
from tests.soak.stores import Bucket


@pytest.fixture
def stage_on_s3(bucket: Bucket, mortal_redis: RedisServer, tmp_path: Path) -> Iterator[Stage]:
    found = Stage(tmp_path, mortal_redis)
    found.environment |= bucket.environment
    yield found
    found.close()


@pytest.fixture
def kept(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The same store, to look into."""
    for name, value in bucket.environment.items():
        monkeypatch.setenv(name, value)
    return open_store(bucket.environment["SHAPSHOT_STORE_URL"])


def keys(store: Store) -> list[str]:
    return [entry.key for page in store.pages("") for entry in page]


def test_what_is_found_on_s3_outlives_its_processes_and_no_retention(
    stage_on_s3: Stage, bucket: Bucket, kept: Store
) -> None:
    stage = stage_on_s3
    stage.start_api()
    stage.start_worker()
    stage.wait_ready()
    first = stage.submit()
    links = stage.wait(first, "succeeded")["links"]
    npz = stage.client.get(links["attributions"], params={"format": "npz"}).content
    with np.load(io.BytesIO(npz)) as arrays:
        output = int(arrays["output_indices"][1])
        alone = {"output": output, "format": "npy"}
        answer = stage.client.get(links["attributions"], params=alone)
        np.testing.assert_array_equal(
            np.load(io.BytesIO(answer.content))[..., 0], arrays["values"][..., 1]
        )
    assert stage.client.get(links["heatmap"]).status_code == 200

    again = stage.ask(headers={"Cache-Control": "max-age=60"})
    assert (again.status_code, again.json()["cached_from"]) == (200, first)
    for name in ("api", "worker"):
        end(stage.processes[name])
    stage.start_api()
    for each in (first, again.json()["id"]):
        found = stage.client.get(f"{URL}/{each}/attributions", params={"format": "npz"})
        assert found.content == npz

    assert stage.client.delete(f"{URL}/{first}").status_code == 204
    assert [key for key in keys(kept) if first in key] == []
    stage.connection.zadd(EXPIRY, {again.json()["id"]: 1})
    stage.start_worker()
    wait_until(lambda: keys(kept) == [MARKER_KEY], seconds=40)

    bucket.process.send_signal(signal.SIGSTOP)  # accepts, and never answers
    assert stage.status("/healthz/ready") == 503
    bucket.process.send_signal(signal.SIGCONT)
    stage.wait_ready()
    stage.wait(stage.submit(QUICK | {"seed": 1}), "succeeded")


def test_a_slow_store_within_its_deadlines_only_takes_longer(
    mortal_redis: RedisServer, tmp_path: Path
) -> None:
    bucket = Bucket(tmp_path, delay_s=0.4)
    stage = Stage(tmp_path, mortal_redis)
    stage.environment |= bucket.environment
    try:
        stage.start_api()
        stage.start_worker()
        stage.wait_ready()
        links = stage.wait(stage.submit(), "succeeded")["links"]
        for form in ("npz", "npy", "json"):
            assert stage.client.get(links["attributions"], params={"format": form}).is_success
        assert stage.client.get(links["heatmap"]).status_code == 200
    finally:
        stage.close()
        bucket.process.kill()
        bucket.process.wait()

"""During an outage of Redis nothing is lost, and every process recovers by itself."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from service.jobs.statistics import TOTALS
from service.schemas.documents import ErrorCode
from tests.chaos.forkserver import Forked
from tests.chaos.service_harness import LONG, QUICK, URL, ServiceHarness, in_background, refusal
from tests.conftest import RedisServer, wait_until

OPEN = {"/", "/healthz/live", "/.well-known/jwks.json"}
NEED_NO_REDIS = OPEN | {"/v1/caller", "/v1/methods", "/metrics"}
PREFIXES = {"batch_id": "batch", "webhook_id": "wh", "delivery_id": "msg"}  # of ids in paths


@pytest.fixture
def another(service_harness: ServiceHarness, worker: Forked) -> Iterator[Forked]:
    """A second worker."""
    yield service_harness.start_worker("another")
    service_harness.dismiss("another")


@contextmanager
def gone(server: RedisServer) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


@pytest.mark.usefixtures("worker")
def test_without_redis_every_endpoint_gives_503_and_then_recovers(
    service_harness: ServiceHarness,
) -> None:
    wanted, done = operations(service_harness), service_harness.submit(QUICK)
    service_harness.wait(done, "succeeded")
    running = service_harness.submit(LONG | {"max_evals": 100})
    service_harness.wait(running, "running")
    heard: list[str] = []
    waited: list[httpx.Response] = []
    address, prefer = f"{URL}/{running}", {"Prefer": "wait=30"}
    listener = in_background(lambda: service_harness.follow(running, heard))
    waiter = in_background(
        lambda: waited.append(service_harness.client.get(address, headers=prefer))
    )
    wait_until(lambda: bool(heard), seconds=10)
    with gone(service_harness.redis):
        waiter.join(20)
        refusal(waited[0], 503, ErrorCode.REDIS_UNAVAILABLE)
        for method, path in wanted:
            answer = service_harness.client.request(method, path.replace("{explanation_id}", done))
            refusal(answer, 503, ErrorCode.REDIS_UNAVAILABLE)
        refusal(service_harness.ask(), 503, ErrorCode.REDIS_UNAVAILABLE)
    assert service_harness.document(done)["status"] == "succeeded"
    service_harness.wait(running, "succeeded")
    listener.join(20)
    assert heard[-1] == "succeeded"


def operations(service_harness: ServiceHarness) -> list[tuple[str, str]]:
    """Every operation that needs Redis and takes no body, from the API's own description."""
    described = service_harness.client.get("/openapi.json").json()["paths"]
    return [
        (method.upper(), with_ids(path, parameters))
        for path, methods in described.items()
        for method, parameters in methods.items()
        if path not in NEED_NO_REDIS and "requestBody" not in parameters
    ]


def with_ids(path: str, operation: dict[str, list[dict[str, object]]]) -> str:
    needed = [each["name"] for each in operation.get("parameters", []) if each.get("required")]
    query = f"?id=exp_{'0' * 32}&id=exp_{'1' * 32}" if "id" in needed else ""
    ids = {name: f"{prefix}_{'0' * 32}" for name, prefix in PREFIXES.items()} | {"name": "sleeper"}
    for name, value in ids.items():
        path = path.replace(f"{{{name}}}", value)
    return path + query


@pytest.mark.parametrize("gone_s", [1, *(pytest.param(s, marks=pytest.mark.soak) for s in (7, 25))])
def test_jobs_that_run_or_end_without_redis_have_one_result_each(
    service_harness: ServiceHarness, worker: Forked, another: Forked, gone_s: int
) -> None:
    ends = ends_counted(service_harness)
    short, long = (service_harness.submit(LONG | {"max_evals": n}) for n in (40, 40 * (gone_s + 3)))
    for each in (short, long):
        service_harness.wait(each, "running")
    back_at = time.monotonic() + gone_s
    with gone(service_harness.redis):
        wait_until(lambda: waits_logged(service_harness) > 0, seconds=20)  # the short job has ended
        while time.monotonic() < back_at:
            refusal(service_harness.client.get(f"{URL}/{long}"), 503, ErrorCode.REDIS_UNAVAILABLE)
            time.sleep(0.1)
    assert not service_harness.document(long)["done"]
    for each in (short, long):
        ended = service_harness.wait(each, "succeeded")
        assert ended["attempts"] == 1  # as its worker lives, it is not begun again
        assert service_harness.client.get(ended["links"]["attributions"]).status_code == 200
    assert ends_counted(service_harness) == ends + 2
    assert (worker.poll(), another.poll()) == (None, None)


def waits_logged(service_harness: ServiceHarness) -> int:
    """Count how often a worker waited for Redis before a write."""
    return sum(service_harness.logged(name, b"waiting for Redis") for name in ("worker", "another"))


def ends_counted(service_harness: ServiceHarness) -> float:
    totals = service_harness.connection.hgetall(TOTALS)
    return sum(float(n) for name, n in totals.items() if name.startswith(b"jobs:"))

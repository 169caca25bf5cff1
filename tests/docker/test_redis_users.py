"""The users of the API and the workers may run the commands that they need, and no others."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from service.api.auth.keys import Scope
from service.embedded.redis_server import RedisNotFoundError, find_server
from tests.api.auth.keyholders import bearing, issue
from tests.chaos.service_harness import LONG, QUICK, URL, ServiceHarness, end, photo
from tests.conftest import skip_or_raise, wait_until
from tests.docker.guarded import USERS, Guarded, guarded_by


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    try:
        server = find_server()
    except RedisNotFoundError as error:
        skip_or_raise(error)
    with guarded_by(USERS["compose"], server) as found:
        yield found


@pytest.fixture
def service_harness(guarded: Guarded, tmp_path: Path) -> Iterator[ServiceHarness]:
    found = ServiceHarness(tmp_path, guarded, settings={"RETENTION_S": 2, "TOMBSTONE_S": 2})
    yield found
    found.close()


def test_every_command_that_the_service_runs_is_permitted(
    service_harness: ServiceHarness, guarded: Guarded
) -> None:
    keys_file = service_harness.folder / "keys.jsonl"  # requests with a key are counted in Redis
    service_harness.client.headers.update(bearing(issue(keys_file, "audit", Scope.ADMIN)))
    service_harness.environment["SHAPSHOT_KEYS_FILE"] = str(keys_file)
    service_harness.environment["SHAPSHOT_REDIS_URL"] = guarded.url_of("api")
    service_harness.start_api()
    service_harness.environment["SHAPSHOT_REDIS_URL"] = guarded.url_of("worker")
    worker = service_harness.start_worker()
    service_harness.wait_ready()
    use_all_of_it(service_harness)
    lost = service_harness.submit(LONG)
    service_harness.wait(lost, "running")
    end(worker)
    service_harness.processes.pop("worker")
    second = service_harness.start_worker("second")
    wait_until(lambda: service_harness.document(lost)["attempts"] == 2, seconds=30)
    service_harness.client.post(f"{URL}/{lost}/cancel")
    service_harness.wait(lost, "canceled")
    wait_until(lambda: service_harness.status(f"{URL}/{lost}") == 410, seconds=30)
    second.send_signal(signal.SIGTERM)
    assert second.wait(timeout=30) == 0
    refused = service_harness.connection.acl_log()
    if service_harness.connection.info()["redis_version"].startswith("6."):
        # CLIENT SETINFO, which these lack; later ones do not know it before they ask who may
        refused = [entry for entry in refused if entry["object"] != "client"]
    assert not refused, [(entry["username"], entry["object"]) for entry in refused]


def use_all_of_it(service_harness: ServiceHarness) -> None:
    """Call each endpoint that uses Redis in its own way."""
    first = service_harness.ask(headers={"Idempotency-Key": "k", "Prefer": "wait=20"}).json()["id"]
    assert service_harness.ask(headers={"Idempotency-Key": "k"}).json()["id"] == first
    assert "done" in service_harness.client.get(f"{URL}/{first}/events").text
    settings = ("settings", (None, json.dumps(QUICK)))
    files = [("image", ("p", photo(seed))) for seed in (1, 2)]
    batch = service_harness.client.post("/v1/batches", files=[*files, settings]).json()["id"]
    assert service_harness.client.get(
        f"/v1/batches/{batch}?", headers={"Prefer": "wait=20"}
    ).json()["done"]
    # a cache hit
    assert service_harness.ask(headers={"Cache-Control": "max-age=60"}).status_code == 200
    for path in (URL, "/v1/models", "/metrics"):
        assert service_harness.status(path) == 200
    running = service_harness.submit(LONG)
    service_harness.wait(running, "running")
    service_harness.client.post(f"{URL}/{running}/cancel")
    service_harness.wait(running, "canceled")
    for path in (f"{URL}/{running}", f"/v1/batches/{batch}"):
        assert service_harness.client.delete(path).status_code == 204


@pytest.mark.parametrize(
    ("user", "command"),
    [
        *(("api", words) for words in ("BLMOVE a b LEFT LEFT 1", "HSET rq:worker:x a b", "SORT a")),
        *(("worker", words) for words in ("SUBSCRIBE shapshot:changes", "GET other")),
        *((user, words) for user in ("api", "worker") for words in ("KEYS *", "EVAL x 0")),
        *((user, words) for user in ("api", "worker") for words in ("FLUSHALL", "FLUSHDB")),
        *((user, words) for user in ("api", "worker") for words in ("CONFIG GET *", "ACL LIST")),
        *((user, words) for user in ("api", "worker") for words in ("SAVE", "MONITOR")),
        *((user, words) for user in ("api", "worker") for words in ("SHUTDOWN", "CLIENT LIST")),
    ],
)
def test_no_user_may_do_more(guarded: Guarded, user: str, command: str) -> None:
    with (
        redis.Redis.from_url(guarded.url_of(user)) as client,
        pytest.raises(redis.exceptions.NoPermissionError),
    ):
        client.execute_command(*command.split())

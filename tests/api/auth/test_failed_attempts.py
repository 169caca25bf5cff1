"""The limit on wrong keys of an address, across all API processes."""

import httpx
import pytest
from structlog.testing import capture_logs

from service.api.auth import failed_attempts
from service.api.auth.failed_attempts import normalized_address
from service.api.auth.keys import Scope
from service.infra.settings.api import ApiSettings
from tests.api.auth.keyholders import bearing, issue

URL = "/v1/models"
WRONG = bearing("shapshot_" + "a" * 43)


@pytest.fixture
def key(tmp_path):
    return bearing(issue(tmp_path / "keys.jsonl", "root", Scope.ADMIN))


@pytest.fixture
def settings(settings, key, tmp_path) -> ApiSettings:
    """Sets a window of an hour, longer than any test."""
    changed = {"keys_file": tmp_path / "keys.jsonl", "wrong_keys_limit": "3/hour"}
    return settings.model_copy(update=changed)


def of(api: httpx.AsyncClient, address: str | None) -> httpx.AsyncClient:
    """Opens a client of the same app at this address; None: over a Unix socket."""
    client = (address, 1) if address else None
    app = api._transport.app  # type: ignore[attr-defined]
    transport = httpx.ASGITransport(app, client=client)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def statuses(api: httpx.AsyncClient, *headers: dict[str, str]) -> list[int]:
    return [(await api.get(URL, headers=each)).status_code for each in headers]


async def test_after_too_many_wrong_keys_only_a_right_one_is_accepted(api, refused, key):
    other = {"X-API-Key": "other"}
    with capture_logs() as logged:
        assert await statuses(api, WRONG, {}, other, key, WRONG) == [401, 401, 401, 200, 401]
        answer = await api.get(URL, headers=WRONG)
        assert await statuses(api, other, key, {}) == [429, 200, 401]
    problem = refused(answer, 429, "rate_limited")
    assert problem["accepted"] == "3 per 1 hour"
    assert answer.headers["retry-after"] == "3600"
    assert "a" * 43 not in answer.text
    [line] = [line for line in logged if line["event"] == "too many wrong keys"]
    assert line["address"] == "127.0.0.1"
    refused(await api.get("/metrics", headers=WRONG), 429, "rate_limited")


async def test_all_processes_count_together_and_addresses_separately(start, settings):
    async with start(settings) as one, start(settings) as another:
        assert await statuses(one, WRONG, WRONG) == [401, 401]
        assert await statuses(another, WRONG, WRONG) == [401, 429]
        async with of(another, "192.0.2.7") as elsewhere:
            assert await statuses(elsewhere, WRONG) == [401]


async def test_clients_without_an_address_are_counted_too(api, key):
    async with of(api, None) as local:
        assert await statuses(local, *[WRONG] * 4, key) == [401, 401, 401, 429, 200]


async def test_a_name_like_an_address_is_counted_separately(start, settings):
    limited = settings.model_copy(update={"rate_limit": "3/hour"})
    named = bearing(issue(settings.keys_file, "127.0.0.1", Scope.READ))
    async with start(limited) as api:
        assert await statuses(api, *[WRONG] * 4, *[named] * 3) == [401] * 3 + [429] + [200] * 3


async def test_a_flood_makes_no_redis_calls_and_takes_bounded_memory(api, connection, monkeypatch):
    monkeypatch.setattr(failed_attempts, "MAX_REMEMBERED", 2)
    await statuses(api, *[WRONG] * 4)
    before = connection.info("stats")["total_commands_processed"]
    assert await statuses(api, *[WRONG] * 20) == [429] * 20
    assert connection.info("stats")["total_commands_processed"] - before < 5
    for number in range(5):
        async with of(api, f"192.0.2.{number}") as elsewhere:
            assert await statuses(elsewhere, *[WRONG] * 4) == [401, 401, 401, 429]
    limit = api._transport.app.state.services.guard.wrong_keys
    assert len(limit._refused_until) <= 2


async def test_the_limit_can_be_switched_off(start, settings):
    async with start(settings.model_copy(update={"wrong_keys_limit": "off"})) as api:
        assert await statuses(api, *[WRONG] * 5) == [401] * 5


async def test_without_redis_a_wrong_key_is_still_wrong(start, settings):
    nowhere = settings.model_copy(update={"redis_url": "unix:///nowhere/redis.sock"})
    async with start(nowhere) as api:
        assert await statuses(api, *[WRONG] * 5) == [401] * 5


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, "unknown"),
        ("_hidden", "unknown"),
    ],
)
def test_addresses_of_one_client_are_normalized_to_one(host, counted):
    assert normalized_address(host) == counted

"""The rate limit of a name, across all API processes."""

import pytest

from service.api.auth.keys import Scope
from service.infra.settings.api import ApiSettings
from tests.api.auth.keyholders import bearing, issue


@pytest.fixture
def keys_file(tmp_path):
    path = tmp_path / "keys.jsonl"
    issue(path, "root", Scope.ADMIN)
    return path


@pytest.fixture
def settings(settings, keys_file) -> ApiSettings:
    """Sets a window of an hour, longer than any test."""
    return settings.model_copy(update={"keys_file": keys_file, "rate_limit": "3/hour"})


async def test_a_request_above_the_limit_is_refused_with_retry_after(api, refused, keys_file):
    headers = bearing(issue(keys_file, "clinic", Scope.READ))
    answers = [await api.get("/v1/models", headers=headers) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
    problem = refused(answers[3], 429, "rate_limited")
    assert problem["accepted"] == "3 per 1 hour"
    for answer in answers:
        assert answer.headers["ratelimit-limit"] == "3"
        assert 0 < int(answer.headers["ratelimit-reset"]) <= 3600
    assert answers[3].headers["retry-after"] == answers[3].headers["ratelimit-reset"]


async def test_all_processes_and_all_keys_of_a_name_count_together(start, settings, keys_file):
    keys = [bearing(issue(keys_file, "clinic", Scope.READ)) for _ in range(2)]
    async with start(settings) as one, start(settings) as other:
        for api, key in ((one, keys[0]), (other, keys[1]), (one, keys[1])):
            assert (await api.get("/v1/models", headers=key)).status_code == 200
        assert (await other.get("/v1/models", headers=keys[0])).status_code == 429


async def test_each_name_has_its_own_limit_and_open_routes_do_not_count(api, keys_file):
    busy, calm = (bearing(issue(keys_file, name, Scope.READ)) for name in ("busy", "calm"))
    for _ in range(4):
        await api.get("/v1/models", headers=busy)
        assert (await api.get("/healthz/live", headers=busy)).status_code == 200
    assert (await api.get("/v1/models", headers=busy)).status_code == 429
    assert (await api.get("/v1/models", headers=calm)).headers["ratelimit-remaining"] == "2"


async def test_the_limit_can_be_switched_off(start, settings, keys_file):
    async with start(settings.model_copy(update={"rate_limit": "off"})) as api:
        headers = bearing(issue(keys_file, "clinic", Scope.READ))
        for _ in range(5):
            answer = await api.get("/v1/models", headers=headers)
            assert answer.status_code == 200
            assert "ratelimit-limit" not in answer.headers


async def test_without_redis_the_problem_says_so(start, settings, mortal_redis, refused):
    keys_file = settings.keys_file
    headers = bearing(issue(keys_file, "clinic", Scope.READ))
    async with start(settings.model_copy(update={"redis_url": mortal_redis.url})) as api:
        assert (await api.get("/v1/methods", headers=headers)).status_code == 200
        mortal_redis.stop()
        answer = await api.get("/v1/methods", headers=headers)
        refused(answer, 503, "redis_unavailable")
        assert answer.headers["retry-after"]
        mortal_redis.start()
        assert (await api.get("/v1/methods", headers=headers)).status_code == 200


@pytest.mark.parametrize("text", ["600", "0/minute", "-1/minute", "1/fortnight", "no", "1/minute;"])
def test_an_invalid_limit_is_refused_at_start(text):
    with pytest.raises(ValueError, match="rate_limit"):
        ApiSettings(rate_limit=text)

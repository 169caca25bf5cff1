"""An explanation is kept as long as its request says, else its key, else the server."""

import pytest

from service.api.auth.keys import Scope, new_key
from service.api.auth.keys_file import change_keys
from service.jobs.redis_keys import EXPIRY
from tests.api.auth.keyholders import bearing

URL = "/v1/explanations"
DAY = 86400


@pytest.fixture
def keys(tmp_path):
    """Adds a key with this retention; its headers."""

    def add(name, retention_s):
        token, key = new_key(name, [Scope.EXPLAIN], retention_s)
        change_keys(tmp_path / "keys.jsonl", lambda present: [*present, key])
        return bearing(token)

    return add


def kept_s(state, connection):
    assert connection.zscore(EXPIRY, state.id) == pytest.approx(state.expires_at)
    return state.expires_at - state.finished_at


async def test_a_request_may_be_kept_for_less(ask, served, fake_worker, connection, refused):
    made = await ask(retention_s=100)
    assert made.json()["settings"]["retention_s"] == 100
    assert kept_s(fake_worker.succeed(made.json()["id"]), connection) == pytest.approx(100)
    again = await ask(retention_s=200)  # from the cache
    assert again.json()["cached_from"] == made.json()["id"]
    assert kept_s(fake_worker.read(again.json()["id"]), connection) == pytest.approx(200)
    usual = await ask(headers={"Cache-Control": "no-cache"})
    assert kept_s(fake_worker.succeed(usual.json()["id"]), connection) == pytest.approx(7 * DAY)


async def test_a_request_may_not_be_kept_for_more(ask, refused):
    problem = refused(await ask(retention_s=7 * DAY + 1), 422, "invalid_settings")
    assert problem["field"] == "settings.retention_s"
    assert problem["accepted"] == {"minimum": 1, "maximum": 7 * DAY}
    refused(await ask(retention_s=0), 422, "invalid_settings")


async def test_a_canceled_one_is_kept_as_long(ask, served, fake_worker, connection):
    id_ = (await ask(retention_s=100)).json()["id"]
    await served.post(f"{URL}/{id_}/cancel")
    assert kept_s(fake_worker.read(id_), connection) == pytest.approx(100)


async def test_a_key_has_its_own_retention(
    start, settings, fake_worker, new_card, photo, keys, tmp_path, connection, refused
):
    brief, long, plain = keys("brief", 50), keys("long", 30 * DAY), keys("plain", None)
    fake_worker.announce(new_card())
    async with start(settings.model_copy(update={"keys_file": tmp_path / "keys.jsonl"})) as api:

        async def ask(headers, **asked):
            parts = {"image": photo, "settings": (None, str(asked).replace("'", '"'))}
            return await api.post(URL, files=parts, headers=headers)

        for headers, expected in ((brief, 50), (long, 30 * DAY), (plain, 7 * DAY)):
            id_ = (await ask(headers)).json()["id"]
            assert kept_s(fake_worker.succeed(id_), connection) == pytest.approx(expected)
        problem = refused(await ask(brief, retention_s=51), 422, "invalid_settings")
        assert "the key brief" in problem["detail"]
        id_ = (await ask(long, retention_s=20 * DAY)).json()["id"]
        assert kept_s(fake_worker.read(id_), connection) == pytest.approx(20 * DAY)

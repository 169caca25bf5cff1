"""Requests repeated with the same Idempotency-Key."""

import asyncio

import pytest

URL = "/v1/explanations"


@pytest.fixture
def ask(ask):
    """Sends a request with a key."""

    async def post(key="k-1", **options):
        return await ask(headers={"Idempotency-Key": key}, **options)

    return post


async def test_the_same_request_gives_the_same_explanation(ask, served, fake_worker):
    first = await ask(seed=1)
    again = await ask(seed=1)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    assert first.headers["location"] == again.headers["location"]
    assert len((await served.get(URL)).json()["items"]) == 1
    fake_worker.succeed(first.json()["id"])
    done = await ask(seed=1)
    assert (done.status_code, done.json()["status"]) == (200, "succeeded")


async def test_equivalent_settings_are_the_same_request(ask):
    assert (await ask(seed=0)).json()["id"] == (await ask()).json()["id"]


async def test_another_request_with_the_same_key_is_refused(ask, refused, new_photo):
    await ask()
    refused(await ask(seed=1), 422, "idempotency_mismatch")
    refused(await ask(picture=new_photo(61, 40)), 422, "idempotency_mismatch")


async def test_another_key_is_another_explanation(ask):
    assert (await ask("k-1")).json()["id"] != (await ask("k-2")).json()["id"]


async def test_concurrent_requests_make_one_explanation(ask, served, tmp_path):
    answers = await asyncio.gather(*(ask() for _ in range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(list((tmp_path / "store" / "explanations").rglob("image"))) == 1
    assert len((await served.get(URL)).json()["items"]) == 1


async def test_a_refused_request_leaves_its_key_free(ask, refused):
    refused(await ask(model="none"), 422, "unknown_model")
    refused(await ask(picture=b"no picture"), 415, "unsupported_media_type")
    assert (await ask()).status_code == 202


async def test_a_key_is_kept_for_the_configured_time(ask, connection, settings):
    await ask()
    [key] = connection.keys("shapshot:idempotency:*")
    assert settings.idempotency_s - 60 < connection.ttl(key) <= settings.idempotency_s


async def test_the_key_of_a_deleted_explanation_is_gone(ask, served, refused):
    document = (await ask()).json()
    await served.delete(document["links"]["self"])
    refused(await ask(), 410, "gone")


@pytest.mark.parametrize("key", ["x" * 256, "with space", "tab\t"])
async def test_an_invalid_key_is_refused(ask, refused, key):
    assert refused(await ask(key), 400, "bad_request")["field"] == "Idempotency-Key"


async def test_a_key_reaches_redis_only_as_a_hash(ask, connection):
    await ask("secret-key")
    assert list(connection.scan_iter("*secret-key*")) == []

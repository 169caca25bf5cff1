"""Webhooks over HTTP: adding, changing, rotating, testing and replaying, each owner its own."""

import asyncio
import json
import re
from ipaddress import ip_network

import pytest

from service.api.auth.keys import Scope
from service.api.webhooks.secrets import new_secret, public_key
from tests.api.auth.keyholders import bearing, issue, routes
from tests.api.outbound.receivers import receiving
from tests.api.webhooks.conftest import eventually

URL = "http://127.0.0.1:1/hook"
WANTED = {"url": URL, "events": ["explanation.canceled"]}
OF_ONE = [each for each in routes() if each[1].startswith("/v1/webhooks/")]


@pytest.fixture
def settings(settings):
    return settings.model_copy(
        update={"outbound_allow": (ip_network("127.0.0.0/8"),), "webhooks_per_key": 3}
    )


@pytest.fixture
def add(api):
    async def added(headers=None, **more):
        answer = await api.post("/v1/webhooks", json=WANTED | more, headers=headers)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return added


async def test_a_webhook_shows_its_secret_once(api, add):
    made = await add(description="for the ward")
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", made.pop("secret"))
    assert made["enabled"]
    assert made["description"] == "for the ward"
    assert (await api.get(f"/v1/webhooks/{made['id']}")).json() == made
    assert (await api.get("/v1/webhooks")).json() == {"items": [made]}


async def test_a_secret_may_be_given(add):
    secret, private = new_secret("v1"), new_secret("v1a")
    assert (await add(secret=secret))["secret"] == secret
    made = await add(secret=private)
    assert (made["secret"], made["public_key"]) == (None, public_key(private))
    assert (made["signature"], (await add(signature="v1a"))["signature"]) == ("v1a", "v1a")


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"url": "http://10.0.0.1/"}, "url", "private"),
        ({"url": "http://169.254.169.254/latest/"}, "url", "link-local"),
        ({"url": "https://ann:pw@a.example/"}, "url", "no user name"),
        ({"url": "http://0x7f.1/"}, "url", "four decimal"),
        ({"url": "https://nowhere.invalid/"}, "url", "does not resolve"),
        ({"url": "https://a.example/" + "x" * 2000}, "url", "at most 2000"),
        ({"events": []}, "events", "at least 1"),
        ({"events": ["explanation.done"]}, "events.0", "explanation.succeeded"),
        ({"secret": "x"}, "secret", "begins with whsec_"),
        ({"secret": "whsec_" + "A" * 43, "signature": "v1a"}, "secret", "is for v1"),
        ({"signature": "v2"}, "signature", "v1a"),
        ({"more": 1}, "more", "unknown field"),
    ],
)
async def test_what_is_wrong_with_a_webhook_is_named(api, refused, change, field, said):
    answer = await api.post("/v1/webhooks", json=WANTED | change)
    problem = refused(answer, 422, "invalid_parameter")
    assert problem["field"] == field
    assert said in problem["detail"] + json.dumps(problem["accepted"])
    assert (await api.get("/v1/webhooks")).json() == {"items": []}


async def test_a_refused_secret_is_not_repeated(api):
    answer = await api.post("/v1/webhooks", json=WANTED | {"secret": "hunter2"})
    assert "hunter2" not in answer.text


async def test_a_key_may_have_a_limited_number(api, refused, add):
    for _ in range(3):
        await add()
    answer = await api.post("/v1/webhooks", json=WANTED)
    assert refused(answer, 409, "too_many_webhooks")["accepted"] == {"maximum": 3}


async def test_a_webhook_is_changed_disabled_and_enabled(api, add, refused):
    made = await add()
    path = f"/v1/webhooks/{made['id']}"
    changed = (await api.patch(path, json={"events": ["batch.finished"]})).json()
    assert (changed["events"], changed["url"]) == (["batch.finished"], URL)
    off = (await api.patch(path, json={"enabled": False})).json()
    assert (off["enabled"], off["disabled_for"]) == (False, "its owner disabled it")
    kept = (await api.patch(path, json={"description": "x"})).json()
    assert (kept["enabled"], kept["description"]) == (False, "x")
    refused(await api.post(f"{path}/test"), 409, "webhook_disabled")
    assert (await api.patch(path, json={"enabled": True})).json()["enabled"]
    problem = refused(await api.patch(path, json={"url": "ftp://a/"}), 422, "invalid_parameter")
    assert problem["field"] == "url"
    assert (await api.delete(path)).status_code == 204
    refused(await api.get(path), 404, "not_found")


async def test_both_secrets_sign_while_one_is_replaced(api, add, connection):
    async with receiving() as receiver:
        made = await add(url=receiver.url)
        path = f"/v1/webhooks/{made['id']}"
        rotated = (await api.post(f"{path}/rotate")).json()
        assert rotated["secret"] != made["secret"]
        assert (await api.post(f"{path}/test")).status_code == 202
        await eventually(lambda: receiver.received)
        signatures = receiver.received[0].headers["webhook-signature"].split(" ")
        assert [each[:3] for each in signatures] == ["v1,", "v1,"]
        rotated = (await api.post(f"{path}/rotate", json={"signature": "v1a"})).json()
        assert (rotated["secret"], rotated["public_key"][:5]) == (None, "whpk_")


async def test_an_event_is_delivered_listed_and_replayed(served, add, ask, refused):
    async with receiving() as receiver:
        made = await add(url=receiver.url)
        path = f"/v1/webhooks/{made['id']}/deliveries"
        explanation = (await ask(metadata={"patient": "7"})).json()
        await served.post(f"/v1/explanations/{explanation['id']}/cancel")
        await eventually(lambda: receiver.received)
        delivery_id = receiver.received[0].headers["webhook-id"]
        replay = f"{path}/{delivery_id}/replay"
        assert (await served.post(replay)).json()["status"] == "pending"
        await eventually(lambda: len(receiver.received) == 2)
    assert {each.headers["webhook-id"] for each in receiver.received} == {delivery_id}
    message = json.loads(receiver.received[0].body)
    assert message["data"]["metadata"] == {"patient": "7"}
    [found] = (await served.get(path)).json()["items"]
    assert (found["id"], found["subject"]) == (delivery_id, explanation["id"])
    assert found["attempts"][0]["status_code"] == 204
    assert (await served.get(path, params={"status": "failed"})).json() == {"items": []}
    refused(await served.get(path, params={"limit": 0}), 422, "invalid_parameter")
    refused(await served.post(f"{path}/msg_{'0' * 32}/replay"), 404, "not_found")


# --- Requests that are sent again


@pytest.fixture
def send(api):
    """Posts with an Idempotency-Key; the answer."""

    async def sent(path="/v1/webhooks", key="k-1", **json):
        return await api.post(path, json=json or None, headers={"Idempotency-Key": key})

    return sent


async def test_a_webhook_that_is_asked_for_again_is_the_first_one_with_its_secret(
    api, send, refused
):
    first, again = await send(**WANTED), await send(**WANTED)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert first.json()["secret"]
    assert len((await api.get("/v1/webhooks")).json()["items"]) == 1
    refused(await send(**WANTED, description="x"), 422, "idempotency_mismatch")
    assert (await send(**WANTED, key="k-2")).json()["id"] != first.json()["id"]


async def test_equal_requests_at_once_make_one_webhook_and_one_secret(api, send):
    answers = await asyncio.gather(*(send(**WANTED) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({(each.json()["id"], each.json()["secret"]) for each in answers}) == 1
    assert len((await api.get("/v1/webhooks")).json()["items"]) == 1
    path = f"/v1/webhooks/{answers[0].json()['id']}/rotate"
    answers = await asyncio.gather(*(send(path, "k-2") for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({each.json()["secret"] for each in answers}) == 1


async def test_an_invalid_key_makes_no_webhook(api, send, refused):
    problem = refused(await send(key="with space", **WANTED), 400, "bad_request")
    assert problem["field"] == "Idempotency-Key"
    assert (await api.get("/v1/webhooks")).json() == {"items": []}


async def test_a_secret_that_was_replaced_is_not_shown_for_another(api, send, refused):
    made = (await send(**WANTED)).json()
    path = f"/v1/webhooks/{made['id']}"
    rotated = (await send(f"{path}/rotate", "k-2")).json()
    assert (await send(f"{path}/rotate", "k-2")).json()["secret"] == rotated["secret"]
    assert (await send(**WANTED)).json()["secret"] == made["secret"]  # it still signs along
    for _ in range(3):
        await api.post(f"{path}/rotate")
    refused(await send(**WANTED), 410, "gone")
    await api.delete(path)
    refused(await send(**WANTED), 410, "gone")
    refused(await send(f"{path}/rotate", "k-2"), 404, "not_found")


async def test_a_test_or_replay_that_is_asked_for_again_is_delivered_once(api, add, send, refused):
    async with receiving() as receiver:
        path = f"/v1/webhooks/{(await add(url=receiver.url))['id']}"
        [delivery] = {
            answer.json()["id"]
            for answer in await asyncio.gather(*(send(f"{path}/test") for _ in range(4)))
        }
        await eventually(lambda: receiver.received)
        replay = f"{path}/deliveries/{delivery}/replay"
        refused(await send(replay), 422, "idempotency_mismatch")
        await send(replay, "k-2")
        await eventually(lambda: len(receiver.received) == 2)
        again = await send(replay, "k-2")
        assert (again.status_code, again.json()["status"]) == (202, "delivered")
        await send(f"{path}/test", "k-3")
        await eventually(lambda: len(receiver.received) == 3)
    sent = [each.headers["webhook-id"] for each in receiver.received]
    assert sent[:2] == [delivery, delivery]
    assert sent[2] != delivery


# --- Owners


@pytest.fixture
def mine(keys_file):
    return bearing(issue(keys_file, "clinic", Scope.EXPLAIN))


@pytest.fixture
def theirs(keys_file):
    return bearing(issue(keys_file, "lab", Scope.EXPLAIN))


@pytest.fixture
def admins(keys_file):
    return bearing(issue(keys_file, "root", Scope.ADMIN))


@pytest.fixture
def auditors(keys_file):
    return bearing(issue(keys_file, "auditor", Scope.AUDITOR, Scope.EXPLAIN))


@pytest.fixture
async def locked(start, settings, keys_file, mine, theirs, admins, auditors):
    async with start(settings.model_copy(update={"keys_file": keys_file})) as api:
        yield api


@pytest.fixture
async def made(locked, mine):
    webhook = (await locked.post("/v1/webhooks", json=WANTED, headers=mine)).json()
    path = f"/v1/webhooks/{webhook['id']}"
    delivery = (await locked.post(f"{path}/test", headers=mine)).json()
    return {"webhook_id": webhook["id"], "delivery_id": delivery["id"]}


@pytest.mark.parametrize(("method", "path"), OF_ONE)
async def test_a_webhook_of_another_owner_does_not_exist(
    locked, refused, made, mine, theirs, admins, auditors, method, path
):
    where = path.format(**made)
    sent = {} if method in ("GET", "DELETE") else {"json": {}}
    refused(await locked.request(method, where, headers=theirs, **sent), 404, "not_found")
    seen = await locked.request(method, where, headers=auditors, **sent)
    assert seen.status_code == (200 if method == "GET" else 403)
    for headers in (mine, admins):
        answer = await locked.request(method, where, headers=headers, **sent)
        assert answer.status_code in (200, 202, 204, 404), answer.text
        if headers is mine:
            assert answer.status_code != 404


async def test_each_key_lists_its_own_and_auditors_all(locked, made, mine, theirs, auditors):
    counts = [
        len((await locked.get("/v1/webhooks", headers=headers)).json()["items"])
        for headers in (mine, theirs, auditors)
    ]
    assert counts == [1, 0, 1]


async def test_only_admins_are_told_of_all_owners(locked, refused, theirs, admins):
    wanted = WANTED | {"all_owners": True}
    answer = await locked.post("/v1/webhooks", json=wanted, headers=theirs)
    assert refused(answer, 403, "forbidden")["field"] == "all_owners"
    answer = await locked.post("/v1/webhooks", json=wanted, headers=admins)
    assert answer.json()["all_owners"]

"""Authentication: which keys are accepted, and what each scope permits."""

import os

import pytest

from service.api.auth.keys import Scope
from service.infra.settings.api import ApiSettings
from tests.api.auth.keyholders import bearing, issue, routes

OPEN = {"/", "/docs", "/openapi.json", "/static-offline-docs/swagger-ui.css"} | {
    "/healthz/live",
    "/healthz/ready",
    "/.well-known/jwks.json",
    "/web/app.js",
}
FILES = "/web/{path:path}"
GUARDED = [(method, path) for method, path in routes() if path not in OPEN | {FILES}]


@pytest.fixture
def keys_file(tmp_path):
    path = tmp_path / "keys.jsonl"
    issue(path, "somebody", Scope.ADMIN)
    return path


@pytest.fixture
def settings(settings, keys_file) -> ApiSettings:
    return settings.model_copy(update={"keys_file": keys_file})


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_every_route_needs_a_key(served, refused, method, path):
    for headers in ({}, bearing("shapshot_" + "a" * 43), {"X-API-Key": "wrong"}):
        answer = await served.request(method, path, headers=headers)
        if path.endswith(":explain"):  # errors of other protocols: see tests/api/facades
            assert answer.status_code == 401
            assert "error" in answer.json()
        else:
            refused(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", sorted(OPEN))
async def test_routes_that_reveal_no_explanation_are_open(served, path):
    assert (await served.get(path)).status_code == 200


async def test_a_key_learns_its_name_and_what_it_permits(start, served, settings, keys_file):
    token = issue(keys_file, "watch", Scope.AUDITOR)
    answer = await served.get("/v1/caller", headers=bearing(token))
    assert answer.json() == {"name": "watch", "scopes": ["auditor", "read"]}
    assert answer.headers["cache-control"] == "no-store"
    async with start(settings.model_copy(update={"keys_file": None})) as unlocked:
        answer = await unlocked.get("/v1/caller")
    assert answer.json() == {"name": None, "scopes": ["admin", "auditor", "explain", "read"]}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_a_key_is_accepted_in_either_header(served, keys_file, scheme):
    token = issue(keys_file, "clinic", Scope.READ)
    for headers in ({"Authorization": f"{scheme} {token}"}, {"X-API-Key": token}):
        assert (await served.get("/v1/explanations", headers=headers)).status_code == 200


async def test_two_different_keys_in_one_request_are_refused_and_not_echoed(
    served, refused, keys_file
):
    first, second = (issue(keys_file, name, Scope.READ) for name in ("clinic", "university"))
    both = bearing(first) | {"X-API-Key": second}
    refused(await served.get("/v1/explanations", headers=both), 400, "bad_request")
    assert (await served.get("/v1/explanations", headers=both | {"X-API-Key": first})).is_success


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic {token}"},
        {"Authorization": "{token}"},
        {"Authorization": "Bearer {token}x"},
        {"Authorization": "Bearer {token} {token}"},
        {"X-API-Key": ""},
        {"X-API-Key": "Bearer {token}"},
        {"Cookie": "X-API-Key={token}"},
    ],
    ids=str,
)
async def test_a_malformed_key_is_refused_and_not_echoed(served, refused, keys_file, headers):
    token = issue(keys_file, "clinic", Scope.READ)
    sent = {name: value.format(token=token) for name, value in headers.items()}
    answer = await served.get("/v1/explanations", headers=sent)
    refused(answer, 401, "unauthorized")
    assert token not in answer.text


async def test_a_key_in_the_url_does_not_count(served, refused, keys_file):
    token = issue(keys_file, "clinic", Scope.READ)
    refused(await served.get("/v1/methods", params={"api_key": token}), 401, "unauthorized")


async def test_the_key_is_checked_before_anything_else(served, refused):
    refused(await served.get("/v1/explanations?limit=x"), 401, "unauthorized")
    refused(await served.post("/v1/explanations", content=b"no form"), 401, "unauthorized")


async def test_a_reading_key_may_read_and_no_more(served, refused, keys_file, photo):
    headers = bearing(issue(keys_file, "viewer", Scope.READ))
    assert (await served.get("/v1/models", headers=headers)).status_code == 200
    assert (await served.head("/v1/models", headers=headers)).status_code == 200
    id_ = "exp_" + "0" * 32
    for method, path in (
        ("POST", "/v1/explanations"),
        ("POST", "/v1/batches"),
        ("POST", f"/v1/explanations/{id_}/cancel"),
        ("DELETE", f"/v1/explanations/{id_}"),
    ):
        answer = await served.request(method, path, headers=headers, files={"image": photo})
        problem = refused(answer, 403, "forbidden")
        assert "the scope explain" in problem["detail"]
        assert (problem["received"], problem["accepted"]) == (["read"], ["explain"])


async def test_an_explaining_key_may_read_too(served, keys_file, photo):
    headers = bearing(issue(keys_file, "clinic", Scope.EXPLAIN))
    created = await served.post("/v1/explanations", headers=headers, files={"image": photo})
    assert created.status_code == 202
    assert (await served.get(created.headers["location"], headers=headers)).status_code == 200


async def test_only_keys_that_see_everything_read_metrics_also_without_redis(
    start, settings, keys_file, refused, mortal_redis
):
    admin = bearing(issue(keys_file, "root", Scope.ADMIN))
    auditor = bearing(issue(keys_file, "watch", Scope.AUDITOR))
    async with start(settings.model_copy(update={"redis_url": mortal_redis.url})) as api:
        for scope in (Scope.READ, Scope.EXPLAIN):
            answer = await api.get("/metrics", headers=bearing(issue(keys_file, "clinic", scope)))
            assert refused(answer, 403, "forbidden")["accepted"] == ["auditor"]
        mortal_redis.stop()
        answers = [await api.get("/metrics", headers=headers) for headers in (admin, auditor)]
    for answer in answers:
        assert answer.status_code == 200
        assert "shapshot_redis_up 0.0" in answer.text


async def test_keys_change_without_a_restart(served, keys_file):
    old = issue(keys_file, "clinic", Scope.READ)
    assert (await served.get("/v1/models", headers=bearing(old))).status_code == 200
    new = issue(keys_file, "clinic", Scope.READ)
    for token in (old, new):
        assert (await served.get("/v1/models", headers=bearing(token))).status_code == 200
    keys_file.write_text(keys_file.read_text().splitlines()[-1])
    assert (await served.get("/v1/models", headers=bearing(old))).status_code == 401
    assert (await served.get("/v1/models", headers=bearing(new))).status_code == 200


@pytest.mark.parametrize("fault", ["broken", "gone", "others may write it"])
async def test_a_faulty_file_leaves_the_keys_unchanged_until_it_is_fixed(served, keys_file, fault):
    old = issue(keys_file, "clinic", Scope.READ)
    assert (await served.get("/v1/models", headers=bearing(old))).status_code == 200
    if fault == "gone":
        keys_file.unlink()
    elif fault == "others may write it":
        forged = issue(keys_file, "intruder", Scope.ADMIN)
        keys_file.chmod(0o666)
        assert (await served.get("/v1/models", headers=bearing(forged))).status_code == 401
    else:
        keys_file.write_text("{")
    assert (await served.get("/v1/models", headers=bearing(old))).status_code == 200
    assert (await served.get("/v1/models", headers=bearing("wrong"))).status_code == 401
    keys_file.touch(0o600)
    keys_file.chmod(0o600)
    keys_file.write_text("")
    new = issue(keys_file, "lab", Scope.READ)
    assert (await served.get("/v1/models", headers=bearing(new))).status_code == 200
    assert (await served.get("/v1/models", headers=bearing(old))).status_code == 401


async def test_an_emptied_file_admits_nobody(served, keys_file):
    token = issue(keys_file, "clinic", Scope.READ)
    assert (await served.get("/v1/models", headers=bearing(token))).status_code == 200
    os.truncate(keys_file, 0)
    assert (await served.get("/v1/models", headers=bearing(token))).status_code == 401

"""The log and the problems of a live server contain no secrets, whatever is requested."""

import base64

import httpx
import pytest
import redis

from service.api.auth.keys import Scope
from service.jobs.worker_registry import announce
from tests.api.auth.keyholders import bearing, issue
from tests.live import live_api

NOWHERE = "/v1/explanations/exp_" + "0" * 32


@pytest.fixture
def token(tmp_path) -> str:
    return issue(tmp_path / "keys.jsonl", "clinic", Scope.EXPLAIN)


def faulty_requests(token, photo):
    """Requests with errors, each with a secret that must not come back."""
    picture, text = {"image": ("SECRET.png", photo)}, base64.b64encode(photo).decode()
    key = bearing(token)
    return [
        ("GET", "/v1/models", {"headers": {"Authorization": token}}),
        ("GET", "/v1/models", {"headers": {"X-API-Key": f"{token}x"}}),
        ("GET", "/v1/models", {"params": {"api_key": token}}),
        ("POST", "/v1/explanations", {"headers": key, "files": picture}),
        ("POST", "/v1/explanations", {"headers": key, "files": {"image": photo[:200]}}),
        ("POST", "/v1/explanations", {"headers": key, "json": {"image": text[:-3]}}),
        ("POST", "/v1/explanations", {"headers": key, "json": {"picture": text}}),
        ("POST", "/v1/explanations", {"headers": key, "content": photo}),
        ("POST", "/v1/batches", {"headers": key, "files": picture | {"other": photo}}),
        ("GET", NOWHERE, {"headers": key}),
        ("GET", NOWHERE, {"headers": key, "params": {"token": token}}),
        ("PUT", NOWHERE, {"headers": key, "content": photo}),
    ]


def test_no_key_picture_or_stack_trace_is_logged_or_returned(
    settings, tmp_path, new_card, token, photo, mortal_redis
):
    with redis.Redis.from_url(mortal_redis.url) as connection:
        announce(connection, "hand", [new_card()], lease_s=600)
    settings = settings.model_copy(update={"redis_url": mortal_redis.url})
    keys_file = tmp_path / "keys.jsonl"
    with (
        live_api(settings, tmp_path, KEYS_FILE=str(keys_file), LOG_LEVEL="DEBUG") as api,
        httpx.Client(base_url=api.url, timeout=60) as client,
    ):
        requests = faulty_requests(token, photo)
        answers = [client.request(method, path, **more) for method, path, more in requests]
        other = issue(keys_file, "lab", Scope.READ)
        answers.append(client.get("/v1/models", headers=bearing(other)))
        keys_file.write_text(f'{{"name": "lab", "sha256": "{token}"}}\n')  # the key, not its hash
        answers.append(client.get("/v1/models", headers=bearing(other)))
        mortal_redis.stop()
        answers += [client.request(method, path, **more) for method, path, more in requests]
        statuses = {answer.status_code for answer in answers}
        assert {202, 400, 401, 404, 405, 415, 422, 503} <= statuses
    log = api.log.read_text()
    assert "keys file rejected, earlier keys stay valid" in log
    assert "Redis failed" in log
    told = log + "".join(answer.text + str(answer.headers) for answer in answers)
    picture = base64.b64encode(photo).decode()
    for secret in (token, other, picture[100:140], repr(photo[20:40])[2:-1]):
        assert secret not in told
    assert "SECRET" not in log  # the file name, which only its owner may see
    for trace in ("Traceback", 'File "', ".py"):
        assert trace not in told


def test_a_redis_that_wants_a_password_is_named_without_it(settings, tmp_path, mortal_redis):
    with redis.Redis.from_url(mortal_redis.url) as connection:
        connection.config_set("requirepass", "0123SECRET")
    socket = mortal_redis.url.removeprefix("unix://")
    settings = settings.model_copy(update={"redis_url": f"unix://:SECRET0123@{socket}"})
    with live_api(settings, tmp_path) as api:
        answer = httpx.get(f"{api.url}/v1/models")
        assert answer.status_code == 503
    assert "SECRET" not in api.log.read_text() + answer.text


HOSTILE = [
    "../../../../etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/etc/passwd",
    "....//....//etc/passwd",
    "exp_..%2f..%2fetc%2fpasswd",
    "%2fetc%2fpasswd",
    "exp_%00" + "0" * 31,
    "exp_" + "0" * 32 + "%0a",
    "exp_*",
    "C:%5cwindows%5cwin.ini",
]
TAKING_AN_ID = [
    "/v1/explanations/{}",
    "/v1/explanations/{}/attributions",
    "/v1/explanations/{}/heatmap.png",
    "/v1/explanations/{}/events",
    "/v1/batches/{}/attributions",
    "/v1/models/{}",
    "/static-offline-docs/{}",
]


@pytest.mark.parametrize("path", TAKING_AN_ID)
@pytest.mark.parametrize("hostile", HOSTILE)
async def test_no_path_leads_outside_the_app(served, path, hostile):
    for method in ("GET", "DELETE"):
        answer = await served.request(method, path.format(hostile))
        assert answer.status_code in (404, 405), answer.text
        assert "root:" not in answer.text


async def test_no_label_leads_outside_the_app(served, create, fake_worker, refused, photo):
    id_ = await create()
    fake_worker.succeed(id_)
    label = "../../../../etc/passwd"
    path = f"/v1/explanations/{id_}"
    for tail in ("attributions", "heatmap.png", "faithfulness"):
        answer = await served.get(f"{path}/{tail}", params={"output": label})
        assert answer.status_code in (404, 422), answer.text
    heatmap = await served.get(f"{path}/heatmap.png", params={"true_label": f'{label}"\r\nX: y'})
    assert heatmap.status_code in (200, 422)
    assert "passwd" not in str(heatmap.headers)
    settings = f'{{"outputs": {{"labels": ["{label}"]}}}}'
    parts = {"image": ("../../etc/passwd", photo), "settings": (None, settings)}
    refused(await served.post("/v1/explanations", files=parts), 422, "unknown_output")

"""Every error response is a problem document."""

import asyncio

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from service.api.http.problems import ApiError, problem_of
from service.api.http.statuses import STATUSES
from service.schemas.documents import ErrorCode
from tests.faulty_store import replace_by_file
from tests.outages import OUTAGES

URL = "/v1/explanations"


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_has_a_status_and_a_title(code):
    status, title = STATUSES[code]
    assert 400 <= status <= 599
    assert title


def test_a_problem_has_all_its_fields():
    problem = problem_of(ApiError(ErrorCode.UNKNOWN_MODEL, "no", "model", "x", ["y"]))
    assert problem.model_dump() == {
        "type": "urn:shapshot:problem:unknown_model",
        "title": "Unknown model",
        "status": 422,
        "code": "unknown_model",
        "detail": "no",
        "field": "model",
        "received": "x",
        "accepted": ["y"],
    }


def test_received_values_are_shortened():
    problem = problem_of(ApiError(ErrorCode.BAD_REQUEST, "no", "a", {"b": "c" * 1000}))
    assert isinstance(problem.received, str)
    assert len(problem.received) < 250


@pytest.mark.parametrize("path", ["/nothing", "/v1/explanations/", "/v1/models/", "/v2/models"])
async def test_an_unknown_path_is_not_found(api, refused, path):
    refused(await api.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", URL, "GET, HEAD, OPTIONS, POST"),
        ("PATCH", f"{URL}/exp_1", "DELETE, GET, HEAD, OPTIONS"),
        ("GET", f"{URL}/exp_1/cancel", "OPTIONS, POST"),
        ("POST", "/v1/models", "GET, HEAD, OPTIONS"),
        ("HEAD", f"{URL}/exp_1/cancel", "OPTIONS, POST"),
    ],
)
async def test_a_method_that_is_not_allowed_is_refused_with_the_allowed_ones(
    api, refused, method, path, allowed
):
    answer = await api.request(method, path)
    assert answer.headers["allow"] == allowed
    if method == "HEAD":
        assert answer.status_code == 405
    else:
        assert refused(answer, 405, "method_not_allowed")["accepted"] == allowed.split(", ")


async def test_options_returns_the_allowed_methods(api):
    answer = await api.options(URL)
    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")


async def test_head_responds_like_get_without_a_body(served, create):
    for path in ("/", "/v1/models", f"{URL}/{await create()}", f"{URL}/{await create()}/events"):
        head = await asyncio.wait_for(served.head(path), 10)
        assert (head.status_code, head.content) == (200, b"")
        assert "content-type" in head.headers


async def test_every_answer_carries_the_request_id(api):
    for path in ("/", "/nothing"):
        answer = await api.get(path, headers={"X-Request-ID": "abc-1"})
        assert answer.headers["x-request-id"] == "abc-1"
    for given in ("", "no spaces", "x" * 200):
        answer = await api.get("/", headers={"X-Request-ID": given})
        assert len(answer.headers["x-request-id"]) == 32


async def test_an_unexpected_error_is_a_problem_without_a_stack_trace(served, poisoned, refused):
    with capture_logs(processors=[merge_contextvars]) as logged:
        answer = await served.get(poisoned, headers={"X-Request-ID": "abc-1"})
    problem = refused(answer, 500, "internal")
    assert ("error", "abc-1") in [(line["log_level"], line["request_id"]) for line in logged]
    assert "abc-1" in problem["detail"]
    assert "Traceback" not in answer.text
    assert "secret" not in answer.text


async def test_a_large_json_response_is_compressed_for_clients_that_accept_it(served):
    packed = await served.get("/openapi.json", headers={"Accept-Encoding": "gzip"})
    plain = await served.get("/openapi.json", headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.json() == plain.json()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", URL),
        ("GET", f"{URL}/exp_{'0' * 32}"),
        ("POST", f"{URL}/exp_{'0' * 32}/cancel"),
        ("DELETE", f"{URL}/exp_{'0' * 32}"),
        ("GET", f"{URL}/exp_{'0' * 32}/events"),
        ("GET", "/v1/models"),
        ("GET", "/healthz/ready"),
    ],
)
async def test_without_redis_every_request_fails_soon(start, settings, refused, method, path):
    nowhere = settings.model_copy(update={"redis_url": "unix:///nowhere/redis.sock"})
    async with start(nowhere) as api:
        answer = await asyncio.wait_for(api.request(method, path), 10)
        refused(answer, 503, "redis_unavailable")
        assert "retry-after" in answer.headers
        assert "nowhere" not in answer.text


async def test_without_redis_routes_that_do_not_need_it_respond(start, settings, refused, photo):
    nowhere = settings.model_copy(update={"redis_url": "unix:///nowhere/redis.sock"})
    async with start(nowhere) as api:
        for path in ("/", "/healthz/live", "/v1/methods", "/openapi.json"):
            assert (await api.get(path)).status_code == 200
        answer = await api.post(URL, files={"image": ("p", photo)})
        refused(answer, 503, "redis_unavailable")


async def test_redis_may_come_back(start, settings, mortal_redis, refused):
    mortal = settings.model_copy(update={"redis_url": mortal_redis.url})
    async with start(mortal) as api:
        assert (await api.get(URL)).status_code == 200
        mortal_redis.stop()
        refused(await api.get(URL), 503, "redis_unavailable")
        await asyncio.to_thread(mortal_redis.start)
        assert (await api.get(URL)).status_code == 200


@pytest.mark.parametrize("code", OUTAGES)
async def test_a_redis_that_takes_no_writes_gives_503_with_the_reason(
    code, served, photo, refused, connection
):
    upload = {"image": ("p", photo)}
    with OUTAGES[code](connection):
        answer = await served.post(URL, files=upload)
        problem = refused(answer, 503, "redis_unavailable")
        assert problem["detail"].startswith("Redis ")
        assert "does not" not in problem["detail"]
        assert int(answer.headers["retry-after"]) > 0
        read = await served.get(URL)
    assert read.status_code == (503 if code == "MASTERDOWN" else 200)
    assert connection.llen("rq:queue:test") == 0
    assert (await served.post(URL, files=upload)).status_code == 202


async def test_a_permanent_error_of_redis_is_not_called_temporary(
    served, photo, refused, connection
):
    connection.set("rq:queue:test", "no list")
    problem = refused(
        await served.post(URL, files={"image": ("p", photo)}), 503, "redis_unavailable"
    )
    assert problem["detail"] == "Redis rejected the command"


async def test_an_error_of_the_store_is_reported_and_nothing_is_queued(
    served, photo, refused, tmp_path, connection
):
    replace_by_file(tmp_path / "store")
    answer = await served.post(URL, files={"image": ("p", photo)})
    refused(answer, 503, "store_unavailable")
    assert "retry-after" in answer.headers
    assert str(tmp_path) not in answer.text
    assert connection.llen("rq:queue:test") == 0

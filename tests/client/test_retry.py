"""When a request is repeated, and after how many seconds."""

import httpx
import pytest

from service.client.calls import Call
from service.client.retry import pause_before_retry

PROBLEM = {
    "type": "urn:shapshot:problem:busy",
    "title": "Server busy",
    "code": "busy",
    "detail": "it is busy",
    "field": None,
    "received": None,
    "accepted": None,
}


def error_of(status: int, *, problem: bool = True, **headers: str) -> Exception:
    """What a client raises for an answer."""
    kind = {"content-type": "application/problem+json"} if problem else {}
    response = httpx.Response(
        status,
        headers=kind | {name.replace("_", "-"): value for name, value in headers.items()},
        json=PROBLEM | {"status": status} if problem else None,
        request=httpx.Request("GET", "http://localhost"),
    )
    with pytest.raises(Exception) as raised:
        Call("GET", "/", lambda _: None).read(response)
    return raised.value


@pytest.mark.parametrize("problem", [True, False])
@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_retry_after_is_kept_to_or_else_pauses_grow(status, problem):
    told = error_of(status, problem=problem, retry_after="7")
    assert [pause_before_retry(told, attempt, 30) for attempt in (1, 5)] == [7, 7]
    untold = error_of(status, problem=problem)
    pauses = [pause_before_retry(untold, attempt, 30) for attempt in range(1, 7)]
    assert pauses == [0.5, 1, 2, 4, 8, 8]


def test_no_retry_is_made_that_would_take_longer_than_is_left():
    told = error_of(503, retry_after="7")
    assert pause_before_retry(told, 1, 7) == 7
    assert pause_before_retry(told, 1, 6.9) is None


@pytest.mark.parametrize(
    ("error", "repeated"),
    [
        (httpx.ConnectError(""), True),
        (httpx.ReadError(""), True),
        (httpx.RemoteProtocolError(""), True),
        (httpx.ReadTimeout(""), False),
        (error_of(422), False),
        (error_of(404), False),
        (error_of(500, problem=False), False),
    ],
)
def test_only_what_may_pass_is_repeated(error, repeated):
    assert (pause_before_retry(error, 1, 30) is not None) == repeated

"""Slow clients are cut off, and do not delay others meanwhile."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from tests.hostile import bombs
from tests.hostile.conftest import read_answer
from tests.hostile.wire import explain

MANY = 300  # connections; a process may have 1024 files open
HEAD = b"POST /v1/explanations HTTP/1.1\r\nHost: localhost\r\n"
BODY = HEAD + b"Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"


def problem_of(connection: socket.socket) -> tuple[int, str]:
    answer = read_answer(connection)
    assert answer.media_type == "application/problem+json"
    return answer.status, json.loads(answer.content)["code"]


def drip(connection: socket.socket) -> None:
    """Send a byte at intervals, until it is refused."""
    with suppress(OSError):
        while True:
            connection.sendall(b"x")
            time.sleep(0.1)


@contextmanager
def dripping(connection: socket.socket) -> Iterator[None]:
    """Send slowly, and read meanwhile; ends when the request is refused."""
    thread = threading.Thread(target=drip, args=(connection,))
    thread.start()
    yield
    thread.join()


def test_a_head_that_stops_is_cut_off(serve):
    api = serve(head_timeout_s=1)
    with api.connect() as connection:
        connection.sendall(HEAD)
        assert problem_of(connection) == (408, "request_timeout")


def test_a_head_that_drips_is_cut_off(serve):
    api = serve(head_timeout_s=1)
    with api.connect() as connection:
        connection.sendall(HEAD + b"X-A: ")
        with dripping(connection):
            assert problem_of(connection) == (408, "request_timeout")


def test_an_idle_connection_is_closed(serve):
    api = serve(head_timeout_s=1)
    with api.connect() as connection:
        assert connection.recv(1) == b""


def test_a_body_that_drips_is_cut_off_and_no_longer_read(serve):
    api = serve(body_patience_s=1, head_timeout_s=2)
    with api.connect() as connection:
        connection.sendall(BODY)
        with dripping(connection):
            assert problem_of(connection) == (408, "request_timeout")


def test_a_body_above_the_minimum_rate_is_accepted_past_the_timeout(serve):
    """Each chunk extends the time allowed for the rest."""
    api = serve(body_patience_s=1, min_upload_rate=1000)
    content = explain(bombs.photo())
    head, _, body = content.partition(b"\r\n\r\n")
    with api.connect() as connection:
        connection.sendall(head + b"\r\n\r\n")
        for start in range(0, len(body), 1000):
            connection.sendall(body[start : start + 1000])
            time.sleep(0.3)
        assert read_answer(connection).status == 202


def test_bytes_after_the_response_are_not_read_for_ever(serve):
    api = serve(head_timeout_s=1)
    with api.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")
        assert read_answer(connection).status == 200
        drip(connection)  # ends when refused


def test_hundreds_of_slow_clients_do_not_block_others(serve):
    api = serve(head_timeout_s=20, body_patience_s=20)
    with ExitStack() as stack:
        for number in range(MANY):
            slow = stack.enter_context(api.connect())
            slow.sendall(HEAD if number % 2 else BODY + b"x" * (number % 50))
        assert api.send(explain(bombs.photo())).status == 202
        assert api.resident_mb < 400


def test_a_request_that_stops_half_way_leaves_nothing(serve, connection):
    api = serve()
    content, before = explain(bombs.photo()), set(connection.keys())
    for length in range(1, len(content), len(content) // 40):
        with api.connect() as half:
            half.sendall(content[:length])
    assert api.send(explain(b"no picture")).status == 415
    assert set(connection.keys()) <= before | {b"shapshot:audit"}  # the start, noted meanwhile
    assert api.kept() == []
    assert "Traceback" not in api.log.read_text()

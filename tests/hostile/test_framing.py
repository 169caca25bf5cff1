"""Requests that a proxy and the API might end at different bytes."""

import re

from tests.hostile.conftest import read_answer

GET = b"GET /healthz/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /v1/explanations HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
BODY = b"0\r\n\r\n"


def test_an_ambiguous_request_is_refused_and_the_rest_not_read(serve):
    length = b"Content-Length: %d\r\n\r\n" % len(BODY + GET)
    with serve().connect() as connection:
        connection.sendall(POST + length + BODY + GET)
        assert read_answer(connection).status == 400
        assert connection.recv(1) == b""


def test_after_an_unambiguous_request_the_next_is_answered(serve):
    with serve().connect() as connection:
        connection.sendall(POST + b"\r\n" + BODY + GET)
        answers = b""
        while b"200 OK" not in answers and (more := connection.recv(65_536)):
            answers += more
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"415", b"200"]

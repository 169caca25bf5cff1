"""Clients that do not read responses are cut off, and cannot fill the server's memory."""

import json
import select
import socket
import time
from contextlib import ExitStack

import pytest

from service.infra.artifact_store import Store
from service.jobs.leases import Heartbeat
from service.jobs.records import JobSpec, ProgressCount
from service.jobs.redis_keys import new_id
from tests.conftest import wait_until
from tests.hostile.conftest import Api, explain, read_answer
from tests.ledger import Ledger

SHAPE = (224, 224, 3, 4)
VALUES_MB = 2.4
MOST_MB = 200


def ask(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


@pytest.fixture
def large(ledger: Ledger, store: Store, spec: JobSpec) -> str:
    """The path of an explanation with as many values as four outputs of a usual model have."""
    return f"/v1/explanations/{explain(ledger, store, spec, SHAPE)}"


def connect(api: Api, stack: ExitStack) -> socket.socket:
    """Connect with a small receive buffer, as the system would hold megabytes unread."""
    connection = stack.enter_context(socket.socket())
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", api.live.port))
    return connection


def cut_off(connection: socket.socket) -> bool:
    """Return whether the connection is reset, without reading from it."""
    poll = select.poll()
    poll.register(connection, 0)  # errors and hang-ups are always reported
    return bool(poll.poll(0))


def test_large_unread_responses_take_little_memory_and_end(serve, large):
    api = serve(answer_patience_s=1)
    before_mb = api.peak_mb
    with ExitStack() as stack:
        forms = ["json"] * 20 + ["npy"] * 5 + ["npz"] * 5
        connections = [connect(api, stack) for _ in forms]
        for form, connection in zip(forms, connections, strict=True):
            connection.sendall(ask(f"{large}/attributions?format={form}"))
        wait_until(lambda: all(map(cut_off, connections)), seconds=60)
    assert api.send(ask("/healthz/live")).status == 200
    assert api.peak_mb - before_mb < MOST_MB
    assert "client stopped reading its response" in api.log.read_text()


def test_pipelined_requests_and_unread_events_do_not_accumulate(serve, ledger, spec):
    api = serve(answer_patience_s=0.5)
    ledger.accept(id_ := new_id(), spec, timeout_s=60)
    attempt = ledger.begin(id_)
    assert attempt
    before_mb = api.peak_mb
    with ExitStack() as stack:
        many, stream = connect(api, stack), connect(api, stack)
        many.settimeout(1)
        with pytest.raises((TimeoutError, ConnectionResetError, BrokenPipeError)):
            many.sendall(ask("/openapi.json") * 100_000)
        stream.sendall(ask(f"/v1/explanations/{id_}/events"))
        while not cut_off(stream):
            ledger.heartbeat(Heartbeat(id_, attempt, ProgressCount(time.monotonic_ns(), 2**62)))
        wait_until(lambda: cut_off(many), seconds=60)
    assert api.peak_mb - before_mb < 60


def test_a_quiet_stream_and_a_slow_reader_are_not_cut_off(serve, large, ledger, spec):
    """Each piece that is read extends the time allowed for the next."""
    api = serve(answer_patience_s=1, min_answer_rate=100_000)
    ledger.accept(id_ := new_id(), spec, timeout_s=60)
    with api.connect() as stream, api.connect() as slow:
        stream.sendall(ask(f"/v1/explanations/{id_}/events"))
        slow.sendall(ask(f"{large}/attributions?format=npy"))
        received = 0
        while received < VALUES_MB * 1e6:
            received += len(slow.recv(100_000))
            time.sleep(0.1)
        ledger.cancel(id_)
        assert b"event: done" in read_answer(stream).content


def test_beyond_the_memory_budget_a_large_response_is_refused_until_another_is_read(serve, large):
    api = serve(max_answer_bytes=1_000_000, answer_patience_s=30)
    asked = ask(f"{large}/attributions?format=json")
    with ExitStack() as stack:
        unread = connect(api, stack)
        unread.sendall(asked)
        assert unread.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 200"  # all of it is in memory
        refused = api.send(asked)
        problem = json.loads(refused.content)
        assert (problem["code"], problem["status"]) == ("busy", 503)
        assert api.send(ask(large)).status == 200
        assert read_answer(unread).status == 200
        assert api.send(asked).status == 200

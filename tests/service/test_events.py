"""The stream of events, and the end of the process, in a real server."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from service.contract.ledger import Tick
from service.contract.records import Count
from service.contract.settings import Settings

URL = "/v1/explanations"


class Server:
    """`python -m service.api` as a process of its own."""

    def __init__(self, settings, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        given = settings.model_dump(exclude_none=True, include={"redis_url", "store_url", "queue"})
        environment = {f"SHAPSHOT_{name.upper()}": str(value) for name, value in given.items()}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "service.api"],
                env={**os.environ, **environment, "SHAPSHOT_PORT": str(port)},
                cwd=Path(__file__).parents[2],
                stdout=output,
                stderr=output,
            )
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        self._wait()

    def _wait(self) -> None:
        for _ in range(600):
            assert self.process.poll() is None, "the server ended"
            try:
                if self.http.get("/healthz/live").is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        raise AssertionError("the server does not answer")

    def close(self) -> None:
        self.http.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("api")


@pytest.fixture
def store_url(folder) -> str:
    return f"file:{folder}/store"


@pytest.fixture(scope="module")
def lasting_server(redis_server, folder):
    """One process for the tests that leave it running."""
    settings = Settings(redis_url=redis_server.url, store_url=f"file:{folder}/store", queue="test")
    found = Server(settings, folder / "api.log")
    yield found
    found.close()


@pytest.fixture
def server(lasting_server, hand, new_card):
    hand.announce(new_card())
    return lasting_server


@pytest.fixture
def mortal_server(settings, tmp_path, hand, new_card):
    hand.announce(new_card())
    found = Server(settings, tmp_path / "api.log")
    yield found
    found.close()


@pytest.fixture
def explanation_id(server, photo):
    return server.http.post(URL, files={"image": ("p", photo)}).json()["id"]


def events(lines):
    """The events of a stream: dictionaries of their fields."""
    event = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if not line and event:
            yield event
            event = {}
        elif line:
            name, _, value = line.partition(": ")
            event[name] = value


def test_a_stream_shows_the_document_then_each_change_and_ends(server, explanation_id, hand):
    with server.http.stream("GET", f"{URL}/{explanation_id}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        following = events(stream.iter_lines())
        seen = [next(following)]
        attempt = hand.begin(explanation_id)
        seen.append(next(following))
        hand.ledger.tick(Tick(explanation_id, attempt, Count(50, 100)))
        seen.append(next(following))
        hand.ledger.release(explanation_id, attempt)
        hand.succeed(explanation_id)
        seen += following
    documents = [json.loads(event["data"]) for event in seen]
    assert [document["status"] for document in documents[:3]] == ["queued", "running", "running"]
    assert documents[2]["progress"]["fraction"] == 0.5
    assert documents[-1]["status"] == "succeeded"
    assert [event["event"] for event in seen] == ["progress"] * (len(seen) - 1) + ["done"]
    versions = [int(event["id"]) for event in seen]
    assert versions == sorted(set(versions))
    assert documents[-1] == server.http.get(f"{URL}/{explanation_id}").json()


def test_a_stream_of_what_is_done_is_one_event(server, explanation_id, hand):
    hand.succeed(explanation_id)
    for last in ({}, {"Last-Event-ID": "0"}, {"Last-Event-ID": "no number"}):
        path = f"{URL}/{explanation_id}/events"
        with server.http.stream("GET", path, headers=last) as stream:
            [event] = events(stream.iter_lines())
        assert event["event"] == "done"


def test_a_client_that_has_seen_the_last_event_is_told_not_to_come_back(
    server, explanation_id, hand
):
    state = hand.succeed(explanation_id)
    headers = {"Last-Event-ID": str(state.version)}
    answer = server.http.get(f"{URL}/{explanation_id}/events", headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_stream_ends_when_its_explanation_is_deleted(server, explanation_id):
    with server.http.stream("GET", f"{URL}/{explanation_id}/events") as stream:
        following = events(stream.iter_lines())
        next(following)
        server.http.delete(f"{URL}/{explanation_id}")
        [last] = following
    assert last["event"] == "gone"
    assert json.loads(last["data"])["code"] == "not_found"


def test_head_of_a_stream_ends_at_once(server, explanation_id):
    answer = server.http.head(f"{URL}/{explanation_id}/events", timeout=10)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert server.http.get(f"{URL}/{explanation_id}").is_success  # on the same connection


def test_whoever_waits_is_answered_when_the_process_is_told_to_stop(mortal_server, photo):
    http, answers = mortal_server.http, {}
    path = http.post(URL, files={"image": ("p", photo)}).headers["location"]

    def wait():
        answers["wait"] = http.get(path, headers={"Prefer": "wait=60"}, timeout=60)

    def follow():
        with http.stream("GET", f"{path}/events", timeout=60) as stream:
            answers["events"] = list(events(stream.iter_lines()))

    threads = [threading.Thread(target=target) for target in (wait, follow)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    began = time.monotonic()
    mortal_server.process.send_signal(signal.SIGTERM)
    mortal_server.process.wait(30)
    assert time.monotonic() - began < 20
    for thread in threads:
        thread.join()
    assert answers["wait"].json()["status"] == "queued"
    assert [event["event"] for event in answers["events"]] == ["progress"]

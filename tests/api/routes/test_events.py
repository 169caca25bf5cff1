"""Event streams, and the shutdown of the process, in a real server."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from service.infra.settings.api import ApiSettings
from service.jobs.leases import Heartbeat, LeaseStatus
from service.jobs.records import ProgressCount
from service.jobs.scripts import EncodedPreview
from service.schemas.documents import Status
from tests.conftest import wait_until
from tests.live import live_api

URL = "/v1/explanations"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("api")


@pytest.fixture
def store_url(folder) -> str:
    return f"file:{folder}/store"


@pytest.fixture(scope="module")
def lasting_client(redis_server, folder):
    """A client of one process, for the tests that leave it running."""
    settings = ApiSettings(
        redis_url=redis_server.url, store_url=f"file:{folder}/store", queue="test"
    )
    with (
        live_api(settings, folder) as live,
        httpx.Client(base_url=live.url, timeout=30) as client,
    ):
        yield client


@pytest.fixture
def http(lasting_client, fake_worker, new_card):
    fake_worker.announce(new_card())
    return lasting_client


@pytest.fixture
def explanation_id(http, photo):
    return http.post(URL, files={"image": ("p", photo)}).json()["id"]


def events(lines):
    """Yields the events of a stream as dictionaries of their fields."""
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


def test_a_stream_shows_the_document_then_each_change_and_ends(http, explanation_id, fake_worker):
    with http.stream("GET", f"{URL}/{explanation_id}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["x-accel-buffering"] == "no"  # for nginx
        following = events(stream.iter_lines())
        seen = [next(following)]
        attempt = fake_worker.begin(explanation_id)
        seen.append(next(following))
        fake_worker.ledger.heartbeat(Heartbeat(explanation_id, attempt, ProgressCount(50, 100)))
        seen.append(next(following))
        fake_worker.ledger.release(explanation_id, attempt)
        fake_worker.succeed(explanation_id)
        seen += following
    documents = [json.loads(event["data"]) for event in seen]
    assert [document["status"] for document in documents[:3]] == ["queued", "running", "running"]
    assert documents[2]["progress"]["fraction"] == 0.5
    assert documents[-1]["status"] == "succeeded"
    assert [event["event"] for event in seen] == ["progress"] * (len(seen) - 1) + ["done"]
    versions = [int(event["id"]) for event in seen]
    assert versions == sorted(set(versions))
    assert documents[-1] == http.get(f"{URL}/{explanation_id}").json()


def test_the_stream_of_a_finished_explanation_is_one_event(http, explanation_id, fake_worker):
    fake_worker.succeed(explanation_id)
    for last in ({}, {"Last-Event-ID": "0"}, {"Last-Event-ID": "no number"}):
        path = f"{URL}/{explanation_id}/events"
        with http.stream("GET", path, headers=last) as stream:
            [event] = events(stream.iter_lines())
        assert event["event"] == "done"


def test_a_client_that_has_seen_the_last_event_is_kept_from_reconnecting(
    http, explanation_id, fake_worker
):
    state = fake_worker.succeed(explanation_id)
    headers = {"Last-Event-ID": str(state.version)}
    answer = http.get(f"{URL}/{explanation_id}/events", headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_stream_ends_when_its_explanation_is_deleted(http, explanation_id):
    with http.stream("GET", f"{URL}/{explanation_id}/events") as stream:
        following = events(stream.iter_lines())
        next(following)
        http.delete(f"{URL}/{explanation_id}")
        [last] = following
    assert last["event"] == "gone"
    assert json.loads(last["data"])["code"] == "not_found"


def test_head_of_a_stream_ends_at_once(http, explanation_id):
    answer = http.head(f"{URL}/{explanation_id}/events", timeout=10)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert http.get(f"{URL}/{explanation_id}").is_success  # on the same connection


def test_waiting_clients_are_answered_when_the_process_stops(
    settings, tmp_path, fake_worker, new_card, photo
):
    fake_worker.announce(new_card())
    with (
        live_api(settings, tmp_path) as live,
        httpx.Client(base_url=live.url, timeout=60) as http,
        ThreadPoolExecutor(1) as threads,
    ):
        path = http.post(URL, files={"image": ("p", photo)}).headers["location"]
        waiting = threads.submit(http.get, path, headers={"Prefer": "wait=60"})
        with http.stream("GET", f"{path}/events") as stream:
            following = events(stream.iter_lines())
            assert next(following)["event"] == "progress"
            under_way = "shapshot_http_requests_in_progress 3.0"  # including this request
            wait_until(lambda: under_way in http.get("/metrics").text, seconds=20)
            live.process.send_signal(signal.SIGTERM)
            live.process.wait(30)  # far less than the streams would take
            assert list(following) == []
        assert waiting.result().json()["status"] == "queued"


def test_a_stream_brings_previews_where_they_are_asked_for(http, explanation_id, fake_worker):
    path = f"{URL}/{explanation_id}/events"
    with (
        http.stream("GET", path, params={"previews": "true"}) as asked,
        http.stream("GET", path) as other,
    ):
        following = [events(stream.iter_lines()) for stream in (asked, other)]
        seen = [[next(each)] for each in following]
        attempt = fake_worker.begin(explanation_id)
        beat = Heartbeat(explanation_id, attempt)
        statuses = lambda: fake_worker.ledger.heartbeat(beat)  # noqa: E731
        wait_until(lambda: statuses() == [LeaseStatus.WATCHED], seconds=20)
        for evaluations in (20, 40, 40):  # the same again is not sent again
            preview = EncodedPreview(f'{{"evaluations": {evaluations}}}', evaluations)
            fake_worker.ledger.heartbeat(Heartbeat(explanation_id, attempt, preview=preview))
            while seen[0][-1].get("data") != preview.text:
                seen[0].append(next(following[0]))
        fake_worker.ledger.release(explanation_id, attempt)
        second = fake_worker.begin(explanation_id)
        count = ProgressCount(10, 100)
        fake_worker.ledger.heartbeat(Heartbeat(explanation_id, second, count))
        fake_worker.end(explanation_id, second, Status.SUCCEEDED)
        for each, found in zip(following, seen, strict=True):
            found += each
    brought = [event for event in seen[0] if event["event"] == "preview"]
    assert [json.loads(event["data"])["evaluations"] for event in brought] == [20, 40]
    assert all("id" not in event for event in brought)
    assert {event["event"] for event in seen[1]} == {"progress", "done"}
    answer = http.get(path, params={"previews": "perhaps"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_parameter")

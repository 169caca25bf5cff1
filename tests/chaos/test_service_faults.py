"""A request that was answered 202 ends once, and every other is answered, whatever fails below."""

import json
import signal
import socket

import httpx
import pytest

from service.jobs.redis_keys import key_of
from service.schemas.documents import ErrorCode
from tests.chaos.forkserver import Forked
from tests.chaos.service_harness import (
    LONG,
    QUICK,
    URL,
    Stage,
    end,
    fill_disk,
    free_disk,
    in_background,
    photo,
    refusal,
)
from tests.conftest import wait_until
from tests.outages import OUTAGES


def test_an_upload_whose_api_was_killed_leaves_nothing_and_may_be_sent_again(
    stage: Stage, api: Forked, worker: Forked
) -> None:
    known, stored = stage.connection.keys(key_of("*")), stage.files()
    body = b'--b\r\nContent-Disposition: form-data; name="image"; filename="p"\r\n\r\n' + photo()
    key = {"Idempotency-Key": "sent-again"}
    head = f"POST {URL} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body) + 9}\r\n"
    head += "Content-Type: multipart/form-data; boundary=b\r\nIdempotency-Key: sent-again\r\n\r\n"
    address = (stage.client.base_url.host, stage.client.base_url.port)
    with socket.create_connection(address) as upload:
        upload.sendall(head.encode() + body[: len(body) // 2])
        assert stage.status("/healthz/live") == 200
        end(api)
    assert (stage.connection.keys(key_of("*")), stage.files()) == (known, stored)
    assert worker.poll() is None
    stage.start_api()
    first, second = stage.ask(headers=key), stage.ask(headers=key)
    assert (first.status_code, first.json()["id"]) == (202, second.json()["id"])
    stage.wait(first.json()["id"], "succeeded")


def test_a_stream_whose_api_was_killed_is_taken_up_at_the_next(
    stage: Stage, api: Forked, worker: Forked
) -> None:
    running = stage.submit(LONG | {"max_evals": 80})
    heard: list[str] = []

    def listen() -> None:
        with pytest.raises(httpx.HTTPError):  # it broke off
            stage.follow(running, heard)

    listener = in_background(listen)
    wait_until(lambda: "running" in heard, seconds=20)
    end(api)
    listener.join(20)
    assert not listener.is_alive()
    stage.start_api()
    stage.follow(running, heard)
    assert heard[-1] == "succeeded"
    assert stage.document(running)["attempts"] == 1
    assert worker.poll() is None


@pytest.mark.usefixtures("worker")
def test_a_full_disk_refuses_uploads_and_keeps_nothing_half_written(
    stage: Stage, api: Forked
) -> None:
    stored = stage.files()
    fill_disk(api)
    refusal(stage.ask(), 503, ErrorCode.STORE_UNAVAILABLE)
    assert stage.files() == stored
    assert stage.connection.llen("rq:queue:chaos") == 0
    free_disk(api)
    stage.wait(stage.submit(), "succeeded")


def test_a_full_disk_fails_what_has_no_room_and_not_its_worker(
    stage: Stage, worker: Forked
) -> None:
    fill_disk(worker)
    failed = stage.submit()
    assert stage.wait(failed, "failed")["error"]["code"] == ErrorCode.STORE_UNAVAILABLE
    assert [path.name for path in stage.files() if failed in path.parts] == ["image"]
    free_disk(worker)
    assert stage.wait(stage.submit(), "succeeded")["attempts"] == 1
    assert worker.poll() is None


def test_a_disk_that_has_room_again_in_time_costs_nothing(stage: Stage, worker: Forked) -> None:
    fill_disk(worker)
    explanation_id = stage.submit()
    before = stage.logged("worker", b"trying again")
    wait_until(lambda: stage.logged("worker", b"trying again") > before, seconds=20)
    free_disk(worker)
    assert stage.wait(explanation_id, "succeeded")["attempts"] == 1


def test_a_store_that_refuses_is_a_reason_and_ends_nobody(
    stage: Stage, api: Forked, worker: Forked
) -> None:
    waiting = stage.submit(LONG | {"max_evals": 40})
    stage.wait(waiting, "running")
    with stage.without_store():
        assert stage.wait(waiting, "failed")["error"]["code"] == ErrorCode.STORE_UNAVAILABLE
        refusal(stage.ask(), 503, ErrorCode.STORE_UNAVAILABLE)
        refusal(stage.client.get("/healthz/ready"), 503, ErrorCode.STORE_UNAVAILABLE)
    stage.wait(stage.submit(), "succeeded")
    assert (api.poll(), worker.poll()) == (None, None)


def test_what_was_found_before_is_answered_when_no_worker_is_left(
    stage: Stage, worker: Forked
) -> None:
    cached = {"Cache-Control": "max-age=60"}
    known, other = QUICK | {"seed": 7}, QUICK | {"seed": 8}
    first = stage.submit(known)
    stage.wait(first, "succeeded")
    worker.send_signal(signal.SIGTERM)
    worker.wait(timeout=30)
    again = stage.ask(known, headers=cached)
    assert (again.status_code, again.headers["cache-status"]) == (200, "Shapshot; hit")
    assert again.json()["cached_from"] == first
    assert stage.client.get(again.json()["links"]["heatmap"]).status_code == 200
    shown = stage.client.get("/v1/models").json()["items"]
    assert {model["status"] for model in shown} == {"unavailable"}
    refusal(stage.ask(other, headers=cached), 503, ErrorCode.NO_WORKER)


def test_a_full_redis_refuses_what_is_new_and_loses_nothing(stage: Stage, worker: Forked) -> None:
    running = stage.submit(LONG | {"max_evals": 60})
    stage.wait(running, "running")
    waiting, canceled = stage.submit(), stage.submit()
    with OUTAGES["OOM"](stage.connection):
        for headers in ({}, {"Idempotency-Key": "of-a-full-redis"}):
            answer = stage.ask(headers=headers)
            refusal(answer, 503, ErrorCode.REDIS_UNAVAILABLE)
            assert "full" in answer.json()["detail"]
        stage.client.post(f"{URL}/{canceled}/cancel")
        assert stage.document(canceled)["status"] == "canceled"
        wait_until(lambda: stage.logged("worker", b"no job can be begun") > 0, seconds=30)
    for explanation_id in (running, waiting):
        assert stage.wait(explanation_id, "succeeded")["attempts"] == 1
    assert worker.poll() is None
    told = [stage.logged("worker", line) for line in (b"leases not renewed", b"no longer: leases")]
    assert told == [2, 1]  # when it began, and when it was over
    stage.wait_ready()
    again = stage.ask(headers={"Idempotency-Key": "of-a-full-redis"})
    stage.wait(again.json()["id"], "succeeded")


def test_no_picture_of_a_batch_goes_to_the_model_of_another(stage: Stage, worker: Forked) -> None:
    worker.send_signal(signal.SIGSTOP)
    files = [("image", ("p", photo(seed))) for seed in range(3)]
    settings = ("settings", (None, json.dumps(QUICK)))
    batch = stage.client.post("/v1/batches", files=[*files, settings]).json()
    ids = [each["id"] for each in batch["explanations"]]
    order = json.loads(stage.connection.hget(key_of(ids[1]), "order"))
    order["settings"]["model"] = "dozer"
    order["model"] = {"name": "dozer", "fingerprint": None, "parts": None}
    stage.connection.hset(key_of(ids[1]), "order", json.dumps(order))
    worker.send_signal(signal.SIGCONT)
    for each, shape in zip(ids, [(96, 96), (16, 24), (96, 96)], strict=True):
        stage.wait(each, "succeeded")
        found = stage.client.get(f"{URL}/{each}/attributions?format=json").json()
        assert tuple(found["shape"][:2]) == shape

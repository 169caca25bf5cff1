"""Whatever fails, every request gets a response, and what was accepted with 202 ends once."""

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
    ServiceHarness,
    end,
    fill_disk,
    free_disk,
    in_background,
    photo,
    refusal,
)
from tests.conftest import wait_until
from tests.outages import OUTAGES


def test_an_upload_interrupted_by_a_kill_of_the_api_leaves_nothing_and_may_be_repeated(
    service_harness: ServiceHarness, api: Forked, worker: Forked
) -> None:
    known, stored = service_harness.connection.keys(key_of("*")), service_harness.files()
    body = b'--b\r\nContent-Disposition: form-data; name="image"; filename="p"\r\n\r\n' + photo()
    key = {"Idempotency-Key": "sent-again"}
    head = f"POST {URL} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body) + 9}\r\n"
    head += "Content-Type: multipart/form-data; boundary=b\r\nIdempotency-Key: sent-again\r\n\r\n"
    address = (service_harness.client.base_url.host, service_harness.client.base_url.port)
    with socket.create_connection(address) as upload:
        upload.sendall(head.encode() + body[: len(body) // 2])
        assert service_harness.status("/healthz/live") == 200
        end(api)
    assert (service_harness.connection.keys(key_of("*")), service_harness.files()) == (
        known,
        stored,
    )
    assert worker.poll() is None
    service_harness.start_api()
    first, second = service_harness.ask(headers=key), service_harness.ask(headers=key)
    assert (first.status_code, first.json()["id"]) == (202, second.json()["id"])
    service_harness.wait(first.json()["id"], "succeeded")


def test_a_stream_continues_at_another_api_after_its_own_was_killed(
    service_harness: ServiceHarness, api: Forked, worker: Forked
) -> None:
    running = service_harness.submit(LONG | {"max_evals": 80})
    heard: list[str] = []

    def listen() -> None:
        with pytest.raises(httpx.HTTPError):  # the connection broke
            service_harness.follow(running, heard)

    listener = in_background(listen)
    wait_until(lambda: "running" in heard, seconds=20)
    end(api)
    listener.join(20)
    assert not listener.is_alive()
    service_harness.start_api()
    service_harness.follow(running, heard)
    assert heard[-1] == "succeeded"
    assert service_harness.document(running)["attempts"] == 1
    assert worker.poll() is None


@pytest.mark.usefixtures("worker")
def test_on_a_full_disk_uploads_are_refused_without_partial_files(
    service_harness: ServiceHarness, api: Forked
) -> None:
    stored = service_harness.files()
    fill_disk(api)
    refusal(service_harness.ask(), 503, ErrorCode.STORE_UNAVAILABLE)
    assert service_harness.files() == stored
    assert service_harness.connection.llen("rq:queue:chaos") == 0
    free_disk(api)
    service_harness.wait(service_harness.submit(), "succeeded")


def test_on_a_full_disk_a_job_fails_and_its_worker_goes_on(
    service_harness: ServiceHarness, worker: Forked
) -> None:
    fill_disk(worker)
    failed = service_harness.submit()
    assert service_harness.wait(failed, "failed")["error"]["code"] == ErrorCode.STORE_UNAVAILABLE
    assert [path.name for path in service_harness.files() if failed in path.parts] == ["image"]
    free_disk(worker)
    assert service_harness.wait(service_harness.submit(), "succeeded")["attempts"] == 1
    assert worker.poll() is None


def test_a_disk_that_has_room_again_in_time_fails_no_job(
    service_harness: ServiceHarness, worker: Forked
) -> None:
    fill_disk(worker)
    explanation_id = service_harness.submit()
    before = service_harness.logged("worker", b"store call failed; retrying")
    wait_until(
        lambda: service_harness.logged("worker", b"store call failed; retrying") > before,
        seconds=20,
    )
    free_disk(worker)
    assert service_harness.wait(explanation_id, "succeeded")["attempts"] == 1


def test_a_store_that_refuses_fails_jobs_with_the_reason_and_stops_no_process(
    service_harness: ServiceHarness, api: Forked, worker: Forked
) -> None:
    waiting = service_harness.submit(LONG | {"max_evals": 40})
    service_harness.wait(waiting, "running")
    with service_harness.without_store():
        assert (
            service_harness.wait(waiting, "failed")["error"]["code"] == ErrorCode.STORE_UNAVAILABLE
        )
        refusal(service_harness.ask(), 503, ErrorCode.STORE_UNAVAILABLE)
        refusal(service_harness.client.get("/healthz/ready"), 503, ErrorCode.STORE_UNAVAILABLE)
    service_harness.wait(service_harness.submit(), "succeeded")
    assert (api.poll(), worker.poll()) == (None, None)


def test_cache_hits_are_answered_without_any_worker(
    service_harness: ServiceHarness, worker: Forked
) -> None:
    cached = {"Cache-Control": "max-age=60"}
    known, other = QUICK | {"seed": 7}, QUICK | {"seed": 8}
    first = service_harness.submit(known)
    service_harness.wait(first, "succeeded")
    worker.send_signal(signal.SIGTERM)
    worker.wait(timeout=30)
    again = service_harness.ask(known, headers=cached)
    assert (again.status_code, again.headers["cache-status"]) == (200, "Shapshot; hit")
    assert again.json()["cached_from"] == first
    assert service_harness.client.get(again.json()["links"]["heatmap"]).status_code == 200
    shown = service_harness.client.get("/v1/models").json()["items"]
    assert {model["status"] for model in shown} == {"unavailable"}
    refusal(service_harness.ask(other, headers=cached), 503, ErrorCode.NO_WORKER)


def test_a_full_redis_refuses_new_requests_and_loses_nothing(
    service_harness: ServiceHarness, worker: Forked
) -> None:
    running = service_harness.submit(LONG | {"max_evals": 60})
    service_harness.wait(running, "running")
    waiting, canceled = service_harness.submit(), service_harness.submit()
    with OUTAGES["OOM"](service_harness.connection):
        for headers in ({}, {"Idempotency-Key": "of-a-full-redis"}):
            answer = service_harness.ask(headers=headers)
            refusal(answer, 503, ErrorCode.REDIS_UNAVAILABLE)
            assert "full" in answer.json()["detail"]
        service_harness.client.post(f"{URL}/{canceled}/cancel")
        assert service_harness.document(canceled)["status"] == "canceled"
        wait_until(
            lambda: service_harness.logged("worker", b"no job can be started") > 0, seconds=30
        )
    for explanation_id in (running, waiting):
        assert service_harness.wait(explanation_id, "succeeded")["attempts"] == 1
    assert worker.poll() is None
    told = [
        service_harness.logged("worker", line)
        for line in (b"leases not renewed", b"what='leases not renewed'")
    ]
    assert told == [2, 1]  # at its start and at its end
    service_harness.wait_ready()
    again = service_harness.ask(headers={"Idempotency-Key": "of-a-full-redis"})
    service_harness.wait(again.json()["id"], "succeeded")


def test_no_picture_of_a_batch_goes_to_the_model_of_another(
    service_harness: ServiceHarness, worker: Forked
) -> None:
    worker.send_signal(signal.SIGSTOP)
    files = [("image", ("p", photo(seed))) for seed in range(3)]
    settings = ("settings", (None, json.dumps(QUICK)))
    batch = service_harness.client.post("/v1/batches", files=[*files, settings]).json()
    ids = [each["id"] for each in batch["explanations"]]
    spec = json.loads(service_harness.connection.hget(key_of(ids[1]), "order"))
    spec["settings"]["model"] = "dozer"
    spec["model"] = {"name": "dozer", "fingerprint": None, "parts": None}
    service_harness.connection.hset(key_of(ids[1]), "order", json.dumps(spec))
    worker.send_signal(signal.SIGCONT)
    for each, shape in zip(ids, [(96, 96), (16, 24), (96, 96)], strict=True):
        service_harness.wait(each, "succeeded")
        found = service_harness.client.get(f"{URL}/{each}/attributions?format=json").json()
        assert tuple(found["shape"][:2]) == shape

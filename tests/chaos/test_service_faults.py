"""A request that was answered 202 ends once, and every other is answered, whatever fails below."""

import json
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from service.contract.names import key_of
from service.contract.schema import ErrorCode
from tests.chaos.stage import LONG, QUICK, URL, Stage, end, fill_disk, free_disk, photo
from tests.conftest import RedisServer, started, wait_until

NEED_NO_REDIS = {"/", "/healthz/live", "/v1/methods", "/metrics"}


@pytest.fixture(scope="module")
def shared_redis() -> Iterator[RedisServer]:
    yield from started(remembers=True)


@pytest.fixture(scope="module")
def stage(shared_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    found = Stage(tmp_path_factory.mktemp("stage"), shared_redis)
    yield found
    found.close()


@pytest.fixture
def api(stage: Stage) -> subprocess.Popen[bytes]:
    """The API, started again where the test before killed it."""
    return stage.living("api") or stage.start_api()


@pytest.fixture
def worker(stage: Stage, api: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
    """The one worker of the API, likewise."""
    process = stage.living("worker") or stage.start_worker()
    stage.wait_ready()
    return process


@contextmanager
def gone(server: RedisServer) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


def refusal(answer: httpx.Response, status: int, code: ErrorCode) -> None:
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert status != 503 or int(answer.headers["retry-after"]) > 0


def in_background(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def follow(stage: Stage, explanation_id: str, heard: list[str]) -> None:
    """Collect the statuses that its stream of events tells."""
    with stage.client.stream("GET", f"{URL}/{explanation_id}/events", timeout=60) as answer:
        for line in answer.iter_lines():
            if line.startswith("data:"):
                heard.append(json.loads(line.removeprefix("data:"))["status"])


@pytest.mark.usefixtures("worker")
def test_while_redis_is_gone_every_endpoint_says_so_and_then_answers_again(stage: Stage) -> None:
    done, running = stage.submit(QUICK), stage.submit(LONG | {"max_evals": 400})
    stage.wait(done, "succeeded")
    stage.wait(running, "running")
    heard: list[str] = []
    waited: list[httpx.Response] = []
    address, prefer = f"{URL}/{running}", {"Prefer": "wait=30"}
    listener = in_background(lambda: follow(stage, running, heard))
    waiter = in_background(lambda: waited.append(stage.client.get(address, headers=prefer)))
    wait_until(lambda: bool(heard), seconds=10)
    wanted = operations(stage)
    with gone(stage.redis):
        waiter.join(20)
        refusal(waited[0], 503, ErrorCode.REDIS_UNAVAILABLE)
        for method, path in wanted:
            answer = stage.client.request(method, path.replace("{explanation_id}", done))
            refusal(answer, 503, ErrorCode.REDIS_UNAVAILABLE)
        refusal(stage.ask(), 503, ErrorCode.REDIS_UNAVAILABLE)
    assert stage.document(done)["status"] == "succeeded"
    stage.wait(running, "succeeded")
    listener.join(20)
    assert heard[-1] == "succeeded"


def operations(stage: Stage) -> list[tuple[str, str]]:
    """Every operation that needs Redis and no body, from the API's own description."""
    described = stage.client.get("/openapi.json").json()["paths"]
    return [
        (method.upper(), with_ids(path, parameters))
        for path, methods in described.items()
        for method, parameters in methods.items()
        if path not in NEED_NO_REDIS and "requestBody" not in parameters
    ]


def with_ids(path: str, operation: dict[str, list[dict[str, object]]]) -> str:
    needed = [each["name"] for each in operation.get("parameters", []) if each.get("required")]
    query = f"?id=exp_{'0' * 32}&id=exp_{'1' * 32}" if "id" in needed else ""
    return path.replace("{batch_id}", f"batch_{'0' * 32}").replace("{name}", "sleeper") + query


def test_an_upload_whose_api_was_killed_leaves_nothing_and_may_be_sent_again(
    stage: Stage, api: subprocess.Popen[bytes], worker: subprocess.Popen[bytes]
) -> None:
    known, stored = stage.connection.keys(key_of("*")), stage.files()
    body = b'--b\r\nContent-Disposition: form-data; name="image"; filename="p"\r\n\r\n' + photo()
    key = {"Idempotency-Key": "sent-again"}
    head = f"POST {URL} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body) + 9}\r\n"
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
    stage: Stage, api: subprocess.Popen[bytes], worker: subprocess.Popen[bytes]
) -> None:
    running = stage.submit(LONG | {"max_evals": 200})
    heard: list[str] = []

    def listen() -> None:
        with pytest.raises(httpx.HTTPError):  # it broke off
            follow(stage, running, heard)

    listener = in_background(listen)
    wait_until(lambda: "running" in heard, seconds=20)
    end(api)
    listener.join(20)
    assert not listener.is_alive()
    stage.start_api()
    follow(stage, running, heard)
    assert heard[-1] == "succeeded"
    assert stage.document(running)["attempts"] == 1
    assert worker.poll() is None


@pytest.mark.usefixtures("worker")
def test_a_full_disk_refuses_uploads_and_keeps_nothing_half_written(
    stage: Stage, api: subprocess.Popen[bytes]
) -> None:
    stored = stage.files()
    fill_disk(api)
    refusal(stage.ask(), 503, ErrorCode.STORE_UNAVAILABLE)
    assert stage.files() == stored
    assert stage.connection.llen("rq:queue:chaos") == 0
    free_disk(api)
    stage.wait(stage.submit(), "succeeded")


def test_a_full_disk_fails_what_has_no_room_and_not_its_worker(
    stage: Stage, worker: subprocess.Popen[bytes]
) -> None:
    fill_disk(worker)
    failed = stage.submit()
    assert stage.wait(failed, "failed")["error"]["code"] == ErrorCode.STORE_UNAVAILABLE
    assert [path.name for path in stage.files() if failed in path.parts] == ["image"]
    free_disk(worker)
    assert stage.wait(stage.submit(), "succeeded")["attempts"] == 1
    assert worker.poll() is None


def test_a_disk_that_has_room_again_in_time_costs_nothing(
    stage: Stage, worker: subprocess.Popen[bytes]
) -> None:
    fill_disk(worker)
    explanation_id = stage.submit()
    log = stage.folder / "worker.log"
    before = log.read_bytes().count(b"trying again")
    wait_until(lambda: log.read_bytes().count(b"trying again") > before, seconds=20)
    free_disk(worker)
    assert stage.wait(explanation_id, "succeeded")["attempts"] == 1


def test_a_store_that_refuses_is_a_reason_and_ends_nobody(
    stage: Stage, api: subprocess.Popen[bytes], worker: subprocess.Popen[bytes]
) -> None:
    waiting = stage.submit(LONG | {"max_evals": 60})
    stage.wait(waiting, "running")
    with stage.without_store():
        assert stage.wait(waiting, "failed")["error"]["code"] == ErrorCode.STORE_UNAVAILABLE
        refusal(stage.ask(), 503, ErrorCode.STORE_UNAVAILABLE)
        refusal(stage.client.get("/healthz/ready"), 503, ErrorCode.STORE_UNAVAILABLE)
    stage.wait(stage.submit(), "succeeded")
    assert (api.poll(), worker.poll()) == (None, None)


@pytest.mark.usefixtures("worker")
def test_a_cancel_is_heard_within_a_batch_and_what_there_is_is_kept(stage: Stage) -> None:
    running = stage.submit(LONG)
    wait_until(lambda: stage.document(running)["progress"]["evaluations"] > 10, seconds=20)
    refusal(stage.client.delete(f"{URL}/{running}"), 409, ErrorCode.STILL_RUNNING)
    before = stage.client.post(f"{URL}/{running}/cancel").json()
    assert before["status"] == "canceling"
    refusal(stage.client.delete(f"{URL}/{running}"), 409, ErrorCode.STILL_RUNNING)
    ended = stage.wait(running, "canceled")
    assert ended["partial"] is True
    made = ended["progress"]["evaluations"] - before["progress"]["evaluations"]
    assert made < LONG["max_evals"] // 10
    assert stage.client.get(ended["links"]["attributions"] + "?format=npz").status_code == 200
    assert stage.client.delete(f"{URL}/{running}").status_code == 204
    assert not (stage.store / "explanations" / running).exists()


def test_what_was_found_before_is_answered_when_no_worker_is_left(
    stage: Stage, worker: subprocess.Popen[bytes]
) -> None:
    cached = {"Cache-Control": "max-age=60"}
    known, other = QUICK | {"seed": 7}, QUICK | {"seed": 8}
    first = stage.submit(known)
    stage.wait(first, "succeeded")
    worker.terminate()
    worker.wait(timeout=30)
    again = stage.ask(known, headers=cached)
    assert (again.status_code, again.headers["cache-status"]) == (200, "Shapshot; hit")
    assert again.json()["cached_from"] == first
    assert stage.client.get(again.json()["links"]["heatmap"]).status_code == 200
    shown = stage.client.get("/v1/models").json()["items"]
    assert {model["status"] for model in shown} == {"unavailable"}
    refusal(stage.ask(other, headers=cached), 503, ErrorCode.NO_WORKER)


def test_a_full_redis_refuses_what_is_new_and_loses_nothing(
    stage: Stage, worker: subprocess.Popen[bytes]
) -> None:
    running = stage.submit(LONG | {"max_evals": 60})
    stage.wait(running, "running")
    waiting, canceled = stage.submit(), stage.submit()
    with full(stage):
        for headers in ({}, {"Idempotency-Key": "of-a-full-redis"}):
            answer = stage.ask(headers=headers)
            refusal(answer, 503, ErrorCode.REDIS_UNAVAILABLE)
            assert "full" in answer.json()["detail"]
        stage.client.post(f"{URL}/{canceled}/cancel")
        assert stage.document(canceled)["status"] == "canceled"
        log = stage.folder / "worker.log"
        wait_until(lambda: b"Redis is full" in log.read_bytes(), seconds=30)
    for explanation_id in (running, waiting):
        assert stage.wait(explanation_id, "succeeded")["attempts"] == 1
    assert worker.poll() is None
    stage.wait_ready()
    assert stage.ask(headers={"Idempotency-Key": "of-a-full-redis"}).status_code == 202


@contextmanager
def full(stage: Stage) -> Iterator[None]:
    """Redis uses more than it may, and evicts nothing."""
    stage.connection.config_set("maxmemory", 2**20)
    try:
        yield
    finally:
        stage.connection.config_set("maxmemory", 0)


def test_no_picture_of_a_batch_goes_to_the_model_of_another(
    stage: Stage, worker: subprocess.Popen[bytes]
) -> None:
    worker.send_signal(signal.SIGSTOP)
    files = [("image", ("p", photo(seed))) for seed in range(3)]
    settings = ("settings", (None, json.dumps(QUICK)))
    batch = stage.client.post("/v1/batches", files=[*files, settings]).json()
    ids = [each["id"] for each in batch["explanations"]]
    order = json.loads(stage.connection.hget(key_of(ids[1]), "order"))
    order["settings"]["model"] = order["model"]["name"] = "dozer"
    stage.connection.hset(key_of(ids[1]), "order", json.dumps(order))
    worker.send_signal(signal.SIGCONT)
    for each, shape in zip(ids, [(96, 96), (16, 24), (96, 96)], strict=True):
        stage.wait(each, "succeeded")
        found = stage.client.get(f"{URL}/{each}/attributions?format=json").json()
        assert tuple(found["shape"][:2]) == shape

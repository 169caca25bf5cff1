"""Logs of live processes: JSON, joined by the id of a request, without secrets."""

import base64
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.api.auth.keys import Scope
from tests.api.auth.keyholders import bearing, issue
from tests.e2e.deployed import Deployed, deployed
from tests.e2e.pictures import SAMPLE

SECRETS = {"Proxy-Authorization": "Basic s3cr3t-of-a-client", "Cookie": "session=s3cr3t-cookie"}
NARROW = {"outputs": {"top": 1}, "max_evals": 100}


def ask(server: Deployed, **headers: str) -> httpx.Response:
    answer = httpx.post(
        f"{server.url}/v1/explanations?token=s3cr3t-of-a-query",
        files={"image": SAMPLE.read_bytes(), "settings": (None, json.dumps(NARROW))},
        headers={"Prefer": "wait=60", **SECRETS, **headers},
        timeout=90,
    )
    assert answer.status_code == 200, answer.text
    return answer


def only(lines: list[dict[str, Any]], **wanted: object) -> dict[str, Any]:
    [found] = [line for line in lines if wanted.items() <= line.items()]
    return found


def test_a_request_can_be_followed_through_the_logs_of_both(tmp_path: Path, redis_url: str) -> None:
    keys = tmp_path / "keys.jsonl"
    token = issue(keys, "auditors", Scope.EXPLAIN)
    with deployed(tmp_path, redis_url, SHAPSHOT_KEYS_FILE=str(keys)) as both:
        answer = ask(both, **bearing(token), **{"X-Request-ID": "case-A-17"})
        id_ = answer.json()["id"]
        url = f"{both.url}/v1/explanations/exp_none?api_key=s3cr3t-of-a-query"
        refused = httpx.get(url, headers=bearing(token))
        both.stop()
        api, worker = both.lines("api"), both.lines("worker")  # all of them are JSON
    assert answer.headers["X-Request-ID"] == "case-A-17"
    access = only(api, event="request", request_id="case-A-17")
    assert {name: access[name] for name in ("method", "route", "status", "id", "key")} == {
        "method": "POST",
        "route": "/v1/explanations",
        "status": 200,
        "id": id_,
        "key": "auditors",
    }
    assert access["ms"] > 0
    for event in ("explanation begun", "explanation ended"):
        line = only(worker, event=event, request_id="case-A-17")
        assert line["id"] == id_
        assert line["attempt"]
    problem = only(api, event="request", request_id=refused.headers["X-Request-ID"])
    assert problem["route"] == "/v1/explanations/{explanation_id}"
    assert (problem["status"], problem["problem"]) == (404, "not_found")
    assert {"uvicorn.error", "service.api.http.access_log"} <= {line["logger"] for line in api}
    assert all({"timestamp", "level", "event"} <= set(line) for line in (*api, *worker))
    said = both.text("api") + both.text("worker")
    assert "s3cr3t" not in said
    assert token not in said
    assert base64.b64encode(SAMPLE.read_bytes()[:30]).decode() not in said


@pytest.mark.parametrize("module", ["service.api", "worker.main"])
def test_an_outage_of_redis_is_logged_without_its_password(tmp_path: Path, module: str) -> None:
    environment = {
        **os.environ,
        "SHAPSHOT_REDIS_URL": "redis://default:s3cr3t-of-redis@127.0.0.1:1/0",
        "SHAPSHOT_STORE_URL": f"file:{tmp_path}",
        "SHAPSHOT_PORT": "0",
    }
    command = [sys.executable, "-u", "-m", module]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        heard = []
        for line in process.stderr:
            heard.append(line)
            if json.loads(line)["level"] == "warning":
                break
        process.send_signal(signal.SIGKILL)
        heard += process.stderr.readlines()
    assert "127.0.0.1:1" in "".join(heard) or "ConnectionError" in "".join(heard)
    assert "s3cr3t" not in "".join(heard)


def test_an_uncaught_error_is_a_line_of_json_too() -> None:
    program = (
        "import threading, warnings\n"
        "from service.infra.logging import configure_logging\n"
        "configure_logging(level='INFO', as_json=True)\n"
        "warnings.warn('take care')\n"
        "thread = threading.Thread(target=lambda: {}['in a thread'])\n"
        "thread.start(); thread.join()\n"
        "raise ValueError('at the end')\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    warning, thread, end = [json.loads(line) for line in ended.stderr.splitlines()]
    assert ended.returncode == 1
    assert "take care" in warning["event"]
    assert "KeyError: 'in a thread'" in thread["exception"]
    assert "ValueError: at the end" in end["exception"]

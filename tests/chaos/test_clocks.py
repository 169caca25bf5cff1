"""Machines with wrong clocks, each with an API and a worker, on one Redis and one store.

The slow part runs before the first test, on all machines at once.
"""

import base64
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from service.api.auth.keys import Scope
from service.evidence.keys import SigningKey
from tests.api.auth.keyholders import bearing, issue
from tests.chaos.queue_harness import beforehand
from tests.chaos.service_harness import LEASE_S, QUICK, URL, ServiceHarness, end
from tests.conftest import started, wait_until
from worker.verification import verify_bundle, verify_chain

DAY_S = 86400
AHEAD_S = {"quick": 60, "slow": -60, "future": 365 * DAY_S, "past": -365 * DAY_S}
KEPT_S = 7 * DAY_S  # less than the error of two of the clocks
SLACK_S = 2  # between this process's clock and Redis's, on one machine

Documents = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class World:
    """Machines, the explanation that each requested while all were busy, and when that was."""

    machines: Mapping[str, ServiceHarness]
    documents: Documents
    began_at: float
    ended_at: float


@beforehand
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("clocks")
    key = bearing(issue(folder / "keys", "audit", Scope.ADMIN))
    settings = {
        "STORE_URL": f"file:{folder}/store",
        "KEYS_FILE": folder / "keys",
        "RETENTION_S": KEPT_S,
        "LOG_JSON": "true",
        "SIGNING_KEY_FILE": folder / "key.pem",
        "RATE_LIMIT": "10000/minute",
    }
    SigningKey.create(folder / "key.pem")
    with ExitStack() as stay:
        redis_server = stay.enter_context(contextmanager(started)(remembers=False))
        machines = {
            name: ServiceHarness(folder / name, redis_server, settings, step_s=0.6, ahead_s=ahead_s)
            for name, ahead_s in AHEAD_S.items()
        }
        for name, machine in machines.items():
            stay.callback(machine.close)
            machine.folder.mkdir()
            machine.client.headers.update(key)
            machine.start_api()
            machine.start_worker(name)
        for machine in machines.values():
            wait_until(lambda seen_by=machine: workers(seen_by) == len(machines), seconds=30)
        began_at = time.time()
        ids = {
            name: machine.submit(QUICK) for name, machine in machines.items()
        }  # each takes a lease or longer
        documents = {
            name: machine.wait(ids[name], "succeeded", "failed")
            for name, machine in machines.items()
        }
        time.sleep(LEASE_S / 2)  # all workers sweep meanwhile
        yield World(machines, documents, began_at, time.time())


def workers(machine: ServiceHarness) -> int:
    """Count the workers that an API sees."""
    return int(machine.client.get("/healthz/ready").json().get("workers", 0))


def test_no_job_is_lost_or_begun_twice(world: World) -> None:
    ends = [(each["status"], each["attempts"], each["error"]) for each in world.documents.values()]
    assert ends == [("succeeded", 1, None)] * len(AHEAD_S)


@pytest.mark.parametrize("name", AHEAD_S)
def test_times_in_documents_are_those_of_one_clock(world: World, name: str) -> None:
    document = world.documents[name]
    created, started_at, finished, expires = (
        datetime.fromisoformat(document[moment]).timestamp()
        for moment in ("created_at", "started_at", "finished_at", "expires_at")
    )
    assert world.began_at - SLACK_S < created <= started_at < finished < world.ended_at + SLACK_S
    assert expires - finished == pytest.approx(KEPT_S, abs=0.01)
    queued_s = document["timings"]["queued_s"]
    assert queued_s == pytest.approx(started_at - created, abs=0.01)


@pytest.mark.parametrize("name", AHEAD_S)
def test_nothing_recent_is_swept(world: World, name: str) -> None:
    machine = world.machines[name]
    for document in world.documents.values():
        assert machine.status(f"{URL}/{document['id']}/attributions") == 200


@pytest.mark.parametrize("name", AHEAD_S)
def test_every_process_logs_the_offset_of_its_clock(world: World, name: str) -> None:
    machine = world.machines[name]
    metrics = machine.client.get("/metrics").text
    [gauge] = [each for each in metrics.splitlines() if each.startswith("shapshot_clock_offset")]
    assert float(gauge.split()[1]) == pytest.approx(AHEAD_S[name], abs=SLACK_S)
    [line] = [
        json.loads(each)
        for each in machine.log("api").read_text().splitlines()
        if "clock compared" in each
    ]
    assert line["level"] == "warning"
    assert line["offset_s"] == pytest.approx(AHEAD_S[name], abs=SLACK_S)


@pytest.mark.parametrize("name", AHEAD_S)
def test_rate_limits_use_the_clock_of_redis(world: World, name: str) -> None:
    answer = world.machines[name].client.get("/v1/methods")
    assert 0 < int(answer.headers["ratelimit-reset"]) <= 60


def test_records_of_all_machines_have_right_times_and_make_one_chain(world: World) -> None:
    bundles = []
    for name, machine in world.machines.items():
        answer = machine.client.get(f"{URL}/{world.documents[name]['id']}/bundle.zip")
        assert answer.status_code == 200, answer.text
        bundles.append(verify_bundle(answer.content))
        record = machine.client.get(f"{URL}/{world.documents[name]['id']}/record").json()
        sealed = json.loads(base64.b64decode(record["payload"]))["predicate"]["sealed_at"]
        sealed_at = datetime.fromisoformat(sealed).timestamp()
        assert world.began_at - SLACK_S < sealed_at < world.ended_at + SLACK_S
    assert [check.fault for each in bundles for check in each.checks if check.fault] == []
    assert [check.fault for check in verify_chain(bundles) if check.fault] == []


def test_the_audit_log_is_in_the_order_of_its_times_whoever_wrote(world: World) -> None:
    for machine in world.machines.values():
        assert machine.status(f"{URL}/{world.documents['slow']['id']}/regions") == 200
    for machine in world.machines.values():
        page = machine.client.get("/v1/audit", params={"order": "oldest", "limit": 1000}).json()
        times = [datetime.fromisoformat(each["at"]).timestamp() for each in page["items"]]
        assert len(times) > 2 * len(AHEAD_S)
        assert times == sorted(times)
        assert times[0] > world.began_at - 60
        assert times[-1] < time.time() + SLACK_S


def is_expired(address: httpx.URL, token: str) -> bool:
    answer = httpx.get(address, params={"sig": token})
    return not answer.is_success and bool(answer.json()["code"] == "link_expired")


@pytest.mark.parametrize("name", AHEAD_S)
def test_a_link_lasts_as_long_on_every_machine(world: World, name: str) -> None:
    path = f"{URL}/{world.documents[name]['id']}"
    asked = {"path": "thumbnail.png", "lifetime_s": 60}
    link = world.machines[name].client.post(f"{path}/links", json=asked).json()
    left_s = datetime.fromisoformat(link["expires_at"]).timestamp() - time.time()
    assert 60 - 2 * SLACK_S < left_s <= 60 + SLACK_S
    brief = world.machines[name].client.post(f"{path}/links", json=asked | {"lifetime_s": 1})
    for machine in world.machines.values():
        address = machine.client.base_url.join(f"{path}/thumbnail.png")
        assert httpx.get(address, params={"sig": link["token"]}).status_code == 200
        wait_until(lambda to=address: is_expired(to, brief.json()["token"]), seconds=20)


@pytest.mark.parametrize("name", AHEAD_S)
def test_a_hold_ends_by_the_clock_of_redis(world: World, name: str) -> None:
    machine = world.machines[name]
    path = f"{URL}/{world.documents[name]['id']}"
    now = datetime.now(UTC)

    def hold(seconds: float) -> httpx.Response:
        until = (now + timedelta(seconds=seconds)).isoformat()
        return machine.client.put(f"{path}/hold", json={"reason": "x", "until": until})

    assert hold(-5).status_code == 422
    held = hold(3600)
    assert held.status_code in (200, 201), held.text
    since = datetime.fromisoformat(held.json()["since"])
    assert abs((since - now).total_seconds()) < 60
    assert hold(3).is_success
    wait_until(lambda: machine.client.get(path).json()["hold"] is None, seconds=30)
    expires_at = datetime.fromisoformat(machine.client.get(path).json()["expires_at"])
    assert expires_at > now  # for the rest of its time


def test_a_job_lost_by_a_worker_in_the_future_is_requeued_after_its_lease(world: World) -> None:
    future, past = world.machines["future"], world.machines["past"]
    for name in set(AHEAD_S) - {"future"}:
        end(world.machines[name].processes.pop(name))
    id_ = future.submit(QUICK)
    future.wait(id_, "running")
    end(future.processes.pop("future"))
    past.start_worker("past", step_s=0.001)
    assert past.wait(id_, "succeeded", "failed")["attempts"] == 2

"""Jobs for scores survive the death of their worker, and end with their explanation."""

from tests.chaos.forkserver import Forked
from tests.chaos.service_harness import QUICK, URL, ServiceHarness, end
from tests.conftest import wait_until

REGIONS = QUICK | {"superpixels": {"kind": "grid", "rows": 2, "columns": 2}}
BODY = {"coalitions": [{"hidden": [0]}, {"shown": []}]}


def test_scores_are_computed_by_another_worker_if_theirs_is_killed(
    service_harness: ServiceHarness, worker: Forked
) -> None:
    id_ = service_harness.submit(REGIONS)
    outputs = service_harness.wait(id_, "succeeded")["outputs"]
    service_harness.dismiss("worker")
    slow = service_harness.start_worker("slow", step_s=600)
    service_harness.wait_ready()
    path = f"{URL}/{id_}/scores"
    made = service_harness.client.post(path, json=BODY, headers={"Prefer": "wait=0"})
    assert made.status_code == 202, made.text
    where = made.headers["location"]
    wait_until(lambda: status(service_harness, where) == "running", seconds=20)
    end(slow)
    service_harness.processes.pop("slow")
    service_harness.start_worker()
    waiting = {"Prefer": "wait=20"}
    found = service_harness.client.get(where, headers=waiting).json()
    assert (found["status"], found["done"]) == ("succeeded", True)
    expected = [output["base_value"] for output in outputs]
    assert found["scores"][1] == expected
    assert service_harness.client.post(path, json=BODY).json() == found


def test_scores_of_a_deleted_explanation_are_gone(
    service_harness: ServiceHarness, worker: Forked
) -> None:
    id_ = service_harness.submit(REGIONS)
    service_harness.wait(id_, "succeeded")
    made = service_harness.client.post(f"{URL}/{id_}/scores", json=BODY)
    assert made.status_code == 200, made.text
    assert service_harness.client.delete(f"{URL}/{id_}").status_code == 204
    assert service_harness.client.get(made.headers["location"]).status_code == 404


def status(service_harness: ServiceHarness, path: str) -> str:
    return str(service_harness.client.get(path).json()["status"])

"""A second run of an explanation: what is queued, what is refused, and what the two differ in."""

import asyncio

import numpy as np
import pytest

from service.infra.artifact_store import evidence_key
from service.schemas.documents import ErrorCode, Failure, Status
from tests.api.conftest import some_arrays, some_curves, some_regions
from tests.encoded import npy

URL = "/v1/explanations"


@pytest.fixture
def again(served):
    """Asks for a second run of an explanation; returns the response."""

    async def post(id_, **headers):
        return await served.post(f"{URL}/{id_}/reproduce", headers=headers)

    return post


async def test_a_second_run_asks_the_same_question(served, ask, fake_worker, again):
    label_map = npy(np.arange(8 * 12).reshape(8, 12) // 12)
    settings = {"superpixels": {"kind": "labels"}, "method": "kernel", "seed": 7}
    more = {"outputs": {"labels": ["bee"]}, "true_label": "dog", "metadata": {"purpose": "audit"}}
    first = (await ask(label_map=label_map, **settings, **more)).json()
    fake_worker.succeed(first["id"], explained={1: "bee"})
    answer = await again(first["id"])
    assert answer.status_code == 202
    found = answer.json()
    assert answer.headers["location"] == f"{URL}/{found['id']}"
    assert found["id"] != first["id"]
    assert (first["reproduces"], found["reproduces"]) == (None, first["id"])
    assert found["links"]["reproduces"] == f"{URL}/{first['id']}"
    for name in ("settings", "image", "label_map", "true_label", "model"):
        assert found[name] == first[name], name
    for name in ("picture", "label_map"):
        sent = await served.get(f"{URL}/{first['id']}/{name}")
        assert (await served.get(f"{URL}/{found['id']}/{name}")).content == sent.content


async def test_it_neither_takes_nor_gives_a_cached_result(ask, fake_worker, again):
    first = (await ask()).json()["id"]
    fake_worker.succeed(first)
    second = (await again(first)).json()
    assert (second["status"], second["cached_from"]) == ("queued", None)
    fake_worker.succeed(second["id"])
    assert (await ask()).json()["cached_from"] == first


async def test_equal_runs_are_the_same(served, create, fake_worker, again):
    first = fake_worker.succeed(await create()).id
    second = fake_worker.succeed((await again(first)).json()["id"]).id
    links = (await served.get(f"{URL}/{second}")).json()["links"]
    answer = await served.get(links["reproduction"])
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "id": second,
        "reproduces": first,
        "verdict": "same",
        "model": [],
        "runtime": [],
        "same_pixels": True,
        "outputs_before": [0, 2],
        "outputs_now": [0, 2],
        "coalitions": {"before": 2, "now": 2, "first_difference": None},
        "scores": {"largest": 0.0, "tolerance": 1e-4, "within": True},
        "values": {"largest": 0.0, "tolerance": 2e-4, "within": True},
        "curves": {"largest": None, "tolerance": 1e-4, "within": None, "before": 0, "now": 0},
    }
    known = {"If-None-Match": answer.headers["etag"]}
    assert (await served.get(links["reproduction"], headers=known)).status_code == 304


async def test_a_difference_of_values_is_that_of_a_region(served, create, fake_worker, again):
    arrays = some_arrays() | some_regions()
    first = fake_worker.succeed(await create(), arrays=arrays).id
    other = arrays | {"values": arrays["values"].copy()}
    other["values"][:4, :4, :, 0] += np.float32(0.25)  # the first region: 48 numbers
    second = fake_worker.succeed((await again(first)).json()["id"], arrays=other).id
    found = (await served.get(f"{URL}/{second}/reproduction")).json()
    assert found["verdict"] == "differs"
    assert found["scores"]["largest"] == 0
    largest_score = 2  # of the first output: see some_evidence
    assert found["values"]["largest"] == pytest.approx(48 * 0.25 / largest_score, rel=1e-5)
    assert found["values"]["within"] is False


@pytest.mark.parametrize(
    ("name", "by", "verdict"),
    [("y", 0.0, "same"), ("y", 1e-5, "within_tolerance"), ("baseline", 0.5, "differs")],
)
async def test_curves_are_compared(served, create, fake_worker, again, name, by, verdict):
    *rest, last = some_curves("deletion")
    one, other = (
        [*rest, last.model_copy(update={name: [0.125 + more, 0.25, 0.5]})] for more in (0, by)
    )
    first = fake_worker.succeed(await create(), curves=one).id
    second = fake_worker.succeed((await again(first)).json()["id"], curves=other).id
    found = (await served.get(f"{URL}/{second}/reproduction")).json()
    assert found["verdict"] == verdict
    assert (found["curves"]["before"], found["curves"]["now"]) == (2, 2)
    largest_score = 3  # of the last output: see some_evidence
    assert found["curves"]["largest"] == pytest.approx(by / largest_score)
    assert found["curves"]["within"] is (verdict != "differs")


async def test_curves_of_one_run_only_are_told(served, create, fake_worker, again):
    first = fake_worker.succeed(await create(), curves=some_curves("deletion")).id
    second = fake_worker.succeed((await again(first)).json()["id"]).id
    found = (await served.get(f"{URL}/{second}/reproduction")).json()
    assert found["verdict"] == "differs"
    expected = {"largest": None, "tolerance": 1e-4, "within": None, "before": 2, "now": 0}
    assert found["curves"] == expected


async def test_outputs_that_only_one_run_explains_are_not_compared(
    served, create, fake_worker, again
):
    first = fake_worker.succeed(await create()).id
    second = (await again(first)).json()["id"]
    fake_worker.succeed(second, explained={3: "dog", 1: "bee"})
    found = (await served.get(f"{URL}/{second}/reproduction")).json()
    assert (found["outputs_before"], found["outputs_now"]) == ([0, 2], [3, 1])
    assert found["verdict"] == "differs"
    assert (found["scores"]["largest"], found["values"]["within"]) == (None, None)


async def test_a_repeated_request_gives_the_same_second_run(create, fake_worker, again, refused):
    first, other = fake_worker.succeed(await create()).id, fake_worker.succeed(await create()).id
    key = {"Idempotency-Key": "k-1"}
    answers = [await again(first, **key) for _ in range(2)]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    refused(await again(other, **key), 422, "idempotency_mismatch")  # of the same picture
    assert (await again(first)).json()["id"] != answers[0].json()["id"]


async def test_a_request_may_wait_for_the_second_run(create, fake_worker, served, again):
    first = fake_worker.succeed(await create()).id
    waiting = asyncio.create_task(again(first, Prefer="wait=30"))
    for _ in range(200):
        if queued := (await served.get(URL, params={"status": "queued"})).json()["items"]:
            break
        await asyncio.sleep(0.05)
    fake_worker.succeed(queued[0]["id"])
    answer = await waiting
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")
    assert answer.headers["preference-applied"] == "wait=30"


async def test_what_has_no_whole_result_is_not_run_again(create, fake_worker, again, refused):
    refused(await again("exp_" + "0" * 32), 404, "not_found")
    queued, failed, stopped = await create(), await create(), await create()
    refused(await again(queued), 409, "not_finished")
    fake_worker.fail(failed, Failure(code=ErrorCode.MODEL_FAILED, detail="it ran out of memory"))
    refused(await again(failed), 404, "no_result")
    fake_worker.end(stopped, fake_worker.begin(stopped), Status.CANCELED)
    refused(await again(stopped), 409, "canceled")


async def test_what_is_deleted_is_neither_run_again_nor_compared(
    served, create, fake_worker, again, refused
):
    first = fake_worker.succeed(await create()).id
    second = fake_worker.succeed((await again(first)).json()["id"]).id
    assert (await served.delete(f"{URL}/{first}")).status_code == 204
    refused(await again(first), 404, "not_found")
    problem = refused(await served.get(f"{URL}/{second}/reproduction"), 410, "gone")
    assert problem["received"] == first


async def test_what_has_expired_is_not_run_again(served, create, fake_worker, again, refused):
    first = fake_worker.succeed(await create()).id
    second = fake_worker.succeed((await again(first)).json()["id"]).id
    fake_worker.ledger.leave_tombstone(first, tombstone_s=60)
    refused(await again(first), 410, "gone")
    refused(await served.get(f"{URL}/{second}/reproduction"), 410, "gone")


async def test_only_a_second_run_that_is_done_is_compared(
    served, create, fake_worker, again, refused
):
    first = fake_worker.succeed(await create()).id
    refused(await served.get(f"{URL}/{first}/reproduction"), 404, "no_result")
    second = (await again(first)).json()["id"]
    refused(await served.get(f"{URL}/{second}/reproduction"), 409, "not_finished")
    fake_worker.end(second, fake_worker.begin(second), Status.CANCELED)
    refused(await served.get(f"{URL}/{second}/reproduction"), 409, "canceled")


async def test_damaged_evidence_is_not_compared(served, create, fake_worker, again, refused, store):
    first = fake_worker.succeed(await create())
    second = fake_worker.succeed((await again(first.id)).json()["id"]).id
    key = evidence_key(first.id, first.result)
    store.put(key, store.get(key)[:-1] + b" ")
    refused(await served.get(f"{URL}/{second}/reproduction"), 404, "no_result")


async def test_without_a_worker_nothing_runs_again(create, fake_worker, again, refused, new_card):
    first = fake_worker.succeed(await create()).id
    fake_worker.announce(new_card(), lease_s=-1)
    refused(await again(first), 503, "no_worker")

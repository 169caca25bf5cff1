"""Scores of coalitions and masked pictures as clients request them; a fake worker answers."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from service.api.results import scores as routes
from service.jobs.redis_keys import key_of
from service.schemas.documents import ErrorCode, Failure, Status
from service.schemas.fingerprint import fingerprint_of
from service.schemas.models import ModelStatus
from service.schemas.scores import (
    MAX_COALITIONS,
    PICTURE_S,
    SCORES_S,
    CoalitionScores,
    MaskedPicture,
    ScoredOutput,
)
from tests.api.conftest import some_arrays, some_regions
from tests.tiny import MODEL, PARTS

NOW = {"Prefer": "wait=0"}
EVERYTHING = {"coalitions": [{"hidden": []}]}
BODY = {"coalitions": [{"hidden": [3, 5]}, {"shown": [1]}]}
OUTPUTS = [
    ScoredOutput(index=0, label="ant", base_value=0.125, score=0.5),
    ScoredOutput(index=2, label="crane", base_value=0.25, score=0.5),
]
ANSWER = CoalitionScores(outputs=OUTPUTS, scores=[[0.25, 0.375], [0.5, 0.0]])


@pytest.fixture
async def explained(create, fake_worker):
    """The path of an explanation with six regions."""
    id_ = await create()
    fake_worker.succeed(id_, arrays=some_arrays() | some_regions())
    return f"/v1/explanations/{id_}"


@pytest.fixture
def png():
    file = io.BytesIO()
    Image.fromarray(np.arange(96, dtype=np.uint8).reshape(8, 12)).save(file, "PNG")
    return file.getvalue()


def queued(connection):
    return [id_.decode() for id_ in connection.lrange("rq:queue:test", 0, -1)]


async def test_scores_are_in_the_response(served, explained, fake_worker):
    response = await fake_worker.answering(served.post(f"{explained}/scores", json=BODY), ANSWER)
    assert response.status_code == 200
    document = response.json()
    path = f"{explained}/scores/{document['id']}"
    assert response.headers["location"] == path
    assert document == {
        "id": document["id"],
        "explanation": explained.rsplit("/", 1)[-1],
        "status": "succeeded",
        "done": True,
        "model": MODEL.model_dump(mode="json"),
        "outputs": [output.model_dump() for output in OUTPUTS],
        "scores": [[0.25, 0.375], [0.5, 0.0]],
        "links": {"self": path, "explanation": explained},
    }


async def test_the_worker_gets_all_that_it_needs(served, explained, fake_worker, connection):
    body = BODY | {"outputs": {"labels": ["bee", "dog"]}}
    await served.post(f"{explained}/scores", json=body, headers=NOW)
    [id_] = queued(connection)
    spec, parent = fake_worker.read(id_).spec, fake_worker.read(explained.rsplit("/", 1)[-1])
    asked = spec.coalitions
    assert (asked.explanation, asked.result) == (parent.id, parent.result)
    assert asked.artifacts == parent.artifacts
    assert asked.explained == ((0, "ant"), (2, "crane"))
    assert (asked.regions, asked.outputs, asked.picture) == (6, (1, 3), False)
    assert [each.model_dump(exclude_none=True) for each in asked.coalitions] == BODY["coalitions"]
    assert (spec.image, spec.model, spec.owner) == (parent.spec.image, MODEL, None)
    assert spec.settings.masker == parent.spec.settings.masker


async def test_scores_that_take_longer_can_be_polled(served, explained, fake_worker):
    response = await served.post(f"{explained}/scores", json=BODY, headers=NOW)
    assert response.status_code == 202
    assert response.headers["preference-applied"] == "wait=0"
    assert int(response.headers["retry-after"]) > 0
    document, path = response.json(), response.headers["location"]
    assert (document["status"], document["done"], document["scores"]) == ("queued", False, None)
    waiting = await served.get(path, headers=NOW)
    assert (waiting.status_code, waiting.json()) == (200, document)
    assert int(waiting.headers["retry-after"]) > 0
    done = await fake_worker.answering(served.get(path, headers={"Prefer": "wait=60"}), ANSWER)
    assert done.json()["scores"] == ANSWER.scores
    assert "retry-after" not in done.headers


async def test_equal_requests_share_one_job_and_one_answer(
    served, explained, fake_worker, connection
):
    first, second = [
        await served.post(f"{explained}/scores", json=BODY, headers=NOW) for _ in range(2)
    ]
    assert first.json()["id"] == second.json()["id"]
    assert queued(connection) == [first.json()["id"]]
    fake_worker.answer(first.json()["id"], ANSWER)
    third = await served.post(f"{explained}/scores", json=BODY)
    assert (third.status_code, third.json()["scores"]) == (200, ANSWER.scores)
    other = await served.post(f"{explained}/scores", json=EVERYTHING, headers=NOW)
    assert other.json()["id"] != first.json()["id"]


async def test_a_failure_is_reported_and_may_be_retried(
    served, explained, fake_worker, refused, connection
):
    path = f"{explained}/scores"
    made = (await served.post(path, json=BODY, headers=NOW)).headers["location"]
    away = Failure(code=ErrorCode.STORE_UNAVAILABLE, detail="the store is away")
    fake_worker.fail(made.rsplit("/", 1)[-1], away)
    response = await served.get(made)
    assert refused(response, 503, "store_unavailable")["detail"] == "the store is away"
    assert int(response.headers["retry-after"]) > 0
    again = await served.post(path, json=BODY, headers=NOW)
    assert (again.status_code, again.json()["status"]) == (202, "queued")
    assert queued(connection) == [again.json()["id"]]
    fake_worker.fail(again.json()["id"], Failure(code=ErrorCode.NO_RESULT, detail="it is gone"))
    refused(await served.get(made), 404, "no_result")
    answered = await fake_worker.answering(served.post(path, json=BODY), ANSWER)
    assert answered.status_code == 200


@pytest.mark.parametrize(
    ("coalitions", "field", "accepted"),
    [
        ([{"hidden": [0]}, {"hidden": [6]}], "coalitions.1.hidden", {"minimum": 0, "maximum": 5}),
        ([{"shown": [2, 1, 2]}], "coalitions.0.shown", {"minimum": 0, "maximum": 5}),
        ([{"shown": [-1]}], "coalitions.0.shown.0", {"type": "integer", "minimum": 0}),
        ([{"shown": [True]}], "coalitions.0.shown.0", {"type": "integer", "minimum": 0}),
        ([{}], "coalitions.0", ["hidden", "shown"]),
        ([{"hidden": [], "shown": []}], "coalitions.0", ["hidden", "shown"]),
        ([], "coalitions", {"type": "array", "minItems": 1, "maxItems": 64}),
        ([{"hidden": []}] * 65, "coalitions", {"type": "array", "minItems": 1, "maxItems": 64}),
    ],
)
async def test_coalitions_must_be_of_the_explanations_regions(
    served, explained, refused, connection, coalitions, field, accepted
):
    response = await served.post(f"{explained}/scores", json={"coalitions": coalitions})
    problem = refused(response, 422, "invalid_parameter")
    assert (problem["field"], problem["accepted"]) == (field, accepted)
    assert queued(connection) == []


async def test_the_most_coalitions_are_accepted_also_without_regions(served, explained, connection):
    body = {"coalitions": [{"hidden": []}, {"shown": []}] * (MAX_COALITIONS // 2)}
    response = await served.post(f"{explained}/scores", json=body, headers=NOW)
    assert response.status_code == 202


@pytest.mark.parametrize(
    ("outputs", "code", "field"),
    [
        ({"indices": [5]}, "unknown_output", "outputs.indices"),
        ({"labels": ["wolf"]}, "unknown_output", "outputs.labels"),
        ({"labels": ["crane"]}, "unknown_output", "outputs.labels"),  # two outputs have this label
        ({"top": 1}, "invalid_parameter", ""),
        ({}, "invalid_parameter", "outputs"),
    ],
)
async def test_outputs_must_be_known_and_unambiguous(
    served, explained, refused, outputs, code, field
):
    response = await served.post(f"{explained}/scores", json=BODY | {"outputs": outputs})
    assert refused(response, 422, code)["field"] == field


async def test_the_body_is_json(served, explained, refused):
    path = f"{explained}/scores"
    refused(await served.post(path, files={"coalitions": b"[]"}), 415, "unsupported_media_type")
    json = {"Content-Type": "application/json"}
    refused(await served.post(path, content=b"{", headers=json), 400, "bad_request")
    refused(
        await served.post(path, content=b'{"coalition": []}', headers=json),
        422,
        "invalid_parameter",
    )


TAILS = [("POST", "/scores", {"json": BODY}), ("GET", "/masked.png?hidden=1", {})]


@pytest.mark.parametrize(("method", "tail", "sent"), TAILS)
class TestWithoutARegion:
    """An explanation without regions has neither scores nor a masked picture."""

    async def test_before_it_has_ended(self, served, create, refused, method, tail, sent):
        path = f"/v1/explanations/{await create()}"
        problem = refused(await served.request(method, path + tail, **sent), 409, "not_finished")
        assert "is queued" in problem["detail"]

    async def test_if_it_failed(self, served, create, fake_worker, refused, method, tail, sent):
        id_ = await create()
        fake_worker.fail(id_, Failure(code=ErrorCode.MODEL_FAILED, detail="NaN"))
        path = f"/v1/explanations/{id_}"
        refused(await served.request(method, path + tail, **sent), 404, "no_result")

    async def test_if_there_are_too_many_regions(
        self, served, create, fake_worker, refused, method, tail, sent
    ):
        id_ = await create()
        fake_worker.succeed(id_)
        path = f"/v1/explanations/{id_}"
        problem = refused(await served.request(method, path + tail, **sent), 404, "no_result")
        assert "more than 10000 regions" in problem["detail"]

    async def test_if_it_has_expired(
        self, served, explained, fake_worker, refused, method, tail, sent
    ):
        fake_worker.ledger.leave_tombstone(explained.rsplit("/", 1)[-1], tombstone_s=60)
        refused(await served.request(method, explained + tail, **sent), 410, "gone")

    async def test_if_it_does_not_exist(self, served, refused, method, tail, sent):
        path = "/v1/explanations/exp_" + "0" * 32
        refused(await served.request(method, path + tail, **sent), 404, "not_found")

    async def test_if_another_model_is_served(
        self, served, explained, fake_worker, new_card, refused, method, tail, sent
    ):
        parts = PARTS.model_copy(update={"weights": "sha256:" + "0" * 64})
        fake_worker.announce(new_card(parts=parts))
        problem = refused(
            await served.request(method, explained + tail, **sent), 409, "model_changed"
        )
        assert "differs in weights" in problem["detail"]
        assert problem["received"] == MODEL.fingerprint
        assert problem["accepted"] == fingerprint_of(parts)

    @pytest.mark.parametrize("status", [ModelStatus.LOADING, ModelStatus.UNAVAILABLE])
    async def test_if_the_model_is_not_served(
        self, served, explained, fake_worker, new_card, refused, method, tail, sent, status
    ):
        fake_worker.announce(new_card(status=status))
        response = await served.request(method, explained + tail, **sent)
        refused(response, 503, "model_unavailable")
        assert int(response.headers["retry-after"]) > 0

    async def test_if_no_worker_is_alive(
        self, served, explained, connection, refused, method, tail, sent
    ):
        connection.delete("shapshot:workers")
        refused(await served.request(method, explained + tail, **sent), 503, "no_worker")

    async def test_if_its_owner_has_too_many_jobs_waiting(
        self, start, settings, explained, refused, method, tail, sent
    ):
        async with start(settings.model_copy(update={"max_queued": 1})) as full:
            await full.post(f"{explained}/scores", json=EVERYTHING, headers=NOW)
            refused(await full.request(method, explained + tail, **sent), 503, "queue_full")


async def test_scores_of_another_explanation_are_not_found(
    served, explained, create, fake_worker, refused
):
    made = await served.post(f"{explained}/scores", json=BODY, headers=NOW)
    other = await create()
    path = f"/v1/explanations/{other}/scores/{made.json()['id']}"
    refused(await served.get(path), 404, "not_found")
    refused(await served.get(f"{explained}/scores/{other}"), 404, "not_found")
    refused(await served.get(f"/v1/explanations/{made.json()['id']}"), 404, "not_found")


async def test_scores_are_not_listed_indexed_or_kept(served, explained, fake_worker, connection):
    before = {key for key in connection.scan_iter() if connection.type(key) == b"zset"}
    made = await served.post(f"{explained}/scores", json=BODY, headers=NOW)
    id_ = made.json()["id"]
    fake_worker.answer(id_, ANSWER)
    found = (await served.get("/v1/explanations")).json()
    assert ([item["id"] for item in found["items"]], found["total"]) == ([explained[-36:]], 1)
    sets = {key for key in connection.scan_iter() if connection.type(key) == b"zset"}
    assert [key for key in sets if connection.zscore(key, id_) is not None] == []
    assert sets - before <= {b"shapshot:flows"}
    assert 0 < connection.ttl(key_of(id_)) <= SCORES_S
    assert list(connection.scan_iter(f"*{id_}*")) == [key_of(id_).encode()]
    assert not connection.exists("rq:queue:test", "rq:wip:test", "shapshot:waiting")


async def test_scores_are_counted_under_a_name_of_their_own(
    served, explained, fake_worker, connection
):
    totals = connection.hgetall("shapshot:totals")
    await fake_worker.answering(served.post(f"{explained}/scores", json=BODY), ANSWER)
    added = connection.hgetall("shapshot:totals").items() - totals.items()
    assert dict(added) == {b"accepted:scores": b"1", b"jobs:succeeded:scores": b"1"}
    samples = (await served.get("/metrics")).text
    assert 'shapshot_jobs_accepted_total{method="scores"} 1.0' in samples


async def test_a_canceled_job_is_reported(served, explained, fake_worker, refused):
    made = await served.post(f"{explained}/scores", json=BODY, headers=NOW)
    assert fake_worker.ledger.cancel(made.json()["id"]) == Status.CANCELED
    refused(await served.get(made.headers["location"]), 409, "canceled")


# --- Pictures


@pytest.mark.parametrize("query", ["hidden=1,4", "shown=", "hidden=", "shown=0,1,2,3,4,5"])
async def test_a_masked_picture_is_sent_as_it_was_painted(
    served, explained, fake_worker, connection, png, query
):
    answer = MaskedPicture(png=base64.b64encode(png))
    response = await fake_worker.answering(served.get(f"{explained}/masked.png?{query}"), answer)
    assert (response.status_code, response.content) == (200, png)
    assert response.headers["content-type"] == "image/png"
    assert "immutable" in response.headers["cache-control"]
    [key] = connection.scan_iter("shapshot:explanation:scr_*")
    assert 0 < connection.ttl(key) <= PICTURE_S
    asked = fake_worker.read(key.decode().rsplit(":", 1)[-1]).spec.coalitions
    name, _, numbers = query.partition("=")
    expected = {name: [int(each) for each in numbers.split(",") if each]}
    assert [each.model_dump(exclude_none=True) for each in asked.coalitions] == [expected]


async def test_a_picture_in_the_clients_cache_is_not_painted_again(
    served, explained, fake_worker, connection, png
):
    path = f"{explained}/masked.png"
    answer = MaskedPicture(png=base64.b64encode(png))
    first = await fake_worker.answering(served.get(path, params={"hidden": "1"}), answer)
    known = {"If-None-Match": first.headers["etag"]}
    connection.delete(*connection.scan_iter("shapshot:explanation:scr_*"))
    same = await served.get(path, params={"hidden": "1"}, headers=known)
    assert same.status_code == 304
    assert queued(connection) == []
    other = served.get(path, params={"hidden": "2"}, headers=known)
    assert (await fake_worker.answering(other, answer)).status_code == 200


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "hidden"),
        ("hidden=1&shown=2", "hidden"),
        ("hidden=6", "hidden"),
        ("shown=2,2", "shown"),
        ("hidden=1,", "hidden"),
        ("shown=a", "shown"),
        ("hidden=1&size=3", "size"),
    ],
)
async def test_a_picture_shows_one_coalition(served, explained, refused, connection, query, field):
    response = await served.get(f"{explained}/masked.png?{query}")
    assert refused(response, 422, "invalid_parameter")["field"] == field
    assert queued(connection) == []


async def test_a_picture_that_is_not_painted_in_time_can_be_requested_again(
    served, explained, refused, connection, monkeypatch
):
    monkeypatch.setattr(routes, "DEFAULT_WAIT_S", 0)
    response = await served.get(f"{explained}/masked.png?hidden=1")
    refused(response, 503, "busy")
    assert int(response.headers["retry-after"]) > 0
    await served.get(f"{explained}/masked.png?hidden=1")
    assert len(queued(connection)) == 1


async def test_a_picture_is_not_read_as_scores(served, explained, refused, connection, monkeypatch):
    monkeypatch.setattr(routes, "DEFAULT_WAIT_S", 0)
    await served.get(f"{explained}/masked.png?hidden=1")
    [id_] = queued(connection)
    refused(await served.get(f"{explained}/scores/{id_}"), 404, "not_found")

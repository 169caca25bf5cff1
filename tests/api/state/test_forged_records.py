"""Somebody who can write to Redis cannot crash the API, run code, or see others' explanations."""

import json

import numpy as np
import pytest
from structlog.testing import capture_logs

from service.infra.artifact_store import attributions_key, faithfulness_key
from service.infra.artifacts import Artifact, ArtifactSection
from service.jobs.redis_keys import CHANGES, EXPIRY, INDEX, key_of, new_batch_id
from service.jobs.statistics import TOTALS
from service.jobs.worker_registry import CARDS, WORKERS
from service.schemas.results import Faithfulness
from service.schemas.scores import CoalitionScores
from tests.api.conftest import some_arrays, some_curves, some_regions

URL = "/v1/explanations"
PICKLE = b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x0btouch /mark\x85R."
WILD = {
    "nothing": b"",
    "a pickle": PICKLE,
    "no text": b"\xff\xfe\x00",
    "a word": b"many",
    "a list": b"[]",
    "null": b"null",
    "an empty object": b"{}",
    "foreign fields": b'{"status": ["queued"], "settings": {"model": {"$ref": "/"}}}',
    "infinity": b"inf",
    "no number": b"NaN",
    "a negative one": b"-1",
    "a huge one": b"9" * 400,
    "deep nesting": b"[" * 5000,
    "half a character": b'{"code": "internal", "detail": "\\ud800"}',
    "a path": b"../../../etc/passwd",
}
FIELDS = (
    *(
        "status",
        "version",
        "attempts",
        "order",
        "progress",
        "outcome",
        "result",
        "artefacts",
        "error",
        "answer",
    ),
    *("created_at", "started_at", "finished_at", "expires_at"),
)
SEEN = ("", "/events", "/attributions?format=json", "/heatmap.png", "/faithfulness")
ONE_SHORT = "exp_" + "0" * 31  # of an id's digits


@pytest.mark.parametrize("wild", WILD)
async def test_an_invalid_field_hides_its_record_and_no_other(
    served, create, fake_worker, connection, wild
):
    honest = await create()
    for field in FIELDS:
        forged = await create()
        fake_worker.succeed(forged)
        connection.hset(key_of(forged), field, WILD[wild])
        for path in SEEN:
            answer = await served.get(f"{URL}/{forged}{path}")
            assert answer.status_code in (200, 404, 409, 410), (field, path, answer.text)
        for change in (served.post(f"{URL}/{forged}/cancel"), served.delete(f"{URL}/{forged}")):
            assert (await change).status_code in (200, 204, 404, 409, 410), field
    listed = (await served.get(URL, params={"limit": 100})).json()["items"]
    assert honest in [item["id"] for item in listed]


@pytest.mark.parametrize("wild", WILD)
async def test_an_invalid_field_of_scores_fails_no_request(
    served, create, fake_worker, connection, wild
):
    id_ = await create()
    fake_worker.succeed(id_, arrays=some_arrays() | some_regions())
    path, body = f"{URL}/{id_}/scores", {"coalitions": [{"hidden": [1]}]}
    for field in (*FIELDS, "keep_s"):
        made = await served.post(path, json=body, headers={"Prefer": "wait=0"})
        scores = made.headers["location"].rsplit("/", 1)[-1]
        fake_worker.answer(scores, CoalitionScores(outputs=[], scores=[[]]))
        connection.hset(key_of(scores), field, WILD[wild])
        again = await served.post(path, json=body, headers={"Prefer": "wait=0"})
        assert again.status_code in (200, 202, 404, 409), (field, again.text)
        found = await served.get(f"{path}/{scores}")
        assert found.status_code in (200, 404, 409), (field, found.text)
        connection.delete(key_of(scores))


@pytest.mark.parametrize(
    "outcome",
    [
        {"outputs": []},
        {"metrics": [{"metric": "keep_positive", "output": 7, "label": "x"}]},
        {"crop": {"left": 9, "top": 9, "right": -1, "bottom": 10**15}},
    ],
)
async def test_an_outcome_that_does_not_match_its_arrays_is_not_shown(
    served, create, fake_worker, connection, outcome
):
    forged = await create()
    fake_worker.succeed(forged)
    found = json.loads(connection.hget(key_of(forged), "outcome"))
    connection.hset(key_of(forged), "outcome", json.dumps(found | outcome))
    for path in (*SEEN, "/heatmap.png?style=overlay&size=original"):
        assert (await served.get(f"{URL}/{forged}{path}")).status_code < 500


async def test_a_key_of_another_type_is_not_an_explanation(served, create, refused, connection):
    honest, forged = await create(), await create()
    connection.delete(key_of(forged))
    connection.set(key_of(forged), PICKLE)
    refused(await served.get(f"{URL}/{forged}"), 404, "not_found")
    assert [item["id"] for item in (await served.get(URL)).json()["items"]] == [honest]


async def test_a_name_of_a_result_leads_to_no_other_explanation(
    served, create, fake_worker, refused, connection
):
    forged, private = await create(), await create()
    result = fake_worker.succeed(private).result
    fake_worker.succeed(forged)
    connection.hset(key_of(forged), "result", f"../{private}/{result}")
    refused(await served.get(f"{URL}/{forged}/attributions"), 404, "not_found")


@pytest.mark.parametrize("members", [b"../x", b"exp_1", b"\xff", b"a " * 2000])
async def test_a_batch_without_valid_explanations_is_not_found(
    served, refused, connection, members
):
    batch_id = new_batch_id()
    connection.hset(key_of(batch_id), mapping={"created_at": 1, "members": members})
    for path in ("", "/attributions", "/heatmap.png"):
        refused(await served.get(f"/v1/batches/{batch_id}{path}"), 404, "not_found")


@pytest.mark.parametrize("wild", WILD.values())
async def test_a_forged_card_hides_no_model(served, create, connection, wild):
    connection.hset(CARDS, "forged", wild)
    connection.hset("shapshot:worker:hand", "forged", wild)
    connection.zadd(WORKERS, {wild: 10**12})
    assert [card["name"] for card in (await served.get("/v1/models")).json()["items"]] == ["tiny"]
    assert (await served.get("/healthz/ready")).status_code == 200
    assert await create()


async def test_invalid_ids_in_lists_and_notices_are_skipped(served, create, connection):
    honest = await create()
    for strange in WILD.values():
        connection.zadd(INDEX, {strange: 10**10})
        connection.publish(CHANGES, strange)
        connection.zadd(EXPIRY, {strange: 0})
    items = (await served.get(URL)).json()["items"]
    assert [item["id"] for item in items] == [honest]


@pytest.mark.parametrize("strange", ["", ".", "..", "exp_", "exp_*", "../probe", ONE_SHORT])
def test_nothing_is_swept_by_an_invalid_id(ledger, store, connection, strange):
    store.put("explanations/kept/image", b"kept")
    connection.zadd(EXPIRY, {strange: 0})
    assert ledger.expired() == []
    assert connection.zcard(EXPIRY) == 0


async def test_idempotency_keys_lead_only_to_explanations(served, photo, connection):
    async def ask():
        headers = {"Idempotency-Key": "k"}
        return await served.post(URL, files={"image": ("p", photo)}, headers=headers)

    await ask()
    [key] = connection.keys("shapshot:idempotency:*")
    fingerprint = connection.get(key).split()[0]
    for wild in WILD.values():
        connection.set(key, wild)
        assert (await ask()).status_code == 422
        connection.set(key, fingerprint + b" " + wild)
        assert (await ask()).status_code in (404, 410)


@pytest.mark.parametrize("wild", ["a pickle", "infinity", "no number", "a huge one"])
async def test_invalid_totals_are_not_counted(served, create, connection, wild):
    explanation = await create()
    connection.hset(TOTALS, mapping={"evaluations": WILD[wild], PICKLE: WILD[wild]})
    connection.hset(key_of(explanation), "created_at", WILD[wild])
    answer = await served.get("/metrics")
    assert answer.status_code == 200
    assert "shapshot_evaluations_total 0.0" in answer.text


RESULTS = (
    *("/attributions?format=json", "/attributions?format=npz", "/attributions?format=npy"),
    *("/attributions?format=npz&output=ant", "/heatmap.png"),
)
OF_OUTPUTS = ("values", "base_values", "output_names", "output_indices")
MISFITS = {
    "fewer outputs": lambda a: a | {n: a[n][..., :1] for n in OF_OUTPUTS},
    "more outputs": lambda a: a | {n: np.concatenate([a[n], a[n]], axis=-1) for n in OF_OUTPUTS},
    "other outputs": lambda a: a | {"output_indices": a["output_indices"] + 1},
    "other names": lambda a: a | {"output_names": a["output_names"][::-1]},
    "more names": lambda a: a | {"output_names": np.array(["a", "b", "c"])},
    "a model of two names": lambda a: a | {"model_name": np.array(["a", "b"])},
    "a fingerprint that is a number": lambda a: a | {"model_fingerprint": np.array(7)},
    "names that are numbers": lambda a: a | {"output_names": np.array([1, 2])},
    "indices that are fractions": lambda a: a | {"output_indices": np.array([0.5, 2.5])},
    "one base value": lambda a: a | {"base_values": a["base_values"][:1]},
    "base values in a table": lambda a: a | {"base_values": np.zeros((2, 2))},
    "another picture": lambda a: a | {"data": a["data"][:4]},
    "a picture of words": lambda a: a | {"data": a["data"].astype(str)},
    "players that are fractions": lambda a: a | {"players": np.zeros((8, 12))},
    "players of another picture": lambda a: a | {"players": np.zeros((4, 4), int)},
    "errors of another picture": lambda a: a | {"standard_errors": np.zeros((2, 2, 3, 2))},
    **{
        f"no {name}": lambda a, name=name: {n: a[n] for n in a if n != name}
        for name in ("base_values", "data", "output_names", "output_indices")
    },
}


async def all_results(served, *ids):
    """Returns the responses of every route of results, for each of these and a figure of all."""
    paths = [f"{URL}/{each}{path}" for each in ids for path in RESULTS]
    several = "/v1/figure.png?" + "&".join(f"id={each}" for each in (*ids, *ids))
    return {path: await served.get(path) for path in (*paths, several)}


async def test_arrays_that_do_not_match_the_record_are_no_result(
    served, create, fake_worker, refused
):
    for misfit, change in MISFITS.items():
        forged = await create()
        fake_worker.succeed(forged, arrays=change(some_arrays()))
        with capture_logs() as logged:
            answers = await all_results(served, forged)
        for path, answer in answers.items():
            assert refused(answer, 404, "no_result"), (misfit, path)
        told = [line for line in logged if line["event"] == "artifact damaged"]
        assert len(told) == len(answers), misfit
        assert {line["log_level"] for line in told} == {"error"}


async def test_a_record_of_other_outputs_than_its_arrays_shows_no_result(
    served, create, fake_worker, refused, connection
):
    for change in (
        lambda outputs: [*outputs, outputs[0] | {"index": 7, "label": "more"}],
        lambda outputs: outputs[:1],
        lambda outputs: [{**outputs[0], "index": 3}, outputs[1]],
        lambda outputs: [outputs[0], {**outputs[1], "label": "another"}],
        lambda outputs: [{**outputs[0], "index": 10**30}, outputs[1]],
    ):
        forged = await create()
        fake_worker.succeed(forged)
        found = json.loads(connection.hget(key_of(forged), "outcome"))
        found["outputs"] = change(found["outputs"])
        connection.hset(key_of(forged), "outcome", json.dumps(found))
        assert (await served.get(f"{URL}/{forged}")).status_code == 200
        for path, answer in (await all_results(served, forged)).items():
            if answer.status_code != 422:  # an output that is not in the record
                assert refused(answer, 404, "no_result"), path


async def test_a_foreign_file_is_no_result_although_it_matches_its_record(
    served, create, fake_worker, refused, connection, store
):
    forged = await create(metrics=["insertion"])
    ended = fake_worker.succeed(forged, curves=some_curves("insertion"))
    for content in (b"{  }", b"PK\x05\x06" + bytes(18), PICKLE, WILD["deep nesting"]):
        for key in (attributions_key, faithfulness_key):
            store.put(key(forged, ended.result), content)
        whole = Artifact.of(content)
        for index in (ArtifactSection.at(0, content or b"x"), ArtifactSection.at(2**62, b"x")):
            changed = {"attributions": whole, "blocks": index, "faithfulness": whole}
            recorded = ended.artifacts.model_copy(update=changed)
            connection.hset(key_of(forged), "artefacts", recorded.model_dump_json())
            for answer in (await all_results(served, forged)).values():
                refused(answer, 404, "no_result")
        for path in ("/faithfulness", "/faithfulness.png"):
            refused(await served.get(f"{URL}/{forged}{path}"), 404, "no_result")


async def test_arrays_that_are_not_finite_are_not_drawn(served, create, fake_worker, refused):
    for name in ("values", "data", "base_values"):
        forged, arrays = await create(), some_arrays()
        fake_worker.succeed(forged, arrays=arrays | {name: arrays[name] * np.inf})
        refused(await served.get(f"{URL}/{forged}/heatmap.png"), 404, "no_result")


async def test_a_photo_that_may_no_longer_be_decoded_is_not_drawn(
    create, fake_worker, refused, start, settings
):
    id_ = await create()
    fake_worker.succeed(id_)
    async with start(settings.model_copy(update={"max_pixels": 100})) as api:
        answer = await api.get(f"{URL}/{id_}/heatmap.png?style=overlay&output=ant")
    assert "pixels" in refused(answer, 404, "no_result")["detail"]


async def test_curves_that_do_not_match_the_record_are_no_result(
    served, create, fake_worker, refused, store, connection
):
    ours = some_curves("insertion")
    for curves in (
        [],
        ours[:1],
        ours[::-1],
        some_curves("deletion"),
        [ours[0].model_copy(update={"x": [0.0, 1.0]}), ours[1]],
        [ours[0].model_copy(update={"y": []}), ours[1]],
        [each.model_copy(update={"x": [], "y": [], "baseline": []}) for each in ours],
        [ours[0].model_copy(update={"area": 7.0}), ours[1]],
    ):
        forged = await create(metrics=["insertion"])
        ended = fake_worker.succeed(forged, curves=ours)
        content = Faithfulness(curves=curves).model_dump_json().encode()
        store.put(faithfulness_key(forged, ended.result), content)
        recorded = ended.artifacts.model_copy(update={"faithfulness": Artifact.of(content)})
        connection.hset(key_of(forged), "artefacts", recorded.model_dump_json())
        for path in ("/faithfulness", "/faithfulness.png"):
            refused(await served.get(f"{URL}/{forged}{path}"), 404, "no_result")


async def test_a_batch_with_one_mismatched_record_is_no_result(served, photo, fake_worker, refused):
    pictures = [("image", ("p", photo))] * 2
    headers = {"Cache-Control": "no-cache"}
    batch = (await served.post("/v1/batches", files=pictures, headers=headers)).json()
    first, second = (each["id"] for each in batch["explanations"])
    fake_worker.succeed(first)
    fake_worker.succeed(second, arrays=MISFITS["more outputs"](some_arrays()))
    for path in ("/attributions", "/heatmap.png"):
        refused(await served.get(f"/v1/batches/{batch['id']}{path}"), 404, "no_result")


async def test_a_record_with_another_shape_than_its_arrays_is_no_result(
    served, create, fake_worker, refused, connection
):
    for shape in ((2**30, 2**30, 3, 2), (1, 1, 1, 2), (8, 12, 3, 1), (8, 12, 3, 2**31 - 1)):
        forged = await create()
        recorded = fake_worker.succeed(forged).artifacts.model_copy(update={"shape": shape})
        connection.hset(key_of(forged), "artefacts", recorded.model_dump_json())
        for path, answer in (await all_results(served, forged)).items():
            assert answer.status_code == 404, (shape, path, answer.text)

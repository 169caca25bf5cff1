"""Several pictures in one request, from upload to arrays and figure."""

import asyncio
import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.jobs.leases import Heartbeat
from service.jobs.records import ProgressCount
from service.schemas.documents import ErrorCode, Failure, Status
from service.schemas.warnings import ResultWarning, WarningCode
from tests.api.conftest import some_arrays
from tests.encoded import encoded

URL = "/v1/batches"


@pytest.fixture
def photos(new_photo):
    return [new_photo(60 + n, 40) for n in range(3)]


@pytest.fixture
def ask_batch(served, photos):
    """Requests a batch; returns the response."""

    async def post(pictures=photos, headers=None, label_map=None, **settings):
        files = [("image", (f"{n}.png", picture)) for n, picture in enumerate(pictures)]
        files.append(("settings", (None, json.dumps(settings))))
        if label_map is not None:
            files.append(("label_map", ("map.png", label_map)))
        return await served.post(URL, files=files, headers=headers)

    return post


@pytest.fixture
def create_batch(ask_batch):
    """Creates a batch; returns its URL and the ids of its explanations."""

    async def post(**options):
        answer = await ask_batch(**options)
        assert answer.status_code == 202, answer.text
        return answer.headers["location"], ids_of(answer.json())

    return post


def ids_of(document):
    return [each["id"] for each in document["explanations"]]


async def explanations(served):
    return (await served.get("/v1/explanations")).json()["items"]


# --- Asking


async def test_every_picture_becomes_an_explanation_of_its_own(ask_batch, served):
    answer = await ask_batch(outputs={"top": 2}, seed=7)
    assert answer.status_code == 202
    batch = answer.json()
    assert answer.headers["location"] == batch["links"]["self"] == f"{URL}/{batch['id']}"
    assert int(answer.headers["retry-after"]) >= 1
    assert (batch["status"], batch["done"], batch["size"]) == ("queued", False, 3)
    assert batch["counts"]["queued"] == 3
    assert batch["settings"]["seed"] == 7
    assert [each["position"] for each in batch["explanations"]] == [0, 1, 2]
    for n, each in enumerate(batch["explanations"]):
        explanation = (await served.get(each["links"]["self"])).json()
        assert explanation["image"]["width"] == 60 + n
        assert explanation["batch"] == batch["id"]
        assert explanation["links"]["batch"] == f"{URL}/{batch['id']}"
        assert explanation["settings"] == batch["settings"]


async def test_a_json_body_makes_the_same_request(served, photos, ask_batch):
    encoded = [base64.b64encode(photo).decode() for photo in photos]
    answer = await served.post(URL, json={"images": encoded, "settings": {"seed": 3}})
    assert answer.status_code == 202, answer.text
    multipart = (await ask_batch(seed=3)).json()
    assert answer.json()["settings"] == multipart["settings"]
    widths = [
        (await served.get(each["links"]["self"])).json()["image"]["width"]
        for each in answer.json()["explanations"]
    ]
    assert widths == [60, 61, 62]


async def test_batches_of_one_and_of_thirty_two_are_accepted(ask_batch, photos):
    assert len(ids_of((await ask_batch(photos[:1])).json())) == 1
    assert len(ids_of((await ask_batch(photos[:1] * 32)).json())) == 32


@pytest.mark.parametrize("count", [0, 33])
async def test_no_pictures_and_too_many_are_refused(ask_batch, served, photos, refused, count):
    problem = refused(await ask_batch(photos[:1] * count), 400, "bad_request")
    assert problem["field"] == "images"
    assert problem["accepted"] == {"minItems": 1, "maxItems": 32}
    encoded = [base64.b64encode(photos[0]).decode()] * count
    problem = refused(await served.post(URL, json={"images": encoded}), 400, "bad_request")
    assert problem["field"] == "images"
    assert await explanations(served) == []


@pytest.mark.parametrize(
    ("end", "status", "code"),
    [(5, 415, "unsupported_media_type"), (-200, 422, "invalid_image")],
)
async def test_a_bad_picture_is_named_by_its_position_and_refuses_all(
    ask_batch, served, photos, refused, connection, end, status, code
):
    bad = photos[2][:end]
    before = set(connection.keys())
    answer = await ask_batch([*photos[:2], bad])
    assert refused(answer, status, code)["field"] == "images.2"
    encoded = [base64.b64encode(each).decode() for each in (photos[0], bad)]
    answer = await served.post(URL, json={"images": encoded})
    assert refused(answer, status, code)["field"] == "images.1"
    assert set(connection.keys()) <= before | {b"shapshot:audit"}  # the start, noted meanwhile


async def test_invalid_base64_is_named_by_its_position(served, photos, refused):
    images = [base64.b64encode(photos[0]).decode(), "?"]
    problem = refused(await served.post(URL, json={"images": images}), 400, "bad_request")
    assert problem["field"] == "images.1"


async def test_settings_are_checked_like_those_of_one_explanation(ask_batch, refused, served):
    assert (
        refused(await ask_batch(max_evals=1), 422, "invalid_settings")["field"]
        == "settings.max_evals"
    )
    assert refused(await ask_batch(model="none"), 422, "unknown_model")["field"] == "settings.model"
    answer = await served.post(URL, json={"images": ["aGk="], "image": "aGk="})
    assert refused(answer, 400, "bad_request")["field"] == "image"


async def test_one_label_map_is_for_all(ask_batch, refused):
    regions = np.repeat(np.arange(12, dtype=np.uint8), 8).reshape(12, 8).T.copy()
    asked = {"superpixels": {"kind": "labels"}, "method": "kernel"}
    batch = (await ask_batch(label_map=encoded(regions), **asked)).json()
    assert batch["label_map"]["regions"] == 12
    refused(await ask_batch(**asked), 400, "bad_request")


async def test_a_batch_that_does_not_fit_into_the_queue_is_refused_whole(
    start, settings, fake_worker, new_card, photos, refused
):
    fake_worker.announce(new_card())
    async with start(settings.model_copy(update={"max_queued": 2})) as api:
        files = [("image", ("p", photo)) for photo in photos]
        assert (await api.post(URL, files=files[:1])).status_code == 202
        answer = await api.post(URL, files=files[1:3])
        refused(answer, 503, "queue_full")
        assert "retry-after" in answer.headers
        assert len(await explanations(api)) == 1
        assert (await api.post(URL, files=files[1:2])).status_code == 202


async def test_a_batch_larger_than_the_queue_is_refused_with_its_limit(
    start, settings, fake_worker, new_card, photos, refused
):
    fake_worker.announce(new_card())
    async with start(settings.model_copy(update={"max_queued": 2})) as api:
        answer = await api.post(URL, files=[("image", ("p", photo)) for photo in photos])
        refused(answer, 413, "too_large")
        assert "retry-after" not in answer.headers
        assert answer.json()["accepted"] == {"maximum": 2}
        assert (answer.json()["field"], answer.json()["received"]) == ("images", len(photos))


async def test_a_batch_has_batch_priority_by_default(ask_batch):
    assert (await ask_batch()).json()["settings"]["priority"] == "batch"
    hasty = await ask_batch(priority="interactive")
    assert hasty.json()["settings"]["priority"] == "interactive"


async def test_without_a_worker_no_batch_is_accepted(api, photos, refused):
    answer = await api.post(URL, files=[("image", ("p", photo)) for photo in photos])
    refused(answer, 503, "no_worker")


async def test_the_same_key_gives_the_same_batch(ask_batch, served, photos, refused):
    key = {"Idempotency-Key": "k"}
    first, again = await ask_batch(headers=key), await ask_batch(headers=key)
    assert first.json() == again.json()
    assert len(await explanations(served)) == 3
    refused(await ask_batch(photos[::-1], headers=key), 422, "idempotency_mismatch")
    single = {"image": ("p", photos[0])}
    answer = await served.post("/v1/explanations", files=single, headers=key)
    refused(answer, 422, "idempotency_mismatch")


# --- Following


async def test_progress_and_status_follow_the_unfinished_explanations(
    create_batch, served, fake_worker
):
    url, (first, second, third) = await create_batch()
    fake_worker.ledger.heartbeat(
        Heartbeat(first, attempt := fake_worker.begin(first), ProgressCount(25, 100, 3.0))
    )
    fake_worker.ledger.heartbeat(
        Heartbeat(second, fake_worker.begin(second), ProgressCount(50, 100, 8.5))
    )
    batch = (await served.get(url)).json()
    assert (batch["status"], batch["done"]) == ("running", False)
    assert batch["progress"] == {
        "evaluations": 75,
        "planned": 300,
        "fraction": 0.25,
        "eta_s": 8.5,
    }
    assert batch["counts"]["running"] == 2
    fake_worker.end(first, attempt, Status.SUCCEEDED)
    fake_worker.ledger.cancel(second)
    assert (await served.get(url)).json()["counts"]["canceling"] == 1
    assert (await served.get(url)).json()["finished_at"] is None
    assert (await served.get(f"/v1/explanations/{third}")).json()["status"] == "queued"


async def test_a_batch_is_done_when_all_have_ended_in_any_way(create_batch, served, fake_worker):
    url, (first, second, third) = await create_batch()
    fake_worker.succeed(first)
    fake_worker.fail(second, Failure(code=ErrorCode.DEADLINE_EXCEEDED, detail="late"))
    assert (await served.get(url)).json()["status"] == "queued"
    fake_worker.ledger.cancel(third)
    answer = await served.get(url)
    batch = answer.json()
    assert (batch["status"], batch["done"]) == ("done", True)
    assert "retry-after" not in answer.headers
    stands = {status: count for status, count in batch["counts"].items() if count}
    assert stands == {"succeeded": 1, "failed": 1, "canceled": 1}
    assert batch["explanations"][1]["error"]["code"] == "deadline_exceeded"
    assert batch["finished_at"] is not None
    assert batch["expires_at"] is not None
    assert set(batch["links"]) == {"self", "attributions", "heatmap"}


async def test_an_unchanged_batch_is_not_sent_again(create_batch, served, fake_worker):
    url, ids = await create_batch()
    known = {"If-None-Match": (await served.get(url)).headers["etag"]}
    assert (await served.get(url, headers=known)).status_code == 304
    fake_worker.begin(ids[1])
    assert (await served.get(url, headers=known)).status_code == 200


async def test_waiting_ends_when_the_last_is_done(create_batch, served, fake_worker):
    url, ids = await create_batch()
    waiting = asyncio.create_task(served.get(url, headers={"Prefer": "wait=30"}))
    for explanation_id in ids[::-1]:
        await asyncio.sleep(0.1)
        assert not waiting.done()
        fake_worker.succeed(explanation_id)
    answer = await asyncio.wait_for(waiting, 20)
    assert answer.json()["done"]
    assert answer.headers["preference-applied"] == "wait=30"


async def test_waiting_ends_after_the_preferred_time(ask_batch):
    answer = await ask_batch(headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")


@pytest.mark.parametrize("path", ["", "/attributions", "/heatmap.png"])
async def test_an_unknown_batch_is_not_found(served, create, refused, path):
    refused(await served.get(f"{URL}/batch_{'0' * 32}{path}"), 404, "not_found")
    refused(await served.get(f"{URL}/{await create()}{path}"), 404, "not_found")


async def test_the_id_of_a_batch_is_not_an_explanation(create_batch, served, refused):
    url, _ = await create_batch()
    refused(await served.get(url.replace("batches", "explanations")), 404, "not_found")


async def test_a_batch_is_gone_when_all_its_explanations_are(
    create_batch, served, fake_worker, refused
):
    url, ids = await create_batch()
    for explanation_id in ids:
        fake_worker.succeed(explanation_id)
    fake_worker.ledger.leave_tombstone(ids[0], tombstone_s=60)
    batch = (await served.get(url)).json()
    assert [each["status"] for each in batch["explanations"]][:2] == ["expired", "succeeded"]
    for explanation_id in ids[1:]:
        fake_worker.ledger.leave_tombstone(explanation_id, tombstone_s=60)
    refused(await served.get(url), 410, "gone")


# --- Ending


async def test_canceling_cancels_all_unfinished_explanations(create_batch, served, fake_worker):
    url, (first, second, _) = await create_batch()
    fake_worker.succeed(first)
    fake_worker.begin(second)
    answer = await served.post(f"{url}/cancel")
    assert answer.status_code == 200
    statuses = [each["status"] for each in answer.json()["explanations"]]
    assert statuses == ["succeeded", "canceling", "canceled"]
    assert (await served.post(f"{url}/cancel")).json()["explanations"] == answer.json()[
        "explanations"
    ]


async def test_canceling_one_leaves_the_others(create_batch, served):
    url, ids = await create_batch()
    await served.post(f"/v1/explanations/{ids[1]}/cancel")
    statuses = [each["status"] for each in (await served.get(url)).json()["explanations"]]
    assert statuses == ["queued", "canceled", "queued"]


async def test_a_deleted_batch_is_gone_with_its_artifacts(
    create_batch, served, fake_worker, refused, tmp_path
):
    url, ids = await create_batch()
    attempt = fake_worker.begin(ids[0])
    refused(await served.delete(url), 409, "still_running")
    assert len((await served.get(url)).json()["explanations"]) == 3
    fake_worker.end(ids[0], attempt, Status.SUCCEEDED)
    assert (await served.delete(url)).status_code == 204
    refused(await served.get(url), 404, "not_found")
    assert await explanations(served) == []
    assert not [path for path in (tmp_path / "store" / "explanations").rglob("*") if path.is_file()]


async def test_a_deleted_explanation_leaves_its_batch(create_batch, served):
    url, ids = await create_batch()
    assert (await served.delete(f"/v1/explanations/{ids[0]}")).status_code == 204
    batch = (await served.get(url)).json()
    assert [each["position"] for each in batch["explanations"]] == [1, 2]
    assert batch["size"] == 3


# --- Results


def arrays_of(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-npz"
    with np.load(io.BytesIO(answer.content), allow_pickle=False) as archive:
        return dict(archive)


async def test_arrays_are_stacked_in_upload_order(create_batch, served, fake_worker):
    url, ids = await create_batch()
    for n in (2, 0, 1):
        arrays = some_arrays() | {"values": np.full((8, 12, 3, 2), n, np.float32)}
        arrays |= {"output_indices": np.array([n, 4])}
        fake_worker.succeed(ids[n], arrays=arrays, explained={n: "ant", 4: "crane"})
    arrays = arrays_of(await served.get(f"{url}/attributions"))
    assert arrays["values"].shape == (3, 8, 12, 3, 2)
    assert arrays["values"].dtype == np.float32
    assert arrays["values"][:, 0, 0, 0, 0].tolist() == [0, 1, 2]
    assert arrays["output_indices"].tolist() == [[0, 4], [1, 4], [2, 4]]
    assert arrays["data"].shape == (3, 8, 12, 3)
    assert arrays["base_values"].shape == arrays["output_names"].shape == (3, 2)
    assert arrays["ids"].tolist() == ids
    assert arrays["positions"].tolist() == [0, 1, 2]
    assert set(arrays) == {*some_arrays(), "ids", "positions"}


async def test_only_successful_explanations_are_stacked_with_their_positions(
    create_batch, served, fake_worker
):
    url, (first, second, third) = await create_batch()
    fake_worker.end(first, fake_worker.begin(first), Status.CANCELED)  # with a partial result
    errors = np.ones((8, 12, 3, 2), np.float32)
    for explanation_id in (second, third):
        fake_worker.succeed(explanation_id, arrays=some_arrays() | {"standard_errors": errors})
    arrays = arrays_of(await served.get(f"{url}/attributions"))
    assert arrays["positions"].tolist() == [1, 2]
    assert arrays["ids"].tolist() == [second, third]
    assert arrays["standard_errors"].shape == (2, 8, 12, 3, 2)


def regions_of(rows: int) -> dict[str, Any]:
    """Makes this many regions, each of whole rows."""
    labels = np.repeat(np.arange(8) * rows // 8, 12).reshape(8, 12).astype(np.int32)
    values = np.arange(2.0 * rows).reshape(rows, 2)
    return {"regions": labels, "region_players": np.arange(1, rows + 1), "region_values": values}


async def test_regions_are_stacked_and_padded(create_batch, served, fake_worker):
    url, ids = await create_batch()
    told = [regions_of(rows) for rows in (2, 8, 4)]
    errors = [{"region_standard_errors": each["region_values"] / 2} for each in told]
    for id_, regions, error in zip(ids, told, errors, strict=True):
        fake_worker.succeed(id_, arrays=some_arrays() | regions | error)
    arrays = arrays_of(await served.get(f"{url}/attributions"))
    assert arrays["region_counts"].tolist() == [2, 8, 4]
    assert arrays["regions"].shape == (3, 8, 12)
    assert arrays["region_values"].shape == arrays["region_standard_errors"].shape == (3, 8, 2)
    for n, (regions, error) in enumerate(zip(told, errors, strict=True)):
        count = len(regions["region_players"])
        np.testing.assert_array_equal(arrays["regions"][n], regions["regions"])
        for name, array in (regions | error).items():
            if name != "regions":
                np.testing.assert_array_equal(arrays[name][n, :count], array)
        assert np.isnan(arrays["region_values"][n, count:]).all()
        assert not arrays["region_players"][n, count:].any()


async def test_if_one_has_too_many_regions_none_are_stacked(create_batch, served, fake_worker):
    url, (first, second, third) = await create_batch()
    fake_worker.succeed(first, arrays=some_arrays())
    for id_ in (second, third):
        fake_worker.succeed(id_, arrays=some_arrays() | regions_of(4))
    arrays = arrays_of(await served.get(f"{url}/attributions"))
    assert not any(name.startswith("region") for name in arrays)


async def test_a_batch_has_the_warnings_of_each_and_their_counts(create_batch, served, fake_worker):
    url, (first, second, third) = await create_batch()
    assert [each["warnings"] for each in (await served.get(url)).json()["explanations"]] == [
        None
    ] * 3
    ties = ResultWarning(
        code=WarningCode.TIES, detail="equal ones", output=None, value=None, limit=None
    )
    coarse = ties.model_copy(update={"code": WarningCode.COARSE_REGIONS})
    fake_worker.succeed(first, warnings=[ties, ties, coarse])
    fake_worker.succeed(second, warnings=[ties])
    fake_worker.succeed(third)
    batch = (await served.get(url)).json()
    assert batch["warnings"] == {"ties": 2, "coarse_regions": 1}
    for member in batch["explanations"]:
        itself = (await served.get(member["links"]["self"])).json()
        assert member["warnings"] == itself["warnings"]
    assert [len(each["warnings"]) for each in batch["explanations"]] == [3, 1, 0]


async def test_the_arrays_may_be_cached(create_batch, served, fake_worker):
    url, ids = await create_batch()
    for explanation_id in ids:
        fake_worker.succeed(explanation_id)
    answer = await served.get(f"{url}/attributions")
    known = {"If-None-Match": answer.headers["etag"]}
    assert (await served.get(f"{url}/attributions", headers=known)).status_code == 304


@pytest.mark.parametrize("path", ["attributions", "heatmap.png"])
async def test_there_are_no_results_before_all_are_done_or_if_none_succeeded(
    create_batch, served, fake_worker, refused, path
):
    url, ids = await create_batch()
    fake_worker.succeed(ids[0])
    answer = await served.get(f"{url}/{path}")
    refused(answer, 409, "not_finished")
    assert "retry-after" in answer.headers
    await served.delete(f"/v1/explanations/{ids[0]}")
    await served.post(f"{url}/cancel")
    refused(await served.get(f"{url}/{path}"), 404, "no_result")


async def test_results_of_different_shapes_are_not_stacked(
    create_batch, served, fake_worker, refused
):
    url, ids = await create_batch()
    for n, explanation_id in enumerate(ids):
        arrays = some_arrays()
        narrower = {name: arrays[name][:, : 12 - n] for name in ("values", "data")}
        fake_worker.succeed(explanation_id, arrays=arrays | narrower)
    problem = refused(await served.get(f"{url}/attributions"), 404, "no_result")
    assert "(8, 11, 3, 2)" in problem["detail"]


async def test_arrays_too_large_for_one_file_are_refused(
    create_batch, served, fake_worker, refused, monkeypatch
):
    monkeypatch.setattr("service.api.results.batch_results.MAX_VALUES", 3 * 8 * 12 * 3 * 2 - 1)
    url, ids = await create_batch()
    for explanation_id in ids:
        fake_worker.succeed(explanation_id)
    refused(await served.get(f"{url}/attributions"), 406, "not_acceptable")


async def test_the_figure_has_a_row_for_each(create_batch, served, fake_worker):
    url, ids = await create_batch()
    for explanation_id in ids:
        fake_worker.succeed(explanation_id)
    answer = await served.get(f"{url}/heatmap.png", params={"true_label": ["a", "b", "c"]})
    assert answer.headers["content-type"] == "image/png"
    figure = Image.open(io.BytesIO(answer.content))
    one = await served.get(f"/v1/explanations/{ids[0]}/heatmap.png")
    assert figure.height > 2 * Image.open(io.BytesIO(one.content)).height
    plain = {"id": ids, "true_label": ["a", "b", "c"]}
    assert answer.content == (await served.get("/v1/figure.png", params=plain)).content


async def test_one_fit_applies_to_all_pictures_and_is_checked_for_each(served, new_photo, refused):
    """With padding, 12 x 8 of 12 x 8 pixels show a 60 x 40 photo, and 12 x 2 a 120 x 20 one."""
    settings = {"fit": "pad", "superpixels": {"kind": "grid", "rows": 4, "columns": 4}}
    shapes = [(60, 40), (120, 20)]
    files = [("image", ("p", new_photo(*shape))) for shape in shapes]
    both = [*files, ("settings", (None, json.dumps(settings)))]
    problem = refused(await served.post(URL, files=both), 422, "invalid_settings")
    assert "images.1" in problem["detail"]
    assert problem["accepted"] == {"rows": {"maximum": 2}, "columns": {"maximum": 12}}
    settings["superpixels"] |= {"rows": 2}
    both = [*files, ("settings", (None, json.dumps(settings)))]
    answer = await served.post(URL, files=both)
    assert answer.status_code == 202
    assert answer.json()["settings"]["fit"] == "pad"

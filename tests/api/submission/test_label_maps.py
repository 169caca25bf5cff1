"""Uploaded label maps: a photo of 60 x 40 pixels, a model of 12 x 8."""

import base64

import numpy as np
import pytest

from tests.encoded import encoded, npy

URL = "/v1/explanations"
LABELS = {"superpixels": {"kind": "labels"}}


def halves(width: int, height: int) -> np.ndarray:
    labels = np.full((height, width), 7, np.uint8)
    labels[:, width // 2 :] = 200
    return labels


@pytest.fixture
def ask(ask):
    """Sends a request with a label map."""

    async def post(label_map=None, settings=LABELS, **options):
        return await ask(label_map=label_map, **settings, **options)

    return post


@pytest.mark.parametrize("encode", [encoded, npy])
@pytest.mark.parametrize("size", [(60, 40), (12, 8)])
async def test_a_label_map_of_the_pictures_or_the_models_size_is_accepted(ask, encode, size):
    content = encode(halves(*size))
    document = (await ask(content)).json()
    assert document["settings"]["superpixels"] == {"kind": "labels"}
    label_map = document["label_map"]
    assert (label_map["width"], label_map["height"]) == size
    assert (label_map["regions"], label_map["bytes"]) == (2, len(content))


async def test_it_is_accepted_in_json_too(served, photo):
    body = {"image": base64.b64encode(photo).decode(), "settings": LABELS}
    body["label_map"] = base64.b64encode(npy(halves(12, 8))).decode()
    answer = await served.post(URL, json=body)
    assert answer.status_code == 202, answer.text
    assert answer.json()["label_map"]["regions"] == 2


async def test_it_is_stored_unchanged_and_deleted_with_its_explanation(
    ask, served, store, tmp_path
):
    content = encoded(halves(60, 40))
    document = (await ask(content)).json()
    assert store.get(f"explanations/{document['id']}/label_map") == content
    await served.delete(document["links"]["self"])
    assert not [path for path in (tmp_path / "store" / "explanations").rglob("*") if path.is_file()]


async def test_without_a_label_map_the_field_is_null(ask):
    assert (await ask(settings={})).json()["label_map"] is None


async def test_permutation_counts_its_regions(ask):
    stripes = np.repeat(np.arange(40)[:, np.newaxis], 60, axis=1)
    settings = LABELS | {"method": "permutation"}
    document = (await ask(npy(stripes), settings)).json()
    assert document["settings"]["max_evals"] == 810  # 10 (2 x 40 + 1)


async def test_labels_without_a_label_map_are_malformed(ask, refused):
    problem = refused(await ask(), 400, "bad_request")
    assert problem["field"] == "label_map"
    assert "no label_map was sent" in problem["detail"]


@pytest.mark.parametrize("asked", [{}, {"superpixels": {"kind": "slic"}}])
async def test_a_label_map_without_label_superpixels_is_malformed(ask, refused, asked):
    problem = refused(await ask(encoded(halves(60, 40)), asked), 400, "bad_request")
    assert problem["field"] == "label_map"
    assert problem["accepted"] == {"superpixels": {"kind": "labels"}}


async def test_a_label_map_sent_as_text_is_malformed(served, refused, photo):
    files = [("image", ("p", photo)), ("label_map", (None, "text"))]
    problem = refused(await served.post(URL, files=files), 400, "bad_request")
    assert problem["field"] == "label_map"
    assert "filename" in problem["detail"]


async def test_a_label_map_that_is_not_base64_is_malformed(served, refused, photo):
    body = {"image": base64.b64encode(photo).decode(), "label_map": "!", "settings": LABELS}
    assert refused(await served.post(URL, json=body), 400, "bad_request")["field"] == "label_map"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "PNG"),
        (b"not labels", "PNG"),
        (encoded(np.zeros((40, 60, 3), np.uint8)), "RGB"),
        (encoded(halves(60, 40))[:50], "broken"),
        (npy(halves(60, 40) / 2), "float64"),
        (npy(np.array([[{}]])), "object"),
        (npy(np.zeros((40, 60, 1), int)), "(40, 60, 1)"),
    ],
)
async def test_a_file_that_is_not_a_label_map_is_invalid(ask, refused, content, said):
    problem = refused(await ask(content), 422, "invalid_label_map")
    assert problem["field"] == "label_map"
    assert said in problem["detail"]
    assert len(problem["accepted"]) == 2


async def test_a_label_map_of_another_size_is_refused_with_the_two_accepted(ask, refused):
    problem = refused(await ask(npy(halves(40, 60))), 422, "invalid_label_map")
    assert problem["received"] == {"width": 40, "height": 60}
    assert problem["accepted"] == [{"width": 60, "height": 40}, {"width": 12, "height": 8}]


async def test_a_label_map_of_too_many_pixels_or_regions_is_too_large(
    ask, refused, start, fake_worker, new_card, settings
):
    every_pixel = np.arange(2400).reshape(40, 60)
    problem = refused(await ask(npy(every_pixel)), 413, "too_large")
    assert problem["accepted"] == {"pixels": settings.max_pixels, "regions": 1000}
    fake_worker.announce(new_card())
    async with start(settings.model_copy(update={"max_pixels": 2399})) as api:
        refused(await ask(npy(halves(60, 40)), api=api), 413, "too_large")


async def test_a_refused_label_map_leaves_nothing_behind(ask, connection, tmp_path):
    before = set(connection.keys())
    await ask(b"not labels")
    await ask(npy(halves(40, 60)))
    assert set(connection.keys()) <= before | {b"shapshot:audit"}  # the start, noted meanwhile
    assert not list((tmp_path / "store" / "explanations").rglob("*"))


async def test_another_label_map_is_another_request_to_an_idempotency_key(ask, refused):
    key = {"Idempotency-Key": "k"}
    first = await ask(npy(halves(60, 40)), headers=key)
    assert (await ask(npy(halves(60, 40)), headers=key)).json()["id"] == first.json()["id"]
    refused(await ask(npy(halves(12, 8)), headers=key), 422, "idempotency_mismatch")

"""The table of regions and their share of each output."""

import csv
import io

import numpy as np
import pytest

from service.api.results.region_geometry import in_upload, measure
from service.images.model_view import ModelView
from service.infra.artifact_store import attributions_key
from service.schemas.results import Rectangle
from tests.api.conftest import some_arrays, some_regions

URL = "/v1/explanations"
NUMBERS = ("value", "standard_error", "low", "high")


@pytest.fixture
async def told(create, fake_worker):
    """The path of an explanation with six regions."""
    explanation_id = await create()
    fake_worker.succeed(explanation_id, arrays=some_arrays() | some_regions())
    return f"{URL}/{explanation_id}"


async def test_every_region_has_its_value_for_every_output(served, told):
    document = (await served.get(f"{told}/regions")).json()
    stored = some_regions()
    assert [region["region"] for region in document["regions"]] == list(range(6))
    for r, region in enumerate(document["regions"]):
        assert (region["players"], region["area"], region["channels"]) == (48, 16, None)
        assert [(c["output"], c["label"]) for c in region["credit"]] == [(0, "ant"), (2, "crane")]
        for k, credit in enumerate(region["credit"]):
            arrays = ("values", "standard_errors", "low", "high")
            for name, array in zip(NUMBERS, arrays, strict=True):
                assert credit[name] == stored[f"region_{array}"][r, k]
    assert "add up" in document["adding"]


async def test_shares_and_ranks_are_of_absolute_values(served, told):
    regions = (await served.get(f"{told}/regions")).json()["regions"]
    for k in range(2):
        sizes = np.abs(some_regions()["region_values"][:, k])
        credit = [region["credit"][k] for region in regions]
        assert [each["share"] for each in credit] == pytest.approx(sizes / sizes.sum())
        ranked = sorted(credit, key=lambda each: each["rank"])
        assert [each["rank"] for each in ranked] == [1, 2, 3, 4, 5, 6]
        assert [abs(each["value"]) for each in ranked] == sorted(sizes, reverse=True)


async def test_regions_lie_in_the_models_picture_and_in_the_upload(served, told):
    """The model's picture has 12 x 8 pixels, the upload 60 x 40: five times as many each way."""
    region = (await served.get(f"{told}/regions")).json()["regions"][4]
    assert region["box"] == {"left": 4, "top": 4, "right": 8, "bottom": 8}
    assert region["centroid"] == {"x": 6, "y": 6}
    assert region["box_in_upload"] == {"left": 20, "top": 20, "right": 40, "bottom": 40}
    assert region["centroid_in_upload"] == {"x": 30, "y": 30}


async def test_csv_has_the_same_numbers_one_line_each(served, told):
    document = (await served.get(f"{told}/regions")).json()
    for query, headers in (({"format": "csv"}, {}), ({}, {"Accept": "text/csv"})):
        answer = await served.get(f"{told}/regions", params=query, headers=headers)
        assert answer.headers["content-type"].startswith("text/csv")
        lines = list(csv.DictReader(io.StringIO(answer.text)))
        assert len(lines) == 12
        told_of = [(r, c) for r in document["regions"] for c in r["credit"]]
        for line, (region, credit) in zip(lines, told_of, strict=True):
            assert {name: line[name] for name in credit} == {n: str(v) for n, v in credit.items()}
            assert line["region"] == str(region["region"])
            assert float(line["upload_right"]) == region["box_in_upload"]["right"]
            assert float(line["y"]) == region["centroid"]["y"]


@pytest.mark.parametrize(("outputs", "kept"), [(["crane"], [2]), (["2", "0"], [2, 0])])
async def test_selected_outputs_limit_the_table(served, told, outputs, kept):
    whole = (await served.get(f"{told}/regions")).json()["regions"]
    regions = (await served.get(f"{told}/regions", params={"output": outputs})).json()["regions"]
    for all_of, some in zip(whole, regions, strict=True):
        by_output = {credit["output"]: credit for credit in all_of["credit"]}
        assert some["credit"] == [by_output[index] for index in kept]


async def test_unknown_errors_are_null_in_json_and_empty_in_csv(served, create, fake_worker):
    known = {n: a for n, a in some_regions().items() if n[7:] not in ("standard_errors", "low")}
    del known["region_high"]
    id_ = await create()
    fake_worker.succeed(id_, arrays=some_arrays() | known)
    [credit, _] = (await served.get(f"{URL}/{id_}/regions")).json()["regions"][0]["credit"]
    assert (credit["standard_error"], credit["low"], credit["high"]) == (None, None, None)
    text = (await served.get(f"{URL}/{id_}/regions", params={"format": "csv"})).text
    line = next(csv.DictReader(io.StringIO(text)))
    assert (line["standard_error"], line["low"]) == ("", "")


async def test_the_document_links_to_regions_if_there_are_any(served, told, create, fake_worker):
    document = (await served.get(told)).json()
    assert document["region_count"] == 6
    assert document["links"]["regions"] == f"{told}/regions"
    id_ = await create()
    fake_worker.succeed(id_)  # more than a table may have
    document = (await served.get(f"{URL}/{id_}")).json()
    assert document["region_count"] is None
    assert "regions" not in document["links"]


async def test_too_many_regions_are_not_found_with_the_reason(served, create, fake_worker, refused):
    id_ = await create()
    fake_worker.succeed(id_)
    problem = refused(await served.get(f"{URL}/{id_}/regions"), 404, "no_result")
    assert "10000 regions" in problem["detail"]
    assert "attributions" in problem["detail"]


async def test_a_table_too_long_is_refused_with_the_number_of_outputs_that_fits(
    served, told, refused, monkeypatch
):
    monkeypatch.setattr("service.api.results.regions.MAX_ROWS", 11)
    problem = refused(await served.get(f"{told}/regions"), 406, "not_acceptable")
    assert problem["accepted"] == {"outputs": {"maximum": 1}}
    assert (await served.get(f"{told}/regions", params={"output": "0"})).status_code == 200


async def test_other_formats_are_refused_with_the_known_ones(served, told, refused):
    answer = await served.get(f"{told}/regions", headers={"Accept": "image/png"})
    problem = refused(answer, 406, "not_acceptable")
    assert problem["accepted"] == ["application/json", "text/csv"]


async def test_a_client_with_a_current_copy_gets_304_and_head_gets_no_body(served, told):
    answer = await served.get(f"{told}/regions")
    etag = answer.headers["etag"]
    again = await served.get(f"{told}/regions", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    other = await served.get(f"{told}/regions", params={"format": "csv"})
    assert other.headers["etag"] != etag
    head = await served.head(f"{told}/regions")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == etag


async def test_the_npz_has_the_regions_of_the_selected_outputs(served, told):
    query = {"format": "npz", "output": "2"}
    content = (await served.get(f"{told}/attributions", params=query)).content
    received = np.load(io.BytesIO(content))
    stored = some_regions()
    np.testing.assert_array_equal(received["regions"], stored["regions"])
    for name in ("region_values", "region_standard_errors", "region_low", "region_high"):
        np.testing.assert_array_equal(received[name], stored[name][:, [1]])


@pytest.mark.parametrize(
    "wrong",
    [
        {"regions": np.full((8, 12), 6, np.int32)},
        {"regions": np.full((8, 12), -2, np.int32)},
        {"regions": np.zeros((8, 12), np.int32)},
        {"region_values": np.full((6, 2), np.nan)},
    ],
)
async def test_impossible_regions_are_damage(served, create, fake_worker, refused, wrong):
    id_ = await create()
    fake_worker.succeed(id_, arrays=some_arrays() | some_regions() | wrong)
    problem = refused(await served.get(f"{URL}/{id_}/regions"), 404, "no_result")
    assert "damaged" in problem["detail"]


@pytest.mark.parametrize("missing", ["regions", "region_players"])
async def test_incomplete_regions_are_damage(served, create, fake_worker, refused, missing):
    arrays = some_arrays() | some_regions()
    del arrays[missing]
    id_ = await create()
    fake_worker.succeed(id_, arrays=arrays)
    refused(await served.get(f"{URL}/{id_}/regions"), 404, "no_result")


async def test_a_flipped_bit_is_noticed(served, create, fake_worker, refused, store):
    id_ = await create()
    state = fake_worker.succeed(id_, arrays=some_arrays() | some_regions())
    key = attributions_key(id_, state.result)
    content = bytearray(store.get(key))
    place = content.index(b"region_values.npy") + 130
    content[place] ^= 1
    store.put(key, bytes(content))
    refused(await served.get(f"{URL}/{id_}/regions"), 404, "no_result")


# --- Where regions lie


def test_a_region_is_measured_by_its_pixels_wherever_they_lie():
    labels = np.array([[0, 1, 1], [-1, 0, 1]])
    shapes = measure(labels, 2)
    assert shapes.areas.tolist() == [2, 3]
    assert shapes.boxes.tolist() == [[0, 0, 2, 2], [1, 0, 3, 2]]
    assert shapes.centroids == pytest.approx(np.array([[1.0, 1.0], [13 / 6, 5 / 6]]))
    assert shapes.channels == [None, None]


def test_with_separate_channels_a_pixel_counts_once_for_each_region():
    labels = np.array([[[0, 0, 1], [2, 2, 2]]])
    shapes = measure(labels, 3)
    assert shapes.areas.tolist() == [1, 1, 1]
    assert shapes.channels == [[0, 1], [2], None]
    assert shapes.centroids.tolist() == [[0.5, 0.5], [0.5, 0.5], [1.5, 0.5]]


@pytest.mark.parametrize(
    ("crop", "placement", "upload"),
    [
        ((75, 0, 375, 300), (0, 0, 10, 10), [75, 0, 225, 300]),  # cropped to the middle
        ((0, 0, 400, 300), (0, 0, 10, 10), [0, 0, 200, 300]),  # stretched
        ((0, 0, 400, 200), (0, 3, 10, 8), [0, 0, 200, 200]),  # padded above and below
    ],
)
def test_the_left_half_of_the_model_view_is_that_of_the_upload(crop, placement, upload):
    names = ("left", "top", "right", "bottom")
    view = ModelView(
        Rectangle(**dict(zip(names, crop, strict=True))),
        Rectangle(**dict(zip(names, placement, strict=True))),
    )
    left, top, _, bottom = placement
    half = np.array([[left, top, 5, bottom]])
    assert in_upload(half, view).tolist() == [upload]

"""Interactions of pairs of regions: requested, listed, drawn, and in the arrays."""

import io

import numpy as np
import pytest
from PIL import Image

from service.client.attributions import read_npz
from tests.api.conftest import some_arrays, some_interactions, some_regions

URL = "/v1/explanations"
GRID = {"kind": "grid", "rows": 2, "columns": 3}
ASKED = {"method": "gaussian_process", "superpixels": GRID, "interactions": 2}


@pytest.fixture
async def told(ask, fake_worker):
    """The path of an explanation with the interactions of six regions."""
    id_ = (await ask(**ASKED)).json()["id"]
    fake_worker.succeed(id_, arrays=some_arrays() | some_regions() | some_interactions())
    return f"{URL}/{id_}"


async def test_the_strongest_pairs_of_each_output_are_listed_by_rank(served, told):
    document = (await served.get(f"{told}/regions", params={"pairs": 4})).json()
    stored = some_interactions()
    found = document["interactions"]
    assert [(each["label"], each["rank"]) for each in found] == [
        (label, rank) for label in ("ant", "crane") for rank in (1, 2, 3, 4)
    ]
    for column, output in enumerate((0, 2)):
        of_output = [each for each in found if each["output"] == output]
        rows = np.argsort(-np.abs(stored["interaction_values"][:, column]))[:4]
        for each, row in zip(of_output, rows, strict=True):
            assert each["regions"] == stored["interaction_pairs"][row].tolist()
            for name, array in (
                *(("value", "values"), ("standard_error", "standard_errors")),
                *(("low", "low"), ("high", "high")),
            ):
                assert each[name] == stored[f"interaction_{array}"][row, column]


async def test_twenty_pairs_are_listed_unless_others_are_asked_for(served, told):
    for pairs, count in ((None, 15), (0, 0), (1225, 15)):
        params = {"output": "crane"} | ({} if pairs is None else {"pairs": pairs})
        document = (await served.get(f"{told}/regions", params=params)).json()
        assert len(document["interactions"]) == count
        assert len(document["regions"]) == 6


@pytest.mark.parametrize("pairs", [-1, 1226])
async def test_no_more_pairs_than_50_regions_have_can_be_asked_for(served, told, refused, pairs):
    answer = await served.get(f"{told}/regions", params={"pairs": pairs})
    problem = refused(answer, 422, "invalid_parameter")
    assert problem["received"] == str(pairs)


async def test_unknown_intervals_of_pairs_are_null(served, ask, fake_worker):
    id_ = (await ask(**ASKED)).json()["id"]
    known = {n: a for n, a in some_interactions().items() if n[-4:] not in ("_low", "high")}
    fake_worker.succeed(id_, arrays=some_arrays() | some_regions() | known)
    [first, *_] = (await served.get(f"{URL}/{id_}/regions")).json()["interactions"]
    assert (first["low"], first["high"]) == (None, None)


async def test_results_without_interactions_have_null(served, create, fake_worker):
    id_ = await create()
    fake_worker.succeed(id_, arrays=some_arrays() | some_regions())
    assert (await served.get(f"{URL}/{id_}/regions")).json()["interactions"] is None


async def test_the_npz_of_an_output_has_its_interactions(served, told):
    answer = await served.get(f"{told}/attributions", params={"format": "npz", "output": "crane"})
    found, stored = read_npz(answer.content), some_interactions()
    assert (found.interaction_pairs == stored["interaction_pairs"]).all()
    for name in set(stored) - {"interaction_pairs"}:
        assert (getattr(found, name) == stored[name][:, 1:]).all()


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
async def test_the_strongest_pairs_are_drawn(served, told, form):
    answer = await served.get(f"{told}/heatmap.{form}", params={"style": "interactions"})
    assert answer.status_code == 200
    other = await served.get(
        f"{told}/heatmap.{form}", params={"style": "interactions", "output": "crane"}
    )
    assert other.content != answer.content
    fewer = await served.get(f"{told}/heatmap.{form}", params={"style": "interactions", "pairs": 2})
    assert fewer.content != answer.content
    assert fewer.headers["etag"] != answer.headers["etag"]


async def test_a_drawing_of_pairs_has_the_width_that_was_asked_for(served, told):
    widths = []
    for size in (600, 900):
        query = {"style": "interactions", "size": size}
        answer = await served.get(f"{told}/heatmap.png", params=query)
        widths.append(Image.open(io.BytesIO(answer.content)).width)
    assert 600 < widths[0] < 680
    assert 900 < widths[1] < 1000


@pytest.mark.parametrize(
    ("name", "value"),
    [("size", "original"), ("true_label", "ant"), ("scale", "panel"), ("unit", "pixel")],
)
async def test_options_that_a_drawing_of_pairs_has_not_are_refused(
    served, told, refused, name, value
):
    answer = await served.get(f"{told}/heatmap.png", params={"style": "interactions", name: value})
    problem = refused(answer, 422, "invalid_parameter")
    assert (problem["field"], problem["received"]) == (name, value)


async def test_pairs_of_a_result_without_interactions_are_not_drawn(
    served, create, fake_worker, refused
):
    id_ = await create()
    fake_worker.succeed(id_, arrays=some_arrays() | some_regions())
    answer = await served.get(f"{URL}/{id_}/heatmap.png", params={"style": "interactions"})
    problem = refused(answer, 422, "invalid_parameter")
    assert "`interactions` of 2" in problem["detail"]
    assert problem["accepted"] == ["figure", "overlay", "heat"]


async def test_arrays_with_a_part_of_the_interactions_are_damaged(
    served, ask, fake_worker, refused
):
    id_ = (await ask(**ASKED)).json()["id"]
    part = some_interactions()
    del part["alone_values"]
    fake_worker.succeed(id_, arrays=some_arrays() | some_regions() | part)
    refused(await served.get(f"{URL}/{id_}/regions"), 404, "no_result")


async def test_the_report_tells_of_the_strongest_pair(served, told):
    page = (await served.get(f"{told}/report.html")).text
    values = some_interactions()["interaction_values"][:, 0]
    row = np.abs(values).argmax()
    one, other = some_interactions()["interaction_pairs"][row]
    said = page[page.index("Of all pairs of regions") :]
    more = "more" if values[row] > 0 else "less"
    assert f"{one} and {other} interact most for ant" in said
    assert f"{abs(values[row]):.3g}" in said
    assert f" {more} than each without the other (95 % interval" in said


# --- Requests


async def test_interactions_are_of_gaussian_process(ask, refused):
    assert (await ask(**ASKED)).json()["settings"]["interactions"] == 2
    problem = refused(await ask(**ASKED | {"method": "kernel"}), 422, "invalid_settings")
    assert (problem["field"], problem["received"]) == ("settings.interactions", 2)
    assert "gaussian_process" in problem["detail"]


async def test_interactions_of_pixels_are_refused(ask, refused):
    pixels = {"kind": "pixels", "channels": "together"}
    problem = refused(await ask(**ASKED | {"superpixels": pixels}), 422, "invalid_settings")
    assert (problem["field"], problem["received"]) == ("settings.superpixels", 96)
    assert problem["accepted"]["superpixels"] == ["grid", "slic", "labels"]
    assert "96 pixels" in problem["detail"]


async def test_interactions_of_more_than_50_superpixels_are_refused(ask, refused):
    grid = {"kind": "grid", "rows": 6, "columns": 9}
    problem = refused(await ask(**ASKED | {"superpixels": grid}), 422, "invalid_settings")
    assert (problem["received"], problem["accepted"]["players"]) == (54, {"maximum": 50})
    slic = {"kind": "slic", "segments": 50}
    assert (await ask(**ASKED | {"superpixels": slic})).status_code == 202


@pytest.mark.parametrize("value", [0, 3, True, "2"])
async def test_other_orders_of_interactions_are_refused(ask, refused, value):
    problem = refused(await ask(**ASKED | {"interactions": value}), 422, "invalid_settings")
    assert problem["field"] == "settings.interactions"

"""Attributions as arrays and as pictures."""

import io

import numpy as np
import pytest
from PIL.PngImagePlugin import PngImageFile

from service.api.results.drawing_size import layer_size
from service.infra.artifact_store import attributions_key
from service.render import InvalidOptionError
from service.schemas.documents import ErrorCode, Failure
from service.schemas.results import Rectangle
from tests.api.conftest import some_arrays, some_curves, some_regions
from tests.tiny import MODEL

URL = "/v1/explanations"
NPZ, NPY, JSON = "application/x-npz", "application/x-npy", "application/json"


@pytest.fixture
async def done(create, fake_worker):
    """The path of an explanation that succeeded, and its arrays."""
    explanation_id = await create()
    state = fake_worker.succeed(explanation_id)
    content = fake_worker._store.get(attributions_key(explanation_id, state.result))
    return f"{URL}/{explanation_id}", dict(np.load(io.BytesIO(content)))


def picture(answer) -> PngImageFile:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    return PngImageFile(io.BytesIO(answer.content))


# --- Arrays


async def test_npz_holds_the_arrays_as_the_worker_stored_them(served, done):
    path, arrays = done
    answer = await served.get(f"{path}/attributions", headers={"Accept": NPZ})
    assert answer.headers["content-type"] == NPZ
    received = np.load(io.BytesIO(answer.content), allow_pickle=False)
    assert set(received) == set(arrays)
    assert str(received["model_fingerprint"]) == MODEL.fingerprint
    for name, array in arrays.items():
        np.testing.assert_array_equal(received[name], array)
        assert received[name].dtype == array.dtype


async def test_npy_holds_the_values(served, done):
    path, arrays = done
    answer = await served.get(f"{path}/attributions", headers={"Accept": NPY})
    np.testing.assert_array_equal(np.load(io.BytesIO(answer.content)), arrays["values"])


@pytest.mark.parametrize(("outputs", "kept"), [([], [0, 1]), (["crane"], [1])])
@pytest.mark.parametrize("size", [1e-7, 1.0, 1e6, 1e-30, 0])
async def test_half_precision_loses_no_value_that_counts(
    served, create, fake_worker, outputs, kept, size
):
    arrays = some_arrays() | some_regions()
    arrays["values"][..., 1] = size * arrays["values"][..., 1]
    arrays["values"][0, 0, 0] = arrays["values"].max(axis=(0, 1, 2)) * 2**-28
    arrays["standard_errors"] = np.abs(arrays["values"])
    id_ = await create()
    fake_worker.succeed(id_, arrays=arrays)
    query = {"output": outputs, "format": "npz", "dtype": "float16"}
    answer = await served.get(f"{URL}/{id_}/attributions", params=query)
    received = np.load(io.BytesIO(answer.content))
    assert (received["values"].dtype, received["data"].dtype) == (np.float16, np.float16)
    assert np.all(np.isfinite(received["values"]))
    values = received["values"].astype(np.float64) * received["values_scale"]
    exact = arrays["values"][..., kept].astype(np.float64)
    np.testing.assert_allclose(values, exact, rtol=2**-11, atol=0)
    np.testing.assert_allclose(received["data"], arrays["data"], atol=1 / 16)
    others = set(arrays) - {"values", "data", "standard_errors"}
    assert set(received) == others | {"values", "values_scale", "data"}
    np.testing.assert_array_equal(received["region_values"], arrays["region_values"][:, kept])


async def test_half_precision_is_of_npz_only(served, done, refused):
    path = f"{done[0]}/attributions"
    for form in ("json", "npy"):
        query = {"format": form, "dtype": "float16"}
        problem = refused(await served.get(path, params=query), 422, "invalid_parameter")
        assert (problem["field"], problem["accepted"]) == ("dtype", ["float32"])
    exact, half = [
        await served.get(path, params={"format": "npz", "dtype": dtype})
        for dtype in ("float32", "float16")
    ]
    assert exact.headers["etag"] != half.headers["etag"]


async def test_json_holds_the_same_numbers(served, done):
    path, arrays = done
    document = (await served.get(f"{path}/attributions")).json()
    assert document["shape"] == [8, 12, 3, 2]
    assert (document["dtype"], document["axes"]) == ("float32", "H,W,C,K")
    assert document["output_names"] == ["ant", "crane"]
    assert document["output_indices"] == [0, 2]
    assert document["base_values"] == [0.125, 0.25]
    np.testing.assert_array_equal(np.float32(document["values"]), arrays["values"])


@pytest.mark.parametrize("form", ["json", "npy", "npz"])
@pytest.mark.parametrize(
    ("outputs", "kept"),
    [(["2"], [1]), (["crane"], [1]), (["2", "0"], [1, 0]), (["ant", "0"], [0])],
)
async def test_selected_outputs_come_in_the_requested_order(served, done, form, outputs, kept):
    path, arrays = done
    query = {"output": outputs, "format": form}
    answer = await served.get(f"{path}/attributions", params=query)
    wanted = arrays["values"][..., kept]
    if form == "json":
        np.testing.assert_array_equal(np.float32(answer.json()["values"]), wanted)
        assert answer.json()["output_indices"] == arrays["output_indices"][kept].tolist()
    elif form == "npy":
        np.testing.assert_array_equal(np.load(io.BytesIO(answer.content)), wanted)
    else:
        received = np.load(io.BytesIO(answer.content))
        np.testing.assert_array_equal(received["values"], wanted)
        np.testing.assert_array_equal(received["base_values"], arrays["base_values"][kept])
        np.testing.assert_array_equal(received["data"], arrays["data"])


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("*/*", JSON),
        ("application/*", JSON),
        (f"{NPZ}, */*;q=0.1", NPZ),
        (f"{JSON};q=0.5, {NPY}", NPY),
        (f"{JSON};q=0, */*", NPY),
        ("text/html, application/json;q=0.9", JSON),
    ],
)
async def test_the_preferred_format_is_sent(served, done, accept, form):
    answer = await served.get(f"{done[0]}/attributions", headers={"Accept": accept})
    assert answer.headers["content-type"] == form
    assert "accept" in answer.headers["vary"].lower()


async def test_format_overrides_accept(served, done):
    answer = await served.get(
        f"{done[0]}/attributions", params={"format": "npy"}, headers={"Accept": JSON}
    )
    assert answer.headers["content-type"] == NPY


async def test_an_unknown_format_is_refused_with_the_known_ones(served, done, refused):
    answer = await served.get(f"{done[0]}/attributions", headers={"Accept": "text/csv"})
    assert refused(answer, 406, "not_acceptable")["accepted"] == [JSON, NPY, NPZ]
    answer = await served.get(f"{done[0]}/attributions", params={"format": "csv"})
    accepted = refused(answer, 422, "invalid_parameter")["accepted"]
    assert accepted == {"oneOf": ["json", "npy", "npz"]}


@pytest.mark.parametrize("output", ["1", "bee", "99", "", "x" * 1000])
@pytest.mark.parametrize("path", ["attributions", "heatmap.png"])
async def test_an_unexplained_output_is_refused_with_the_explained_ones(
    served, done, refused, path, output
):
    answer = await served.get(f"{done[0]}/{path}", params={"output": output})
    problem = refused(answer, 422, "unknown_output")
    assert problem["accepted"] == [{"index": 0, "label": "ant"}, {"index": 2, "label": "crane"}]


@pytest.fixture
async def uncertain(create, fake_worker):
    """The path of an explanation with standard errors and superpixels, and its arrays."""
    explanation_id = await create()
    known = {
        "standard_errors": np.random.default_rng(1).random((8, 12, 3, 2), np.float32),
        "players": np.arange(96, dtype=np.int32).reshape(8, 12) // 6,
    }
    fake_worker.succeed(explanation_id, arrays=some_arrays() | known)
    return f"{URL}/{explanation_id}", known


async def test_json_has_standard_errors_and_players_if_known(served, done, uncertain):
    path, known = uncertain
    document = (await served.get(f"{path}/attributions")).json()
    np.testing.assert_array_equal(np.float32(document["standard_errors"]), known["standard_errors"])
    assert document["players"] == known["players"].tolist()
    unknown = (await served.get(f"{done[0]}/attributions")).json()
    assert (unknown["standard_errors"], unknown["players"]) == (None, None)


@pytest.mark.parametrize("form", ["json", "npz"])
async def test_selected_outputs_limit_the_standard_errors_too(served, uncertain, form):
    path, known = uncertain
    answer = await served.get(f"{path}/attributions", params={"output": "crane", "format": form})
    received = answer.json() if form == "json" else np.load(io.BytesIO(answer.content))
    wanted = known["standard_errors"][..., [1]]
    np.testing.assert_array_equal(np.float32(received["standard_errors"]), wanted)
    np.testing.assert_array_equal(received["players"], known["players"])


async def test_arrays_too_large_for_json_are_refused_with_the_formats_that_fit(
    served, create, fake_worker, refused
):
    explanation_id = await create()
    large = np.zeros((1300, 1300, 3, 2), np.float32)
    arrays = {
        "values": large,
        "base_values": np.zeros(2),
        "data": large[..., 0],
        "output_names": np.array(["ant", "crane"]),
        "output_indices": np.array([0, 2]),
    }
    fake_worker.succeed(explanation_id, arrays=arrays)
    answer = await served.get(f"{URL}/{explanation_id}/attributions")
    assert refused(answer, 406, "not_acceptable")["accepted"] == ["npy", "npz"]


# --- Pictures


async def test_a_figure_shows_all_outputs_by_default(served, done):
    both = picture(await served.get(f"{done[0]}/heatmap.png"))
    one = picture(await served.get(f"{done[0]}/heatmap.png", params={"output": "crane"}))
    assert both.width > one.width


async def test_a_figure_takes_a_width(served, done):
    assert picture(await served.get(f"{done[0]}/heatmap.png", params={"size": 640})).width == 640


@pytest.mark.parametrize(
    ("style", "size", "expected"),
    [
        ("overlay", None, (60, 40)),
        ("overlay", "original", (60, 40)),
        ("overlay", "model", (12, 8)),
        ("overlay", "300", (300, 200)),
        ("heat", None, (12, 8)),
        ("heat", "model", (12, 8)),
        ("heat", "original", (60, 40)),
        ("heat", "300", (300, 200)),
    ],
)
async def test_a_layer_has_the_requested_size(served, done, style, size, expected):
    query = {"style": style} | ({"size": size} if size else {})
    assert picture(await served.get(f"{done[0]}/heatmap.png", params=query)).size == expected


async def test_heat_covers_the_part_that_the_model_saw(served, done, connection, fake_worker):
    path, _ = done
    explanation_id = path.rsplit("/", 1)[1]
    state = fake_worker.read(explanation_id)
    cropped = state.outcome.model_copy(
        update={"crop": state.outcome.crop.model_copy(update={"left": 30})}
    )
    key = f"shapshot:explanation:{explanation_id}"
    connection.hset(key, "outcome", cropped.model_dump_json())
    query = {"style": "heat", "size": "original"}
    opacity = picture(await served.get(f"{path}/heatmap.png", params=query)).getchannel("A")
    assert opacity.size == (60, 40)
    assert opacity.crop((0, 0, 30, 40)).getbbox() is None
    assert opacity.crop((30, 0, 60, 40)).getbbox() is not None


async def test_outputs_of_one_name_are_distinguished_in_every_drawing(served, create, fake_worker):
    explanation_id = await create(metrics=["insertion"])
    both = {2: "crane", 4: "crane"}
    arrays = some_arrays() | {"output_names": np.array(["crane"] * 2), "output_indices": [2, 4]}
    arrays["output_indices"] = np.array([2, 4])
    curves = [
        curve.model_copy(update={"output": index, "label": "crane"})
        for curve, index in zip(some_curves("insertion"), both, strict=True)
    ]
    fake_worker.succeed(explanation_id, arrays=arrays, explained=both, curves=curves)
    path = f"{URL}/{explanation_id}"
    for drawing, query in (
        ("heatmap.png", {}),
        ("faithfulness.png", {}),
        ("heatmap.png", {"style": "overlay", "output": "4"}),
    ):
        text = picture(await served.get(f"{path}/{drawing}", params=query)).text
        said = text["Title"] + text["Description"]
        assert "4: crane" in said
        assert ("2: crane" in said) == (not query)
    answer = await served.get(f"{path}/attributions", headers={"accept": "application/json"})
    assert answer.json()["output_names"] == ["crane", "crane"]


@pytest.mark.parametrize("style", ["heat", "overlay"])
async def test_heat_in_the_padding_is_not_drawn_on_the_photo(
    served, create, fake_worker, connection, style
):
    """In the model's picture of 12 x 8 pixels, the photo of 60 x 40 covers columns 4 to 8."""
    explanation_id = await create()
    arrays = some_arrays()
    arrays["values"] = np.zeros_like(arrays["values"])
    arrays["values"][:, 4:6] = 1  # the left half of the photo
    arrays["values"][:, :4] = arrays["values"][:, 8:] = -5  # no worker writes this
    state = fake_worker.succeed(explanation_id, arrays=arrays)
    placed = {"placement": Rectangle(left=4, top=0, right=8, bottom=8)}
    key = f"shapshot:explanation:{explanation_id}"
    connection.hset(key, "outcome", state.outcome.model_copy(update=placed).model_dump_json())
    query = {"style": style, "size": "original"}
    drawn = picture(await served.get(f"{URL}/{explanation_id}/heatmap.png", params=query))
    assert drawn.size == (60, 40)
    pixels = np.asarray(drawn.convert("RGBA")).astype(int)
    coloured = np.ptp(pixels[..., :3], axis=2) * (pixels[..., 3] > 0) > 40
    assert coloured[:, :30].all()
    assert not coloured[:, 30:].any()
    assert (pixels[:, :30, 0] > pixels[:, :30, 2]).all()  # red: for the class


async def test_a_layer_shows_the_first_output_or_the_requested_one(served, done):
    query = {"style": "heat"}
    first = await served.get(f"{done[0]}/heatmap.png", params=query)
    ant = await served.get(f"{done[0]}/heatmap.png", params=query | {"output": "ant"})
    crane = await served.get(f"{done[0]}/heatmap.png", params=query | {"output": "crane"})
    assert first.content == ant.content != crane.content


@pytest.mark.parametrize("style", ["overlay", "heat"])
async def test_a_legend_adds_output_score_scale_and_id_to_a_layer(served, done, style):
    query = {"style": style, "output": "crane"}
    bare = picture(await served.get(f"{done[0]}/heatmap.png", params=query))
    query["legend"] = "true"
    full = picture(await served.get(f"{done[0]}/heatmap.png", params=query))
    assert full.height > bare.height + 80
    svg = (await served.get(f"{done[0]}/heatmap.svg", params=query)).text
    id_ = done[0].rpartition("/")[2]
    for text in ("crane", "score ", "Owen value per pixel", "Red raises the score", id_):
        assert f">{text}" in svg


async def test_colours_of_a_figure_show_values_per_pixel_or_per_region(served, create, fake_worker):
    """With superpixels, colours show the value of a region: 32 pixels at 0.01 are 0.32."""
    id_ = await create(method="exact", superpixels={"kind": "grid", "rows": 1, "columns": 3})
    regions = np.arange(12, dtype=np.int32).reshape(1, 12).repeat(8, axis=0) // 4
    worth = np.array([[0.32, 0.1], [-0.16, 0.1], [0.08, 0.0]])  # (R, K)
    arrays = some_arrays() | {
        "values": np.repeat((worth[regions] / 96)[:, :, None], 3, axis=2).astype(np.float32),
        "players": regions,
        "regions": regions,
        "region_players": np.ones(3, np.int32),
        "region_values": worth,
    }
    fake_worker.succeed(id_, arrays=arrays)
    path = f"{URL}/{id_}/heatmap.svg"
    region, pixel = [
        (await served.get(path, params=query)).text for query in ({}, {"unit": "pixel"})
    ]
    assert "Owen value per region" in region
    assert ">0.3</text>" in region
    assert "Owen value per pixel" in pixel
    assert ">0.005</text>" in pixel


async def test_only_figures_have_several_scales(served, done, refused):
    query = {"style": "heat", "scale": "row"}
    answer = await served.get(f"{done[0]}/heatmap.png", params=query)
    problem = refused(answer, 422, "invalid_parameter")
    assert problem["detail"] == (
        "only a figure has several colour scales; received style heat and scale row"
    )


async def test_unknown_regions_cannot_be_drawn(served, done, refused):
    answer = await served.get(f"{done[0]}/heatmap.png", params={"unit": "region"})
    assert "unit must be pixel" in refused(answer, 422, "invalid_parameter")["detail"]


@pytest.mark.parametrize("query", [{"alpha": 0.9}, {"percentile": 50}])
async def test_the_drawing_can_be_tuned(served, done, query):
    plain = await served.get(f"{done[0]}/heatmap.png", params={"style": "overlay"})
    tuned = await served.get(f"{done[0]}/heatmap.png", params={"style": "overlay"} | query)
    assert picture(tuned).size == picture(plain).size
    assert tuned.content != plain.content


@pytest.mark.parametrize(
    ("query", "field", "accepted"),
    [
        ({"style": "jet"}, "style", {"oneOf": ["figure", "overlay", "heat", "interactions"]}),
        ({"alpha": "1.5"}, "alpha", {"maximum": 1}),
        ({"alpha": "nan"}, "alpha", None),
        ({"percentile": "0"}, "percentile", {"exclusiveMinimum": 0}),
        ({"percentile": "101"}, "percentile", {"maximum": 100}),
        ({"size": "31"}, "size", {"oneOf": ["model", "original"], "minimum": 32}),
        ({"size": "5000"}, "size", {"oneOf": ["model", "original"], "maximum": 4096}),
        ({"size": "huge"}, "size", {"oneOf": ["model", "original"]}),
        ({"palette": "jet"}, "palette", {"oneOf": ["red_blue", "orange_blue", "orange_purple"]}),
        ({"true_label": ""}, "true_label", {"minLength": 1}),
        ({"true_label": "x" * 101}, "true_label", {"maxLength": 100}),
        (
            {"colour": "red"},
            "colour",
            [
                *("alpha", "percentile", "palette", "unit", "legend"),
                *("output", "style", "size", "pairs", "true_label", "scale"),
            ],
        ),
    ],
)
async def test_an_unknown_option_is_refused(served, done, refused, query, field, accepted):
    answer = await served.get(f"{done[0]}/heatmap.png", params=query)
    problem = refused(answer, 422, "invalid_parameter")
    assert problem["field"] == field
    if accepted:
        assert problem["accepted"] == accepted


@pytest.mark.parametrize("size", ["original", "50"])
async def test_a_figure_takes_no_size(served, done, refused, size):
    answer = await served.get(f"{done[0]}/heatmap.png", params={"size": size})
    assert size in refused(answer, 422, "invalid_parameter")["detail"]


@pytest.mark.parametrize("style", ["figure", "overlay", "heat"])
async def test_every_style_has_every_palette(served, done, style):
    plain = await served.get(f"{done[0]}/heatmap.png", params={"style": style})
    query = {"style": style, "palette": "orange_purple"}
    other = await served.get(f"{done[0]}/heatmap.png", params=query)
    assert picture(other).size == picture(plain).size
    assert other.content != plain.content
    default = await served.get(f"{done[0]}/heatmap.png", params=query | {"palette": "red_blue"})
    assert default.content == plain.content


async def test_a_figure_shows_the_true_label(served, done):
    plain = await served.get(f"{done[0]}/heatmap.png")
    labelled = await served.get(f"{done[0]}/heatmap.png", params={"true_label": "dromedary"})
    assert "dromedary" in picture(labelled).info["Description"]
    assert "dromedary" not in picture(plain).info["Description"]
    assert labelled.headers["etag"] != plain.headers["etag"]


@pytest.mark.parametrize("style", ["overlay", "heat"])
async def test_only_a_figure_shows_the_true_label(served, done, refused, style):
    query = {"style": style, "true_label": "dog"}
    answer = await served.get(f"{done[0]}/heatmap.png", params=query)
    assert "true_label" in refused(answer, 422, "invalid_parameter")["detail"]


# --- Both


RESULTS = ["attributions", "heatmap.png"]


@pytest.mark.parametrize("path", RESULTS)
async def test_a_result_may_be_cached(served, done, path):
    answer = await served.get(f"{done[0]}/{path}")
    assert "immutable" in answer.headers["cache-control"]
    assert "private" in answer.headers["cache-control"]
    assert done[0].rsplit("/", 1)[1] in answer.headers["content-disposition"]
    again = await served.get(f"{done[0]}/{path}", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = await served.get(f"{done[0]}/{path}", params={"output": "crane"})
    assert other.headers["etag"] != answer.headers["etag"]


@pytest.mark.parametrize("path", RESULTS)
async def test_there_is_no_result_before_the_end(served, create, fake_worker, refused, path):
    explanation_id = await create()
    answer = await served.get(f"{URL}/{explanation_id}/{path}")
    refused(answer, 409, "not_finished")
    assert answer.headers["retry-after"] == "1"
    fake_worker.begin(explanation_id)
    problem = refused(await served.get(f"{URL}/{explanation_id}/{path}"), 409, "not_finished")
    assert "running" in problem["detail"]


@pytest.mark.parametrize("path", RESULTS)
async def test_a_failed_explanation_has_no_result(served, create, fake_worker, refused, path):
    explanation_id = await create()
    fake_worker.fail(explanation_id, Failure(code=ErrorCode.INTERNAL, detail="the engine broke"))
    problem = refused(await served.get(f"{URL}/{explanation_id}/{path}"), 404, "no_result")
    assert "the engine broke" in problem["detail"]


@pytest.mark.parametrize("path", RESULTS)
async def test_an_explanation_canceled_in_the_queue_has_no_result(served, create, refused, path):
    explanation_id = await create()
    await served.post(f"{URL}/{explanation_id}/cancel")
    problem = refused(await served.get(f"{URL}/{explanation_id}/{path}"), 404, "no_result")
    assert "canceled" in problem["detail"]


@pytest.mark.parametrize("path", RESULTS)
async def test_a_result_missing_from_the_store_is_no_result(served, done, refused, store, path):
    store.delete_explanation(done[0].rsplit("/", 1)[1])
    refused(await served.get(f"{done[0]}/{path}"), 404, "no_result")


@pytest.mark.parametrize(
    ("size", "expected"), [(None, (4729, 3547)), (3000, (3000, 2250)), ("model", (224, 224))]
)
def test_an_overlay_of_a_large_photo_is_as_large_as_a_layer_may_be(size, expected):
    assert layer_size("overlay", size, model=(224, 224), photo=(8000, 6000)) == expected


@pytest.mark.parametrize("style", ["overlay", "heat"])
def test_a_layer_as_large_as_a_large_photo_is_refused(style):
    with pytest.raises(InvalidOptionError, match="16777216 pixels; received 8000 x 6000"):
        layer_size(style, "original", model=(224, 224), photo=(8000, 6000))


async def test_a_drawing_over_a_long_photo_may_not_grow_without_bound(
    ask, served, fake_worker, new_photo, refused
):
    asked = await ask(new_photo(20, 2000))
    fake_worker.succeed(asked.json()["id"])
    path = f"{URL}/{asked.json()['id']}/heatmap.png"
    answer = await served.get(path, params={"style": "overlay", "size": 4096})
    assert "409600" in refused(answer, 422, "invalid_parameter")["detail"]

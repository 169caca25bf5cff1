"""Several explanations in one figure."""

import io
from datetime import UTC, datetime

import pytest
from PIL import Image

from service.api.version import version
from service.schemas.documents import ErrorCode, Failure
from tests.tiny import MODEL

URL = "/v1/explanations"
FIGURE = "/v1/figure.png"


@pytest.fixture
async def two(create, fake_worker):
    """The ids of two explanations that succeeded."""
    ids = [await create() for _ in range(2)]
    for explanation_id in ids:
        fake_worker.succeed(explanation_id)
    return ids


def picture(answer) -> Image.Image:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    return Image.open(io.BytesIO(answer.content))


async def test_each_explanation_has_a_row(served, two):
    one = picture(await served.get(f"{URL}/{two[0]}/heatmap.png"))
    pair, three, four = [
        picture(await served.get(FIGURE, params={"id": ids}))
        for ids in (two, [*two, two[0]], [*two, *two])
    ]
    assert one.width == pair.width == three.width == four.width
    assert one.height < pair.height < three.height
    assert four.height - three.height == three.height - pair.height


async def test_true_labels_are_above_their_pictures(served, two):
    labels = ["dromedary", "tortoise"]
    answer = await served.get(FIGURE, params={"id": two, "true_label": labels})
    text = picture(answer).info["Description"]
    assert text.index("dromedary") < text.index("tortoise")


@pytest.mark.parametrize("query", [{"palette": "orange_blue"}, {"percentile": 50}, {"alpha": 1}])
async def test_the_drawing_can_be_tuned(served, two, query):
    plain = await served.get(FIGURE, params={"id": two})
    tuned = await served.get(FIGURE, params={"id": two} | query)
    assert picture(tuned).size == picture(plain).size
    assert tuned.content != plain.content


@pytest.mark.parametrize(
    ("form", "media_type", "start"),
    [("svg", "image/svg+xml", b"<svg "), ("pdf", "application/pdf", b"%PDF-")],
)
async def test_it_is_also_an_svg_and_a_pdf_with_the_same_bytes_each_time(
    served, two, form, media_type, start
):
    first, again = [
        await served.get(f"/v1/figure.{form}", params={"id": two, "scale": "panel"})
        for _ in range(2)
    ]
    assert first.status_code == 200, first.text
    assert first.headers["content-type"] == media_type
    assert first.headers["content-disposition"] == f'inline; filename="figure.{form}"'
    assert first.content.startswith(start)
    assert first.content == again.content


async def test_its_metadata_name_the_explanations_that_it_shows(served, two, fake_worker):
    text = picture(await served.get(FIGURE, params={"id": two})).info
    created = fake_worker.read(two[0]).created_at
    assert text["Explanation"] == ", ".join(two)
    assert text["Software"] == f"Shapshot {version()}"
    assert text["Model"] == MODEL.name
    assert text["Model Fingerprint"] == MODEL.fingerprint
    assert (text["Method"], text["Masker"]) == ("partition", "inpaint_telea")
    moment = datetime.fromtimestamp(int(created), UTC)
    assert text["Creation Time"].startswith(moment.strftime("%Y-%m-%dT%H:%M:%SZ"))


@pytest.mark.parametrize("scale", ["row", "panel"])
async def test_rows_or_panels_have_colour_scales_of_their_own(served, two, scale):
    shared = picture(await served.get(FIGURE, params={"id": two}))
    own = picture(await served.get(FIGURE, params={"id": two, "scale": scale}))
    assert own.width == shared.width
    assert own.height > shared.height


async def test_titles_of_rows_say_how_they_differ(served, create, fake_worker):
    maskers = ["mean", "blur(3,3)"]
    ids = [await create(masker=masker) for masker in maskers]
    for explanation_id in ids:
        fake_worker.succeed(explanation_id)
    svg = (await served.get("/v1/figure.svg", params={"id": ids})).text
    for text in [*(f"masker {masker}" for masker in maskers), *ids]:
        assert f">{text}</text>" in svg
    assert ">In common: " in svg
    assert f"model {MODEL.name} · " in svg
    assert "Owen value per pixel" in svg


async def test_it_takes_a_width(served, two):
    assert picture(await served.get(FIGURE, params={"id": two, "width": 640})).width == 640


async def test_it_may_be_cached_until_any_option_differs(served, two):
    answer = await served.get(FIGURE, params={"id": two})
    assert "immutable" in answer.headers["cache-control"]
    known = {"If-None-Match": answer.headers["etag"]}
    again = await served.get(FIGURE, params={"id": two}, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    turned = await served.get(FIGURE, params={"id": two[::-1]}, headers=known)
    assert turned.status_code == 200


@pytest.mark.parametrize(
    ("query", "field", "accepted"),
    [
        ({}, "id", None),
        ({"id": ["a"]}, "id", {"minItems": 2}),
        ({"id": ["a"] * 33}, "id", {"maxItems": 32}),
        ({"id": ["a", "b"], "width": 99}, "width", {"minimum": 100}),
        ({"id": ["a", "b"], "palette": "jet"}, "palette", None),
        ({"id": ["a", "b"], "true_label": ["x" * 101, "y"]}, "true_label", None),
        (
            {"id": ["a", "b"], "style": "heat"},
            "style",
            [
                *("alpha", "percentile", "palette", "unit", "legend"),
                *("true_label", "width", "scale", "id"),
            ],
        ),
    ],
)
async def test_an_unknown_option_is_refused(served, refused, query, field, accepted):
    problem = refused(await served.get(FIGURE, params=query), 422, "invalid_parameter")
    assert problem["field"] == field
    if accepted:
        assert problem["accepted"] == accepted


async def test_true_labels_are_given_for_all_rows_or_none(served, two, refused):
    answer = await served.get(FIGURE, params={"id": two, "true_label": "dog"})
    problem = refused(answer, 422, "invalid_parameter")
    assert (problem["field"], problem["received"]) == ("true_label", 1)
    assert problem["accepted"] == [0, 2]


async def test_too_many_panels_are_refused(served, two, refused, fake_worker, connection):
    state = fake_worker.read(two[0])
    many = state.outcome.model_copy(update={"outputs": state.outcome.outputs * 200})
    connection.hset(f"shapshot:explanation:{two[0]}", "outcome", many.model_dump_json())
    problem = refused(await served.get(FIGURE, params={"id": two}), 422, "invalid_parameter")
    assert problem["accepted"] == {"maximum": 400}
    assert problem["received"] == 402


async def test_an_explanation_without_a_result_is_named(
    served, two, create, fake_worker, refused, store
):
    unknown = "exp_" + "0" * 32
    answer = await served.get(FIGURE, params={"id": [two[0], unknown]})
    assert refused(answer, 404, "not_found")["received"] == unknown
    waiting = await create()
    answer = await served.get(FIGURE, params={"id": [two[0], waiting]})
    assert refused(answer, 409, "not_finished")["received"] == waiting
    fake_worker.fail(waiting, Failure(code=ErrorCode.INTERNAL, detail="the engine broke"))
    answer = await served.get(FIGURE, params={"id": [two[0], waiting]})
    assert refused(answer, 404, "no_result")["received"] == waiting
    store.delete_explanation(two[1])
    refused(await served.get(FIGURE, params={"id": two}), 404, "no_result")

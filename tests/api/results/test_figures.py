"""Several explanations in one figure."""

import io

import pytest
from PIL import Image

from service.schemas.documents import ErrorCode, Failure

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
    pair = picture(await served.get(FIGURE, params={"id": two}))
    three = picture(await served.get(FIGURE, params={"id": [*two, two[0]]}))
    assert one.width == pair.width == three.width
    assert one.height < pair.height < three.height
    assert three.height - pair.height == pair.height - one.height


async def test_true_labels_stand_over_their_pictures(served, two):
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


async def test_it_takes_a_width(served, two):
    assert picture(await served.get(FIGURE, params={"id": two, "width": 640})).width == 640


async def test_it_is_kept_by_caches_until_anything_differs(served, two):
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
            ["alpha", "percentile", "palette", "true_label", "width", "id"],
        ),
    ],
)
async def test_an_option_there_is_not_is_refused(served, refused, query, field, accepted):
    problem = refused(await served.get(FIGURE, params=query), 422, "invalid_parameter")
    assert problem["field"] == field
    if accepted:
        assert problem["accepted"] == accepted


async def test_true_labels_are_for_none_or_all(served, two, refused):
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

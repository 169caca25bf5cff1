"""SVG, PDF and metadata; colour scales of rows and panels; texts that do not overlap."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from service.render import (
    Attributions,
    ChartCurve,
    InvalidAttributionsError,
    InvalidOptionError,
    Provenance,
    Row,
    faithfulness_chart,
    figure,
    heat,
    overlay,
)
from service.render.text import short_numbers
from tests.render.drawings import RED, attributions, opened, pixels, random_attributions

LATIN = (
    "Haliaeetus leucocephalus",
    "Ramphocelus carbo magnirostris",
    "Acrocephalus schoenobaenus orientalis",
    "Pseudocheirus peregrinus",
    "Corvus",
)
ORIGIN = Provenance(
    id="exp_1",
    created_at="2026-11-29T10:00:00Z",
    software="Shapshot 1.2.3",
    model="birds",
    fingerprint="sha256:" + "ab" * 32,
    method="kernel",
    players="slic",
    max_evals=500,
    masker="mean",
    picture="eagle.jpg",
)


def named(outputs=5, height=24, width=24, seed=0) -> Attributions:
    names = [f"{LATIN[k % 5]}{' x' * (k // 5)}" for k in range(outputs)]
    return replace(random_attributions(height, width, outputs=outputs, seed=seed),
                   output_names=names)  # fmt: skip


def parsed(svg: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(svg.decode())  # noqa: S314 - drawn here


def texts(svg: bytes) -> list[str]:
    return ["".join(each.itertext()) for each in parsed(svg).iter() if each.tag.endswith("}text")]


def text_boxes(svg: bytes) -> list[tuple[float, float, float, float]]:
    """Return the left, top, right and bottom of each text, from its capital letters."""
    boxes = []
    for text in parsed(svg).iter("{http://www.w3.org/2000/svg}text"):
        x, y, width, size = (
            float(text.get(name)) for name in ("x", "y", "textLength", "font-size")
        )
        left = x - {"start": 0, "middle": 0.5, "end": 1}[text.get("text-anchor")] * width
        boxes.append((left, y - 0.73 * size, left + width, y))
    return boxes


def chart(names=LATIN, **options) -> bytes:
    x = np.linspace(0, 1, 11)
    curves = [
        ChartCurve(metric, name, k, x, x, x**2, 0.99979 - k / 1e4, -0.000123)
        for metric in ("insertion", "deletion")
        for k, name in enumerate(names)
    ]
    return faithfulness_chart(curves, **options)


def drawings(form, name="cat") -> list[bytes]:
    given = replace(random_attributions(outputs=1), output_names=[name])
    origin = replace(ORIGIN, picture=name)
    rows = [Row(given, [0.5], name, origin), Row(given, [0.5], name, replace(origin, id="exp_2"))]
    return [
        figure(*rows, form=form),
        overlay(given, score=0.5, origin=origin, legend="Owen value per pixel", form=form),
        heat(given, score=0.5, origin=origin, form=form),
        chart([name], origin=origin, form=form),
    ]


# --- Texts keep apart


@pytest.mark.parametrize("scale", ["shared", "row", "panel"])
@pytest.mark.parametrize("outputs", [1, 5, 10])
@pytest.mark.parametrize("shape", [(24, 24), (60, 20), (20, 60)])
def test_no_text_of_a_figure_lies_on_another_or_leaves_the_page(scale, outputs, shape):
    scores = [0.99979, *[10.0**-k for k in range(2, outputs + 1)]]
    rows = [
        Row(named(outputs, *shape, seed=k), scores, LATIN[k], replace(ORIGIN, masker=masker), True)
        for k, masker in enumerate(("mean", "blur(16,16)", "inpaint_telea"))
    ]
    check_apart(figure(*rows, scale=scale, form="svg"))


@pytest.mark.parametrize("draw", [overlay, heat])
@pytest.mark.parametrize("size", [(28, 28), (900, 30), (30, 900)])
def test_no_text_of_a_legend_lies_on_another_or_leaves_the_page(draw, size):
    given = named(1, *size)
    check_apart(
        draw(given, score=-0.99979, origin=ORIGIN, legend="Owen value per pixel", form="svg")
    )


def test_no_text_of_a_chart_lies_on_another_or_leaves_the_page():
    check_apart(chart(form="svg"))


def check_apart(svg: bytes) -> None:
    width, height = (float(parsed(svg).get(side)) for side in ("width", "height"))
    boxes = text_boxes(svg)
    assert len(boxes) > 4
    for number, (left, top, right, bottom) in enumerate(boxes):
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        for other in boxes[:number]:
            beside = right <= other[0] or other[2] <= left
            assert beside or bottom <= other[1] or other[3] <= top, (number, texts(svg)[number])


# --- Colour scales


@pytest.mark.parametrize(("scale", "full"), [("shared", 1), ("row", 2), ("panel", 4)])
def test_each_scale_reaches_its_full_colour_in_its_own_row_or_panel(scale, full):
    values = np.array([1.0, 0.5])[None, None, None].repeat(24, axis=0).repeat(24, axis=1)
    rows = [Row(attributions(size * values)) for size in (1.0, 0.01)]
    shown = (pixels(figure(*rows, scale=scale, percentile=100, alpha=0)) == RED).all(axis=2)
    assert shown.sum() // 240**2 == full


def test_the_limits_are_beside_each_scale():
    rows = [Row(attributions(np.full((8, 8, 1, 1), size))) for size in (0.25, 0.0)]
    for scale in ("row", "panel"):
        shown = texts(figure(*rows, scale=scale, caption="Owen value", form="svg"))
        assert {"±0.25", "all are zero"} <= set(shown)
        assert f"Owen value; each {scale} has a colour scale of its own" in shown


# --- Regions


def test_the_colours_of_regions_show_the_value_of_each_as_a_whole():
    regions = np.zeros((8, 8), np.int64)
    regions[:, 6:], regions[0, 0] = 1, -1
    worth = np.array([[0.48], [0.24]])
    areas = np.array([47, 16])
    values = (worth[:, 0] / areas)[regions][..., None, None]
    given = replace(attributions(values), regions=regions, region_values=worth)
    sums = given.sums("region")[..., 0]
    assert (sums[0, 0], sums[0, 1], sums[0, 7]) == (0, 0.48, 0.24)
    np.testing.assert_allclose(given.narrow([0]).within(6, 0, 8, 8).sums("region"), 0.24)
    assert figure(Row(given), unit="region") != figure(Row(given), unit="pixel")


def test_regions_of_separate_channels_add_up():
    regions = np.stack([np.zeros((4, 4), int), np.ones((4, 4), int), np.full((4, 4), -1)], axis=2)
    given = replace(random_attributions(4, 4, outputs=1), regions=regions,
                    region_values=np.array([[0.5], [0.25]]))  # fmt: skip
    np.testing.assert_array_equal(given.sums("region"), np.full((4, 4, 1), 0.75))


@pytest.mark.parametrize(
    ("regions", "worth", "message"),
    [
        (np.zeros((4, 5), int), np.zeros((1, 2)), "regions must be"),
        (np.ones((4, 4), int), np.zeros((1, 2)), r"in -1\.\.0"),
        (np.zeros((4, 4), int), np.zeros((1, 3)), "region_values must be"),
        (np.zeros((4, 4), int), np.full((1, 2), np.nan), "finite"),
        (np.zeros((4, 4), int), None, "together"),
    ],
)
def test_broken_regions_are_refused(regions, worth, message):
    with pytest.raises(InvalidAttributionsError, match=message):
        replace(random_attributions(4, 4), regions=regions, region_values=worth)


def test_unknown_regions_are_refused():
    with pytest.raises(InvalidOptionError, match="unit must be pixel"):
        figure(Row(random_attributions()), unit="region")


# --- Titles, marks, numbers


def test_titles_have_only_the_differences_and_a_note_the_rest():
    given = random_attributions()
    origins = [ORIGIN, replace(ORIGIN, id="exp_2", masker="blur(3,3)", method="exact")]
    shown = texts(figure(*(Row(given, origin=each) for each in origins), form="svg"))
    assert shown.index("method kernel · masker mean") < shown.index("exp_1")
    assert shown.index("method exact · masker blur(3,3)") < shown.index("exp_2")
    common = " ".join(shown[shown.index("SHAP value") + 1 :])
    assert "picture eagle.jpg" in common
    assert "model birds" in common
    assert "masker" not in common


def test_one_row_has_neither_title_nor_note_without_a_legend():
    given = random_attributions()
    plain = figure(Row(given), form="svg")
    assert texts(figure(Row(given, origin=ORIGIN), form="svg")) == texts(plain)
    assert "exp_1" in " ".join(texts(figure(Row(given, origin=ORIGIN), legend=True, form="svg")))


@pytest.mark.parametrize(
    ("true", "correct", "marks"),
    [
        ((LATIN[0], 0), True, ["true label ✓ predicted", "0.9 ✓ true label"]),
        ((LATIN[1], 1), False, ["true label ✗ not predicted", "0.1 ✓ true label"]),
        (("Corvus", -1), None, ["true label"]),
    ],
)
def test_right_and_wrong_are_marked_in_words(true, correct, marks):
    label, index = true
    row = Row(named(2), [0.9, 0.1], label, true_index=index, correct=correct)
    shown = texts(figure(row, form="svg"))
    assert [text for text in shown if "true label" in text] == marks


@pytest.mark.parametrize(
    ("numbers", "labels"),
    [
        ([0.99979, 0.00012, 0.0], ["0.9998", "0.00012", "0"]),
        ([1.0, 0.99979], ["1", "0.9998"]),
        ([0.12345, 0.12341], ["0.1235", "0.1234"]),
        ([0.5, 0.5], ["0.5", "0.5"]),
        ([-0.99996], ["-0.99996"]),
        ([2.0003, 123456.0, 1e-12, 1e30], ["2.0003", "1.23e+05", "1e-12", "1e+30"]),
    ],
)
def test_numbers_have_enough_digits_to_distinguish_them(numbers, labels):
    assert short_numbers(numbers) == labels


# --- Files


def test_metadata_give_the_origin_of_a_drawing():
    for png in drawings("png"):
        text = opened(png).text
        assert text["Software"] == "Shapshot 1.2.3"
        assert text["Explanation"] in ("exp_1", "exp_1, exp_2")
        assert text["Creation Time"] == "2026-11-29T10:00:00Z"
        assert (text["Model"], text["Model Fingerprint"]) == ("birds", ORIGIN.fingerprint)
        assert (text["Method"], text["Masker"], text["Players"]) == ("kernel", "mean", "slic")


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>", "a & ]]> <!--", '"quoted"', "a\x00b", "\ud800", "大熊猫"],
)
def test_no_name_breaks_an_svg_or_a_pdf(name):
    for svg in drawings("svg", name):
        tags = {each.tag.partition("}")[2] for each in parsed(svg).iter()}
        assert tags <= {"svg", "title", "desc", "metadata", "g", "rect", "image", "text",
                        "polyline", "polygon"}  # fmt: skip
        assert all(pdf.startswith(b"%PDF-") for pdf in drawings("pdf", name))


def test_an_svg_refers_to_nothing_outside_itself():
    for svg in drawings("svg"):
        references = re.findall(rb'(?:href|src)="([^"]*)"|url\(([^)]*)', svg)
        assert all(target.startswith(b"data:image/png;") for target, _ in references)
        assert svg.count(b"http") == 1  # the XML name space


def test_the_pictures_of_an_svg_are_those_of_the_png():
    import base64

    given = random_attributions(outputs=1)
    page = pixels(figure(Row(given)))
    for image in parsed(figure(Row(given), form="svg")).iter("{http://www.w3.org/2000/svg}image"):
        x, y = int(image.get("x")), int(image.get("y"))
        inside = pixels(base64.b64decode(image.get("href").partition(",")[2]))
        height, width = inside.shape[:2]
        np.testing.assert_array_equal(page[y : y + height, x : x + width], inside)


@pytest.mark.parametrize("form", ["svg", "pdf"])
def test_the_same_input_gives_the_same_file_in_eight_threads(form):
    alone = drawings(form)
    with ThreadPoolExecutor(8) as threads:
        assert all(each == alone for each in threads.map(drawings, [form] * 16))

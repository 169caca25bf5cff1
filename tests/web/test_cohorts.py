"""Cohorts: right and wrong predictions, and where in the pictures their credit falls."""

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, Route, expect

from service.render.colours import channel_sums
from service.schemas.documents import Explanation
from tests.e2e.pictures import SAMPLE, cat
from tests.encoded import encoded
from tests.web.conftest import SETTINGS, visit

CELLS = 16
NOTES = ("no_standard_errors", "coarse_regions")
COHORT = "metadata=suite%3Dcohort"


@pytest.fixture(scope="module")
def cohort(dashboard) -> list[Explanation]:
    """The sample as it is and turned, with true labels that are right, wrong and absent."""
    flipped = encoded(cat().transpose(Image.Transpose.FLIP_LEFT_RIGHT), "PNG")
    turned = encoded(cat().transpose(Image.Transpose.ROTATE_90), "PNG")
    asked = []
    for name, picture, label in (
        ("cat 1.jpg", SAMPLE.read_bytes(), "cat"),
        ("cat 2.png", flipped, "cat"),
        ("dog 1.jpg", SAMPLE.read_bytes(), "dog"),
        ("dog 2.png", flipped, "dog"),
        ("=1+1, turned.png", turned, "truck"),
        ("plain 1.png", flipped, None),
    ):
        settings = SETTINGS | {"true_label": label, "metadata": {"suite": "cohort"}}
        files = {"image": (name, picture), "settings": (None, json.dumps(settings))}
        answer = dashboard.client._http.post("/v1/explanations", files=files)
        asked.append(answer.raise_for_status().json()["id"])
    return [dashboard.client.wait(id_) for id_ in asked]


def in_order(cohort: list[Explanation]) -> list[Explanation]:
    """As the page says: worst first."""

    def key(each: Explanation) -> tuple[float, ...]:
        score = max(output.score for output in each.outputs)
        doubts = [warning for warning in each.warnings if warning.code not in NOTES]
        if each.correct is False:
            return (0, -score)
        return (2 if each.correct else 1, not doubts, score)

    return sorted(cohort, key=key)


def shares(sums: np.ndarray, left: int, top: int, right: int, bottom: int) -> np.ndarray:
    """(16, 16) shares of the absolute sums (H, W) in the cells over a part of a picture."""
    size = np.abs(sums[top:bottom, left:right])
    rows, columns = (overlaps(length) for length in size.shape)
    return rows @ size @ columns.T / size.sum()


def overlaps(length: int) -> np.ndarray:
    """(16, length) shares of each pixel in each cell."""
    edges = np.arange(length + 1) * CELLS / length
    cells = np.arange(CELLS)[:, np.newaxis]
    inside = np.minimum(edges[1:], cells + 1) - np.maximum(edges[:-1], cells)
    return np.clip(inside, 0, None) / np.diff(edges)


def credit_of(dashboard, explanation: Explanation) -> np.ndarray:
    arrays = dashboard.client.attributions(explanation.id)
    top = int(np.argmax([output.score for output in explanation.outputs]))
    sums = channel_sums(arrays.values)[..., top]
    part = explanation.placement
    return shares(sums, part.left, part.top, part.right, part.bottom)


def downloaded(page: Page, button: str) -> str:
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    return Path(download.value.path()).read_text()


def test_right_and_wrong_are_counted_and_the_worst_come_first(page, dashboard, cohort, watched):
    visit(page, dashboard, f"/explanations?{COHORT}")
    tiles = page.locator(".tile")
    expect(tiles.filter(has_text="✓ right")).to_have_count(sum(e.correct is True for e in cohort))
    expect(tiles.filter(has_text="dog 1.jpg")).to_contain_text("✗ wrong true class: dog")
    expect(tiles.first.locator("img")).to_be_visible()
    assert any("/thumbnail.png" in url for url in watched.requests)
    assert not any("/heatmap.png" in url or "/attributions" in url for url in watched.requests)

    page.get_by_role("link", name="As a cohort").click()
    expect(page.get_by_text("6 pictures loaded and measured.", exact=True)).to_be_visible()
    for verdict, correct in (("✓ right", True), ("✗ wrong", False), ("? not known", None)):
        count = sum(each.correct is correct for each in cohort)
        expect(page.locator(".stat", has_text=verdict).locator("dd")).to_have_text(str(count))
    links = page.locator(".sheet-tile a")
    expected = [f"#/explanations/{each.id}" for each in in_order(cohort)]
    assert [link.get_attribute("href") for link in links.all()] == expected

    wrong = [each for each in cohort if each.correct is False and each.true_label.label == "dog"]
    pairs = page.get_by_role("region", name="Confused classes")
    pairs.get_by_role("button", name=re.compile("show dog taken for cat")).click()
    assert wrong
    expect(links).to_have_count(len(wrong))
    expect(page.get_by_label("Prediction").last).to_have_value("wrong")

    rows = list(csv.DictReader(io.StringIO(downloaded(page, "Cases (CSV)"))))
    assert [row["id"] for row in rows] == [each.id for each in in_order(cohort)]
    found = json.loads(downloaded(page, "All numbers (JSON)"))
    assert found["counts"]["accuracy"] == pytest.approx(found["counts"]["right"] / 5)
    for row, case, each in zip(rows, found["cases"], in_order(cohort), strict=True):
        cells = credit_of(dashboard, each)
        centre = cells[4:12, 4:12].sum()
        assert float(row["credit_centre"]) == pytest.approx(centre, rel=2e-3)
        assert np.array(case["credit"]["cells"]).reshape(16, 16) == pytest.approx(cells, abs=1e-4)
        assert row["file"].lstrip("'") == each.image.name
        curve = next(area for area in each.metrics if area.output == int(row["predicted_index"]))
        assert float(row["deletion_area"]) == curve.area
    assert "'=1+1, turned.png" in [row["file"] for row in rows]  # no formula in a spreadsheet
    [all_cases, *_] = found["credit"]
    mean = np.mean([credit_of(dashboard, each) for each in wrong_of(cohort)], axis=0)
    assert np.reshape(all_cases["wrong"]["cells"], (16, 16)) == pytest.approx(mean, abs=1e-4)


def wrong_of(cohort: list[Explanation]) -> list[Explanation]:
    return [each for each in cohort if each.correct is False]


def test_loading_is_stopped_and_goes_on(page, dashboard, cohort):
    held: list[Route] = []
    page.route("**/attributions?*", lambda route: held.append(route))
    visit(page, dashboard, f"/cohorts?{COHORT}")
    expect(page.get_by_text("0 of 6 pictures loaded and measured.")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    for route in held:
        route.abort()
    page.unroute("**/attributions?*")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("6 pictures loaded and measured.", exact=True)).to_be_visible()


def test_without_true_labels_it_says_how_to_give_them(page, dashboard, cohort):
    visit(page, dashboard, f"/cohorts?{COHORT}&name=plain")
    expect(page.get_by_text("None of these has a true label")).to_be_visible()
    expect(page.get_by_role("region", name="Predicted classes")).to_be_visible()
    expect(page.get_by_text("1 picture loaded and measured.", exact=True)).to_be_visible()
    page.get_by_label("File name").fill("nothing of it")
    page.get_by_label("File name").blur()
    expect(page.get_by_text("0 explanations.")).to_be_visible()
    expect(page.locator(".sheet-tile")).to_have_count(0)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_the_screen_fits_and_is_accessible(open_page, dashboard, cohort, width, scheme):
    page = open_page(width, color_scheme=scheme)
    visit(page, dashboard, f"/cohorts?{COHORT}")
    expect(page.get_by_text("6 pictures loaded and measured.", exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    grave = [each for each in found if each["impact"] in ("serious", "critical")]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in grave] == []


@pytest.mark.parametrize(
    ("shape", "part"),
    [
        ((32, 48), (0, 0, 48, 32)),
        ((13, 21), (2, 1, 21, 12)),
        ((40, 5), (0, 0, 5, 40)),
        ((1, 1), (0, 0, 1, 1)),
    ],
)
def test_shares_of_credit_are_those_of_numpy(page, dashboard, shape, part):
    visit(page, dashboard, "/models")
    sums = np.random.default_rng(0).normal(size=shape)
    left, top, right, bottom = part
    outside = np.ones(shape, dtype=bool)
    outside[top:bottom, left:right] = False
    sums[outside] = 0  # as in the padding around a photo
    found = page.evaluate(
        "async ([sums, width, part]) => {"
        "const {creditOf} = await import('./web/cohorts/credit.js');"
        "const {magnitudesOf} = await import('./web/lib/colours.js');"
        "const found = creditOf(sums, magnitudesOf(sums), width, part);"
        "return {...found, cells: [...found.cells]}; }",
        [
            sums.ravel().tolist(),
            shape[1],
            {"left": left, "top": top, "right": right, "bottom": bottom},
        ],
    )
    cells = shares(sums, *part)
    assert np.reshape(found["cells"], (16, 16)) == pytest.approx(cells, rel=1e-9)
    assert found["bottomLeft"] == pytest.approx(cells[8:, :8].sum())
    strongest = np.sort(np.abs(sums[top:bottom, left:right]), axis=None)[::-1]
    half = np.searchsorted(strongest.cumsum(), strongest.sum() / 2) + 1
    assert found["half"] == pytest.approx(half / strongest.size)

"""What if: regions are hidden and shown again in a real Chromium, and scores move."""

import base64
import io
import re
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from service.api.auth.keys import Scope
from service.jobs.redis_keys import SCORES_ID
from service.schemas.documents import ErrorCode, Failure
from service.schemas.scores import Coalition, CoalitionScores, MaskedPicture, ScoredOutput
from tests.api.auth.keyholders import issue
from tests.api.conftest import FakeWorker, some_arrays, some_regions
from tests.conftest import wait_until
from tests.e2e.embedded import Running
from tests.tiny import PARTS
from tests.web.conftest import READY, ROOT, sign_in, visit
from tests.web.test_dashboard import pixels

ROWS = "[aria-label='Scores'] tbody tr"
TRIED = "[aria-label='Tried'] tbody tr"
LINE = ".what-if-score"


def number(text: str) -> float:
    return float(text.replace("\u2212", "-").replace(",", ""))


def cells(page: Page, row: int = 0) -> list[float]:
    """The full picture, now, the change, what the values predict: of an output."""
    return [number(text) for text in page.locator(ROWS).nth(row).locator("td").all_inner_texts()]


def pressed(page: Page) -> set[int]:
    """The hidden regions, as the table of regions has them."""
    rows = page.locator(".regions tbody tr:has([aria-pressed='true'])")
    return {int(row.get_attribute("data-region") or "") for row in rows.all()}


def wait_for_scores(page: Page) -> None:
    """Until the scores and the picture are those of what is hidden."""
    expect(page.locator(".what-if-score.stale, canvas.masked.stale")).to_have_count(0)


def assert_as_the_server_has_it(page: Page, dashboard: Running, id_: str, hidden: set[int]) -> None:
    wait_for_scores(page)
    assert pressed(page) == hidden
    coalition = Coalition(hidden=sorted(hidden))
    scored = dashboard.client.scores(id_, [coalition])
    assert scored.outputs
    assert scored.scores
    regions = dashboard.client.regions(id_).regions
    for k, (output, now) in enumerate(zip(scored.outputs, scored.scores[0], strict=True)):
        values = [region.credit[k].value for region in regions if region.region not in hidden]
        expected = [output.score, now, now - output.score, output.base_value + sum(values)]
        assert cells(page, k) == pytest.approx(expected, rel=6e-3, abs=1e-6)
    picture = Image.open(io.BytesIO(dashboard.client.masked_picture(id_, coalition)))
    np.testing.assert_array_equal(pixels(page, "canvas.masked")[..., :3], np.asarray(picture))


def test_regions_are_hidden_and_the_scores_move_as_the_server_scores_them(
    page, dashboard, explained, watched
):
    visit(page, dashboard, f"/explanations/{explained.id}")
    page.get_by_role("link", name="What if").click()
    page.wait_for_selector(f"main[data-ready$='/what-if'] {LINE}")
    expect(page.locator(LINE)).to_contain_text("unchanged")
    assert_as_the_server_has_it(page, dashboard, explained.id, set())

    regions = dashboard.client.regions(explained.id).regions
    ranked = sorted(regions, key=lambda region: -region.credit[0].value)
    order = [region.region for region in ranked]
    box, first = page.locator(".stage").bounding_box(), ranked[0].centroid
    at = {"x": first.x / 32 * box["width"], "y": first.y / 32 * box["height"]}  # of 32 x 32 pixels
    page.locator(".stage").click(position=at)
    expect(page.locator(LINE)).to_contain_text("down")
    assert_as_the_server_has_it(page, dashboard, explained.id, {order[0]})
    assert page.url.endswith(f"/what-if?hidden={order[0]}")
    full, now, change, _ = cells(page)
    expect(page.locator(LINE)).to_contain_text(re.compile(f"down .* from {full}"))
    assert change < 0 < now < full

    page.get_by_label("How many").fill("4")
    page.get_by_role("button", name="Hide all but the 4 largest").click()
    assert_as_the_server_has_it(page, dashboard, explained.id, set(order[4:]))
    page.get_by_role("button", name="Invert").click()
    assert_as_the_server_has_it(page, dashboard, explained.id, set(order[:4]))
    page.get_by_role("button", name="Hide the 4 smallest").click()
    assert_as_the_server_has_it(page, dashboard, explained.id, set(order[-4:]))
    page.get_by_role("button", name="Hide all", exact=True).click()
    assert_as_the_server_has_it(page, dashboard, explained.id, set(range(16)))
    page.get_by_role("button", name="Undo").click()
    assert_as_the_server_has_it(page, dashboard, explained.id, set(order[-4:]))

    expect(page.locator(TRIED)).to_have_count(6)
    asked = [url for url in watched.requests if url.endswith("/scores")]
    row = page.locator(TRIED).filter(has_text=f"Hidden: {order[0]}").first
    row.get_by_role("button").click()
    expect(row.get_by_role("button")).to_have_attribute("aria-current", "true")
    assert_as_the_server_has_it(page, dashboard, explained.id, {order[0]})
    assert number(row.locator("td").first.inner_text()) == pytest.approx(now, rel=6e-3)
    assert [url for url in watched.requests if url.endswith("/scores")] == asked  # it was known

    second = explained.outputs[1]
    page.get_by_role("radio", name=second.label, exact=True).check()
    expect(page.locator(LINE)).to_contain_text(second.label)
    page.reload()
    page.wait_for_selector(READY)
    expect(page.locator(LINE)).to_contain_text(second.label)
    assert_as_the_server_has_it(page, dashboard, explained.id, {order[0]})
    page.get_by_role("button", name="Show all").click()
    expect(page.locator(LINE)).to_contain_text("unchanged")


def test_the_keyboard_alone_hides_and_shows(page, dashboard, explained):
    regions = dashboard.client.regions(explained.id).regions
    first, second = sorted(regions, key=lambda region: region.credit[0].rank)[:2]
    visit(page, dashboard, f"/explanations/{explained.id}/what-if")
    for _ in range(3):
        page.keyboard.press("Tab")
    while page.evaluate("document.activeElement.className") != "stage":
        page.keyboard.press("Tab")
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    expect(page.locator("#readout")).to_contain_text(f"Region {first.region}, hidden")
    assert_as_the_server_has_it(page, dashboard, explained.id, {first.region})
    status = page.get_by_role("status").filter(has=page.locator("strong"))
    expect(status).to_have_text(re.compile(r"^cat 0\.\d+, (up|down) 0\.\d+ from 0\.\d+$"))

    while page.evaluate("document.activeElement.ariaPressed") is None:
        page.keyboard.press("Tab")  # to the table, of which the current row is one stop
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    assert_as_the_server_has_it(page, dashboard, explained.id, {first.region, second.region})
    expect(page.get_by_role("button", name=f"Hide region {second.region}")).to_be_focused()
    page.keyboard.press("Control+z")
    assert_as_the_server_has_it(page, dashboard, explained.id, {first.region})


def test_what_is_chosen_meanwhile_replaces_the_question_and_outlasts_a_server_that_is_away(
    page, dashboard, permuted
):
    visit(page, dashboard, f"/explanations/{permuted.id}/what-if?hidden=0,3-4,99,x&output=-1")
    expect(page.get_by_role("main")).to_contain_text("which has 0 to 15: 99, x. They are left out.")
    assert_as_the_server_has_it(page, dashboard, permuted.id, {0, 3, 4})

    held = []
    page.route("**/scores", lambda route: held.append(route))
    page.get_by_role("button", name="Hide region 5", exact=True).click()
    wait_until(lambda: page.wait_for_timeout(10) or len(held) == 1, seconds=60)
    page.route("**/scores", lambda route: route.abort())
    page.get_by_role("button", name="Hide region 6", exact=True).click()
    expect(page.locator("#notice")).to_contain_text("The server cannot be reached")
    page.get_by_role("button", name="Stop").click()
    told = page.get_by_role("alert").filter(has_text="No score.")
    expect(told).to_contain_text("You stopped waiting for the server")
    assert pressed(page) == {0, 3, 4, 5, 6}
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#notice")).to_contain_text("The server cannot be reached")
    page.unroute("**/scores")
    page.get_by_role("button", name="Try now").click()
    assert_as_the_server_has_it(page, dashboard, permuted.id, {0, 3, 4, 5, 6})
    expect(told).to_have_count(0)
    expect(page.locator(TRIED)).to_have_count(2)  # without the choice that was dropped


def test_sets_of_regions_are_read_as_they_were_written(page, dashboard):
    visit(page, dashboard, "/models")
    random = np.random.default_rng(0)
    sets = [np.flatnonzero(random.random(60) < share).tolist() for share in (0, 0.1, 0.5, 0.9, 1)]
    found = page.evaluate(
        "async sets => {"
        "const {readHidden, textOf} = await import('./web/what_if/coalitions.js');"
        "return sets.map((each) => { const text = textOf(new Set(each), 60);"
        "const {hidden, wrong} = readHidden(new URLSearchParams(text), 60);"
        "return [text, [...hidden].sort((a, b) => a - b), wrong]; }); }",
        [*sets, [1, 2, 3, 7]],
    )
    assert [hidden for _, hidden, _ in found] == [*sets, [1, 2, 3, 7]]
    assert all(wrong == [] for _, _, wrong in found)
    assert [found[at][0] for at in (0, 4, 5)] == ["hidden=", "shown=", "hidden=1-3,7"]


# --- When things go wrong


@pytest.fixture
def served(page, live, hand, ask, keys_file):
    """A path of the API, its key, and an explanation of six regions whose What if is open."""
    key = issue(keys_file, "clinic", Scope.EXPLAIN)
    id_ = ask(key)
    hand.succeed(id_, arrays=some_arrays() | some_regions())
    page.goto(f"{live.url}{ROOT}/#/explanations/{id_}/what-if")
    sign_in(page, key)
    page.wait_for_selector(READY)
    return id_


def answer_next(page: Page, hand: FakeWorker, connection, end: Callable[[FakeWorker, str], object]):
    """Ends the next request for coalitions."""

    def found() -> bool:
        page.wait_for_timeout(10)
        ids = [id_.decode() for id_ in connection.lrange("rq:queue:test", 0, -1)]
        waiting = [id_ for id_ in ids if SCORES_ID.fullmatch(id_)]
        for id_ in waiting[:1]:
            end(hand, id_)
        return bool(waiting)

    wait_until(found, seconds=60)


def test_a_removed_key_is_asked_for_and_other_failures_say_what_to_do(
    page,
    live,
    hand,
    served,
    keys_file,
    connection,
    new_card,
):
    failure = Failure(code=ErrorCode.MODEL_FAILED, detail="it gives NaN")
    page.get_by_role("button", name="Hide region 4", exact=True).click()
    answer_next(page, hand, connection, lambda hand, id_: hand.fail(id_, failure))
    told = page.get_by_role("alert").filter(has_text="No score.")
    expect(told).to_contain_text("It gives NaN.")

    keys_file.write_text("")
    key = issue(keys_file, "clinic", Scope.EXPLAIN)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("dialog")).to_contain_text("may have been removed")
    sign_in(page, key)
    outputs = [
        ScoredOutput(index=0, label="ant", base_value=0.125, score=0.5),
        ScoredOutput(index=2, label="crane", base_value=0.25, score=0.5),
    ]
    scores = CoalitionScores(outputs=outputs, scores=[[0.25, 0.375]])
    answer_next(page, hand, connection, lambda hand, id_: hand.answer(id_, scores))
    file = io.BytesIO()
    Image.fromarray(np.full((8, 12, 3), 7, np.uint8)).save(file, "PNG")
    picture = MaskedPicture(png=base64.b64encode(file.getvalue()))
    answer_next(page, hand, connection, lambda hand, id_: hand.answer(id_, picture))
    wait_for_scores(page)
    assert cells(page)[1:3] == [0.25, -0.25]
    assert (pixels(page, "canvas.masked")[..., :3] == 7).all()
    assert pressed(page) == {4}

    parts = PARTS.model_copy(update={"weights": "sha256:" + "0" * 64})
    hand.announce(new_card(parts=parts))
    page.get_by_role("button", name="Hide region 5", exact=True).click()
    expect(told).to_contain_text("differs in weights")
    expect(told.get_by_role("link", name="Ask again")).to_be_visible()

    hand.ledger.leave_tombstone(served, tombstone_s=60)
    page.get_by_role("button", name="Try again").click()
    expect(told).to_contain_text("Ask for the explanation anew")
    assert pressed(page) == {4, 5}
    assert page.url.endswith("?hidden=4-5")


def test_without_a_table_of_regions_it_says_what_to_ask_for(page, live, hand, ask, keys_file):
    key = issue(keys_file, "clinic", Scope.EXPLAIN)
    id_ = ask(key)
    hand.succeed(id_)
    page.goto(f"{live.url}{ROOT}/#/explanations/{id_}/what-if")
    sign_in(page, key)
    expect(page.get_by_role("main")).to_contain_text("no table of regions")
    expect(page.get_by_role("main")).to_contain_text('"superpixels": {"kind": "slic"}')
    page.get_by_role("link", name="Ask again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Ask again with one change")

"""The dashboard as people use it: a real Chromium, the embedded set, a small model."""

import base64
import io
import re
import subprocess
import sys

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, expect

from service.render.colours import channel_sums, limit
from service.render.palettes import PALETTES
from service.schemas.requests import ExplanationSettings
from tests.e2e.embedded import Running
from tests.e2e.pictures import SAMPLE, cat
from tests.web.conftest import READY, visit

# --- From a picture to its heatmap


def pixels(page: Page, selector: str) -> np.ndarray:
    """RGBA of a canvas: (H, W, 4) uint8."""
    url = page.eval_on_selector(selector, "canvas => canvas.toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGBA"))


def assert_same_colours(page: Page, dashboard: Running, id_: str, **look) -> None:
    """As the server draws them; a canvas keeps colours multiplied by their opacity."""
    query = {"style": "heat", "size": "model"} | look
    answer = dashboard.client._http.get(f"/v1/explanations/{id_}/heatmap.png", params=query)
    theirs = np.asarray(Image.open(io.BytesIO(answer.content))).astype(int)
    ours = pixels(page, "canvas.heat").astype(int)
    np.testing.assert_array_equal(ours[..., 3], theirs[..., 3])
    shown = [each[..., :3] * each[..., 3:] / 255 for each in (ours, theirs)]
    assert np.abs(shown[0] - shown[1]).max() <= 1


def test_a_picture_is_sent_and_its_heat_has_the_colours_of_the_server(page, dashboard, watched):
    page.goto(dashboard.url)
    page.get_by_role("link", name="New", exact=True).click()
    page.get_by_label("Choose, drop or paste").set_input_files(SAMPLE)
    page.get_by_label("Evaluations", exact=True).fill("120")
    page.get_by_label("deletion").check()
    expect(page.locator(".cost")).to_contain_text("120 evaluations, up to 510 more for curves")
    page.get_by_role("button", name="Explain").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("cat 0.8")
    page.wait_for_selector(READY)
    id_ = re.search(r"exp_[0-9a-f]+", page.url)[0]
    done = dashboard.client.get(id_)
    assert done.settings.max_evals == 120
    first, second = (output.index for output in done.outputs[:2])
    assert_same_colours(page, dashboard, id_, output=first)

    before = list(watched.requests)
    page.get_by_label("Colours", exact=True).select_option("orange_purple")
    page.get_by_label("Colours span").fill("90")
    page.get_by_label(done.outputs[1].label, exact=True).check()
    page.get_by_label("Opacity").fill("1")
    assert watched.requests == before  # all that is drawn anew is drawn here
    look = {"palette": "orange_purple", "percentile": 90, "output": second}
    assert_same_colours(page, dashboard, id_, **look)


def test_levels_and_limits_are_those_of_the_server(page, dashboard):
    visit(page, dashboard, "/models")
    for name, palette in PALETTES.items():
        levels = page.evaluate(
            "async name => { const {PALETTES, levelsOf} = await import('./web/lib/colours.js');"
            "return Array.from(levelsOf(PALETTES[name])); }",
            name,
        )
        np.testing.assert_array_equal(np.reshape(levels, (256, 4)), palette.levels)
    values = np.random.default_rng(0).normal(size=(7, 9, 3, 2)).astype(np.float32)
    values[:5] = 0
    sums = channel_sums(values)
    for percentile in (0.1, 37.3, 50, 71.4, 99.9, 100):
        found = page.evaluate(
            "async ([data, percentile]) => {"
            "const {channelSums, limit, magnitudesOf} = await import('./web/lib/colours.js');"
            "const sums = channelSums({shape: [7, 9, 3, 2], fortran: false, data});"
            "return limit(magnitudesOf(...sums), percentile); }",
            [values.ravel().tolist(), percentile],
        )
        assert found == pytest.approx(limit(sums, percentile=percentile), rel=1e-12)


def test_arrays_of_every_type_are_read_as_numpy_reads_them(page, dashboard):
    random = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {
        "half": np.array([[0.5, -1.25, 65504], [6e-8, 0.1, -0.0]], np.float16),
        "single": np.asfortranarray(random.normal(size=(3, 4, 2)).astype(np.float32)),
        "double": random.normal(size=5),
        "whole": np.array([-3, 2**40]),
        "small": np.array([0, 255], np.uint8),
        "words": np.array(["Füchse 🦊", "", "ant"]),
        "one": np.array("alone"),
    }
    for save in (np.savez, np.savez_compressed):
        file = io.BytesIO()
        save(file, **arrays)
        visit(page, dashboard, "/models")
        read = page.evaluate(
            "async text => { const {openNpz} = await import('./web/lib/npz.js');"
            "const bytes = Uint8Array.from(atob(text), each => each.charCodeAt(0));"
            "const npz = openNpz(bytes.buffer); const read = {};"
            "for (const name of npz.names) { const {shape, fortran, data} = await npz.read(name);"
            "read[name] = {shape, fortran, data: Array.from(data)}; } return read; }",
            base64.b64encode(file.getvalue()).decode(),
        )
        assert set(read) == set(arrays)
        for name, array in arrays.items():
            assert tuple(read[name]["shape"]) == array.shape
            order = "F" if read[name]["fortran"] else "C"
            assert read[name]["data"] == array.ravel(order).tolist()


@pytest.mark.parametrize("order", ["C", "F"])
def test_values_in_half_precision_are_multiplied_by_the_scale_of_their_output(
    page, dashboard, order
):
    halves = np.random.default_rng(0).normal(size=(4, 5, 3, 2)).astype(np.float16)
    scales = np.array([2.0**-30, 4.0])
    file = io.BytesIO()
    np.savez(file, values=np.asarray(halves, order=order), values_scale=scales)
    visit(page, dashboard, "/models")
    found = page.evaluate(
        "async text => { const {openNpz, readValues} = await import('./web/lib/npz.js');"
        "const {channelSums} = await import('./web/lib/colours.js');"
        "const bytes = Uint8Array.from(atob(text), each => each.charCodeAt(0));"
        "const values = await readValues(openNpz(bytes.buffer));"
        "return channelSums(values).map(sums => Array.from(sums)); }",
        base64.b64encode(file.getvalue()).decode(),
    )
    exact = channel_sums(halves.astype(np.float32) * scales.astype(np.float32))
    for k in range(2):
        assert found[k] == pytest.approx(exact[..., k].ravel(), rel=1e-6)


def test_numbers_are_not_rounded_to_what_they_are_not(page, dashboard):
    visit(page, dashboard, "/models")
    numbers = {
        0.99979: "0.9998",
        1: "1",
        1.00004: "1.00004",
        0.25: "0.250",
        -0.0312: "\u22120.0312",
    }
    numbers |= {6.8e-9: "6.80e\u22129", 0: "0", 12345678: "12,345,678", 0.000244: "0.000244"}
    shares = {0.5: "50 %", 0.9998: "99.98 %", 0.000012: "0.0012 %", 1: "100 %", 0: "0 %"}
    for name, expected in (("formatNumber", numbers), ("formatShare", shares)):
        written = page.evaluate(
            "async ([name, values]) => {"
            "const format = (await import('./web/lib/numbers.js'))[name];"
            "return values.map((value) => format(value)); }",
            [name, list(expected)],
        )
        assert written == list(expected.values())


def test_a_browser_asks_for_no_file_again(page, dashboard):
    for fetches in (True, False):
        page.goto("about:blank")
        visit(page, dashboard, "/models")
        page.wait_for_load_state("networkidle")
        fetched = page.evaluate(
            "performance.getEntriesByType('resource').filter(({name, transferSize}) =>"
            " name.includes('/web/') && transferSize > 0).length"
        )
        assert (fetched > 20) is fetches


# --- Regions


def test_regions_are_gone_through_by_keyboard_on_the_picture_and_in_the_table(
    page, dashboard, explained
):
    visit(page, dashboard, f"/explanations/{explained.id}")
    first, second = sorted(
        dashboard.client.regions(explained.id).regions, key=lambda region: region.credit[0].rank
    )[:2]
    readout, current = page.locator("#readout"), page.locator(".regions tr.current")
    page.locator(".stage").focus()
    page.keyboard.press("Home")
    expect(readout).to_contain_text(f"Region {first.region}: rank 1 of 16")
    expect(readout).to_contain_text("95 % interval")
    expect(current).to_have_attribute("data-region", str(first.region))
    current.get_by_role("button").focus()
    page.keyboard.press("ArrowDown")
    expect(readout).to_contain_text(f"Region {second.region}: rank 2 of 16")
    expect(current).to_have_attribute("data-region", str(second.region))
    page.keyboard.press("Escape")
    expect(current).to_have_count(0)
    box = page.locator(".stage").bounding_box()
    x, y = (first.centroid.x / 32, first.centroid.y / 32)  # cifar10 sees 32 x 32 pixels
    page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    expect(current).to_have_attribute("data-region", str(first.region))


def test_a_frame_tells_the_share_of_credit_in_it(page, dashboard, explained):
    visit(page, dashboard, f"/explanations/{explained.id}")
    page.get_by_text("Credit in a frame").click()
    for edge, at in (("Left", "0"), ("Right", "50"), ("Upper", "0"), ("Lower", "50")):
        page.get_by_label(f"{edge} edge").fill(at)
    regions = dashboard.client.regions(explained.id).regions  # of a grid of 4 by 4
    told = []
    for sign in (1, -1):
        credit = [max(sign * region.credit[0].value, 0) for region in regions]
        inside = [region.box.right <= 16 and region.box.bottom <= 16 for region in regions]
        told.append(sum(np.multiply(credit, inside)) / sum(credit))
    text = page.locator("details", has_text="Credit in a frame").inner_text()
    area, *found = (float(share) / 100 for share in re.findall(r"([\d.]+) %", text))
    assert area == 0.25
    assert found == pytest.approx(told, abs=0.006)  # shown in whole per cent


def test_the_request_is_told_as_programs_send_it(page, dashboard, explained, tmp_path):
    (tmp_path / SAMPLE.name).write_bytes(SAMPLE.read_bytes())
    visit(page, dashboard, f"/explanations/{explained.id}")
    page.get_by_text("The same from a program").click()
    programs = {
        "curl": lambda text: ["bash", "-c", text],
        "Python": lambda text: [sys.executable, "-c", text],
    }
    for name, run in programs.items():
        text = page.get_by_label(name, exact=True).text_content()
        said = subprocess.run(
            run(text), cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout
        again = dashboard.client.get(re.search(r"exp_[0-9a-f]{32}", said)[0])
        assert again.id != explained.id
        assert again.settings == explained.settings


# --- Two models


def test_two_models_are_compared_from_the_form_to_the_difference(page, dashboard, watched):
    watched.watch(page)
    visit(page, dashboard, "/new")
    compared = page.get_by_label("Compare with")
    assert compared.locator("option").all_inner_texts() == ["no other model", "cifar10_bgr"]
    compared.select_option("cifar10_bgr")
    page.get_by_label("Method", exact=True).select_option("kernel")
    page.get_by_label("Kind").select_option("grid")
    page.get_by_label("Evaluations").fill("200")
    page.get_by_label("How many").fill("1")
    expect(page.locator(".cost")).to_contain_text("400 evaluations, of both models together")
    page.set_input_files("input[type=file]", str(SAMPLE))
    page.get_by_role("button", name="Explain").click()
    page.wait_for_selector("[aria-label='Difference of the models']")
    id_ = re.search(r"exp_[0-9a-f]{32}", page.url)[0]
    document = dashboard.client.get(id_)
    assert document.settings.compare_with == "cifar10_bgr"

    regions = dashboard.client.regions(id_).regions
    apart = [each for each in regions if each.credit[2].low * each.credit[2].high > 0]
    card = page.locator("[aria-label='Difference of the models']")
    expect(card).to_contain_text(f"For {len(apart)} of 16 regions the 95 % interval")
    largest = min(apart, key=lambda each: each.credit[2].rank)
    card.get_by_role("button").first.click()
    more = "cifar10" if largest.credit[2].value > 0 else "cifar10_bgr"
    expect(page.locator("#readout")).to_contain_text(
        f"The interval excludes 0: {more} gives this region more credit"
    )
    for name, k in (("cifar10", 0), ("cifar10_bgr", 1), ("Difference", 2)):
        page.locator(".sides").get_by_label(name, exact=True).check()
        label = document.outputs[k].label
        expect(page.locator("caption")).to_contain_text(label)
        expect(page.locator("tr.current .badge", has_text="differs")).to_have_count(int(k == 2))
    expect(page.locator(".provenance")).to_contain_text("Compared with")
    assert not watched.errors


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("exact", "The values are exact: to 4 of 4 regions the two models give different credit"),
        ("partition", "The method partition gives no intervals, so any of these may be chance"),
    ],
)
def test_differences_without_intervals_say_why(page, dashboard, method, said):
    settings = {
        "model": "cifar10",
        "compare_with": "cifar10_bgr",
        "superpixels": {"kind": "grid", "rows": 2, "columns": 2},
        "max_evals": 100,
    }
    asked = ExplanationSettings.model_validate(settings | {"method": method})
    explained = dashboard.client.explain(SAMPLE, asked)
    visit(page, dashboard, f"/explanations/{explained.id}")
    card = page.locator("[aria-label='Difference of the models']")
    expect(card).to_contain_text(said)
    expect(card).not_to_contain_text("narrower")


# --- When things go wrong


def test_the_heat_sharpens_while_it_runs_and_a_cancel_keeps_what_there_is(page, dashboard):
    asked = dashboard.client.submit(SAMPLE, ExplanationSettings(max_evals=90_000))
    page.goto(f"{dashboard.url}/#/explanations/{asked.id}")
    draft = page.locator(".draft figcaption")
    expect(draft).to_contain_text(re.compile(r"Draft after [\d,]+ of 90,000 evaluations"))
    expect(page.locator(".progress-card")).to_contain_text(re.compile("about .+ left"))
    first, said = pixels(page, ".draft canvas.heat"), draft.text_content()
    assert first.shape == (32, 32, 4)  # cifar10 sees as many pixels
    assert first[..., 3].max() > 0
    assert np.ptp(pixels(page, ".draft canvas.ground")[..., 0]) > 50  # the picture is below
    expect(draft).not_to_have_text(said)
    assert (pixels(page, ".draft canvas.heat") != first).any()
    second = page.locator(".draft option").nth(1).text_content()
    page.get_by_label("Output").select_option(second)
    expect(draft).to_contain_text(f"raises the score of {second}")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text(re.compile("canceled"))).not_to_have_count(0)
    page.wait_for_selector(READY)
    assert dashboard.client.get(asked.id).status == "canceled"
    page.get_by_role("link", name="Ask again with one change").click()
    expect(page.get_by_label("Evaluations", exact=True)).to_have_value("90000")


def test_a_draft_is_shown_too_where_a_proxy_swallows_the_stream(page, dashboard):
    page.route("**/events?*", lambda route: route.fulfill(content_type="text/event-stream"))
    asked = dashboard.client.submit(SAMPLE, ExplanationSettings(max_evals=90_000, seed=7))
    page.goto(f"{dashboard.url}/#/explanations/{asked.id}")
    expect(page.locator(".draft figcaption")).to_contain_text("of 90,000 evaluations")
    dashboard.client.cancel(asked.id)
    page.wait_for_selector(READY)


def test_asking_again_sends_the_same_picture_and_label_map(page, dashboard):
    width, height = cat().size
    label_map = 2 * np.arange(height)[:, np.newaxis] // height * 2 + 2 * np.arange(width) // width
    settings = ExplanationSettings.model_validate(
        {"method": "exact", "superpixels": {"kind": "labels"}, "fit": "stretch", "true_label": 5}
    )
    asked = dashboard.client.explain(SAMPLE, settings, label_map=label_map)
    visit(page, dashboard, f"/new?from={asked.id}")
    expect(page.locator(".previews li")).to_contain_text(asked.image.name)
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("canvas.heat").first).to_be_visible()
    again = dashboard.client.get(re.search(r"exp_[0-9a-f]+", page.url)[0])
    assert again.id != asked.id
    assert (again.image, again.label_map) == (asked.image, asked.label_map)
    assert again.settings == asked.settings


def test_true_labels_come_from_a_table_or_the_field_of_a_picture(page, dashboard):
    visit(page, dashboard, "/new")
    table = b'name,label\r\nphotos/a.jpg,"cat"\r\nc.jpg;dog\r\n'
    files = [(f"{name}.jpg", SAMPLE.read_bytes()) for name in "abc"] + [("labels.csv", table)]
    page.get_by_label("Choose, drop or paste").set_input_files(
        [{"name": name, "mimeType": "", "buffer": content} for name, content in files]
    )
    fields = page.get_by_label("True label")
    expect(fields).to_have_count(3)
    expect(fields.nth(2)).to_have_value("dog")
    fields.nth(1).fill("no such class")
    page.get_by_label("Evaluations", exact=True).fill("20")
    page.get_by_role("button", name="Explain").click()
    expect(fields.nth(1)).to_be_focused()
    expect(page.locator(".previews .field-error").nth(1)).to_have_text(re.compile("^No output"))
    fields.nth(1).fill("9")
    page.get_by_role("button", name="Explain").click()
    page.wait_for_url(re.compile("#/batches/"))
    batch = dashboard.client.get_batch(page.url.rsplit("/", 1)[1])
    truths = [each.true_label.label for each in batch.explanations if each.true_label]
    assert truths == ["cat", "truck", "dog"]


def test_the_file_field_names_the_pictures_that_are_chosen(page, dashboard):
    visit(page, dashboard, "/new")
    field = page.get_by_label("Choose, drop or paste")
    names = "field => [...field.files].map(({ name }) => name)"
    parts = [{"name": f"{name}.jpg", "mimeType": "image/jpeg"} for name in "ab"]
    for part in parts:
        field.set_input_files(part | {"buffer": SAMPLE.read_bytes()})
    expect(page.locator(".previews li")).to_have_count(2)
    assert field.evaluate(names) == ["a.jpg", "b.jpg"]
    page.get_by_role("button", name="Remove a.jpg").click()
    assert field.evaluate(names) == ["b.jpg"]
    page.evaluate(
        """() => {
          const clipboardData = new DataTransfer();
          clipboardData.items.add(new File(["a,cat"], "labels.csv"));
          dispatchEvent(new ClipboardEvent("paste", { clipboardData }));
        }"""
    )
    expect(page.locator(".drop [role=status]")).not_to_be_empty()
    assert field.evaluate(names) == ["b.jpg"]  # a table is no picture
    page.get_by_role("button", name="Remove b.jpg").click()
    assert field.evaluate(names) == []
    field.set_input_files(SAMPLE)
    expect(page.locator(".previews li")).to_have_count(1)


def test_what_is_no_picture_is_told_beside_the_picture_and_nothing_is_lost(page, dashboard):
    visit(page, dashboard, "/new")
    file = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"}
    page.get_by_label("Choose, drop or paste").set_input_files(file)
    page.get_by_label("Evaluations", exact=True).fill("77")
    page.get_by_role("button", name="Explain").click()
    told = page.locator(".drop > .field-error")
    expect(told).to_contain_text("Choose a JPEG, PNG")
    page.get_by_role("button", name="Remove notes.txt").click()
    page.get_by_label("Choose, drop or paste").set_input_files(SAMPLE)
    page.get_by_label("Masker", exact=True).fill("fog")
    page.get_by_role("button", name="Explain").click()
    masker = page.get_by_label("Masker", exact=True)
    expect(masker).to_have_attribute("aria-invalid", "true")
    expect(masker).to_be_focused()
    expect(page.get_by_label("Evaluations", exact=True)).to_have_value("77")


def test_while_the_server_is_away_it_says_so_and_goes_on_afterwards(page, dashboard):
    visit(page, dashboard, "/new")
    page.route("**/v1/**", lambda route: route.abort())
    page.get_by_role("link", name="Models").click()
    expect(page.locator("#notice")).to_contain_text("The server cannot be reached")
    page.unroute("**/v1/**")
    page.get_by_role("button", name="Try now").click()
    expect(page.get_by_role("heading", name=re.compile("fashion_mnist"))).to_be_visible()
    expect(page.locator("#notice")).to_be_hidden()


def test_what_is_not_there_says_what_to_do(page, dashboard):
    visit(page, dashboard, f"/explanations/exp_{'0' * 32}")
    expect(page.get_by_role("alert")).to_contain_text("Check the address")


# --- For everyone


SCREENS = [
    *("/explanations", "/explanations/{id}", "/compare?ids={id},{other}", "/new", "/models"),
    *("/operations", "/explanations/{id}/what-if?hidden=0-3", "/nothing"),
]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_every_screen_fits_and_is_accessible(
    open_page, dashboard, explained, permuted, width, scheme
):
    page = open_page(width, color_scheme=scheme)
    for screen in SCREENS:
        page.goto("about:blank")
        visit(page, dashboard, screen.format(id=explained.id, other=permuted.id))
        assert page.evaluate("document.documentElement.scrollWidth") <= width, screen
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        grave = [each for each in found if each["impact"] in ("serious", "critical")]
        told = [(each["id"], [node["html"] for node in each["nodes"]]) for each in grave]
        assert told == [], screen
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 22, 27)"
    assert dark is (scheme == "dark")
    if scheme == "dark":
        page.get_by_role("button", name="Colours").click()  # automatic, then light
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert light == "rgb(246, 247, 249)"


def test_the_keyboard_alone_reaches_a_screen_and_its_content(page, dashboard):
    page.goto(dashboard.url)
    page.wait_for_selector(READY)
    for _ in range(3):  # the link that skips to the content, the name, the first of the screens
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Explain a picture")).to_be_visible()
    expect(page.locator("main")).to_be_focused()
    page.wait_for_selector(READY)
    page.keyboard.press("Tab")
    expect(page.get_by_label("Choose, drop or paste")).to_be_focused()

"""The screens that show several explanations, or the service: the list, Compare, Operations."""

import math
import re

import numpy as np
import pytest
from playwright.sync_api import expect
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from scipy.stats import spearmanr

from service.schemas.requests import ExplanationSettings
from tests.conftest import wait_until
from tests.e2e.pictures import SAMPLE
from tests.web.conftest import READY, SETTINGS, visit
from tests.web.test_cohorts import NOTES


def test_filters_are_kept_in_the_address_and_what_is_selected_is_deleted(
    page, dashboard, explained
):
    tagged = {"metadata": {"suite": "list"}}
    dashboard.client.explain(SAMPLE, ExplanationSettings.model_validate(SETTINGS | tagged))
    long = ExplanationSettings.model_validate({"max_evals": 90_000} | tagged)
    running = dashboard.client.submit(SAMPLE, long)
    dashboard.wait_for_evaluations(running.id, 1)

    visit(page, dashboard, "/explanations")
    tiles = page.locator(".tile")
    expect(tiles).to_have_count(dashboard.client.list().total)
    page.get_by_text("More filters").click()
    page.get_by_label("Metadata").fill("suite=list")
    page.get_by_label("Metadata").blur()
    expect(tiles).to_have_count(2)
    page.get_by_label("Method").select_option("kernel")
    expect(tiles).to_have_count(1)
    expect(page.get_by_label("Method")).to_be_focused()
    expect(page.get_by_label("Metadata", exact=True)).to_have_value("suite=list")
    page.go_back()
    expect(tiles).to_have_count(2)

    page.get_by_role("button", name="Select all on this page").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Keep them").click()
    expect(page.get_by_text("2 selected")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Deleted 1 of 2.")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text(re.compile("partition: .*running"))
    expect(tiles).to_have_count(1)
    listed = dashboard.client._http.get("/v1/explanations", params={"metadata": "suite=list"})
    assert [each["id"] for each in listed.json()["items"]] == [running.id]
    dashboard.client.cancel(running.id)


def test_each_doubt_is_counted_once_and_models_have_their_names(page, dashboard):
    settings = SETTINGS | {"superpixels": {"kind": "grid", "rows": 8, "columns": 8}}
    settings |= {"max_evals": 40, "outputs": {"top": 4}, "metadata": {"suite": "doubts"}}
    found = dashboard.client.explain(SAMPLE, settings)
    codes = [each.code for each in found.warnings if each.code not in NOTES]
    assert len(codes) > len(set(codes))  # some are given for each output
    visit(page, dashboard, "/explanations?metadata=suite%3Ddoubts")
    told = f"{len(set(codes))} doubt{'s' if len(set(codes)) > 1 else ''}"
    expect(page.locator(".tile .caution")).to_have_text(told)
    options = page.get_by_label("Model").locator("option").all_inner_texts()
    assert "fashion_mnist" in options


def test_the_keyboard_goes_from_picture_to_picture_and_back_to_its_place(
    page, dashboard, explained, permuted
):
    visit(page, dashboard, "/explanations")
    boxes = page.locator("input[data-id]")
    ids = [box.get_attribute("data-id") for box in boxes.all()]
    page.locator(".tile a").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    expect(boxes.nth(1)).to_be_checked()
    page.keyboard.press("Enter")
    page.wait_for_selector(f"main[data-ready='/explanations/{ids[1]}']")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector(f"main[data-ready='/explanations/{ids[0]}']")
    place = page.get_by_role("navigation", name="In the list")
    expect(place).to_contain_text(f"1 of {len(ids)}")
    place.get_by_role("link", name="Back to the list").click()
    expect(page.locator(".tile a").first).to_be_focused()
    page.keyboard.press("?")
    help_ = page.get_by_role("dialog", name="Keys")
    expect(help_).to_contain_text("selects the picture")
    page.keyboard.press("Escape")
    expect(help_).to_have_count(0)


def test_a_batch_shows_each_picture_with_its_class_and_whether_it_is_right(page, dashboard):
    settings = {"max_evals": 20, "masker": "mean", "true_labels": ["cat", "dog"]}
    batch = dashboard.client.submit_batch([SAMPLE, SAMPLE], settings)
    visit(page, dashboard, f"/batches/{batch.id}")
    tiles = page.locator(".members .tile")
    expect(tiles).to_contain_text(["✓ right", "✗ wrong true class: dog"])
    expect(tiles.nth(1)).to_contain_text("cat 0.8")
    expect(tiles.locator("img")).to_have_count(2)
    with page.expect_response(re.compile("heatmap.png.*style=overlay")) as heat:
        page.get_by_label("Heat of the top class").check()
    assert heat.value.ok
    expect(tiles.locator("img")).to_have_count(2)
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Report of all").click()
    expect(opened.value.get_by_role("heading", level=1)).to_contain_text("saw in 2 pictures")


# --- Compare


def test_two_explanations_are_compared_place_by_place(page, dashboard, explained, permuted):
    visit(page, dashboard, "/explanations")
    for each in (explained, permuted):
        page.locator(f"input[data-id='{each.id}']").check()
    page.get_by_role("link", name="Compare").click()
    page.wait_for_selector(READY)
    one, other = (dashboard.client.regions(each.id).regions for each in (explained, permuted))
    label = explained.outputs[0].label
    assert label == permuted.outputs[0].label
    expect(page.get_by_label("Class")).to_have_value(label)

    values = [[region.credit[0].value for region in regions] for regions in (one, other)]
    found = page.get_by_role("region", name="Agreement").locator("tbody td").all_inner_texts()
    assert float(found[0].replace("\u2212", "-")) == pytest.approx(spearmanr(*values)[0], rel=5e-3)
    assert found[1] == "16 shared regions"

    page.locator(".pane .stage").first.focus()
    page.keyboard.press("ArrowLeft")  # from the middle, in a grid of 4 by 4
    page.keyboard.press("ArrowUp")
    marked = next(each for each in one if each.box.right == each.box.bottom == 16)
    ranks = [regions[marked.region].credit[0].rank for regions in (one, other)]
    told = [f"of region {marked.region}, rank {rank} of 16" for rank in ranks]
    expect(page.locator(".reading")).to_contain_text(told)

    differing = page.locator(".different")
    expect(differing.get_by_role("row", name="method")).to_contain_text("kernelpermutation")
    expect(differing.get_by_role("row", name="masker")).to_have_count(0)
    page.get_by_label("Scale").select_option("of each")
    page.reload()
    page.wait_for_selector(READY)
    expect(page.get_by_label("Scale")).to_have_value("own")


def test_different_parts_of_one_upload_are_marked(page, dashboard, explained):
    fit = "crop" if explained.settings.fit == "stretch" else "stretch"
    settings = ExplanationSettings.model_validate(SETTINGS | {"fit": fit})
    other = dashboard.client.explain(SAMPLE, settings)
    visit(page, dashboard, f"/compare?ids={explained.id},{other.id}")
    told = "The models saw different parts of the upload, so a pixel shows two places."
    for section in ("Difference", "Agreement"):
        expect(page.get_by_role("region", name=section)).to_contain_text(told)
    expect(page.locator(".different").get_by_role("row", name="seen of it")).to_have_count(1)


def test_spearmans_correlation_is_that_of_scipy(page, dashboard):
    visit(page, dashboard, "/models")
    random = np.random.default_rng(0)
    one, other = random.integers(0, 9, size=(2, 200)).tolist()  # with many ties
    found = page.evaluate(
        "async ([one, other]) => (await import('./web/lib/ranks.js')).spearman(one, other)",
        [one, other],
    )
    assert found == pytest.approx(spearmanr(one, other)[0], rel=1e-12)


def test_what_cannot_be_compared_says_why(page, dashboard, explained):
    visit(page, dashboard, f"/compare?ids={explained.id},exp_{'0' * 32}")
    expect(page.get_by_role("main")).to_contain_text("It may have been deleted")
    visit(page, dashboard, f"/compare?ids={explained.id}")
    expect(page.get_by_role("main")).to_contain_text("The address names 1 explanation")


# --- Operations


def test_operations_show_what_the_metrics_tell(page, dashboard, explained):
    """The worker is busy with one, so another one waits."""
    long = ExplanationSettings(max_evals=90_000)
    running, waiting = (dashboard.client.submit(SAMPLE, long) for _ in range(2))
    dashboard.wait_for_evaluations(running.id, 1)
    visit(page, dashboard, "/operations")
    expect(page.get_by_role("status").first).to_contain_text("1 worker for")
    card = page.get_by_label("Queue")
    expect(card.get_by_role("row", name="interactive").get_by_role("cell").first).to_have_text("1")
    expect(card).to_contain_text("1 job running")
    for each in (waiting, running):
        dashboard.client.cancel(each.id)
        wait_until(lambda id_=each.id: dashboard.client.get(id_).done, seconds=60)
    page.get_by_role("button", name="Refresh").click()
    expect(card).to_contain_text("0 jobs running")
    kernel = page.get_by_label("Jobs", exact=True).get_by_role("row", name="kernel")
    succeeded = dashboard.client._http.get("/metrics").text
    [count] = re.findall(
        r'shapshot_jobs_total\{method="kernel",outcome="succeeded"\} (\d+)', succeeded
    )
    expect(kernel.get_by_role("cell").nth(1)).to_have_text(count)


def test_metrics_are_read_as_they_were_written(page, dashboard):
    visit(page, dashboard, "/models")
    family = GaugeMetricFamily("odd", "Help with {braces}", labels=["name", "other"])
    names = ['quote " } and \\ back', "line\nbreak", "plain, =", ""]
    for value, name in enumerate(names):
        family.add_metric([name, "x"], value + 0.5)
    family.add_metric(["endless", "x"], math.inf)
    registry = CollectorRegistry()
    registry.register(type("Odd", (), {"collect": lambda _self: [family]})())
    found = page.evaluate(
        "async text => { const {parseMetrics} = await import('./web/lib/metrics.js');"
        "return parseMetrics(text).all('odd').map(({labels, value}) => [labels.name, value]); }",
        generate_latest(registry).decode(),
    )
    assert found == [[name, value + 0.5] for value, name in enumerate(names)] + [
        ["endless", math.inf]
    ]


def test_a_webhook_is_added_tested_and_deleted(page, dashboard):
    """The address is refused by the guard, which the form says."""
    visit(page, dashboard, "/operations")
    page.get_by_role("heading", name="Webhooks").click()
    card = page.locator("details.card", has_text="Webhooks")
    expect(card).to_contain_text("There are none.")
    page.get_by_label("Address of a receiver").fill("http://10.0.0.1/")
    page.get_by_role("button", name="Add").click()
    expect(card.get_by_role("alert")).to_contain_text("private")
    page.get_by_label("Address of a receiver").fill("https://1.1.1.1/hook")
    page.get_by_role("button", name="Add").click()
    expect(card.get_by_role("status")).to_contain_text("whsec_")
    page.get_by_role("button", name="Deliveries to").click()
    expect(card).to_contain_text("Nothing was delivered yet.")
    page.get_by_role("button", name="Disable").click()
    expect(card).to_contain_text("its owner disabled it")
    page.get_by_role("button", name="Test https").click()
    expect(card.get_by_role("alert")).to_contain_text("enable it first")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete https").click()
    expect(card).to_contain_text("There are none.")

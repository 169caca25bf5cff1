"""The screens that show several explanations, or the service: the list."""

import re

from playwright.sync_api import expect

from service.schemas.requests import ExplanationSettings
from tests.e2e.pictures import SAMPLE
from tests.web.conftest import SETTINGS, visit


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

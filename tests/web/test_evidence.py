"""The signed record on the screen of an explanation."""

import re

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.web.conftest import visit


def test_an_explanation_shows_who_signed_its_record_and_gives_report_and_bundle(
    page, dashboard, explained
):
    [key] = dashboard.client._http.get("/.well-known/jwks.json").json()["keys"]
    visit(page, dashboard, f"/explanations/{explained.id}")
    told = re.compile(rf"Signed record no. \d+, key {key['kid']}")
    expect(page.get_by_role("region", name="Provenance")).to_contain_text(told)
    evidence = page.get_by_role("region", name="Evidence")
    for name, file in (
        ("Record (JSON)", f"{explained.id}-record.json"),
        ("Bundle (zip)", f"{explained.id}.zip"),
    ):
        with page.expect_download() as saved:
            evidence.get_by_role("button", name=name).click()
        assert saved.value.suggested_filename == file
    with page.expect_popup() as opened:
        evidence.get_by_role("link", name="Report (new tab)").click()
    report = opened.value
    report.wait_for_load_state()
    expect(report.locator("body")).to_contain_text(key["kid"])
    assert report.evaluate("origin") == "null"  # its sandbox
    assert report.locator("body").evaluate("body => getComputedStyle(body).maxWidth") != "none"


def test_an_explanation_is_run_again_and_compared(page, dashboard, explained):
    visit(page, dashboard, f"/explanations/{explained.id}")
    page.get_by_role("button", name="Run it again and compare").click()
    second = page.get_by_role("region", name="Second run")
    expect(second).to_contain_text("The same The model of today gives the same scores and values")
    second.get_by_text("What was compared").click()
    expect(second).to_contain_text("none; within the tolerance")
    assert not Axe().run(page).response["violations"]
    again = page.url.rpartition("/")[2]
    assert dashboard.client.get(again).reproduces == explained.id
    link = second.get_by_role("link", name="Both side by side")
    assert link.get_attribute("href") == f"#/compare?ids={explained.id},{again}"
    visit(page, dashboard, f"/explanations/{again}")
    dashboard.client.delete(again)
    page.get_by_role("button", name="Run it again and compare").click()
    expect(page.get_by_role("alert").filter(has_text="There is no such")).to_be_visible()

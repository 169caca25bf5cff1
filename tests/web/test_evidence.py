"""The signed record on the screen of an explanation."""

import re

from playwright.sync_api import expect

from tests.web.conftest import visit


def test_an_explanation_shows_who_signed_its_record_and_gives_report_and_bundle(
    page, dashboard, explained
):
    [key] = dashboard.client._http.get("/.well-known/jwks.json").json()["keys"]
    visit(page, dashboard, f"/explanations/{explained.id}")
    told = re.compile(rf"Signed record no. \d+, key {key['kid']}")
    expect(page.get_by_role("region", name="Provenance")).to_contain_text(told)
    downloads = page.get_by_role("region", name="Downloads")
    for name, file in (
        ("Record (JSON)", f"{explained.id}-record.json"),
        ("Bundle (zip)", f"{explained.id}.zip"),
    ):
        with page.expect_download() as saved:
            downloads.get_by_role("button", name=name).click()
        assert saved.value.suggested_filename == file
    with page.expect_popup() as opened:
        downloads.get_by_role("link", name="Report (new tab)").click()
    report = opened.value
    report.wait_for_load_state()
    expect(report.locator("body")).to_contain_text(key["kid"])
    assert report.evaluate("origin") == "null"  # its sandbox
    assert report.locator("body").evaluate("body => getComputedStyle(body).maxWidth") != "none"

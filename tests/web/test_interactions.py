"""Interactions of pairs of regions on the screen of an explanation."""

import pytest
from playwright.sync_api import expect

from service.schemas.requests import ExplanationSettings
from tests.e2e.pictures import SAMPLE
from tests.web.conftest import SETTINGS, visit


@pytest.fixture(scope="module")
def interacting(dashboard):
    """The sample and its 16 squares, with interactions of pairs."""
    chosen = {"method": "gaussian_process", "interactions": 2, "metrics": []}
    settings = ExplanationSettings.model_validate(SETTINGS | chosen)
    return dashboard.client.explain(SAMPLE, settings)


def test_the_strongest_pairs_of_the_chosen_output_are_drawn_and_listed(
    page, dashboard, interacting
):
    visit(page, dashboard, f"/explanations/{interacting.id}")
    found = dashboard.client.regions(interacting.id, pairs=12).interactions
    section = page.get_by_role("region", name="Interactions")
    rows = section.locator("tbody tr")
    sources = []
    for output in interacting.outputs[:2]:
        page.get_by_role("radio", name=output.label).check()
        strongest = [pair for pair in found if pair.output == output.index]
        expect(rows).to_have_count(12)
        expect(section.get_by_role("img")).to_have_attribute(
            "alt", f"Lines between the regions that act together most for {output.label}"
        )
        for row, pair in zip(rows.all(), strongest, strict=True):
            expect(row.get_by_role("rowheader")).to_have_text("{} and {}".format(*pair.regions))
        width = section.get_by_role("img").evaluate(
            "each => each.decode().then(() => each.naturalWidth)"
        )
        sources.append(section.get_by_role("img").get_attribute("src"))
        assert width > 400
    assert sources[0] != sources[1]


def test_without_interactions_there_is_no_such_section(page, dashboard, explained):
    visit(page, dashboard, f"/explanations/{explained.id}")
    expect(page.get_by_role("region", name="Downloads")).to_be_visible()
    expect(page.get_by_role("region", name="Interactions")).to_have_count(0)

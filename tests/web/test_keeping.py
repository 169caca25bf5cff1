"""Reviews and holds on the screen of an explanation, in the list and in its filters."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.web.conftest import visit


@pytest.fixture
def kept(dashboard, explained):
    """An explanation that nobody else uses."""
    again = dashboard.client.reproduce(explained.id)
    return dashboard.client.wait(again.id)


def test_an_explanation_is_reviewed_held_and_released(page, dashboard, kept, watched):
    watched.watch(page)
    visit(page, dashboard, f"/explanations/{kept.id}")
    card = page.get_by_role("region", name="Reviews and hold")
    expect(card).to_contain_text("Nobody has reviewed it")
    card.get_by_text("Review", exact=True).press("Enter")  # by the keyboard
    form = card.get_by_role("form", name="Review")
    form.get_by_label("Verdict").select_option("override")
    form.get_by_label("The right label").fill("<b>fox</b>")
    form.get_by_label("Comment").fill("Look at the ears")
    form.get_by_label("Your name").fill("Ada")
    form.get_by_role("button", name="Sign the review").click()
    expect(card.get_by_role("listitem")).to_contain_text("overridden <b>fox</b> by Ada")
    card.get_by_text("Hold", exact=True).click()
    form = card.get_by_role("form", name="Hold")
    form.get_by_label("Reason").fill("A complaint")
    form.get_by_label("Your name").fill("Ada")
    form.get_by_role("button", name="Hold it").click()
    card.get_by_text("Hold", exact=True).click()
    expect(card).to_contain_text("held by Ada since")
    assert not Axe().run(page).response["violations"]
    visit(page, dashboard, "/explanations?held=true")
    [tile] = page.get_by_role("listitem").filter(has=page.get_by_text("held")).all()
    expect(tile).to_contain_text("overridden")
    visit(page, dashboard, f"/explanations/{kept.id}")
    card = page.get_by_role("region", name="Reviews and hold")
    card.get_by_text("Hold", exact=True).click()
    card.get_by_role("button", name="Release the hold").click()
    expect(card.get_by_text("Hold it")).to_be_attached()
    assert dashboard.client.get(kept.id).hold is None
    assert dashboard.client.get(kept.id).review.label == "<b>fox</b>"
    assert watched.errors == []


def test_a_long_comment_is_refused_whole_and_stays_while_another_form_is_sent(
    page, dashboard, kept
):
    visit(page, dashboard, f"/explanations/{kept.id}")
    card = page.get_by_role("region", name="Reviews and hold")
    card.get_by_text("Review", exact=True).click()
    form = card.get_by_role("form", name="Review")
    form.get_by_label("Verdict").select_option("reject")
    form.get_by_label("Your name").fill("Ada")
    comment = form.get_by_label("Comment")
    comment.fill("x" * 5000)
    form.get_by_role("button", name="Sign the review").click()
    assert "5000 characters, and at most 2000" in comment.evaluate("box => box.validationMessage")
    card.get_by_text("Hold", exact=True).click()
    hold = card.get_by_role("form", name="Hold")
    hold.get_by_label("Reason").fill("A complaint")
    hold.get_by_label("Your name").fill("Ada")
    hold.get_by_role("button", name="Hold it").click()
    expect(card).to_contain_text("held by Ada since")
    assert comment.input_value() == "x" * 5000
    assert dashboard.client.get(kept.id).review is None


def test_what_is_refused_is_told_beside_the_form(page, dashboard, kept):
    visit(page, dashboard, f"/explanations/{kept.id}")
    card = page.get_by_role("region", name="Reviews and hold")
    card.get_by_text("Hold", exact=True).click()
    form = card.get_by_role("form", name="Hold")
    form.get_by_label("Reason").fill("A complaint")
    form.get_by_label("Your name").fill("Ada")
    form.get_by_label("Until").fill("2001-01-01T00:00")
    form.get_by_role("button", name="Hold it").click()
    expect(form.get_by_role("alert")).to_contain_text("the time is over")

"""What a person meets when a model, a result or the server goes away while the page is open."""

import re

import httpx
import pytest
from playwright.sync_api import Page, expect

from service.jobs.store_identity import compare_store
from service.jobs.worker_registry import announce
from tests.live import live_api
from tests.tiny import card


@pytest.fixture
def serve(settings, tmp_path, connection, store):
    """Starts the API, without keys; PORT=… on that port."""
    compare_store(connection, store)
    return lambda **environment: live_api(settings, tmp_path, **environment)


def fill(page: Page, photo: bytes) -> None:
    file = {"name": "photo.png", "mimeType": "image/png", "buffer": photo}
    page.get_by_label("Choose, drop or paste").set_input_files(file)
    page.get_by_label("Evaluations", exact=True).fill("77")


def assert_kept(page: Page) -> None:
    expect(page.get_by_label("Evaluations", exact=True)).to_have_value("77")
    expect(page.get_by_role("button", name="Remove photo.png")).to_be_visible()


def test_a_model_that_went_away_is_told_beside_the_model_and_nothing_is_lost(
    page, serve, hand, connection, photo
):
    other = card(name="other", default=False)
    hand.announce(card(), other)
    with serve() as live:
        page.goto(f"{live.url}/#/new")
        page.get_by_label("Model", exact=True).select_option("other")
        fill(page, photo)
        announce(connection, "hand", [], lease_s=600, remember_s=0)  # forgets both
        hand.announce(card())
        page.get_by_role("button", name="Explain").click()
        told = page.locator("[data-field=model] .field-error")
        expect(told).to_contain_text(re.compile("other"))
        assert_kept(page)
        page.get_by_label("Model", exact=True).select_option("tiny")
        page.get_by_role("button", name="Explain").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Explanation in progress")
        [asked] = httpx.get(f"{live.url}/v1/explanations").json()["items"]
        assert (asked["model"]["name"], asked["settings"]["max_evals"]) == ("tiny", 77)


def test_a_result_that_expires_while_it_is_open_says_so(page, serve, hand, photo):
    with serve() as live:
        sent = httpx.post(f"{live.url}/v1/explanations", files={"image": ("photo.png", photo)})
        asked = sent.json()["id"]
        hand.succeed(asked)
        page.goto(f"{live.url}/#/explanations/{asked}")
        expect(page.get_by_role("heading", level=1)).to_contain_text("ant")
        button = page.get_by_role("button", name="Document (JSON)")
        expect(button).to_be_visible()
        hand.ledger.leave_tombstone(asked, tombstone_s=60)
        button.click()
        for _ in range(2):  # beside the button, then in place of the page
            expect(page.get_by_role("alert").last).to_contain_text("Ask for the explanation anew")
            page.reload()


def test_a_server_that_restarts_loses_neither_the_form_nor_the_progress(page, serve, hand, photo):
    with serve() as live:
        page.goto(f"{live.url}/#/new")
        fill(page, photo)
    page.get_by_role("button", name="Explain").click()
    notice = page.locator("#notice")
    expect(notice).to_contain_text("The server cannot be reached")
    assert_kept(page)
    with serve(PORT=live.port):
        expect(page.get_by_role("heading", level=1)).to_have_text("Explanation in progress")
        [asked] = httpx.get(f"{live.url}/v1/explanations").json()["items"]
        assert asked["settings"]["max_evals"] == 77
    expect(notice).to_contain_text("The server cannot be reached")
    hand.succeed(asked["id"])
    with serve(PORT=live.port):
        expect(page.get_by_role("heading", level=1)).to_contain_text("ant")
        expect(notice).to_be_hidden()

"""The dashboard of an API with keys, below a root path, with a hand that plays the worker."""

import re

import httpx
import numpy as np
import pytest
from playwright.sync_api import expect

from service.api.auth.keys import Scope
from service.schemas.documents import ErrorCode, Failure
from tests.api.auth.keyholders import bearing, issue
from tests.api.conftest import some_arrays, some_regions
from tests.web.conftest import ROOT, sign_in

LABEL = '<img src=x onerror="document.title=1">'  # whoever makes a model names its outputs


def test_a_key_shows_what_is_its_own_and_stays_in_the_tab(
    page, watched, live, hand, ask, keys_file
):
    key, other = (issue(keys_file, name, Scope.EXPLAIN) for name in ("clinic", "lab"))
    mine, theirs = ask(key), ask(other)
    arrays = some_arrays() | some_regions() | {"output_names": np.array([LABEL, "crane"])}
    hand.succeed(mine, arrays=arrays, explained={0: LABEL, 2: "crane"})
    page.goto(f"{live.url}{ROOT}")  # without the slash at its end
    sign_in(page, "shapshot_wrong")
    expect(page.get_by_role("dialog")).to_contain_text("does not know this key")
    sign_in(page, key)
    expect(page.get_by_role("listitem")).to_have_count(1)
    page.get_by_role("link", name=LABEL).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(LABEL)
    expect(page.locator("img[src=x]")).to_have_count(0)
    expect(page.locator(".regions tbody tr")).to_have_count(6)
    page.get_by_text("A link that needs no key").click()
    page.get_by_label("Link to").select_option("the overlay")
    page.get_by_role("button", name="Make the link").click()
    link = page.get_by_label("Downloads").locator("code").text_content()
    assert httpx.get(link).headers["content-type"] == "image/png"
    page.goto(f"{live.url}{ROOT}/#/explanations/{theirs}")
    expect(page.get_by_role("alert")).to_contain_text("belong to another key")
    assert not [url for url in watched.requests if key in url]
    kept = "JSON.stringify([{...localStorage}, document.cookie, location.href])"
    assert key not in page.evaluate(kept)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("dialog", name="Sign in")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


def test_asking_again_names_a_class_without_a_label_by_its_index(
    page, live, hand, keys_file, photo, new_card
):
    hand.announce(new_card(labels=None))
    key = issue(keys_file, "clinic", Scope.EXPLAIN)
    url = f"{live.url}{ROOT}/v1/explanations"
    parts = {"image": ("photo.png", photo), "settings": (None, '{"true_label": 3}')}
    earlier = httpx.post(url, files=parts, headers=bearing(key)).json()["id"]
    hand.succeed(earlier)
    page.goto(f"{live.url}{ROOT}/#/new?from={earlier}")
    sign_in(page, key)
    page.get_by_role("button", name="Explain").click()
    page.wait_for_url(re.compile(r"#/explanations/exp_[0-9a-f]{32}$"))
    again = page.url.rpartition("/")[2]
    assert again != earlier
    document = httpx.get(f"{url}/{again}", headers=bearing(key)).json()
    assert document["settings"]["true_label"] == 3


def test_a_key_that_is_removed_is_asked_for_anew_and_the_form_is_kept(
    page, live, hand, keys_file, photo
):
    key = issue(keys_file, "clinic", Scope.EXPLAIN)
    page.goto(f"{live.url}{ROOT}/#/new")
    sign_in(page, key)
    file = {"name": "photo.png", "mimeType": "image/png", "buffer": photo}
    page.get_by_label("Choose, drop or paste").set_input_files(file)
    page.get_by_label("Evaluations", exact=True).fill("123")
    keys_file.write_text("")
    new = issue(keys_file, "clinic", Scope.EXPLAIN)
    page.get_by_role("button", name="Explain").click()
    expect(page.get_by_role("dialog")).to_contain_text("may have been removed")
    sign_in(page, new)
    expect(page.get_by_role("heading", level=1)).to_have_text("Explanation in progress")
    listed = httpx.get(f"{live.url}{ROOT}/v1/explanations", headers=bearing(new)).json()
    assert [each["settings"]["max_evals"] for each in listed["items"]] == [123]
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("It was canceled")


def test_without_a_stream_it_asks_again_until_it_is_told_of_the_failure(
    page, live, hand, ask, keys_file
):
    key = issue(keys_file, "clinic", Scope.EXPLAIN)
    asked = ask(key)
    page.route("**/events", lambda _route: None)  # as behind a proxy that holds answers back
    page.goto(f"{live.url}{ROOT}/#/explanations/{asked}")
    sign_in(page, key)
    expect(page.get_by_role("heading", level=1)).to_have_text("Explanation in progress")
    hand.fail(asked, Failure(code=ErrorCode.MODEL_FAILED, detail="it gives NaN"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("It failed")
    expect(page.locator("main")).to_contain_text("It gives NaN.")
    expect(page.locator("main")).to_contain_text("Try another picture or masker")
    page.unroute("**/events")


def test_operations_say_what_a_key_may_not_see(page, live, hand, keys_file):
    key = issue(keys_file, "clinic", Scope.EXPLAIN)
    page.goto(f"{live.url}{ROOT}/#/operations")
    sign_in(page, key)
    expect(page.get_by_role("main")).to_contain_text("1 worker for")
    expect(page.get_by_role("main")).to_contain_text("takes the scope auditor")
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, issue(keys_file, "watch", Scope.AUDITOR))
    expect(page.get_by_role("heading", name="Queue")).to_be_visible()


@pytest.mark.parametrize("name", ["clinic", "watch"])  # who asked, and an auditor
def test_with_a_key_the_report_of_a_batch_opens_in_a_tab_with_its_styles(
    page, watched, live, hand, keys_file, new_photo, name
):
    key = issue(keys_file, "clinic", Scope.EXPLAIN)
    shown_to = {"clinic": key, "watch": issue(keys_file, "watch", Scope.AUDITOR)}[name]
    url = f"{live.url}{ROOT}/v1/batches"
    files = [("image", (f"{n}.png", new_photo(60 + n, 40))) for n in range(2)]
    parts = [*files, ("settings", (None, '{"true_labels": ["ant", "bee"]}'))]
    batch = httpx.post(url, files=parts, headers=bearing(key)).json()
    for each in batch["explanations"]:
        hand.succeed(each["id"], arrays=some_arrays() | some_regions())
    page.goto(f"{live.url}{ROOT}/#/batches/{batch['id']}")
    sign_in(page, shown_to)
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Report of all").click()
    report = opened.value
    report.wait_for_load_state()
    assert report.url.startswith(f"{url}/{batch['id']}/report.html?sig=")
    expect(report.get_by_role("heading", level=1)).to_contain_text("saw in 2 pictures")
    expect(report.locator("body")).to_contain_text("1 right, 1 wrong")
    assert report.evaluate("origin") == "null"  # its sandbox
    style = "element => getComputedStyle(element)"
    assert report.locator("body").evaluate(f"{style}.maxWidth") != "none"
    assert report.locator("td.wrong").first.evaluate(f"{style}.color") == "rgb(155, 28, 28)"
    image = report.locator(".worst img").first
    assert image.evaluate("image => image.naturalWidth") > 0
    assert not [each for each in watched.requests if shown_to in each]

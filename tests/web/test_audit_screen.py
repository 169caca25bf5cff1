"""The audit log in the dashboard of an API with keys."""

import json

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from service.api.auth.keys import Scope
from service.evidence.keys import SigningKey
from service.jobs.audit import Audited
from service.jobs.redis_keys import AUDIT_SEALED
from service.jobs.scripts import NewEntry, Note, Scripts
from service.jobs.store_identity import compare_store
from service.schemas.audit import AuditAction
from tests.api.auth.keyholders import issue
from tests.api.conftest import some_arrays, some_regions
from tests.live import live_api
from tests.web.conftest import READY, ROOT, sign_in


@pytest.fixture
def asked(live, hand, ask, keys_file) -> str:
    """An explanation of the clinic, of which the log tells."""
    return ask(issue(keys_file, "clinic", Scope.EXPLAIN))


@pytest.fixture
def auditor(keys_file) -> str:
    return issue(keys_file, "watch", Scope.AUDITOR)


def open_log(page: Page, live, key: str) -> None:
    page.goto(f"{live.url}{ROOT}/#/explanations")
    sign_in(page, key)
    page.get_by_role("link", name="Audit").click()
    page.wait_for_selector(READY)


def test_entries_that_are_not_signed_yet_are_marked(
    page, settings, tmp_path, connection, store, keys_file, auditor, hand
):
    compare_store(connection, store)
    SigningKey.create(tmp_path / "key.pem")
    options = {"KEYS_FILE": keys_file, "ROOT_PATH": ROOT, "SIGNING_KEY_FILE": tmp_path / "key.pem"}
    with live_api(settings, tmp_path, **options) as live:
        open_log(page, live, auditor)
        rows = page.get_by_role("region", name="Entries").locator("tbody tr")
        status = page.get_by_role("status").filter(has_text="on this page")
        expect(status).to_contain_text("None of them is signed yet: the server signs about every")
        assert rows.filter(has_text="not signed yet").count() == rows.count()
        newest = rows.first.get_attribute("data-entry")
        connection.hset(AUDIT_SEALED, "last", newest)  # as the script that seals does
        page.get_by_role("button", name="Read again").click()
        expect(status).to_contain_text("1 of them are not signed yet")
        expect(rows.filter(has_text="not signed yet")).to_have_count(1)
        expect(rows.first).to_contain_text("not signed yet")


def test_an_auditor_filters_the_log_and_saves_what_matches(page, live, asked, auditor):
    open_log(page, live, auditor)
    entries = page.get_by_role("region", name="Entries")
    expect(entries.get_by_role("row").filter(has_text="asked for it")).to_contain_text("clinic")
    assert not Axe().run(page).response["violations"]
    page.get_by_label("Who").fill("clinic")
    page.get_by_label("Action").select_option("asked")
    page.get_by_label("Explanation or batch").fill(asked)
    page.get_by_label("From").fill("2001-01-01T00:00:00")
    page.get_by_label("Explanation or batch").press("Enter")  # by the keyboard
    expect(page.get_by_role("status").filter(has_text="1 entry")).to_be_visible()
    assert page.get_by_label("Who").input_value() == "clinic"  # as the address has it
    assert page.get_by_label("From").input_value() == "2001-01-01T00:00"
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save all").click()
    [line] = saved.value.path().read_text().splitlines()
    assert (json.loads(line)["explanation"], json.loads(line)["action"]) == (asked, "asked")
    page.get_by_label("Before").fill("2001-01-02T00:00:00")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_role("main")).to_contain_text("No entry matches")
    page.get_by_role("link", name="Clear the filters").click()
    entries.get_by_role("row").filter(has_text="asked for it").get_by_role("link").first.click()
    page.wait_for_url(f"**/explanations/{asked}")


def test_the_log_is_read_page_by_page_and_fits_a_phone(open_page, live, asked, auditor, connection):
    page = open_page(360)
    notes = [NewEntry(AuditAction.READ, asked, f"thing {n}") for n in range(60)]
    Scripts(connection).run(Note(Audited("clinic", None, None), notes))
    open_log(page, live, auditor)
    page.get_by_role("link", name="Earlier ones").click()
    expect(page.get_by_role("row").filter(has_text="asked for it")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="thing 59")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.get_by_role("link", name="Newest ones").click()
    expect(page.get_by_role("row").filter(has_text="thing 59")).to_be_visible()


def test_a_key_without_the_scope_sees_no_link_and_is_told_why(page, live, asked, keys_file):
    page.goto(f"{live.url}{ROOT}/#/audit")
    with page.expect_response("**/v1/caller"):
        sign_in(page, issue(keys_file, "lab", Scope.EXPLAIN))
    expect(page.get_by_role("alert")).to_contain_text("scope auditor")
    expect(page.get_by_role("link", name="Audit")).to_have_count(0)
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, issue(keys_file, "watch", Scope.AUDITOR))
    expect(page.get_by_role("link", name="Audit")).to_be_visible()


def test_an_auditor_opens_a_report_and_is_told_what_its_key_may_not(
    page, live, hand, asked, auditor
):
    hand.succeed(asked, arrays=some_arrays() | some_regions())
    page.goto(f"{live.url}{ROOT}/#/explanations/{asked}")
    sign_in(page, auditor)
    evidence = page.get_by_role("region", name="Evidence")
    expect(evidence).to_contain_text("This server has no signing key")
    expect(evidence).to_contain_text("takes a key of the scope explain")
    log = evidence.get_by_role("link", name="Who did what with it")
    assert log.get_attribute("href") == f"#/audit?explanation={asked}"
    with page.expect_popup() as opened:
        evidence.get_by_role("link", name="Report (new tab)").click()
    expect(opened.value.get_by_role("heading", name="What was asked")).to_be_visible()
    kept = page.get_by_role("region", name="Reviews and hold")
    expect(kept).to_contain_text("It cannot be reviewed now. This server has no signing key")
    expect(page.get_by_text("A link that needs no key")).to_have_count(0)

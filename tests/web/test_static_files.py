"""The files of the dashboard, as the API serves them."""

import re
from urllib.parse import urljoin

import pytest

from service.api.routes.web import FILES, POLICY
from service.schemas.documents import ErrorCode
from service.schemas.warnings import WarningCode

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


async def test_a_browser_gets_the_page_and_others_the_welcome(api):
    page = await api.get("/", headers=BROWSER)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"] == POLICY
    for headers in ({}, {"Accept": "application/json"}, {"Accept": "text/html;q=0.5, */*"}):
        welcome = await api.get("/", headers=headers)
        assert welcome.json()["name"] == "Shapshot"
        assert "text/html" not in welcome.headers["content-type"]
        assert "accept" in welcome.headers["vary"].lower()
    assert "accept" in page.headers["vary"].lower()


async def test_all_that_the_page_names_is_there_and_its_own(api):
    page = (await api.get("/", headers=BROWSER)).text
    named = re.findall(r'(?:src|href)="([^"#]+)"', page)
    assert "web/app.js" in named
    for path in named:
        answer = await api.get(f"/{path}")
        assert answer.status_code == 200
        assert answer.headers["x-content-type-options"] == "nosniff"
    for name, file in FILES.items():
        text = file.content.decode()
        for imported in re.findall(r'from "(\.[^"]+)"', text):
            assert (await api.get(urljoin(f"/web/{name}", imported))).is_success
        assert set(re.findall(r"https?://[^\s\"')]+", text)) <= {"http://www.w3.org/2000/svg"}
        assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(", text)


@pytest.mark.parametrize(
    ("path", "media_type"),
    [("app.js", "text/javascript"), ("style/base.css", "text/css"), ("icon.svg", "image/svg+xml")],
)
async def test_a_file_has_its_type_and_is_sent_once(api, path, media_type):
    first = await api.get(f"/web/{path}")
    assert first.headers["content-type"].split(";")[0] == media_type
    again = await api.get(f"/web/{path}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = await api.head(f"/web/{path}")
    assert (head.headers["etag"], head.content) == (first.headers["etag"], b"")


@pytest.mark.parametrize("path", ["nothing.js", "", "../pyproject.toml", "%2e%2e/__init__.py"])
async def test_nothing_else_is_served(api, refused, path):
    refused(await api.get(f"/web/{path}"), 404, "not_found")


async def test_files_are_only_read(api, refused):
    refused(await api.post("/web/app.js"), 405, "method_not_allowed")
    refused(await api.post("/"), 405, "method_not_allowed")


async def test_below_a_root_path_links_start_from_there(start, settings):
    async with start(settings.model_copy(update={"root_path": "/shapshot"})) as api:
        for path in ("/shapshot", "/shapshot/"):
            page = (await api.get(path, headers=BROWSER)).text
            assert '<base href="/shapshot/" />' in page
        assert (await api.get("/shapshot/web/app.js")).is_success
        assert (await api.get("/shapshot/")).json()["links"]["docs"] == "/shapshot/docs"


def test_every_warning_is_explained_and_every_advice_is_about_a_code():
    explained = re.findall(r"^  (\w+):", FILES["lib/warning_texts.js"].content.decode(), re.M)
    assert set(explained) == {code.value for code in WarningCode}
    advised = re.findall(r"^  (\w+):", FILES["lib/failure.js"].content.decode(), re.M)
    assert len(advised) > 10
    assert set(advised) <= {code.value for code in ErrorCode}

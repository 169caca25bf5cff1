"""The files of the dashboard, as the API serves them."""

import re
from urllib.parse import urljoin

import pytest

from service.api.routes.web import FILES, POLICY, VERSION
from service.schemas.documents import ErrorCode
from service.schemas.warnings import WarningCode

# Addresses that name a format, and are never opened
NAMES = {"http://www.w3.org/2000/svg", "https://in-toto.io/Statement/v1"}
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
    assert f"web/{VERSION}/app.js" in named
    for path in named:
        answer = await api.get(f"/{path}")
        assert answer.status_code == 200
        assert answer.headers["x-content-type-options"] == "nosniff"
    for name, file in FILES.items():
        text = file.content.decode()
        for imported in re.findall(r'from "(\.[^"]+)"', text):
            assert (await api.get(urljoin(f"/web/{name}", imported))).is_success
        assert set(re.findall(r"https?://[^\s\"')]+", text)) <= NAMES
        assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(", text)


# Of an XML namespace, of a type of statements, and of a field left empty: none is loaded
NAMES = {"http://www.w3.org/2000/svg", "https://in-toto.io/Statement/v1", "https://…"}


def reached(name: str, *, how: str) -> set[str]:
    """The module and, in turn, all that it imports."""
    found, waiting = set[str](), [name]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            paths = re.findall(rf'{how}"([^"]+\.js)"', FILES[name].content.decode())
            waiting += [urljoin(name, path) for path in paths]
    return found


async def test_the_page_names_every_module_of_the_first_view_so_that_none_waits_for_another(api):
    page = (await api.get("/", headers=BROWSER)).text
    preloaded = re.findall(rf'rel="modulepreload" href="web/{VERSION}/([^"]+)"', page)
    needed = {
        module
        for first in ("app.js", "screens/explanations.js")  # where a person comes in
        for module in reached(first, how=r"from\s")
    }
    assert sorted(preloaded) == sorted(needed)
    assert len(needed) <= 30
    assert page.count('rel="stylesheet"') == 1
    sent = [await api.get(f"/web/{name}") for name in [*needed, "style.css"]]
    assert sum(int(answer.headers["content-length"]) for answer in sent) < 60_000


def test_no_module_is_there_that_no_screen_imports():
    every = reached("app.js", how=r"(?:from\s|module: )")
    assert every == {name for name in FILES if name.endswith(".js")}
    assert b"@import" not in FILES["style.css"].content
    for name, file in FILES.items():
        if name.startswith("style/"):
            assert file.content in FILES["style.css"].content


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


async def test_a_file_of_this_version_is_kept_and_another_one_is_not_there(api, refused):
    named, plain = await api.get(f"/web/{VERSION}/app.js"), await api.get("/web/app.js")
    assert named.content == plain.content
    assert named.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert plain.headers["cache-control"] == "no-cache"
    assert (await api.get("/", headers=BROWSER)).headers["cache-control"] == "no-cache"
    refused(await api.get(f"/web/{VERSION[::-1]}/app.js"), 404, "not_found")


@pytest.mark.parametrize("path", ["/web/app.js", "/"])
async def test_a_file_is_sent_small_to_who_takes_gzip(api, path):
    packed = await api.get(path, headers=BROWSER | {"Accept-Encoding": "gzip, br"})
    plain = await api.get(path, headers=BROWSER | {"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < 0.7 * len(plain.content)
    for answer in (packed, plain):
        assert "accept-encoding" in answer.headers["vary"].lower()


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

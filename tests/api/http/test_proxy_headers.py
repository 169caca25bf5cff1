"""Behind a proxy: links start with its path, and only a trusted proxy's headers are used."""

import json
import re
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from service.api.app import create_app
from service.api.auth.keys import Scope
from service.api.http.proxy_headers import ProxyHeaders
from service.api.services import ProcessServices
from service.client import AsyncClient
from service.infra.root_path import API_PATHS
from service.infra.settings.api import ApiSettings
from service.infra.settings.environment import SettingsError, read_settings
from tests.api.auth.keyholders import issue, routes
from tests.api.conftest import some_curves

ROOT = "/ml/shapshot"
HOSTILE = [
    *("//evil.example", "https://evil.example", "/\\evil.example", "evil"),
    *("/..", "/a/../b", "/.", "/a//b", "/%2e%2e", "/a b", "/a?b", "/a#b", '/"><script>', "/é"),
    *("/a\r\nLocation: //evil.example", "/a\n", "/" + "a" * 200, "/v1", "/docs/a"),
]


@dataclass(frozen=True)
class Proxy:
    """Serves the API under ROOT; strips that from the path, or passes the whole path on."""

    api: httpx.AsyncClient
    strips: bool
    headers: dict[str, str]

    async def ask(self, method: str, url: str, **more: Any) -> httpx.Response:
        assert url.startswith(f"{ROOT}/"), url
        path = url.removeprefix(ROOT) if self.strips else url
        return await self.api.request(method, path, headers=self.headers, **more)


@pytest.fixture(
    params=["told once, stripped", "told once", "told by each request, stripped", "told by each"]
)
async def proxy(request, start, settings, fake_worker, new_card):
    fake_worker.announce(new_card())
    once, strips = "once" in request.param, "stripped" in request.param
    known = settings.model_copy(update={"root_path": ROOT if once else ""})
    async with start(known) as api:
        yield Proxy(api, strips, {} if once else {"X-Forwarded-Prefix": ROOT})


TWO_WAYS = ["told once", "told by each request, stripped"]


def links_in(document: Any) -> list[str]:
    """Returns the values of every `links` in a document."""
    if isinstance(document, list):
        return [link for each in document for link in links_in(each)]
    if not isinstance(document, dict):
        return []
    own = [*document.get("links", {}).values()]
    return own + [link for each in document.values() for link in links_in(each)]


@pytest.mark.parametrize("proxy", TWO_WAYS, indirect=True)
async def test_every_link_leads_back_through_the_proxy(proxy, fake_worker, photo):
    parts = {"image": ("p", photo), "settings": (None, '{"metrics": ["insertion"]}')}
    asked = await proxy.ask("POST", f"{ROOT}/v1/explanations", files=parts)
    several = await proxy.ask("POST", f"{ROOT}/v1/batches", files={"image": ("p", photo)})
    assert (asked.status_code, several.status_code) == (202, 202)
    [member] = several.json()["explanations"]
    for id_ in (asked.json()["id"], member["id"]):
        fake_worker.succeed(id_, curves=some_curves("insertion"))
    shown = [
        await proxy.ask("GET", url)
        for url in (
            f"{ROOT}/",
            f"{ROOT}/v1/explanations",
            asked.headers["location"],
            several.headers["location"],
            f"{ROOT}/v1/explanations/{member['id']}",
        )
    ]
    links = [link for answer in (asked, several, *shown) for link in links_in(answer.json())]
    stream = await proxy.ask("GET", f"{asked.headers['location']}/events")
    streamed = links_in(json.loads(*re.findall(r"data: (.*)\r\n", stream.text)))
    assert streamed
    assert {*streamed} < {*links}
    assert len({link.rpartition("/")[2] for link in links}) > 8
    for link in {*links}:
        method = "POST" if link.endswith("/cancel") else "GET"
        assert (await proxy.ask(method, link)).status_code == 200, link


@pytest.mark.parametrize("proxy", TWO_WAYS, indirect=True)
async def test_the_docs_and_openapi_are_served_under_the_prefix(proxy):
    page = (await proxy.ask("GET", f"{ROOT}/docs")).text
    urls = re.findall(r'(?:src|href)="([^"]+)"', page) + re.findall(r"url: '([^']+)'", page)
    assert len(urls) == 4
    for url in urls:
        assert (await proxy.ask("GET", url)).status_code == 200, url
    document = (await proxy.ask("GET", f"{ROOT}/openapi.json")).json()
    assert document["servers"] == [{"url": ROOT}]


async def test_a_missing_path_is_named_as_the_client_requested_it(proxy, refused):
    problem = refused(await proxy.ask("GET", f"{ROOT}/nowhere"), 404, "not_found")
    assert problem["detail"] == f"nothing is served at {ROOT}/nowhere"
    assert (await proxy.ask("PUT", f"{ROOT}/v1/models")).headers["allow"] == "GET, HEAD, OPTIONS"
    with capture_logs() as lines:  # probes are not logged here either
        await proxy.ask("GET", f"{ROOT}/healthz/live")
    assert [line["log_level"] for line in lines] == ["debug"]


async def test_clients_accept_the_address_with_its_prefix(
    start, settings, fake_worker, new_card, photo
):
    fake_worker.announce(new_card())
    app = create_app(ProcessServices.of(settings.model_copy(update={"root_path": ROOT})))
    async with (
        app.router.lifespan_context(app),
        AsyncClient(f"http://localhost{ROOT}/", transport=httpx.ASGITransport(app)) as client,
    ):
        explanation = await client.submit(photo)
        fake_worker.succeed(explanation.id)
        assert (await client.wait(explanation.id)).links["self"].startswith(ROOT)
        assert (await client.heatmap(explanation.id)).startswith(b"\x89PNG")


async def test_an_invalid_prefix_is_refused(served, refused):
    for prefix in HOSTILE:
        answer = await served.get("/", headers={b"X-Forwarded-Prefix": prefix.encode()})
        problem = refused(answer, 400, "bad_request")
        assert problem["field"] == "X-Forwarded-Prefix"
        assert "/shapshot" in problem["detail"]
        assert "x-request-id" in answer.headers
    twice = [("X-Forwarded-Prefix", "/a"), ("X-Forwarded-Prefix", "/b")]
    refused(await served.get("/", headers=twice), 400, "bad_request")


async def test_a_prefix_may_end_with_a_slash_and_may_be_empty(served):
    for prefix, root in {"/a/": "/a", "/": "", "": "", "/a.b/~c": "/a.b/~c"}.items():
        answer = await served.get("/", headers={"X-Forwarded-Prefix": prefix})
        assert answer.json()["links"]["docs"] == f"{root}/docs"


async def test_each_of_several_proxies_is_shown_its_own_path(served, create, fake_worker):
    explanation_id = await create()
    fake_worker.succeed(explanation_id)
    for root in ("/a", "/b", "", "/a"):
        headers = {"X-Forwarded-Prefix": root}
        path = f"/v1/explanations/{explanation_id}"
        shown = (await served.get(path, headers=headers)).json()["links"]["self"]
        events = (await served.get(f"{path}/events", headers=headers)).text
        document = (await served.get("/openapi.json", headers=headers)).json()
        assert shown == root + path
        assert f'"self":"{root}{path}"' in events
        assert document.get("servers", [{"url": ""}]) == [{"url": root}]


async def test_the_root_path_is_served_without_its_slash(served):
    answer = await served.get(ROOT, headers={"X-Forwarded-Prefix": ROOT})
    assert (answer.status_code, answer.json()["name"]) == (200, "Shapshot")


async def test_probes_under_a_prefix_are_answered_for_any_host(start, settings, tmp_path):
    issue(tmp_path / "keys.jsonl", "clinic", Scope.READ)
    named = {"keys_file": tmp_path / "keys.jsonl", "allowed_hosts": ("shapshot.example",)}
    async with start(settings.model_copy(update={**named, "root_path": ROOT})) as api:
        by_address = {"Host": "192.0.2.4"}
        assert (await api.get(f"{ROOT}/healthz/live", headers=by_address)).status_code == 200
        assert (await api.get(f"{ROOT}/v1/models", headers=by_address)).status_code == 421


async def test_headers_do_not_override_the_operators_settings(start, settings):
    async with start(settings.model_copy(update={"root_path": ROOT})) as api:
        for prefix in ("/other", "//evil.example"):
            answer = await api.get("/", headers={"X-Forwarded-Prefix": prefix})
            assert answer.json()["links"]["docs"] == f"{ROOT}/docs"


FORWARDED = {
    "X-Forwarded-For": "198.51.100.7, 192.0.2.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Prefix": "/a",
}


@pytest.mark.parametrize(
    ("trusted", "peer", "seen"),
    [
        (None, "127.0.0.1", ("192.0.2.9", "https", "/a")),
        (None, "::1", ("192.0.2.9", "https", "/a")),
        (None, "192.0.2.1", ("192.0.2.1", "http", "")),
        ("192.0.2.0/24", "192.0.2.1", ("198.51.100.7", "https", "/a")),
        ("192.0.2.1, 2001:db8::/32", "2001:db8::5", ("192.0.2.9", "https", "/a")),
        ("192.0.2.0/24", "127.0.0.1", ("127.0.0.1", "http", "")),
        ("none", "127.0.0.1", ("127.0.0.1", "http", "")),
    ],
)
async def test_all_forwarded_headers_are_trusted_by_one_rule(monkeypatch, trusted, peer, seen):
    if trusted:
        monkeypatch.setenv("SHAPSHOT_TRUSTED_PROXIES", trusted)
    scopes = []

    async def app(scope, receive, send):
        scopes.append(scope)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    behind = ProxyHeaders(app, read_settings(ApiSettings).trusted_proxies, "")
    transport = httpx.ASGITransport(behind, client=(peer, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://shapshot.test") as client:
        await client.get("/x", headers=FORWARDED)
    [scope] = scopes
    assert (scope["client"][0], scope["scheme"], scope["root_path"]) == seen
    assert scope["path"] == f"{seen[2]}/x"
    assert scope["raw_path"] == f"{seen[2]}/x".encode()


@pytest.mark.parametrize("wrong", [*HOSTILE[:-2], "/v1", "/a/", "/"])
def test_an_invalid_root_path_is_refused_at_the_start(monkeypatch, wrong):
    monkeypatch.setenv("SHAPSHOT_ROOT_PATH", wrong)
    with pytest.raises(SettingsError, match=r"^SHAPSHOT_ROOT_PATH: .* such as /shapshot"):
        read_settings(ApiSettings)


@pytest.mark.parametrize("wrong", ["localhost", "192.0.2.1/24", "*", "127.0.0.1,"])
def test_invalid_trusted_proxies_are_refused_at_the_start(monkeypatch, wrong):
    monkeypatch.setenv("SHAPSHOT_TRUSTED_PROXIES", wrong)
    with pytest.raises(SettingsError, match=r"^SHAPSHOT_TRUSTED_PROXIES: .*; received "):
        read_settings(ApiSettings)


def test_a_root_path_cannot_be_mistaken_for_a_path_of_the_api():
    named = {path.split("/")[1] for _, path in routes()} - {""}
    mounted = {"static-offline-docs"}
    assert named | mounted == {*API_PATHS}

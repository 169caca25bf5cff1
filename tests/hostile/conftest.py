"""The API as a process, with a real Redis and one announced model."""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path

import psutil
import pytest
import redis

from service.infra.artifact_store import Store, attributions_key, open_store
from service.infra.artifacts import Artifact, AttemptArtifacts
from service.infra.result_arrays import pack_arrays
from service.infra.settings.api import ApiSettings
from service.jobs.records import JobSpec
from service.jobs.redis_keys import new_id
from service.jobs.store_identity import compare_store
from service.jobs.worker_registry import announce
from service.schemas.documents import Status
from service.schemas.models import ModelCard
from tests.api.conftest import arrays_of
from tests.ledger import Ledger
from tests.live import Live, live_api
from tests.tiny import OUTCOME, output_result

MAX_UPLOAD_BYTES = 12_000_000


@dataclass
class RawResponse:
    """The raw response on a connection."""

    status: int
    media_type: str
    content: bytes


@dataclass
class Api:
    """A running API process."""

    live: Live
    folder: Path

    @property
    def url(self) -> str:
        return self.live.url

    @property
    def log(self) -> Path:
        return self.live.log

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.live.port), timeout=60)

    def send(self, content: bytes) -> RawResponse:
        """Send as much as the server accepts, and read the response."""
        with self.connect() as connection:
            with suppress(BrokenPipeError, ConnectionResetError):  # the server refused it early
                connection.sendall(content)
            return read_answer(connection)

    def kept(self) -> list[Path]:
        """Return the files of explanations in the store."""
        kept = self.folder / "store" / "explanations"
        return [path for path in kept.rglob("*") if path.is_file()]

    @property
    def resident_mb(self) -> float:
        return float(psutil.Process(self.live.process.pid).memory_info().rss / 1e6)

    @property
    def peak_mb(self) -> float:
        """Return the peak memory of the process."""
        status = Path(f"/proc/{self.live.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found
        return int(found[1]) / 1000


def read_answer(connection: socket.socket) -> RawResponse:
    with HTTPResponse(connection) as response:
        response.begin()
        media_type = response.headers.get_content_type()
        return RawResponse(response.status, media_type, response.read())


def explain(ledger: Ledger, store: Store, spec: JobSpec, shape: tuple[int, int, int, int]) -> str:
    """Finish an explanation with values of this shape (H, W, C, K); return its id."""
    ledger.accept(id_ := new_id(), spec, timeout_s=60)
    attempt = ledger.begin(id_)
    assert attempt
    npz, blocks = pack_arrays(arrays_of(*shape))
    store.put(attributions_key(id_, attempt), npz)
    stored = AttemptArtifacts(shape=shape, attributions=Artifact.of(npz), blocks=blocks)
    outcome = OUTCOME.model_copy(
        update={"outputs": [output_result(index) for index in range(shape[3])]}
    )
    ledger.finish(id_, attempt, Status.SUCCEEDED, outcome=outcome, artifacts=stored)
    return id_


Serve = Callable[..., Api]


@pytest.fixture
def serve(
    settings: ApiSettings,
    tmp_path: Path,
    connection: redis.Redis,
    new_card: Callable[..., ModelCard],
) -> Iterator[Serve]:
    """Starts the API with these additional settings."""
    announce(connection, "hand", [new_card()], lease_s=3600)
    compare_store(connection, open_store(settings.store_url))  # gives the set its identity
    with ExitStack() as stack:

        def start(**more: object) -> Api:
            named = {name.upper(): value for name, value in more.items()}
            named["MAX_UPLOAD_BYTES"] = MAX_UPLOAD_BYTES
            return Api(stack.enter_context(live_api(settings, tmp_path, **named)), tmp_path)

        yield start
